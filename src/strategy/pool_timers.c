/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_timers.c - what the pool does by the clock, on the reactor's thread: evicting, PINGing,
 * retiring, reporting leaks, redialling, and cutting off what outlives a drain. */
#include <stdio.h>
#include "base/text.h"
#include "strategy/pool.h"

void pool_watch_clock(struct pool *p, int64_t due)
{
  if (ticker_advance(&p->ticker, due))
    p->poke = 1;
}

static int64_t shorter(int64_t a, int64_t b)
{
  return b > 0 && b < a ? b : a;
}

/* With a connection open the ticker comes back at least this often, so that a return or a borrow,
 * whose own time limit can only be later than that, need not set it. */
int64_t pool_interval(const struct pool *p)
{
  int64_t t = 60 * NS_PER_S;

  t = shorter(t, p->config.pool_idle_timeout);
  t = shorter(t, p->config.pool_max_lifetime);
  t = shorter(t, p->config.pool_keepalive);
  t = shorter(t, p->config.pool_leak_warn);
  t = shorter(t, p->config.pool_leak_reclaim);
  return t < NS_PER_MS ? NS_PER_MS : t;
}

/* ---- idle connections ---- */

/* When to look again at one that expires, or has expired but must wait for its turn. */
static int64_t retire_at(const struct pool *p, const struct slot *slot, int64_t now)
{
  int64_t at = slot->outdated ? 0 : time_after(p->last_retired, pool_kill_gap(p));

  at = slot->expires_at > at ? slot->expires_at : at;
  return at > now ? at : now + 10 * NS_PER_MS;
}

static void tick_idle(struct slot *slot, int64_t now, int64_t *next)
{
  struct pool *p = slot->pool;
  int64_t idle_until = time_after(slot->idle_since, p->config.pool_idle_timeout);
  int64_t ping_at = time_after(slot->used_at, p->config.pool_keepalive);
  int above_floor = p->count[SLOT_IDLE] > (unsigned)p->config.pool_min_idle;
  int full = pool_total(p) >= (unsigned)p->config.pool_max_size ||
             p->count[SLOT_IDLE] >= (unsigned)p->config.pool_max_idle;

  if (pool_surplus(p) || p->count[SLOT_IDLE] > (unsigned)p->config.pool_max_idle) {
    slot_retire(slot, CLOSE_SURPLUS);
  } else if (p->config.pool_idle_timeout > 0 && above_floor && now >= idle_until) {
    slot_retire(slot, CLOSE_IDLE);
  } else if (now >= slot->expires_at && !above_floor && !full) {
    p->spare = 1; /* its replacement first */
  } else if (pool_take_expired(p, slot, now)) {
    slot_retire(slot, CLOSE_LIFETIME);
  } else if (p->config.pool_keepalive > 0 && now >= ping_at) {
    list_remove(&slot->node);
    slot_start(slot, SLOT_CHECKING, time_after(now, p->config.pool_check_timeout));
  } else {
    if (p->config.pool_idle_timeout > 0 && above_floor && idle_until < *next)
      *next = idle_until;
    if (p->config.pool_keepalive > 0 && ping_at < *next)
      *next = ping_at;
  }
  if (slot->state == SLOT_IDLE && slot->expires_at < *next)
    *next = retire_at(p, slot, now);
}

/* ---- leases ---- */

/* The lease is not told: its next command, or its release, finds the ticket gone. */
static void seize(struct slot *slot, enum close_reason reason, int64_t now)
{
  slot_give_back(slot, &slot->pool->stats.discards, now);
  if (reason == CLOSE_RECLAIMED)
    slot->reclaimed = slot->ticket;
  slot_retire(slot, reason);
}

static void tell_leak(struct slot *slot, int64_t age)
{
  struct pool *p = slot->pool;
  char detail[160];
  struct text text;

  slot->told = 1;
  p->stats.leaks++;
  text_init(&text, detail, sizeof detail);
  text_add(&text, "a lease has been out for ");
  text_add_ms(&text, age);
  text_add(&text, "; its last command is %s: was pmx_release forgotten?",
           slot->command ? slot->command : "none");
  notice_event(p->env->notices, PMX_EVENT_LEAK, PMX_CAUSE_NONE, slot->link.id, p->env->name,
               detail);
  notice_log(p->env->notices, PMX_LOG_WARN, "pool", "%s: connection %llu: %s; %s", p->label,
             (unsigned long long)slot->link.id, detail,
             p->config.pool_leak_reclaim > 0 ? "it is taken back after pool.leak_reclaim"
                                             : "it is left alone, for pool.leak_reclaim is off");
}

static void tell_reclaimed(const struct slot *slot, int64_t age)
{
  const struct pool *p = slot->pool;
  char since[32];
  struct text text;

  text_init(&text, since, sizeof since);
  text_add_ms(&text, age);
  notice_log(p->env->notices, PMX_LOG_WARN, "pool",
             "%s: connection %llu is taken back from a lease that has been out for %s; what is "
             "called on that from now on fails",
             p->label, (unsigned long long)slot->link.id, since);
}

static void tick_lease(struct slot *slot, int64_t now, int64_t *next)
{
  struct pool *p = slot->pool;
  int64_t warn_at = time_after(slot->quiet_since, p->config.pool_leak_warn);
  int64_t reclaim_at = time_after(slot->quiet_since, p->config.pool_leak_reclaim);

  if (slot->busy && slot->exempt)
    return;
  if (p->config.pool_leak_reclaim > 0 && now >= reclaim_at && !slot->busy) {
    tell_reclaimed(slot, now - slot->borrowed_at);
    seize(slot, CLOSE_RECLAIMED, now);
    return;
  }
  if (p->config.pool_leak_warn > 0 && !slot->told && now >= warn_at)
    tell_leak(slot, now - slot->borrowed_at);
  if (p->config.pool_leak_warn > 0 && !slot->told && warn_at < *next)
    *next = warn_at;
  if (p->config.pool_leak_reclaim > 0 && reclaim_at > now && reclaim_at < *next)
    *next = reclaim_at;
}

/* ---- drain ---- */

static void cut_off(struct slot *slot, int64_t now)
{
  slot->pool->aborted = 1;
  if (slot->unattended)
    return; /* the reactor's own: give_up_tasks */
  if (slot->unblock.held)
    unblock_drop_held(slot, pool_explain_closed(slot->pool));
  if (slot->busy)
    link_abort(&slot->link); /* its caller ends it */
  else
    seize(slot, CLOSE_SHUTDOWN, now);
}

static int is_given_up(const struct slot *slot, int64_t now)
{
  if (slot->state == SLOT_IN_USE)
    return slot->unattended && now >= slot->pool->abort_at;
  return slot_has_task(slot->state);
}

/* What the reactor drives has nobody waiting for it any more. Called without the lock: the links
 * are the reactor's own, and their end takes the lock. */
static void give_up_tasks(struct pool *p, int64_t now)
{
  for (size_t i = 0;; i++) {
    struct slot *slot;
    int mine;

    lock_acquire(&p->lock);
    slot = i < p->slot_count ? p->slots[i] : NULL;
    mine = slot && slot->linked && is_given_up(slot, now) &&
           !reactor_posted(p->env->reactor, &slot->job);
    lock_release(&p->lock);
    if (!slot)
      return;
    if (mine)
      link_give_up(&slot->link, PMX_CAUSE_CLOSED, "the client was closed");
  }
}

static void tick_drain(struct pool *p, int64_t now, int64_t *next)
{
  if (now < p->abort_at) {
    *next = p->abort_at < *next ? p->abort_at : *next;
    return;
  }
  for (size_t i = 0; i < p->slot_count; i++) {
    if (p->slots[i]->state == SLOT_IN_USE)
      cut_off(p->slots[i], now);
    else if (p->slots[i]->state == SLOT_SETTLING)
      slot_retire(p->slots[i], CLOSE_SHUTDOWN);
  }
  /* A caller that was just about to look at its link may have to be told again. */
  if (p->count[SLOT_IN_USE] && now + 10 * NS_PER_MS < *next)
    *next = now + 10 * NS_PER_MS;
}

int64_t pool_tick(struct ticker *ticker, int64_t now)
{
  struct pool *p = container_of(ticker, struct pool, ticker);
  int64_t next = TIME_FOREVER;
  int draining;

  lock_acquire(&p->lock);
  draining = p->draining;
  if (pool_live(p))
    next = time_after(now, pool_interval(p));
  for (struct list *node = p->idle.next, *after; node != &p->idle; node = after) {
    after = node->next; /* oldest first; a tick takes only its own slot off the list */
    tick_idle(container_of(node, struct slot, node), now, &next);
  }
  for (size_t i = 0; i < p->slot_count; i++) {
    if (p->slots[i]->state == SLOT_IN_USE && p->slots[i]->leased)
      tick_lease(p->slots[i], now, &next);
  }
  if (draining)
    tick_drain(p, now, &next);
  pool_expire_queued(p, now, &next);
  pool_pump(p, now);
  pool_leave(p);
  if (draining)
    give_up_tasks(p, now);
  return next;
}
