/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_crowd_credit.c - a crowd gives way for as long as that pays: callers who are answered in time
 * go on, with batches as well; those who sleep all the same cease to. The C library's
 * clock_gettime() is replaced by one that can be stopped. */
#include <check.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "behaviour/batching.h"
#include "behaviour/crowding_doors.h"
#include "harness/checks.h"

enum {
  CALLS = 1500,
  LATE_CALLS = 100,
  TURNS = 8, /* of a call, at most */
  GOING_ON = 3,
  DELAY_MS = 10,
  TRIALS = 10
};

/* ---- the clock ---- */

typedef int clock_fn(clockid_t, struct timespec *);
static _Atomic(clock_fn *) found_clock;
static struct timespec stopped_at;
static atomic_bool clock_stands;

static clock_fn *real_clock(void)
{
  union {
    void *object;
    clock_fn *function;
  } found = {.function = atomic_load(&found_clock)};

  if (!found.function)
    found.object = dlsym(RTLD_NEXT, "clock_gettime");
  atomic_store(&found_clock, found.function);
  return found.function;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
  if (id != CLOCK_MONOTONIC || !atomic_load(&clock_stands))
    return real_clock()(id, now);
  *now = stopped_at;
  return 0;
}

static void stop_clock(bool on)
{
  if (on)
    real_clock()(CLOCK_MONOTONIC, &stopped_at);
  atomic_store(&clock_stands, on);
}

/* ---- what a crowd does ---- */

struct hurry {
  int calls;        /* of each */
  bool out_of_time; /* the clock stands meanwhile */
  void (*call)(pmx_client *, int i);
  pmx_client *client;
};

static void call_on(int i, void *arg)
{
  struct hurry *h = arg;

  for (int n = 0; n < h->calls; n++)
    h->call(h->client, i);
}

static void call_once(pmx_client *client, int i)
{
  char key[24];

  snprintf(key, sizeof key, "key-%d", i);
  get_value(client, key);
}

static void call_batch(pmx_client *client, int i)
{
  pmx_reply *array = batch_run(batch_of(client, "INCR n; ECHO x"), 0, NULL);

  (void)i;
  check_array(array, 2);
  check_element_int(array, 0, 1);
  pmx_reply_free(array);
}

struct effort {
  unsigned turns, calls;
  int64_t ms;
};

static struct effort crowd_hurries(const struct way *way, struct fake *fake, struct hurry h)
{
  int64_t begun = pmx_now_ms();
  struct effort e = {.turns = turns()};
  pmx_stats stats;

  h.client = open_client(way->strategy, fake_url(fake), "retry.max", "0", "command_timeout", "60s",
                         (char *)NULL); /* the system still waits by its own clock */
  stop_clock(h.out_of_time);
  run_threads(CROWD, call_on, &h);
  stop_clock(false);
  e.turns = turns() - e.turns;
  e.ms = pmx_now_ms() - begun;
  stats = stats_of(h.client);
  ck_assert_uint_eq(stats.unknown + stats.not_run, 0);
  e.calls = (unsigned)stats.lane_requests;
  close_client(h.client);
  return e;
}

/* ---- where it pays ---- */

/* While the clock stands nobody is late, however busy the machine, and a crowd that has ceased does
 * not begin again. Who goes on makes six turns a call. Too few may be in time: then once more. */
static void check_goes_on(const struct way *way, void (*call)(pmx_client *, int))
{
  struct fake *fake = fake_for(way, answer_values, NULL);
  struct hurry h = {.calls = CALLS, .out_of_time = true, .call = call};
  struct effort e = {0};

  for (int i = 0; i < TRIALS && e.turns <= GOING_ON * e.calls; i++)
    e = crowd_hurries(way, fake, h);
  ck_assert_uint_gt(e.turns, GOING_ON * e.calls);
  ck_assert(fake_stop(fake));
}

START_TEST(callers_who_are_answered_in_time_go_on_giving_way)
{
  check_goes_on(&ways[_i], call_once);
}
END_TEST

START_TEST(batches_that_are_answered_in_time_go_on_giving_way)
{
  check_goes_on(&ways[_i], call_batch);
}
END_TEST

/* ---- where it does not pay ---- */

static int answer_late(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  fake_delay(conn, DELAY_MS);
  return answer_values(ud, conn, argc, argv, len);
}

/* Eight turns that are not late take less than the server does: nobody is answered in time. So each
 * call takes one of the credit, which is four for each caller, but those of who drives, one at a
 * time, which is nothing like half of them. When it has gone, each may be in a call that gives way.
 * Then nobody does for 20 ms, then for 40 ms, 80 ms … */
static unsigned turns_at_most(int64_t ms)
{
  unsigned tries = 1, calls = 2 * 4 * CROWD + CROWD;

  for (int64_t pause = 20; ms >= pause; pause *= 2, tries++)
    ms -= pause;
  return tries * calls * TURNS;
}

START_TEST(callers_who_sleep_all_the_same_cease_to_give_way)
{
  struct fake *fake = fake_for(&ways[_i], answer_late, NULL);
  struct effort e =
      crowd_hurries(&ways[_i], fake, (struct hurry){.calls = LATE_CALLS, .call = call_once});

  ck_assert_uint_gt(e.turns, 0);
  ck_assert_uint_le(e.turns, turns_at_most(e.ms));
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_crowd_credit");

  ways_brief();
  add_for_ways_with(SHARES, tc, callers_who_are_answered_in_time_go_on_giving_way);
  add_for_ways_with(SHARES, tc, batches_that_are_answered_in_time_go_on_giving_way);
  add_for_ways_with(SHARES, tc, callers_who_sleep_all_the_same_cease_to_give_way);
  return checks_run("mux_crowd_credit", tc);
}
