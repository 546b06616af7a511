/* SPDX-License-Identifier: BSD-3-Clause */
/* check_workload.c - the benchmark's workloads: what is read and what is refused, in which words;
 * that the dice throw what was asked for; and that no answer passes which belongs to another
 * command. The dice are the same in every run, so nothing here depends on luck. */
#include "../bench/workload.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../bench/measure.h"
#include "harness/checks.h"

enum { DRAWS = 200000, SEED = 1 };

static char why[WORKLOAD_WHY];

static void set(struct workload *w, const char *text)
{
  ck_assert_msg(workload_set(w, text, why) == 0, "%s", why);
}

/* settings: up to a NULL. */
static struct workload make(const char *const *settings)
{
  struct workload w;

  workload_init(&w);
  for (int i = 0; settings[i]; i++)
    set(&w, settings[i]);
  ck_assert_msg(workload_ready(&w, why) == 0, "%s", why);
  return w;
}
#define MAKE(...) make((const char *const[]){__VA_ARGS__, NULL})

/* ---- reading ---- */

START_TEST(defaults_are_those_of_the_table)
{
  struct workload w = make((const char *const[]){NULL}), again;
  char *text = NULL, *line, *save = NULL, setting[512];
  size_t len;
  FILE *out = open_memstream(&text, &len);
  int keys = 0;

  workload_print_keys(out);
  fclose(out);
  workload_init(&again);
  again.keys = 77;
  for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), keys++) {
    ck_assert_int_eq(sscanf(line, "%100[^\t]", setting), 1);
    snprintf(setting + strlen(setting), 300, " = %.*s", (int)strcspn(strchr(line, '\t') + 1, "\t"),
             strchr(line, '\t') + 1);
    set(&again, setting);
  }
  ck_assert_int_eq(keys, 18);
  ck_assert_int_eq(again.keys, 10000);
  ck_assert_int_eq(w.value.part[0].low, 64);
  ck_assert_int_eq(w.big_value.part[0].low, 256 * 1024);
  ck_assert_int_eq(w.big_value.part[0].high, 1024 * 1024);
  ck_assert_double_eq(w.reads, 50);
  ck_assert_double_eq(w.rate + w.skew + w.big + w.batch + w.pushes + w.publishes, 0);
  ck_assert_int_eq(w.callers_as, AS_THREADS);
  ck_assert_str_eq(w.prefix, "poolmux-bench:");
  free(text);
  workload_free(&w);
}
END_TEST

START_TEST(sizes_are_read_as_numbers_ranges_and_lists)
{
  struct workload w = MAKE("value = 64:90,1KiB-2kib:9.5,0.5MiB:0.5 ");

  ck_assert_int_eq(w.value.n, 3);
  ck_assert_int_eq(w.value.part[1].low, 1024);
  ck_assert_int_eq(w.value.part[1].high, 2048);
  ck_assert_int_eq(w.value.part[2].low, 512 * 1024);
  ck_assert_double_eq_tol(w.value.part[0].upto, 0.9, 1e-9);
  ck_assert_double_eq_tol(w.value.part[1].upto, 0.995, 1e-9);
  ck_assert(sizes_contain(&w.value, 64) && sizes_contain(&w.value, 1500));
  ck_assert(!sizes_contain(&w.value, 65) && !sizes_contain(&w.value, 2049));
  workload_free(&w);
}
END_TEST

START_TEST(what_is_not_valid_is_told_with_key_value_and_what_is)
{
  static const struct row {
    const char *setting, *valid;
  } rows[] = {
      {"keys=0", "1 to 10000000"},
      {"keys=10000001", "1 to 10000000"},
      {"keys=1.5", "1 to 10000000"},
      {"keys=", "1 to 10000000"},
      {"keys=-1", "1 to 10000000"},
      {"keys=1e3", "1 to 10000000"},
      {"keys=0x10", "1 to 10000000"},
      {"skew=2.01", "0 to 2"},
      {"skew=nan", "0 to 2"},
      {"skew=inf", "0 to 2"},
      {"skew=1.2.3", "0 to 2"},
      {"reads=101", "0 to 100"},
      {"reads=50%", "0 to 100"},
      {"value=0", "SIZE-SIZE"},
      {"value=65MiB", "SIZE-SIZE"},
      {"value=0.3KiB", "SIZE-SIZE"},
      {"value=2-1", "SIZE-SIZE"},
      {"value=1-", "SIZE-SIZE"},
      {"value=1:2:3", "SIZE-SIZE"},
      {"value=1,", "SIZE-SIZE"},
      {"value=,1", "SIZE-SIZE"},
      {"value=1:0,2:0", "SIZE-SIZE"},
      {"value=1:-1,2", "SIZE-SIZE"},
      {"value=1GiB", "SIZE-SIZE"},
      {"value=1,1,1,1,1,1,1,1,1", "SIZE-SIZE"},
      {"big_value=x", "SIZE-SIZE"},
      {"callers_as=thread", "threads, callbacks or futures"},
      {"rate=-1", "0 to 10000000"},
      {"batch_size=0", "1 to 10000"},
      {"blocked=1001", "0 to 1000"},
      {"connections=4097", "0 to 4096"},
      {"subscribers=x", "0 to 1000"},
      {"prefix=", "1 to 64 bytes"},
      {"prefix=a b", "1 to 64 bytes"},
      {"prefix=0123456789012345678901234567890123456789012345678901234567890123x", "1 to 64 bytes"},
  };
  struct workload w, before;
  char name[64];

  workload_init(&w);
  before = w;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ck_assert_msg(workload_set(&w, rows[i].setting, why) == -1, "%s is taken", rows[i].setting);
    ck_assert_msg(strncmp(why, rows[i].setting, strlen(rows[i].setting)) == 0, "%s", why);
    snprintf(name, sizeof name, "; %.*s is ", (int)strcspn(rows[i].setting, "="), rows[i].setting);
    ck_assert_msg(strstr(why, name) && strstr(why, rows[i].valid), "%s", why);
  }
  ck_assert_mem_eq(&w, &before, sizeof w);
}
END_TEST

START_TEST(unknown_keys_are_told_with_those_there_are)
{
  struct workload w;

  workload_init(&w);
  ck_assert_int_eq(workload_set(&w, "size=64", why), -1);
  ck_assert_msg(strncmp(why, "size: there is no such key", 26) == 0, "%s", why);
  ck_assert_msg(strstr(why, " keys,") && strstr(why, " value,") && strstr(why, " prefix"), "%s",
                why);
  ck_assert_int_eq(workload_set(&w, "keys", why), -1);
  ck_assert_msg(strstr(why, "key=value"), "%s", why);
}
END_TEST

START_TEST(keys_that_contradict_each_other_are_refused)
{
  static const struct row {
    const char *settings[3], *text;
  } rows[] = {
      {{"pushes=5"}, "blocked is 0"},
      {{"publishes=5"}, "subscribers is 0"},
      {{"big=60", "batch=41"}, "more than 100 per cent"},
      {{"transactions=60", "blocked=1", "pushes=41"}, "more than 100 per cent"},
  };

  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct workload w;

    workload_init(&w);
    for (int k = 0; k < 3 && rows[i].settings[k]; k++)
      set(&w, rows[i].settings[k]);
    ck_assert_int_eq(workload_ready(&w, why), -1);
    ck_assert_msg(strstr(why, rows[i].text), "%s", why);
  }
}
END_TEST

/* ---- dice: what was drawn so often is held against what it should be ---- */

/* Five standard deviations: of dice that are right, one in a million is outside. */
static void expect_share(const char *what, long drawn, long of, double share)
{
  double off = fabs((double)drawn - share * (double)of);

  ck_assert_msg(off <= 5 * sqrt(share * (1 - share) * (double)of) + 0.5,
                "%s: %ld of %ld, and not %.5f", what, drawn, of, share);
}

static void check_keys(const char *skew, double exponent)
{
  enum { KEYS = 500 };
  struct workload w = MAKE("keys=500", skew);
  static long drawn[KEYS];
  uint64_t dice = dice_of(SEED, 0);
  double sum = 0;
  char what[64];

  memset(drawn, 0, sizeof drawn);
  for (long i = 0; i < DRAWS; i++) {
    long key = workload_draw_key(&w, &dice);

    ck_assert(key >= 0 && key < KEYS);
    drawn[key]++;
  }
  for (int i = 0; i < KEYS; i++)
    sum += pow(i + 1, -exponent);
  for (int i = 0; i < KEYS; i++) {
    snprintf(what, sizeof what, "%s key %d", skew, i);
    expect_share(what, drawn[i], DRAWS, pow(i + 1, -exponent) / sum);
  }
  workload_free(&w);
}

START_TEST(keys_follow_zipfs_law)
{
  check_keys("skew=0", 0);
  check_keys("skew=0.5", 0.5);
  check_keys("skew=0.99", 0.99);
  check_keys("skew=1", 1);
  check_keys("skew=2", 2);
}
END_TEST

START_TEST(one_key_is_enough)
{
  struct workload w = MAKE("keys=1", "skew=1");
  uint64_t dice = dice_of(SEED, 0);

  for (int i = 0; i < 1000; i++)
    ck_assert_int_eq(workload_draw_key(&w, &dice), 0);
  workload_free(&w);
}
END_TEST

START_TEST(sizes_have_their_weights)
{
  struct workload w = MAKE("value=64:90,1024-1033:9,262144:1");
  uint64_t dice = dice_of(SEED, 0);
  long small = 0, range[10] = {0}, large = 0;

  for (long i = 0; i < DRAWS; i++) {
    long size = sizes_draw(&w.value, &dice);

    ck_assert(sizes_contain(&w.value, size));
    small += size == 64;
    large += size == 262144;
    if (size != 64 && size != 262144)
      range[size - 1024]++;
  }
  expect_share("64", small, DRAWS, 0.9);
  expect_share("262144", large, DRAWS, 0.01);
  for (int i = 0; i < 10; i++)
    expect_share("1024-1033", range[i], DRAWS, 0.009);
  workload_free(&w);
}
END_TEST

START_TEST(calls_have_their_shares)
{
  struct workload w = MAKE("reads=70", "big=2", "transactions=5", "batch=1", "batch_size=10",
                           "blocked=4", "pushes=10", "subscribers=3", "publishes=7");
  static const double shares[KINDS] = {
      [KIND_GET] = 0.75 * 0.7,     [KIND_SET] = 0.75 * 0.3, [KIND_BIG_GET] = 0.02 * 0.7,
      [KIND_BIG_SET] = 0.02 * 0.3, [KIND_BATCH] = 0.01,     [KIND_TRANSACTION] = 0.05,
      [KIND_PUSH] = 0.1,           [KIND_PUBLISH] = 0.07};
  long drawn[KINDS] = {0};
  uint64_t dice = dice_of(SEED, 0);
  struct task task;

  ck_assert_int_eq(task_init(&task, &w), 0);
  for (long i = 0; i < DRAWS; i++) {
    task_draw(&task, &w, &dice, 3);
    drawn[task.kind]++;
    ck_assert_int_eq(task.n, task.kind == KIND_BATCH ? 10 : task.kind == KIND_TRANSACTION ? 2 : 1);
  }
  for (int kind = 0; kind < KINDS; kind++)
    expect_share(kind_name((enum kind)kind), drawn[kind], DRAWS, shares[kind]);
  task_free(&task);
  workload_free(&w);
}
END_TEST

START_TEST(a_reader_reads_the_big_value_that_is_its_own)
{
  struct workload w = MAKE("big_readers=40", "big_value=4096-4097");
  struct answer a = {.type = ANSWER_TEXT, .len = 4096};
  struct task task;
  char name[KEY_SIZE];

  ck_assert_int_eq(task_init(&task, &w), 0);
  for (int reader = 0; reader < 40; reader++) {
    task_big_read(&task, &w, reader);
    workload_name(&w, FAMILY_BIG, reader % BIG_KEYS, name);
    ck_assert_int_eq(task.kind, KIND_BIG_READ);
    ck_assert_int_eq(task.n, 1);
    ck_assert_str_eq(task.commands->argv[0], "GET");
    ck_assert_str_eq(task.commands->argv[1], name);
    a.text = workload_value(&w, FAMILY_BIG, reader % BIG_KEYS);
    ck_assert_int_eq(task_judge(&task, &w, 0, &a, why), VERDICT_RIGHT);
    a.text = workload_value(&w, FAMILY_KEY, reader % BIG_KEYS);
    ck_assert_int_eq(task_judge(&task, &w, 0, &a, why), VERDICT_WRONG);
  }
  a.text = workload_value(&w, FAMILY_BIG, 39 % BIG_KEYS);
  a.len = 64;
  ck_assert_int_eq(task_judge(&task, &w, 0, &a, why), VERDICT_WRONG);
  task_free(&task);
  workload_free(&w);
}
END_TEST

START_TEST(callers_throw_dice_of_their_own_and_the_same_in_each_run)
{
  uint64_t a = dice_of(1, 0), b = dice_of(1, 0), other = dice_of(1, 1), seed = dice_of(2, 0);

  for (int i = 0; i < 100; i++) {
    uint64_t roll = dice_roll(&a);

    ck_assert_uint_eq(roll, dice_roll(&b));
    ck_assert_uint_ne(roll, dice_roll(&other));
    ck_assert_uint_ne(roll, dice_roll(&seed));
  }
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("workload");

  tcase_add_test(tc, defaults_are_those_of_the_table);
  tcase_add_test(tc, sizes_are_read_as_numbers_ranges_and_lists);
  tcase_add_test(tc, what_is_not_valid_is_told_with_key_value_and_what_is);
  tcase_add_test(tc, unknown_keys_are_told_with_those_there_are);
  tcase_add_test(tc, keys_that_contradict_each_other_are_refused);
  tcase_add_test(tc, keys_follow_zipfs_law);
  tcase_add_test(tc, one_key_is_enough);
  tcase_add_test(tc, sizes_have_their_weights);
  tcase_add_test(tc, calls_have_their_shares);
  tcase_add_test(tc, a_reader_reads_the_big_value_that_is_its_own);
  tcase_add_test(tc, callers_throw_dice_of_their_own_and_the_same_in_each_run);
  return checks_run("workload", tc);
}
