/* SPDX-License-Identifier: BSD-3-Clause */
/* check_reactor_calls.c - callbacks and their timers, asked for by whoever runs the reactor, which
 * needs no lock for it, and by others: in order, and no timer is forgotten or runs too late. */
#include <check.h>

#include "harness/checks.h"
#include "reactor_stage.h"

enum { CALLS = 6 };

/* Callbacks that note when they ran, and a job that asks for them: at[i] 'm' from inside, 'o' from
 * another thread, 'c' from inside once callbacks run. */
struct asker {
  struct stage *stage;
  struct work calls[CALLS];
  struct job job, call;
  const char *at;
  int clock;
};

static void ask_other(int i, void *arg)
{
  struct work *w = arg;

  (void)i;
  reactor_call(&w->stage->reactor, &w->job, NULL);
}

static void ask(struct asker *a, const char *from, int base)
{
  for (int i = 0; from[i]; i++) {
    if (from[i] == 'o')
      run_threads(1, ask_other, &a->calls[base + i]);
    else
      reactor_call(&a->stage->reactor, &a->calls[base + i].job, NULL);
  }
}

static void ask_in_job(struct job *job)
{
  struct asker *a = container_of(job, struct asker, job);

  reactor_call(&a->stage->reactor, &a->call, NULL);
  ask(a, a->at, 0);
}

static void ask_in_callback(struct job *job)
{
  struct asker *a = container_of(job, struct asker, call);

  ask(a, a->at, CALLS / 2);
}

START_TEST(callbacks_run_in_the_order_of_asking_whoever_asks)
{
  static const char *const orders[] = {"mmm", "moo", "omo", "mom", "oom", "omm", "mmo", "ooo"};
  struct stage s;
  struct asker a = {.stage = &s, .at = orders[_i]};

  loop_open(&s);
  job_init(&a.job, ask_in_job);
  job_init(&a.call, ask_in_callback);
  for (int i = 0; i < CALLS; i++) {
    work_init(&a.calls[i], &s);
    a.calls[i].clock = &a.clock;
  }
  reactor_post(&s.reactor, &a.job);
  ck_assert_int_eq(reactor_dispatch(&s.reactor, in_ms(SOON_MS)), 1 + CALLS / 2);
  ck_assert_uint_eq(reactor_backlog(&s.reactor), CALLS / 2);
  ck_assert_int_eq(reactor_dispatch(&s.reactor, in_ms(SOON_MS)), CALLS / 2);
  ck_assert_uint_eq(reactor_backlog(&s.reactor), 0);
  for (int i = 0; i < CALLS; i++)
    ck_assert_int_eq(a.calls[i].order, i + 1);
  loop_close(&s);
}
END_TEST

/* What was asked for by one that runs it is there for the next one. */
START_TEST(callbacks_are_left_to_whoever_runs_it_next)
{
  struct stage s;
  struct asker a = {.stage = &s, .at = "mom"};

  loop_open(&s);
  job_init(&a.call, ask_in_callback);
  for (int i = 0; i < CALLS; i++)
    work_init(&a.calls[i], &s);
  reactor_call(&s.reactor, &a.call, NULL);
  ck_assert_int_eq(reactor_dispatch(&s.reactor, in_ms(SOON_MS)), 1);
  loop_close(&s); /* runs what is left */
  for (int i = CALLS / 2; i < CALLS; i++)
    ck_assert_int_eq(a.calls[i].runs, 1);
}
END_TEST

/* ---- their timers ---- */

struct timed {
  struct stage *stage;
  struct job begin, call;
  struct timer timers[CALLS];
  int64_t due[CALLS];
  int ran[CALLS]; /* when */
  int clock, held, called, clears;
};

static struct timed *current; /* a test is a process of its own */

static void hold_timer(struct timer *timer)
{
  (void)timer;
  current->held++;
}

static void run_timer(struct timer *timer)
{
  current->ran[timer - current->timers] = ++current->clock;
}

static void begin_timers(struct job *job)
{
  struct timed *t = container_of(job, struct timed, begin);

  ck_assert(reactor_is_mine(&t->stage->reactor));
  for (int i = 0; i < CALLS; i++)
    timer_begin_own(&t->stage->reactor, &t->timers[i], t->due[i]);
  if (t->clears)
    reactor_call(&t->stage->reactor, &t->call, &t->timers[t->clears]);
}

static void note_call(struct job *job)
{
  container_of(job, struct timed, call)->called = 1;
}

static void timed_open(struct timed *t, struct stage *s)
{
  *t = (struct timed){.stage = s};
  current = t;
  loop_open(s);
  job_init(&t->begin, begin_timers);
  job_init(&t->call, note_call);
  for (int i = 0; i < CALLS; i++)
    t->timers[i] = (struct timer){.run = run_timer, .hold = hold_timer};
}

static bool all_ran(void *arg)
{
  struct timed *t = arg;

  reactor_dispatch(&t->stage->reactor, in_ms(1));
  return t->clock >= CALLS - !!t->clears;
}

START_TEST(timers_begun_inside_run_when_they_are_due)
{
  static const int order[CALLS] = {3, 1, 5, 2, 6, 4};
  int64_t now = clock_ns();
  struct stage s;
  struct timed t;

  timed_open(&t, &s);
  for (int i = 0; i < CALLS; i++)
    t.due[i] = now + order[i] * NS_PER_MS;
  reactor_post(&s.reactor, &t.begin);
  ck_assert(wait_for(all_ran, &t, SOON_MS));
  for (int i = 0; i < CALLS; i++)
    ck_assert_int_eq(t.ran[i], order[i]);
  ck_assert_int_eq(t.held, CALLS);
  loop_close(&s);
}
END_TEST

/* Over before anybody looked at its timer; the others run. */
START_TEST(a_callback_clears_a_timer_that_was_begun_inside)
{
  struct stage s;
  struct timed t;

  timed_open(&t, &s);
  t.clears = 2;
  t.due[t.clears] = in_ms(3600 * 1000);
  reactor_call(&s.reactor, &t.begin, NULL); /* its timers are behind those of its own round */
  ck_assert(wait_for(all_ran, &t, SOON_MS));
  while (!t.called)
    ck_assert_int_gt(reactor_dispatch(&s.reactor, in_ms(SOON_MS)), 0);
  ck_assert_ptr_null(heap_first(&s.reactor.timers));
  ck_assert_int_eq(t.held, CALLS - 1);
  timer_begin(&s.reactor, &t.timers[t.clears], 0); /* cleared before: does nothing */
  ck_assert_int_eq(reactor_dispatch(&s.reactor, 0), 0);
  ck_assert_int_eq(t.ran[t.clears], 0);
  loop_close(&s);
}
END_TEST

/* The new time holds, though the old one is not among the timers yet. */
static void begin_and_set(struct job *job)
{
  struct timed *t = container_of(job, struct timed, begin);

  for (int i = 0; i < CALLS; i++)
    timer_begin_own(&t->stage->reactor, &t->timers[i], clock_ns() + 3600 * NS_PER_S);
  for (int i = CALLS; i-- > 0;)
    timer_set(&t->stage->reactor, &t->timers[i], t->due[i]);
}

START_TEST(a_timer_begun_inside_may_be_set_again)
{
  struct stage s;
  struct timed t;

  timed_open(&t, &s);
  for (int i = 0; i < CALLS; i++)
    t.due[i] = i + 1;
  job_init(&t.begin, begin_and_set);
  reactor_post(&s.reactor, &t.begin);
  ck_assert(wait_for(all_ran, &t, SOON_MS));
  for (int i = 0; i < CALLS; i++)
    ck_assert_int_eq(t.ran[i], i + 1);
  loop_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("reactor_calls");

  tcase_add_loop_test(tc, callbacks_run_in_the_order_of_asking_whoever_asks, 0, 8);
  tcase_add_test(tc, callbacks_are_left_to_whoever_runs_it_next);
  tcase_add_test(tc, timers_begun_inside_run_when_they_are_due);
  tcase_add_test(tc, a_callback_clears_a_timer_that_was_begun_inside);
  tcase_add_test(tc, a_timer_begun_inside_may_be_set_again);
  return checks_run("reactor_calls", tc);
}
