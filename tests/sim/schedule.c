/* SPDX-License-Identifier: BSD-3-Clause */
/* schedule.c - owns coroutines and virtual time. Knows nothing of locks or networks.
 *
 * Coroutines are entered with makecontext() and switched with _setjmp/_longjmp, which spares two
 * system calls a switch; under a sanitizer with swapcontext(), and the sanitizer is told. */
#undef _FORTIFY_SOURCE /* its longjmp refuses to change stacks */
#include "sim/asan.h"
#include "sim/secure.h"
#include "sim/sim.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { TASKS_MAX = 64, STACK = 512 * 1024, STEPS_MAX = 4000000 };

struct task {
  const char *name;
  void (*run)(void *);
  void *arg;
  const char *what;
  int (*ready)(void *); /* NULL: runnable */
  void *ready_arg;
  int64_t deadline;
  uint64_t seen; /* the version of the world ready() said no to */
  unsigned weight;
  int begun, ended, woken, locks;
  int detached; /* nobody will ask about it: its place may be used again */
  jmp_buf jump;
  ucontext_t context;
  void *stack, *fake_stack;
};

static struct task tasks[TASKS_MAX];
static size_t task_count;
static struct task *self;
static uint64_t world, steps;
static int64_t now;
static unsigned switch_rate, atomic_rate, freeze_rate;
int64_t sim_clock_step;
static int64_t frozen_for, frozen_last;
static int frozen; /* coroutines that stand still just now */
#ifndef SIM_ASAN
static jmp_buf scheduler;
#endif
static ucontext_t scheduler_context;

/* ---- time ---- */

int64_t sim_now(void)
{
  return now;
}

int64_t sim_frozen(void)
{
  return frozen_for;
}

int sim_is_frozen(void)
{
  return frozen > 0;
}

int64_t sim_frozen_last(void)
{
  return frozen_last;
}

int64_t sim_clock(void)
{
  if (sim_clock_step)
    now += (int64_t)choose((uint64_t)sim_clock_step);
  return now;
}

/* ---- telling ---- */

const char *task_name(void)
{
  return self ? self->name : NULL;
}

void tasks_tell(void)
{
  for (size_t i = 0; i < task_count; i++)
    if (!tasks[i].ended)
      printf("  %-10s %s, %d locks\n", tasks[i].name, tasks[i].ready ? tasks[i].what : "runs",
             tasks[i].locks);
}

/* ---- switching ---- */

#ifdef SIM_ASAN
static const void *main_stack;
static size_t main_size;

static void to_scheduler(void)
{
  struct task *t = self;

  __sanitizer_start_switch_fiber(t->ended ? NULL : &t->fake_stack, main_stack, main_size);
  swapcontext(&t->context, &scheduler_context);
  __sanitizer_finish_switch_fiber(t->fake_stack, NULL, NULL);
}

static void to_task(struct task *t)
{
  void *fake;

  self = t;
  __sanitizer_start_switch_fiber(&fake, t->stack, STACK);
  swapcontext(&scheduler_context, &t->context);
  __sanitizer_finish_switch_fiber(fake, NULL, NULL);
  self = NULL;
}
#else
static void to_scheduler(void)
{
  if (_setjmp(self->jump) == 0)
    _longjmp(scheduler, 1);
}

static void to_task(struct task *t)
{
  self = t;
  if (_setjmp(scheduler) == 0) {
    if (t->begun)
      _longjmp(t->jump, 1);
    t->begun = 1;
    swapcontext(&scheduler_context, &t->context);
  }
  self = NULL;
}
#endif

static void task_entry(void)
{
#ifdef SIM_ASAN
  __sanitizer_finish_switch_fiber(NULL, &main_stack, &main_size);
#endif
  self->run(self->arg);
  trace("ends");
  if (self->locks)
    fail("a thread ended with a lock held");
  self->ended = 1;
  changed();
  to_scheduler();
}

static void prepare(struct task *t)
{
  getcontext(&t->context);
  t->context.uc_stack.ss_sp = t->stack;
  t->context.uc_stack.ss_size = STACK;
  t->context.uc_link = NULL;
  makecontext(&t->context, task_entry, 0);
}

static struct task *free_place(void)
{
  for (size_t i = 0; i < task_count; i++)
    if (tasks[i].ended && tasks[i].detached)
      return &tasks[i];
  return task_count < TASKS_MAX ? &tasks[task_count++] : NULL;
}

struct task *task_start(const char *name, void (*run)(void *), void *arg)
{
  static const unsigned weights[] = {1, 4, 16, 16};
  struct task *t = free_place();
  void *stack = t ? t->stack : NULL;

  if (!t)
    return NULL;
  memset(t, 0, sizeof *t);
  t->stack =
      stack ? stack : mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  t->name = name;
  t->run = run;
  t->arg = arg;
  t->weight = weights[choose(4)];
  prepare(t);
  return t;
}

void task_detach(struct task *t)
{
  t->detached = 1;
}

struct task *task_self(void)
{
  return self;
}

unsigned long task_number(const struct task *t)
{
  return t ? (unsigned long)(t - tasks) + 1 : 0;
}

struct task *task_numbered(unsigned long number)
{
  return number >= 1 && number <= task_count ? &tasks[number - 1] : NULL;
}

int task_ended(const struct task *t)
{
  return t->ended;
}

int *task_locks(void)
{
  return &self->locks;
}

/* ---- scheduling ---- */

void changed(void)
{
  world++;
}

static int never(void *arg)
{
  (void)arg;
  return 0;
}

static void sleep_here(const char *what, int64_t until)
{
  self->what = what;
  self->ready = never;
  self->deadline = until;
  to_scheduler();
}

/* As a thread that the system takes the processor from. */
void freeze(int64_t how_long)
{
  frozen++;
  sleep_here("is frozen", now + how_long);
  frozen--;
  frozen_last = now;
}

/* Threads have an error queue of OpenSSL's each, coroutines have one: not in the middle of that. */
void point(void)
{
  if (secure_is_amid())
    return;
  if (self && freeze_rate && choose(10000) < freeze_rate)
    freeze(between(1000, chance(100) ? 20 * SIM_MS : SIM_MS));
  else if (self && chance(switch_rate))
    to_scheduler();
}

void sim_atomic_point(void)
{
  if (self && atomic_rate && chance(atomic_rate) && !secure_is_amid())
    to_scheduler();
}

int block(const char *what, int (*ready)(void *), void *arg, int64_t deadline)
{
  struct task *t = self;

  point();
  if (ready(arg))
    return 1;
  if (secure_is_amid())
    fail("somebody %s with an error left in OpenSSL's queue", what);
  t->what = what;
  t->ready = ready;
  t->ready_arg = arg;
  t->deadline = deadline;
  t->seen = world;
  to_scheduler();
  return t->woken;
}

void sleep_until(int64_t when)
{
  if (when > now)
    sleep_here("sleeps", when);
}

static int is_runnable(struct task *t)
{
  if (t->ended)
    return 0;
  if (!t->ready)
    return 1;
  if (t->seen != world) {
    t->seen = world;
    if (t->ready(t->ready_arg)) {
      t->woken = 1;
      t->ready = NULL;
      return 1;
    }
  }
  if (t->deadline > now)
    return 0;
  t->woken = 0;
  t->ready = NULL;
  return 1;
}

/* NULL: nobody can run; *event: what is due on the network comes first. */
static struct task *pick(int *event)
{
  struct task *runnable[TASKS_MAX];
  size_t n = 0;
  uint64_t sum = 0, due = event_time() <= now ? 8 : 0;

  for (size_t i = 0; i < task_count; i++)
    if (is_runnable(&tasks[i])) {
      runnable[n++] = &tasks[i];
      sum += tasks[i].weight;
    }
  if (sum + due == 0)
    return NULL;
  sum = choose(sum + due);
  *event = sum < due;
  sum -= *event ? 0 : due;
  for (size_t i = 0; i < n && !*event; i++) {
    if (sum < runnable[i]->weight)
      return runnable[i];
    sum -= runnable[i]->weight;
  }
  return NULL;
}

static void advance(void)
{
  int64_t next = event_time();

  for (size_t i = 0; i < task_count; i++)
    if (!tasks[i].ended && tasks[i].deadline < next)
      next = tasks[i].deadline;
  if (next == SIM_FOREVER)
    fail("deadlock: nobody can run, and nothing is to come");
  frozen_for += frozen ? next - now : 0;
  now = next;
}

static int all_ended(void)
{
  for (size_t i = 0; i < task_count; i++)
    if (!tasks[i].ended)
      return 0;
  return 1;
}

static void start(uint64_t seed)
{
  static const unsigned rates[] = {20, 100, 300, 1000};
  static const unsigned atomic_rates[] = {0, 0, 20, 200};
  static const unsigned freeze_rates[] = {0, 0, 5, 50};

  sim_seed = seed;
  choose_seed(seed);
  secure_seed(seed);
  now = SIM_S;
  task_count = 0;
  steps = 0;
  world = 1;
  switch_rate = rates[choose(4)];
  atomic_rate = atomic_rates[choose(4)];
  freeze_rate = freeze_rates[choose(4)];
  frozen_for = frozen_last = frozen = 0;
  sim_clock_step = chance(250) ? 200 : 0;
}

void schedule_run(uint64_t seed, void (*main)(void *), void *arg, void (*at_rest)(void))
{
  start(seed);
  task_start("main", main, arg);
  while (!all_ended()) {
    int event = 0;
    struct task *t = pick(&event);

    if (++steps > STEPS_MAX)
      fail("livelock: %d steps", STEPS_MAX);
    if (event)
      event_run();
    else if (t)
      to_task(t);
    else {
      if (!frozen)
        at_rest();
      advance();
    }
  }
  events_drop();
}
