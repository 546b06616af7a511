/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_slots.c - which slot does what next: taking, putting back, retiring, and the pump that
 * brings waiters, idle connections and dials together. All of it under the pool's lock, none of it
 * waits. */
#include "base/mem.h"
#include "call/reply.h"
#include "strategy/pool.h"

void slot_set(struct slot *slot, enum slot_state state)
{
  struct pool *p = slot->pool;

  p->count[slot->state]--;
  p->count[state]++;
  slot->state = state;
}

unsigned pool_total(const struct pool *p)
{
  return (unsigned)p->slot_count - p->count[SLOT_FREE];
}

unsigned pool_live(const struct pool *p)
{
  return pool_total(p) - p->count[SLOT_CONNECTING];
}

int pool_surplus(const struct pool *p)
{
  return pool_total(p) - p->count[SLOT_CLOSING] > (unsigned)p->config.pool_max_size;
}

int pool_offline(const struct pool *p)
{
  return pool_live(p) == 0;
}

/* Whatever it was at: it ends with the client. */
static int is_cut_off(const struct slot *slot)
{
  const struct conn *c = &slot->link.conn;

  return c->poisoned && c->cause == PMX_CAUSE_CLOSED;
}

void slot_retire(struct slot *slot, enum close_reason reason)
{
  struct pool *p = slot->pool;

  list_remove(&slot->node);
  slot->reason = is_cut_off(slot) ? CLOSE_SHUTDOWN : reason;
  slot->ticket++;
  slot->leased = slot->busy = 0;
  slot_set(slot, SLOT_CLOSING);
  list_push_back(&p->closing, &slot->node);
  pool_tell_end(slot);
}

static void count_close(pmx_stats *stats, enum close_reason reason)
{
  uint64_t *const by_reason[] = {
      [CLOSE_IDLE] = &stats->closed_idle,       [CLOSE_LIFETIME] = &stats->closed_lifetime,
      [CLOSE_STALE] = &stats->closed_stale,     [CLOSE_DIRTY] = &stats->closed_dirty,
      [CLOSE_ERROR] = &stats->closed_error,     [CLOSE_RECLAIMED] = &stats->reclaimed,
      [CLOSE_SURPLUS] = &stats->closed_surplus, [CLOSE_SHUTDOWN] = &stats->closed_shutdown,
  };

  stats->closed++;
  ++*by_reason[reason];
}

void slot_gone(struct slot *slot)
{
  list_remove(&slot->node);
  slot_set(slot, SLOT_FREE);
  if (!slot->unblock.pending) /* else whoever answers that will give it back */
    list_push_back(&slot->pool->free, &slot->node);
  count_close(&slot->pool->stats, slot->reason);
}

/* ---- expiry ---- */

/* Two connections never retire by age closer together than this. */
int64_t pool_kill_gap(const struct pool *p)
{
  return p->config.pool_max_lifetime / p->config.pool_max_size;
}

int pool_take_expired(struct pool *p, const struct slot *slot, int64_t now)
{
  if (slot->expires_at > now)
    return 0;
  if (slot->outdated)
    return 1;
  if (now - p->last_retired < pool_kill_gap(p))
    return 0;
  p->last_retired = now;
  return 1;
}

/* ---- idle ---- */

/* The list is in order of idle_since; a checked connection goes back to where it came from. */
static void make_idle(struct slot *slot, int64_t since)
{
  struct pool *p = slot->pool;
  struct list *after = p->idle.prev;

  slot_set(slot, SLOT_IDLE);
  slot->idle_since = since;
  slot->fresh = 0;
  while (after != &p->idle && container_of(after, struct slot, node)->idle_since > since)
    after = after->prev;
  list_insert(after, &slot->node);
}

static int wants_ping(const struct pool *p, const struct slot *slot, int64_t now)
{
  int64_t after = p->config.pool_ping_after_idle;

  if (p->config.pool_check_on_borrow == CHECK_PING)
    return slot->used_at != now; /* fresh from another call, a check or a dial: it just answered */
  return p->config.pool_check_on_borrow != CHECK_NONE && after > 0 && now - slot->used_at > after;
}

static struct slot *next_idle(const struct pool *p)
{
  struct list *node =
      p->config.pool_order == ORDER_LIFO ? list_last(&p->idle) : list_first(&p->idle);

  return node ? container_of(node, struct slot, node) : NULL;
}

struct slot *pool_take(struct pool *p, int64_t now)
{
  struct slot *slot = next_idle(p);

  if (!slot || wants_ping(p, slot, now))
    return NULL;
  list_remove(&slot->node);
  return slot;
}

/* ---- the end of a use ---- */

static void repair_or_retire(struct slot *slot, int was_leased, int64_t now)
{
  struct pool *p = slot->pool;
  int replies = 0;

  /* RESET leaves these two on in servers before 7.2. */
  if (p->config.pool_reset == RESET_ALWAYS && was_leased)
    replies = slot->link.conn.session.bits & (SESSION_BIT_NO_EVICT | SESSION_BIT_NO_TOUCH) ? -1 : 1;
  else if (p->config.pool_reset == RESET_CLOSE)
    replies = -1;
  else
    session_repair(&slot->link.conn.session, p->config.client_name, slot->repair, &replies);
  if (replies < 0)
    slot_retire(slot, CLOSE_DIRTY);
  else
    slot_start(slot, SLOT_REPAIRING, time_after(now, p->config.pool_check_timeout));
}

static int is_dirty(const struct slot *slot, int was_leased)
{
  return slot->link.conn.session.bits != 0 ||
         (was_leased && slot->pool->config.pool_reset == RESET_ALWAYS);
}

static struct request *first_waiter(const struct pool *p)
{
  struct list *node = list_first(&p->waiters);

  return node ? container_of(node, struct request, node) : NULL;
}

static void ready(struct slot *slot, int64_t idle_since, int64_t now)
{
  struct pool *p = slot->pool;
  struct request *waiter = first_waiter(p);

  slot->used_at = now;
  if (waiter)
    pool_assign(p, slot, waiter, now);
  else if (p->count[SLOT_IDLE] >= (unsigned)p->config.pool_max_idle)
    slot_retire(slot, CLOSE_SURPLUS);
  else
    make_idle(slot, idle_since);
}

void slot_give_back(struct slot *slot, uint64_t *how, int64_t now)
{
  ++*how;
  histogram_record_own(&slot->pool->use, now - slot->borrowed_at);
}

/* It is looked at again when the UNBLOCK has ended, as what it is now. */
static void settle(struct slot *slot, int was_leased)
{
  slot_set(slot, SLOT_SETTLING);
  slot->leased = was_leased;
}

void pool_put(struct slot *slot, int64_t now)
{
  struct pool *p = slot->pool;
  int used = slot->state == SLOT_IN_USE || slot->state == SLOT_SETTLING;
  int was_leased = used && slot->leased;
  /* A check is no use: the time to eviction runs on. */
  int64_t idle_since = slot->state == SLOT_CHECKING ? slot->idle_since : now;

  slot->ticket++;
  slot->leased = slot->busy = 0;
  if (slot->outdated)
    pool_watch_clock(p, slot->expires_at);
  if (p->draining || pool_surplus(p))
    slot_retire(slot, p->draining ? CLOSE_SHUTDOWN : CLOSE_SURPLUS);
  else if (!conn_idle(&slot->link.conn) || slot->link.conn.retire || unblock_is_dirty(slot))
    slot_retire(slot, CLOSE_DIRTY);
  else if (slot->unblock.pending)
    settle(slot, was_leased);
  else if (pool_take_expired(p, slot, now))
    slot_retire(slot, CLOSE_LIFETIME);
  else if (is_dirty(slot, was_leased))
    repair_or_retire(slot, was_leased, now);
  else
    ready(slot, idle_since, now);
}

/* ---- the pump ---- */

static void serve_waiters(struct pool *p, int64_t now)
{
  struct request *waiter;
  struct slot *slot;

  while ((waiter = first_waiter(p)) && (slot = next_idle(p))) {
    int check = wants_ping(p, slot, now);
    if (check && !p->suspect && p->count[SLOT_CHECKING] >= p->waiting)
      return; /* each waiter has its check running */
    list_remove(&slot->node);
    if (check)
      slot_start(slot, SLOT_CHECKING, time_after(now, p->config.pool_check_timeout));
    else
      pool_assign(p, slot, waiter, now);
  }
}

static struct slot *new_slot(struct pool *p)
{
  struct slot *slot;

  if (p->slot_count == p->slot_cap) {
    size_t cap = p->slot_cap ? p->slot_cap * 2 : 16;
    struct slot **slots = mem_realloc(p->slots, cap * sizeof *slots);
    if (!slots)
      return NULL;
    p->slots = slots;
    p->slot_cap = cap;
  }
  slot = mem_zalloc(sizeof *slot);
  if (!slot)
    return NULL;
  slot->pool = p;
  list_init(&slot->node);
  slot_init_task(slot);
  p->slots[p->slot_count++] = slot;
  p->count[SLOT_FREE]++;
  return slot;
}

static struct slot *free_slot(struct pool *p)
{
  struct list *node = list_first(&p->free);

  if (!node)
    return new_slot(p);
  list_remove(node);
  return container_of(node, struct slot, node);
}

/* How many dials are wanted: one for each waiter and for each connection that pool.min_idle lacks,
 * less what is on its way to them already. */
static unsigned dials_wanted(const struct pool *p)
{
  unsigned coming = p->count[SLOT_CONNECTING] + p->count[SLOT_CHECKING] + p->count[SLOT_REPAIRING] +
                    p->count[SLOT_SETTLING];
  unsigned have = p->count[SLOT_IDLE] + coming;
  unsigned target = p->waiting + (unsigned)p->config.pool_min_idle + (unsigned)p->spare;

  if (p->backoff.open && target == 0)
    target = 1;
  return target > have ? target - have : 0;
}

static unsigned dials_allowed(const struct pool *p)
{
  unsigned total = pool_total(p), max = (unsigned)p->config.pool_max_size;
  unsigned connecting = p->count[SLOT_CONNECTING];
  /* After a failure one connector finds out whether the server is back. */
  unsigned at_once = p->backoff.failures ? 1 : (unsigned)p->config.pool_connect_concurrency;

  if (total >= max || connecting >= at_once)
    return 0;
  return max - total < at_once - connecting ? max - total : at_once - connecting;
}

static void start_dials(struct pool *p, int64_t now)
{
  unsigned n = dials_wanted(p);
  struct slot *slot;

  if (n == 0)
    return;
  if (now < p->backoff.next) {
    pool_watch_clock(p, p->backoff.next);
    return;
  }
  n = n < dials_allowed(p) ? n : dials_allowed(p);
  while (n-- > 0) {
    slot = free_slot(p);
    if (!slot) {
      pool_dial_failed(p, PMX_CAUSE_NOMEM, "out of memory for a connection", DIAL_LOCAL, now);
      pool_watch_clock(p, p->backoff.next); /* nothing else comes back to try again */
      return;
    }
    slot_start(slot, SLOT_CONNECTING, time_after(now, p->config.connect_timeout));
  }
}

static int watcher_done(const struct pool *p, const struct request *req)
{
  if (req->kind == REQUEST_DRAIN)
    return p->draining && pool_total(p) == 0;
  return p->count[SLOT_IDLE] >= (unsigned)p->config.pool_min_idle || p->draining;
}

static void serve_watchers(struct pool *p)
{
  for (struct list *node = p->watchers.next, *next; node != &p->watchers; node = next) {
    struct request *req = container_of(node, struct request, node);
    next = node->next;
    if (watcher_done(p, req))
      pool_end(p, req, NULL, NULL);
  }
}

void pool_pump(struct pool *p, int64_t now)
{
  serve_waiters(p, now);
  if (!p->draining)
    start_dials(p, now);
  if (!list_empty(&p->watchers))
    serve_watchers(p);
}
