/* SPDX-License-Identifier: BSD-3-Clause */
/* mux.c - the multiplexer as a strategy: its table of functions, which lane a request goes to, what
 * is let in, and what becomes of a request that is given up. Knows no bytes. */
#include "strategy/mux.h"
#include <errno.h>
#include <stdio.h>
#include "base/mem.h"
#include "call/reply.h"

static struct mux *mux_of(struct strategy *s)
{
  return container_of(s, struct mux, base);
}

static struct mux_lane *lane_of(struct lane *lane)
{
  return container_of(lane, struct mux_lane, lane);
}

/* ---- what a lane cannot carry ---- */

static pmx_reply *mux_refuse(const struct route *route, int leased)
{
  (void)leased; /* there are no leases */
  if (route->flags & ROUTE_WAITS)
    return reply_failure(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                         "%s counts what its own connection wrote, and with strategy=mux all callers "
                         "share it: open a client with strategy=pool for a batch that ends with it",
                         route->command);
  if (route->flags & ROUTE_SESSION)
    return reply_failure(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                         "%s concerns one connection, and with strategy=mux all callers share it: "
                         "open a client with strategy=hybrid, and use pmx_acquire() there",
                         route->command);
  if (route->flags & ROUTE_BLOCKING)
    return reply_failure(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                         "%s would stall every other caller of this multiplexed client: open it "
                         "with strategy=hybrid",
                         route->command);
  if (route->wish == WISH_DEDICATED)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                              "strategy=mux has no connection for one call alone: leave "
                              "PMX_CALL_DEDICATED out, or open the client with strategy=hybrid");
  return NULL;
}

/* ---- submitting ---- */

static struct mux_lane *pick(const struct mux *m, const struct request *req)
{
  return m->lanes[req->thread % m->count];
}

/* A caller that waits itself is back-pressure enough: its bytes are in its own memory. */
static int is_full(const struct mux_lane *ml, const struct request *req)
{
  const struct lane *l = &ml->lane;
  uint64_t outstanding = (uint64_t)l->queued + l->link.conn.ring.count;

  if (ml->config.mux_full == FULL_WAIT && !req->completed)
    return 0;
  return outstanding >= (uint64_t)ml->config.mux_max_inflight ||
         (l->queued && l->queued_bytes + req->size > (uint64_t)ml->config.mux_max_queued);
}

/* NULL: it may come in. */
static pmx_reply *turned_away(struct mux_lane *ml, const struct request *req)
{
  if (ml->draining)
    return mux_explain_closed(ml->mux);
  if (ml->state != MUX_OPEN && ml->backoff.open)
    return mux_explain_offline(ml, PMX_CAUSE_CIRCUIT_OPEN, clock_ns());
  if (!is_full(ml, req))
    return NULL;
  ml->stats.queue_full++;
  return mux_explain_full(ml);
}

static pmx_reply *submit_to_lane(struct mux_lane *ml, struct request *req)
{
  pmx_reply *failure;
  int64_t now = req->queued_at;

  lane_enter(&ml->lane);
  failure = turned_away(ml, req);
  if (!failure) {
    if (ml->state == MUX_DOWN)
      mux_want_connection(ml, now);
    ml->stats.lane_requests++;
    lane_submit_locked(&ml->lane, req);
  }
  lane_leave(&ml->lane);
  return failure;
}

static pmx_reply *submit_watcher(struct mux *m, struct request *req)
{
  pmx_reply *failure = watchers_add(&m->watchers, m->env, req);

  if (!failure)
    mux_check_drained(m);
  return failure;
}

static pmx_reply *mux_submit(struct strategy *s, struct request *req)
{
  struct mux *m = mux_of(s);

  switch (req->kind) {
  case REQUEST_COMMAND:
  case REQUEST_FILL: /* asks for a connection, as a command without bytes does */
    return submit_to_lane(pick(m, req), req);
  case REQUEST_DRAIN:
    return submit_watcher(m, req);
  case REQUEST_LEASE:
    break;
  }
  return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                            "a client with strategy=mux shares its connections and lends none: "
                            "open one with strategy=hybrid for pmx_acquire()");
}

/* ---- giving up ---- */

static void mux_cancel(struct strategy *s, struct request *req, pmx_cause cause)
{
  struct mux_lane *ml;
  pmx_reply *reply = NULL;
  pmx_status status;
  int64_t now = clock_ns();

  if (!req->lane) {
    watchers_cancel(&mux_of(s)->watchers, req, cause, mux_of(s)->name);
    return;
  }
  ml = lane_of(req->lane);
  lane_enter(&ml->lane);
  status = lane_withdraw_locked(&ml->lane, req);
  if (status == PMX_NOT_RUN)
    reply = mux_explain_unsent(ml, req, cause, now);
  else if (status == PMX_UNKNOWN)
    reply = mux_explain_unanswered(ml, req, cause, now);
  lane_leave(&ml->lane);
  if (reply)
    request_end(req, reply);
}

/* ---- the rest ---- */

static enum release_result mux_release(struct strategy *s, struct link *link, uint64_t ticket)
{
  (void)s, (void)link, (void)ticket;
  return RELEASE_GONE;
}

static void mux_configure(struct strategy *s, const struct config *config)
{
  struct mux *m = mux_of(s);

  for (unsigned i = 0; i < m->count; i++) {
    struct mux_lane *ml = m->lanes[i];

    lane_enter(&ml->lane);
    ml->config = *config;
    lane_configure_locked(&ml->lane, config);
    if (ticker_advance(&ml->ticker, 0))
      ml->lane.wake_reactor = 1;
    lane_leave(&ml->lane);
  }
}

static void mux_renew(struct strategy *s, int64_t within)
{
  struct mux *m = mux_of(s);

  for (unsigned i = 0; i < m->count; i++) {
    lane_enter(&m->lanes[i]->lane);
    mux_renew_lane(m->lanes[i], within, clock_ns());
    lane_leave(&m->lanes[i]->lane);
  }
}

static int mux_account(struct strategy *s, unsigned i, struct account *ret)
{
  struct mux *m = mux_of(s);
  int64_t now = clock_ns();

  if (i >= m->count)
    return 0;
  ret->kind = ACCOUNT_LANE;
  ret->lane = i;
  ret->name = m->name;
  lane_enter(&m->lanes[i]->lane);
  mux_tell(m->lanes[i], ret, now);
  lane_leave(&m->lanes[i]->lane);
  return 1;
}

static void mux_drain(struct strategy *s, int64_t deadline)
{
  struct mux *m = mux_of(s);

  for (unsigned i = 0; i < m->count; i++) {
    struct mux_lane *ml = m->lanes[i];

    lane_enter(&ml->lane);
    ml->draining = 1;
    ml->abort_at = deadline < ml->abort_at ? deadline : ml->abort_at;
    mux_drop_ping(ml);
    if (!ml->lane.up)
      mux_drop_queued(ml);
    lane_last_locked(&ml->lane); /* what can still go out has the time that is left */
    if (ml->lane.up && deadline <= clock_ns())
      mux_abort(ml);
    if (ticker_advance(&ml->ticker, 0))
      ml->lane.wake_reactor = 1;
    lane_leave(&ml->lane);
  }
  mux_check_drained(m);
}

static int mux_aborted(struct strategy *s)
{
  struct mux *m = mux_of(s);
  int aborted = 0;

  for (unsigned i = 0; i < m->count; i++) {
    lane_enter(&m->lanes[i]->lane);
    aborted |= m->lanes[i]->aborted;
    lane_leave(&m->lanes[i]->lane);
  }
  return aborted;
}

static void mux_close(struct strategy *s)
{
  struct mux *m = mux_of(s);

  for (unsigned i = 0; i < m->count; i++)
    mux_lane_close(m->lanes[i]);
  watchers_destroy(&m->watchers);
  mem_free(m);
}

static int mux_open(struct link_env *env, const struct config *config, struct strategy *control,
                    struct strategy **ret)
{
  struct mux *m = mem_zalloc(sizeof *m);
  int err = 0;

  (void)control; /* nothing on a lane waits for a key */
  if (!m)
    return ENOMEM;
  m->base.ops = &mux_ops;
  m->env = env;
  snprintf(m->name, sizeof m->name, "%s/%lld", env->name, (long long)config->db);
  watchers_init(&m->watchers);
  while (!err && m->count < (unsigned)config->mux_lanes) {
    err = mux_lane_open(m, config, &m->lanes[m->count]);
    m->count += !err;
  }
  if (err)
    mux_close(&m->base);
  else
    *ret = &m->base;
  return err;
}

const struct strategy_ops mux_ops = {
    .open = mux_open,
    .refuse = mux_refuse,
    .submit = mux_submit,
    .cancel = mux_cancel,
    .release = mux_release,
    .configure = mux_configure,
    .renew = mux_renew,
    .account = mux_account,
    .drain = mux_drain,
    .aborted = mux_aborted,
    .close = mux_close,
};
