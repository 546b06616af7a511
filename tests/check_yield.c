/* SPDX-License-Identifier: BSD-3-Clause */
/* check_yield.c - tests who gives way, to how many and how often, and which turn is late, to the
 * nanosecond. */
#include "yield_tools.h"

/* ---- who gives way ---- */

START_TEST(below_the_crowd_nobody_gives_way)
{
  for (unsigned n = 0; n < LEAST; n++) {
    struct yield y;

    crowd_of(&y, n);
    ck_assert_uint_eq(crowd_met(&y, FIRST_NS), 0);
  }
}
END_TEST

START_TEST(from_the_crowd_on_everybody_gives_way_to_all)
{
  for (unsigned n = LEAST; n <= MANY; n++) {
    struct yield y;

    crowd_of(&y, n);
    ck_assert_uint_eq(crowd_met(&y, FIRST_NS), n);
  }
}
END_TEST

START_TEST(crowd_fades_by_a_sixteenth_with_each_answer)
{
  static const unsigned fading[] = {64, 60, 56, 52, 48, 45, 42, 39, 36, 33, 30, 28,
                                    26, 24, 22, 20, 18, 16, 15, 14, 13, 12, 11, 10,
                                    9,  8,  7,  6,  5,  4,  3,  2,  1,  0,  0};
  struct yield y;

  crowd_of(&y, MANY);
  for (unsigned i = 0; i < sizeof fading / sizeof fading[0]; i++) {
    ck_assert_uint_eq(y.crowd, fading[i]);
    ck_assert_uint_eq(crowd_met(&y, FIRST_NS), fading[i] < LEAST ? 0 : fading[i]);
    yield_note_crowd(&y);
  }
}
END_TEST

START_TEST(crowd_is_never_less_than_those_under_way)
{
  struct request all[LEAST + 2];
  struct yield y;

  crowd_of(&y, LEAST);
  for (unsigned i = 0; i < LEAST + 2; i++)
    begin_at(&y, &all[i], FIRST_NS);
  ck_assert_uint_eq(y.crowd, LEAST);
  for (int i = 0; i < 3; i++) {
    yield_note_crowd(&y);
    ck_assert_uint_eq(y.crowd, LEAST + 2);
  }
  yield_end(&y, &all[0], 0);
  yield_note_crowd(&y);
  ck_assert_uint_eq(y.crowd, LEAST + 1);
}
END_TEST

START_TEST(who_does_not_wait_is_no_crowd)
{
  struct request all[MANY], late;
  struct yield y;

  crowd_of(&y, 0);
  for (unsigned i = 0; i < MANY; i++) {
    request_init(&all[i], REQUEST_COMMAND);
    yield_begin(&y, &all[i]);
  }
  yield_note_crowd(&y);
  ck_assert_uint_eq(y.callers, 0);
  ck_assert_uint_eq(crowd_met(&y, FIRST_NS), 0);
  for (unsigned i = 0; i < MANY; i++)
    yield_end(&y, &all[i], 1);
  ck_assert_uint_eq(y.callers, 0);
  crowd_of(&y, MANY); /* nor does it give way to one */
  request_init(&late, REQUEST_COMMAND);
  late.crowd = MANY;
  yield_begin(&y, &late);
  ck_assert_uint_eq(late.crowd, 0);
}
END_TEST

START_TEST(callers_that_give_up_are_counted_off)
{
  struct request all[MANY];
  struct yield y;

  crowd_of(&y, MANY);
  for (unsigned i = 0; i < MANY; i++) {
    begin_at(&y, &all[i], FIRST_NS);
    ck_assert_uint_eq(y.callers, i + 1);
  }
  for (unsigned i = 0; i < MANY; i++) {
    if (i % 3 == 0)
      yield_slept(&y, &all[i]);
    yield_end(&y, &all[i], i % 2);
    ck_assert_uint_eq(y.callers, MANY - i - 1);
  }
}
END_TEST

START_TEST(nobody_gives_way_while_that_is_off)
{
  struct yield y;

  crowd_of(&y, MANY);
  y.off = 1;
  ck_assert_uint_eq(crowd_met(&y, FIRST_NS), 0);
  ck_assert_uint_eq(y.callers, 0);
  y.off = 0;
  ck_assert_uint_eq(crowd_met(&y, FIRST_NS), MANY);
}
END_TEST

/* ---- how often ---- */

static int64_t give_way_until(unsigned crowd, int64_t deadline)
{
  struct request req;
  struct yield y;
  int64_t late;

  crowd_of(&y, crowd);
  begin_at(&y, &req, FIRST_NS);
  req.deadline = deadline;
  sim.now = FIRST_NS;
  sim.turns = 0;
  sim.req = &req;
  late = yield_give_way(&req, &sim.canceled);
  ck_assert_uint_eq(req.turns, 0); /* once in a call */
  return late;
}

static int64_t give_way(unsigned crowd)
{
  return give_way_until(crowd, TIME_FOREVER);
}

static const struct {
  unsigned crowd, turns;
} sizes[] = {{4, 8},  {8, 8},  {16, 8}, {17, 7}, {18, 7}, {20, 6}, {25, 5},
             {32, 4}, {33, 3}, {42, 3}, {43, 2}, {64, 2}, {65, 2}, {1000, 2}};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

START_TEST(the_larger_the_crowd_the_fewer_turns_of_each)
{
  for (int i = 0; i < SIZES; i++) {
    ck_assert_int_eq(give_way(sizes[i].crowd), -1);
    ck_assert_uint_eq(sim.turns, sizes[i].turns);
    ck_assert_int_eq(sim.now, FIRST_NS + (int64_t)sizes[i].turns * TURN_NS);
  }
}
END_TEST

START_TEST(who_has_been_answered_gives_way_no_more)
{
  for (int i = 0; i < SIZES; i++) {
    for (sim.last_turn = 1; sim.last_turn <= sizes[i].turns; sim.last_turn++) {
      ck_assert_int_eq(give_way(sizes[i].crowd), -1);
      ck_assert_uint_eq(sim.turns, sim.last_turn);
    }
  }
  sim.last_turn = 0;
}
END_TEST

START_TEST(who_is_cancelled_gives_way_no_more)
{
  for (sim.cancel_turn = 1; sim.cancel_turn < 8; sim.cancel_turn++) {
    atomic_store(&sim.canceled, 0);
    ck_assert_int_eq(give_way(LEAST), -1);
    ck_assert_uint_eq(sim.turns, sim.cancel_turn);
  }
  ck_assert_int_eq(give_way(LEAST), -1); /* he was, before */
  ck_assert_uint_eq(sim.turns, 0);
  atomic_store(&sim.canceled, 0);
  sim.cancel_turn = 0;
}
END_TEST

START_TEST(whose_time_is_up_gives_way_no_more)
{
  for (unsigned turns = 0; turns < 8; turns++) {
    ck_assert_int_eq(give_way_until(LEAST, FIRST_NS + (int64_t)turns * TURN_NS), -1);
    ck_assert_uint_eq(sim.turns, turns);
    if (turns > 0) {
      ck_assert_int_eq(give_way_until(LEAST, FIRST_NS + (int64_t)turns * TURN_NS - 1), -1);
      ck_assert_uint_eq(sim.turns, turns);
    }
  }
}
END_TEST

/* All turns of a call together. */
START_TEST(late_turn_is_the_last_of_its_call)
{
  for (int i = 0; i < SIZES; i++) {
    int64_t limit = MS + (int64_t)sizes[i].crowd * 10000;

    for (sim.late_turn = 1; sim.late_turn <= sizes[i].turns; sim.late_turn++) {
      sim.late_ns = limit - (int64_t)(sizes[i].turns - 1) * TURN_NS;
      ck_assert_int_eq(give_way(sizes[i].crowd), -1);
      ck_assert_uint_eq(sim.turns, sizes[i].turns);
      sim.late_ns++;
      ck_assert_int_eq(give_way(sizes[i].crowd), FIRST_NS);
      ck_assert_uint_eq(sim.turns, sizes[i].turns);
      sim.late_ns = limit - (int64_t)(sim.late_turn - 1) * TURN_NS + 1;
      ck_assert_int_eq(give_way(sizes[i].crowd), FIRST_NS);
      ck_assert_uint_eq(sim.turns, sim.late_turn);
    }
  }
  sim.late_turn = 0;
}
END_TEST

/* An answer does not make up for it. */
START_TEST(late_turn_is_told_though_the_answer_has_come)
{
  sim.late_turn = sim.last_turn = 2;
  sim.late_ns = 2 * MS;
  ck_assert_int_eq(give_way(LEAST), FIRST_NS);
  ck_assert_uint_eq(sim.turns, 2);
  sim.late_turn = sim.last_turn = 0;
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("yield");

  tcase_add_test(tc, below_the_crowd_nobody_gives_way);
  tcase_add_test(tc, from_the_crowd_on_everybody_gives_way_to_all);
  tcase_add_test(tc, crowd_fades_by_a_sixteenth_with_each_answer);
  tcase_add_test(tc, crowd_is_never_less_than_those_under_way);
  tcase_add_test(tc, who_does_not_wait_is_no_crowd);
  tcase_add_test(tc, callers_that_give_up_are_counted_off);
  tcase_add_test(tc, nobody_gives_way_while_that_is_off);
  tcase_add_test(tc, the_larger_the_crowd_the_fewer_turns_of_each);
  tcase_add_test(tc, who_has_been_answered_gives_way_no_more);
  tcase_add_test(tc, who_is_cancelled_gives_way_no_more);
  tcase_add_test(tc, whose_time_is_up_gives_way_no_more);
  tcase_add_test(tc, late_turn_is_the_last_of_its_call);
  tcase_add_test(tc, late_turn_is_told_though_the_answer_has_come);
  return checks_run("yield", tc);
}
