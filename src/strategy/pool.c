/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.c - the pool as a strategy: its table of functions, its beginning and end, leases that come
 * back, and what is done after its lock was dropped. Knows no bytes. */
#include "strategy/pool.h"
#include <errno.h>
#include <stdio.h>
#include "base/mem.h"
#include "call/reply.h"

static struct pool *pool_of(struct strategy *s)
{
  return container_of(s, struct pool, base);
}

struct slot *slot_of(struct link *link)
{
  return container_of(link, struct slot, link);
}

/* ---- leaving: what was noted under the lock is done here ---- */

static void close_noted(struct pool *p)
{
  struct list closing;
  struct list *node;

  list_take(&closing, &p->closing);
  lock_release(&p->lock);
  for (node = closing.next; node != &closing; node = node->next)
    link_shut(&container_of(node, struct slot, node)->link);
  lock_acquire(&p->lock);
  while ((node = list_first(&closing)))
    slot_gone(container_of(node, struct slot, node));
  pool_pump(p, clock_ns());
}

static void wake_noted(struct pool *p, struct parker *const *wakes, unsigned count, int poke)
{
  parkers_wake(wakes, count);
  if (poke)
    reactor_wake(p->env->reactor);
  if (count)
    reactor_wake_nested(p->env->reactor);
}

void pool_leave(struct pool *p)
{
  struct parker *wakes[WAKES_MAX];
  struct list finished, *node;
  unsigned count;
  int poke;

  while (!list_empty(&p->closing))
    close_noted(p);
  count = p->wake_count;
  for (unsigned i = 0; i < count; i++)
    wakes[i] = p->wakes[i];
  p->wake_count = 0;
  poke = p->poke;
  p->poke = 0;
  list_take(&finished, &p->finished);
  lock_release(&p->lock);
  wake_noted(p, wakes, count, poke);
  while ((node = list_first(&finished))) {
    list_remove(node);
    request_publish(container_of(node, struct request, node));
  }
}

/* ---- leases, options, closing ---- */

static enum release_result release_locked(struct pool *p, struct slot *slot, uint64_t ticket)
{
  int64_t now;

  if (slot->reclaimed == ticket)
    return RELEASE_RECLAIMED;
  if (slot->ticket != ticket || slot->state != SLOT_IN_USE || !slot->leased)
    return RELEASE_GONE;
  if (slot->busy)
    return RELEASE_BUSY;
  now = clock_ns();
  slot_give_back(slot, &p->stats.returns, now);
  pool_put(slot, now);
  return RELEASE_DONE;
}

static enum release_result pool_release(struct strategy *s, struct link *link, uint64_t ticket)
{
  struct pool *p = pool_of(s);
  enum release_result result;

  lock_acquire(&p->lock);
  result = release_locked(p, slot_of(link), ticket);
  pool_leave(p);
  return result;
}

static void pool_configure(struct strategy *s, const struct config *config)
{
  struct pool *p = pool_of(s);

  lock_acquire(&p->lock);
  p->config = *config;
  atomic_store(&p->cancel_grace, config->cancel_grace);
  pool_watch_clock(p, 0); /* surplus connections go, missing ones are dialled */
  pool_pump(p, clock_ns());
  pool_leave(p);
}

/* One that is being dialled looks for itself when it is done. */
static void pool_renew(struct strategy *s, int64_t within)
{
  struct pool *p = pool_of(s);
  int64_t now = clock_ns();

  lock_acquire(&p->lock);
  for (size_t i = 0; i < p->slot_count; i++) {
    struct slot *slot = p->slots[i];

    if (slot->state != SLOT_FREE && slot->state != SLOT_CONNECTING && slot->state != SLOT_CLOSING)
      slot_outdate(slot, within, now);
  }
  pool_watch_clock(p, 0);
  pool_leave(p);
}

static void pool_drain(struct strategy *s, int64_t deadline)
{
  struct pool *p = pool_of(s);
  struct list *node;

  lock_acquire(&p->lock);
  p->draining = 1;
  p->abort_at = deadline < p->abort_at ? deadline : p->abort_at;
  while ((node = list_first(&p->waiters)))
    pool_end(p, container_of(node, struct request, node), pool_explain_closed(p), NULL);
  while ((node = list_first(&p->idle)))
    slot_retire(container_of(node, struct slot, node), CLOSE_SHUTDOWN);
  pool_watch_clock(p, 0);
  pool_pump(p, clock_ns());
  pool_leave(p);
}

static int pool_aborted(struct strategy *s)
{
  struct pool *p = pool_of(s);
  int aborted;

  lock_acquire(&p->lock);
  aborted = p->aborted;
  lock_release(&p->lock);
  return aborted;
}

static void pool_close(struct strategy *s)
{
  struct pool *p = pool_of(s);

  for (size_t i = 0; i < p->slot_count; i++) {
    if (p->slots[i]->linked)
      link_destroy(&p->slots[i]->link);
    mem_free(p->slots[i]);
  }
  mem_free(p->slots);
  lock_destroy(&p->lock);
  mem_free(p);
}

static pmx_reply *pool_refuse(const struct route *route, int leased)
{
  if (route->wish == WISH_SHARED)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                              leased ? "a lease's connection is not shared: leave PMX_CALL_SHARED out"
                                     : "strategy=pool shares no connections: leave PMX_CALL_SHARED "
                                       "out, or open the client with strategy=hybrid");
  if (!(route->flags & ROUTE_SESSION) || leased)
    return NULL;
  return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED, route->hint);
}

static void name_pool(struct pool *p)
{
  long long db = p->config.db;

  if (p->config.pool_name[0]) {
    snprintf(p->name, sizeof p->name, "%s", p->config.pool_name);
    snprintf(p->label, sizeof p->label, "%s at %s/%lld", p->name, p->env->name, db);
  } else {
    snprintf(p->name, sizeof p->name, "%s/%lld", p->env->name, db);
    snprintf(p->label, sizeof p->label, "%s", p->name);
  }
}

static int pool_open(struct link_env *env, const struct config *config, struct strategy *control,
                     struct strategy **ret)
{
  struct pool *p = mem_zalloc(sizeof *p);

  if (!p)
    return ENOMEM;
  p->base.ops = &pool_ops;
  p->env = env;
  p->control = control;
  p->config = *config;
  name_pool(p);
  lock_init(&p->lock);
  list_init(&p->free);
  list_init(&p->idle);
  list_init(&p->waiters);
  list_init(&p->watchers);
  list_init(&p->held);
  list_init(&p->closing);
  list_init(&p->finished);
  p->abort_at = TIME_FOREVER;
  atomic_init(&p->refused_until, 0);
  atomic_init(&p->cancel_grace, config->cancel_grace);
  backoff_init(&p->backoff);
  p->ticker.tick = pool_tick;
  /* The first tick dials pool.min_idle when prefill asks for it; else it has nothing to do. */
  ticker_add(env->reactor, &p->ticker, config->pool_prefill == PREFILL_NONE ? TIME_FOREVER : 0);
  *ret = &p->base;
  return 0;
}

const struct strategy_ops pool_ops = {
    .open = pool_open,
    .refuse = pool_refuse,
    .submit = pool_submit,
    .cancel = pool_cancel,
    .release = pool_release,
    .configure = pool_configure,
    .renew = pool_renew,
    .account = pool_account,
    .drain = pool_drain,
    .aborted = pool_aborted,
    .close = pool_close,
};
