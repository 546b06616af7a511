/* SPDX-License-Identifier: BSD-3-Clause */
/* check_access.c - tests the public accessors of replies, with trees built by hand. */
#include <check.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "call/reply.h"
#include "reply_nodes.h"

START_TEST(every_accessor_takes_null)
{
  size_t len = 7;
  int ok = 7;

  ck_assert_int_eq(pmx_ok(NULL), 0);
  ck_assert_int_eq(pmx_reply_status(NULL), PMX_INVALID);
  ck_assert_int_eq(pmx_reply_cause(NULL), PMX_CAUSE_NONE);
  ck_assert_str_ne(pmx_reply_error(NULL), "");
  ck_assert_str_eq(pmx_reply_error_code(NULL), "");
  ck_assert_int_eq(pmx_reply_safe_to_retry(NULL), 0);
  ck_assert_ptr_null(pmx_reply_failed(NULL));
  ck_assert_int_eq(pmx_reply_type(NULL), PMX_TYPE_FAILURE);
  ck_assert_ptr_null(pmx_reply_str(NULL, &len));
  ck_assert_uint_eq(len, 0);
  ck_assert_int_eq(pmx_reply_int(NULL, &ok), 0);
  ck_assert_int_eq(ok, 0);
  ok = 7;
  ck_assert_double_eq(pmx_reply_double(NULL, &ok), 0);
  ck_assert_int_eq(ok, 0);
  ck_assert_uint_eq(pmx_reply_len(NULL), 0);
  ck_assert_ptr_null(pmx_reply_at(NULL, 0));
  ck_assert_ptr_null(pmx_reply_get(NULL, "x", 1));
  ck_assert_ptr_null(pmx_reply_ref(NULL));
  pmx_reply_free(NULL);
  ck_assert_int_eq(pmx_reply_finish(NULL), PMX_INVALID);
}
END_TEST

START_TEST(only_texts_have_a_string)
{
  static const struct {
    pmx_type type;
    int text;
  } cases[] = {
      {PMX_TYPE_FAILURE, 1}, {PMX_TYPE_NIL, 0},      {PMX_TYPE_STRING, 1}, {PMX_TYPE_SIMPLE, 1},
      {PMX_TYPE_ERROR, 1},   {PMX_TYPE_INTEGER, 0},  {PMX_TYPE_DOUBLE, 1}, {PMX_TYPE_BOOL, 0},
      {PMX_TYPE_BIGNUM, 1},  {PMX_TYPE_VERBATIM, 1}, {PMX_TYPE_ARRAY, 0},  {PMX_TYPE_MAP, 0},
      {PMX_TYPE_SET, 0},     {PMX_TYPE_PUSH, 0},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct reply_tree *tree = new_tree();
    pmx_reply *r = cases[i].text ? text_node(tree, cases[i].type, "a\0b", 3)
                                 : aggregate(tree, cases[i].type, 1);
    size_t len = 9;

    if (cases[i].text) {
      ck_assert_mem_eq(pmx_reply_str(r, &len), "a\0b", 4);
      ck_assert_uint_eq(len, 3);
      ck_assert_uint_eq(pmx_reply_len(r), 0);
    } else {
      ck_assert_ptr_null(pmx_reply_str(r, &len));
      ck_assert_uint_eq(len, 0);
    }
    ck_assert_int_eq(pmx_reply_type(r), cases[i].type);
    pmx_reply_free(r);
  }
}
END_TEST

/* What a STRING with this text says as an integer. */
static int64_t int_of(const char *text, size_t len, int *ok)
{
  struct reply_tree *tree = new_tree();
  pmx_reply *r = text_node(tree, PMX_TYPE_STRING, text, len);
  int64_t value = pmx_reply_int(r, ok);

  ck_assert_int_eq(pmx_reply_int(r, NULL), value);
  pmx_reply_free(r);
  return value;
}

START_TEST(integers_are_parsed_strictly)
{
  static const struct {
    const char *text;
    int64_t value;
  } good[] = {
      {"0", 0},
      {"7", 7},
      {"-7", -7},
      {"-0", 0},
      {"007", 7},
      {"9223372036854775807", INT64_MAX},
      {"-9223372036854775808", INT64_MIN},
      {"0000000000000000000000000009", 9},
  };
  static const char *const bad[] = {"",
                                    "-",
                                    " 1",
                                    "1 ",
                                    "+1",
                                    "1.0",
                                    "0x10",
                                    "1e3",
                                    "--1",
                                    "1-",
                                    "one",
                                    "1\n",
                                    "9223372036854775808",
                                    "٣",
                                    "1,0",
                                    "-999999999999999999999",
                                    "-9223372036854775809",
                                    "18446744073709551616",
                                    "18446744073709551617"};
  int ok;

  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    ck_assert_int_eq(int_of(good[i].text, strlen(good[i].text), &ok), good[i].value);
    ck_assert_int_eq(ok, 1);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ck_assert_msg(int_of(bad[i], strlen(bad[i]), &ok) == 0, "%s", bad[i]);
    ck_assert_msg(ok == 0, "%s", bad[i]);
  }
  ck_assert_int_eq(int_of("1\0", 2, &ok), 0);
  ck_assert_int_eq(ok, 0);
}
END_TEST

START_TEST(numbers_convert_by_type)
{
  struct reply_tree *tree = new_tree();
  pmx_reply *integer = node(tree, PMX_TYPE_INTEGER), *boolean = node(tree, PMX_TYPE_BOOL);
  pmx_reply *number = text_node(tree, PMX_TYPE_DOUBLE, "2.5", 3);
  pmx_reply *error = text_node(tree, PMX_TYPE_ERROR, "5", 1), *nil = node(tree, PMX_TYPE_NIL);
  pmx_reply *big = text_node(tree, PMX_TYPE_BIGNUM, "42", 2);
  int ok;

  integer->integer = -5;
  boolean->integer = 1;
  number->number = 2.5;
  ck_assert_int_eq(pmx_reply_int(integer, &ok), -5);
  ck_assert_int_eq(ok, 1);
  ck_assert_double_eq(pmx_reply_double(integer, &ok), -5.0);
  ck_assert_int_eq(ok, 1);
  ck_assert_int_eq(pmx_reply_int(boolean, &ok), 1);
  ck_assert_int_eq(ok, 1);
  ck_assert_double_eq(pmx_reply_double(number, &ok), 2.5);
  ck_assert_int_eq(ok, 1);
  ck_assert_int_eq(pmx_reply_int(number, &ok), 0);
  ck_assert_int_eq(ok, 0);
  ck_assert_int_eq(pmx_reply_int(big, &ok), 42);
  ck_assert_int_eq(ok, 1);
  ck_assert_int_eq(pmx_reply_int(error, &ok), 0);
  ck_assert_int_eq(ok, 0);
  ck_assert_double_eq(pmx_reply_double(nil, &ok), 0);
  ck_assert_int_eq(ok, 0);
  pmx_reply_free(nil);
}
END_TEST

static double double_of(const char *text, size_t len, int *ok)
{
  struct reply_tree *tree = new_tree();
  pmx_reply *r = text_node(tree, PMX_TYPE_STRING, text, len);
  double value = pmx_reply_double(r, ok);

  pmx_reply_free(r);
  return value;
}

static void check_doubles(void)
{
  static const struct {
    const char *text;
    double value;
  } good[] = {{"0", 0},          {"1.5", 1.5},        {"-1.5", -1.5}, {"1e3", 1000},
              {"+2", 2},         {".5", 0.5},         {"5.", 5},      {"1E-2", 0.01},
              {"inf", INFINITY}, {"-INF", -INFINITY}, {"1e-400", 0.0}};
  static const char *const bad[] = {"",       " 1",    "1 ",     "1,5",   "0x10",     "1e",
                                    "1e400",  "--1",   "-",      ".",     "infinity", "nan()",
                                    "1.5abc", "1_000", "-1e999", "+-inf", "1.2.3"};
  int ok;

  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    ck_assert_msg(double_of(good[i].text, strlen(good[i].text), &ok) == good[i].value, "%s",
                  good[i].text);
    ck_assert_msg(ok == 1, "%s", good[i].text);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ck_assert_msg(double_of(bad[i], strlen(bad[i]), &ok) == 0, "%s", bad[i]);
    ck_assert_msg(ok == 0, "%s", bad[i]);
  }
  ck_assert(isnan(double_of("nan", 3, &ok)));
  ck_assert_int_eq(ok, 1);
  ck_assert_double_eq(double_of("1\0", 2, &ok), 0);
  ck_assert_int_eq(ok, 0);
}

START_TEST(doubles_are_parsed_strictly)
{
  check_doubles();
}
END_TEST

START_TEST(doubles_do_not_depend_on_the_locale)
{
  static const char *const with_comma[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ru_RU.UTF-8"};

  for (size_t i = 0; i < sizeof with_comma / sizeof *with_comma; i++)
    if (setlocale(LC_ALL, with_comma[i]))
      break;
  check_doubles(); /* says more where such a locale is installed */
  setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(maps_and_flat_arrays_are_searched_by_key)
{
  static const pmx_type types[] = {PMX_TYPE_MAP, PMX_TYPE_ARRAY};

  for (size_t i = 0; i < 2; i++) {
    struct reply_tree *tree = new_tree();
    pmx_reply *map = aggregate(tree, types[i], 6);

    map->elems[0] = text_node(tree, PMX_TYPE_STRING, "a", 1);
    map->elems[1] = text_node(tree, PMX_TYPE_STRING, "k\0y", 3); /* a value, not a key */
    map->elems[2] = node(tree, PMX_TYPE_INTEGER);
    map->elems[3] = text_node(tree, PMX_TYPE_STRING, "int", 3);
    map->elems[4] = text_node(tree, PMX_TYPE_SIMPLE, "k\0y", 3);
    map->elems[5] = text_node(tree, PMX_TYPE_STRING, "found", 5);
    ck_assert_str_eq(pmx_reply_str(pmx_reply_get(map, "k\0y", 3), NULL), "found");
    ck_assert_ptr_eq(pmx_reply_get(map, "a", 1), map->elems[1]);
    ck_assert_ptr_null(pmx_reply_get(map, "k", 1));
    ck_assert_ptr_null(pmx_reply_get(map, "", 0));
    ck_assert_ptr_null(pmx_reply_get(map, NULL, 0));
    ck_assert_ptr_eq(pmx_reply_at(map, 5), map->elems[5]);
    ck_assert_ptr_null(pmx_reply_at(map, 6));
    map->len = 5; /* odd: not a flat map */
    ck_assert_ptr_null(pmx_reply_get(map, "a", 1));
    map->len = 6;
    map->type = PMX_TYPE_SET;
    ck_assert_ptr_null(pmx_reply_get(map, "a", 1));
    pmx_reply_free(map);
  }
}
END_TEST

START_TEST(the_first_failed_element_is_found_depth_first)
{
  struct reply_tree *tree = new_tree();
  pmx_reply *root = aggregate(tree, PMX_TYPE_ARRAY, 3), *inner = aggregate(tree, PMX_TYPE_SET, 1);

  root->elems[0] = node(tree, PMX_TYPE_NIL);
  root->elems[1] = inner;
  root->elems[2] = text_node(tree, PMX_TYPE_ERROR, "ERR second", 10);
  inner->elems[0] = text_node(tree, PMX_TYPE_ERROR, "ERR first", 9);
  ck_assert_int_eq(pmx_ok(root), 1);
  ck_assert_str_eq(pmx_reply_error(root), "");
  ck_assert_str_eq(pmx_reply_error(pmx_reply_failed(root)), "ERR first");
  ck_assert_ptr_eq(pmx_reply_failed(root->elems[2]), root->elems[2]);
  ck_assert_ptr_null(pmx_reply_failed(root->elems[0]));
  inner->len = 0;
  ck_assert_ptr_eq(pmx_reply_failed(root), root->elems[2]);
  root->len = 2;
  ck_assert_ptr_null(pmx_reply_failed(root));
  pmx_reply_free(root);
}
END_TEST

START_TEST(finish_frees_and_tells_the_status)
{
  ck_assert_int_eq(pmx_reply_finish(reply_failure(PMX_UNKNOWN, PMX_CAUSE_LOST, "x")), PMX_UNKNOWN);
}
END_TEST

START_TEST(codes_are_compared_as_whole_words)
{
  struct reply_tree *tree = new_tree();
  pmx_reply *error = text_node(tree, PMX_TYPE_ERROR, "ERR no\0ERR", 10);
  pmx_reply *bare = text_node(tree, PMX_TYPE_ERROR, "ERR no", 6);

  error->integer = 7; /* where the code stands behind str */
  ck_assert_str_eq(pmx_reply_error_code(error), "ERR");
  ck_assert_int_eq(reply_is_code(error, "ERR"), 1);
  ck_assert_int_eq(reply_is_code(error, "ER"), 0);
  ck_assert_int_eq(reply_is_code(error, "ERRO"), 0);
  ck_assert_str_eq(pmx_reply_error_code(bare), "");
  ck_assert_int_eq(reply_is_code(bare, ""), 0);
  ck_assert_int_eq(reply_is_code(NULL, "ERR"), 0);
  pmx_reply_free(error);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      every_accessor_takes_null,
      only_texts_have_a_string,
      integers_are_parsed_strictly,
      numbers_convert_by_type,
      doubles_are_parsed_strictly,
      doubles_do_not_depend_on_the_locale,
      maps_and_flat_arrays_are_searched_by_key,
      the_first_failed_element_is_found_depth_first,
      finish_frees_and_tells_the_status,
      codes_are_compared_as_whole_words,
  };
  Suite *suite = suite_create("access");
  TCase *tc = tcase_create("access");
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
