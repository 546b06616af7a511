/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_drive.c - how synchronous callers wait: one of them holds the token and reads for all; the
 * others sleep until their requests have ended, or the token is theirs. */
#include "base/clock.h"
#include "link/lane_io.h"

enum { MANY_WAKES = 16 };

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
  int64_t spin = l->spin;

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
static void let_others_queue(struct lane *l)
{
  if (l->wake_count < MANY_WAKES)
    return;
  l->open = 1;
  l->now = 0; /* they do so later than that */
  lane_leave(l);
  lane_enter(l);
  l->open = 0;
}

static void take_token(struct lane *l, struct request *req, int64_t now)
{
  l->held = 1;
  l->now = now;
  atomic_store(&l->driver, req);
  if (lane_unseen(l, now))
    lane_look_first(l); /* closed, or out of step: nobody knows yet */
}

/* What has ended is told before: callbacks in the order of their replies. */
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
static enum lane_wait_result drive(struct lane *l, struct request *req, int64_t now,
                                   const _Atomic int *canceled)
{
  enum lane_wait_result result = LANE_AGAIN;

  take_token(l, req, now);
  for (;;) {
    unsigned ready;

    lane_flush(l);
    if (request_state(req) == REQUEST_ENDED || !l->up || atomic_load(canceled))
      break;
    ready = await(l, req->deadline);
    if (ready & NET_OUT)
      l->stuck = 0;
    if (ready & NET_IN) {
      lane_receive(l);
      let_others_queue(l);
    }
    if (request_state(req) != REQUEST_ENDED && (!ready || clock_ns() >= req->deadline)) {
      result = LANE_TIMEOUT;
      break;
    }
  }
  give_token_back(l);
  return result;
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
    result = drive(l, req, clock_ns(), canceled);
  lane_leave(l);
  return result;
}

/* A call inside a callback: the reactor does all, this thread lets it. */
static enum lane_wait_result wait_nested(struct reactor *reactor, const struct request *req)
{
  reactor_step(reactor, req->deadline);
  return clock_ns() < req->deadline ? LANE_AGAIN : LANE_TIMEOUT;
}

/* Drops the lock. Who has none to sleep on gets one, and looks again. */
static enum lane_wait_result get_parker(struct lane *l, struct request *req)
{
  if (l->held)
    yield_slept(&l->yield, req);
  lane_leave(l);
  atomic_store(&req->parker, parker_get(l->link.env->parkers));
  return atomic_load(&req->parker) ? LANE_AGAIN : LANE_NOMEM;
}

/* Drops the lock. Who has given way may have been away for long; who gives up then is still coming,
 * to withdraw its request, which nobody has to write before that. */
static enum lane_wait_result look(struct lane *l, struct request *req, int gave_way,
                                  const _Atomic int *canceled)
{
  int64_t now = gave_way || atomic_load(&req->parker) ? clock_ns() : req->queued_at;
  enum lane_wait_result result;

  if (gave_way && (now >= req->deadline || atomic_load(canceled))) {
    lane_leave(l);
    return atomic_load(canceled) ? LANE_AGAIN : LANE_TIMEOUT;
  }
  lane_not_coming(l, req);
  if (l->held || !l->up)
    return atomic_load(&req->parker) ? sleep_once(l, req, canceled) : get_parker(l, req);
  result = drive(l, req, now, canceled);
  lane_leave(l);
  return result;
}

enum lane_wait_result lane_wait(struct lane *l, struct request *req, const _Atomic int *canceled)
{
  int gives_way = req->turns > 0;
  int64_t late = -1;

  if (reactor_is_me(l->link.env->reactor))
    return wait_nested(l->link.env->reactor, req);
  if (gives_way) {
    late = yield_give_way(req, canceled);
    if (late < 0 && request_state(req) == REQUEST_ENDED)
      return LANE_AGAIN;
  }
  lane_enter(l);
  if (late >= 0)
    yield_late(&l->yield, req, late, clock_ns());
  if (request_state(req) != REQUEST_ENDED)
    return look(l, req, gives_way, canceled);
  lane_leave(l);
  return LANE_AGAIN;
}

/* The driver's own flag is set before this looks for it, and it looks at the flag before it sleeps.
 */
void lane_interrupt(struct lane *l, const struct request *req)
{
  if (atomic_load(&l->driver) == req)
    transport_kick(&l->link.transport);
}
