/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_report.c - what the multiplexer says about itself: statistics, and failures that explain
 * themselves. With the lane's lock held. */
#include "base/text.h"
#include "call/reply.h"
#include "strategy/mux.h"

static const char *word_for(const struct mux_lane *ml)
{
  switch (ml->state) {
  case MUX_DOWN:
    return "not connected";
  case MUX_CONNECTING:
    return "connecting";
  case MUX_OPEN:
    break;
  }
  return ml->lane.stuck ? "connected, the server reads nothing" : "connected";
}

static uint64_t age(int64_t since, int64_t now)
{
  return now > since ? (uint64_t)(now - since) : 0;
}

/* What was given up is the server's debt all the same. */
static uint64_t oldest_in_flight(const struct lane *l, int64_t now)
{
  const struct place *first = ring_first(&l->link.conn.ring);

  return first ? age(first->since, now) : 0;
}

/* Which of several. */
static void add_name(struct text *text, const struct mux_lane *ml)
{
  const struct mux *m = ml->mux;

  text_add(text, "mux %s: ", m->name);
  for (unsigned i = 0; i < m->count && m->count > 1; i++) {
    if (m->lanes[i] == ml)
      text_add(text, "lane %u: ", i);
  }
}

static void add_state(struct text *text, const struct mux_lane *ml, int64_t now)
{
  const struct lane *l = &ml->lane;

  text_add(text, "%s, in flight %u (%u of them abandoned", word_for(ml), l->link.conn.ring.count,
           l->link.conn.abandoned);
  if (lane_busy(l)) {
    text_add(text, ", the oldest for ");
    text_add_ms(text, (int64_t)oldest_in_flight(l, now));
  }
  text_add(text, "), queued %u", l->queued);
  if (backoff_is_failing(&ml->backoff)) {
    text_add(text, "; last connect error ");
    text_add_ms(text, now - ml->backoff.error_at);
    text_add(text, " ago: %s", ml->backoff.error);
  }
}

/* A command that waits for a key is allowed to get none. */
static int is_silent(const struct request *req, pmx_status status, pmx_cause cause)
{
  return status == PMX_UNKNOWN && cause == PMX_CAUSE_TIMEOUT &&
         !(req->route.flags & ROUTE_BLOCKING);
}

static pmx_reply *explain(const struct mux_lane *ml, pmx_status status, pmx_cause cause,
                          const struct request *req, const char *what, int64_t now)
{
  char buf[1280];
  struct text text;

  text_init(&text, buf, sizeof buf);
  add_name(&text, ml);
  text_add(&text, "%s %s after ", req->route.command ? req->route.command : "the call", what);
  text_add_ms(&text, now - req->queued_at);
  text_add(&text, ": ");
  add_state(&text, ml, now);
  if (is_silent(req, status, cause))
    text_add(&text, ": is the server stopped, or busy with one command (SLOWLOG GET)?");
  return reply_failure_text(status, cause, buf);
}

pmx_reply *mux_explain_unsent(const struct mux_lane *ml, const struct request *req, pmx_cause cause,
                              int64_t now)
{
  const char *what =
      cause == PMX_CAUSE_CANCELED ? "was cancelled before it was sent," : "was still not sent";

  /* What its user can act on is why there is no connection. */
  if (cause == PMX_CAUSE_TIMEOUT && ml->state != MUX_OPEN && backoff_is_failing(&ml->backoff))
    cause = ml->backoff.cause;
  return explain(ml, PMX_NOT_RUN, cause, req, what, now);
}

pmx_reply *mux_explain_unanswered(const struct mux_lane *ml, const struct request *req,
                                  pmx_cause cause, int64_t now)
{
  return explain(ml, PMX_UNKNOWN, cause, req,
                 cause == PMX_CAUSE_CANCELED ? "was cancelled while the server answered it,"
                                             : "got no answer in time,",
                 now);
}

pmx_reply *mux_explain_offline(const struct mux_lane *ml, pmx_cause cause, int64_t now)
{
  char buf[1280];
  struct text text;

  text_init(&text, buf, sizeof buf);
  add_name(&text, ml);
  backoff_explain(&ml->backoff, &text, cause, now);
  return reply_failure_text(PMX_NOT_RUN, cause, buf);
}

static void tell_full(struct mux_lane *ml, const pmx_reply *why)
{
  unsigned count = tell_due(&ml->full, clock_ns());

  if (count)
    notice_log(ml->mux->env->notices, PMX_LOG_WARN, "mux",
               "%s: %u calls were turned away; told once a second: %s", ml->mux->name, count,
               pmx_reply_error(why));
}

pmx_reply *mux_explain_full(struct mux_lane *ml)
{
  const struct lane *l = &ml->lane;
  pmx_reply *why =
      reply_failure(PMX_NOT_RUN, PMX_CAUSE_QUEUE_FULL,
                    "mux %s: full: in flight %u, queued %u of %zu bytes (mux.max_inflight=%lld, "
                    "mux.max_queued=%lld)",
                    ml->mux->name, l->link.conn.ring.count, l->queued, l->queued_bytes,
                    (long long)ml->config.mux_max_inflight, (long long)ml->config.mux_max_queued);

  tell_full(ml, why);
  return why;
}

pmx_reply *mux_explain_closed(const struct mux *m)
{
  return reply_failure(PMX_NOT_RUN, PMX_CAUSE_CLOSED, "mux %s: the client is closed", m->name);
}

static void add_gauges(const struct mux_lane *ml, pmx_stats *ret, int64_t now)
{
  const struct lane *l = &ml->lane;
  const struct request *first = lane_first_queued(l);

  ret->lanes = 1;
  ret->live = ret->lanes_live = ml->state == MUX_OPEN;
  ret->connecting = ml->state == MUX_CONNECTING;
  ret->waiting = ret->queued = l->queued;
  ret->in_flight = l->link.conn.ring.count;
  ret->abandoned = l->link.conn.abandoned;
  ret->breaker_open = (uint64_t)ml->backoff.open;
  ret->oldest_wait_ns = first ? age(first->queued_at, now) : 0;
  ret->oldest_in_flight_ns = oldest_in_flight(l, now);
}

void mux_tell(struct mux_lane *ml, struct account *ret, int64_t now)
{
  const struct lane *l = &ml->lane;
  pmx_stats *s = &ret->stats;

  *s = ml->stats;
  s->lanes_opened = s->opened;
  s->lanes_closed = s->closed;
  s->lanes_dial_failures = s->dial_failures;
  s->breaker_opens = ml->backoff.opens;
  s->late_replies = l->link.conn.late;
  s->writes = l->sends;
  s->reads = l->reads;
  s->handovers = l->handovers;
  s->requests = l->begun;
  s->requests_ended = l->ended;
  s->lane_given_up = l->given_up;
  s->bytes_in = l->bytes_in;
  s->bytes_out = l->bytes_out;
  add_gauges(ml, s, now);
  if (ret->times) {
    histogram_add_to(&l->queue_time, &ret->times[PMX_HISTOGRAM_QUEUE]);
    histogram_add_to(&ml->create, &ret->times[PMX_HISTOGRAM_CREATE]);
  }
}
