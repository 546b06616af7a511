/* SPDX-License-Identifier: BSD-3-Clause */
/* check_values.c - values as text: what is read, what is printed, what is refused and in which
 * words. Goes over the table wherever it can, so that a new row is tested by being there. */
#include "api/options.h"
#include "api/table.h"
#include "base/clock.h"
#include "base/random.h"
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pmx_options *options;

static void make_options(void)
{
  options = pmx_options_new();
  ck_assert_ptr_nonnull(options);
}

static void free_options(void)
{
  pmx_options_free(options);
}

static const char *error_of(const char *name, const char *value)
{
  static char error[512];
  struct config config;

  ck_assert_int_eq(config_init(&config), 0);
  strcpy(error, "untouched");
  ck_assert_int_eq(config_set(&config, name, value, 0, error, sizeof error), -1);
  ck_assert_str_ne(error, "");
  ck_assert_str_ne(error, "untouched");
  config_clear(&config);
  return error;
}

static int64_t number(const char *name)
{
  return option_number(&options->config, option_find(name));
}

static int is_kind(size_t i, const char *kind)
{
  return strcmp(option_at(i)->kind, kind) == 0;
}

static int is_scaled(size_t i)
{
  return is_kind(i, "INT") || is_kind(i, "DURATION") || is_kind(i, "SIZE");
}

/* The number as a user can write any number of that kind. */
static void write_number(char *buf, size_t size, size_t i, int64_t value)
{
  if (is_kind(i, "DURATION") && value == TIME_FOREVER)
    snprintf(buf, size, "forever");
  else
    snprintf(buf, size, "%" PRId64 "%s", value, is_kind(i, "DURATION") ? "ns" : "");
}

/* ---- bounds ---- */

static void expect_refused(const char *name, const char *value)
{
  char expected[64];

  snprintf(expected, sizeof expected, "\"%s\" is out of range; valid: ", value);
  ck_assert_msg(strstr(error_of(name, value), expected) != NULL, "%s=%s: %s", name, value,
                error_of(name, value));
}

START_TEST(bounds_are_inside_and_their_neighbours_outside)
{
  char value[40];
  int tried = 0;

  for (size_t i = 0; i < option_count(); i++) {
    const struct option_row *row = option_at(i);

    if (!is_scaled(i))
      continue;
    write_number(value, sizeof value, i, row->min);
    ck_assert_int_eq(pmx_options_set(options, row->name, value), PMX_OK);
    ck_assert_int_eq(number(row->name), row->min);
    write_number(value, sizeof value, i, row->max);
    ck_assert_int_eq(pmx_options_set(options, row->name, value), PMX_OK);
    ck_assert_int_eq(number(row->name), row->max);
    write_number(value, sizeof value, i, row->min - 1);
    expect_refused(row->name, value);
    if (row->max == TIME_FOREVER) {
      expect_refused(row->name, "9223372036854775807ns");
      expect_refused(row->name, "9223372036854775808ns");
    } else {
      write_number(value, sizeof value, i, row->max + 1);
      expect_refused(row->name, value);
    }
    ck_assert_int_eq(number(row->name), row->max);
    tried++;
  }
  ck_assert_int_gt(tried, 20);
}
END_TEST

START_TEST(lengths_of_strings_are_bounded)
{
  static char value[1100000];

  for (size_t i = 0; i < option_count(); i++) {
    const struct option_row *row = option_at(i);

    if (!is_kind(i, "STRING") && !is_kind(i, "SECRET"))
      continue;
    memset(value, 'x', sizeof value);
    value[row->max] = '\0';
    ck_assert_int_eq(pmx_options_set(options, row->name, value), PMX_OK);
    ck_assert_str_eq(option_string(&options->config, (enum option_id)i), value);
    value[row->max] = 'x';
    value[row->max + 1] = '\0';
    ck_assert_ptr_nonnull(strstr(error_of(row->name, value), " is too long; valid: "));
    value[row->min] = '\0';
    ck_assert_int_eq(pmx_options_set(options, row->name, value), PMX_OK);
    if (row->min == 0)
      continue;
    value[row->min - 1] = '\0';
    ck_assert_ptr_nonnull(strstr(error_of(row->name, value), " is too short; valid: "));
  }
}
END_TEST

START_TEST(printed_numbers_are_read_back_as_the_same_number)
{
  pmx_options *other = pmx_options_new();
  struct random random;
  char value[40];

  ck_assert_ptr_nonnull(other);
  random_seed(&random, 7);
  for (size_t i = 0; i < option_count(); i++) {
    const struct option_row *row = option_at(i);

    for (int round = 0; is_scaled(i) && round < 200; round++) {
      uint64_t span = (uint64_t)(row->max - row->min);
      uint64_t step = (uint64_t[]){1, 1000, 1024, NS_PER_MS, NS_PER_S}[round % 5];
      int64_t n = row->min + (int64_t)random_below(&random, span);

      n -= step < span ? n % (int64_t)step : 0;
      n = n < row->min ? row->min : n;
      write_number(value, sizeof value, i, n);
      ck_assert_int_eq(pmx_options_set(options, row->name, value), PMX_OK);
      ck_assert_int_eq(number(row->name), n);
      ck_assert_int_eq(pmx_options_set(other, row->name, pmx_options_get(options, row->name)), 0);
      ck_assert_int_eq(option_number(&other->config, (enum option_id)i), n);
      ck_assert_uint_le(strlen(pmx_options_get(options, row->name)), strlen(value));
    }
  }
  pmx_options_free(other);
}
END_TEST

START_TEST(every_name_of_every_enum_counts_up_from_0)
{
  for (size_t i = 0; i < option_count(); i++) {
    const struct option_row *row = option_at(i);
    char names[128], *next = names;
    int64_t want = 0;

    if (!is_kind(i, "ENUM"))
      continue;
    snprintf(names, sizeof names, "%s", row->names);
    for (char *name; (name = strsep(&next, "|")) != NULL; want++) {
      ck_assert_int_eq(pmx_options_set(options, row->name, name), PMX_OK);
      ck_assert_int_eq(number(row->name), want);
      ck_assert_str_eq(pmx_options_get(options, row->name), name);
    }
    ck_assert_int_eq(want - 1, row->max);
    ck_assert_int_eq(pmx_options_set(options, row->name, row->names), PMX_INVALID);
  }
}
END_TEST

/* ---- values ---- */

static const struct {
  const char *name, *value, *printed;
  int64_t number;
} good[] = {
    {"tls", "yes", "yes", 1},
    {"tls", "no", "no", 0},
    {"tls", "on", "yes", 1},
    {"tls", "off", "no", 0},
    {"tls", "true", "yes", 1},
    {"tls", "false", "no", 0},
    {"tls", "1", "yes", 1},
    {"tls", "0", "no", 0},
    {"port", "007", "7", 7},
    {"port", "00000000000000000000000000000007", "7", 7},
    {"command_timeout", "1d", "1d", 86400 * NS_PER_S},
    {"command_timeout", "24h", "1d", 86400 * NS_PER_S},
    {"command_timeout", "90min", "90min", 5400 * NS_PER_S},
    {"command_timeout", "1.5h", "90min", 5400 * NS_PER_S},
    {"command_timeout", "1.5s", "1500ms", 1500 * NS_PER_MS},
    {"command_timeout", "0.25s", "250ms", 250 * NS_PER_MS},
    {"command_timeout", "1000us", "1ms", NS_PER_MS},
    {"command_timeout", "1000001ns", "1000001ns", NS_PER_MS + 1},
    {"command_timeout", "1.000001ms", "1000001ns", NS_PER_MS + 1},
    {"command_timeout", "1.0000000000000000ms", "1ms", NS_PER_MS},
    {"command_timeout", "1.000000001s", "1000000001ns", NS_PER_S + 1},
    {"command_timeout", "forever", "forever", TIME_FOREVER},
    {"command_timeout", "9223372036854775806ns", "9223372036854775806ns", TIME_FOREVER - 1},
    {"blocking_grace", "0", "off", 0},
    {"blocking_grace", "0.0", "off", 0},
    {"blocking_grace", "0ms", "off", 0},
    {"blocking_grace", "off", "off", 0},
    {"blocking_grace", "0.000000001d", "86400ns", 86400},
    {"blocking_grace", "3ns", "3ns", 3},
    {"request.max_size", "1024", "1KiB", 1024},
    {"request.max_size", "1025", "1025", 1025},
    {"request.max_size", "1500B", "1500", 1500},
    {"request.max_size", "2KB", "2KB", 2000},
    {"request.max_size", "1MiB", "1MiB", 1 << 20},
    {"request.max_size", "3MB", "3MB", 3000000},
    {"request.max_size", "1024MiB", "1GiB", 1 << 30},
    {"request.max_size", "2GB", "2GB", 2000000000},
    {"request.max_size", "64GiB", "64GiB", INT64_C(1) << 36},
};

START_TEST(values_are_read_as_documented)
{
  ck_assert_int_eq(pmx_options_set(options, good[_i].name, good[_i].value), PMX_OK);
  ck_assert_int_eq(number(good[_i].name), good[_i].number);
  ck_assert_str_eq(pmx_options_get(options, good[_i].name), good[_i].printed);
}
END_TEST

static const struct {
  const char *name, *value, *error; /* the whole message, or its beginning when it ends in "; " */
} bad[] = {
    {"pool.max_size", "0", "pool.max_size: \"0\" is out of range; valid: 1 to 65536, or auto"},
    {"pool.max_size", "-1", "pool.max_size: \"-1\" is out of range; "},
    {"pool.max_size", "+1", "pool.max_size: \"+1\" is not a whole number; "},
    {"pool.max_size", "1.0", "pool.max_size: \"1.0\" is not a whole number; "},
    {"pool.max_size", "1e3", "pool.max_size: \"1e3\" is not a whole number; "},
    {"pool.max_size", "0x10", "pool.max_size: \"0x10\" is not a whole number; "},
    {"pool.max_size", " 1", "pool.max_size: \" 1\" is not a whole number; "},
    {"pool.max_size", "1 ", "pool.max_size: \"1 \" is not a whole number; "},
    {"pool.max_size", "1\n", "pool.max_size: \"1\\x0a\" is not a whole number; "},
    {"pool.max_size", "", "pool.max_size: \"\" is not a whole number; "},
    {"pool.max_size", "-", "pool.max_size: \"-\" is not a whole number; "},
    {"pool.max_size", "AUTO", "pool.max_size: \"AUTO\" is not a whole number; "},
    {"pool.max_size", NULL, "pool.max_size: the value is missing (NULL); "},
    {"pool.max_size", "18446744073709551617",
     "pool.max_size: \"18446744073709551617\" is out of range; "},
    {"retry.max", "1001", "retry.max: \"1001\" is out of range; valid: 0 to 1000"},
    {"connect_timeout", "5",
     "connect_timeout: \"5\" has no unit (give one: ns, us, ms, s, min, h or d); valid: 1ms to "
     "10min"},
    {"connect_timeout", "0.5", "connect_timeout: \"0.5\" has no unit (give one: ns, us, ms, s, "},
    {"connect_timeout", "0", "connect_timeout: \"0\" is out of range; valid: 1ms to 10min"},
    {"connect_timeout", "off", "connect_timeout: \"off\" is out of range; "},
    {"connect_timeout", "forever", "connect_timeout: \"forever\" is out of range; "},
    {"connect_timeout", "-5s", "connect_timeout: \"-5s\" is out of range; "},
    {"connect_timeout", "-0", "connect_timeout: \"-0\" is out of range; "},
    {"connect_timeout", "5 s", "connect_timeout: \"5 s\" is not a duration "},
    {"connect_timeout", "5sec", "connect_timeout: \"5sec\" is not a duration "},
    {"connect_timeout", "5S", "connect_timeout: \"5S\" is not a duration "},
    {"connect_timeout", "5m", "connect_timeout: \"5m\" is not a duration "},
    {"connect_timeout", "1min30s", "connect_timeout: \"1min30s\" is not a duration "},
    {"connect_timeout", ".5s", "connect_timeout: \".5s\" is not a duration "},
    {"connect_timeout", "5.s", "connect_timeout: \"5.s\" is not a duration "},
    {"connect_timeout", "1.5.5s", "connect_timeout: \"1.5.5s\" is not a duration "},
    {"connect_timeout", "1e3ms", "connect_timeout: \"1e3ms\" is not a duration "},
    {"connect_timeout", "s", "connect_timeout: \"s\" is not a duration "},
    {"connect_timeout", "", "connect_timeout: \"\" is not a duration "},
    {"connect_timeout", "1000000.5ns",
     "connect_timeout: \"1000000.5ns\" is finer than a nanosecond; "},
    {"connect_timeout", "1.0000000001s",
     "connect_timeout: \"1.0000000001s\" is finer than a nanosecond; "},
    {"connect_timeout", "106751d", "connect_timeout: \"106751d\" is out of range; "},
    {"connect_timeout", "106752d", "connect_timeout: \"106752d\" is out of range; "},
    {"connect_timeout", "99999999999999999999d",
     "connect_timeout: \"99999999999999999999d\" is out of range; "},
    {"tcp.keepalive", "3h", "tcp.keepalive: \"3h\" is out of range; valid: 0 (off) to 2h"},
    {"pool.wait_timeout", "x",
     "pool.wait_timeout: \"x\" is not a duration (a number and ns, us, ms, s, min, h or d); valid: "
     "0 (off) to forever"},
    {"request.max_size", "1", "request.max_size: \"1\" is out of range; valid: 1KiB to 64GiB"},
    {"request.max_size", "1.5MiB", "request.max_size: \"1.5MiB\" is not a size "},
    {"request.max_size", "1mib", "request.max_size: \"1mib\" is not a size "},
    {"request.max_size", "1M", "request.max_size: \"1M\" is not a size "},
    {"request.max_size", "1 MiB", "request.max_size: \"1 MiB\" is not a size "},
    {"request.max_size", "", "request.max_size: \"\" is not a size "},
    {"request.max_size", "-1KiB", "request.max_size: \"-1KiB\" is out of range; "},
    {"request.max_size", "17179869184GiB",
     "request.max_size: \"17179869184GiB\" is out of range; "},
    {"tls", "Yes",
     "tls: \"Yes\" is not one of its values; valid: yes, no, on, off, true, false, 1, 0"},
    {"tls", "2", "tls: \"2\" is not one of its values; "},
    {"tls", "", "tls: \"\" is not one of its values; "},
    {"strategy", "Pool", "strategy: \"Pool\" is not one of its values; valid: hybrid, pool, mux"},
    {"strategy", "poo", "strategy: \"poo\" is not one of its values; "},
    {"strategy", "pools", "strategy: \"pools\" is not one of its values; "},
    {"strategy", "", "strategy: \"\" is not one of its values; "},
    {"strategy", "pool|mux", "strategy: \"pool|mux\" is not one of its values; "},
    {"host", "", "host: the value is too short; valid: 1 to 255 bytes"},
    {"host", NULL, "host: the value is missing (NULL); valid: 1 to 255 bytes"},
    {"password", NULL, "password: the value is missing (NULL); valid: 0 to 65536 bytes"},
    {NULL, "1", "the name of an option is missing (NULL)"},
    {"pool.maxsize", "1", "unknown option \"pool.maxsize\"; did you mean \"pool.max_size\"?"},
    {"Pool.Max_Size", "1", "unknown option \"Pool.Max_Size\"; did you mean \"pool.max_size\"?"},
    {"retries.max", "1", "unknown option \"retries.max\"; did you mean \"retry.max\"?"},
    {"prot", "1", "unknown option \"prot\"; did you mean \"port\"?"},
    {"hots", "1", "unknown option \"hots\"; did you mean \"host\"?"},
    {"pool.max_sizeeeee", "1", "unknown option \"pool.max_sizeeeee\"; see poolmux-options(7)"},
    {"colour", "1", "unknown option \"colour\"; see poolmux-options(7)"},
    {"x", "1", "unknown option \"x\"; see poolmux-options(7)"},
    {"", "1", "unknown option \"\"; see poolmux-options(7)"},
    {"db\t", "1", "unknown option \"db\\x09\"; did you mean \"db\"?"},
    {"passwrod", "1", "unknown option; did you mean \"password\"?"},
    {"password=hunter2", "1", "unknown option; see poolmux-options(7)"},
};

START_TEST(bad_values_are_refused_with_what_is_valid)
{
  const char *want = bad[_i].error, *got = error_of(bad[_i].name, bad[_i].value);
  size_t len = strlen(want);

  if (len && want[len - 1] == ' ')
    ck_assert_msg(strncmp(got, want, len) == 0, "%s", got);
  else
    ck_assert_str_eq(got, want);
}
END_TEST

START_TEST(messages_cut_long_and_escape_foreign_text)
{
  static char value[1100000];
  const char *error;

  memset(value, '\x1b', sizeof value - 1);
  for (size_t i = 0; i < option_count(); i++) {
    if (is_kind(i, "SECRET"))
      continue;
    error = error_of(option_at(i)->name, value);
    ck_assert_ptr_nonnull(strstr(error, "\\x1b\\x1b"));
    ck_assert_ptr_null(strchr(error, '\x1b'));
    ck_assert_ptr_nonnull(strstr(error, "...\" is "));
    ck_assert_ptr_nonnull(strstr(error, "; valid: "));
    ck_assert_uint_lt(strlen(error), 500);
  }
  error = error_of(value, "1");
  ck_assert_ptr_nonnull(strstr(error, "...\"; see poolmux-options(7)"));
}
END_TEST

START_TEST(small_error_buffers_are_not_overrun)
{
  for (size_t size = 0; size < 100; size++) {
    char *error = malloc(size + 1);

    ck_assert_ptr_nonnull(error);
    error[size] = '!';
    ck_assert_int_eq(config_set(&options->config, "port", "x", 0, error, size), -1);
    ck_assert_int_eq(error[size], '!');
    if (size > 0)
      ck_assert_uint_lt(strlen(error), size);
    free(error);
  }
}
END_TEST

START_TEST(random_text_is_refused_with_a_reason_or_taken)
{
  static const char alphabet[] = "0123456789.-+ smhdinKMGBeofrvuy|\n\xff";
  struct random random;
  char value[24], error[512];

  random_seed(&random, 11);
  for (int round = 0; round < 20000; round++) {
    size_t len = random_below(&random, sizeof value), i = random_below(&random, option_count());
    int result;

    for (size_t c = 0; c < len; c++)
      value[c] = alphabet[random_below(&random, sizeof alphabet - 1)];
    value[len] = '\0';
    result = config_set(&options->config, option_at(i)->name, value, 0, error, sizeof error);
    ck_assert_int_ne(result == 0, *error != '\0');
    if (is_scaled(i)) {
      ck_assert_int_ge(number(option_at(i)->name), option_at(i)->min);
      ck_assert_int_le(number(option_at(i)->name), option_at(i)->max);
    }
  }
}
END_TEST

#define COUNT(array) ((int)(sizeof array / sizeof *array))

int main(void)
{
  Suite *suite = suite_create("values");
  TCase *tc = tcase_create("values");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_set_timeout(tc, 60);
  tcase_add_checked_fixture(tc, make_options, free_options);
  tcase_add_test(tc, bounds_are_inside_and_their_neighbours_outside);
  tcase_add_test(tc, lengths_of_strings_are_bounded);
  tcase_add_test(tc, printed_numbers_are_read_back_as_the_same_number);
  tcase_add_test(tc, every_name_of_every_enum_counts_up_from_0);
  tcase_add_loop_test(tc, values_are_read_as_documented, 0, COUNT(good));
  tcase_add_loop_test(tc, bad_values_are_refused_with_what_is_valid, 0, COUNT(bad));
  tcase_add_test(tc, messages_cut_long_and_escape_foreign_text);
  tcase_add_test(tc, small_error_buffers_are_not_overrun);
  tcase_add_test(tc, random_text_is_refused_with_a_reason_or_taken);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
