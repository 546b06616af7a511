/* SPDX-License-Identifier: BSD-3-Clause */
/* check_reactor_loop.c - a reactor without a thread (io=loop): run by those who dispatch and by
 * those who wait. Nobody is left waiting while nobody runs it, and who waits keeps nobody from
 * dispatching. */
#include <check.h>
#include <poll.h>
#include <stdlib.h>

#include "harness/checks.h"
#include "reactor_stage.h"

/* One that waits, until a job wakes it. */
struct sleeper {
  struct stage *stage;
  struct parker parker;
  struct job job;
  _Atomic int woken;
  int late;
  struct background *thread;
};

static void wake_sleeper(struct job *job)
{
  struct sleeper *s = container_of(job, struct sleeper, job);

  atomic_store(&s->woken, 1);
  parker_wake(&s->parker);
  reactor_wake_nested(&s->stage->reactor);
}

static void sleep_in_reactor(void *arg)
{
  struct sleeper *s = arg;
  int64_t deadline = in_ms(SOON_MS);

  while (!s->late) {
    uint32_t ticket = parker_ticket(&s->parker);

    if (atomic_load(&s->woken))
      return;
    s->late = reactor_wait(&s->stage->reactor, &s->parker, ticket, deadline);
  }
}

static void sleeper_start(struct sleeper *s, struct stage *stage)
{
  memset(s, 0, sizeof *s);
  s->stage = stage;
  parker_init(&s->parker);
  job_init(&s->job, wake_sleeper);
  s->thread = background_start(sleep_in_reactor, s);
}

static void sleeper_wake(struct sleeper *s)
{
  reactor_post(&s->stage->reactor, &s->job);
  reactor_wake(&s->stage->reactor);
}

static void sleeper_end(struct sleeper *s)
{
  background_join(s->thread);
  ck_assert_msg(!s->late, "nobody runs the reactor, and one waits for it");
}

/* ---- nobody is left waiting ---- */

struct dispatcher {
  struct stage *stage;
  struct rng rng;
};

static void dispatch_shortly(void *arg)
{
  struct dispatcher *d = arg;

  for (int i = 0; i < 3; i++)
    reactor_dispatch(&d->stage->reactor, clock_ns() + (int64_t)rng_below(&d->rng, 400000));
}

START_TEST(dispatchers_that_give_up_waiting_leave_nobody_behind)
{
  int rounds = getenv("POOLMUX_SOAK") ? 20000 : 250;
  struct dispatcher d[3];
  struct sleeper sleepers[2];
  struct stage s;

  loop_open(&s);
  for (int i = 0; i < 3; i++) {
    d[i].stage = &s;
    rng_seed(&d[i].rng, (uint64_t)i);
  }
  for (int round = 0; round < rounds; round++) {
    struct background *threads[3];

    for (int i = 0; i < 2; i++)
      sleeper_start(&sleepers[i], &s);
    for (int i = 0; i < 3; i++)
      threads[i] = background_start(dispatch_shortly, &d[i]);
    for (int i = 0; i < 3; i++)
      background_join(threads[i]);
    for (int i = 0; i < 2; i++)
      sleeper_wake(&sleepers[i]);
    for (int i = 0; i < 2; i++)
      sleeper_end(&sleepers[i]);
  }
  loop_close(&s);
}
END_TEST

START_TEST(of_many_that_wait_each_is_woken)
{
  struct sleeper sleepers[8];
  struct stage s;

  loop_open(&s);
  for (int round = 0; round < 50; round++) {
    for (int i = 0; i < 8; i++)
      sleeper_start(&sleepers[i], &s);
    for (int i = 0; i < 8; i++) {
      sleeper_wake(&sleepers[i * 3 % 8]);
      if (i % 2)
        sleep_ms(1);
    }
    for (int i = 0; i < 8; i++)
      sleeper_end(&sleepers[i]);
  }
  loop_close(&s);
}
END_TEST

/* ---- who dispatches comes first ---- */

START_TEST(dispatch_gets_in_while_others_wait)
{
  struct sleeper sleepers[2];
  struct stage s;

  loop_open(&s);
  for (int i = 0; i < 2; i++)
    sleeper_start(&sleepers[i], &s);
  sleep_ms(20);
  for (int i = 1; i <= 50; i++) {
    notice_log(&s.notices, PMX_LOG_INFO, "test", "a line");
    ck_assert_int_eq(reactor_dispatch(&s.reactor, i % 2 ? 0 : in_ms(SOON_MS)), 1);
    ck_assert_int_eq(atomic_load(&s.logged), i);
  }
  for (int i = 0; i < 2; i++)
    sleeper_wake(&sleepers[i]);
  for (int i = 0; i < 2; i++)
    sleeper_end(&sleepers[i]);
  loop_close(&s);
}
END_TEST

/* ---- its descriptor ---- */

static int is_ready(const struct stage *s)
{
  struct pollfd ready = {reactor_fd(&s->reactor), POLLIN, 0};

  return poll(&ready, 1, 0) > 0;
}

START_TEST(the_descriptor_tells_of_jobs_callbacks_and_timers)
{
  struct stage s;
  struct work w;

  loop_open(&s);
  work_init(&w, &s);
  ck_assert_int_eq(reactor_dispatch(&s.reactor, 0), 0);
  ck_assert(!is_ready(&s));
  reactor_post(&s.reactor, &w.job);
  reactor_wake(&s.reactor);
  ck_assert(is_ready(&s));
  ck_assert_int_eq(reactor_dispatch(&s.reactor, 0), 0);
  ck_assert_int_eq(atomic_load(&w.runs), 1);
  ck_assert(!is_ready(&s));
  reactor_call(&s.reactor, &w.job, NULL);
  ck_assert(is_ready(&s));
  ck_assert_int_eq(reactor_dispatch(&s.reactor, 0), 1);
  ck_assert_int_eq(atomic_load(&w.runs), 2);
  ck_assert(!is_ready(&s));
  loop_close(&s);
}
END_TEST

/* What is added by a callback itself, and in the last look at the clock, is told as well. */
START_TEST(a_callback_made_in_a_callback_is_told_of)
{
  struct stage s;

  loop_open(&s);
  s.log_again = 3;
  notice_log(&s.notices, PMX_LOG_INFO, "test", "first");
  for (int i = 1; i <= 4; i++) {
    ck_assert(is_ready(&s));
    ck_assert_int_eq(reactor_dispatch(&s.reactor, 0), 1);
    ck_assert_int_eq(atomic_load(&s.logged), i);
  }
  ck_assert(!is_ready(&s));
  loop_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("reactor_loop");

  tcase_add_test(tc, dispatchers_that_give_up_waiting_leave_nobody_behind);
  tcase_add_test(tc, of_many_that_wait_each_is_woken);
  tcase_add_test(tc, dispatch_gets_in_while_others_wait);
  tcase_add_test(tc, the_descriptor_tells_of_jobs_callbacks_and_timers);
  tcase_add_test(tc, a_callback_made_in_a_callback_is_told_of);
  return checks_run("reactor_loop", tc);
}
