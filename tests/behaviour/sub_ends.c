/* SPDX-License-Identifier: BSD-3-Clause */
/* sub_ends.c - how calls on subscriptions end: deadlines, tokens, an absent server, pmx_close. */
#include "behaviour/listening.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/util.h"

/* ---- time and tokens ---- */

START_TEST(next_ends_at_its_deadline_and_polls_without_time)
{
  struct scene s;
  struct ear ear;
  pmx_call call = call_in(60), none = call_in(0), capped = PMX_CALL_INIT;
  int64_t begun;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  begun = pmx_now_ms();
  check_fails(pmx_sub_next(ear.sub, &call), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_int_ge(pmx_now_ms() - begun, 59);
  check_on_time("next", begun + 60);
  capped.timeout_ms = PMX_FOREVER;
  capped.deadline_ms = pmx_now_ms() + 30;
  check_fails(pmx_sub_next(ear.sub, &capped), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  check_fails(pmx_sub_next(ear.sub, &none), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  check_fails(pmx_sub_add(ear.sub, &none, PMX_SUB_CHANNEL, "c", 1), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_uint_eq(stats_of(s.client).subscriptions, 0);
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

struct firing {
  pmx_cancel *token;
  int64_t after_ms;
};

static void fire(void *arg)
{
  struct firing *f = arg;

  sleep_ms(f->after_ms);
  pmx_cancel_fire(f->token);
}

START_TEST(tokens_end_next_and_add)
{
  struct scene s;
  struct ear ear;
  pmx_call call = call_in(PMX_FOREVER);
  struct firing firing = {.after_ms = 30};
  struct background *thread;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  call.cancel = firing.token = pmx_cancel_new();
  thread = background_start(fire, &firing);
  check_fails(pmx_sub_next(ear.sub, &call), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  background_join(thread);
  check_fails(pmx_sub_next(ear.sub, &call), PMX_NOT_RUN, PMX_CAUSE_CANCELED); /* fired already */
  pmx_cancel_free(call.cancel);
  server_pause(s.server);
  call.cancel = firing.token = pmx_cancel_new();
  thread = background_start(fire, &firing);
  check_fails(pmx_sub_add(ear.sub, &call, PMX_SUB_CHANNEL, "c", 1), PMX_NOT_RUN,
              PMX_CAUSE_CANCELED);
  background_join(thread);
  pmx_cancel_free(call.cancel);
  server_resume(s.server);
  add_ok(&ear, PMX_SUB_CHANNEL, "d");
  ck_assert_int_eq(publish(s.server, "d", "x"), 1);
  ear_check(&ear, "d=x ");
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

static bool are_gone(void *server)
{
  return subscribers(server, "old") + subscribers(server, "new") == 0;
}

START_TEST(a_failed_add_leaves_what_was_there)
{
  struct scene s;
  struct ear ear;
  pmx_call call = call_in(50);

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "old");
  server_pause(s.server);
  check_fails(pmx_sub_add(ear.sub, &call, PMX_SUB_CHANNEL, "new", 3), PMX_NOT_RUN,
              PMX_CAUSE_TIMEOUT);
  check_is_ok(pmx_sub_add(ear.sub, &call, PMX_SUB_CHANNEL, "old", 3)); /* it has it: no waiting */
  check_fails(pmx_sub_remove(ear.sub, &call, PMX_SUB_CHANNEL, "old", 3), PMX_UNKNOWN,
              PMX_CAUSE_TIMEOUT);
  server_resume(s.server);
  add_ok(&ear, PMX_SUB_CHANNEL, "third");
  publish(s.server, "old", "x"); /* the server may still know of them, but nobody hears it */
  publish(s.server, "new", "x");
  ck_assert(until(s.client, are_gone, s.server, SOON_MS));
  ck_assert_int_eq(publish(s.server, "third", "x"), 1);
  ear_check(&ear, "third=x ");
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

/* ---- an absent server ---- */

START_TEST(add_waits_for_an_absent_server_or_says_why_there_is_none)
{
  struct scene s;
  struct ear ear;
  pmx_call call = call_in(300);

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  server_kill(s.server);
  check_fails(pmx_sub_add(ear.sub, &call, PMX_SUB_CHANNEL, "c", 1), PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  ck_assert(server_restart(s.server));
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  server_kill(s.server);
  ck_assert(server_restart(s.server));
  add_ok(&ear, PMX_SUB_CHANNEL, "c"); /* whether it was noticed yet or not */
  ck_assert(ear_has(&ear, 0, 1, SOON_MS));
  ck_assert_int_eq(publish(s.server, "c", "x"), 1);
  ear_check(&ear, "GAP c=x ");
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

START_TEST(offline_fail_fails_at_once_and_restores_all_the_same)
{
  struct scene s;
  struct ear ear;
  pmx_reply *reply;
  int64_t begun;

  scene_open(&s, _i, "offline", "fail", "breaker.failures", "2", NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  server_kill(s.server);
  begun = pmx_now_ms();
  do { /* the connection may pass for alive for a moment */
    pmx_call call = call_in(2000);

    reply = pmx_sub_add(ear.sub, &call, PMX_SUB_CHANNEL, "d", 1);
    ck_assert_int_eq(pmx_reply_status(reply), PMX_NOT_RUN);
    ck_assert_int_lt(pmx_now_ms() - begun, SOON_MS);
  } while (pmx_reply_cause(reply) != PMX_CAUSE_CIRCUIT_OPEN && (pmx_reply_free(reply), 1));
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_CIRCUIT_OPEN);
  ck_assert(server_restart(s.server));
  ck_assert(ear_has(&ear, 0, 1, SOON_MS));
  add_ok(&ear, PMX_SUB_CHANNEL, "d");
  ck_assert_int_eq(publish(s.server, "c", "x") + publish(s.server, "d", "y"), 2);
  ear_check(&ear, "GAP c=x d=y ");
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

START_TEST(a_refused_login_ends_add_at_once)
{
  struct scene s;
  struct ear ear;
  pmx_reply *reply;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  free(server_command(s.server, "CONFIG", "SET", "requirepass", "secret", NULL));
  reply = ear_add(&ear, PMX_SUB_CHANNEL, "c");
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_AUTH);
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

/* ---- closing ---- */

static bool has_no_subscriber(void *server)
{
  return subscription_connections(server) == 0;
}

START_TEST(close_ends_who_waits_and_hands_out_what_is_there)
{
  struct scene s;
  struct ear ear;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  ck_assert_int_eq(publish(s.server, "c", "x"), 1);
  ck_assert(ear_has(&ear, 1, 0, SOON_MS));
  ck_assert_int_eq(publish(s.server, "c", "y") + publish(s.server, "c", "z"), 2);
  for (int i = 0; i < 100 && stats_of(s.client).messages < 3; i++)
    pass(s.client, 10);
  ck_assert_int_eq(pmx_close(s.client, HANG_MS), 1);
  ear_check(&ear, "c=x c=y c=z ");
  check_fails(pmx_sub_next(ear.sub, NULL), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  check_fails(ear_add(&ear, PMX_SUB_CHANNEL, "d"), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  check_is_ok(ear_remove(&ear, PMX_SUB_CHANNEL, "c"));
  ck_assert(wait_for(has_no_subscriber, s.server, SOON_MS)); /* with nobody running the loop */
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

struct nexting {
  struct ear *ear;
  pmx_status status;
  pmx_cause cause;
};

static void wait_for_next(void *arg)
{
  struct nexting *n = arg;
  pmx_call call = call_in(PMX_FOREVER);
  pmx_reply *reply = pmx_sub_next(n->ear->sub, &call);

  n->cause = pmx_reply_cause(reply);
  n->status = pmx_reply_finish(reply);
}

START_TEST(a_waiting_next_ends_when_the_client_or_its_consumer_does)
{
  struct scene s;
  struct ear ear, other;
  struct nexting first = {.ear = &ear}, second = {.ear = &other};
  struct background *a, *b;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  ear_open(&other, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  a = background_start(wait_for_next, &first);
  b = background_start(wait_for_next, &second);
  sleep_ms(20); /* they should sleep by then; if not, it is the same to them */
  ck_assert_int_eq(pmx_close(s.client, HANG_MS), 1);
  background_join(a);
  background_join(b);
  ck_assert_int_eq(first.status, PMX_NOT_RUN);
  ck_assert_int_eq(first.cause, PMX_CAUSE_CLOSED);
  ck_assert_int_eq(second.cause, PMX_CAUSE_CLOSED);
  ear_close(&ear);
  ear_close(&other);
  scene_close(&s);
}
END_TEST

START_TEST(a_consumer_keeps_its_client_open)
{
  struct scene s;
  struct ear ear;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  pmx_unref(s.client);
  ck_assert_int_eq(publish(s.server, "c", "x"), 1);
  ear_check(&ear, "c=x ");
  ear_close(&ear); /* the last reference */
  ck_assert(wait_for(has_no_subscriber, s.server, SOON_MS));
  ck_assert(server_stop(s.server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("sub_ends");

  manners_brief();
  server_require("sub_ends");
  tcase_set_timeout(tc, 60);
  add_for_manners(tc, next_ends_at_its_deadline_and_polls_without_time);
  add_for_manners(tc, tokens_end_next_and_add);
  add_for_manners(tc, a_failed_add_leaves_what_was_there);
  add_for_manners(tc, add_waits_for_an_absent_server_or_says_why_there_is_none);
  add_for_manners(tc, offline_fail_fails_at_once_and_restores_all_the_same);
  add_for_manners(tc, a_refused_login_ends_add_at_once);
  add_for_manners(tc, close_ends_who_waits_and_hands_out_what_is_there);
  add_for_manners(tc, a_waiting_next_ends_when_the_client_or_its_consumer_does);
  add_for_manners(tc, a_consumer_keeps_its_client_open);
  return checks_run("sub_ends", tc);
}
