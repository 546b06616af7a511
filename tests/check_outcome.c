/* SPDX-License-Identifier: BSD-3-Clause */
/* check_outcome.c - tests the replies the library makes itself, with and without memory, and the
 * names of status and cause. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "call/reply.h"

START_TEST(a_failure_carries_status_cause_and_text)
{
  pmx_reply *r = reply_failure(PMX_NOT_RUN, PMX_CAUSE_TIMEOUT, "after %d ms", 250);

  ck_assert_int_eq(pmx_ok(r), 0);
  ck_assert_int_eq(pmx_reply_type(r), PMX_TYPE_FAILURE);
  ck_assert_int_eq(pmx_reply_status(r), PMX_NOT_RUN);
  ck_assert_int_eq(pmx_reply_cause(r), PMX_CAUSE_TIMEOUT);
  ck_assert_str_eq(pmx_reply_error(r), "after 250 ms");
  ck_assert_str_eq(pmx_reply_str(r, NULL), "after 250 ms");
  ck_assert_str_eq(pmx_reply_error_code(r), "");
  ck_assert_ptr_eq(pmx_reply_failed(r), r);
  pmx_reply_free(r);
}
END_TEST

START_TEST(long_texts_are_cut_or_kept_but_never_overflow)
{
  char text[2000];
  pmx_reply *r;
  size_t len;

  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  r = reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "%s", text);
  pmx_reply_str(r, &len);
  ck_assert_uint_gt(len, 300);
  ck_assert_str_eq(pmx_reply_error(r) + len - 3, "...");
  pmx_reply_free(r);
  r = reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, text);
  ck_assert_str_eq(pmx_reply_error(r), text);
  pmx_reply_free(r);
}
END_TEST

START_TEST(only_what_did_not_run_is_safe_to_retry)
{
  for (unsigned s = PMX_OK; s <= PMX_NOMEM; s++) {
    pmx_reply *r = reply_failure((pmx_status)s, PMX_CAUSE_LOST, "x");
    int safe = s == PMX_NOT_RUN || s == PMX_NOMEM;

    ck_assert_int_eq(pmx_reply_safe_to_retry(r), safe);
    reply_set_safe(r, !safe);
    ck_assert_int_eq(pmx_reply_safe_to_retry(r), !safe);
    reply_set_safe(r, safe);
    ck_assert_int_eq(pmx_reply_safe_to_retry(r), safe);
    pmx_reply_free(r);
  }
}
END_TEST

START_TEST(without_memory_every_failure_is_static_and_immortal)
{
  for (unsigned s = PMX_OK; s <= PMX_NOMEM; s++) {
    for (unsigned c = PMX_CAUSE_NONE; c <= PMX_CAUSE_NOMEM; c++) {
      pmx_reply *r;

      mem_fail_at(1, 1);
      r = reply_failure((pmx_status)s, (pmx_cause)c, "lost %s", "text");
      mem_fail_at(0, 0);
      ck_assert_ptr_nonnull(r);
      ck_assert_uint_eq(pmx_reply_status(r), s);
      ck_assert_uint_eq(pmx_reply_cause(r), c);
      ck_assert_int_eq(pmx_reply_type(r), PMX_TYPE_FAILURE);
      ck_assert_int_eq(pmx_reply_safe_to_retry(r), s == PMX_NOT_RUN || s == PMX_NOMEM);
      ck_assert_uint_gt(strlen(pmx_reply_str(r, NULL)), 5);
      reply_set_safe(r, !pmx_reply_safe_to_retry(r)); /* no-op, not a crash */
      ck_assert_ptr_eq(pmx_reply_ref(r), r);
      for (int i = 0; i < 5; i++)
        pmx_reply_free(r);
      ck_assert_uint_eq(pmx_reply_status(r), s);
    }
  }
}
END_TEST

START_TEST(foreign_numbers_make_a_failure_all_the_same)
{
  pmx_reply *r = reply_failure((pmx_status)77, (pmx_cause)99, "x");

  ck_assert_int_eq(pmx_reply_status(r), PMX_INVALID);
  ck_assert_int_eq(pmx_reply_cause(r), PMX_CAUSE_NONE);
  pmx_reply_free(r);
}
END_TEST

START_TEST(names_are_the_constants_names)
{
  ck_assert_str_eq(pmx_status_str(PMX_OK), "OK");
  ck_assert_str_eq(pmx_status_str(PMX_SERVER_ERROR), "SERVER_ERROR");
  ck_assert_str_eq(pmx_status_str(PMX_NOT_RUN), "NOT_RUN");
  ck_assert_str_eq(pmx_status_str(PMX_UNKNOWN), "UNKNOWN");
  ck_assert_str_eq(pmx_status_str(PMX_INVALID), "INVALID");
  ck_assert_str_eq(pmx_status_str(PMX_NOMEM), "NOMEM");
  ck_assert_str_eq(pmx_status_str((pmx_status)6), "?");
  ck_assert_str_eq(pmx_cause_str(PMX_CAUSE_NONE), "NONE");
  ck_assert_str_eq(pmx_cause_str(PMX_CAUSE_TIMEOUT), "TIMEOUT");
  ck_assert_str_eq(pmx_cause_str(PMX_CAUSE_POOL_EXHAUSTED), "POOL_EXHAUSTED");
  ck_assert_str_eq(pmx_cause_str(PMX_CAUSE_TOO_LARGE), "TOO_LARGE");
  ck_assert_str_eq(pmx_cause_str(PMX_CAUSE_NOMEM), "NOMEM");
  ck_assert_str_eq(pmx_cause_str((pmx_cause)19), "?");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      a_failure_carries_status_cause_and_text,
      long_texts_are_cut_or_kept_but_never_overflow,
      only_what_did_not_run_is_safe_to_retry,
      without_memory_every_failure_is_static_and_immortal,
      foreign_numbers_make_a_failure_all_the_same,
      names_are_the_constants_names,
  };
  Suite *suite = suite_create("outcome");
  TCase *tc = tcase_create("outcome");
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
