/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_lap.c - one lap: everything is opened, warmed up, measured, closed, and printed. */
#include "worker_parts.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 10, LONGEST_DRAIN_S = 60, LONGEST_CATCH_UP_S = 10 };

/* ---- waiting for what has to come ---- */

static void rest(struct lap *lap)
{
  struct timespec little = {0, 200000};

  if (lap->way->turn)
    lap->way->turn(lap->self, now_ns() + little.tv_nsec);
  else
    nanosleep(&little, NULL);
}

int lap_await(struct lap *lap, int (*there)(struct lap *))
{
  int64_t until = now_ns() + PATIENCE_S * INT64_C(1000000000);

  while (!there(lap)) {
    if (now_ns() > until)
      return -1;
    rest(lap);
  }
  return 0;
}

static int nothing_pending(struct lap *lap)
{
  return atomic_load(&lap->popped) >= atomic_load(&lap->pushed) &&
         atomic_load(&lap->heard) >= atomic_load(&lap->promised);
}

/* As long as something comes, more may come. */
static void await_arrivals(struct lap *lap)
{
  uint64_t popped, heard;

  do {
    popped = atomic_load(&lap->popped);
    heard = atomic_load(&lap->heard);
    if (lap_await(lap, nothing_pending) == 0)
      return;
  } while (popped != atomic_load(&lap->popped) || heard != atomic_load(&lap->heard));
  die("%llu elements were pushed, %llu arrived; %llu messages were published, %llu arrived",
      (unsigned long long)atomic_load(&lap->pushed), (unsigned long long)popped,
      (unsigned long long)atomic_load(&lap->promised), (unsigned long long)heard);
}

/* ---- phases ---- */

/* A stall at the end would be hidden if the calls that were due meanwhile were left out. Who cannot
 * keep up at all does not make the lap endless. */
static int64_t catch_up_ns(double seconds)
{
  return (int64_t)((seconds < LONGEST_CATCH_UP_S ? seconds : LONGEST_CATCH_UP_S) * 1e9);
}

static void run_phase(struct lap *lap, double seconds, long most, int64_t catch_up)
{
  lap->ticket = 0;
  lap->most = most;
  lap->begun_ns = now_ns();
  lap->until_ns = most == LONG_MAX ? lap->begun_ns + (int64_t)(seconds * 1e9) : INT64_MAX;
  lap->give_up_ns = most == LONG_MAX ? lap->until_ns + catch_up : INT64_MAX;
  if (lap->crew)
    crew_phase(lap);
  else
    flights_phase(lap);
  await_arrivals(lap);
}

static void warm_up(struct lap *lap)
{
  if (lap->plan->warmup > 0)
    run_phase(lap, lap->plan->warmup, LONG_MAX, 0);
  lap_collect(lap);
  lap_forget(lap);
}

static void measure(struct lap *lap)
{
  usage_take(lap, &lap->before, 1);
  if (lap->way->mark)
    lap->way->mark(lap->self);
  run_phase(lap, lap->plan->seconds, lap->plan->calls, catch_up_ns(lap->plan->seconds));
  usage_take(lap, &lap->after, 0);
  lap_collect(lap);
}

/* ---- opening and closing ---- */

static void make_calls(struct lap *lap)
{
  const struct plan *plan = lap->plan;

  for (int i = 0; i < lap->places; i++) {
    struct call *call = &lap->calls[i];

    call->lap = lap;
    call->place = i;
    call->left = LONG_MAX;
    call->dice = dice_of(plan->seed, i);
    if (task_init(&call->task, &plan->workload) != 0)
      die("out of memory");
    call->part = calloc((size_t)call->task.n, sizeof *call->part);
    for (int k = 0; call->part && k < call->task.n; k++)
      call->part[k] = (struct part){call, k};
    if (!call->part)
      die("out of memory");
  }
}

static void make_listeners(struct lap *lap)
{
  const struct workload *w = &lap->plan->workload;
  static char names[CHANNELS][KEY_SIZE];

  for (long i = 0; i < w->subscribers; i++) {
    struct listener *l = &lap->listeners[i];

    l->lap = lap;
    l->place = (int)i;
    l->index = i % CHANNELS;
    l->len = workload_name(w, FAMILY_CHANNEL, l->index, names[l->index]);
    l->channel = names[l->index];
  }
  lap->listening = (int)w->subscribers;
  lap->consuming = (int)w->blocked;
}

static void make_locks(struct lap *lap, long books)
{
  pthread_condattr_t monotonic;

  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&lap->landed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  pthread_mutex_init(&lap->flights, NULL);
  pthread_mutex_init(&lap->lock, NULL);
  for (long i = 0; i < books; i++)
    pthread_mutex_init(&lap->books[i].lock, NULL);
}

static struct lap *make_lap(const struct plan *plan)
{
  struct lap *lap = calloc(1, sizeof *lap);
  long listeners = plan->workload.subscribers, books = plan_places(plan) + listeners;

  if (!lap)
    die("out of memory");
  lap->plan = plan;
  lap->way = plan->way;
  lap->async = plan->callers_as != AS_THREADS;
  lap->places = plan_places(plan);
  lap->step_ns = plan->workload.rate > 0 ? 1e9 / plan->workload.rate : 0;
  lap->calls = calloc((size_t)lap->places, sizeof *lap->calls);
  lap->listeners = calloc((size_t)listeners + 1, sizeof *lap->listeners);
  lap->books = calloc((size_t)books, sizeof *lap->books);
  if (!lap->calls || !lap->listeners || !lap->books)
    die("out of memory");
  make_locks(lap, books);
  make_calls(lap);
  make_listeners(lap);
  return lap;
}

static void free_lap(struct lap *lap)
{
  long books = lap->places + lap->plan->workload.subscribers;

  lap_forget(lap);
  for (long i = 0; i < books; i++) {
    for (int kind = 0; kind < KINDS; kind++)
      free(lap->books[i].times[kind]);
    pthread_mutex_destroy(&lap->books[i].lock);
  }
  for (int i = 0; i < lap->places; i++) {
    task_free(&lap->calls[i].task);
    free(lap->calls[i].part);
  }
  pthread_cond_destroy(&lap->landed);
  pthread_mutex_destroy(&lap->flights);
  pthread_mutex_destroy(&lap->lock);
  free(lap->calls);
  free(lap->listeners);
  free(lap->books);
  free(lap);
}

/* Only what a handler may do. */
static void no_end(int signal)
{
  static const char text[] = "the lap has not ended 60 s after it should have\n";
  ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);

  (void)signal;
  (void)written;
  _exit(EXIT_FAILURE);
}

/* Sleeps end when they should, and a connection for each caller is allowed. */
static void prepare_process(const struct plan *plan)
{
  struct rlimit limit;

  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  signal(SIGALRM, no_end);
  alarm((unsigned)(plan->calls == LONG_MAX ? plan->warmup + plan->seconds : 600) + LONGEST_DRAIN_S);
}

void lap_run(const struct plan *plan, struct wire *control, const struct worker *worker)
{
  struct lap *lap = make_lap(plan);
  char why[WHY_SIZE] = "";

  prepare_process(plan);
  lap->control = control;
  store_prepare(plan, control);
  lap->self = plan->way->open(plan, why);
  if (!lap->self)
    die("%s", why);
  (lap->async ? flights_start : crew_start)(lap);
  warm_up(lap);
  measure(lap);
  store_send_ends(plan, control);
  (lap->async ? flights_stop : crew_stop)(lap);
  lap_print(lap, worker, stdout);
  plan->way->close(lap->self);
  free_lap(lap);
}
