/* SPDX-License-Identifier: BSD-3-Clause */
/* call.c - one call from its arguments to its outcome: what may be sent at all, until when it may
 * take, and the loop of its tries. */
#include "api/call.h"
#include "api/batch.h"
#include "api/retry.h"
#include "api/trace.h"
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/probe.h"
#include "call/reply.h"
#include "call/timing.h"
#include "link/wait.h"
#include "resp/encode.h"
#include "route/classify.h"
#include "route/router.h"

/* ---- the options of a call ---- */

static const uint64_t retry_flags = PMX_CALL_RETRY_SAFE | PMX_CALL_NO_RETRY;
static const uint64_t place_flags = PMX_CALL_DEDICATED | PMX_CALL_SHARED;

static pmx_reply *check_flags(uint64_t flags)
{
  const uint64_t known = retry_flags | place_flags;

  if (flags & ~known)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "unknown bits 0x%llx in pmx_call.flags",
                         (unsigned long long)(flags & ~known));
  if ((flags & retry_flags) == retry_flags)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE,
                              "PMX_CALL_RETRY_SAFE and PMX_CALL_NO_RETRY contradict each other");
  if ((flags & place_flags) == place_flags)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE,
                              "PMX_CALL_DEDICATED and PMX_CALL_SHARED contradict each other");
  return NULL;
}

/* A shorter struct comes from a program built with an older header. */
static pmx_reply *copy_call(const pmx_call *in, pmx_call *ret)
{
  size_t size = in ? in->size : 0;

  if (!in)
    return NULL;
  if (size < offsetof(pmx_call, deadline_ms))
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE,
                              "pmx_call.size is not set: begin with PMX_CALL_INIT");
  memcpy(ret, in, size < sizeof *ret ? size : sizeof *ret);
  return check_flags(ret->flags);
}

pmx_reply *call_read(const pmx_client *c, const pmx_call *in, struct call *ret)
{
  pmx_call call = PMX_CALL_INIT;
  pmx_reply *failure = copy_call(in, &call);
  int64_t absolute = call.deadline_ms, timeout;

  if (failure)
    return failure;
  ret->flags = call.flags;
  ret->cancel = call.cancel;
  ret->timing = NULL;
  ret->thread = thread_number();
  ret->started = clock_ns();
  ret->has_timeout = call.timeout_ms != PMX_DEFAULT;
  timeout = ret->has_timeout ? time_from_ms(call.timeout_ms)
                             : atomic_load_explicit(&c->command_timeout, memory_order_relaxed);
  ret->deadline = time_after(ret->started, timeout);
  ret->cap = absolute == PMX_DEFAULT ? TIME_FOREVER : time_from_ms(absolute);
  if (ret->cap < ret->deadline)
    ret->deadline = ret->cap;
  return NULL;
}

static void wake_nobody(struct cancel_hook *hook)
{
  (void)hook;
}

void call_hold(struct call *call)
{
  if (call->cancel)
    cancel_attach(call->cancel, &call->hold, wake_nobody);
}

void call_let_go(struct call *call)
{
  if (call->cancel)
    cancel_detach(&call->hold);
}

pmx_reply *call_may_begin(const struct call *call)
{
  if (cancel_fired(call->cancel))
    return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CANCELED, "cancelled before it began");
  if (call->started >= call->deadline)
    return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_TIMEOUT, "no time was left when it began");
  return NULL;
}

/* A blocking command brings its own time; the caller may have named a shorter one. */
void call_allow_blocking(const pmx_client *c, const struct route *route, struct call *call)
{
  int64_t grace = atomic_load_explicit(&c->blocking_grace, memory_order_relaxed);
  int64_t own = TIME_FOREVER;

  if (!(route->flags & ROUTE_BLOCKING))
    return;
  if (route->block_ms != ROUTE_BLOCK_FOREVER)
    own = time_after(time_after(call->started, time_from_ms(route->block_ms)), grace);
  if (!call->has_timeout || own < call->deadline)
    call->deadline = own;
  if (call->cap < call->deadline)
    call->deadline = call->cap;
}

void order_init(struct order *order, struct link *link, uint64_t ticket)
{
  order->link = link;
  order->ticket = ticket;
  order->learn = 0;
  order->encoded = (struct encoded){NULL, NULL, 0};
  order->parts = NULL;
  order->given_away = 0;
  order->attempt = call_send;
  order->max_tries = 0;
  order->started = order->ended = 0;
}

/* ---- one try ---- */

pmx_reply *call_wait(struct node *node, struct request *req, pmx_cancel *cancel)
{
  return call_wait_on(node->strategy, &node->env, req, cancel);
}

pmx_reply *call_wait_on(struct strategy *strategy, struct link_env *env, struct request *req,
                        pmx_cancel *cancel)
{
  static const pmx_cause cause_of[] = {[WAIT_TIMEOUT] = PMX_CAUSE_TIMEOUT,
                                       [WAIT_CANCELED] = PMX_CAUSE_CANCELED,
                                       [WAIT_NOMEM] = PMX_CAUSE_NOMEM};
  struct parker *parker;
  enum wait_result result;
  pmx_reply *failure;

  req->attended = !reactor_is_me(env->reactor);
  failure = strategy->ops->submit(strategy, req);
  if (failure) {
    request_publish(req);
    req->reply = failure;
  }
  while ((result = wait_until(req, env, cancel)) != WAIT_ENDED) {
    strategy->ops->cancel(strategy, req, cause_of[result]);
    if (result == WAIT_CANCELED)
      cancel = NULL; /* it has said all it can, should the request go on for a moment */
  }
  parker = atomic_load(&req->parker);
  if (parker)
    parker_put(env->parkers, parker);
  return req->reply;
}

void call_prepare(struct request *req, const struct order *order, const struct call *call,
                  int64_t now)
{
  request_init(req, REQUEST_COMMAND);
  req->bytes = order->encoded.bytes;
  req->size = order->encoded.size;
  req->heap = order->encoded.heap;
  req->replies = order->parts ? parts_answers(order->parts) : 1;
  req->parts = order->parts;
  req->thread = call->thread;
  req->route = order->route;
  req->pinned = order->link;
  req->ticket = order->ticket;
  req->queued_at = now;
  req->deadline = call->deadline;
  req->timing = call->timing;
  if (req->timing)
    timing_begin(req->timing, now);
  PROBE2(call__begin, req->route.command, req);
}

void call_take_back(const struct request *req, struct order *order)
{
  order->given_away |= order->encoded.heap && !req->heap; /* a lane has to send the rest of it */
  order->encoded.heap = req->heap;
  order->ended = req->ended_at;
  if (req->timing)
    timing_end(req->timing, req->reply);
  PROBE2(call__end, req->route.command, req);
}

pmx_reply *call_send(struct runtime *rt, struct order *order, const struct call *call, int64_t now)
{
  struct request req;
  pmx_reply *reply;

  if (order->parts)
    parts_reset(order->parts);
  call_prepare(&req, order, call, now);
  reply = call_wait(runtime_node(rt, &req), &req, call->cancel);
  call_take_back(&req, order);
  return order->parts ? group_judge(order, reply) : reply;
}

static int pause_until(struct runtime *rt, const struct call *call, int64_t at, int64_t now)
{
  return at <= now || wait_pause(&rt->node.env, at, call->cancel) != WAIT_CANCELED;
}

static pmx_reply *run(pmx_client *c, struct runtime *rt, struct order *order,
                      const struct call *call, struct attempts *attempts)
{
  int64_t now = call->started, at;
  pmx_reply *reply;

  for (;;) {
    reply = order->attempt(rt, order, call, now);
    if (pmx_reply_status(reply) == PMX_OK)
      return reply;
    now = clock_ns();
    at = retry_at(c, order, call, reply, attempts, now);
    if (at == RETRY_NOT)
      break;
    order->ended = 0; /* not when this try did */
    if (!pause_until(rt, call, at, now))
      break;
    retry_begins(c, attempts, reply);
    now = clock_ns();
  }
  return retry_sum_up(order, attempts, reply);
}

/* ---- the whole call ---- */

pmx_reply *call_refuse(const pmx_client *c, const struct order *order)
{
  if (order->route.flags & ROUTE_FORBIDDEN)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED, order->route.hint);
  return c->strategy->refuse(&order->route, order->link != NULL);
}

static enum route_wish wish_of(const struct call *call)
{
  if (call->flags & PMX_CALL_DEDICATED)
    return WISH_DEDICATED;
  return call->flags & PMX_CALL_SHARED ? WISH_SHARED : WISH_NONE;
}

pmx_reply *call_make_order(const pmx_client *c, const struct call *call, const struct args *args,
                           char *small, size_t small_size, struct order *order)
{
  pmx_reply *failure;

  classify(args->argc, args->argv, args->len, &order->route);
  order->route.wish = (uint8_t)wish_of(call);
  failure = call_refuse(c, order);
  return failure ? failure
                 : encode_args(&order->encoded, args, (size_t)c->config.request_max_size, small,
                               small_size);
}

/* A group was made before the options of its call were read. */
static pmx_reply *refuse_wish(const pmx_client *c, const struct call *call, struct order *order)
{
  order->route.wish = (uint8_t)wish_of(call);
  return order->route.wish == WISH_NONE ? NULL : call_refuse(c, order);
}

/* Has much been the answer lately? Then it leaves the lane, or is only counted. */
static void look_at_history(pmx_client *c, const struct args *args, struct order *order)
{
  if (c->config.hybrid_learn == LEARN_OFF || !args || args->argc < 2)
    return;
  order->learn = learn_key(&order->route, args->argv[1], args->len[1]);
  if (!learn_is_large(&c->learn, order->learn))
    return;
  atomic_fetch_add_explicit(&c->counters.routed[REASON_LEARNED], 1, memory_order_relaxed);
  if (c->config.hybrid_learn == LEARN_ON) {
    order->route.place = PLACE_POOL;
    order->route.reason = REASON_LEARNED;
  }
}

void call_learn(pmx_client *c, const struct order *order, const pmx_reply *reply)
{
  if (order->learn && pmx_reply_status(reply) == PMX_OK)
    learn_note(&c->learn, order->learn, reply_bytes(reply) > (uint64_t)c->config.hybrid_bulk_reply);
}

void call_route(pmx_client *c, struct runtime *rt, const struct args *args, struct order *order)
{
  if (!c->strategy->routes || order->link)
    return;
  router_place(&order->route, order->encoded.size, &c->config);
  if (order->route.reason == REASON_UNKNOWN)
    unknown_settle(c, &rt->unknowns, args->argv[0], args->len[0], &order->route);
  if (order->route.reason == REASON_ORDINARY)
    look_at_history(c, args, order);
  else
    atomic_fetch_add_explicit(&c->counters.routed[order->route.reason], 1, memory_order_relaxed);
}

pmx_reply *call_perform(pmx_client *c, struct runtime *rt, const struct args *args,
                        struct order *order, struct call *call, struct attempts *attempts)
{
  struct timing timing;
  void *span = NULL;
  pmx_reply *reply;

  call_route(c, rt, args, order);
  call_allow_blocking(c, &order->route, call);
  if (trace_wanted(c))
    span = trace_begin(c, rt, order, call, attempts, &timing);
  reply = run(c, rt, order, call, attempts);
  call_learn(c, order, reply);
  if (trace_wanted(c))
    trace_end(c, rt, order, call, span, reply ? reply : group_list(order));
  call->timing = NULL;
  return reply;
}

pmx_reply *call_carry_out(pmx_client *c, const pmx_call *in, const struct args *args,
                          struct order *order)
{
  char small[ENCODED_SMALL];
  struct attempts attempts = {0};
  struct call call;
  struct runtime *rt = NULL;
  pmx_reply *reply = call_read(c, in, &call);

  if (!reply)
    reply = args ? call_make_order(c, &call, args, small, sizeof small, order)
                 : refuse_wish(c, &call, order);
  if (reply)
    return reply;
  order->started = call.started;
  call_hold(&call);
  reply = call_may_begin(&call);
  if (!reply)
    rt = client_runtime(c, &reply);
  if (rt)
    reply = call_perform(c, rt, args, order, &call, &attempts);
  call_let_go(&call);
  return reply;
}

pmx_reply *call_execute(pmx_client *c, const pmx_call *in, struct args *args, pmx_reply *bad_args,
                        struct link *link, uint64_t ticket)
{
  struct order order;
  pmx_reply *reply;
  int cancel_state;

  if (!c)
    return bad_args ? bad_args
                    : reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the client is NULL");
  order_init(&order, link, ticket);
  cancel_state = thread_cancel_disable();
  reply = bad_args ? bad_args : call_carry_out(c, in, args, &order);
  call_count(c, reply, order.started, order.ended);
  encoded_clear(&order.encoded);
  thread_cancel_restore(cancel_state);
  return reply;
}
