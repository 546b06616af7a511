/* SPDX-License-Identifier: BSD-3-Clause */
/* park_crowd_tests.h - the part of park_tests.h that is about those who are woken together. */
#ifndef TESTS_PARK_CROWD_TESTS_H
#define TESTS_PARK_CROWD_TESTS_H

/* The first ones in a row of their own each, the others in three of the slab. */
enum { ALONE = 10, CROWD = PARKERS_AT_HAND + PARK_SEATS + 4 + ALONE, CALLS = 300 };

static struct {
  struct parker_slab slab;
  struct parker *parkers[CROWD];
  struct parker caller, alone[ALONE];
  _Atomic int called[CROWD]; /* how often each was called so far */
  _Atomic int came, in_vain;
} crowd;

static void come_when_called(void *arg)
{
  _Atomic int *called = arg;
  struct parker *p = crowd.parkers[called - crowd.called];

  for (int seen = 0; seen < CALLS;) {
    uint32_t ticket = parker_ticket(p);
    int now = atomic_load(called);

    if (now == seen) {
      must(parker_park(p, ticket, TIME_FOREVER) == 0);
      if (atomic_load(called) == seen)
        atomic_fetch_add(&crowd.in_vain, 1);
      continue;
    }
    seen = now;
    atomic_fetch_add(&crowd.came, 1);
    parker_wake(&crowd.caller);
  }
}

/* Every other one, or every third, and so on; who is left out must not come. */
static int call_some(int step, int offset)
{
  struct parker *some[CROWD];
  unsigned n = 0;

  for (int i = offset; i < CROWD; i += step) {
    if (atomic_load(&crowd.called[i]) == CALLS)
      continue;
    atomic_fetch_add(&crowd.called[i], 1);
    some[n++] = crowd.parkers[i];
  }
  parkers_wake(some, n);
  return (int)n;
}

static void call_all_out(void)
{
  int due = 0, left = CROWD * CALLS;

  for (int round = 0; left > 0; round++) {
    int step = 1 + round % 5, n = call_some(step, round % step);

    due += n;
    left -= n;
    park_until(&crowd.caller, &crowd.came, due);
  }
}

START_TEST(who_is_woken_with_others_wakes_and_nobody_else)
{
  struct thread threads[CROWD];
  int in_vain;

  parker_slab_init(&crowd.slab);
  parker_init(&crowd.caller);
  for (int i = 0; i < CROWD; i++) {
    crowd.parkers[i] = i < ALONE ? &crowd.alone[i] : parker_get(&crowd.slab);
    ck_assert_ptr_nonnull(crowd.parkers[i]);
    if (i < ALONE)
      parker_init(crowd.parkers[i]);
    ck_assert_int_eq(thread_start(&threads[i], "come", come_when_called, &crowd.called[i]), 0);
  }
  call_all_out();
  for (int i = 0; i < CROWD; i++)
    thread_join(&threads[i]);
  ck_assert_int_eq(atomic_load(&crowd.came), CROWD * CALLS);
  in_vain = atomic_load(&crowd.in_vain);
  ck_assert_int_lt(in_vain, CROWD * CALLS / 100);
  for (int i = 0; i < ALONE; i++)
    parker_destroy(&crowd.alone[i]);
  parker_destroy(&crowd.caller);
  parker_slab_destroy(&crowd.slab);
}
END_TEST

enum { NEIGHBOURS = 4, PARKS = 10000 };

static struct {
  struct park_row row;
  struct parker parkers[NEIGHBOURS + 1]; /* the last one is the test's */
  _Atomic int over;
} street;

static void wake_the_next(void *arg)
{
  struct parker *p = arg;
  struct parker *next = &street.parkers[(p - street.parkers + 1) % NEIGHBOURS];

  while (!atomic_load(&street.over)) {
    parker_wake(next);
    parker_park(p, parker_ticket(p), clock_ns() + NS_PER_MS);
  }
}

/* The kernel sends it back when one of its row was woken just before it slept. */
START_TEST(neighbours_that_are_woken_make_parking_neither_late_nor_early)
{
  struct parker *mine = &street.parkers[NEIGHBOURS];
  struct thread threads[NEIGHBOURS];

  for (unsigned i = 0; i <= NEIGHBOURS; i++)
    parker_init_in(&street.parkers[i], &street.row, PARK_SEATS - 1 - i);
  for (int i = 0; i < NEIGHBOURS; i++)
    ck_assert_int_eq(thread_start(&threads[i], "neighbour", wake_the_next, &street.parkers[i]), 0);
  for (int i = 0; i < PARKS; i++) {
    int64_t deadline = clock_ns() + NS_PER_MS / 20;

    ck_assert_int_eq(parker_park(mine, parker_ticket(mine), deadline), 1);
    ck_assert_int_ge(clock_ns(), deadline);
    ck_assert_int_lt(clock_ns(), deadline + 2 * NS_PER_S);
  }
  atomic_store(&street.over, 1);
  for (int i = 0; i < NEIGHBOURS; i++)
    thread_join(&threads[i]);
  for (int i = 0; i <= NEIGHBOURS; i++)
    parker_destroy(&street.parkers[i]);
}
END_TEST

#endif
