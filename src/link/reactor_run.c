/* SPDX-License-Identifier: BSD-3-Clause */
/* reactor_run.c - who runs a reactor. With io=thread its own thread does, for as long as the client
 * lives. With io=loop whoever comes: the application in reactor_dispatch, else a thread that waits
 * for something (reactor_wait). One at a time: `runner`. Callbacks run in the thread and in
 * dispatch, between two steps.
 *
 * io=loop: a thread that waits while another runs the reactor is among the `helpers`; who stops
 * running it wakes the first of them, so that somebody runs it as long as anybody waits. Those who
 * dispatch stand in front and have a claim: a helper that runs it is asked to come out, and none
 * goes in. */
#include <errno.h>
#include "base/clock.h"
#include "link/reactor.h"
#include "net/tls_context.h"

enum { WIND_UP_STEP_NS = 5 * 1000 * 1000, COME_OUT_NS = 10 * 1000 * 1000 };

#define HELPS (1U << 31) /* in runner: it only waits, and runs no callback */

struct helper {
  struct list node;
  struct parker *parker;
};

static unsigned mark_of(unsigned thread)
{
  return thread + 1;
}

static unsigned me(void)
{
  return mark_of(thread_number());
}

int reactor_is_me(const struct reactor *r)
{
  return (atomic_load_explicit(&r->runner, memory_order_relaxed) & ~HELPS) == me();
}

int reactor_is_run_by(const struct reactor *r, unsigned thread)
{
  return atomic_load_explicit(&r->runner, memory_order_relaxed) == mark_of(thread);
}

int reactor_is_mine(const struct reactor *r)
{
  return reactor_is_run_by(r, thread_number());
}

static int is_ours(const struct reactor *r)
{
  return r->fork_generation == fork_generation();
}

/* ---- callbacks ---- */

/* More may come of them. How many. */
static int run_callbacks(struct reactor *r)
{
  struct list callbacks, *node;
  int n = 0;

  reactor_take_callbacks(r, &callbacks);
  /* In the child of a fork inside a callback the others are the parent's. */
  while ((node = list_first(&callbacks)) && is_ours(r)) {
    struct job *job = container_of(node, struct job, node);

    list_remove(node);
    atomic_store_explicit(&r->ran, atomic_load_explicit(&r->ran, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    job->run(job);
    n++;
  }
  return n;
}

static int run_user_code(struct reactor *r)
{
  int n = run_callbacks(r);

  return is_ours(r) ? n + notices_deliver(r->notices) : n;
}

/* What was cut off has to come out, and everybody who was promised a callback gets it. One of those
 * may fork: to the child nothing here belongs. */
static void wind_up(struct reactor *r)
{
  while (is_ours(r) && (!r->wind_up(r) || reactor_busy(r))) {
    reactor_step(r, clock_ns() + WIND_UP_STEP_NS);
    run_user_code(r);
  }
  if (is_ours(r) && r->final)
    r->final(r->final_arg);
}

/* ---- io=thread ---- */

static void thread_main(void *arg)
{
  struct reactor *r = arg;

  atomic_store(&r->runner, me());
  while (!atomic_load(&r->stop) && is_ours(r)) {
    reactor_step(r, TIME_FOREVER);
    run_user_code(r);
  }
  wind_up(r);
  tls_end_thread();
}

/* ---- io=loop ---- */

/* 0: it is ours, else the runner. */
static unsigned enter(struct reactor *r, unsigned helps)
{
  unsigned runner = 0;

  atomic_compare_exchange_strong(&r->runner, &runner, me() | helps);
  return runner;
}

/* The first of those who wait runs it from here on. */
static void wake_helper(struct reactor *r)
{
  struct list *first;

  lock_acquire(&r->lock);
  first = list_first(&r->helpers);
  if (first && !atomic_load(&r->runner))
    parker_wake(container_of(first, struct helper, node)->parker);
  lock_release(&r->lock);
}

/* The descriptor becomes readable when there is something to do, also by the clock. */
static void leave(struct reactor *r)
{
  int64_t due;

  atomic_fetch_add(&r->nested, 1);
  due = reactor_run_due(r);
  atomic_fetch_sub(&r->nested, 1);
  if (due == 0)
    poller_wake(r->poller);
  else
    poller_set_timer(r->poller, due);
  if (reactor_calls(r))
    poller_call(r->poller, 1);
  atomic_store(&r->runner, 0);
  wake_helper(r);
}

static void step_nested(struct reactor *r, struct parker *parker, uint32_t ticket, int64_t deadline)
{
  atomic_fetch_add(&r->nested, 1);
  if (parker_ticket(parker) == ticket)
    reactor_step(r, deadline);
  atomic_fetch_sub(&r->nested, 1);
}

/* Among the helpers; in front of them with a claim. */
static void join(struct reactor *r, struct helper *helper, unsigned claim)
{
  lock_acquire(&r->lock);
  if (claim)
    list_push_front(&r->helpers, &helper->node);
  else
    list_push_back(&r->helpers, &helper->node);
  r->claims += claim;
  lock_release(&r->lock);
}

/* A wake that was meant for the first of the helpers may have come here: it is handed on. */
static void part(struct reactor *r, struct helper *helper, unsigned claim)
{
  lock_acquire(&r->lock);
  list_remove(&helper->node);
  r->claims -= claim;
  lock_release(&r->lock);
  wake_helper(r);
}

static int is_claimed(struct reactor *r)
{
  unsigned claims;

  lock_acquire(&r->lock);
  claims = r->claims;
  lock_release(&r->lock);
  return claims > 0;
}

static int help(struct reactor *r, struct parker *parker, uint32_t ticket, int64_t deadline)
{
  struct helper helper = {.parker = parker};
  int late;

  join(r, &helper, 0);
  if (!is_claimed(r) && enter(r, HELPS) == 0) {
    if (!is_claimed(r)) /* who claims it from here on finds us in, and asks us to come out */
      step_nested(r, parker, ticket, deadline);
    leave(r);
    late = clock_ns() >= deadline;
  } else {
    late = parker_park(parker, ticket, deadline);
  }
  part(r, &helper, 0);
  return late;
}

int reactor_help(struct reactor *r)
{
  if (is_claimed(r) || enter(r, HELPS) != 0)
    return 0;
  atomic_fetch_add(&r->nested, 1);
  return 1;
}

void reactor_end_help(struct reactor *r)
{
  atomic_fetch_sub(&r->nested, 1);
  leave(r);
}

int reactor_wait(struct reactor *r, struct parker *parker, uint32_t ticket, int64_t deadline)
{
  if (reactor_is_me(r)) {
    step_nested(r, parker, ticket, deadline);
    return clock_ns() >= deadline;
  }
  return r->loop ? help(r, parker, ticket, deadline) : parker_park(parker, ticket, deadline);
}

/* Until it is ours to run. 0: time is up. Whoever only helps is out in a moment. */
static int enter_by(struct reactor *r, int64_t deadline)
{
  struct parker parker;
  struct helper helper = {.parker = &parker};
  int64_t patience = clock_ns() + COME_OUT_NS;
  unsigned runner;
  int late = 0;

  patience = deadline > patience ? deadline : patience;
  parker_init(&parker);
  join(r, &helper, 1);
  for (;;) {
    uint32_t ticket = parker_ticket(&parker);

    runner = enter(r, 0);
    if (!runner || late)
      break;
    if (runner & HELPS)
      poller_wake(r->poller);
    late = parker_park(&parker, ticket, runner & HELPS ? patience : deadline);
  }
  part(r, &helper, 1);
  parker_destroy(&parker);
  return !runner;
}

int reactor_dispatch(struct reactor *r, int64_t deadline)
{
  int n = 0;

  if (!r->loop || reactor_is_me(r) || !enter_by(r, deadline))
    return 0;
  do {
    reactor_step(r, n ? 0 : deadline);
    poller_call(r->poller, 0);
    n += run_user_code(r);
  } while (n == 0 && is_ours(r) && !atomic_load(&r->stop) && clock_ns() < deadline);
  if (!is_ours(r))
    return n;
  if (atomic_load(&r->stop))
    wind_up(r);
  else
    leave(r);
  return n;
}

int reactor_fd(const struct reactor *r)
{
  return r->loop ? poller_fd(r->poller) : -1;
}

/* ---- life ---- */

static void wake_arg(void *arg)
{
  reactor_call_user(arg);
}

static int nothing_to_wind_up(struct reactor *r)
{
  (void)r;
  return 1;
}

int reactor_open(struct reactor *r, struct notices *notices, int loop)
{
  int err;

  lock_init(&r->lock);
  list_init(&r->jobs);
  list_init(&r->callbacks);
  list_init(&r->own_callbacks);
  atomic_init(&r->others, 0);
  r->own_timers = NULL;
  r->own_timers_end = &r->own_timers;
  atomic_init(&r->called, 0);
  atomic_init(&r->own_called, 0);
  atomic_init(&r->ran, 0);
  list_init(&r->sources);
  list_init(&r->tickers);
  list_init(&r->helpers);
  r->timers = (struct heap){NULL, NULL, NULL};
  r->notices = notices;
  r->loop = loop;
  r->claims = 0;
  atomic_init(&r->runner, 0);
  atomic_init(&r->stop, 0);
  atomic_init(&r->nested, 0);
  r->wind_up = nothing_to_wind_up;
  r->final = NULL;
  r->fork_generation = fork_generation();
  r->poller = NULL;
  err = poller_open(loop, &r->poller);
  if (err) {
    lock_destroy(&r->lock);
    return err;
  }
  notices->wake = wake_arg;
  notices->wake_arg = r;
  return 0;
}

int reactor_start(struct reactor *r)
{
  return r->loop ? 0 : thread_start(&r->thread, "poolmux", thread_main, r);
}

void reactor_close(struct reactor *r, void (*final)(void *), void *arg)
{
  int inside = reactor_is_me(r);

  if (inside || r->loop) {
    r->final = final;
    r->final_arg = arg;
  }
  if (inside && !r->loop)
    thread_detach(&r->thread);
  atomic_store(&r->stop, 1);
  if (inside)
    return;
  if (r->loop) {
    enter_by(r, TIME_FOREVER);
    wind_up(r);
    return;
  }
  poller_wake(r->poller);
  thread_join(&r->thread);
  final(arg);
}

void reactor_destroy(struct reactor *r)
{
  poller_close(r->poller);
  lock_destroy(&r->lock);
}
