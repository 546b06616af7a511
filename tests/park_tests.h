/* SPDX-License-Identifier: BSD-3-Clause */
/* park_tests.h - tests of parking and of the slab with real threads, for each of the two forms. The
 * hammering tests wait without a deadline: a lost wake hangs them, and Check's timeout reports it.
 */
#ifndef TESTS_PARK_TESTS_H
#define TESTS_PARK_TESTS_H
#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/parkers.h"
#include "harness/checks.h"

enum { ROUNDS = 5000, PAIRS = 3, WAKERS = 4 };

/* For threads: Check's own assertions belong to the thread that runs the test. */
static void must(int truth)
{
  if (!truth)
    abort();
}

static void ignore_signal(int sig)
{
  (void)sig;
}

/* A signal every 100 microseconds for this process. */
static void start_signal_storm(void)
{
  struct itimerval every = {{0, 100}, {0, 100}};
  struct sigaction act = {.sa_handler = ignore_signal};

  ck_assert_int_eq(sigaction(SIGALRM, &act, NULL), 0);
  ck_assert_int_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static void stop_signal_storm(void)
{
  struct itimerval off = {{0, 0}, {0, 0}};

  ck_assert_int_eq(setitimer(ITIMER_REAL, &off, NULL), 0);
}

/* ---- wakes and deadlines ---- */

/* Two threads that hand a counter to each other. */
struct pair {
  struct parker parkers[2];
  _Atomic int counter;
};

struct side {
  struct pair *pair;
  int which;
};

static void park_until(struct parker *p, _Atomic int *counter, int value)
{
  for (;;) {
    uint32_t ticket = parker_ticket(p);

    if (atomic_load(counter) >= value)
      return;
    must(parker_park(p, ticket, TIME_FOREVER) == 0);
  }
}

static void play(void *arg)
{
  struct side *me = arg;

  for (int i = me->which; i < ROUNDS; i += 2) {
    park_until(&me->pair->parkers[me->which], &me->pair->counter, i);
    atomic_store(&me->pair->counter, i + 1);
    parker_wake(&me->pair->parkers[!me->which]);
  }
}

static void play_all(void)
{
  struct pair pairs[PAIRS];
  struct side sides[PAIRS][2];
  struct thread threads[PAIRS][2];

  for (int i = 0; i < PAIRS; i++) {
    atomic_init(&pairs[i].counter, 0);
    for (int j = 0; j < 2; j++)
      parker_init(&pairs[i].parkers[j]);
    for (int j = 0; j < 2; j++) {
      sides[i][j] = (struct side){&pairs[i], j};
      ck_assert_int_eq(thread_start(&threads[i][j], "play", play, &sides[i][j]), 0);
    }
  }
  for (int i = 0; i < PAIRS; i++) {
    for (int j = 0; j < 2; j++)
      thread_join(&threads[i][j]);
    for (int j = 0; j < 2; j++)
      parker_destroy(&pairs[i].parkers[j]);
    ck_assert_int_eq(atomic_load(&pairs[i].counter), ROUNDS);
  }
}

START_TEST(threads_that_wake_each_other_lose_no_wake)
{
  play_all();
}
END_TEST

static struct parker shared;
static _Atomic int added;

static void add_and_wake(void *arg)
{
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    atomic_fetch_add(&added, 1);
    parker_wake(&shared);
    if (i % 16 == 0)
      sched_yield();
  }
}

/* The sleeper is the main thread, which the signals hit. */
START_TEST(many_wakers_and_signals_lose_no_wake)
{
  struct thread threads[WAKERS];

  parker_init(&shared);
  start_signal_storm();
  for (int i = 0; i < WAKERS; i++)
    ck_assert_int_eq(thread_start(&threads[i], "wake", add_and_wake, NULL), 0);
  for (int value = 1; value <= WAKERS * ROUNDS; value = atomic_load(&added) + 1)
    park_until(&shared, &added, value);
  stop_signal_storm();
  for (int i = 0; i < WAKERS; i++)
    thread_join(&threads[i]);
  parker_destroy(&shared);
}
END_TEST

START_TEST(a_wake_between_ticket_and_park_is_remembered)
{
  struct parker p;
  uint32_t ticket;

  parker_init(&p);
  ticket = parker_ticket(&p);
  parker_wake(&p);
  ck_assert_int_eq(parker_park(&p, ticket, TIME_FOREVER), 0);
  ticket = parker_ticket(&p);
  ck_assert_int_eq(parker_park(&p, ticket, clock_ns()), 1);
  ck_assert_uint_eq(parker_ticket(&p), ticket);
  parker_destroy(&p);
}
END_TEST

START_TEST(parking_ends_by_its_deadline_and_never_before)
{
  static const int spans_ms[] = {0, 1, 2, 5, 10, 20, 50};
  struct parker p;

  parker_init(&p);
  for (size_t i = 0; i < sizeof spans_ms / sizeof *spans_ms; i++) {
    int64_t deadline = clock_ns() + spans_ms[i] * NS_PER_MS;

    ck_assert_int_eq(parker_park(&p, parker_ticket(&p), deadline), 1);
    ck_assert_int_ge(clock_ns(), deadline);
    ck_assert_int_lt(clock_ns(), deadline + 2 * NS_PER_S);
  }
  ck_assert_int_eq(parker_park(&p, parker_ticket(&p), 0), 1);
  ck_assert_int_eq(parker_park(&p, parker_ticket(&p), -5), 1);
  parker_destroy(&p);
}
END_TEST

START_TEST(signals_make_parking_neither_late_nor_early)
{
  int64_t deadline = clock_ns() + 30 * NS_PER_MS;
  struct parker p;

  parker_init(&p);
  start_signal_storm();
  while (parker_park(&p, parker_ticket(&p), deadline) == 0)
    ck_assert_int_lt(clock_ns(), deadline + 2 * NS_PER_S);
  stop_signal_storm();
  ck_assert_int_ge(clock_ns(), deadline);
  parker_destroy(&p);
}
END_TEST

/* ---- a parker that does not outlive its waiter, as those on a stack ---- */

static struct {
  struct lock lock;
  struct parker *waiting; /* of the lock, as is all else */
  int said, stop;
} place;

static void say(void *arg)
{
  int stop;

  (void)arg;
  do {
    lock_acquire(&place.lock);
    place.said = 1;
    if (place.waiting)
      parker_wake(place.waiting);
    stop = place.stop;
    lock_release(&place.lock);
    sched_yield();
  } while (!stop);
}

static struct parker *appear(void)
{
  struct parker *p = malloc(sizeof *p);

  ck_assert_ptr_nonnull(p);
  parker_init(p);
  lock_acquire(&place.lock);
  place.waiting = p;
  place.said = 0;
  lock_release(&place.lock);
  return p;
}

/* Takes the lock, as those do who leave a future or a reactor: whoever wakes is out by then. */
static void vanish(struct parker *p)
{
  lock_acquire(&place.lock);
  place.waiting = NULL;
  lock_release(&place.lock);
  parker_destroy(p);
  memset(p, 0xa5, sizeof *p);
  free(p);
}

static int was_said(void)
{
  int said;

  lock_acquire(&place.lock);
  said = place.said;
  lock_release(&place.lock);
  return said;
}

START_TEST(a_parker_may_go_when_the_lock_of_its_wakers_was_taken)
{
  struct thread threads[WAKERS];

  lock_init(&place.lock);
  for (int i = 0; i < WAKERS; i++)
    ck_assert_int_eq(thread_start(&threads[i], "say", say, NULL), 0);
  for (int i = 0; i < ROUNDS; i++) {
    struct parker *p = appear();
    uint32_t ticket;

    while (ticket = parker_ticket(p), !was_said())
      ck_assert_int_eq(parker_park(p, ticket, TIME_FOREVER), 0);
    vanish(p);
  }
  lock_acquire(&place.lock);
  place.stop = 1;
  lock_release(&place.lock);
  for (int i = 0; i < WAKERS; i++)
    thread_join(&threads[i]);
  lock_destroy(&place.lock);
}
END_TEST

#include "park_crowd_tests.h"

/* ---- the slab ---- */

START_TEST(a_slab_hands_out_each_parker_once_and_reuses_it)
{
  struct parker *got[100], *again;
  struct parker_slab slab;

  parker_slab_init(&slab);
  for (int i = 0; i < 100; i++) {
    got[i] = parker_get(&slab);
    ck_assert_ptr_nonnull(got[i]);
    for (int j = 0; j < i; j++)
      ck_assert_ptr_ne(got[i], got[j]);
  }
  parker_put(&slab, got[50]);
  parker_wake(got[50]); /* a late waker */
  again = parker_get(&slab);
  ck_assert_ptr_eq(again, got[50]);
  ck_assert_int_eq(parker_park(again, parker_ticket(again), clock_ns()), 1);
  parker_put(&slab, NULL);
  parker_slab_destroy(&slab);
}
END_TEST

START_TEST(a_slab_survives_lack_of_memory)
{
  struct parker_slab slab;

  parker_slab_init(&slab);
  mem_fail_at(1, 0);
  for (int i = 0; i < PARKERS_AT_HAND; i++)
    ck_assert_ptr_nonnull(parker_get(&slab));
  ck_assert_ptr_null(parker_get(&slab));
  ck_assert_ptr_nonnull(parker_get(&slab));
  mem_fail_at(0, 0);
  parker_slab_destroy(&slab);
}
END_TEST

/* What main() returns. */
static int park_tests_run(const char *name)
{
  const TTest *const tests[] = {
      threads_that_wake_each_other_lose_no_wake,
      many_wakers_and_signals_lose_no_wake,
      a_wake_between_ticket_and_park_is_remembered,
      parking_ends_by_its_deadline_and_never_before,
      signals_make_parking_neither_late_nor_early,
      a_parker_may_go_when_the_lock_of_its_wakers_was_taken,
      who_is_woken_with_others_wakes_and_nobody_else,
      neighbours_that_are_woken_make_parking_neither_late_nor_early,
      a_slab_hands_out_each_parker_once_and_reuses_it,
      a_slab_survives_lack_of_memory,
  };
  TCase *tc = checks_case(name);

  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  return checks_run(name, tc);
}

#endif
