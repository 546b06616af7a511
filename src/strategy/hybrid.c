/* SPDX-License-Identifier: BSD-3-Clause */
/* hybrid.c - both at once: ordinary commands share lanes, the others get a connection of the pool.
 * Composes the two other strategies and has no connection of its own; where a request goes the
 * router has decided before (route.place). Budgets, locks and backoff are the parts' own: a pool
 * that is exhausted never touches a lane, a lane that is slow never touches the pool.
 *
 * A request belongs to one part from submit() to its end, and what part_of() tells it from never
 * changes meanwhile. Only closing concerns both: each part gets a REQUEST_DRAIN of ours, and who
 * waits for the close is told when both have ended. */
#include <errno.h>
#include "base/mem.h"
#include "call/reply.h"
#include "strategy/strategy.h"
#include "strategy/watchers.h"

enum { POOL, MUX, HALVES };

struct hybrid;

struct half {
  struct hybrid *hybrid;
  struct strategy *strategy;
  struct request drain;
};

struct hybrid {
  struct strategy base;
  struct link_env *env;
  struct half parts[HALVES];
  struct strategy *control; /* the node's */
  _Atomic int draining;
  _Atomic int open; /* parts that have not drained */
  struct watchers watchers;
};

static struct hybrid *hybrid_of(struct strategy *s)
{
  return container_of(s, struct hybrid, base);
}

static struct strategy *part_of(const struct hybrid *h, const struct request *req)
{
  if (req->kind != REQUEST_COMMAND || req->pinned || req->route.place == PLACE_POOL)
    return h->parts[POOL].strategy;
  return req->route.place == PLACE_CONTROL ? h->control : h->parts[MUX].strategy;
}

/* A call or a lease carries all that it does with a pool, unless it insists on a lane. */
static pmx_reply *hybrid_refuse(const struct route *route, int leased)
{
  if (route->wish != WISH_SHARED || leased)
    return pool_ops.refuse(route, leased);
  if (route->flags & ROUTE_SESSION)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED, route->hint);
  if (route->flags & (ROUTE_BLOCKING | ROUTE_PARKS))
    return reply_failure(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                         "%s would stall every other caller on its lane: leave PMX_CALL_SHARED out",
                         route->command);
  return NULL;
}

/* ---- closing ---- */

static void check_drained(struct hybrid *h)
{
  if (atomic_load(&h->open) == 0)
    watchers_end(&h->watchers, h->env);
}

/* Thread: any. Locks: none. */
static void part_drained(struct request *req)
{
  struct hybrid *h = container_of(req, struct half, drain)->hybrid;

  atomic_fetch_sub(&h->open, 1);
  check_drained(h);
}

static void hybrid_drain(struct strategy *s, int64_t deadline)
{
  struct hybrid *h = hybrid_of(s);
  int again = atomic_exchange(&h->draining, 1);

  for (int i = 0; i < HALVES; i++)
    h->parts[i].strategy->ops->drain(h->parts[i].strategy, deadline);
  for (int i = 0; i < HALVES && !again; i++) {
    request_init(&h->parts[i].drain, REQUEST_DRAIN);
    h->parts[i].drain.completed = part_drained;
    h->parts[i].strategy->ops->submit(h->parts[i].strategy, &h->parts[i].drain);
  }
}

static int hybrid_aborted(struct strategy *s)
{
  struct strategy *control = hybrid_of(s)->control;
  int aborted = control->ops->aborted(control);

  for (int i = 0; i < HALVES; i++) {
    struct strategy *part = hybrid_of(s)->parts[i].strategy;

    aborted |= part->ops->aborted(part);
  }
  return aborted;
}

/* ---- requests ---- */

static pmx_reply *hybrid_submit(struct strategy *s, struct request *req)
{
  struct hybrid *h = hybrid_of(s);
  struct strategy *part = part_of(h, req);
  pmx_reply *failure;

  if (part == h->control && atomic_load(&h->draining))
    return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CLOSED, "the client is closed");
  if (req->kind != REQUEST_DRAIN)
    return part->ops->submit(part, req);
  failure = watchers_add(&h->watchers, h->env, req);
  if (!failure)
    check_drained(h);
  return failure;
}

static void hybrid_cancel(struct strategy *s, struct request *req, pmx_cause cause)
{
  struct hybrid *h = hybrid_of(s);
  struct strategy *part = part_of(h, req);

  if (req->kind == REQUEST_DRAIN)
    watchers_cancel(&h->watchers, req, cause, h->env->name);
  else
    part->ops->cancel(part, req, cause);
}

static enum release_result hybrid_release(struct strategy *s, struct link *link, uint64_t ticket)
{
  struct strategy *pool = hybrid_of(s)->parts[POOL].strategy;

  return pool->ops->release(pool, link, ticket);
}

/* ---- the rest ---- */

static void hybrid_configure(struct strategy *s, const struct config *config)
{
  for (int i = 0; i < HALVES; i++) {
    struct strategy *part = hybrid_of(s)->parts[i].strategy;

    part->ops->configure(part, config);
  }
}

static void hybrid_renew(struct strategy *s, int64_t within)
{
  for (int i = 0; i < HALVES; i++) {
    struct strategy *part = hybrid_of(s)->parts[i].strategy;

    part->ops->renew(part, within);
  }
}

/* The pool first. */
static int hybrid_account(struct strategy *s, unsigned i, struct account *ret)
{
  struct strategy *part = hybrid_of(s)->parts[i == 0 ? POOL : MUX].strategy;

  return part->ops->account(part, i == 0 ? 0 : i - 1, ret);
}

static void hybrid_close(struct strategy *s)
{
  struct hybrid *h = hybrid_of(s);

  for (int i = 0; i < HALVES; i++) {
    if (h->parts[i].strategy)
      h->parts[i].strategy->ops->close(h->parts[i].strategy);
  }
  watchers_destroy(&h->watchers);
  mem_free(h);
}

static int hybrid_open(struct link_env *env, const struct config *config, struct strategy *control,
                       struct strategy **ret)
{
  static const struct strategy_ops *const ops[] = {[POOL] = &pool_ops, [MUX] = &mux_ops};
  struct hybrid *h = mem_zalloc(sizeof *h);
  int err = 0;

  if (!h)
    return ENOMEM;
  h->base.ops = &hybrid_ops;
  h->env = env;
  h->control = control;
  atomic_init(&h->open, HALVES);
  watchers_init(&h->watchers);
  for (int i = 0; i < HALVES && !err; i++) {
    h->parts[i].hybrid = h;
    err = ops[i]->open(env, config, control, &h->parts[i].strategy);
  }
  if (err)
    hybrid_close(&h->base);
  else
    *ret = &h->base;
  return err;
}

const struct strategy_ops hybrid_ops = {
    .routes = 1,
    .open = hybrid_open,
    .refuse = hybrid_refuse,
    .submit = hybrid_submit,
    .cancel = hybrid_cancel,
    .release = hybrid_release,
    .configure = hybrid_configure,
    .renew = hybrid_renew,
    .account = hybrid_account,
    .drain = hybrid_drain,
    .aborted = hybrid_aborted,
    .close = hybrid_close,
};
