/* SPDX-License-Identifier: BSD-3-Clause */
/* wait.c - see wait.h. Who wakes whom: a QUEUED request's parker is woken by the strategy that
 * assigns or ends it; a driven link wakes by I/O, or by a kick; a fired token does both. On the
 * reactor's own thread nothing may sleep: there the reactor is stepped instead, and whoever wakes a
 * parker wakes the reactor as well while `nested` is set. */
#include "link/wait.h"
#include "base/clock.h"
#include "link/lane.h"

enum { SLICE_NS = 2 * 1000 * 1000 };

struct waiter {
  struct cancel_hook hook;
  struct request *request;
  struct link_env *env;
  _Atomic int canceled;
};

/* Thread: the one that fires, under the token's lock. The order matters: the flag first, then every
 * place where the waiter may look for it. */
static void wake_waiter(struct cancel_hook *hook)
{
  struct waiter *w = container_of(hook, struct waiter, hook);
  struct parker *parker;
  struct link *link;

  atomic_store(&w->canceled, 1);
  parker = atomic_load(&w->request->parker);
  if (parker)
    parker_wake(parker);
  link = atomic_load(&w->request->link);
  if (link)
    transport_kick(&link->transport);
  if (w->request->lane)
    lane_interrupt(w->request->lane, w->request);
  reactor_wake_nested(w->env->reactor);
}

static int64_t end_of_queueing(const struct request *req)
{
  return req->queue_until < req->deadline ? req->queue_until : req->deadline;
}

/* 0 = time is up. */
static int wait_queued(struct waiter *w)
{
  struct request *req = w->request;
  struct parker *parker = atomic_load(&req->parker);
  uint32_t ticket;

  ticket = parker_ticket(parker);
  if (request_state(req) != REQUEST_QUEUED || atomic_load(&w->canceled))
    return 1;
  return !reactor_wait(w->env->reactor, parker, ticket, end_of_queueing(req)) ||
         request_state(req) != REQUEST_QUEUED;
}

static enum wait_result wait_on_lane(struct waiter *w)
{
  switch (lane_wait(w->request->lane, w->request, &w->canceled)) {
  case LANE_TIMEOUT:
    return WAIT_TIMEOUT;
  case LANE_NOMEM:
    return WAIT_NOMEM;
  case LANE_AGAIN:
    break;
  }
  return WAIT_ENDED;
}

/* The reactor has to do something for it, and with io=loop perhaps nobody runs it: then its own
 * link is one of those that the reactor looks at meanwhile. 0 = time is up. */
static int wait_helped(struct waiter *w)
{
  struct request *req = w->request;
  struct reactor *reactor = w->env->reactor;
  struct link *link = atomic_load(&req->link);
  int64_t until = time_after(clock_ns(), SLICE_NS); /* who runs it may leave any time */
  int helps = reactor_help(reactor);

  link_wait(link, until < req->deadline ? until : req->deadline);
  if (helps) {
    if (request_state(req) != REQUEST_ENDED)
      link_unwatch(link);
    reactor_end_help(reactor);
  }
  return request_state(req) == REQUEST_ENDED || clock_ns() < req->deadline;
}

/* On a link of its own. 0 = time is up. */
static int wait_once(struct waiter *w)
{
  struct request *req = w->request;
  struct link *link;

  switch (request_state(req)) {
  case REQUEST_NEW:
  case REQUEST_ENDING:
  case REQUEST_ENDED:
    return 1;
  case REQUEST_QUEUED:
    return wait_queued(w);
  case REQUEST_ASSIGNED:
    /* One that never queued has just been given its time. */
    if (atomic_load(&req->parker) && clock_ns() >= req->deadline)
      return 0;
    link = atomic_load(&req->link);
    link_begin(link, req, w->env->config->pool_check_on_borrow != CHECK_NONE);
    return 1;
  case REQUEST_WRITING:
  case REQUEST_SENT:
    if (req->helped && w->env->reactor->loop && !reactor_is_me(w->env->reactor))
      return wait_helped(w);
    return link_wait(atomic_load(&req->link), req->deadline);
  }
  return 1;
}

enum wait_result wait_until(struct request *req, struct link_env *env, pmx_cancel *token)
{
  struct waiter w = {.request = req, .env = env};
  enum wait_result result = WAIT_ENDED;
  int nested = reactor_is_me(env->reactor);

  if (token)
    cancel_attach(token, &w.hook, wake_waiter);
  if (nested)
    atomic_fetch_add(&env->reactor->nested, 1);
  while (request_state(req) != REQUEST_ENDED) {
    if (atomic_load(&w.canceled)) {
      result = WAIT_CANCELED;
      break;
    }
    if (req->lane)
      result = wait_on_lane(&w);
    else if (!wait_once(&w))
      result = WAIT_TIMEOUT;
    if (result != WAIT_ENDED)
      break;
  }
  if (nested)
    atomic_fetch_sub(&env->reactor->nested, 1);
  if (token)
    cancel_detach(&w.hook);
  return result;
}

enum wait_result wait_pause(struct link_env *env, int64_t until, pmx_cancel *token)
{
  struct parker *parker = parker_get(env->parkers);
  struct request nothing;
  enum wait_result result;

  if (!parker)
    return WAIT_CANCELED;
  request_init(&nothing, REQUEST_COMMAND);
  nothing.deadline = until;
  atomic_store(&nothing.parker, parker);
  request_set_state(&nothing, REQUEST_QUEUED);
  result = wait_until(&nothing, env, token);
  parker_put(env->parkers, parker);
  return result;
}
