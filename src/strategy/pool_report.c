/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_report.c - what the pool says about itself: statistics, and failures that explain
 * themselves; and why a connection ends. Under the pool's lock. */
#include "base/text.h"
#include "call/reply.h"
#include "strategy/pool.h"

static const struct slot *longest_use(const struct pool *p)
{
  const struct slot *longest = NULL;

  for (size_t i = 0; i < p->slot_count; i++) {
    const struct slot *slot = p->slots[i];
    if (slot->state == SLOT_IN_USE && (!longest || slot->borrowed_at < longest->borrowed_at))
      longest = slot;
  }
  return longest;
}

enum { LONG_OUT_S = 10 }; /* a lease on which nothing runs is suspicious after that */

struct users {
  unsigned leases, blocked;  /* leases: those on which nothing runs */
  const struct slot *oldest; /* of them */
};

static struct users users_of(const struct pool *p)
{
  struct users u = {0, 0, NULL};

  for (size_t i = 0; i < p->slot_count; i++) {
    const struct slot *slot = p->slots[i];

    if (slot->state != SLOT_IN_USE)
      continue;
    u.blocked += slot->busy && slot->exempt;
    if (!slot->leased || slot->busy)
      continue;
    u.leases++;
    if (!u.oldest || slot->borrowed_at < u.oldest->borrowed_at)
      u.oldest = slot;
  }
  return u;
}

static void add_leases(struct text *text, const struct pool *p, const struct users *u, int64_t now)
{
  int suspicious = u->leases * 2 > p->count[SLOT_IN_USE] ||
                   now - u->oldest->borrowed_at >= LONG_OUT_S * NS_PER_S;

  text_add(text, "; %u of them leases on which nothing runs, the oldest for ", u->leases);
  text_add_ms(text, now - u->oldest->borrowed_at);
  text_add(text, " (last command %s)%s", u->oldest->command ? u->oldest->command : "none",
           suspicious ? ": was pmx_release forgotten? pool.leak_warn, pool.leak_reclaim" : "");
}

/* Who has them, and what that calls for: leases that are out while nothing runs on them, then
 * commands that wait at the server, then simply too much to do, when no more can be made. */
static void add_users(struct text *text, const struct pool *p, int64_t now)
{
  struct users u = users_of(p);
  int full = p->count[SLOT_IN_USE] >= (unsigned)p->config.pool_max_size;

  if (u.oldest)
    add_leases(text, p, &u, now);
  if (u.blocked)
    text_add(text,
             "; %u of them wait in blocking commands: give those a client of their own, or raise "
             "pool.max_size",
             u.blocked);
  if (!u.oldest && !u.blocked && full && !p->count[SLOT_CONNECTING])
    text_add(text, "; all of them work: raise pool.max_size, or find out what makes them slow");
}

static void add_use(struct text *text, const struct pool *p, int64_t now)
{
  const struct slot *slot = longest_use(p);

  text_add(text, "live %u, idle %u, in use %u, connecting %u, waiting %u, max %lld", pool_live(p),
           p->count[SLOT_IDLE], p->count[SLOT_IN_USE], p->count[SLOT_CONNECTING], p->waiting,
           (long long)p->config.pool_max_size);
  if (slot) {
    text_add(text, "; longest in use ");
    text_add_ms(text, now - slot->borrowed_at);
    text_add(text, " (%s%s)", slot->leased ? "lease, last command " : "",
             slot->command ? slot->command : "none");
  }
}

static void add_error(struct text *text, const struct pool *p, int64_t now)
{
  if (!backoff_is_failing(&p->backoff))
    return;
  text_add(text, "; last connect error ");
  text_add_ms(text, now - p->backoff.error_at);
  text_add(text, " ago: %s", p->backoff.error);
}

/* The calls themselves are told; for people, the last of a second will do. */
static void tell_failed(struct pool *p, const char *why, int64_t now)
{
  unsigned count = tell_due(&p->failed, now);

  if (count)
    notice_log(p->env->notices, PMX_LOG_WARN, "pool",
               "%s: %u calls failed, for they got no connection; told once a second: %s", p->label,
               count, why);
}

pmx_reply *pool_explain_wait(struct pool *p, const struct request *req, pmx_cause cause,
                             int64_t now)
{
  char buf[1280];
  struct text text;

  text_init(&text, buf, sizeof buf);
  text_add(&text, "pool %s: ", p->name);
  if (cause == PMX_CAUSE_QUEUE_FULL) {
    text_add(&text, "%lld calls wait already (pool.max_waiters)",
             (long long)p->config.pool_max_waiters);
  } else {
    text_add(&text, cause == PMX_CAUSE_CANCELED ? "cancelled after waiting " : "no connection in ");
    text_add_ms(&text, now - req->queued_at);
  }
  text_add(&text, ": ");
  add_use(&text, p, now);
  add_users(&text, p, now);
  add_error(&text, p, now);
  if (cause != PMX_CAUSE_CANCELED)
    tell_failed(p, buf, now);
  return reply_failure_text(PMX_NOT_RUN, cause, buf);
}

void pool_describe(struct pool *p, struct text *text)
{
  int64_t now = clock_ns();

  text_add(text, "; pool %s: ", p->name);
  lock_acquire(&p->lock);
  add_use(text, p, now);
  add_error(text, p, now);
  lock_release(&p->lock);
}

pmx_reply *pool_explain_offline(struct pool *p, pmx_cause cause, int64_t now)
{
  char buf[1280];
  struct text text;

  text_init(&text, buf, sizeof buf);
  text_add(&text, "pool %s: ", p->name);
  backoff_explain(&p->backoff, &text, cause, now);
  return reply_failure_text(PMX_NOT_RUN, cause, buf);
}

pmx_reply *pool_explain_closed(const struct pool *p)
{
  return reply_failure(PMX_NOT_RUN, PMX_CAUSE_CLOSED, "pool %s: the client is closed", p->name);
}

/* `now` was read before the lock was had: what came meanwhile is younger. */
static uint64_t age(int64_t since, int64_t now)
{
  return now > since ? (uint64_t)(now - since) : 0;
}

/* What is now. */
static void add_gauges(const struct pool *p, pmx_stats *ret, int64_t now)
{
  struct list *first = list_first(&p->waiters);

  ret->live = pool_live(p);
  ret->idle = p->count[SLOT_IDLE];
  ret->in_use = p->count[SLOT_IN_USE];
  ret->connecting = p->count[SLOT_CONNECTING];
  ret->checking = p->count[SLOT_CHECKING];
  ret->repairing = p->count[SLOT_REPAIRING];
  ret->settling = p->count[SLOT_SETTLING];
  ret->closing = p->count[SLOT_CLOSING];
  ret->waiting = p->waiting;
  for (size_t i = 0; i < p->slot_count; i++)
    ret->running += p->slots[i]->state == SLOT_IN_USE && p->slots[i]->busy;
  if (first)
    ret->oldest_wait_ns = age(container_of(first, struct request, node)->queued_at, now);
  ret->breaker_opens = p->backoff.opens;
  ret->breaker_open = (uint64_t)p->backoff.open;
  ret->pool_max_size = (uint64_t)p->config.pool_max_size;
  ret->pool_max_idle = (uint64_t)p->config.pool_max_idle;
  ret->pool_min_idle = (uint64_t)p->config.pool_min_idle;
}

int pool_account(struct strategy *s, unsigned i, struct account *ret)
{
  struct pool *p = container_of(s, struct pool, base);
  int64_t now = clock_ns();

  if (i > 0)
    return 0;
  ret->kind = ACCOUNT_POOL;
  ret->name = p->name;
  lock_acquire(&p->lock);
  ret->stats = p->stats;
  add_gauges(p, &ret->stats, now);
  if (ret->times) {
    histogram_add_to(&p->wait, &ret->times[PMX_HISTOGRAM_WAIT]);
    histogram_add_to(&p->create, &ret->times[PMX_HISTOGRAM_CREATE]);
    histogram_add_to(&p->use, &ret->times[PMX_HISTOGRAM_USE]);
  }
  lock_release(&p->lock);
  return 1;
}

/* ---- the end of a connection ---- */

static const char *why_lost(const struct slot *slot)
{
  const struct conn *c = &slot->link.conn;

  if (c->poisoned)
    return c->text;
  if (c->retire)
    return "the server answered READONLY, NOAUTH or UNBLOCKED";
  if (unblock_is_dirty(slot))
    return "a CLIENT UNBLOCK may still come for it";
  return "its state could not be restored";
}

static const char *why_closed(const struct slot *slot)
{
  switch (slot->reason) {
  case CLOSE_IDLE:
    return "it was idle for pool.idle_timeout";
  case CLOSE_LIFETIME:
    return slot->outdated ? "its settings were replaced" : "it is older than pool.max_lifetime";
  case CLOSE_RECLAIMED:
    return "its lease was out for pool.leak_reclaim";
  case CLOSE_STALE:
  case CLOSE_DIRTY:
  case CLOSE_ERROR:
  case CLOSE_SURPLUS:
  case CLOSE_SHUTDOWN:
    break;
  }
  return slot->pool->draining ? "the client was closed" : "more than pool.max_size or pool.max_idle";
}

static int is_lost(const struct slot *slot)
{
  return slot->reason == CLOSE_ERROR || slot->reason == CLOSE_STALE || slot->reason == CLOSE_DIRTY;
}

void pool_tell_end(const struct slot *slot)
{
  const struct pool *p = slot->pool;

  if (is_lost(slot))
    tell_lost(&slot->link, p->label, why_lost(slot), "another one is made when it is needed");
  else
    tell_closed(&slot->link, p->label, p->draining ? PMX_CAUSE_CLOSED : PMX_CAUSE_NONE,
                why_closed(slot));
}
