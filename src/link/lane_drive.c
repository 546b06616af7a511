/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_drive.c - how synchronous callers wait: one of them, or the reader of a crowd, holds the
 * token and reads for all; the others sleep until their requests have ended, or the token is
 * theirs. */
#include "base/clock.h"
#include "link/lane_io.h"

enum { MANY_WAKES = 16, IDLE_NS = 5 * 1000 * 1000 };

/* Looks again and again instead of sleeping: a core that does not go idle wakes faster. */
static unsigned look_for(struct transport *t, unsigned events, int64_t spin, int64_t deadline)
{
  int64_t now = clock_ns(), end = time_after(now, spin);
  unsigned ready;

  end = end < deadline ? end : deadline;
  do {
    ready = transport_wait(t, events, now);
    now = clock_ns();
  } while (!ready && now < end);
  return ready;
}

/* Sleeps until there is something to read, or room that is wanted; not at all when others queue
 * faster than is written. The lock is dropped meanwhile. */
static unsigned await(struct lane *l, int64_t deadline)
{
  unsigned events = NET_IN | (l->stuck ? (unsigned)NET_OUT : 0), ready;
  int64_t spin = lane_busy(l) ? l->spin : 0;

  if (!l->writing && lane_writable(l))
    return NET_IN;
  l->blocked = 1;
  l->now = 0;
  l->watches_out = l->stuck;
  lane_leave(l);
  ready = spin > 0 ? look_for(&l->link.transport, events, spin, deadline) : 0;
  if (!ready)
    ready = transport_wait(&l->link.transport, events, deadline);
  lane_enter(l);
  l->blocked = 0;
  return ready;
}

/* Those that wake up now are about to submit again: what they queue travels in one write, or in two
 * (see is_worth_writing). Fewer of them had better find a driver who sleeps, and write at once. */
static void let_others_queue(struct lane *l, unsigned many)
{
  if (l->wake_count < many)
    return;
  l->open = 1;
  l->now = 0; /* they do so later than that */
  lane_leave(l);
  lane_enter(l);
  l->open = 0;
}

/* Sleeps once, and does what came. What it was; 0: time is up, perhaps. */
static unsigned read_next(struct lane *l, int64_t deadline, unsigned many)
{
  unsigned ready = await(l, deadline);

  if (ready & NET_OUT)
    l->stuck = 0;
  if (ready & NET_IN) {
    lane_receive(l);
    let_others_queue(l, many);
  }
  return ready;
}

static void take_token(struct lane *l, struct request *req, int64_t since)
{
  l->held = 1;
  atomic_store(&l->driver, req);
  if (lane_unseen(l, since))
    lane_look_first(l); /* closed, or out of step: nobody knows yet */
}

/* What has ended is told before: who closes the client waits for the token, and for nothing that a
 * reader tells later, who has no reference of its own. */
static void give_token_back(struct lane *l)
{
  lane_flush(l); /* what came meanwhile; then the next one drives */
  while (!list_empty(&l->finished)) {
    lane_leave(l);
    lane_enter(l);
    lane_flush(l);
  }
  l->seen_at = l->now ? l->now : clock_ns();
  atomic_store(&l->driver, NULL);
  l->now = 0;
  l->held = 0;
}

/* Until its own request has ended, its time is up, or it is cancelled. Reads for all meanwhile. */
static enum lane_wait_result drive(struct lane *l, struct request *req, const _Atomic int *canceled)
{
  enum lane_wait_result result = LANE_AGAIN;

  take_token(l, req, req->queued_at);
  for (;;) {
    unsigned ready;

    lane_flush(l);
    if (request_state(req) == REQUEST_ENDED || !l->up || atomic_load(canceled))
      break;
    ready = read_next(l, req->deadline, MANY_WAKES);
    if (request_state(req) != REQUEST_ENDED && (!ready || clock_ns() >= req->deadline)) {
      result = LANE_TIMEOUT;
      break;
    }
  }
  give_token_back(l);
  return result;
}

/* Between two calls of everybody nothing is owed: it waits for a moment, then leaves the lane to
 * whoever comes. What came late meanwhile, or was said before a call, does not meet that. */
void lane_read_for_all(struct lane *l)
{
  unsigned ready = NET_IN;

  take_token(l, NULL, clock_ns());
  for (;;) {
    if (!(ready & NET_IN) && !lane_busy(l) && !list_empty(&l->queue))
      lane_look_first(l);
    lane_flush(l);
    if (!l->up || l->crowd < LANE_CROWD_LEFT || (!ready && !lane_busy(l)))
      break;
    l->seen_at = clock_ns();
    ready = read_next(l, lane_busy(l) ? TIME_FOREVER : time_after(l->seen_at, IDLE_NS), 1);
  }
  give_token_back(l);
}

/* Takes over the lock. */
static enum lane_wait_result sleep_once(struct lane *l, struct request *req,
                                        const _Atomic int *canceled)
{
  struct parker *parker = atomic_load(&req->parker);
  uint32_t ticket = parker_ticket(parker);
  enum lane_wait_result result = LANE_AGAIN;

  list_push_back(&l->parked, &req->parked);
  lane_leave(l);
  if (!atomic_load(canceled) && reactor_wait(l->link.env->reactor, parker, ticket, req->deadline))
    result = LANE_TIMEOUT;
  if (request_state(req) == REQUEST_ENDED)
    return LANE_AGAIN;
  lane_enter(l);
  list_remove(&req->parked);
  lane_not_coming(l, req);
  if (request_state(req) != REQUEST_ENDED && result == LANE_AGAIN && l->up && !l->held)
    result = drive(l, req, canceled);
  lane_leave(l);
  return result;
}

/* A call inside a callback: the reactor does all, this thread lets it. */
static enum lane_wait_result wait_nested(struct reactor *reactor, const struct request *req)
{
  reactor_step(reactor, req->deadline);
  return clock_ns() < req->deadline ? LANE_AGAIN : LANE_TIMEOUT;
}

enum lane_wait_result lane_wait(struct lane *l, struct request *req, const _Atomic int *canceled)
{
  struct link_env *env = l->link.env;
  enum lane_wait_result result = LANE_AGAIN;
  int sleeps;

  if (reactor_is_me(env->reactor))
    return wait_nested(env->reactor, req);
  lane_enter(l);
  lane_not_coming(l, req);
  sleeps = l->held || !l->up || lane_reader_comes(l);
  if (sleeps && atomic_load(&req->parker) && request_state(req) != REQUEST_ENDED)
    return sleep_once(l, req, canceled);
  if (!sleeps && request_state(req) != REQUEST_ENDED) {
    l->now = atomic_load(&req->parker) ? 0 : req->queued_at; /* it has just begun */
    result = drive(l, req, canceled);
  }
  lane_leave(l);
  if (sleeps && !atomic_load(&req->parker)) {
    atomic_store(&req->parker, parker_get(env->parkers));
    return atomic_load(&req->parker) ? LANE_AGAIN : LANE_NOMEM;
  }
  return result;
}

/* The driver's own flag is set before this looks for it, and it looks at the flag before it sleeps.
 */
void lane_interrupt(struct lane *l, const struct request *req)
{
  if (atomic_load(&l->driver) == req)
    transport_kick(&l->link.transport);
}
