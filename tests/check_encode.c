/* SPDX-License-Identifier: BSD-3-Clause */
/* check_encode.c - tests the three ways to make a command, against bytes written by hand and
 * against hiredis' own formatter where that is sane. */
#include <check.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "call/reply.h"
#include "resp/encode.h"

static char small_bytes[ENCODED_SMALL];

static const size_t NO_LIMIT = SIZE_MAX;

/* Expects the failure to be of this kind and to say `word`; frees it. */
static void expect_failure(pmx_reply *r, pmx_status status, pmx_cause cause, const char *word)
{
  ck_assert_ptr_nonnull(r);
  ck_assert_msg(strstr(pmx_reply_error(r), word), "\"%s\" not in: %s", word, pmx_reply_error(r));
  ck_assert_int_eq(pmx_reply_cause(r), cause);
  ck_assert_int_eq(pmx_reply_finish(r), status);
}

static pmx_reply *encode_argv(struct encoded *out, int argc, const char *const *argv,
                              const size_t *len, size_t max)
{
  struct args args;
  pmx_reply *failure;

  args_init(&args);
  failure = args_from_argv(&args, argc, argv, len);
  if (!failure)
    failure = encode_args(out, &args, max, small_bytes, sizeof small_bytes);
  args_clear(&args);
  return failure;
}

START_TEST(argv_becomes_an_array_of_bulk_strings)
{
  const char *argv[] = {"SET", "k\r\ny", "a\0b", "", NULL};
  size_t len[] = {3, 4, 3, 0, 0};
  const char want[] = "*5\r\n$3\r\nSET\r\n$4\r\nk\r\ny\r\n$3\r\na\0b\r\n$0\r\n\r\n$0\r\n\r\n";
  struct encoded out;

  ck_assert_ptr_null(encode_argv(&out, 5, argv, len, NO_LIMIT));
  ck_assert_uint_eq(out.size, sizeof want - 1);
  ck_assert_mem_eq(out.bytes, want, out.size);
  ck_assert_ptr_eq(out.bytes, small_bytes);
  encoded_clear(&out);
  encoded_clear(&out);
}
END_TEST

START_TEST(arguments_are_added_behind_those_that_are_there)
{
  const char *head[] = {"EVAL", "return 1", "1"};
  const char *argv[] = {"k", NULL, "a", "b", "c", "d", "e"}, *bad[] = {"x", NULL};
  size_t len[] = {1, 0, 1, 1, 1, 1, 1};
  const char want[] =
      "*10\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$1\r\nk\r\n$0\r\n\r\n$1\r\na\r\n"
      "$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n";
  struct encoded out;
  struct args args;

  args_init(&args);
  ck_assert_ptr_null(args_add(&args, 3, head, NULL));
  ck_assert_ptr_null(args_add(&args, 0, NULL, NULL));
  ck_assert_ptr_null(args_add(&args, 7, argv, len));
  ck_assert_ptr_null(encode_args(&out, &args, NO_LIMIT, small_bytes, sizeof small_bytes));
  ck_assert_uint_eq(out.size, sizeof want - 1);
  ck_assert_mem_eq(out.bytes, want, out.size);
  encoded_clear(&out);
  expect_failure(args_add(&args, 2, bad, NULL), PMX_INVALID, PMX_CAUSE_NONE, "argument 1 is NULL");
  expect_failure(args_add(&args, INT32_MAX, bad, NULL), PMX_NOMEM, PMX_CAUSE_NONE, "memory");
  args_clear(&args);
}
END_TEST

START_TEST(argv_without_lengths_is_c_strings)
{
  const char *argv[] = {"GET", "key"};
  struct encoded out;

  ck_assert_ptr_null(encode_argv(&out, 2, argv, NULL, NO_LIMIT));
  ck_assert_uint_eq(out.size, strlen("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"));
  ck_assert_mem_eq(out.bytes, "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", out.size);
  encoded_clear(&out);
}
END_TEST

START_TEST(argv_agrees_with_hiredis_for_all_sizes)
{
  static char blob[70000];
  const char **argv = calloc(1100, sizeof *argv);
  size_t *len = calloc(1100, sizeof *len);
  static const int argcs[] = {1, 2, 7, 8, 9, 10, 16, 17, 99, 100, 999, 1000, 1001};

  for (size_t i = 0; i < sizeof blob; i++)
    blob[i] = (char)(i * 31 % 256);
  for (size_t k = 0; k < sizeof argcs / sizeof *argcs; k++) {
    struct encoded out;
    char *want = NULL;
    long long theirs;

    for (int i = 0; i < argcs[k]; i++) {
      argv[i] = blob + i;
      len[i] = (size_t)(i * i + 7 * (int)k) % (i % 11 ? 130 : 65000);
    }
    theirs = redisFormatCommandArgv(&want, argcs[k], argv, len);
    ck_assert_ptr_null(encode_argv(&out, argcs[k], argv, len, NO_LIMIT));
    ck_assert_uint_eq(out.size, (size_t)theirs);
    ck_assert_mem_eq(out.bytes, want, out.size);
    encoded_clear(&out);
    free(want);
  }
  free(argv);
  free(len);
}
END_TEST

START_TEST(what_is_no_command_is_invalid)
{
  const char *hole[] = {"SET", "key", NULL, "x"};
  size_t len[] = {3, 3, 1, 1};
  struct encoded out;
  struct args args;

  expect_failure(encode_argv(&out, 0, hole, NULL, NO_LIMIT), PMX_INVALID, PMX_CAUSE_NONE, "argc");
  expect_failure(encode_argv(&out, -1, hole, NULL, NO_LIMIT), PMX_INVALID, PMX_CAUSE_NONE, "-1");
  expect_failure(encode_argv(&out, 1, NULL, NULL, NO_LIMIT), PMX_INVALID, PMX_CAUSE_NONE, "argv");
  expect_failure(encode_argv(&out, 4, hole, NULL, NO_LIMIT), PMX_INVALID, PMX_CAUSE_NONE,
                 "argument 2");
  expect_failure(encode_argv(&out, 4, hole, len, NO_LIMIT), PMX_INVALID, PMX_CAUSE_NONE,
                 "argument 2");
  args_init(&args);
  expect_failure(encode_args(&out, &args, NO_LIMIT, small_bytes, sizeof small_bytes), PMX_INVALID,
                 PMX_CAUSE_NONE, "no argument");
  ck_assert_ptr_null(out.bytes);
  encoded_clear(&out);
  args_clear(&args);
}
END_TEST

START_TEST(too_large_names_what_and_the_limit)
{
  const char *argv[] = {"SET", "key", "value"};
  size_t len[] = {3, 3, (size_t)INT32_MAX + 1};
  struct encoded out;

  expect_failure(encode_argv(&out, 3, argv, len, NO_LIMIT), PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                 "argument 2 has 2147483648 bytes; the limit is 2147483647");
  len[2] = SIZE_MAX;
  expect_failure(encode_argv(&out, 3, argv, len, NO_LIMIT), PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                 "argument 2");
  len[2] = INT32_MAX; /* refused before a byte of it is read */
  expect_failure(encode_argv(&out, 3, argv, len, 1 << 20), PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                 "1048576");
  len[2] = 5;
  expect_failure(encode_argv(&out, 3, argv, len, 32), PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                 "the command has 33 bytes; the limit (request.max_size) is 32");
  ck_assert_ptr_null(encode_argv(&out, 3, argv, len, 33));
  ck_assert_uint_eq(out.size, 33);
  encoded_clear(&out);
}
END_TEST

START_TEST(many_huge_lengths_do_not_wrap)
{
  enum { COUNT = 1 << 20 };
  const char **argv = malloc(COUNT * sizeof *argv);
  size_t *len = malloc(COUNT * sizeof *len);
  struct encoded out;

  for (int i = 0; i < COUNT; i++) {
    argv[i] = "x";
    len[i] = INT32_MAX;
  }
  /* 2^51 bytes; on 32 bits the sum saturates */
  expect_failure(encode_argv(&out, COUNT, argv, len, (size_t)1 << 31), PMX_INVALID,
                 PMX_CAUSE_TOO_LARGE, "request.max_size");
  free(argv);
  free(len);
}
END_TEST

START_TEST(up_to_512_bytes_stay_inline)
{
  static char value[600];

  memset(value, 'v', sizeof value);
  for (size_t n = 470; n < 500; n++) {
    const char *argv[] = {"SET", value};
    size_t len[] = {3, n}, size = strlen("*2\r\n$3\r\nSET\r\n$xxx\r\n\r\n") + n;
    struct encoded out;

    mem_fail_at(UINT64_MAX, 0);
    ck_assert_ptr_null(encode_argv(&out, 2, argv, len, NO_LIMIT));
    mem_fail_at(0, 0);
    ck_assert_uint_eq(out.size, size);
    ck_assert_uint_eq(mem_count(), size > 512);
    ck_assert_int_eq(out.bytes == small_bytes, size <= 512);
    encoded_clear(&out);
  }
}
END_TEST

static pmx_reply *list_of(struct args *args, const char *arg0, ...)
{
  pmx_reply *failure;
  va_list list;

  va_start(list, arg0);
  failure = args_from_list(args, arg0, list);
  va_end(list);
  return failure;
}

START_TEST(a_list_ends_at_its_null)
{
  struct args args;

  args_init(&args);
  ck_assert_ptr_null(list_of(&args, "MSET", "a", "", "b", "2", "c", "3", "d", "4", "e", NULL));
  ck_assert_int_eq(args.argc, 10);
  ck_assert_str_eq(args.argv[0], "MSET");
  ck_assert_uint_eq(args.len[2], 0);
  ck_assert_str_eq(args.argv[9], "e");
  args_clear(&args);
  ck_assert_int_eq(args.argc, 0);
  expect_failure(list_of(&args, NULL), PMX_INVALID, PMX_CAUSE_NONE, "argument 0");
  args_clear(&args);
}
END_TEST

START_TEST(encode_small_fits_exactly_or_not_at_all)
{
  const char *argv[] = {"HELLO", "3"};
  const char want[] = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n";
  size_t len[] = {5, 1}, huge[] = {5, SIZE_MAX - 2}, n = sizeof want - 1;
  char buf[64];

  memset(buf, '#', sizeof buf);
  ck_assert_uint_eq(encode_small(buf, n, 2, argv, NULL), n);
  ck_assert_mem_eq(buf, want, n);
  ck_assert_int_eq(buf[n], '#');
  ck_assert_uint_eq(encode_small(buf, sizeof buf, 2, argv, len), n);
  for (size_t size = 0; size < n; size++) {
    memset(buf, '#', sizeof buf);
    ck_assert_uint_eq(encode_small(buf, size, 2, argv, len), 0);
    ck_assert_int_eq(buf[0], '#');
  }
  ck_assert_uint_eq(encode_small(buf, sizeof buf, 2, argv, huge), 0);
  ck_assert_uint_eq(encode_small(buf, sizeof buf, 0, argv, len), 0);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      argv_becomes_an_array_of_bulk_strings,
      argv_without_lengths_is_c_strings,
      arguments_are_added_behind_those_that_are_there,
      argv_agrees_with_hiredis_for_all_sizes,
      what_is_no_command_is_invalid,
      too_large_names_what_and_the_limit,
      many_huge_lengths_do_not_wrap,
      up_to_512_bytes_stay_inline,
      a_list_ends_at_its_null,
      encode_small_fits_exactly_or_not_at_all,
  };
  Suite *suite = suite_create("encode");
  TCase *tc = tcase_create("encode");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_set_timeout(tc, 60);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
