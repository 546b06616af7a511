/* SPDX-License-Identifier: BSD-3-Clause */
/* check_notice.c - tests the way of log lines and events to the callbacks. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/notice.h"

static struct {
  char lines[2048][64];
  int count, events, wakes;
  struct notices *again; /* log once more from inside the callback */
} got;

static void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  ck_assert_ptr_eq(ud, &got);
  ck_assert(level <= PMX_LOG_DEBUG);
  snprintf(got.lines[got.count], 64, "%s: %s", component, message);
  got.count++;
  if (got.again) {
    struct notices *n = got.again;

    got.again = NULL;
    notice_log(n, PMX_LOG_INFO, "again", "once");
  }
}

static void on_event(void *ud, const pmx_event *event)
{
  ck_assert_ptr_eq(ud, &got);
  ck_assert_uint_eq(event->size, sizeof *event);
  snprintf(got.lines[got.count], 64, "event %d %d %d %s %s", (int)event->type, (int)event->cause,
           (int)event->conn_id, event->endpoint ? event->endpoint : "-",
           event->detail ? event->detail : "-");
  got.count++;
  got.events++;
}

static void on_wake(void *arg)
{
  ck_assert_ptr_eq(arg, &got);
  __atomic_fetch_add(&got.wakes, 1, __ATOMIC_RELAXED);
}

static void start_notices(struct notices *n)
{
  memset(&got, 0, sizeof got);
  notices_init(n, on_log, PMX_LOG_INFO, &got, on_event, &got);
  n->wake = on_wake;
  n->wake_arg = &got;
}

START_TEST(notices_arrive_in_order_with_copied_text)
{
  struct notices n;
  char endpoint[] = "here", detail[] = "why";

  start_notices(&n);
  notice_log(&n, PMX_LOG_ERROR, "one", "line %d", 1);
  notice_event(&n, PMX_EVENT_LOST, PMX_CAUSE_LOST, 7, endpoint, detail);
  endpoint[0] = detail[0] = 'X';
  notice_event(&n, PMX_EVENT_CONNECTED, PMX_CAUSE_NONE, 8, NULL, NULL);
  notice_log(&n, PMX_LOG_DEBUG, "quiet", "not wanted");
  notice_log(&n, PMX_LOG_INFO, "two", "a\nb\x1b[0m");
  ck_assert_int_eq(got.count, 0);
  ck_assert_int_eq(got.wakes, 4);
  ck_assert_int_eq(notices_deliver(&n), 4);
  ck_assert_str_eq(got.lines[0], "one: line 1");
  ck_assert_str_eq(got.lines[1], "event 1 7 7 here why");
  ck_assert_str_eq(got.lines[2], "event 0 0 8 - -");
  ck_assert_str_eq(got.lines[3], "two: a?b?[0m");
  ck_assert_int_eq(notices_deliver(&n), 0);
  notice_log(&n, PMX_LOG_INFO, "left", "over");
  notices_destroy(&n);
}
END_TEST

START_TEST(without_callbacks_nothing_is_allocated)
{
  struct notices n;

  notices_init(&n, NULL, PMX_LOG_DEBUG, NULL, NULL, NULL);
  mem_fail_at(UINT64_MAX, 0);
  notice_log(&n, PMX_LOG_ERROR, "x", "y");
  notice_event(&n, PMX_EVENT_LOST, PMX_CAUSE_LOST, 1, "a", "b");
  ck_assert_uint_eq(mem_count(), 0);
  mem_fail_at(0, 0);
  ck_assert_int_eq(notices_deliver(&n), 0);
  notices_destroy(&n);
}
END_TEST

START_TEST(what_does_not_fit_is_counted_and_reported)
{
  struct notices n;

  start_notices(&n);
  for (int i = 0; i < 1030; i++)
    notice_log(&n, PMX_LOG_INFO, "n", "%d", i);
  notice_event(&n, PMX_EVENT_LOST, PMX_CAUSE_LOST, 1, "a", "b"); /* has room of its own */
  mem_fail_at(1, 1);
  notice_event(&n, PMX_EVENT_LOST, PMX_CAUSE_LOST, 2, "a", "b");
  mem_fail_at(0, 0);
  ck_assert_int_eq(notices_deliver(&n), 1027);
  ck_assert_str_eq(got.lines[1023], "n: 1023");
  ck_assert_str_eq(got.lines[1024], "event 1 7 1 a b");
  ck_assert_str_eq(got.lines[1025], "event 8 0 0 - dropped: 1 events and 6 lines of the log");
  ck_assert_str_eq(got.lines[1026], "notice: dropped: 1 events and 6 lines of the log");
  mem_fail_at(1, 1);
  notice_log(&n, PMX_LOG_INFO, "n", "no memory");
  mem_fail_at(0, 0);
  ck_assert_int_eq(notices_deliver(&n), 1);
  ck_assert_str_eq(got.lines[1027], "notice: dropped: 0 events and 1 lines of the log");
  notices_destroy(&n);
}
END_TEST

START_TEST(events_that_do_not_fit_are_told_by_an_event)
{
  struct notices n;

  memset(&got, 0, sizeof got);
  notices_init(&n, NULL, PMX_LOG_DEBUG, NULL, on_event, &got);
  for (int i = 0; i < 1030; i++)
    notice_event(&n, PMX_EVENT_LOST, PMX_CAUSE_LOST, (uint64_t)i, "a", "b");
  ck_assert_int_eq(notices_pending(&n), 1);
  ck_assert_int_eq(notices_deliver(&n), 1025);
  ck_assert_str_eq(got.lines[1023], "event 1 7 1023 a b");
  ck_assert_str_eq(got.lines[1024], "event 8 0 0 - dropped: 6 events and 0 lines of the log");
  ck_assert_int_eq(notices_pending(&n), 0);
  notices_destroy(&n);
}
END_TEST

START_TEST(a_callback_may_give_notice)
{
  struct notices n;

  start_notices(&n);
  got.again = &n;
  notice_log(&n, PMX_LOG_INFO, "first", "x");
  ck_assert_int_eq(notices_deliver(&n), 1);
  ck_assert_int_eq(notices_deliver(&n), 1);
  ck_assert_str_eq(got.lines[1], "again: once");
  notices_destroy(&n);
}
END_TEST

static void *give_notice(void *arg)
{
  for (int i = 0; i < 200; i++)
    notice_log(arg, PMX_LOG_INFO, "thread", "%d", i);
  return NULL;
}

START_TEST(notices_of_many_threads_are_all_accounted_for)
{
  struct notices n;
  pthread_t threads[4];
  int delivered = 0;

  start_notices(&n);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, give_notice, &n), 0);
  for (int i = 0; i < 100; i++)
    delivered += notices_deliver(&n);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  delivered += notices_deliver(&n);
  ck_assert_int_eq(delivered, 800);
  ck_assert_int_eq(got.wakes, 800);
  notices_destroy(&n);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      notices_arrive_in_order_with_copied_text,
      without_callbacks_nothing_is_allocated,
      what_does_not_fit_is_counted_and_reported,
      events_that_do_not_fit_are_told_by_an_event,
      a_callback_may_give_notice,
      notices_of_many_threads_are_all_accounted_for,
  };
  Suite *suite = suite_create("notice");
  TCase *tc = tcase_create("notice");
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
