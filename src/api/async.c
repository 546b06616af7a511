/* SPDX-License-Identifier: BSD-3-Clause */
/* async.c - a call that nobody waits for, from submission to callback or future. Knows neither
 * bytes nor strategies.
 *
 * A call is RUNNING (its request is the strategy's), PAUSED (before its next try) or over. Its
 * request completes on any thread (async_completed). Everything else, a deadline that passes, a
 * token that was fired, the next try, happens on the reactor's thread, so these never meet each
 * other; and each of them holds a reference, so that the call may complete meanwhile. Callbacks run
 * between the reactor's steps. A future is told by whoever completes its call. */
#include "api/async_parts.h"
#include <string.h>
#include "api/trace.h"
#include "base/clock.h"
#include "base/mem.h"
#include "call/reply.h"
#include "route/classify.h"

enum { UNDELIVERED_MAX = 65536, BLOCK_SIZE = 1024 };

static struct async *of_request(struct request *req)
{
  return container_of(req, struct async, request);
}

void async_unref(struct async *a)
{
  /* Whoever finds one reference has it: no need to lock the bus. */
  if (atomic_load_explicit(&a->refs, memory_order_acquire) != 1 &&
      atomic_fetch_sub(&a->refs, 1) != 1)
    return;
  encoded_clear(&a->order.encoded);
  mem_free(a);
}

/* ---- the end ---- */

static int is_traced(const struct async *a)
{
  return trace_wanted(a->client) && !a->target.internal;
}

static void run_callback(struct job *job)
{
  struct async *a = container_of(job, struct async, job);

  if (!a->target.future && !a->target.internal)
    call_count_in_callback(a->client, a->reply, a->call.started, a->order.ended);
  if (is_traced(a))
    trace_end(a->client, a->runtime, &a->order, &a->call, a->span, a->reply);
  if (a->target.fn)
    a->target.fn(a->target.ud, a->reply);
  pmx_reply_free(a->reply);
  async_unref(a);
}

void async_finish(struct async *a, pmx_reply *reply)
{
  struct reactor *reactor = &a->runtime->reactor;

  if (!a->order.ended) /* it was given up: now, whenever its callback's turn comes */
    a->order.ended = clock_ns();
  reply = retry_sum_up(&a->order, &a->attempts, reply);
  atomic_store_explicit(&a->over, 1, memory_order_release);
  call_let_go(&a->call);
  call_learn(a->client, &a->order, reply);
  if (a->target.future)
    call_count(a->client, reply, a->call.started, a->order.ended);
  if (a->target.future && !is_traced(a)) {
    timer_clear(reactor, &a->timer);
    future_publish(a->target.future, reply);
    async_unref(a);
    return;
  }
  a->reply = reply;
  if (a->target.future) /* its trace ends where callbacks run, whichever thread we are on */
    future_publish(a->target.future, pmx_reply_ref(reply));
  a->job.run = run_callback;
  reactor_call(reactor, &a->job, &a->timer);
}

/* ---- tries ---- */

static void async_completed(struct request *req);

static pmx_reply *submit(struct async *a, int64_t now)
{
  struct node *node;

  call_prepare(&a->request, &a->order, &a->call, now);
  a->request.completed = async_completed;
  node = runtime_node(a->runtime, &a->request);
  return node->strategy->ops->submit(node->strategy, &a->request);
}

void async_try_again(struct async *a)
{
  int64_t now = clock_ns();
  pmx_reply *failure;

  retry_begins(a->client, &a->attempts, a->reply);
  a->reply = NULL;
  a->order.ended = 0;
  if (a->call.deadline != TIME_FOREVER)
    timer_set(&a->runtime->reactor, &a->timer, a->call.deadline);
  failure = submit(a, now);
  if (failure)
    async_finish(a, failure);
}

/* Thread: reactor. The last try may be followed by another: a->reply is its outcome. */
static void consider(struct job *job)
{
  struct async *a = container_of(job, struct async, job);
  int64_t now = clock_ns();
  int64_t at = retry_at(a->client, &a->order, &a->call, a->reply, &a->attempts, now);

  if (at == RETRY_NOT || cancel_fired(a->call.cancel) || atomic_load(&a->abandoned)) {
    async_finish(a, a->reply);
  } else if (at <= now) {
    async_try_again(a);
  } else if (atomic_load(&a->client->closed)) {
    async_finish(a, a->reply); /* there will be no other try */
  } else {
    a->paused = 1;
    list_push_back(&a->runtime->paused, &a->pause);
    timer_set(&a->runtime->reactor, &a->timer, at);
  }
}

/* Thread: any. Locks: none. */
static void async_completed(struct request *req)
{
  struct async *a = of_request(req);
  struct reactor *reactor = &a->runtime->reactor;
  pmx_reply *reply = req->reply;

  call_take_back(&a->request, &a->order);
  if (pmx_reply_status(reply) == PMX_OK ||
      retry_at(a->client, &a->order, &a->call, reply, &a->attempts, clock_ns()) == RETRY_NOT) {
    async_finish(a, reply);
    return;
  }
  a->reply = reply;
  a->job.run = consider;
  reactor_post(reactor, &a->job); /* it may end there at once, and be gone */
  reactor_wake(reactor);
}

/* ---- the beginning ---- */

/* All blocks have one size, so that the allocator finds one that was just freed. */
static struct async *make(pmx_client *c, const struct async_target *target)
{
  struct async *a = mem_alloc(BLOCK_SIZE);

  if (!a)
    return NULL;
  memset(&a->refs, 0, offsetof(struct async, client) - offsetof(struct async, refs));
  a->client = c;
  a->target = *target;
  order_init(&a->order, NULL, 0);
  a->timer = (struct timer){.run = async_time_is_up, .hold = async_hold};
  list_init(&a->pause);
  job_init(&a->job, consider);
  job_init(&a->cancel, async_run_cancel);
  return a;
}

/* Behind it in its block: its times when it is traced, then a small command. */
static pmx_reply *make_order(struct async *a, const pmx_call *in, const struct args *args)
{
  size_t begin = is_traced(a) ? sizeof(struct timing) : 0;
  pmx_reply *failure = call_read(a->client, in, &a->call);

  if (!failure)
    failure = call_make_order(a->client, &a->call, args, a->behind + begin,
                              BLOCK_SIZE - sizeof *a - begin, &a->order);
  if (!failure)
    a->runtime = client_runtime(a->client, &failure);
  return failure;
}

/* The deadline and the token come into force. It may be over by now, or pause before its next try,
 * which has set the timer then. */
static void guard(struct async *a, int ours)
{
  if (a->call.deadline != TIME_FOREVER && ours)
    timer_begin_own(&a->runtime->reactor, &a->timer, a->call.deadline);
  else if (a->call.deadline != TIME_FOREVER)
    timer_begin(&a->runtime->reactor, &a->timer, a->call.deadline);
  if (!a->call.cancel)
    return;
  atomic_store(&a->submitted, 1);
  if (atomic_load(&a->fired))
    async_post_cancel(a);
}

/* Somebody's callback takes long, and the replies of others pile up behind it. */
static pmx_reply *check_backlog(const struct async *a)
{
  unsigned n = reactor_backlog(&a->runtime->reactor);

  if (n < UNDELIVERED_MAX)
    return NULL;
  return reply_failure(PMX_NOT_RUN, PMX_CAUSE_QUEUE_FULL, "%u callbacks have yet to run", n);
}

static pmx_reply *submit_traced(struct async *a)
{
  pmx_reply *failure;

  if (is_traced(a))
    a->span = trace_begin(a->client, a->runtime, &a->order, &a->call, &a->attempts,
                          (struct timing *)(void *)a->behind);
  failure = submit(a, a->call.started);
  if (failure && is_traced(a))
    trace_end(a->client, a->runtime, &a->order, &a->call, a->span, failure);
  return failure;
}

/* A callback's call that begins where callbacks run: none runs meanwhile, so it is there for as
 * long as we look at it, and nobody else touches its timer. */
static int is_ours(const struct async *a)
{
  return !a->target.future && reactor_is_run_by(&a->runtime->reactor, a->call.thread);
}

static pmx_reply *begin(struct async *a, int ours)
{
  pmx_reply *failure;

  if (a->call.cancel)
    cancel_attach(a->call.cancel, &a->call.hold, async_token_fired);
  failure = call_may_begin(&a->call);
  if (!failure)
    failure = check_backlog(a);
  if (!failure)
    failure = submit_traced(a);
  if (failure) {
    call_let_go(&a->call);
    async_unref(a);
  } else {
    guard(a, ours);
  }
  if (!ours)
    async_unref(a);
  return failure;
}

/* While it waits at the server: what nobody reads is lost. */
static int takes_something(const struct route *route)
{
  return (route->flags & ROUTE_KEYWAIT) && !(route->flags & ROUTE_READONLY);
}

static pmx_reply *start(struct async *a, const struct args *args)
{
  int ours;

  call_route(a->client, a->runtime, args, &a->order);
  call_allow_blocking(a->client, &a->order.route, &a->call);
  ours = is_ours(a);
  atomic_init(&a->refs, ours ? 1 : 2); /* the call, and we */
  if (a->target.future && takes_something(&a->order.route)) {
    atomic_fetch_add(&a->refs, 1);
    future_has_call(a->target.future, a);
  }
  return begin(a, ours);
}

static pmx_reply *make_and_start(pmx_client *c, const pmx_call *in, const struct args *args,
                                 const struct async_target *target)
{
  struct async *a = make(c, target);
  pmx_reply *failure;

  if (!a)
    return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
  failure = make_order(a, in, args);
  if (!failure)
    return start(a, args);
  atomic_init(&a->refs, 1);
  async_unref(a);
  return failure;
}

pmx_reply *async_start(pmx_client *c, const pmx_call *in, const struct args *args,
                       pmx_reply *bad_args, const struct async_target *target)
{
  pmx_reply *failure = bad_args ? bad_args : make_and_start(c, in, args, target);

  if (failure && !target->internal)
    call_count(c, failure, 0, 0);
  return failure;
}
