/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_lane.c - the life of a lane's connections, on the reactor's thread: dialled, watched by the
 * clock (stalls, keepalive, closing), lost, dialled again. */
#include <errno.h>
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"
#include "strategy/mux.h"

static const char ping[] = "*1\r\n$4\r\nPING\r\n";

/* A connection that lived for less is no sign that the server is well. */
enum { YOUNG_NS = 1000 * 1000 * 1000, LOOK_NS = 100 * 1000 * 1000 };

/* ---- dialling ---- */

/* Twice within that time: the earlier one holds. One that is being dialled looks for itself. */
void mux_renew_lane(struct mux_lane *ml, int64_t within, int64_t now)
{
  int64_t at = time_after(now, (int64_t)random_below(&ml->backoff.random, (uint64_t)within + 1));

  if (ml->state == MUX_OPEN && at < ml->renew_at)
    ml->renew_at = at;
  ml->lane.wake_reactor |= (uint8_t)ticker_advance(&ml->ticker, ml->renew_at);
}

void mux_want_connection(struct mux_lane *ml, int64_t now)
{
  if (ml->state != MUX_DOWN || ml->draining)
    return;
  if (now < ml->backoff.next) {
    ml->lane.wake_reactor |= (uint8_t)ticker_advance(&ml->ticker, ml->backoff.next);
    return;
  }
  ml->state = MUX_CONNECTING;
  ml->eager = 0;
  reactor_post(ml->mux->env->reactor, &ml->job);
  ml->lane.wake_reactor = 1;
}

static int is_wanted(const struct mux_lane *ml)
{
  return ml->eager || ml->lane.queued > 0 || ml->backoff.open;
}

static void run_dial(struct job *job)
{
  struct mux_lane *ml = container_of(job, struct mux_lane, job);
  int draining;

  lane_enter(&ml->lane);
  draining = ml->draining;
  ml->dial.deadline = time_after(clock_ns(), ml->config.connect_timeout);
  lane_leave(&ml->lane);
  ml->dial.reply = NULL;
  if (draining)
    request_end(&ml->dial,
                reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CLOSED, "the client was closed"));
  else
    link_dial(&ml->lane.link, &ml->dial);
}

static void fail_queued(struct mux_lane *ml, pmx_cause cause, int64_t now)
{
  int all = ml->config.offline == OFFLINE_FAIL || backoff_is_permanent(cause);

  for (struct list *node = ml->lane.queue.next, *next; node != &ml->lane.queue; node = next) {
    struct request *req = container_of(node, struct request, node);

    next = node->next;
    if (all || req->fail_fast)
      lane_end_locked(&ml->lane, req, mux_explain_offline(ml, cause, now));
  }
}

static void dial_failed(struct mux_lane *ml, const pmx_reply *reply, int64_t now)
{
  struct mux *m = ml->mux;
  pmx_cause cause = pmx_reply_cause(reply);

  ml->state = MUX_DOWN;
  if (ml->draining)
    return;
  backoff_count(&ml->stats, dial_stage_of(&ml->lane.link, cause));
  backoff_failed(&ml->backoff, &ml->config, cause, pmx_reply_error(reply),
                 ml->lane.link.dial.local_error, now);
  backoff_tell(&ml->backoff, m->env, m->name, now);
  backoff_may_open(&ml->backoff, &ml->config, m->env, m->name);
  fail_queued(ml, cause, now);
  if (is_wanted(ml))
    mux_want_connection(ml, now);
}

static void dial_succeeded(struct mux_lane *ml, int64_t now)
{
  struct mux *m = ml->mux;
  struct link *link = &ml->lane.link;

  ml->state = MUX_OPEN;
  ml->stats.reconnects += ml->stats.opened > 0;
  ml->stats.opened++;
  histogram_record_own(&ml->create, now - link->dial.started);
  ml->opened_at = ml->still_since = now;
  ml->renew_at = TIME_FOREVER;
  if (link_outdated(link))
    mux_renew_lane(ml, ml->config.tls_retire, now);
  backoff_done(&ml->backoff, m->env, m->name);
  tell_connected(link, m->name, "");
  ticker_advance(&ml->ticker, now + LOOK_NS);
}

/* Thread: reactor. */
static void dial_done(struct request *dial)
{
  struct mux_lane *ml = container_of(dial, struct mux_lane, dial);
  pmx_reply *failure = dial->reply;
  int64_t now = clock_ns();
  int closing;

  dial->reply = NULL;
  lane_enter(&ml->lane);
  if (failure)
    dial_failed(ml, failure, now);
  else
    dial_succeeded(ml, now);
  closing = ml->draining;
  lane_leave(&ml->lane);
  pmx_reply_free(failure);
  if (!failure)
    lane_up(&ml->lane);
  if (closing)
    mux_check_drained(ml->mux);
}

/* ---- lost ---- */

static void tell_end(const struct mux_lane *ml)
{
  const struct link *link = &ml->lane.link;

  if (link->conn.cause == PMX_CAUSE_CLOSED)
    tell_closed(link, ml->mux->name, PMX_CAUSE_CLOSED, link->conn.text);
  else if (ml->lane.replaced)
    tell_closed(link, ml->mux->name, PMX_CAUSE_NONE, link->conn.text);
  else
    tell_lost(link, ml->mux->name, link->conn.text,
              ml->draining ? "the client is closed" : "another one is made");
}

/* As it was told. One that was replaced says nothing about the server. */
static void count_end(struct mux_lane *ml, int64_t now)
{
  if (ml->lane.link.conn.cause == PMX_CAUSE_CLOSED) {
    ml->stats.closed_shutdown++;
    return;
  }
  if (ml->lane.replaced) {
    ml->stats.closed_lifetime++;
    return;
  }
  ml->stats.closed_error++;
  ml->short_lives = now - ml->opened_at < YOUNG_NS ? ml->short_lives + 1 : 0;
  backoff_pause(&ml->backoff, &ml->config, ml->short_lives, now);
}

/* Thread: reactor. The connection is closed. */
static void down_done(struct request *down)
{
  struct mux_lane *ml = container_of(down, struct mux_lane, lane.down);
  int64_t now = clock_ns();

  lane_enter(&ml->lane);
  ml->state = MUX_DOWN;
  ml->stats.closed++;
  tell_end(ml);
  count_end(ml, now);
  if (!ml->draining) {
    ml->eager = 1;
    mux_want_connection(ml, now);
  } else {
    mux_drop_queued(ml);
  }
  lane_leave(&ml->lane);
  mux_check_drained(ml->mux);
}

/* ---- by the clock ---- */

/* 1: bytes have moved since the last tick. */
static int has_moved(struct mux_lane *ml)
{
  uint64_t reads = ml->lane.reads, sent = ml->lane.link.conn.sent;
  int moved = reads != ml->seen_reads || sent != ml->seen_sent;

  ml->seen_reads = reads;
  ml->seen_sent = sent;
  return moved;
}

static void kill_stalled(struct mux_lane *ml, int64_t still)
{
  char buf[192];
  struct text text;

  text_init(&text, buf, sizeof buf);
  text_add(&text, "no byte from %s in ", ml->mux->env->name);
  text_add_ms(&text, still);
  text_add(&text, " (mux.stall_timeout), and %u replies are owed", ml->lane.link.conn.ring.count);
  ml->stats.stalls++;
  lane_kill_locked(&ml->lane, PMX_CAUSE_LOST, buf);
}

static void send_ping(struct mux_lane *ml, int64_t now)
{
  ml->pinging = 1;
  ml->ping.reply = NULL;
  ml->ping.queued_at = now;
  ml->stats.pings++;
  lane_submit_locked(&ml->lane, &ml->ping);
}

/* Thread: whoever read the answer; any answer will do. */
static void ping_done(struct request *req)
{
  struct mux_lane *ml = container_of(req, struct mux_lane, ping);

  pmx_reply_free(req->reply);
  lane_enter(&ml->lane);
  ml->pinging = 0;
  lane_leave(&ml->lane);
}

/* Nobody waits for its answer. */
void mux_drop_ping(struct mux_lane *ml)
{
  if (ml->pinging && lane_withdraw_locked(&ml->lane, &ml->ping) != PMX_OK)
    ml->pinging = 0;
}

static void renew(struct mux_lane *ml)
{
  ml->renew_at = TIME_FOREVER;
  lane_renew_locked(&ml->lane);
}

/* When to look again. */
static int64_t tick_open(struct mux_lane *ml, int64_t now)
{
  int64_t stall = ml->config.mux_stall_timeout, keepalive = ml->config.mux_keepalive, still, step;
  int busy = lane_busy(&ml->lane);

  if (has_moved(ml))
    ml->still_since = now;
  still = now - ml->still_since;
  if (busy && stall > 0 && still >= stall)
    kill_stalled(ml, still);
  else if (now >= ml->renew_at)
    renew(ml);
  else if (!busy && !ml->pinging && keepalive > 0 && still >= keepalive)
    send_ping(ml, now);
  step = 5 * NS_PER_S;
  if (stall > 0 && stall / 4 < step)
    step = stall / 4;
  if (keepalive > 0 && keepalive / 4 < step)
    step = keepalive / 4;
  if (!ml->lane.armed && step > LOOK_NS)
    step = LOOK_NS;
  step = step > NS_PER_MS ? step : NS_PER_MS;
  return ml->renew_at > now && ml->renew_at < now + step ? ml->renew_at : now + step;
}

/* No more time. What was sent first ends first. */
void mux_abort(struct mux_lane *ml)
{
  ml->aborted = 1;
  lane_kill_locked(&ml->lane, PMX_CAUSE_CLOSED, "the client was closed");
  mux_drop_queued(ml);
}

static int64_t tick_draining(struct mux_lane *ml, int64_t now)
{
  if (ml->state == MUX_DOWN)
    return TIME_FOREVER;
  if (now < ml->abort_at)
    return ml->abort_at;
  if (ml->state == MUX_OPEN && ml->lane.up)
    mux_abort(ml);
  return now + 10 * NS_PER_MS;
}

static int64_t mux_tick(struct ticker *ticker, int64_t now)
{
  struct mux_lane *ml = container_of(ticker, struct mux_lane, ticker);
  struct reactor *reactor = ml->mux->env->reactor;
  int64_t next = TIME_FOREVER;
  uint64_t reads;
  int arm = 0, give_up = 0;

  lane_enter(&ml->lane);
  reads = ml->seen_reads;
  if (ml->draining) {
    next = tick_draining(ml, now);
    give_up = ml->state == MUX_CONNECTING && !reactor_posted(reactor, &ml->job);
  } else if (ml->state == MUX_OPEN) {
    next = tick_open(ml, now);
    arm = !ml->lane.armed && reads == ml->seen_reads;
  } else if (is_wanted(ml)) {
    mux_want_connection(ml, now);
  }
  lane_leave(&ml->lane);
  if (arm)
    lane_arm(&ml->lane);
  if (give_up)
    link_give_up(&ml->lane.link, PMX_CAUSE_CLOSED, "the client was closed");
  return next;
}

/* ---- draining ---- */

void mux_drop_queued(struct mux_lane *ml)
{
  struct request *req;

  while ((req = lane_first_queued(&ml->lane)))
    lane_end_locked(&ml->lane, req, mux_explain_closed(ml->mux));
}

void mux_check_drained(struct mux *m)
{
  int open = 0;

  for (unsigned i = 0; i < m->count; i++) {
    lane_enter(&m->lanes[i]->lane);
    open |= m->lanes[i]->state != MUX_DOWN || !m->lanes[i]->draining;
    lane_leave(&m->lanes[i]->lane);
  }
  if (!open)
    watchers_end(&m->watchers, m->env);
}

/* ---- beginning and end ---- */

int mux_lane_open(struct mux *m, const struct config *config, struct mux_lane **ret)
{
  struct lane_limits limits = {.in_flight = (uint32_t)config->mux_max_inflight,
                               .abandoned = (uint32_t)config->mux_max_abandoned};
  struct mux_lane *ml = mem_zalloc(sizeof *ml);
  int err = ml ? lane_init(&ml->lane, m->env, &limits) : ENOMEM;

  if (err) {
    mem_free(ml);
    return err;
  }
  ml->mux = m;
  ml->config = *config;
  ml->abort_at = TIME_FOREVER;
  lane_configure_locked(&ml->lane, config);
  backoff_init(&ml->backoff);
  request_init(&ml->dial, REQUEST_COMMAND);
  ml->dial.done = dial_done;
  ml->lane.down.done = down_done;
  request_init(&ml->ping, REQUEST_COMMAND);
  ml->ping.bytes = ping;
  ml->ping.size = sizeof ping - 1;
  ml->ping.replies = 1;
  ml->ping.route.command = "PING";
  ml->ping.done = ping_done;
  job_init(&ml->job, run_dial);
  ml->ticker.tick = mux_tick;
  ml->lane.ticker = &ml->ticker;
  ticker_add(m->env->reactor, &ml->ticker, TIME_FOREVER);
  *ret = ml;
  return 0;
}

void mux_lane_close(struct mux_lane *ml)
{
  lane_destroy(&ml->lane);
  mem_free(ml);
}
