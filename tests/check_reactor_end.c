/* SPDX-License-Identifier: BSD-3-Clause */
/* check_reactor_end.c - what the client's own thread does besides its work: delivering notices,
 * waiting inside a call, ending. */
#include <check.h>

#include "harness/checks.h"
#include "reactor_stage.h"

/* ---- notices ---- */

START_TEST(a_notice_made_on_its_own_thread_is_delivered_at_once)
{
  struct stage s;
  struct work w;

  stage_open(&s);
  work_init(&w, &s);
  w.log = 1;
  stage_start(&s);
  for (int i = 1; i <= 50; i++) {
    reactor_post(&s.reactor, &w.job);
    reactor_wake(&s.reactor); /* for the job; nobody wakes it for the notice */
    reaches(&s.logged, i);
  }
  stage_stop(&s);
  stage_close(&s);
}
END_TEST

START_TEST(a_notice_made_in_a_callback_is_delivered_too)
{
  struct stage s;

  stage_open(&s);
  s.log_again = 20;
  stage_start(&s);
  notice_log(&s.notices, PMX_LOG_INFO, "test", "first");
  reaches(&s.logged, 21);
  stage_stop(&s);
  stage_close(&s);
}
END_TEST

START_TEST(what_was_noticed_before_the_end_is_delivered)
{
  for (int i = 0; i < 50; i++) {
    struct stage s;

    stage_open(&s);
    stage_start(&s);
    notice_log(&s.notices, PMX_LOG_INFO, "test", "last words");
    stage_stop(&s);
    ck_assert_int_eq(s.logged, 1);
    stage_close(&s);
  }
}
END_TEST

/* ---- waiting on its own thread ---- */

struct nested {
  struct job job;
  struct stage *stage;
  struct work inner;
  _Atomic int waits, logged_meanwhile, over;
};

/* Steps the reactor until another job has run: no callback may run meanwhile. */
static void run_nested(struct job *job)
{
  struct nested *n = container_of(job, struct nested, job);
  struct reactor *r = &n->stage->reactor;

  atomic_fetch_add(&r->nested, 1);
  notice_log(&n->stage->notices, PMX_LOG_INFO, "test", "held back");
  atomic_store(&n->waits, 1);
  while (atomic_load(&n->inner.runs) == 0)
    reactor_step(r, in_ms(SOON_MS));
  atomic_store(&n->logged_meanwhile, atomic_load(&n->stage->logged));
  atomic_fetch_sub(&r->nested, 1);
  atomic_store(&n->over, 1);
}

START_TEST(a_nested_wait_runs_jobs_and_no_callback_and_is_woken)
{
  struct stage s;
  struct nested n;
  int64_t began;

  stage_open(&s);
  memset(&n, 0, sizeof n);
  n.stage = &s;
  job_init(&n.job, run_nested);
  work_init(&n.inner, &s);
  n.inner.wake = 1; /* as everybody does who ends what a nested call waits for */
  stage_start(&s);
  reactor_post(&s.reactor, &n.job);
  reactor_wake(&s.reactor);
  reaches(&n.waits, 1);
  began = clock_ns();
  reactor_post(&s.reactor, &n.inner.job);
  reactor_wake_nested(&s.reactor);
  reaches(&n.over, 1);
  ck_assert_int_lt(clock_ns() - began, HANG_MS * NS_PER_MS);
  ck_assert_int_eq(n.logged_meanwhile, 0);
  reaches(&s.logged, 1);
  stage_stop(&s);
  stage_close(&s);
}
END_TEST

START_TEST(waking_without_a_nested_wait_wakes_nobody)
{
  struct stage s;
  int64_t until;

  stage_open(&s);
  until = in_ms(20);
  reactor_wake_nested(&s.reactor);
  reactor_step(&s.reactor, until);
  ck_assert_int_ge(clock_ns(), until);
  stage_close(&s);
}
END_TEST

/* ---- its end ---- */

START_TEST(closed_on_its_own_thread_it_ends_by_itself_and_says_so_last)
{
  for (int i = 0; i < 20; i++) {
    struct stage s;

    stage_open(&s);
    s.close_in_log = 1;
    stage_start(&s);
    notice_log(&s.notices, PMX_LOG_INFO, "test", "close");
    reaches(&s.finals, 1);
    ck_assert_int_eq(s.logged, 1); /* the callback had returned */
    stage_close(&s);
  }
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("reactor_end");

  tcase_add_test(tc, a_notice_made_on_its_own_thread_is_delivered_at_once);
  tcase_add_test(tc, a_notice_made_in_a_callback_is_delivered_too);
  tcase_add_test(tc, what_was_noticed_before_the_end_is_delivered);
  tcase_add_test(tc, a_nested_wait_runs_jobs_and_no_callback_and_is_woken);
  tcase_add_test(tc, waking_without_a_nested_wait_wakes_nobody);
  tcase_add_test(tc, closed_on_its_own_thread_it_ends_by_itself_and_says_so_last);
  return checks_run("reactor_end", tc);
}
