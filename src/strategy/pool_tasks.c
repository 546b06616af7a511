/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_tasks.c - what the reactor does for the pool: dials, PINGs and repairs. A task is the slot's
 * own request; its end decides what becomes of the slot, and of the waiters when a dial failed. */
#include "call/reply.h"
#include "resp/encode.h"
#include "strategy/pool.h"

static const char ping[] = "*1\r\n$4\r\nPING\r\n";

/* ---- starting ---- */

void slot_start(struct slot *slot, enum slot_state state, int64_t deadline)
{
  slot_set(slot, state);
  slot->task.deadline = deadline;
  reactor_post(slot->pool->env->reactor, &slot->job);
  slot->pool->poke = 1;
}

static void send_task(struct slot *slot, const char *bytes, size_t size, int replies)
{
  struct request *task = &slot->task;

  task->bytes = bytes;
  task->size = size;
  task->replies = (uint32_t)replies;
  link_ask(&slot->link, task);
}

static void start_repair(struct slot *slot)
{
  const struct config *config = slot->link.env->config;
  int replies = 0;
  size_t size =
      session_repair(&slot->link.conn.session, config->client_name, slot->repair, &replies);

  if (config->pool_reset == RESET_ALWAYS)
    link_relogin(&slot->link, &slot->task);
  else
    send_task(slot, slot->repair, size, replies);
}

static void start_dial(struct slot *slot)
{
  int err = slot->linked ? 0 : link_init(&slot->link, slot->pool->env, CONN_PLACES);
  char reason[80];

  if (err) {
    request_end(&slot->task,
                reply_failure(PMX_NOT_RUN, PMX_CAUSE_CONNECT, "cannot make a socket: %s",
                              transport_error_text(err, reason, sizeof reason)));
    return;
  }
  slot->linked = 1;
  link_dial(&slot->link, &slot->task);
}

int slot_has_task(enum slot_state state)
{
  return state == SLOT_CONNECTING || state == SLOT_CHECKING || state == SLOT_REPAIRING;
}

/* Thread: reactor. The states below belong to it, so `state` cannot change meanwhile. */
static void run_task(struct job *job)
{
  struct slot *slot = container_of(job, struct slot, job);
  struct pool *p = slot->pool;
  struct request *unattended;
  enum slot_state state;
  int draining, again;

  lock_acquire(&p->lock);
  state = slot->state;
  unattended = slot->unattended;
  draining = p->draining;
  again = reactor_posted(p->env->reactor, job);
  lock_release(&p->lock);
  if (again) /* for what the slot does now; this one was for something that has ended */
    return;
  if (!slot_has_task(state)) { /* what it was posted for may have been given up meanwhile */
    if (unattended)
      link_start(&slot->link, unattended, p->env->config->pool_check_on_borrow != CHECK_NONE);
    return;
  }
  slot->task.reply = NULL;
  slot->task.sent = 0;
  if (draining)
    request_end(&slot->task,
                reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CLOSED, "the client was closed"));
  else if (state == SLOT_CONNECTING)
    start_dial(slot);
  else if (state == SLOT_CHECKING)
    send_task(slot, ping, sizeof ping - 1, 1);
  else if (state == SLOT_REPAIRING)
    start_repair(slot);
}

/* ---- ending ---- */

static void fail_waiters(struct pool *p, pmx_cause cause, int64_t now)
{
  int all = p->config.offline == OFFLINE_FAIL || backoff_is_permanent(cause);

  for (struct list *node = p->waiters.next, *next; node != &p->waiters; node = next) {
    struct request *req = container_of(node, struct request, node);
    next = node->next;
    if (all || req->fail_fast)
      pool_end(p, req, pool_explain_offline(p, cause, now), NULL);
  }
}

static void fail_fills(struct pool *p, pmx_cause cause, int64_t now)
{
  for (struct list *node = p->watchers.next, *next; node != &p->watchers; node = next) {
    struct request *req = container_of(node, struct request, node);
    next = node->next;
    if (req->kind == REQUEST_FILL)
      pool_end(p, req, pool_explain_offline(p, cause, now), NULL);
  }
}

void pool_dial_failed(struct pool *p, pmx_cause cause, const char *error, enum dial_stage stage,
                      int64_t now)
{
  backoff_count(&p->stats, stage);
  p->spare = 0;
  backoff_failed(&p->backoff, &p->config, cause, error, stage == DIAL_LOCAL, now);
  backoff_tell(&p->backoff, p->env, p->label, now);
  fail_fills(p, cause, now);
  if (pool_live(p) > p->count[SLOT_CLOSING])
    return;
  backoff_may_open(&p->backoff, &p->config, p->env, p->label);
  fail_waiters(p, cause, now);
}

static void dial_failed(struct slot *slot, const pmx_reply *reply, int64_t now)
{
  struct pool *p = slot->pool;
  pmx_cause cause = pmx_reply_cause(reply);
  enum dial_stage stage = slot->linked ? dial_stage_of(&slot->link, cause) : DIAL_LOCAL;

  slot_set(slot, SLOT_FREE);
  list_push_back(&p->free, &slot->node);
  if (!p->draining)
    pool_dial_failed(p, cause, pmx_reply_error(reply), stage, now);
}

/* Twice within that time: the earlier one holds. */
void slot_outdate(struct slot *slot, int64_t within, int64_t now)
{
  uint64_t wait = random_below(&slot->pool->backoff.random, (uint64_t)within + 1);
  int64_t at = time_after(now, (int64_t)wait);

  slot->outdated = 1;
  slot->expires_at = at < slot->expires_at ? at : slot->expires_at;
}

static void set_expiry(struct slot *slot, int64_t now)
{
  struct pool *p = slot->pool;
  int64_t life = p->config.pool_max_lifetime;
  int64_t jitter = life / 100 * p->config.pool_lifetime_jitter;

  slot->outdated = 0;
  slot->expires_at = TIME_FOREVER;
  if (life > 0)
    slot->expires_at =
        time_after(now, life - (int64_t)random_below(&p->backoff.random, (uint64_t)jitter + 1));
  if (link_outdated(&slot->link))
    slot_outdate(slot, p->config.tls_retire, now);
}

static void dial_done(struct slot *slot, int64_t now)
{
  struct pool *p = slot->pool;

  p->stats.opened++;
  histogram_record_own(&p->create, now - slot->link.dial.started);
  unblock_forget(slot);
  backoff_done(&p->backoff, p->env, p->label);
  p->spare = 0;
  p->suspect = 0;
  slot->fresh = 1;
  set_expiry(slot, now);
  tell_connected(&slot->link, p->label, "");
  pool_watch_clock(p, time_after(now, pool_interval(p)));
  pool_put(slot, now);
}

/* A PING is answered with anything but a server that is going away; LOADING and the like are the
 * business of the command that follows. */
static void check_done(struct slot *slot, int64_t now)
{
  slot->pool->stats.pings++;
  slot->pool->suspect = link_dead(&slot->link);
  if (link_dead(&slot->link)) {
    slot_retire(slot, CLOSE_STALE);
    return;
  }
  pool_put(slot, now);
}

static void repair_done(struct slot *slot, const pmx_reply *reply, int64_t now)
{
  struct pool *p = slot->pool;

  if (link_dead(&slot->link) || pmx_reply_type(reply) == PMX_TYPE_ERROR) {
    slot_retire(slot, CLOSE_DIRTY);
    return;
  }
  p->stats.repairs++;
  session_repaired(&slot->link.conn.session);
  pool_put(slot, now);
}

/* Thread: reactor. */
static void task_done(struct request *task)
{
  struct slot *slot = container_of(task, struct slot, task);
  struct pool *p = slot->pool;
  pmx_reply *reply = task->reply;
  int64_t now = clock_ns();

  task->reply = NULL;
  lock_acquire(&p->lock);
  if (slot->state == SLOT_CONNECTING && reply)
    dial_failed(slot, reply, now);
  else if (slot->state == SLOT_CONNECTING)
    dial_done(slot, now);
  else if (slot->state == SLOT_CHECKING)
    check_done(slot, now);
  else
    repair_done(slot, reply, now);
  pool_pump(p, now);
  pool_leave(p);
  pmx_reply_free(reply);
}

void slot_init_task(struct slot *slot)
{
  request_init(&slot->task, REQUEST_COMMAND);
  slot->task.done = task_done;
  job_init(&slot->job, run_task);
  unblock_init(slot);
}
