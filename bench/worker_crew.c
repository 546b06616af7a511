/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_crew.c - callers that are threads: each waits for its call. Their start and their end are
 * outside of what is measured. Consumers and subscribers have threads of their own, which live
 * through both phases and are ended by what they are sent. */
#include "worker_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void sleep_until(int64_t at_ns)
{
  struct timespec when = {at_ns / 1000000000, at_ns % 1000000000};

  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
    continue;
}

static void one_call(struct lap *lap, struct call *call, int64_t since_ns)
{
  call_draw(call, since_ns);
  lap->way->call(lap->self, call);
  call_record(call);
}

/* Each makes its next call as soon as the last one is over; the first one also when the machine was
 * elsewhere for the whole time. */
static void closed_loop(struct lap *lap, struct call *call)
{
  int64_t now = now_ns();

  for (; call->left > 0; call->left--) {
    one_call(lap, call, now);
    now = now_ns();
    if (now >= lap->until_ns)
      return;
  }
}

/* Who is free takes the next call that is due, and waits until it is. If nobody is free it begins
 * later, even after the lap's end, and its time counts from when it was due. */
static void open_loop(struct lap *lap, struct call *call)
{
  int64_t due, now;
  long ticket;

  while ((ticket = atomic_fetch_add(&lap->ticket, 1)) < lap->most) {
    due = ticket_due(lap, ticket);
    now = now_ns();
    if (due >= lap->until_ns || now >= lap->give_up_ns)
      return;
    if (due > now)
      sleep_until(due);
    ticket_begun(lap, due, now_ns());
    one_call(lap, call, due);
  }
}

/* As long as others call. */
static void read_beside(struct lap *lap, struct call *call)
{
  int64_t now = now_ns();

  do {
    one_call(lap, call, now);
    now = now_ns();
  } while (now < lap->until_ns && !atomic_load(&lap->enough));
}

/* ---- callers ---- */

struct member {
  struct crew *crew;
  struct call *call;
  pthread_t thread;
};

struct crew {
  struct lap *lap;
  struct member *members; /* callers, then readers of big values */
  int n;
  _Atomic int calling;       /* callers that have not ended */
  pthread_barrier_t barrier; /* callers and who measures: go, over, go, over, and no more */
  int no_more;
  pthread_t *waiting; /* threads of consumers, then of subscribers */
};

static void make_calls(struct crew *crew, struct call *call)
{
  call->left = calls_of(crew->lap, call->place);
  if (crew->lap->step_ns > 0)
    open_loop(crew->lap, call);
  else
    closed_loop(crew->lap, call);
  if (atomic_fetch_sub(&crew->calling, 1) == 1)
    atomic_store(&crew->lap->enough, 1);
}

static void *run_caller(void *arg)
{
  struct member *member = arg;
  struct crew *crew = member->crew;

  for (;;) {
    pthread_barrier_wait(&crew->barrier);
    if (crew->no_more)
      return NULL;
    if (member->call->place < crew->lap->plan->callers)
      make_calls(crew, member->call);
    else
      read_beside(crew->lap, member->call);
    pthread_barrier_wait(&crew->barrier);
  }
}

void crew_phase(struct lap *lap)
{
  atomic_store(&lap->crew->calling, lap->plan->callers);
  atomic_store(&lap->enough, 0);
  pthread_barrier_wait(&lap->crew->barrier);
  pthread_barrier_wait(&lap->crew->barrier);
}

/* ---- those who wait for callers ---- */

static void *run_consumer(void *arg)
{
  struct call *call = arg;

  while (!call_is_last(call))
    one_call(call->lap, call, now_ns());
  return NULL;
}

static void *run_listener(void *arg)
{
  struct listener *listener = arg;

  listener->lap->way->listen(listener->lap->self, listener);
  return NULL;
}

static int all_listen(struct lap *lap)
{
  return atomic_load(&lap->ready) == lap->plan->workload.subscribers;
}

/* ---- all of them ---- */

static void start_thread(pthread_t *ret, void *(*body)(void *), void *arg)
{
  int err = pthread_create(ret, NULL, body, arg);

  if (err)
    die("a thread cannot be started: %s", strerror(err));
}

static void start_waiting(struct lap *lap, struct crew *crew)
{
  long n = 0;

  for (long i = 0; i < lap->plan->workload.blocked; i++)
    start_thread(&crew->waiting[n++], run_consumer, &lap->calls[lap->plan->callers + i]);
  for (long i = 0; i < lap->plan->workload.subscribers; i++)
    start_thread(&crew->waiting[n++], run_listener, &lap->listeners[i]);
  if (lap_await(lap, all_listen) != 0)
    die("the subscriptions were not confirmed");
}

void crew_start(struct lap *lap)
{
  const struct workload *w = &lap->plan->workload;
  struct crew *crew = calloc(1, sizeof *crew);
  int callers = lap->plan->callers, n = callers + (int)w->big_readers;

  if (!crew)
    die("out of memory");
  crew->lap = lap;
  crew->n = n;
  crew->members = calloc((size_t)n, sizeof *crew->members);
  crew->waiting = calloc((size_t)(w->blocked + w->subscribers + 1), sizeof *crew->waiting);
  if (!crew->members || !crew->waiting)
    die("out of memory");
  lap->crew = crew;
  start_waiting(lap, crew);
  pthread_barrier_init(&crew->barrier, NULL, (unsigned)n + 1);
  for (int i = 0; i < n; i++) {
    crew->members[i] = (struct member){.crew = crew};
    crew->members[i].call = &lap->calls[i < callers ? i : i + (int)w->blocked];
    start_thread(&crew->members[i].thread, run_caller, &crew->members[i]);
  }
}

/* Consumers and subscribers have been sent their end. */
void crew_stop(struct lap *lap)
{
  struct crew *crew = lap->crew;

  crew->no_more = 1;
  pthread_barrier_wait(&crew->barrier);
  for (int i = 0; i < crew->n; i++)
    pthread_join(crew->members[i].thread, NULL);
  for (long i = 0; i < lap->plan->workload.blocked + lap->plan->workload.subscribers; i++)
    pthread_join(crew->waiting[i], NULL);
  pthread_barrier_destroy(&crew->barrier);
  free(crew->members);
  free(crew->waiting);
  free(crew);
  lap->crew = NULL;
}
