/* SPDX-License-Identifier: BSD-3-Clause */
/* lane.c - a lane's lock, what is done when it is dropped, and how requests begin and end. How
 * callers wait stands in lane_drive.c, how bytes move in lane_io.c. */
#include "call/timing.h"
#include "link/lane_io.h"

/* Nobody has read for so long: whoever was a crowd then is not any more. */
#define CROWD_GONE_NS (100 * 1000 * 1000)

/* ---- the lock ---- */

void lane_enter(struct lane *l)
{
  lock_acquire(&l->lock);
}

int lane_busy(const struct lane *l)
{
  return l->link.conn.ring.count > 0;
}

static int has_work(const struct lane *l)
{
  return !list_empty(&l->queue) || lane_busy(l) || l->out_sent < l->out_len;
}

/* Callbacks, futures, PING: requests whose issuers do not come to drive. */
static int has_unattended(const struct lane *l)
{
  return l->begun - l->ended > l->yield.callers;
}

static void poke(struct lane *l)
{
  if (l->poked)
    return;
  l->poked = 1;
  reactor_post(l->link.env->reactor, &l->look);
  l->wake_reactor = 1;
}

static void note_wake(struct lane *l, struct parker *parker)
{
  if (!parker)
    l->wake_nested = 1; /* it may wait on the reactor's own thread */
  else if (l->wake_count == LANE_WAKES)
    parker_wake(parker); /* rare: a connection that many waited for has died */
  else
    l->wakes[l->wake_count++] = parker;
}

/* The reactor does, or is about to look. Whoever writes looks again when it is done. */
static int is_watched(const struct lane *l)
{
  return l->poked || ((l->armed & NET_IN) && (l->writing || !lane_writable(l)) &&
                      (!l->stuck || (l->armed & NET_OUT)));
}

/* Somebody reads and writes it, or will. Where callers sleep that has to be one who runs no user
 * code, for the reactor may be in a callback that waits for one of them. Who has given its
 * processor to others, who may keep it for long, is enough for those only who do so, too. */
static int is_attended_to(const struct lane *l)
{
  return l->held || l->coming > l->giving ||
         (list_empty(&l->parked) && ((l->giving && !has_unattended(l)) || is_watched(l)));
}

/* Invariant T: what is to be written or read has somebody who will do it. */
static void ensure_driver(struct lane *l)
{
  struct request *newest;

  if (l->dying && !l->held && !l->writing)
    poke(l);
  if (!l->up || is_attended_to(l) || !has_work(l))
    return;
  if (list_empty(&l->parked)) {
    poke(l);
    return;
  }
  newest = container_of(list_last(&l->parked), struct request, parked);
  newest->coming = 1;
  l->coming++;
  l->handovers++;
  note_wake(l, atomic_load(&newest->parker));
}

/* They run what their issuers set: not under the lock. */
static void tell_finished(struct list *finished)
{
  struct list *node;

  while ((node = list_first(finished))) {
    struct request *req = container_of(node, struct request, node);

    list_remove(node);
    if (req->done)
      req->done(req);
    else
      request_publish(req);
  }
}

static int is_anything_noted(const struct lane *l)
{
  return l->wake_count || l->kick || l->wake_reactor || l->wake_nested || !list_empty(&l->finished);
}

/* Drops the lock, and does what was noted under it. */
static void leave_and_do(struct lane *l)
{
  struct parker *wakes[LANE_WAKES];
  struct list finished;
  unsigned count;
  uint8_t kick, wake_reactor, wake_nested;

  count = l->wake_count;
  for (unsigned i = 0; i < count; i++)
    wakes[i] = l->wakes[i];
  kick = l->kick;
  wake_reactor = l->wake_reactor;
  wake_nested = l->wake_nested;
  list_take(&finished, &l->finished);
  l->wake_count = 0;
  l->kick = l->wake_reactor = l->wake_nested = 0;
  lock_release(&l->lock);
  if (kick)
    transport_kick(&l->link.transport);
  parkers_wake(wakes, count);
  if (wake_reactor)
    reactor_wake(l->link.env->reactor);
  if (wake_nested || count)
    reactor_wake_nested(l->link.env->reactor);
  tell_finished(&finished);
}

void lane_leave(struct lane *l)
{
  ensure_driver(l);
  if (is_anything_noted(l))
    leave_and_do(l);
  else
    lock_release(&l->lock);
}

/* ---- requests begin and end ---- */

void lane_not_coming(struct lane *l, struct request *req)
{
  l->coming -= req->coming;
  l->giving -= req->giving;
  req->coming = req->giving = 0;
}

void lane_dequeue(struct lane *l, struct request *req)
{
  list_remove(&req->node);
  l->queued--;
  l->queued_bytes -= req->size;
}

static void enqueue(struct lane *l, struct list *after, struct request *req)
{
  request_set_state(req, REQUEST_QUEUED);
  list_insert(after, &req->node);
  l->queued++;
  l->queued_bytes += req->size;
}

void lane_requeue(struct lane *l, struct list *after, struct request *req)
{
  req->sent = 0;
  enqueue(l, after, req);
}

/* Once as much waits here as the server has to do, and half of what is usually under way or a
 * buffer full, it gets this now, and works on it while the next ones are queued: two writes keep
 * both busy, more of them only cost. */
static int is_worth_writing(const struct lane *l, unsigned least)
{
  unsigned half = l->usual / 2 < LANE_HALF_MAX ? l->usual / 2 : LANE_HALF_MAX;

  return l->queued >= least && l->queued >= l->link.conn.ring.count &&
         (l->queued >= half || l->queued_bytes >= LANE_BUFFER) && !l->writing && lane_writable(l);
}

void lane_submit_locked(struct lane *l, struct request *req)
{
  req->lane = l;
  l->begun++;
  list_init(&req->parked);
  req->coming = req->attended;
  l->coming += req->attended;
  if (!l->held && req->queued_at - l->seen_at > CROWD_GONE_NS)
    l->yield.crowd = 0;
  yield_begin(&l->yield, req);
  req->giving = req->crowd > 0;
  l->giving += req->giving;
  enqueue(l, l->queue.prev, req);
  if (l->held && (l->blocked || (l->open && is_worth_writing(l, LANE_OPEN))))
    lane_write_for_holder(l);
  else if (!l->held && !req->attended && is_worth_writing(l, LANE_EARLY))
    lane_turn(l, 0); /* nobody comes to write it: so its issuer takes the token for a round */
}

struct request *lane_first_queued(const struct lane *l)
{
  struct list *node = list_first(&l->queue);

  return node ? container_of(node, struct request, node) : NULL;
}

/* The state is stored under the lock: its issuer, who may be giving it up just now, finds it either
 * alive or ended. From then on only the parker is safe to touch. */
void lane_finish(struct lane *l, struct request *req, pmx_reply *reply)
{
  struct parker *parker = atomic_load(&req->parker);

  if (l->blocked && atomic_load(&l->driver) == req)
    l->kick = 1; /* it sleeps in poll, not on its parker */
  list_remove(&req->parked);
  lane_not_coming(l, req);
  l->ended++;
  yield_end(&l->yield, req, l->up && l->matched_at && !parker && atomic_load(&l->driver) != req);
  req->ended_at = l->matched_at;
  req->reply = reply;
  if (req->timing)
    timing_answered(req->timing, reply);
  if (req->done || req->completed) {
    request_set_state(req, REQUEST_ENDING);
    list_push_back(&l->finished, &req->node);
    return;
  }
  request_set_state(req, REQUEST_ENDED);
  note_wake(l, parker);
}

void lane_end_locked(struct lane *l, struct request *req, pmx_reply *reply)
{
  lane_dequeue(l, req);
  lane_finish(l, req, reply);
}

pmx_status lane_withdraw_locked(struct lane *l, struct request *req)
{
  enum request_state state = request_state(req);
  pmx_status status = PMX_NOT_RUN;

  if (state >= REQUEST_ENDING)
    return PMX_OK;
  if (state == REQUEST_QUEUED) {
    lane_dequeue(l, req);
  } else if (!conn_withdraw(&l->link.conn, req)) {
    conn_abandon(&l->link.conn, req);
    status = PMX_UNKNOWN;
  }
  l->ended++;
  yield_end(&l->yield, req, 0);
  l->given_up++;
  list_remove(&req->parked);
  lane_not_coming(l, req);
  lane_end_if_last(l); /* perhaps it waited for this one only */
  return status;
}
