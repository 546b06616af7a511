/* SPDX-License-Identifier: BSD-3-Clause */
/* loop_shared.c - io=loop with several threads: some dispatch, some wait for calls and futures, or
 * nobody dispatches at all. Who waits does the client's work meanwhile, all but callbacks; who
 * dispatches is not held up by that, and nobody spins. */
#include <poolmux/poolmux.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "behaviour/calling.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

enum { CALLERS = 6, CALLS = 100 };

/* ---- callers and dispatchers ---- */

struct crew {
  pmx_client *client;
  int dispatchers;
  int64_t dispatch_ms;
  _Atomic int calling, failed, callbacks, inside, overlapped;
};

static void count_callback(void *ud, const pmx_reply *reply)
{
  struct crew *c = ud;

  if (atomic_fetch_add(&c->inside, 1) != 0)
    atomic_fetch_add(&c->overlapped, 1);
  if (!pmx_ok(reply))
    atomic_fetch_add(&c->failed, 1);
  atomic_fetch_sub(&c->inside, 1);
  atomic_fetch_add(&c->callbacks, 1);
}

static void call(struct crew *c, int i)
{
  for (int n = 0; n < CALLS; n++) {
    pmx_reply *reply = n % 3 == 2 ? pmx_future_take(pmx_submit(c->client, NULL, "ECHO %d:%d", i, n))
                                  : pmx_command(c->client, "ECHO %d:%d", i, n);
    char expected[32];
    const char *text = pmx_reply_str(reply, NULL);

    snprintf(expected, sizeof expected, "%d:%d", i, n);
    if (!text || strcmp(text, expected) != 0)
      atomic_fetch_add(&c->failed, 1);
    pmx_reply_free(reply);
    if (c->dispatchers && pmx_async(c->client, NULL, count_callback, c, "PING") != PMX_OK)
      atomic_fetch_add(&c->failed, 1);
  }
  atomic_fetch_sub(&c->calling, 1);
}

static void dispatch(struct crew *c)
{
  struct pollfd ready = {pmx_client_fd(c->client), POLLIN, 0};

  while (atomic_load(&c->calling) ||
         (c->dispatchers && atomic_load(&c->callbacks) < CALLERS * CALLS)) {
    if (c->dispatch_ms || poll(&ready, 1, 10) > 0)
      pmx_dispatch(c->client, c->dispatch_ms);
  }
}

static void run(int i, void *arg)
{
  struct crew *c = arg;

  if (i < CALLERS)
    call(c, i);
  else
    dispatch(c);
}

static void work_together(const struct manner *manner, int dispatchers, int64_t dispatch_ms)
{
  struct server *server = server_start(NULL);
  struct crew c = {.dispatchers = dispatchers, .dispatch_ms = dispatch_ms, .calling = CALLERS};
  struct guard *guard = guard_start("loop_shared", 30000);

  c.client =
      open_manner(manner, manner_url(manner, server), "pool.max_size", "2", "pool.wait_timeout",
                  "60s", "command_timeout", "20s", "connect", "lazy", (char *)NULL);
  run_threads(CALLERS + dispatchers, run, &c);
  guard_stop(guard);
  ck_assert_int_eq(c.failed, 0);
  ck_assert_int_eq(c.overlapped, 0);
  ck_assert_int_eq(c.callbacks, dispatchers ? CALLERS * CALLS : 0);
  close_client(c.client);
  ck_assert(server_stop(server));
}

START_TEST(calls_of_several_threads_work_while_nobody_dispatches)
{
  work_together(&manners[_i], 0, 0);
}
END_TEST

START_TEST(calls_of_several_threads_work_while_another_dispatches)
{
  work_together(&manners[_i], 1, 0);
}
END_TEST

START_TEST(several_threads_may_dispatch_and_callbacks_come_one_at_a_time)
{
  work_together(&manners[_i], 3, 5);
}
END_TEST

/* ---- the connection has to be made first, or again ---- */

static void one_call(int i, void *arg)
{
  struct crew *c = arg;

  (void)i;
  if (pmx_reply_finish(pmx_command(c->client, "PING")) != PMX_OK)
    atomic_fetch_add(&c->failed, 1);
}

START_TEST(callers_make_the_connection_themselves_while_nobody_dispatches)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  struct crew c = {.client = NULL};

  c.client = open_manner(manner, manner_url(manner, server), "connect", "lazy", "command_timeout",
                         "20s", (char *)NULL);
  for (int round = 0; round < 5; round++) {
    run_threads(CALLERS, one_call, &c);
    ck_assert_int_eq(c.failed, 0);
    server_kill_clients(server);
  }
  server_kill(server);
  ck_assert(server_restart(server));
  run_threads(CALLERS, one_call, &c);
  ck_assert_int_eq(c.failed, 0);
  close_client(c.client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- one waits, for long ---- */

struct waiting_thread {
  pmx_client *client;
  pmx_future *future;
  int64_t timeout_ms, cpu_ms;
  int result;
  struct background *thread;
};

static int64_t cpu_ms(void)
{
  struct timespec t;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_for_future(void *arg)
{
  struct waiting_thread *w = arg;
  int64_t begin = cpu_ms();

  w->result = pmx_future_wait(w->future, w->timeout_ms);
  w->cpu_ms = cpu_ms() - begin;
}

/* The server is stopped; a thread waits for a future, and nobody dispatches. */
static void begin_waiting(struct waiting_thread *w, const struct manner *manner,
                          struct server *server, int64_t timeout_ms)
{
  w->client =
      open_manner(manner, manner_url(manner, server), "command_timeout", "60s", (char *)NULL);
  w->timeout_ms = timeout_ms;
  check_is_ok(pmx_command(w->client, "PING"));
  server_pause(server);
  w->future = pmx_submit(w->client, NULL, "PING");
  w->thread = background_start(wait_for_future, w);
  sleep_ms(50);
}

static void end_waiting(struct waiting_thread *w, struct server *server)
{
  server_resume(server);
  background_join(w->thread);
  check_is_ok(pmx_future_take(w->future));
  close_client(w->client);
  ck_assert(server_stop(server));
}

START_TEST(a_waiting_thread_does_not_spin_while_callbacks_wait_for_dispatch)
{
  struct server *server = server_start(NULL);
  struct waiting_thread w = {0};
  struct told told = {0};
  pmx_call call = call_in(10);

  begin_waiting(&w, &manners[_i], server, 500);
  ask(w.client, &told, &call, "PING");
  sleep_ms(600);
  ck_assert(!is_told(&told));
  end_waiting(&w, server);
  ck_assert_int_eq(told.times, 1); /* in the end, by who gave up the last reference */
  told_clear(&told, 1);
  ck_assert_int_eq(w.result, 0);
  ck_assert_msg(w.cpu_ms < 150, "%lld ms of processor for half a second of waiting",
                (long long)w.cpu_ms);
}
END_TEST

/* The thread that waits sleeps on: what comes of its work is told all the same. */
START_TEST(callbacks_make_the_descriptor_readable_while_another_thread_waits)
{
  struct server *server = server_start(NULL);
  struct waiting_thread w = {0};
  struct told told = {0};
  pmx_call call = call_in(50);
  struct pollfd ready;
  int64_t limit;
  int looks = 0;

  begin_waiting(&w, &manners[_i], server, 60000);
  ready = (struct pollfd){pmx_client_fd(w.client), POLLIN, 0};
  limit = pmx_now_ms() + 50;
  ask(w.client, &told, &call, "PING");
  while (!is_told(&told) && pmx_now_ms() < limit + SOON_MS) {
    ck_assert_int_ge(poll(&ready, 1, SOON_MS), 0);
    pmx_dispatch(w.client, 0);
    looks++;
  }
  check_on_time("a callback beside a waiting thread", limit);
  ck_assert_msg(looks < 20, "%d looks for one callback", looks);
  pmx_reply_free(outcome(&told));
  end_waiting(&w, server);
  ck_assert_int_eq(w.result, 1);
}
END_TEST

START_TEST(dispatch_with_time_runs_callbacks_while_another_thread_waits)
{
  struct server *server = server_start(NULL);
  struct waiting_thread w = {0};
  struct told told = {0};
  pmx_call call = call_in(50);
  int64_t limit;

  begin_waiting(&w, &manners[_i], server, 60000);
  limit = pmx_now_ms() + 50;
  ask(w.client, &told, &call, "PING");
  ck_assert_int_eq(pmx_dispatch(w.client, SOON_MS), 1);
  check_on_time("dispatch", limit);
  pmx_reply_free(outcome(&told));
  end_waiting(&w, server);
}
END_TEST

/* And the other way round: the one that waits takes over as soon as nobody dispatches any more. */
START_TEST(who_waits_goes_on_when_dispatching_ends)
{
  struct server *server = server_start(NULL);
  struct waiting_thread w = {0};

  begin_waiting(&w, &manners[_i], server, 60000);
  ck_assert_int_eq(pmx_dispatch(w.client, 50), 0);
  end_waiting(&w, server);
  ck_assert_int_eq(w.result, 1);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("loop_shared");

  manners_brief();
  server_require("loop_shared");
  add_for_io("loop", tc, calls_of_several_threads_work_while_nobody_dispatches);
  add_for_io("loop", tc, calls_of_several_threads_work_while_another_dispatches);
  add_for_io("loop", tc, several_threads_may_dispatch_and_callbacks_come_one_at_a_time);
  add_for_io("loop", tc, callers_make_the_connection_themselves_while_nobody_dispatches);
  add_for_io("loop", tc, a_waiting_thread_does_not_spin_while_callbacks_wait_for_dispatch);
  add_for_io("loop", tc, callbacks_make_the_descriptor_readable_while_another_thread_waits);
  add_for_io("loop", tc, dispatch_with_time_runs_callbacks_while_another_thread_waits);
  add_for_io("loop", tc, who_waits_goes_on_when_dispatching_ends);
  return checks_run("loop_shared", tc);
}
