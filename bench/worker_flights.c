/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_flights.c - callers of asynchronous ways: so many calls are under way at a time. In a
 * closed loop the answer to one begins the next; in an open loop the main thread begins each when
 * it is due, or the next answer does when all are under way.
 *
 * A call goes IDLE → ISSUING → UNDER_WAY → (answered) OVER. Its last answer may come while the
 * library is still being told about it: then who issues it goes on with it, so that nobody reuses
 * what is still read, and a library that refuses at once makes a loop and no recursion. */
#include "worker_parts.h"

#include <errno.h>
#include <time.h>

enum { ISSUING, UNDER_WAY, OVER };

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static struct timespec at(int64_t ns)
{
  return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static void sleep_until(int64_t at_ns)
{
  struct timespec when = at(at_ns);

  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
    continue;
}

/* ---- which call is next ---- */

static int is_reader(const struct call *call)
{
  return call->place >= plan_readers(call->lap->plan);
}

static int is_consumer(const struct call *call)
{
  return call->place >= call->lap->plan->callers && !is_reader(call);
}

static void land(struct lap *lap, struct call *call)
{
  pthread_mutex_lock(&lap->flights);
  call->next = lap->idle;
  lap->idle = call;
  lap->under_way--;
  pthread_cond_signal(&lap->landed);
  pthread_mutex_unlock(&lap->flights);
}

/* 1, and when it is due; 0: none is due now. */
static int take_due(struct lap *lap, int64_t now, int64_t *ret)
{
  *ret = ticket_due(lap, lap->ticket);
  if (lap->ticket >= lap->most || *ret > now || *ret >= lap->until_ns || now >= lap->give_up_ns)
    return 0;
  lap->ticket++;
  ticket_begun(lap, *ret, now);
  return 1;
}

/* As long as others call. */
static int reads_on(struct lap *lap, int64_t now)
{
  int again = now < lap->until_ns && !atomic_load(&lap->enough);

  if (!again) {
    pthread_mutex_lock(&lap->flights);
    lap->reading--;
    pthread_cond_signal(&lap->landed);
    pthread_mutex_unlock(&lap->flights);
  }
  return again;
}

/* 1: it begins again, and counts from *ret; 0: it has landed. */
static int next_one(struct call *call, int64_t *ret)
{
  struct lap *lap = call->lap;
  int again;

  *ret = now_ns();
  if (is_consumer(call)) {
    if (call->left == 0)
      atomic_fetch_sub(&lap->consuming, 1);
    return call->left != 0;
  }
  if (is_reader(call))
    return reads_on(lap, *ret);
  if (lap->step_ns > 0) {
    pthread_mutex_lock(&lap->flights);
    again = take_due(lap, *ret, ret);
    pthread_mutex_unlock(&lap->flights);
  } else {
    again = call->left > 0 && *ret < lap->until_ns;
  }
  if (!again)
    land(lap, call);
  return again;
}

/* ---- a call's way ---- */

static void begin(struct call *call, int64_t since_ns)
{
  struct lap *lap = call->lap;

  do {
    if (!is_consumer(call) && call->left != LONG_MAX)
      call->left--;
    call_draw(call, since_ns);
    __atomic_store_n(&call->state, ISSUING, __ATOMIC_RELEASE);
    lap->way->issue(lap->self, call);
    if (__atomic_exchange_n(&call->state, UNDER_WAY, __ATOMIC_ACQ_REL) != OVER)
      return;
    call_record(call);
  } while (next_one(call, &since_ns));
}

void flight_over(struct call *call)
{
  int64_t since_ns;

  if (__atomic_exchange_n(&call->state, OVER, __ATOMIC_ACQ_REL) == ISSUING)
    return;
  call_record(call);
  if (next_one(call, &since_ns))
    begin(call, since_ns);
}

/* ---- a phase ---- */

/* Until something lands, or the time is there. The lock is held. */
static void wait_landed(struct lap *lap, int64_t until_ns)
{
  struct timespec when = at(least(until_ns, now_ns() + 100000000));

  if (!lap->way->turn) {
    pthread_cond_timedwait(&lap->landed, &lap->flights, &when);
    return;
  }
  pthread_mutex_unlock(&lap->flights);
  lap->way->turn(lap->self, until_ns);
  pthread_mutex_lock(&lap->flights);
}

static void wait_due(struct lap *lap, int64_t due_ns)
{
  pthread_mutex_unlock(&lap->flights);
  if (lap->way->turn)
    lap->way->turn(lap->self, due_ns);
  else
    sleep_until(due_ns);
  pthread_mutex_lock(&lap->flights);
}

static struct call *take_idle(struct lap *lap)
{
  struct call *call = lap->idle;

  lap->idle = call->next;
  lap->under_way++;
  return call;
}

static void closed_loop(struct lap *lap)
{
  struct call *call;

  lap->idle = NULL;
  lap->under_way = lap->plan->callers;
  pthread_mutex_unlock(&lap->flights);
  for (int i = 0; i < lap->plan->callers; i++) {
    call = &lap->calls[i];
    call->left = calls_of(lap, i);
    if (call->left > 0)
      begin(call, now_ns());
    else
      land(lap, call);
  }
  pthread_mutex_lock(&lap->flights);
}

static void open_loop(struct lap *lap)
{
  struct call *call;
  int64_t due, now;

  while ((now = now_ns()) < lap->give_up_ns && lap->ticket < lap->most &&
         (due = ticket_due(lap, lap->ticket)) < lap->until_ns) {
    if (due > now) {
      wait_due(lap, due);
    } else if (!lap->idle) {
      wait_landed(lap, lap->give_up_ns);
    } else if (take_due(lap, now, &due)) {
      call = take_idle(lap);
      call->left = LONG_MAX;
      pthread_mutex_unlock(&lap->flights);
      begin(call, due);
      pthread_mutex_lock(&lap->flights);
    }
  }
}

static void begin_reading(struct lap *lap)
{
  atomic_store(&lap->enough, 0);
  lap->reading = (int)lap->plan->workload.big_readers;
  for (int i = plan_readers(lap->plan); i < lap->places; i++)
    begin(&lap->calls[i], now_ns());
}

void flights_phase(struct lap *lap)
{
  begin_reading(lap);
  pthread_mutex_lock(&lap->flights);
  if (lap->step_ns > 0)
    open_loop(lap);
  else
    closed_loop(lap);
  while (lap->under_way > 0)
    wait_landed(lap, INT64_MAX);
  atomic_store(&lap->enough, 1);
  while (lap->reading > 0)
    wait_landed(lap, INT64_MAX);
  pthread_mutex_unlock(&lap->flights);
}

/* ---- beginning and end ---- */

static int all_listen(struct lap *lap)
{
  return atomic_load(&lap->ready) == lap->plan->workload.subscribers;
}

static int nobody_waits(struct lap *lap)
{
  return atomic_load(&lap->consuming) == 0 && atomic_load(&lap->listening) == 0;
}

void flights_start(struct lap *lap)
{
  const struct plan *plan = lap->plan;

  for (long i = 0; i < plan->workload.subscribers; i++)
    lap->way->listen(lap->self, &lap->listeners[i]);
  if (lap_await(lap, all_listen) != 0)
    die("the subscriptions were not confirmed");
  for (int i = plan->callers; i < plan_readers(plan); i++)
    begin(&lap->calls[i], now_ns());
  for (int i = plan->callers - 1; i >= 0; i--) {
    lap->calls[i].next = lap->idle;
    lap->idle = &lap->calls[i];
  }
}

void flights_stop(struct lap *lap)
{
  if (lap_await(lap, nobody_waits) != 0)
    die("consumers or subscribers did not get their last word");
}
