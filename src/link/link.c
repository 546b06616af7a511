/* SPDX-License-Identifier: BSD-3-Clause */
/* link.c - moves bytes between a transport and its conn, and tells requests that they ended. Knows
 * neither what commands mean nor which strategy owns the link. */
#include "link/link.h"
#include <errno.h>
#include "base/clock.h"
#include "base/text.h"
#include "call/reply.h"
#include "call/timing.h"

enum { READS_PER_STEP = 4 };
_Static_assert((int)DECODE_FEED_MAX >= (int)CHANNEL_RECV_MAX,
               "there is room for what a channel gives");

int link_init(struct link *l, struct link_env *env, uint32_t places)
{
  int err;

  l->env = env;
  atomic_init(&l->aborted, 0);
  l->want = 0;
  l->id = 0;
  l->refused = 0;
  if (conn_init(&l->conn, env->config, places) != 0)
    return ENOMEM;
  err = transport_init(&l->transport);
  if (err) {
    conn_destroy(&l->conn);
    return err;
  }
  channel_init(&l->channel, &l->transport);
  source_init(&l->source, &l->transport, link_source_io);
  dial_init(l);
  return 0;
}

void link_destroy(struct link *l)
{
  if (l->dial.resolving)
    lookup_cancel(l->env->resolver, &l->dial.lookup);
  channel_close(&l->channel);
  transport_destroy(&l->transport);
  conn_destroy(&l->conn);
}

int link_dead(const struct link *l)
{
  return l->conn.poisoned || l->transport.fd < 0;
}

int link_outdated(const struct link *l)
{
  return l->channel.tls && !tls_source_is(l->env->tls, tls_settings(l->channel.tls));
}

void link_shut(struct link *l)
{
  channel_close(&l->channel);
}

void link_abort(struct link *l)
{
  atomic_store(&l->aborted, LINK_CLOSED);
  transport_kick(&l->transport);
}

void link_stop(struct link *l)
{
  int goes_on = LINK_GOES_ON;

  if (atomic_compare_exchange_strong(&l->aborted, &goes_on, LINK_STOPPED))
    transport_kick(&l->transport);
}

void link_unstop(struct link *l)
{
  int stopped = LINK_STOPPED;

  atomic_compare_exchange_strong(&l->aborted, &stopped, LINK_GOES_ON);
}

static void die(struct link *l, pmx_cause cause, const char *text)
{
  conn_poison(&l->conn, cause, text);
  channel_close(&l->channel);
}

void link_explain_lost(struct link *l, enum link_loss loss)
{
  static const char *const what[] = {"closed by the server", "closed by the server while idle",
                                     "sending failed", "receiving failed"};
  char reason[80];
  struct text text;

  l->refused = channel_refused(&l->channel);
  text_init(&text, l->lost, sizeof l->lost);
  text_add(&text, "connection to %s lost: %s", l->env->name, what[loss]);
  if (loss >= LOST_SENDING)
    text_add(&text, ": %s", channel_why(&l->channel, loss == LOST_SENDING, reason, sizeof reason));
}

static void die_lost(struct link *l, enum link_loss loss)
{
  link_explain_lost(l, loss);
  die(l, PMX_CAUSE_LOST, l->lost);
}

void link_report_pushes(struct link *l, uint64_t before)
{
  if (l->conn.pushes == before)
    return;
  atomic_fetch_add_explicit(&l->env->pushes, l->conn.pushes - before, memory_order_relaxed);
  notice_event(l->env->notices, PMX_EVENT_PUSH, PMX_CAUSE_NONE, l->id, l->env->name,
               l->conn.push_kind);
}

/* Sending may have failed before: what the other side said before it hung up tells more. */
static void receive(struct link *l, int unsent)
{
  char buf[CHANNEL_BUFFER];
  const char *bytes;
  uint64_t pushes = l->conn.pushes;
  ssize_t n = 0;

  for (int i = 0; i < READS_PER_STEP && !l->conn.poisoned; i++) {
    n = channel_recv(&l->channel, buf, &bytes);
    if (n <= 0)
      break;
    conn_feed(&l->conn, bytes, (size_t)n);
    if (!unsent && !channel_more(&l->channel, n))
      break;
  }
  if (n == NET_ERROR)
    die_lost(l, LOST_RECEIVING);
  else if (n == NET_EOF && (!unsent || l->transport.send_err == EPIPE))
    die_lost(l, LOST_CLOSED);
  else if (unsent && !l->conn.poisoned)
    die_lost(l, LOST_SENDING);
  link_report_pushes(l, pushes);
}

static void flush(struct link *l)
{
  size_t len = 0;
  ssize_t n = 0;

  do {
    const char *bytes = conn_output(&l->conn, &len);

    if (len == 0 && !channel_held(&l->channel))
      return;
    n = channel_send(&l->channel, bytes, len);
    if (n > 0)
      conn_sent(&l->conn, (size_t)n);
  } while (n >= 0 && (size_t)n == len);
  if (n == NET_ERROR && l->conn.phase == CONN_HANDSHAKE)
    receive(l, 1);
  else if (n == NET_ERROR) /* what was said before a call is no answer to it */
    die_lost(l, LOST_SENDING);
}

/* Does the I/O that is possible now. The events to wait for next; 0 = nothing is owed any more. */
unsigned link_exchange(struct link *l, unsigned ready)
{
  int aborted = atomic_load_explicit(&l->aborted, memory_order_relaxed);
  size_t len = 0;

  if (aborted == LINK_CLOSED)
    die(l, PMX_CAUSE_CLOSED, "the client was closed");
  /* Read first, and also while a write is blocked: two peers that both only write would wait for
   * each other for ever. */
  if ((ready & NET_IN) && !l->conn.poisoned)
    receive(l, 0);
  if (aborted == LINK_STOPPED && !l->conn.poisoned && conn_waits(&l->conn))
    die(l, PMX_CAUSE_CANCELED, "its wait at the server could not be ended");
  if (!l->conn.poisoned)
    flush(l);
  if (l->conn.poisoned) {
    channel_close(&l->channel);
    return 0;
  }
  conn_output(&l->conn, &len);
  if (len == 0 && !conn_waits(&l->conn))
    return 0; /* what may still be held is TLS's own, and goes with the next request */
  return (len > 0 || channel_held(&l->channel) ? (unsigned)NET_OUT : 0) |
         (conn_waits(&l->conn) ? (unsigned)NET_IN : 0);
}

/* The last thing done for a link, see link.h. */
static void settle(struct link *l)
{
  struct list ended;
  struct list *node;
  int dialled = l->dial.request && l->conn.phase != CONN_HANDSHAKE;

  list_take(&ended, &l->conn.ended);
  if (dialled && list_empty(&ended)) {
    dial_end(l);
    return;
  }
  while ((node = list_first(&ended))) {
    struct request *req = container_of(node, struct request, node);
    list_remove(node);
    if (req->timing)
      timing_answered(req->timing, req->reply);
    request_end(req, req->reply);
  }
}

/* ---- before a request ---- */

/* RESP3 servers may send pushes at any time: those are read off; anything else means that the
 * stream is not where we think it is. */
static int usable(struct link *l)
{
  if (link_dead(l))
    return 0;
  switch (transport_probe(&l->transport)) {
  case NET_QUIET:
    return 1;
  case NET_READABLE:
    receive(l, 0);
    break;
  case NET_GONE:
    die_lost(l, LOST_WHILE_IDLE);
    break;
  }
  return !l->conn.poisoned && conn_idle(&l->conn) && !channel_amid(&l->channel);
}

int link_stale(struct link *l, struct request *req)
{
  if (usable(l))
    return 0;
  if (!l->conn.poisoned)
    die(l, PMX_CAUSE_LOST, "bytes that nobody asked for on an idle connection");
  channel_close(&l->channel);
  request_end(req, reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_LOST, l->conn.text));
  return 1;
}

/* Its bytes are offered at once. What is said before and after them is a part of its time. */
static void submit(struct link *l, struct request *req)
{
  conn_submit(&l->conn, req);
  if (req->timing)
    timing_left(req->timing, req->timing->left_at ? req->timing->left_at : clock_ns(), l->id);
}

/* 1: it ended at once. */
static int ends_at_once(struct link *l, struct request *req, int probe)
{
  if (probe && link_stale(l, req))
    return 1;
  if (req->size > 0)
    return 0;
  request_end(req, NULL);
  return 1;
}

/* ---- owner: reactor ---- */

static void drive(struct link *l, unsigned want)
{
  l->want = want;
  if (want)
    reactor_watch(l->env->reactor, &l->source, want, l->source.deadline);
  else
    reactor_unwatch(l->env->reactor, &l->source);
  settle(l);
}

void link_source_io(struct source *source, unsigned events)
{
  struct link *l = container_of(source, struct link, source);

  if (l->dial.request && l->conn.phase == CONN_NEW) {
    dial_io(source, events);
    return;
  }
  if (!events) {
    link_give_up(l, source->broken ? PMX_CAUSE_NOMEM : PMX_CAUSE_TIMEOUT,
                 source->broken ? "the system has no room to watch the connection"
                                : "no answer in time");
    return;
  }
  drive(l, link_exchange(l, events));
}

void link_ask(struct link *l, struct request *req)
{
  if (link_stale(l, req))
    return;
  l->source.deadline = req->deadline;
  conn_submit(&l->conn, req);
  drive(l, link_exchange(l, 0));
}

void link_give_up(struct link *l, pmx_cause cause, const char *text)
{
  if (l->dial.request && l->conn.phase == CONN_NEW) {
    dial_give_up(l, cause, text);
    return;
  }
  die(l, cause, text);
  drive(l, 0);
}

/* ---- owner: caller ---- */

void link_begin(struct link *l, struct request *req, int probe)
{
  if (ends_at_once(l, req, probe))
    return;
  submit(l, req);
  l->want = link_exchange(l, 0);
  settle(l);
}

void link_start(struct link *l, struct request *req, int probe)
{
  if (ends_at_once(l, req, probe))
    return;
  l->source.deadline = req->timed ? req->deadline : TIME_FOREVER; /* its issuer watches the clock */
  submit(l, req);
  drive(l, link_exchange(l, 0));
}

void link_resend(struct link *l, struct request *req)
{
  submit(l, req);
  if (reactor_is_me(l->env->reactor)) {
    l->source.deadline = req->timed ? req->deadline : TIME_FOREVER;
    drive(l, link_exchange(l, 0));
    return;
  }
  l->want = link_exchange(l, 0);
  settle(l);
}

void link_break(struct link *l, pmx_cause cause, const char *text)
{
  die(l, cause, text);
}

/* A call inside a callback: the reactor drives the link, and everything else meanwhile. */
static int wait_nested(struct link *l, int64_t deadline)
{
  if (atomic_load(&l->aborted)) { /* the kick does not reach the reactor, its ticker does */
    drive(l, link_exchange(l, 0));
    return 1;
  }
  if (!list_linked(&l->source.node))
    reactor_watch(l->env->reactor, &l->source, l->want, TIME_FOREVER);
  reactor_step(l->env->reactor, deadline);
  return clock_ns() < deadline;
}

int link_wait(struct link *l, int64_t deadline)
{
  unsigned ready;

  if (reactor_is_me(l->env->reactor))
    return wait_nested(l, deadline);
  ready = transport_wait(&l->transport, l->want, deadline);
  if (!ready)
    return 0;
  l->want = link_exchange(l, ready);
  settle(l);
  return 1;
}

void link_unwatch(struct link *l)
{
  if (list_linked(&l->source.node))
    reactor_unwatch(l->env->reactor, &l->source);
}

void link_abandon(struct link *l, struct request *req, pmx_cause cause, const char *text)
{
  pmx_status status = PMX_NOT_RUN;

  if (list_linked(&l->source.node))
    reactor_unwatch(l->env->reactor, &l->source);
  if (request_state(req) != REQUEST_ASSIGNED && !conn_withdraw(&l->conn, req)) {
    status = PMX_UNKNOWN;
    die(l, cause, text);
    conn_take_ended(&l->conn);
    pmx_reply_free(req->reply);
  }
  request_end(req, reply_failure_text(status, cause, text));
}
