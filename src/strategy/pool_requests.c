/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_requests.c - a request's way through the pool: submitted, queued, assigned, done.
 * Which connection it gets is pool_slots.c's business, giving it up pool_cancel.c's. */
#include "base/probe.h"
#include "call/reply.h"
#include "strategy/pool.h"

static void note_wake(struct pool *p, struct parker *parker)
{
  if (!parker)
    return;
  if (p->wake_count == WAKES_MAX)
    parker_wake(parker); /* rare: many connections came free in one go */
  else
    p->wakes[p->wake_count++] = parker;
}

/* For a connection: it counts for pool.max_waiters, and dials are made for it. */
static int is_waiter(const struct request *req)
{
  return req->kind <= REQUEST_LEASE && !req->pinned;
}

/* All but those who wait for something else than a connection. */
static int is_counted(const struct request *req)
{
  return req->kind <= REQUEST_LEASE;
}

/* Under the lock, so that its issuer, who may want to give it up just now, finds it either queued
 * or ended. From the new state on it may be gone: only the parker is safe to touch. */
void pool_end(struct pool *p, struct request *req, pmx_reply *reply, uint64_t *why)
{
  struct parker *parker = atomic_load(&req->parker);

  if (is_waiter(req) && request_state(req) == REQUEST_QUEUED) {
    p->waiting--;
    ++*(why ? why : &p->stats.wait_failed);
  }
  p->stats.requests_ended += (uint64_t)is_counted(req);
  list_remove(&req->node);
  req->reply = reply;
  if (req->completed) {
    request_set_state(req, REQUEST_ENDING);
    list_push_back(&p->finished, &req->node);
    return;
  }
  request_set_state(req, REQUEST_ENDED);
  note_wake(p, parker);
}

void pool_assign(struct pool *p, struct slot *slot, struct request *req, int64_t now)
{
  int was_queued = request_state(req) == REQUEST_QUEUED;
  struct parker *parker = atomic_load(&req->parker);

  if (was_queued) {
    p->waiting--;
    list_remove(&req->node);
  }
  slot_set(slot, SLOT_IN_USE);
  slot->leased = req->kind == REQUEST_LEASE;
  slot->busy = 1;
  slot->exempt = (req->route.flags & ROUTE_BLOCKING) != 0;
  slot->told = 0;
  slot->borrowed_at = slot->quiet_since = now;
  slot->command = req->route.command;
  req->ticket = ++slot->ticket;
  p->stats.borrows++;
  if (was_queued) {
    p->stats.handoffs++;
    histogram_record_own(&p->wait, now - req->queued_at);
  } else {
    histogram_record_none(&p->wait);
  }
  atomic_store(&req->link, &slot->link);
  step_prepare(slot, req);
  request_set_state(req, REQUEST_ASSIGNED);
  if (req->completed) {
    slot->unattended = req;
    reactor_post(p->env->reactor, &slot->job);
    p->poke = 1;
    return;
  }
  /* Its issuer may have it from here on, end it and be gone: only the parker is safe to touch. */
  if (was_queued)
    note_wake(p, parker);
}

/* ---- submit: NULL, or why it is not taken ---- */

/* 0, or -1: out of memory. */
static int enqueue(struct pool *p, struct request *req, struct list *after)
{
  struct parker *parker = atomic_load(&req->parker);

  if (!parker && !req->completed) {
    parker = parker_get(p->env->parkers);
    atomic_store(&req->parker, parker);
    if (!parker)
      return -1;
  }
  request_set_state(req, REQUEST_QUEUED);
  list_insert(after, &req->node);
  if (is_waiter(req)) {
    p->waiting++;
    PROBE2(queue__wait, p->label, p->waiting);
  }
  if (req->completed)
    pool_watch_clock(p, req->queue_until);
  return 0;
}

static pmx_reply *no_memory(void)
{
  return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
}

static pmx_reply *lease_gone(void)
{
  return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_LOST,
                            "the connection of this lease is gone: pmx_release() it and take "
                            "another");
}

void pool_pin(struct slot *slot, struct request *req, int wake)
{
  struct parker *parker = atomic_load(&req->parker);

  slot->busy = 1;
  slot->exempt = (req->route.flags & ROUTE_BLOCKING) != 0;
  slot->command = req->route.command;
  atomic_store(&req->link, req->pinned);
  step_prepare(slot, req);
  request_set_state(req, REQUEST_ASSIGNED);
  if (wake)
    note_wake(slot->pool, parker);
}

/* The connection's last command may still be unblocked. Nothing else may be hit by that. */
static pmx_reply *submit_held(struct slot *slot, struct request *req)
{
  if (unblock_is_dirty(slot))
    return lease_gone();
  req->queue_until = TIME_FOREVER;
  if (enqueue(slot->pool, req, slot->pool->held.prev) != 0)
    return no_memory();
  slot->pool->stats.requests++;
  slot->busy = 1;
  slot->unblock.held = req;
  return NULL;
}

static pmx_reply *submit_pinned(struct pool *p, struct request *req)
{
  struct slot *slot = slot_of(req->pinned);

  if (slot->ticket != req->ticket || slot->state != SLOT_IN_USE || !slot->leased)
    return p->aborted ? pool_explain_closed(p) : lease_gone();
  if (slot->busy)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE,
                              "another call is running on this lease: one thread at a time");
  if (slot->unblock.pending || unblock_is_dirty(slot))
    return submit_held(slot, req);
  p->stats.requests++;
  pool_pin(slot, req, 0);
  return NULL;
}

static void tell_waiting(struct pool *p, int64_t now)
{
  if (now < p->wait_event_at)
    return;
  p->wait_event_at = now + NS_PER_S;
  notice_event(p->env->notices, PMX_EVENT_POOL_WAIT, PMX_CAUSE_NONE, 0, p->env->name,
               "calls wait for a connection");
  notice_log(
      p->env->notices, PMX_LOG_INFO, "pool",
      "%s: calls wait: of %lld connections %u are in use, and %u are being made; told once a "
      "second",
      p->label, (long long)p->config.pool_max_size, p->count[SLOT_IN_USE],
      p->count[SLOT_CONNECTING]);
}

/* Its place by arrival: others whose connections were closed as well may have come back before
 * it. */
static struct list *place_of(struct pool *p, const struct request *req)
{
  struct list *after = &p->waiters;

  while (after->next != &p->waiters &&
         container_of(after->next, struct request, node)->queued_at < req->queued_at)
    after = after->next;
  return after;
}

/* Those who wait for a connection that may still be made do not count. */
static unsigned waiters_allowed(const struct pool *p)
{
  unsigned max = (unsigned)p->config.pool_max_size, used = p->count[SLOT_IN_USE];

  return (unsigned)p->config.pool_max_waiters + (max > used ? max - used : 0);
}

static int64_t end_of_queueing(const struct pool *p, const struct request *req, int64_t now)
{
  int64_t until = time_after(now, p->config.pool_wait_timeout);

  return req->timed && req->deadline < until ? req->deadline : until;
}

static pmx_reply *submit_waiting(struct pool *p, struct request *req, int64_t now)
{
  int full;

  if (p->backoff.open && p->config.offline == OFFLINE_FAIL)
    return pool_explain_offline(p, PMX_CAUSE_CIRCUIT_OPEN, now);
  if (p->waiting >= waiters_allowed(p)) {
    p->stats.queue_full++;
    return pool_explain_wait(p, req, PMX_CAUSE_QUEUE_FULL, now);
  }
  req->queue_until = end_of_queueing(p, req, req->queued_at);
  if (enqueue(p, req, p->waiters.prev) != 0)
    return no_memory();
  p->stats.waits++;
  p->stats.requests++;
  full = pool_total(p) >= (unsigned)p->config.pool_max_size;
  pool_pump(p, now);
  if (full && p->waiting) /* the request itself may be served, and gone */
    tell_waiting(p, now);
  return NULL;
}

static pmx_reply *submit_watcher(struct pool *p, struct request *req, int64_t now)
{
  req->queue_until = TIME_FOREVER;
  if (enqueue(p, req, p->watchers.prev) != 0)
    return no_memory();
  pool_pump(p, now);
  return NULL;
}

static pmx_reply *submit_at_once(struct pool *p, struct slot *slot, struct request *req,
                                 int64_t now)
{
  p->stats.requests++;
  pool_assign(p, slot, req, now);
  if (p->count[SLOT_IDLE] < (unsigned)p->config.pool_min_idle)
    pool_pump(p, now);
  return NULL;
}

static pmx_reply *submit_locked(struct pool *p, struct request *req, int64_t now)
{
  struct slot *slot;

  if (req->kind == REQUEST_DRAIN || req->kind == REQUEST_FILL)
    return submit_watcher(p, req, now);
  if (req->pinned)
    return submit_pinned(p, req);
  if (p->draining)
    return pool_explain_closed(p);
  if (!p->waiting && (slot = pool_take(p, now)))
    return submit_at_once(p, slot, req, now);
  return submit_waiting(p, req, now);
}

pmx_reply *pool_submit(struct strategy *s, struct request *req)
{
  struct pool *p = container_of(s, struct pool, base);
  pmx_reply *failure;

  req->done = pool_done;
  lock_acquire(&p->lock);
  failure = submit_locked(p, req, req->queued_at);
  pool_leave(p);
  return failure;
}

/* ---- the end of a request on a link. Thread: the link's owner ---- */

/* Nothing was sent, the connection was found closed: not the request's fault. It keeps its place at
 * the head of the queue and gets another connection. */
static int is_stale(const struct pool *p, const struct request *req)
{
  return pmx_reply_status(req->reply) == PMX_NOT_RUN &&
         pmx_reply_cause(req->reply) == PMX_CAUSE_LOST && !req->pinned && !p->draining;
}

static void drop(struct pool *p, struct slot *slot, const struct request *req, int64_t now)
{
  pmx_cause cause = pmx_reply_cause(req->reply);
  /* One that was given up before its own command was sent says nothing about the connection. */
  int given_up = cause == PMX_CAUSE_TIMEOUT || cause == PMX_CAUSE_CANCELED;
  int never_sent = req->reply && pmx_reply_status(req->reply) == PMX_NOT_RUN && !given_up;

  slot_give_back(slot, &p->stats.discards, now);
  /* A server that takes logins and then hangs up is one that cannot be connected to. */
  slot_retire(slot, never_sent ? CLOSE_STALE : CLOSE_ERROR);
  if (never_sent && slot->fresh && !p->draining)
    pool_dial_failed(p, cause == PMX_CAUSE_LOST ? PMX_CAUSE_CONNECT : cause,
                     pmx_reply_error(req->reply), dial_stage_of(&slot->link, cause), now);
}

static void finish_use(struct pool *p, struct slot *slot, struct request *req, int64_t now)
{
  slot->busy = 0;
  unblock_finish(slot, req);
  if (slot->exempt)
    slot->quiet_since = now;
  slot->exempt = 0;
  slot->unattended = NULL;
  if (link_dead(&slot->link)) {
    drop(p, slot, req, now);
    return;
  }
  slot->fresh = 0;
  if (slot->leased && (req->pinned || !req->reply))
    return; /* the lease goes on */
  slot_give_back(slot, &p->stats.returns, now);
  pool_put(slot, now);
}

static void requeue(struct pool *p, struct request *req, int64_t now)
{
  pmx_reply_free(req->reply);
  req->reply = NULL;
  req->sent = 0;
  req->queue_until = end_of_queueing(p, req, now);
  atomic_store(&req->link, NULL);
  if (enqueue(p, req, place_of(p, req)) != 0)
    pool_end(p, req, no_memory(), NULL);
  else
    p->stats.requeues++;
  pool_pump(p, now);
}

static void end_use(struct pool *p, struct request *req, int64_t now)
{
  p->stats.requests_ended++;
  req->ended_at = now;
}

void pool_done(struct request *req)
{
  struct slot *slot = slot_of(atomic_load(&req->link));
  struct pool *p = slot->pool;
  int64_t now;
  int again;

  if (unblock_goes_on(slot, req))
    return;
  now = clock_ns();
  lock_acquire(&p->lock);
  finish_use(p, slot, req, now);
  again = is_stale(p, req);
  if (again)
    requeue(p, req, now);
  else
    end_use(p, req, now);
  pool_leave(p);
  if (!again)
    request_publish(req);
}
