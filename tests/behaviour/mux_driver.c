/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_driver.c - one of those who wait reads for all. Whatever becomes of that one, timed out,
 * cancelled, answered, or woken to take over when its own time was up, the others are served: by
 * each other, or by the client's own thread when nobody is left. */
#include "behaviour/muxing.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "harness/checks.h"

enum { CALLERS = 8 };

/* A client whose server reads nothing yet. */
struct scene {
  struct fake *fake;
  struct fake_conn *conn;
  pmx_client *client;
};

static void scene_open(struct scene *s, const struct way *way)
{
  s->fake = fake_for(way, answer_values, NULL);
  s->client = open_client(way->strategy, fake_url(s->fake), NULL);
  s->conn = fake_conn_at(s->fake, 0);
  get_value(s->client, "k"); /* now the client's own thread has done with it */
  fake_stall(s->conn);
}

static void scene_close(struct scene *s)
{
  ck_assert_uint_eq(outstanding(s->client), 0);
  ck_assert_uint_eq(fake_accepted(s->fake), 1);
  close_client(s->client);
  ck_assert(fake_stop(s->fake));
}

/* ---- the driver leaves ---- */

/* The first to come drives; the others sleep. */
static void check_driver_leaves(const struct way *way, bool by_token)
{
  struct scene s;
  struct caller driver, callers[CALLERS];
  pmx_call call = call_in(by_token ? SOON_MS : 60);

  scene_open(&s, way);
  call.cancel = by_token ? pmx_cancel_new() : NULL;
  caller_start(&driver, s.client, "GET driver", &call);
  check_outstanding(s.client, 1);
  callers_start(callers, CALLERS, s.client, NULL);
  pmx_cancel_fire(call.cancel);
  callers_check_fail(&driver, 1, PMX_UNKNOWN, by_token ? PMX_CAUSE_CANCELED : PMX_CAUSE_TIMEOUT);
  fake_resume(s.conn);
  callers_check_values(callers, CALLERS);
  ck_assert_uint_eq(stats_of(s.client).late_replies, 1);
  pmx_cancel_free(call.cancel);
  scene_close(&s);
}

START_TEST(others_finish_when_the_driver_times_out)
{
  check_driver_leaves(&ways[_i], false);
}
END_TEST

START_TEST(others_finish_when_the_driver_is_cancelled)
{
  check_driver_leaves(&ways[_i], true);
}
END_TEST

/* Each of them drives until its time is up, and wakes the next. */
START_TEST(the_last_one_finishes_when_all_before_it_time_out_one_after_the_other)
{
  struct scene s;
  struct caller callers[CALLERS], last;

  scene_open(&s, &ways[_i]);
  for (int i = 0; i < CALLERS; i++) {
    pmx_call call = call_in(40 + 10 * i);

    caller_start(&callers[i], s.client, "GET early", &call);
  }
  check_outstanding(s.client, CALLERS);
  caller_start(&last, s.client, "GET last", NULL);
  callers_check_fail(callers, CALLERS, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  fake_resume(s.conn);
  callers_check_values(&last, 1);
  ck_assert_uint_eq(stats_of(s.client).late_replies, CALLERS);
  scene_close(&s);
}
END_TEST

START_TEST(others_finish_when_the_driver_is_answered_first)
{
  struct scene s;
  struct caller callers[CALLERS];

  scene_open(&s, &ways[_i]);
  fake_resume(s.conn);
  for (int round = 0; round < (soak() ? 2000 : 50); round++) {
    fake_stall(s.conn);
    callers_start(callers, CALLERS, s.client, NULL);
    fake_resume(s.conn);
    callers_check_values(callers, CALLERS);
  }
  scene_close(&s);
}
END_TEST

/* Nobody waits any more: the client's own thread reads. */
START_TEST(late_replies_are_read_when_everybody_has_given_up)
{
  struct scene s;
  struct caller callers[CALLERS];
  pmx_call call = call_in(30);

  scene_open(&s, &ways[_i]);
  for (int i = 0; i < CALLERS; i++)
    caller_start(&callers[i], s.client, "GET k", &call);
  callers_check_fail(callers, CALLERS, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  fake_resume(s.conn);
  check_stat(s.client, late_replies, CALLERS);
  scene_close(&s);
}
END_TEST

/* ---- a thread that is to end ---- */

struct doomed {
  pmx_client *client;
  atomic_bool answered;
};

static void *call_and_end(void *arg)
{
  struct doomed *d = arg;
  pmx_reply *reply = pmx_do(d->client, NULL, "GET", "doomed", (char *)NULL);

  atomic_store(&d->answered, pmx_ok(reply));
  pmx_reply_free(reply);
  pthread_testcancel();
  return NULL;
}

/* A call is no place to be cancelled in: it ends first. */
START_TEST(thread_that_is_cancelled_while_it_reads_for_all_ends_after_its_call)
{
  struct scene s;
  struct caller callers[CALLERS];
  struct doomed doomed = {.answered = false};
  pthread_t thread;
  void *result;

  scene_open(&s, &ways[_i]);
  doomed.client = s.client;
  ck_assert_int_eq(pthread_create(&thread, NULL, call_and_end, &doomed), 0);
  check_outstanding(s.client, 1);
  callers_start(callers, CALLERS, s.client, NULL);
  pthread_cancel(thread);
  sleep_ms(20);
  ck_assert_uint_eq(outstanding(s.client), 1 + CALLERS);
  fake_resume(s.conn);
  callers_check_values(callers, CALLERS);
  pthread_join(thread, &result);
  ck_assert(result == PTHREAD_CANCELED && atomic_load(&doomed.answered));
  scene_close(&s);
}
END_TEST

/* ---- at any moment ---- */

enum { IMPATIENT = 6, PATIENT = 3 };

struct crowd {
  pmx_client *client;
  uint64_t seed;
  int64_t until;
  atomic_int values, given_up;
};

static void call_with_little_time(struct crowd *crowd, struct rng *rng)
{
  pmx_reply *reply = get_in(crowd->client, "k", 1 + (int64_t)rng_below(rng, 4));

  if (pmx_ok(reply)) {
    check_value(reply, "k");
    return;
  }
  ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_TIMEOUT);
  atomic_fetch_add(&crowd->given_up, 1);
  pmx_reply_free(reply);
}

static void join_crowd(int i, void *arg)
{
  struct crowd *crowd = arg;
  struct rng rng;
  char key[48];

  rng_seed(&rng, crowd->seed + (uint64_t)i);
  for (int n = 0; pmx_now_ms() < crowd->until; n++) {
    if (i < IMPATIENT) {
      call_with_little_time(crowd, &rng);
      continue;
    }
    snprintf(key, sizeof key, "patient-%d-%d", i, n);
    check_value(get_in(crowd->client, key, 20000), key);
    atomic_fetch_add(&crowd->values, 1);
  }
}

static int answer_a_little_later(void *ud, struct fake_conn *conn, int argc, char **argv,
                                 size_t *len)
{
  fake_delay(conn, (int)rng_below(ud, 4));
  return answer_values(NULL, conn, argc, argv, len);
}

/* A wake-up that was lost with the one who got it would leave a patient caller asleep. */
START_TEST(patient_callers_are_served_while_others_give_up_at_any_moment)
{
  struct crowd crowd = {.seed = test_seed("patient_callers")};
  struct rng rng;
  struct fake *fake = fake_for(&ways[_i], answer_a_little_later, &rng);

  rng_seed(&rng, crowd.seed + 100);
  crowd.client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  crowd.until = pmx_now_ms() + (soak() ? 20000 : 700);
  run_threads(IMPATIENT + PATIENT, join_crowd, &crowd);
  ck_assert_int_gt(atomic_load(&crowd.values), 0);
  ck_assert_int_gt(atomic_load(&crowd.given_up), 0);
  check_stat(crowd.client, in_flight, 0);
  ck_assert_uint_eq(fake_accepted(fake), 1);
  close_client(crowd.client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_driver");

  ways_brief();
  add_for_ways_with(SHARES, tc, others_finish_when_the_driver_times_out);
  add_for_ways_with(SHARES, tc, others_finish_when_the_driver_is_cancelled);
  add_for_ways_with(SHARES, tc,
                    the_last_one_finishes_when_all_before_it_time_out_one_after_the_other);
  add_for_ways_with(SHARES, tc, others_finish_when_the_driver_is_answered_first);
  add_for_ways_with(SHARES, tc, late_replies_are_read_when_everybody_has_given_up);
  add_for_ways_with(SHARES, tc,
                    thread_that_is_cancelled_while_it_reads_for_all_ends_after_its_call);
  add_for_ways_with(SHARES, tc, patient_callers_are_served_while_others_give_up_at_any_moment);
  return checks_run("mux_driver", tc);
}
