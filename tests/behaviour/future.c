/* SPDX-License-Identifier: BSD-3-Clause */
/* future.c - futures: waited for, looked at, taken, freed early, outliving their client's owners;
 * and what cannot begin. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/calling.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

struct scene {
  const struct manner *manner;
  struct server *server;
  pmx_client *client;
};

static void scene_open(struct scene *s, int i)
{
  s->manner = &manners[i];
  s->server = server_start(NULL);
  s->client = open_manner(s->manner, manner_url(s->manner, s->server), "command_timeout", "20s",
                          "pool.wait_timeout", "60s", (char *)NULL);
}

static void scene_close(struct scene *s)
{
  close_client(s->client);
  ck_assert(server_stop(s->server));
}

static void check_echo(pmx_future *future, const char *text)
{
  pmx_reply *reply = pmx_future_take(future);

  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  ck_assert_str_eq(pmx_reply_str(reply, NULL), text);
  pmx_reply_free(reply);
}

START_TEST(each_future_has_the_reply_of_its_call)
{
  enum { MANY = 300 };
  struct scene s;
  pmx_future *futures[MANY];
  char text[16];

  scene_open(&s, _i);
  for (int i = 0; i < MANY; i++)
    futures[i] = pmx_submit(s.client, NULL, "ECHO %d", i);
  for (int i = MANY - 1; i >= 0; i--) {
    snprintf(text, sizeof text, "%d", i);
    check_echo(futures[i], text);
  }
  ck_assert_uint_eq(stats_of(s.client).commands, MANY);
  scene_close(&s);
}
END_TEST

START_TEST(the_arguments_are_those_of_other_calls)
{
  const char *argv[] = {"ECHO", "a\0b"};
  const size_t len[] = {4, 3};
  struct scene s;
  pmx_reply *reply;
  size_t got = 0;

  scene_open(&s, _i);
  reply = pmx_future_take(pmx_submit_argv(s.client, NULL, 2, argv, len));
  ck_assert_ptr_nonnull(pmx_reply_str(reply, &got));
  ck_assert_uint_eq(got, 3);
  pmx_reply_free(reply);
  check_echo(pmx_submit(s.client, NULL, "ECHO %b", "xyz", (size_t)2), "xy");
  scene_close(&s);
}
END_TEST

START_TEST(a_wait_may_be_given_up_and_begun_again)
{
  struct scene s;
  pmx_future *future;
  int64_t begin;

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  server_pause(s.server);
  future = pmx_submit(s.client, NULL, "ECHO it");
  ck_assert_int_eq(pmx_future_wait(future, 0), 0);
  ck_assert_int_eq(pmx_future_wait(future, -5), 0);
  ck_assert_int_eq(pmx_future_wait(future, PMX_DEFAULT), 0);
  begin = pmx_now_ms();
  ck_assert_int_eq(pmx_future_wait(future, 50), 0);
  ck_assert_int_ge(pmx_now_ms() - begin, 49);
  check_on_time("a wait", begin + 50);
  server_resume(s.server);
  ck_assert_int_eq(pmx_future_wait(future, SOON_MS), 1);
  ck_assert_int_eq(pmx_future_wait(future, 0), 1);
  ck_assert_int_eq(pmx_future_wait_any(&future, 1, 0), 0);
  check_echo(future, "it");
  scene_close(&s);
}
END_TEST

/* ---- freed early ---- */

START_TEST(a_future_freed_before_it_is_ready_costs_nobody_anything)
{
  struct scene s;

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  server_pause(s.server);
  for (int i = 0; i < 20; i++)
    pmx_future_free(pmx_submit(s.client, NULL, "INCR n"));
  pass(s.client, 10);
  server_resume(s.server);
  check_echo(pmx_submit(s.client, NULL, "ECHO next"), "next");
  for (int64_t n = 0; n < 20;) { /* they run all the same */
    pmx_reply *reply = pmx_command(s.client, "GET n");

    n = pmx_reply_int(reply, NULL);
    pmx_reply_free(reply);
    pass(s.client, 1);
  }
  ck_assert_uint_eq(stats_of(s.client).unknown, 0);
  ck_assert_uint_eq(stats_of(s.client).closed, 0);
  scene_close(&s);
}
END_TEST

START_TEST(a_ready_future_may_be_freed)
{
  struct scene s;
  pmx_future *future;

  scene_open(&s, _i);
  future = pmx_submit(s.client, NULL, "ECHO it");
  ck_assert_int_eq(pmx_future_wait(future, SOON_MS), 1);
  pmx_future_free(future);
  pmx_future_free(NULL);
  scene_close(&s);
}
END_TEST

/* Freed, taken and looked at while it becomes ready. */
START_TEST(a_future_may_be_freed_at_any_moment)
{
  struct scene s;
  pmx_future *futures[8];

  scene_open(&s, _i);
  for (int round = 0; round < 300; round++) {
    for (int i = 0; i < 8; i++)
      futures[i] = pmx_submit(s.client, NULL, "PING");
    for (int i = 0; i < 8; i++) {
      if (i == round % 8)
        check_is_ok(pmx_future_take(futures[i]));
      else
        pmx_future_free(futures[i]);
    }
  }
  scene_close(&s);
}
END_TEST

/* ---- what ends them ---- */

START_TEST(deadline_and_token_are_those_of_other_calls)
{
  struct scene s;
  pmx_call late = call_in(60), fired = call_in(SOON_MS);
  pmx_future *future[2];
  pmx_reply *reply;
  int64_t limit;

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  fired.cancel = pmx_cancel_new();
  server_pause(s.server);
  limit = pmx_now_ms() + 60;
  future[0] = pmx_submit(s.client, &late, "PING");
  future[1] = pmx_submit(s.client, &fired, "PING");
  reply = pmx_future_take(future[0]);
  check_on_time("a future", limit);
  ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_TIMEOUT);
  pmx_reply_free(reply);
  ck_assert_int_eq(pmx_future_wait(future[1], 0), 0);
  pmx_cancel_fire(fired.cancel);
  reply = pmx_future_take(future[1]);
  ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_CANCELED);
  pmx_reply_free(reply);
  pmx_cancel_free(fired.cancel);
  server_resume(s.server);
  scene_close(&s);
}
END_TEST

START_TEST(close_makes_futures_ready)
{
  struct scene s;
  pmx_future *futures[20];
  pmx_client *mine;

  scene_open(&s, _i);
  mine = s.client;
  check_is_ok(pmx_command(mine, "PING"));
  server_pause(s.server);
  for (int i = 0; i < 20; i++)
    futures[i] = pmx_submit(mine, NULL, "PING");
  pmx_close(mine, 0);
  for (int i = 0; i < 20; i++) {
    pmx_reply *reply = pmx_future_take(futures[i]);

    ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_CLOSED);
    pmx_reply_free(reply);
  }
  server_resume(s.server);
  pmx_unref(mine);
  ck_assert(server_stop(s.server));
}
END_TEST

START_TEST(a_future_keeps_its_client_open)
{
  struct scene s;
  pmx_future *taken, *freed;

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  server_pause(s.server);
  taken = pmx_submit(s.client, NULL, "ECHO it");
  freed = pmx_submit(s.client, NULL, "ECHO nothing");
  pmx_unref(s.client);
  ck_assert_int_eq(pmx_future_wait(taken, 10), 0);
  server_resume(s.server);
  check_echo(taken, "it");
  pmx_future_free(freed); /* closes it */
  check_clients(s.server, 0);
  ck_assert(server_stop(s.server));
}
END_TEST

/* ---- what cannot begin ---- */

START_TEST(what_cannot_begin_is_a_ready_future_with_the_reason)
{
  struct scene s;
  pmx_call none = call_in(0);
  pmx_future *future;

  scene_open(&s, _i);
  future = pmx_submit(s.client, NULL, "MULTI");
  ck_assert_int_eq(pmx_future_wait(future, 0), 1);
  check_fails(pmx_future_take(future), PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  check_fails(pmx_future_take(pmx_submit(s.client, NULL, "")), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_future_take(pmx_submit(s.client, NULL, "GET %y", 1)), PMX_INVALID,
              PMX_CAUSE_NONE);
  check_fails(pmx_future_take(pmx_submit(s.client, &none, "PING")), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  check_fails(pmx_future_take(pmx_submit(NULL, NULL, "PING")), PMX_INVALID, PMX_CAUSE_NONE);
  future = pmx_submit_argv(NULL, NULL, 0, NULL, NULL);
  ck_assert_int_eq(pmx_future_wait(future, 0), 1);
  pmx_future_free(future);
  ck_assert_uint_eq(stats_of(s.client).invalid, 3);
  pmx_close(s.client, 1000);
  check_fails(pmx_future_take(pmx_submit(s.client, NULL, "PING")), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  pmx_unref(s.client);
  ck_assert(server_stop(s.server));
}
END_TEST

/* As pmx_submit() gives when memory is out. */
START_TEST(no_future_is_ready_and_out_of_memory)
{
  ck_assert_int_eq(pmx_future_wait(NULL, 1000), 1);
  ck_assert_int_eq(pmx_future_wait_any(&(pmx_future *){NULL}, 1, 1000), 0);
  check_fails(pmx_future_take(NULL), PMX_NOMEM, PMX_CAUSE_NONE);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("future");

  manners_brief();
  server_require("future");
  add_for_manners(tc, each_future_has_the_reply_of_its_call);
  add_for_manners(tc, the_arguments_are_those_of_other_calls);
  add_for_manners(tc, a_wait_may_be_given_up_and_begun_again);
  add_for_manners(tc, a_future_freed_before_it_is_ready_costs_nobody_anything);
  add_for_manners(tc, a_ready_future_may_be_freed);
  add_for_manners(tc, a_future_may_be_freed_at_any_moment);
  add_for_manners(tc, deadline_and_token_are_those_of_other_calls);
  add_for_manners(tc, close_makes_futures_ready);
  add_for_manners(tc, a_future_keeps_its_client_open);
  add_for_manners(tc, what_cannot_begin_is_a_ready_future_with_the_reason);
  tcase_add_test(tc, no_future_is_ready_and_out_of_memory);
  return checks_run("future", tc);
}
