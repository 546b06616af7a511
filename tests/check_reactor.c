/* SPDX-License-Identifier: BSD-3-Clause */
/* check_reactor.c - jobs, tickers and sources of the client's own thread: each is run when it
 * should be, and none is slept over. */
#include <check.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/checks.h"
#include "net/fdtable.h"
#include "reactor_stage.h"

/* ---- jobs ---- */

START_TEST(a_job_posted_again_before_it_ran_runs_once)
{
  struct stage s;
  struct work w;

  stage_open(&s);
  work_init(&w, &s);
  for (int i = 0; i < 3; i++)
    reactor_post(&s.reactor, &w.job);
  reactor_step(&s.reactor, 0);
  ck_assert_int_eq(w.runs, 1);
  reactor_post(&s.reactor, &w.job);
  reactor_step(&s.reactor, 0);
  reactor_step(&s.reactor, 0);
  ck_assert_int_eq(w.runs, 2);
  stage_close(&s);
}
END_TEST

START_TEST(jobs_run_in_the_order_they_were_posted)
{
  struct stage s;
  struct work w[5];
  int clock = 0;

  stage_open(&s);
  for (int i = 0; i < 5; i++) {
    work_init(&w[i], &s);
    w[i].clock = &clock;
    reactor_post(&s.reactor, &w[i].job);
  }
  reactor_step(&s.reactor, 0);
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(w[i].order, i + 1);
  stage_close(&s);
}
END_TEST

START_TEST(a_job_may_post_itself)
{
  struct stage s;
  struct work w;

  stage_open(&s);
  work_init(&w, &s);
  w.again = 10;
  reactor_post(&s.reactor, &w.job);
  stage_start(&s);
  reaches(&w.runs, 11);
  stage_stop(&s);
  ck_assert_int_eq(w.runs, 11);
  stage_close(&s);
}
END_TEST

enum { POSTERS = 4, ROUNDS = 2000 };

static void post_many(int i, void *arg)
{
  struct work *w = (struct work *)arg + i;

  for (int n = 1; n <= ROUNDS; n++) {
    reactor_post(&w->stage->reactor, &w->job);
    reactor_wake(&w->stage->reactor);
    while (atomic_load(&w->runs) < n)
      sleep_ms(0);
  }
}

START_TEST(every_job_of_every_thread_runs_and_no_wake_is_lost)
{
  struct stage s;
  struct work w[POSTERS];

  stage_open(&s);
  stage_start(&s);
  ck_assert(!reactor_is_me(&s.reactor));
  for (int i = 0; i < POSTERS; i++)
    work_init(&w[i], &s);
  run_threads(POSTERS, post_many, w);
  for (int i = 0; i < POSTERS; i++)
    ck_assert_int_eq(w[i].runs, ROUNDS);
  stage_stop(&s);
  stage_close(&s);
}
END_TEST

/* ---- tickers ---- */

struct beat {
  struct ticker ticker;
  struct stage *stage;
  _Atomic int ticks;
  int64_t next, early; /* what it returns; what it advances itself to meanwhile, 0 = not */
  struct job *post;
};

static int64_t on_tick(struct ticker *t, int64_t now)
{
  struct beat *b = container_of(t, struct beat, ticker);

  (void)now;
  atomic_fetch_add(&b->ticks, 1);
  if (b->early) {
    ticker_advance(t, b->early);
    b->early = 0;
  }
  if (b->post)
    reactor_post(&b->stage->reactor, b->post);
  b->post = NULL;
  return b->next;
}

static void beat_add(struct beat *b, struct stage *s, int64_t due)
{
  memset(b, 0, sizeof *b);
  b->stage = s;
  b->next = TIME_FOREVER;
  b->ticker.tick = on_tick;
  ticker_add(&s->reactor, &b->ticker, due);
}

START_TEST(a_ticker_runs_when_it_is_due_and_not_before)
{
  struct stage s;
  struct beat b;
  int64_t due = in_ms(20);

  stage_open(&s);
  beat_add(&b, &s, due);
  reactor_step(&s.reactor, 0);
  ck_assert(b.ticks == 0 || clock_ns() >= due); /* a slow machine may have needed all the time */
  stage_start(&s);
  reaches(&b.ticks, 1);
  ck_assert_int_ge(clock_ns(), due);
  stage_stop(&s);
  ck_assert_int_eq(b.ticks, 1);
  stage_close(&s);
}
END_TEST

START_TEST(a_ticker_can_only_be_advanced)
{
  struct stage s;
  struct beat b;

  stage_open(&s);
  beat_add(&b, &s, TIME_FOREVER);
  ck_assert_int_eq(ticker_advance(&b.ticker, in_ms(1000)), 1);
  ck_assert_int_eq(ticker_advance(&b.ticker, in_ms(2000)), 0);
  ck_assert_int_eq(ticker_advance(&b.ticker, 1), 1);
  reactor_step(&s.reactor, 0);
  ck_assert_int_eq(b.ticks, 1);
  stage_close(&s);
}
END_TEST

START_TEST(what_is_advanced_during_the_tick_is_not_overwritten)
{
  struct stage s;
  struct beat b;

  stage_open(&s);
  beat_add(&b, &s, 1);
  b.early = 2; /* while it says that it has time for ever */
  stage_start(&s);
  reaches(&b.ticks, 2);
  stage_stop(&s);
  ck_assert_int_eq(b.ticks, 2);
  stage_close(&s);
}
END_TEST

START_TEST(a_job_posted_by_a_ticker_is_not_slept_over)
{
  struct stage s;
  struct beat b;
  struct work w;

  stage_open(&s);
  work_init(&w, &s);
  beat_add(&b, &s, 1);
  b.post = &w.job;
  stage_start(&s);
  reaches(&w.runs, 1);
  stage_stop(&s);
  stage_close(&s);
}
END_TEST

/* ---- sources ---- */

struct wire {
  struct source source;
  struct transport transport;
  int peer;
  struct stage *stage;
  _Atomic int calls;
  unsigned events;       /* of the last call */
  struct wire *take_off; /* unwatches that one */
  struct ticker *advance;
};

static void on_io(struct source *source, unsigned events)
{
  struct wire *w = container_of(source, struct wire, source);

  w->calls++;
  w->events = events;
  if (w->advance)
    ticker_advance(w->advance, clock_ns());
  if (w->take_off)
    reactor_unwatch(&w->stage->reactor, &w->take_off->source);
  if (!events)
    reactor_unwatch(&w->stage->reactor, source);
}

static void wire_open(struct wire *w, struct stage *s)
{
  int fds[2];

  memset(w, 0, sizeof *w);
  w->stage = s;
  ck_assert_int_eq(transport_init(&w->transport), 0);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  ck_assert_int_eq(fdtable_add(fds[0]), 0);
  w->transport.fd = fds[0];
  w->peer = fds[1];
  source_init(&w->source, &w->transport, on_io);
}

static void wire_close(struct wire *w)
{
  reactor_unwatch(&w->stage->reactor, &w->source);
  reactor_unwatch(&w->stage->reactor, &w->source); /* twice is harmless */
  transport_close(&w->transport);
  transport_destroy(&w->transport);
  close(w->peer);
}

START_TEST(a_source_is_told_what_it_watches_for_and_nothing_else)
{
  struct stage s;
  struct wire w;

  stage_open(&s);
  wire_open(&w, &s);
  reactor_watch(&s.reactor, &w.source, NET_IN, TIME_FOREVER);
  reactor_step(&s.reactor, 0);
  ck_assert_int_eq(w.calls, 0);
  ck_assert_int_eq(write(w.peer, "x", 1), 1);
  reactor_step(&s.reactor, in_ms(HANG_MS));
  ck_assert_int_eq(w.calls, 1);
  ck_assert_uint_eq(w.events, NET_IN);
  reactor_watch(&s.reactor, &w.source, NET_OUT, TIME_FOREVER);
  reactor_step(&s.reactor, in_ms(HANG_MS));
  ck_assert_int_eq(w.calls, 2);
  ck_assert_uint_eq(w.events, NET_OUT);
  reactor_watch(&s.reactor, &w.source, 0, TIME_FOREVER);
  reactor_step(&s.reactor, 0);
  ck_assert_int_eq(w.calls, 2);
  wire_close(&w);
  stage_close(&s);
}
END_TEST

START_TEST(a_source_taken_off_in_the_same_round_is_not_called)
{
  struct stage s;
  struct wire a, b;

  stage_open(&s);
  wire_open(&a, &s);
  wire_open(&b, &s);
  a.take_off = &b;
  b.take_off = &a;
  reactor_watch(&s.reactor, &a.source, NET_OUT, TIME_FOREVER);
  reactor_watch(&s.reactor, &b.source, NET_OUT, TIME_FOREVER);
  reactor_step(&s.reactor, in_ms(HANG_MS));
  ck_assert_int_eq(a.calls + b.calls, 1);
  wire_close(&a);
  wire_close(&b);
  stage_close(&s);
}
END_TEST

START_TEST(deadlines_are_told_once_each_and_one_may_end_another)
{
  struct stage s;
  struct wire w[3];

  stage_open(&s);
  for (int i = 0; i < 3; i++) {
    wire_open(&w[i], &s);
    reactor_watch(&s.reactor, &w[i].source, i == 1 ? 0 : NET_IN, in_ms(i == 2 ? SOON_MS : 5));
  }
  w[0].take_off = &w[1];
  stage_start(&s);
  reaches(&w[0].calls, 1);
  sleep_ms(10);
  stage_stop(&s);
  ck_assert_uint_eq(w[0].events, 0);
  ck_assert_int_eq(w[0].calls, 1);
  ck_assert_int_eq(w[1].calls, 0);
  ck_assert_int_eq(w[2].calls, 0);
  for (int i = 0; i < 3; i++)
    wire_close(&w[i]);
  stage_close(&s);
}
END_TEST

START_TEST(a_ticker_advanced_while_a_source_expires_is_not_slept_over)
{
  struct stage s;
  struct wire w;
  struct beat b;

  stage_open(&s);
  beat_add(&b, &s, TIME_FOREVER);
  wire_open(&w, &s);
  w.advance = &b.ticker;
  reactor_watch(&s.reactor, &w.source, NET_IN, 1);
  stage_start(&s);
  reaches(&b.ticks, 1);
  stage_stop(&s);
  ck_assert_int_eq(w.calls, 1);
  wire_close(&w);
  stage_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("reactor");

  tcase_add_test(tc, a_job_posted_again_before_it_ran_runs_once);
  tcase_add_test(tc, jobs_run_in_the_order_they_were_posted);
  tcase_add_test(tc, a_job_may_post_itself);
  tcase_add_test(tc, every_job_of_every_thread_runs_and_no_wake_is_lost);
  tcase_add_test(tc, a_ticker_runs_when_it_is_due_and_not_before);
  tcase_add_test(tc, a_ticker_can_only_be_advanced);
  tcase_add_test(tc, what_is_advanced_during_the_tick_is_not_overwritten);
  tcase_add_test(tc, a_job_posted_by_a_ticker_is_not_slept_over);
  tcase_add_test(tc, a_source_is_told_what_it_watches_for_and_nothing_else);
  tcase_add_test(tc, a_source_taken_off_in_the_same_round_is_not_called);
  tcase_add_test(tc, deadlines_are_told_once_each_and_one_may_end_another);
  tcase_add_test(tc, a_ticker_advanced_while_a_source_expires_is_not_slept_over);
  return checks_run("reactor", tc);
}
