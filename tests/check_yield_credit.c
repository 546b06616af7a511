/* SPDX-License-Identifier: BSD-3-Clause */
/* check_yield_credit.c - tests when a crowd ceases to give way, since it does not pay, and when it
 * tries again, to the nanosecond. */
#include "yield_tools.h"

/* One call of a crowd after the other: their issuers sleep, or are awake when they end. */
static void calls(struct yield *y, unsigned n, int in_time, int64_t now)
{
  for (unsigned i = 0; i < n; i++) {
    struct request req;

    begin_at(y, &req, now);
    ck_assert_uint_ne(req.crowd, 0);
    if (!in_time)
      yield_slept(y, &req);
    yield_end(y, &req, in_time);
  }
}

START_TEST(each_sleep_takes_one_of_four_for_each_caller)
{
  for (unsigned n = LEAST; n <= MANY; n++) {
    struct yield y;

    crowd_of(&y, n);
    calls(&y, 4 * n - 1, 0, FIRST_NS);
    ck_assert_uint_eq(crowd_met(&y, FIRST_NS), n);
    calls(&y, 1, 0, FIRST_NS);
    ck_assert_uint_eq(crowd_met(&y, FIRST_NS), 0);
  }
}
END_TEST

START_TEST(each_answer_in_time_gives_two)
{
  for (unsigned answers = 1; answers < 10; answers++) {
    struct yield y;

    crowd_of(&y, LEAST);
    calls(&y, answers, 1, FIRST_NS);
    calls(&y, 4 * LEAST + 2 * answers - 1, 0, FIRST_NS);
    ck_assert_uint_eq(crowd_met(&y, FIRST_NS), LEAST);
    calls(&y, 1, 0, FIRST_NS);
    ck_assert_uint_eq(crowd_met(&y, FIRST_NS), 0);
  }
}
END_TEST

START_TEST(credit_has_a_limit_for_each_caller)
{
  for (unsigned n = LEAST; n <= MANY; n++) {
    struct yield y;

    crowd_of(&y, n);
    calls(&y, 600 * n, 1, FIRST_NS);
    calls(&y, 1024 * n - 1, 0, FIRST_NS);
    ck_assert_uint_eq(crowd_met(&y, FIRST_NS), n);
    calls(&y, 1, 0, FIRST_NS);
    ck_assert_uint_eq(crowd_met(&y, FIRST_NS), 0);
  }
}
END_TEST

/* It neither gives nor takes. */
START_TEST(who_did_not_give_way_has_no_part_in_the_credit)
{
  struct request stranger;
  struct yield y;

  crowd_of(&y, LEAST);
  calls(&y, 1, 1, FIRST_NS);
  begin_at(&y, &stranger, FIRST_NS);
  stranger.crowd = 0;
  yield_slept(&y, &stranger);
  ck_assert_uint_eq(y.credit, 4 * LEAST + 2);
  yield_end(&y, &stranger, 1);
  ck_assert_uint_eq(y.credit, 4 * LEAST + 2);
}
END_TEST

/* There is no credit from now on, for so long. When that is over. */
static int64_t check_pause(struct yield *y, int64_t now, int64_t pause)
{
  calls(y, 4 * LEAST, 0, now);
  ck_assert_uint_eq(crowd_met(y, now), 0);
  ck_assert_uint_eq(crowd_met(y, now + pause - 1), 0);
  ck_assert_uint_eq(crowd_met(y, now + pause), LEAST);
  return now + pause;
}

/* Those who still do, when it has gone, neither bring it back nor make the pause longer. */
START_TEST(credit_that_has_gone_is_gone_for_all)
{
  struct request all[LEAST];
  struct yield y;

  crowd_of(&y, LEAST);
  for (int i = 0; i < LEAST; i++)
    begin_at(&y, &all[i], FIRST_NS + 1);
  calls(&y, 4 * LEAST, 0, FIRST_NS);
  yield_slept(&y, &all[0]);
  yield_late(&y, &all[0], FIRST_NS + 1, FIRST_NS + 2 * MS);
  for (int i = 0; i < LEAST; i++)
    yield_end(&y, &all[i], 1);
  ck_assert_uint_eq(crowd_met(&y, FIRST_NS + 20 * MS - 1), 0);
  ck_assert_uint_eq(crowd_met(&y, FIRST_NS + 20 * MS), LEAST);
  check_pause(&y, FIRST_NS + 20 * MS, 40 * MS);
}
END_TEST

/* ---- the pause ---- */

START_TEST(each_pause_is_twice_as_long_up_to_a_limit)
{
  static const int64_t pauses[] = {20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 5120, 5120};
  int64_t now = FIRST_NS;
  struct yield y;

  crowd_of(&y, LEAST);
  for (unsigned i = 0; i < sizeof pauses / sizeof pauses[0]; i++)
    now = check_pause(&y, now, pauses[i] * MS);
}
END_TEST

/* Earned, less what was lost meanwhile or not. */
START_TEST(pauses_start_over_when_a_trial_has_earned_as_much_as_there_can_be)
{
  int64_t now = FIRST_NS;
  struct yield y;

  crowd_of(&y, LEAST);
  now = check_pause(&y, now, 20 * MS);
  now = check_pause(&y, now, 40 * MS);
  calls(&y, 512 * LEAST - 1, 1, now);
  calls(&y, 1020 * LEAST, 0, now); /* all but four for each */
  now = check_pause(&y, now, 80 * MS);
  for (int i = 0; i < 512 * LEAST; i++) {
    calls(&y, 1, 1, now);
    calls(&y, 2, 0, now);
  }
  ck_assert_uint_eq(y.credit, 4 * LEAST);
  now = check_pause(&y, now, 20 * MS);
  check_pause(&y, now, 40 * MS);
}
END_TEST

START_TEST(what_an_earlier_trial_has_earned_is_forgotten)
{
  int64_t now = FIRST_NS;
  struct yield y;

  crowd_of(&y, LEAST);
  now = check_pause(&y, now, 20 * MS);
  calls(&y, 512 * LEAST - 1, 1, now);
  calls(&y, 1020 * LEAST, 0, now);
  now = check_pause(&y, now, 40 * MS);
  calls(&y, 1, 1, now);
  calls(&y, 2, 0, now);
  check_pause(&y, now, 80 * MS);
}
END_TEST

START_TEST(credit_of_a_crowd_that_has_gone_is_not_left_to_a_smaller_one)
{
  struct yield y;

  crowd_of(&y, MANY);
  calls(&y, 600 * MANY, 1, FIRST_NS);
  ck_assert_uint_eq(y.credit, 1024 * MANY);
  for (int i = 0; i < 10; i++)
    yield_note_crowd(&y);
  ck_assert_uint_lt(y.crowd, MANY);
  ck_assert_uint_eq(y.credit, 1024 * y.crowd);
}
END_TEST

/* ---- who came late ---- */

static void fill_credit(struct yield *y, struct request *late)
{
  crowd_of(y, MANY);
  calls(y, 600 * MANY, 1, FIRST_NS);
  ck_assert_uint_eq(y->credit, 1024 * MANY);
  begin_at(y, late, FIRST_NS);
}

START_TEST(coming_late_costs_half_of_all_there_can_be)
{
  int64_t since = FIRST_NS, now = FIRST_NS + 2 * MS;
  struct request late;
  struct yield y;

  fill_credit(&y, &late);
  yield_late(&y, &late, since, now);
  ck_assert_uint_eq(y.credit, 512 * MANY);
  calls(&y, 512 * MANY - 1, 0, now);
  ck_assert_uint_eq(crowd_met(&y, now), MANY);
  calls(&y, 1, 0, now);
  ck_assert_uint_eq(crowd_met(&y, now), 0);
}
END_TEST

START_TEST(coming_late_ends_a_trial)
{
  struct request late;
  struct yield y;

  crowd_of(&y, MANY);
  calls(&y, 100, 1, FIRST_NS);
  begin_at(&y, &late, FIRST_NS);
  yield_late(&y, &late, FIRST_NS, FIRST_NS + 2 * MS);
  ck_assert_uint_eq(crowd_met(&y, FIRST_NS + 2 * MS), 0);
}
END_TEST

START_TEST(pause_begins_when_he_who_was_late_has_come)
{
  int64_t since = FIRST_NS, now = FIRST_NS + 2 * MS;
  struct request late;
  struct yield y;

  fill_credit(&y, &late);
  yield_late(&y, &late, since, now);
  calls(&y, 1, 0, now);
  since = now + MS;
  now = since + 2 * MS;
  yield_late(&y, &late, since, now); /* it takes more than is left */
  ck_assert_uint_eq(crowd_met(&y, now + 20 * MS - 1), 0);
  ck_assert_uint_eq(crowd_met(&y, now + 20 * MS), MANY);
}
END_TEST

START_TEST(all_who_were_late_together_count_once)
{
  int64_t since = FIRST_NS, now = FIRST_NS + 2 * MS;
  struct request late;
  struct yield y;

  fill_credit(&y, &late);
  yield_late(&y, &late, since, now);
  for (int64_t begun = since; begun < now; begun += MS / 10)
    yield_late(&y, &late, begun, begun + 3 * MS);
  yield_late(&y, &late, now - 1, now + 3 * MS);
  ck_assert_uint_eq(y.credit, 512 * MANY);
  yield_late(&y, &late, now, now + 3 * MS); /* that was another time */
  ck_assert_uint_eq(crowd_met(&y, now + 3 * MS), 0);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("yield_credit");

  tcase_add_test(tc, each_sleep_takes_one_of_four_for_each_caller);
  tcase_add_test(tc, each_answer_in_time_gives_two);
  tcase_add_test(tc, credit_has_a_limit_for_each_caller);
  tcase_add_test(tc, who_did_not_give_way_has_no_part_in_the_credit);
  tcase_add_test(tc, credit_that_has_gone_is_gone_for_all);
  tcase_add_test(tc, each_pause_is_twice_as_long_up_to_a_limit);
  tcase_add_test(tc, pauses_start_over_when_a_trial_has_earned_as_much_as_there_can_be);
  tcase_add_test(tc, what_an_earlier_trial_has_earned_is_forgotten);
  tcase_add_test(tc, credit_of_a_crowd_that_has_gone_is_not_left_to_a_smaller_one);
  tcase_add_test(tc, coming_late_costs_half_of_all_there_can_be);
  tcase_add_test(tc, coming_late_ends_a_trial);
  tcase_add_test(tc, pause_begins_when_he_who_was_late_has_come);
  tcase_add_test(tc, all_who_were_late_together_count_once);
  return checks_run("yield_credit", tc);
}
