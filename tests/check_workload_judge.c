/* SPDX-License-Identifier: BSD-3-Clause */
/* check_workload_judge.c - what a benchmark's worker takes for the right answer: each command that
 * can be drawn is answered rightly, and then wrongly in every way that a mixed-up connection could.
 * And the histogram in which the times of calls are counted. */
#include "../bench/workload.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../bench/measure.h"
#include "harness/checks.h"

static struct workload w;
static struct task task;
static char why[WORKLOAD_WHY];

static void set_up(void)
{
  static const char *const settings[] = {"value=16-64", "big=10",        "transactions=10",
                                         "batch=10",    "batch_size=5",  "blocked=4",
                                         "pushes=10",   "subscribers=9", "publishes=10"};

  workload_init(&w);
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    ck_assert_msg(workload_set(&w, settings[i], why) == 0, "%s", why);
  ck_assert_msg(workload_ready(&w, why) == 0, "%s", why);
  ck_assert_int_eq(task_init(&task, &w), 0);
}

static void tear_down(void)
{
  task_free(&task);
  workload_free(&w);
}

static void draw(enum kind kind)
{
  uint64_t dice = dice_of(1, 0);

  do
    task_draw(&task, &w, &dice, 7);
  while (task.kind != kind);
}

static struct answer text(const char *bytes, size_t len)
{
  return (struct answer){.type = ANSWER_TEXT, .text = bytes, .len = len};
}

static void expect(int i, struct answer answer, enum verdict verdict, const char *words)
{
  why[0] = '\0';
  ck_assert_int_eq(task_judge(&task, &w, i, &answer, why), verdict);
  ck_assert_msg(verdict == VERDICT_RIGHT || strstr(why, words), "%s", why);
  ck_assert_msg(verdict != VERDICT_WRONG || strstr(why, task.commands[i].key), "%s", why);
}

static void refuse_other_types(int i, enum answer_type right)
{
  for (int type = ANSWER_FAILURE; type <= ANSWER_OTHER; type++) {
    struct answer answer = {.type = (enum answer_type)type, .text = "", .second = ""};

    if (type == (int)right)
      continue;
    expect(i, answer, type == ANSWER_FAILURE ? VERDICT_FAILED : VERDICT_WRONG,
           type == ANSWER_FAILURE ? task.commands[i].argv[0] : "wrong answer to");
  }
}

/* A GET of this family: its value in all sizes, and not one byte of another one. */
static void judge_get(int i, enum family family, long low, long high)
{
  long index = task.commands[i].index;
  const char *right = workload_value(&w, family, index);
  char *bent = malloc((size_t)high);

  ck_assert_str_eq(task.commands[i].argv[0], "GET");
  expect(i, text(right, (size_t)low), VERDICT_RIGHT, "");
  expect(i, text(right, (size_t)high), VERDICT_RIGHT, "");
  expect(i, text(right, (size_t)low - 1), VERDICT_WRONG, "size");
  expect(i, text(right, (size_t)high + 1), VERDICT_WRONG, "size");
  expect(i, text(workload_value(&w, family, index + 1), (size_t)low), VERDICT_WRONG, "another key");
  expect(i, text(right + 1, (size_t)low), VERDICT_WRONG, "another key");
  memcpy(bent, right, (size_t)high);
  bent[high - 1] ^= 1;
  expect(i, text(bent, (size_t)high), VERDICT_WRONG, "another key");
  expect(i, text(bent, (size_t)high - 1), VERDICT_RIGHT, "");
  free(bent);
  expect(i, (struct answer){.type = ANSWER_NIL}, VERDICT_WRONG, "nothing is there");
  refuse_other_types(i, ANSWER_TEXT);
}

static void judge_set(int i)
{
  ck_assert_str_eq(task.commands[i].argv[0], "SET");
  expect(i, (struct answer){.type = ANSWER_STATUS}, VERDICT_RIGHT, "");
  refuse_other_types(i, ANSWER_STATUS);
}

START_TEST(values_are_those_of_their_keys)
{
  draw(KIND_GET);
  judge_get(0, FAMILY_KEY, 16, 64);
  draw(KIND_BIG_GET);
  judge_get(0, FAMILY_BIG, 256 * 1024, 1024 * 1024);
  draw(KIND_TRANSACTION);
  ck_assert_int_eq(task.commands[0].index, 7);
  judge_get(0, FAMILY_OWN, 16, 64);
  judge_set(1);
  draw(KIND_SET);
  judge_set(0);
  draw(KIND_BIG_SET);
  judge_set(0);
}
END_TEST

START_TEST(each_command_of_a_batch_has_its_own)
{
  draw(KIND_BATCH);
  ck_assert_int_eq(task.n, 5);
  for (int i = 0; i < task.n; i++) {
    if (task.commands[i].argc == 2)
      judge_get(i, FAMILY_KEY, 16, 64);
    else
      judge_set(i);
  }
}
END_TEST

/* What is written is what will be read. */
START_TEST(written_values_are_those_that_are_right)
{
  uint64_t dice = dice_of(3, 3);
  char name[KEY_SIZE];

  for (int i = 0; i < 2000; i++) {
    const struct command *c = task.commands;

    task_draw(&task, &w, &dice, 2);
    if (task.kind != KIND_SET && task.kind != KIND_BIG_SET)
      continue;
    enum family family = task.kind == KIND_SET ? FAMILY_KEY : FAMILY_BIG;

    ck_assert_ptr_eq(c->argv[2], workload_value(&w, family, c->index));
    ck_assert(sizes_contain(family == FAMILY_KEY ? &w.value : &w.big_value, (long)c->len[2]));
    ck_assert_uint_eq(workload_name(&w, family, c->index, name), c->len[1]);
    ck_assert_str_eq(c->argv[1], name);
  }
}
END_TEST

START_TEST(elements_and_messages_say_when_they_were_sent_and_where_to)
{
  static const enum family families[] = {FAMILY_LIST, FAMILY_CHANNEL};
  int64_t stamp;

  for (int i = 0; i < 2; i++) {
    struct command *c = task.commands;

    draw(i == 0 ? KIND_PUSH : KIND_PUBLISH);
    task_stamp(&task, INT64_C(123456789012345));
    ck_assert(workload_element(&w, families[i], c->index, c->argv[2], c->len[2], &stamp));
    ck_assert_int_eq(stamp, INT64_C(123456789012345));
    ck_assert(!workload_element(&w, families[i], c->index + 1, c->argv[2], c->len[2], &stamp));
    ck_assert(!workload_element(&w, families[1 - i], c->index, c->argv[2], c->len[2], &stamp));
    ck_assert(!workload_element(&w, families[i], c->index, c->argv[2], STAMP_SIZE, &stamp));
    ck_assert(!workload_element(&w, families[i], c->index, c->argv[2], 15, &stamp));
    ck_assert(c->index < (i == 0 ? 4 : CHANNELS));
    expect(0, (struct answer){.type = ANSWER_NUMBER, .number = 1}, VERDICT_RIGHT, "");
    expect(0, (struct answer){.type = ANSWER_NUMBER, .number = 0}, VERDICT_WRONG, "nobody");
    refuse_other_types(0, ANSWER_NUMBER);
    task.element[3] = 'x';
    ck_assert(!workload_element(&w, families[i], c->index, c->argv[2], c->len[2], &stamp));
  }
}
END_TEST

START_TEST(what_is_popped_is_of_the_consumers_own_list)
{
  struct command *c = task.commands;
  struct answer answer = {.type = ANSWER_PAIR};
  char element[STAMP_SIZE + 16];

  task_pop(&task, &w, 2);
  ck_assert_str_eq(c->argv[0], "BLPOP");
  memset(element, '0', STAMP_SIZE);
  memcpy(element + STAMP_SIZE, workload_value(&w, FAMILY_LIST, 2), 16);
  answer.text = c->key;
  answer.len = c->len[1];
  answer.second = element;
  answer.second_len = sizeof element;
  expect(0, answer, VERDICT_RIGHT, "");
  answer.len--;
  expect(0, answer, VERDICT_WRONG, "another list's name");
  answer.len++;
  element[STAMP_SIZE + 15] ^= 1;
  expect(0, answer, VERDICT_WRONG, "another list's element");
  refuse_other_types(0, ANSWER_PAIR);
}
END_TEST

/* ---- the histogram of the frame ---- */

START_TEST(a_bucket_is_at_most_a_64th_wide_and_none_is_left_out)
{
  int64_t before = -1;

  for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
    struct histogram h = {0};

    ck_assert_int_gt(histogram_upper(i), before);
    ck_assert_int_le(histogram_upper(i) - before, 1 + before / 64);
    histogram_add(&h, before + 1);
    histogram_add(&h, histogram_upper(i));
    ck_assert_uint_eq(h.buckets[i], 2);
    before = histogram_upper(i);
  }
  ck_assert_int_eq(before, (INT64_C(1) << 40) - 1);
}
END_TEST

START_TEST(times_add_up_and_are_forgotten)
{
  struct histogram a = {0}, b = {0}, none = {0};
  uint64_t seen = 0;

  for (int i = 1; i <= 1000; i++)
    histogram_add(i % 2 ? &a : &b, i * INT64_C(1000000));
  histogram_add(&b, INT64_C(1) << 50);
  histogram_merge(&a, &b);
  histogram_merge(&a, &none);
  ck_assert_uint_eq(a.count, 1001);
  ck_assert_int_eq(histogram_quantile(&a, 1), INT64_C(1) << 50);
  ck_assert_double_eq_tol((double)histogram_quantile(&a, 0.5), 501e6, 501e6 / 64);
  ck_assert_uint_eq(a.buckets[HISTOGRAM_BUCKETS - 1], 1);
  for (size_t i = a.low; i <= a.high; i++)
    seen += a.buckets[i];
  ck_assert_uint_eq(seen, 1001);
  histogram_clear(&a);
  ck_assert_mem_eq(a.buckets, none.buckets, sizeof none.buckets);
  ck_assert_int_eq(histogram_quantile(&a, 0.5), 0);
  histogram_add(&a, 5);
  histogram_add(&a, 6);
  ck_assert_uint_eq(a.high - a.low, 1);
  histogram_merge(&none, &a);
  ck_assert_uint_eq(none.buckets[none.high], 1);
  ck_assert_int_eq(histogram_quantile(&none, 0.4), 5);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("workload_judge");

  tcase_add_checked_fixture(tc, set_up, tear_down);
  tcase_add_test(tc, values_are_those_of_their_keys);
  tcase_add_test(tc, each_command_of_a_batch_has_its_own);
  tcase_add_test(tc, written_values_are_those_that_are_right);
  tcase_add_test(tc, elements_and_messages_say_when_they_were_sent_and_where_to);
  tcase_add_test(tc, what_is_popped_is_of_the_consumers_own_list);
  tcase_add_test(tc, a_bucket_is_at_most_a_64th_wide_and_none_is_left_out);
  tcase_add_test(tc, times_add_up_and_are_forgotten);
  return checks_run("workload_judge", tc);
}
