/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_cancel.c - a request that its issuer gives up, or whose time is over: off the queue, or off
 * its link, or unblocked at the server. */
#include "base/text.h"
#include "call/reply.h"
#include "strategy/pool.h"

static pmx_cause queue_cause(const struct pool *p, const struct request *req, int64_t now)
{
  if (pool_offline(p) && backoff_is_failing(&p->backoff))
    return p->backoff.cause;
  if (now >= req->deadline)
    return PMX_CAUSE_TIMEOUT;
  return p->count[SLOT_IN_USE] ? PMX_CAUSE_POOL_EXHAUSTED : PMX_CAUSE_CONNECT;
}

/* pool.wait_timeout is for busy pools: while a connection can still be made for it, and while the
 * server is away, a request waits until its deadline. */
static int may_grow(const struct pool *p)
{
  int coming = p->count[SLOT_CHECKING] || p->count[SLOT_REPAIRING] || p->count[SLOT_SETTLING];

  if (p->config.offline == OFFLINE_FAIL && p->backoff.failures && !coming)
    return 0;
  return p->count[SLOT_IN_USE] < (unsigned)p->config.pool_max_size;
}

static void cancel_queued(struct pool *p, struct request *req, pmx_cause cause)
{
  int64_t now = clock_ns();
  uint64_t *why = &p->stats.wait_canceled;

  if (req->kind > REQUEST_LEASE) {
    pool_end(p, req, reply_failure(PMX_NOT_RUN, cause, "pool %s: not done in time", p->name), NULL);
    return;
  }
  if (req->pinned) {
    unblock_drop_held(slot_of(req->pinned),
                      reply_failure(PMX_NOT_RUN, cause,
                                    "%s waited for the end of an earlier command on its lease",
                                    req->route.command));
    return;
  }
  if (cause == PMX_CAUSE_TIMEOUT) {
    if (now < req->deadline && may_grow(p)) {
      req->queue_until = TIME_FOREVER;
      return;
    }
    cause = queue_cause(p, req, now);
    why = &p->stats.wait_timeouts;
  }
  pool_end(p, req, pool_explain_wait(p, req, cause, now), why);
}

/* A command that waits for a key is allowed to get none. */
static void add_guess(struct text *text, const struct request *req)
{
  if (!(req->route.flags & ROUTE_BLOCKING))
    text_add(text, ": is the server stopped, or busy with one command (SLOWLOG GET)?");
}

static void cancel_on_link(struct pool *p, struct request *req, pmx_cause cause)
{
  struct link *link = atomic_load(&req->link);
  const struct unblock *u = &slot_of(link)->unblock;
  static const char silent[] = "%s got no answer from %s in time";
  const char *format = silent;
  char buf[896]; /* what a link keeps of why it died */
  struct text text;

  if (u->begun)
    cause = u->cause;
  text_init(&text, buf, sizeof buf);
  if ((req->sent == 0 && u->step != STEP_FENCE) || u->step == STEP_ID || u->step == STEP_RUN)
    format = cause == PMX_CAUSE_CANCELED ? "%s was cancelled before it was sent to %s"
                                         : "%s was not sent to %s: no time was left";
  else if (cause == PMX_CAUSE_CANCELED)
    format = "%s was cancelled while %s answered it";
  text_add(&text, format, req->route.command, p->env->name);
  text_add(&text, ", after ");
  text_add_ms(&text, clock_ns() - req->queued_at);
  if (format == silent)
    add_guess(&text, req);
  pool_describe(p, &text);
  link_abandon(link, req, cause, buf);
}

void pool_expire_queued(struct pool *p, int64_t now, int64_t *next)
{
  for (struct list *node = p->waiters.next, *after; node != &p->waiters; node = after) {
    struct request *req = container_of(node, struct request, node);

    after = node->next;
    if (req->completed && now >= req->queue_until)
      cancel_queued(p, req, PMX_CAUSE_TIMEOUT);
    else if (req->completed && req->queue_until < *next)
      *next = req->queue_until;
  }
}

void pool_cancel(struct strategy *s, struct request *req, pmx_cause cause)
{
  struct pool *p = container_of(s, struct pool, base);
  enum request_state state;
  struct slot *slot;
  int64_t now;

  lock_acquire(&p->lock);
  state = request_state(req);
  if (state == REQUEST_QUEUED)
    cancel_queued(p, req, cause);
  pool_leave(p);
  /* It was served just as its time in the queue ran out: it has its deadline yet. */
  now = clock_ns();
  if (state == REQUEST_ASSIGNED && cause == PMX_CAUSE_TIMEOUT && now < req->deadline)
    return;
  if (state == REQUEST_QUEUED || state >= REQUEST_ENDING)
    return;
  /* Its issuer is here, so nobody else can drive its link. */
  slot = slot_of(atomic_load(&req->link));
  if ((state == REQUEST_SENT || slot->unblock.begun) && unblock_begin(slot, req, cause, now))
    return;
  cancel_on_link(p, req, cause);
}
