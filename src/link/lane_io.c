/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_io.c - a lane's bytes: from the queue through the buffer to the socket, from the socket to
 * the requests. Sockets are read and written, and replies decoded, outside the lock. */
#include "link/lane_io.h"
#include <errno.h>
#include "base/clock.h"
#include "base/mem.h"
#include "call/reply.h"
#include "call/timing.h"

enum { READS_AT_ONCE = 4, WRITES_AT_ONCE = 4, UNSEEN_NS = 1000 * 1000 };
/* All whom one read answers are woken together: who is woken earlier gets the processor of whoever
 * reads, and the others wait. */
enum { REPLIES_AT_ONCE = LANE_WAKES };
enum { AMID_MESSAGE = 1, AMID_RECORD = 2 }; /* lane.amid */

/* ---- out ---- */

static int may_take(const struct lane *l)
{
  const struct conn *c = &l->link.conn;

  return !list_empty(&l->queue) && !c->retire && conn_room(c) > 0 &&
         c->abandoned < l->limits.abandoned;
}

int lane_writable(const struct lane *l)
{
  const struct conn *c = &l->link.conn;

  if (!l->up || l->stuck)
    return 0;
  return l->out_sent < l->out_len || c->unwritten < c->ring.count ||
         channel_held(&l->link.channel) || may_take(l);
}

/* A message began when no reply was owed, and nobody knows whether it goes on. With RESP3 it is
 * most likely a push, the rest of which is on its way: only one that is older than that ends here.
 */
static int is_stuck_amid(const struct lane *l)
{
  return l->amid && !lane_busy(l) && (!l->link.conn.resp3 || clock_ns() - l->amid_at > UNSEEN_NS);
}

/* From the queue to the buffer. A request without bytes only wants to know that there is a
 * connection. */
static void fill(struct lane *l)
{
  struct conn *c = &l->link.conn;

  l->out_sent = l->out_len = 0;
  if (is_stuck_amid(l)) {
    lane_kill_locked(l, PMX_CAUSE_LOST, "the connection was idle in the middle of a message");
    return;
  }
  l->out_len = conn_copy(c, l->out, LANE_BUFFER);
  while (c->unwritten == c->ring.count && may_take(l)) {
    struct request *req = lane_first_queued(l);

    if (l->out_len > 0 && req->size > LANE_BUFFER - l->out_len)
      return;
    lane_dequeue(l, req);
    if (req->size == 0) {
      lane_finish(l, req, NULL);
      continue;
    }
    if (!l->now)
      l->now = clock_ns(); /* once for all of them */
    histogram_record_own(&l->queue_time, l->now - req->queued_at);
    conn_submit(c, req);
    l->out_len += conn_copy(c, l->out + l->out_len, LANE_BUFFER - l->out_len);
  }
}

/* What the kernel has taken nothing of leaves now, if it ever does. */
static void note_left(struct lane *l)
{
  const struct conn *c = &l->link.conn;
  int64_t now = clock_ns();

  for (uint32_t i = c->ring.count; i-- > 0;) {
    const struct place *p = ring_at(&c->ring, i);

    if (p->begin < c->sent)
      break;
    if (p->request && p->request->timing)
      timing_left(p->request->timing, now, l->link.id);
  }
}

static void sent(struct lane *l, ssize_t n)
{
  if (!l->up)
    return;
  if (n == NET_ERROR) {
    conn_offered(&l->link.conn, l->out_len - l->out_sent); /* it took nothing */
    link_explain_lost(&l->link, LOST_SENDING);
    lane_kill_locked(l, PMX_CAUSE_LOST, l->link.lost);
    return;
  }
  l->sends++;
  l->out_sent += n > 0 ? (size_t)n : 0;
  l->bytes_out += n > 0 ? (size_t)n : 0;
  conn_offered(&l->link.conn, l->out_len - l->out_sent);
  if (l->out_sent == l->out_len && !channel_held(&l->link.channel))
    return;
  l->stuck = 1;
  if (l->blocked && !l->watches_out)
    l->kick = 1;
}

/* The token's holder has bytes in its hands, or may have: what it has not decoded yet could be
 * taken for the answer to what others write meanwhile. It writes itself before it sleeps. */
static int is_holder_reading(const struct lane *l)
{
  return l->held && !l->blocked && !l->open;
}

static void flush(struct lane *l, int is_holder)
{
  if (l->writing)
    return;
  for (int round = 0; round < WRITES_AT_ONCE && lane_writable(l); round++) {
    ssize_t n;

    if (!is_holder && is_holder_reading(l))
      return;
    if (l->out_sent == l->out_len)
      fill(l);
    if (l->out_len == 0 && !channel_held(&l->link.channel))
      continue;
    l->writing = 1;
    if (l->link.env->config->trace.begin)
      note_left(l);
    conn_offered(&l->link.conn, 0); /* until it is known, all of it may have been taken */
    lane_leave(l);
    n = channel_send(&l->link.channel, l->out + l->out_sent, l->out_len - l->out_sent);
    lane_enter(l);
    l->writing = 0;
    l->now = 0;
    sent(l, n);
  }
}

void lane_flush(struct lane *l)
{
  flush(l, 1);
}

void lane_write_for_holder(struct lane *l)
{
  flush(l, 0);
  l->kick |= l->blocked && !l->writing && lane_writable(l);
}

/* ---- in ---- */

/* Replies that were decoded outside the lock. */
struct batch {
  pmx_reply *replies[REPLIES_AT_ONCE];
  unsigned count;
  enum decode_result result; /* why there are no more */
};

static void decode(struct lane *l, struct batch *b)
{
  b->count = 0;
  b->result = DECODE_REPLY;
  while (b->count < REPLIES_AT_ONCE) {
    b->result = decoder_next(l->link.conn.decoder, &b->replies[b->count]);
    if (b->result != DECODE_REPLY)
      return;
    b->count++;
  }
}

/* The reader's: whoever writes sees what it found. */
static void note_amid(struct lane *l, int message)
{
  l->amid = (message ? AMID_MESSAGE : 0) | (channel_amid(&l->link.channel) ? AMID_RECORD : 0);
  if (l->amid)
    l->amid_at = clock_ns();
}

static void match(struct lane *l, const struct batch *b)
{
  struct conn *c = &l->link.conn;
  uint64_t pushes = c->pushes;

  if (b->count) /* one look at the clock for all of them */
    l->now = l->matched_at = clock_ns();
  for (unsigned i = 0; i < b->count; i++)
    conn_reply(c, b->replies[i]);
  if (b->result == DECODE_ERROR)
    conn_decode_failed(c);
  else if (b->result == DECODE_MORE)
    conn_decoded(c);
  if (b->result == DECODE_MORE)
    note_amid(l, !decoder_idle(c->decoder));
  link_report_pushes(&l->link, pushes);
  if (!l->up) {
    l->matched_at = 0;
    return;
  }
  if (c->poisoned)
    lane_kill_locked(l, c->cause, c->text);
  else
    lane_sort_out_ended(l, 0);
  l->matched_at = 0;
  lane_end_if_last(l);
}

/* Takes the lock. */
static void feed(struct lane *l, const char *buf, size_t n)
{
  struct batch b;
  int fed;

  b.count = 0; /* its array is not worth clearing */
  b.result = DECODE_ERROR;
  fed = decoder_feed(l->link.conn.decoder, buf, n) == 0;
  do {
    if (fed)
      decode(l, &b);
    lane_enter(l);
    match(l, &b);
    if (b.result == DECODE_REPLY)
      lane_leave(l);
  } while (b.result == DECODE_REPLY);
}

int lane_unseen(const struct lane *l, int64_t now)
{
  return l->quiet || now - l->seen_at > UNSEEN_NS;
}

/* Requests that are under way: the most there were lately. */
static void note_usual(struct lane *l)
{
  l->usual -= (l->usual + 15) / 16;
  if (l->usual < l->link.conn.ring.count)
    l->usual = l->link.conn.ring.count;
}

void lane_receive(struct lane *l)
{
  char buf[CHANNEL_BUFFER];
  const char *bytes;
  ssize_t n = 0;

  l->quiet = 0;
  note_usual(l);
  yield_note_crowd(&l->yield);
  for (int i = 0; i < READS_AT_ONCE && l->up; i++) {
    lane_leave(l);
    n = channel_recv(&l->link.channel, buf, &bytes);
    if (n <= 0) {
      lane_enter(l);
      note_amid(l, l->amid & AMID_MESSAGE);
      break;
    }
    feed(l, bytes, (size_t)n);
    l->reads++;
    l->bytes_in += (size_t)n;
    if (!channel_more(&l->link.channel, n))
      return;
  }
  if (!l->up || (n != NET_EOF && n != NET_ERROR))
    return;
  link_explain_lost(&l->link, n == NET_EOF ? LOST_CLOSED : LOST_RECEIVING);
  lane_kill_locked(l, PMX_CAUSE_LOST, l->link.lost);
}

void lane_look_first(struct lane *l)
{
  lane_receive(l);
  l->amid_at = 0;
}

/* The token is free. */
void lane_turn(struct lane *l, unsigned events)
{
  int unseen;

  l->now = events & NET_IN ? 0 : clock_ns();
  unseen = !(events & NET_IN) && lane_unseen(l, l->now);
  l->held = 1;
  if (events & NET_OUT)
    l->stuck = 0;
  if (events & NET_IN)
    lane_receive(l);
  else if (unseen)
    lane_look_first(l);
  if (unseen || (events & NET_IN))
    l->seen_at = l->now ? l->now : clock_ns();
  lane_flush(l);
  l->now = 0;
  l->held = 0;
}

/* ---- life ---- */

int lane_init(struct lane *l, struct link_env *env, const struct lane_limits *limits)
{
  int err;

  l->limits = *limits;
  l->out = mem_alloc(LANE_BUFFER);
  if (!l->out)
    return ENOMEM;
  err = link_init(&l->link, env, limits->in_flight);
  if (err) {
    mem_free(l->out);
    return err;
  }
  lock_init(&l->lock);
  list_init(&l->queue);
  list_init(&l->parked);
  list_init(&l->finished);
  yield_init(&l->yield);
  source_init(&l->watch, &l->link.transport, lane_look_io);
  job_init(&l->look, lane_look_job);
  request_init(&l->down, REQUEST_COMMAND);
  return 0;
}

void lane_configure_locked(struct lane *l, const struct config *config)
{
  l->spin = config->mux_spin;
  l->yield.off = config->mux_yield == YIELD_OFF;
}

void lane_destroy(struct lane *l)
{
  link_destroy(&l->link);
  lock_destroy(&l->lock);
  mem_free(l->out);
}
