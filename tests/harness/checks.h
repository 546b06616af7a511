/* SPDX-License-Identifier: BSD-3-Clause */
/* checks.h - what a test program of libcheck needs around its tests: a fixture that proves that a
 * test left nothing behind, and the end of main(). Included by one file of a program. */
#ifndef HARNESS_CHECKS_H
#define HARNESS_CHECKS_H
#include <check.h>
#include <stdlib.h>

#include "util.h"

static int holdings_fds, holdings_threads;

static inline void holdings_note(void)
{
  thread_count_begin();
  holdings_fds = fd_count();
  holdings_threads = thread_count();
}

static inline void holdings_check(void)
{
  ck_assert_msg(settles_at(holdings_fds, holdings_threads, 2000),
                "left behind: %d descriptors, %d threads; there were %d and %d", fd_count(),
                thread_count(), holdings_fds, holdings_threads);
  ck_assert_msg(!has_children(), "left behind: a child process");
}

/* Fails unless the text is the expected one; frees it. */
/* clang-format off */
#define check_text(text, expected) \
  do { \
    char *check_text_ = (text); \
    ck_assert_ptr_nonnull(check_text_); \
    ck_assert_str_eq(check_text_, (expected)); \
    free(check_text_); \
  } while (0)
/* clang-format on */

/* A test case whose tests must end in a minute and leave no descriptor, thread or process. */
static inline TCase *checks_case(const char *name)
{
  TCase *tc = tcase_create(name);

  tcase_set_timeout(tc, 60);
  tcase_add_checked_fixture(tc, holdings_note, holdings_check);
  return tc;
}

/* Runs the tests, prints Check's summary; what main() returns. */
static inline int checks_run(const char *name, TCase *tc)
{
  Suite *suite = suite_create(name);
  SRunner *runner = srunner_create(suite);
  int failed;

  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
