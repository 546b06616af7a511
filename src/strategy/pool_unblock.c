/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_unblock.c - giving up a command that waits for a key at the server, without losing what it
 * may just have been given and without losing its connection: CLIENT UNBLOCK … ERROR on the node's
 * control connection, then read what comes.
 *
 * Who is who. UNBLOCK names a client id, which means something at one server process only: the one
 * whose run_id the connection has. Both are learnt before the first such command of a connection
 * is sent (steps ID and RUN of that request, as if they were its own bytes: one round trip each;
 * after HELLO 3 the id is known). The UNBLOCK is a request that names its run_id: the control
 * connection learns its own the same way, and ends it NOT_RUN where they differ.
 *
 *   OWN ─ cancel or deadline ─→ OWN, begun; UNBLOCK pending at the control connection
 *    ├ data, nil, another error ─→ ends with that: the server was faster
 *    ├ -UNBLOCKED ─→ FENCE (PING) ─ +PONG ─→ ends NOT_RUN
 *    │                             └ anything else ─→ ends with that; the connection closes
 *    ├ UNBLOCK did not run (no permission, another server, no connection) ─→ UNKNOWN, closed at
 * once └ cancel_grace is over ─→ UNKNOWN, closed
 *
 * Why the fence: a server that is paused (CLIENT PAUSE) parks the command before it begins. Some
 * answer -UNBLOCKED for it and run it all the same when the pause is over; but then they read
 * nothing else of this connection before.
 *
 * The connection is used again only when the UNBLOCK has ended too: else it could hit the next
 * command, whichever that is: a paused server parks any. Until then its slot is SETTLING; on a
 * lease the next command is held. A slot that is closed meanwhile is not dialled again before. An
 * UNBLOCK that may still come (its own connection was lost), and one that ended a wait nobody had,
 * cost the connection.
 *
 * Answered that nothing waits, while nothing else has come: the command may not have reached the
 * server yet, whose connections are read in any order, or its reply is on its way. So it is asked
 * once more a moment later, until the grace is over.
 *
 * Threads. The request's owner cancels, reads and steps; the reactor drives the control connection,
 * and its answer meets the slot under the pool's lock (unblock_answered). */
#include <stdio.h>
#include <string.h>
#include "call/reply.h"
#include "resp/encode.h"
#include "strategy/pool.h"

enum { AGAIN_MS = 10 };

/* ---- the cancelled request ---- */

static void end_unblocked(struct slot *slot, struct request *req)
{
  struct unblock *u = &slot->unblock;
  const char *how = u->cause == PMX_CAUSE_CANCELED ? "was cancelled" : "got nothing in time";

  pmx_reply_free(req->reply);
  slot->link.conn.retire = u->retire;
  req->reply = reply_failure(PMX_NOT_RUN, u->cause, "%s %s at %s: it has taken nothing",
                             req->route.command, how, slot->pool->env->name);
}

static int is_pong(const pmx_reply *reply)
{
  size_t len = 0;
  const char *text = pmx_reply_str(reply, &len);

  return pmx_reply_type(reply) == PMX_TYPE_SIMPLE && len == 4 && memcmp(text, "PONG", 4) == 0;
}

/* Whatever else comes, the order of the replies is lost; a fence that did not leave proves nothing.
 */
static void fenced(struct slot *slot, struct request *req)
{
  if (is_pong(req->reply)) {
    end_unblocked(slot, req);
    return;
  }
  if (pmx_reply_status(req->reply) == PMX_NOT_RUN)
    step_replace_reply(req, PMX_UNKNOWN, pmx_reply_cause(req->reply));
  link_break(&slot->link, PMX_CAUSE_LOST, "a paused command was answered twice");
}

/* What its link says of a request that is being cancelled is not why it ends. */
static int concluded(struct slot *slot, struct request *req)
{
  struct unblock *u = &slot->unblock;
  pmx_cause cause = pmx_reply_cause(req->reply);

  if (reply_is_code(req->reply, "UNBLOCKED") && u->step == STEP_OWN) {
    u->seen = 1;
    pmx_reply_free(req->reply);
    req->reply = NULL;
    step_take(slot, req, STEP_FENCE);
    return 1;
  }
  if (u->step == STEP_FENCE)
    fenced(slot, req);
  /* Behind the fence an answer to the command itself breaks the order, and is nobody's fault. */
  if (step_failed(req) && (cause == PMX_CAUSE_LOST || cause == PMX_CAUSE_CANCELED ||
                           (u->step == STEP_FENCE && cause == PMX_CAUSE_PROTOCOL)))
    step_replace_reply(req, pmx_reply_status(req->reply), u->cause);
  return 0;
}

/* More than the answer came, and the connection died of it. */
static int dies(struct slot *slot, struct request *req)
{
  const struct unblock *u = &slot->unblock;

  if (!link_dead(&slot->link))
    return 0;
  req->reply = reply_failure_text(u->begun ? PMX_UNKNOWN : PMX_NOT_RUN,
                                  u->begun ? u->cause : PMX_CAUSE_LOST, slot->link.conn.text);
  return 1;
}

int unblock_goes_on(struct slot *slot, struct request *req)
{
  struct unblock *u = &slot->unblock;
  int goes_on = 0;

  if (u->step == STEP_ID || u->step == STEP_RUN)
    goes_on = step_learnt(slot, req);
  else if (u->begun)
    goes_on = concluded(slot, req);
  if (goes_on && dies(slot, req))
    goes_on = 0;
  if (goes_on)
    link_resend(&slot->link, req);
  else
    step_restore(slot, req);
  return goes_on;
}

void unblock_finish(struct slot *slot, const struct request *req)
{
  struct unblock *u = &slot->unblock;

  if (!u->begun)
    return;
  if (!step_failed(req))
    slot->pool->stats.late_wins++;
  u->begun = u->waiting = 0;
  link_unstop(&slot->link);
}

/* ---- CLIENT UNBLOCK ---- */

int unblock_is_dirty(const struct slot *slot)
{
  const struct unblock *u = &slot->unblock;

  return u->doomed || (u->answer == 1 && !u->seen);
}

void unblock_drop_held(struct slot *slot, pmx_reply *reply)
{
  struct request *req = slot->unblock.held;

  slot->unblock.held = NULL;
  slot->busy = 0;
  pool_end(slot->pool, req, reply, NULL);
}

/* The lease's next command, which waited until the last was done with. */
static void let_go(struct slot *slot)
{
  struct unblock *u = &slot->unblock;
  struct request *req = u->held;

  if (!req)
    return;
  if (unblock_is_dirty(slot)) {
    unblock_drop_held(slot, reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_LOST,
                                               "the wait of this lease's last command may still be "
                                               "ended: pmx_release() it and take another"));
    return;
  }
  u->held = NULL;
  list_remove(&req->node);
  pool_pin(slot, req, 1);
}

enum verdict { NOTHING, GIVE_UP, ASK_AGAIN };

/* GIVE_UP: the reactor drives what waited. */
static enum verdict answered_locked(struct slot *slot, const pmx_reply *reply, int64_t now)
{
  struct unblock *u = &slot->unblock;
  struct pool *p = slot->pool;
  int ran = pmx_ok(reply);

  u->pending = 0;
  u->answer = ran ? (int)pmx_reply_int(reply, NULL) : 0;
  u->doomed |= pmx_reply_status(reply) == PMX_UNKNOWN;
  if (slot->state == SLOT_SETTLING) {
    pool_put(slot, now);
  } else if (slot->state == SLOT_FREE) {
    list_push_back(&p->free, &slot->node);
  } else if (u->waiting && !ran) {
    if (slot->unattended)
      return GIVE_UP;
    link_stop(&slot->link);
  } else if (u->waiting && u->answer == 0) {
    return ASK_AGAIN;
  } else if (slot->state == SLOT_IN_USE) {
    let_go(slot);
  }
  return NOTHING;
}

/* Thread: any, mostly the reactor. Locks: none. */
static void unblock_answered(struct request *request)
{
  struct slot *slot = container_of(request, struct slot, unblock.request);
  struct pool *p = slot->pool;
  pmx_reply *reply = request->reply;
  int64_t now = clock_ns();
  enum verdict verdict;

  if (step_is_refusal(reply))
    step_remember_refusal(p, reply);
  lock_acquire(&p->lock);
  verdict = answered_locked(slot, reply, now);
  pool_pump(p, now);
  pool_leave(p);
  pmx_reply_free(reply);
  if (verdict == ASK_AGAIN)
    timer_set(p->env->reactor, &slot->unblock.again, now + AGAIN_MS * NS_PER_MS);
  if (verdict == GIVE_UP && reactor_is_me(p->env->reactor))
    link_give_up(&slot->link, PMX_CAUSE_CANCELED, "its wait at the server could not be ended");
}

static void submit(struct slot *slot, int64_t deadline, int64_t now)
{
  struct unblock *u = &slot->unblock;
  struct strategy *control = slot->pool->control;
  struct request *req = &u->request;
  pmx_reply *failure;
  char id[24];
  int len = snprintf(id, sizeof id, "%lld", (long long)u->client_id);
  const char *const argv[] = {"CLIENT", "UNBLOCK", id, "ERROR"};
  const size_t lens[] = {6, 7, (size_t)len, 5};

  request_init(req, REQUEST_COMMAND);
  req->bytes = u->command;
  req->size = encode_small(u->command, sizeof u->command, 4, argv, lens);
  req->replies = 1;
  req->run_id = u->run_id;
  req->route.command = "CLIENT UNBLOCK";
  req->route.shape = SHAPE_INTEGER;
  req->timed = 1;
  req->fail_fast = 1;
  req->deadline = deadline;
  req->queued_at = now;
  req->completed = unblock_answered;
  failure = control->ops->submit(control, req);
  if (!failure)
    return;
  req->reply = failure;
  unblock_answered(req);
}

static void hold(struct timer *timer)
{
  (void)timer; /* slots live as long as their pool, which outlives the reactor's last step */
}

/* Thread: reactor. What it was set for may have ended, and the slot be used by others: then it is
 * they who are asked for, if they have been told that nothing waits. */
static void ask_again(struct timer *timer)
{
  struct slot *slot = container_of(timer, struct slot, unblock.again);
  struct unblock *u = &slot->unblock;
  int again;

  lock_acquire(&slot->pool->lock);
  again = u->waiting && !u->pending && u->answer == 0 && clock_ns() < u->deadline;
  if (again) {
    u->pending = 1;
    u->answer = -1;
  }
  lock_release(&slot->pool->lock);
  if (again)
    submit(slot, u->deadline, clock_ns());
}

int unblock_begin(struct slot *slot, struct request *req, pmx_cause cause, int64_t now)
{
  struct unblock *u = &slot->unblock;
  struct pool *p = slot->pool;

  if (u->begun)
    return now < req->deadline;
  if (u->step != STEP_OWN || !step_waits_for_key(slot, req) || !u->client_id || !u->run_id[0] ||
      link_dead(&slot->link) || !step_may_help(p, now))
    return 0;
  u->begun = 1;
  u->cause = cause;
  u->retire = slot->link.conn.retire;
  u->seen = 0;
  req->deadline = time_after(now, atomic_load(&p->cancel_grace));
  req->helped = 1;
  lock_acquire(&p->lock);
  u->pending = u->waiting = 1;
  u->answer = -1;
  u->deadline = req->deadline;
  p->stats.unblocks++;
  lock_release(&p->lock);
  submit(slot, req->deadline, now); /* it may have ended, and be gone */
  return 1;
}

/* ---- life ---- */

void unblock_init(struct slot *slot)
{
  slot->unblock.again = (struct timer){.run = ask_again, .hold = hold};
}

void unblock_forget(struct slot *slot)
{
  struct unblock *u = &slot->unblock;

  u->step = STEP_OWN;
  u->asked = u->begun = u->seen = u->doomed = 0;
  u->client_id = 0;
  u->run_id[0] = '\0';
  u->answer = -1;
}
