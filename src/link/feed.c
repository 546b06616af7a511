/* SPDX-License-Identifier: BSD-3-Clause */
/* feed.c - see feed.h. Knows bytes and replies, not what they mean. */
#include "link/feed.h"
#include <errno.h>
#include "base/clock.h"
#include "base/mem.h"

enum { READS_AT_ONCE = 4 };

void feed_poison(struct feed *f, pmx_cause cause, const char *text)
{
  conn_poison(&f->link.conn, cause, text);
}

static void poison_lost(struct feed *f, enum link_loss loss)
{
  link_explain_lost(&f->link, loss);
  feed_poison(f, PMX_CAUSE_LOST, f->link.lost);
}

int feed_unsent(const struct feed *f)
{
  return f->out_sent < f->out_len || channel_held(&f->link.channel);
}

/* ---- in ---- */

static void hand_out(struct feed *f)
{
  struct conn *c = &f->link.conn;
  enum decode_result result = DECODE_MORE;
  pmx_reply *reply;

  while (!c->poisoned && (result = decoder_next(c->decoder, &reply)) == DECODE_REPLY)
    f->take(f, reply);
  if (!c->poisoned && result == DECODE_ERROR)
    conn_decode_failed(c);
}

static void receive(struct feed *f)
{
  char buf[CHANNEL_BUFFER];
  const char *bytes;
  struct conn *c = &f->link.conn;
  ssize_t n = 0;

  for (int i = 0; i < READS_AT_ONCE && !c->poisoned; i++) {
    n = channel_recv(&f->link.channel, buf, &bytes);
    if (n <= 0)
      break;
    f->moved++;
    if (decoder_feed(c->decoder, bytes, (size_t)n) == 0)
      hand_out(f);
    else
      conn_decode_failed(c);
    if (!channel_more(&f->link.channel, n))
      break;
  }
  if (n == NET_EOF)
    poison_lost(f, LOST_CLOSED);
  else if (n == NET_ERROR)
    poison_lost(f, LOST_RECEIVING);
}

/* ---- out ---- */

/* 1: all of the buffer is on its way. */
static int send_rest(struct feed *f)
{
  ssize_t n = channel_send(&f->link.channel, f->out + f->out_sent, f->out_len - f->out_sent);

  if (n == NET_ERROR)
    poison_lost(f, LOST_SENDING);
  if (n < 0)
    return 0;
  f->moved++;
  f->out_sent += (size_t)n;
  return !feed_unsent(f);
}

static void send_all(struct feed *f)
{
  while (!f->link.conn.poisoned) {
    if (!feed_unsent(f)) {
      f->out_sent = 0;
      f->out_len = f->fill(f, f->out, FEED_BUFFER);
      if (f->out_len == 0)
        return;
    }
    if (!send_rest(f))
      return;
  }
}

/* ---- both ---- */

/* The last thing done in a turn: the owner may dial again. */
static void watch_or_bury(struct feed *f)
{
  struct reactor *reactor = f->link.env->reactor;

  if (!f->link.conn.poisoned) {
    reactor_watch(reactor, &f->watch, NET_IN | (feed_unsent(f) ? (unsigned)NET_OUT : 0),
                  TIME_FOREVER);
    return;
  }
  reactor_unwatch(reactor, &f->watch);
  channel_close(&f->link.channel);
  f->lost(f);
}

static void feed_io(struct source *source, unsigned events)
{
  struct feed *f = container_of(source, struct feed, watch);

  /* Without events: the system would not watch it, so look. */
  if (!events || (events & NET_IN))
    receive(f);
  send_all(f);
  watch_or_bury(f);
}

void feed_up(struct feed *f)
{
  f->out_len = f->out_sent = 0;
  hand_out(f); /* what came right behind the login */
  feed_flush(f);
}

void feed_flush(struct feed *f)
{
  send_all(f);
  watch_or_bury(f);
}

void feed_end(struct feed *f, pmx_cause cause, const char *text)
{
  feed_poison(f, cause, text);
  watch_or_bury(f);
}

/* ---- life ---- */

int feed_init(struct feed *f, struct link_env *env)
{
  int err;

  f->out = mem_alloc(FEED_BUFFER);
  if (!f->out)
    return ENOMEM;
  err = link_init(&f->link, env, 1);
  if (err) {
    mem_free(f->out);
    return err;
  }
  source_init(&f->watch, &f->link.transport, feed_io);
  f->out_len = f->out_sent = 0;
  f->moved = 0;
  return 0;
}

void feed_destroy(struct feed *f)
{
  link_destroy(&f->link);
  mem_free(f->out);
}
