/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_closing.c - pmx_close while calls share a connection: what is in flight may finish, what is
 * queued without a connection fails at once, and nobody waits for an answer that nobody waits for.
 */
#include "behaviour/muxing.h"

#include <check.h>
#include <string.h>

#include "harness/checks.h"

enum { CALLERS = 6 };

/* A client whose server reads nothing, and CALLERS calls in flight. */
struct scene {
  struct fake *fake;
  pmx_client *client;
  struct caller callers[CALLERS];
};

static void open_stalled(struct scene *s, const struct way *way, const pmx_call *call)
{
  s->fake = fake_for(way, answer_values, NULL);
  s->client = open_client(way->strategy, fake_url(s->fake), "mux.stall_timeout", "off",
                          "command_timeout", "60s", (char *)NULL);
  fake_stall(fake_conn_at(s->fake, 0));
  callers_start(s->callers, CALLERS, s->client, call);
}

static void resume_soon(void *arg)
{
  sleep_ms(60);
  fake_resume(arg);
}

START_TEST(close_lets_what_is_in_flight_finish)
{
  struct scene s;
  struct background *thread;

  open_stalled(&s, &ways[_i], NULL);
  thread = background_start(resume_soon, fake_conn_at(s.fake, 0));
  ck_assert_int_eq(pmx_close(s.client, SOON_MS), 1);
  callers_check_values(s.callers, CALLERS);
  background_join(thread);
  check_fails(get_in(s.client, "k", SOON_MS), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  ck_assert_uint_eq(fake_accepted(s.fake), 1);
  pmx_unref(s.client);
  ck_assert(fake_stop(s.fake));
}
END_TEST

START_TEST(close_cuts_off_what_is_in_flight_at_its_deadline)
{
  struct scene s;
  int64_t begun;

  open_stalled(&s, &ways[_i], NULL);
  begun = pmx_now_ms();
  ck_assert_int_eq(pmx_close(s.client, 50), 0);
  ck_assert_int_ge(pmx_now_ms() - begun, 49);
  check_on_time("close", begun + 50);
  callers_check_fail(s.callers, CALLERS, PMX_UNKNOWN, PMX_CAUSE_CLOSED);
  ck_assert_uint_eq(stats_of(s.client).live, 0);
  pmx_unref(s.client);
  ck_assert(fake_stop(s.fake));
}
END_TEST

START_TEST(close_fails_what_is_queued_without_a_connection_at_once)
{
  struct fake_options options = {.over = ways[_i].over, .accept = FAKE_ACCEPT_SILENT};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy",
                                   "connect_timeout", "60s", "command_timeout", "60s", NULL);
  struct caller callers[CALLERS];
  int64_t begun;

  callers_start(callers, CALLERS, client, NULL);
  ck_assert_uint_eq(stats_of(client).waiting, CALLERS);
  begun = pmx_now_ms();
  ck_assert_int_eq(pmx_close(client, 30000), 1);
  check_on_time("close", begun);
  callers_check_fail(callers, CALLERS, PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* Nothing of it may have been written when the client is closed: that is the reactor's to do. */
START_TEST(close_lets_what_was_submitted_go_out)
{
  enum { MANY = 200 };
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), (char *)NULL);
  pmx_future *futures[MANY];

  for (int i = 0; i < MANY; i++)
    futures[i] = pmx_submit(client, NULL, "INCR n");
  ck_assert_int_eq(pmx_close(client, SOON_MS), 1);
  for (int i = 0; i < MANY; i++)
    check_int(pmx_future_take(futures[i]), 1);
  ck_assert_uint_eq(fake_seen(fake, "INCR"), MANY);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(close_does_not_wait_for_answers_to_calls_that_were_given_up)
{
  struct scene s;
  pmx_call call = call_in(20);
  int64_t begun;

  open_stalled(&s, &ways[_i], &call);
  callers_check_fail(s.callers, CALLERS, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  ck_assert_uint_eq(stats_of(s.client).abandoned, CALLERS);
  begun = pmx_now_ms();
  ck_assert_int_eq(pmx_close(s.client, 30000), 1);
  check_on_time("close", begun);
  pmx_unref(s.client);
  ck_assert(fake_stop(s.fake));
}
END_TEST

static void fire_soon(void *token)
{
  sleep_ms(60);
  pmx_cancel_fire(token);
}

START_TEST(close_ends_when_the_last_call_is_given_up)
{
  struct scene s;
  pmx_call call = call_in(PMX_FOREVER);
  struct background *thread;
  int64_t begun = pmx_now_ms();

  call.cancel = pmx_cancel_new();
  open_stalled(&s, &ways[_i], &call);
  thread = background_start(fire_soon, call.cancel);
  ck_assert_int_eq(pmx_close(s.client, 30000), 1);
  check_on_time("close", begun + 60);
  callers_check_fail(s.callers, CALLERS, PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  background_join(thread);
  pmx_cancel_free(call.cancel);
  pmx_unref(s.client);
  ck_assert(fake_stop(s.fake));
}
END_TEST

START_TEST(close_does_not_wait_for_the_answer_to_a_keepalive_ping)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "mux.keepalive", "20ms",
                                   "mux.stall_timeout", "off", (char *)NULL);
  int64_t begun;

  fake_stall(fake_conn_at(fake, 0));
  check_stat(client, in_flight, 1);
  ck_assert_uint_eq(stats_of(client).pings, 1);
  begun = pmx_now_ms();
  ck_assert_int_eq(pmx_close(client, 30000), 1);
  check_on_time("close", begun);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* Its login is answered at the very moment of closing. */
static void close_at_the_end_of_a_login(const struct way *way)
{
  static const struct fake_step login[] = {FAKE_EXPECT("PING"), FAKE_END};
  struct fake_options options = {
      .over = way->over, .script = login, .handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(way->strategy, fake_url(fake), "connect", "lazy", NULL);
  struct caller caller;
  int64_t begun;

  caller_start(&caller, client, "GET k", NULL);
  ck_assert(fake_wait_accepted(fake, 1, SOON_MS));
  ck_assert(fake_wait_done(fake, 0, SOON_MS));
  fake_send(fake_conn_at(fake, 0), "+PONG\r\n", 7);
  begun = pmx_now_ms();
  ck_assert_int_eq(pmx_close(client, 30000), 1);
  check_on_time("close", begun);
  pmx_reply_free(caller_end(&caller)); /* answered, or too late */
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}

START_TEST(close_does_not_wait_for_a_connection_that_is_made_just_then)
{
  for (int i = 0; i < (soak() ? 5000 : 100); i++)
    close_at_the_end_of_a_login(&ways[_i]);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_closing");

  add_for_ways_with(SHARES, tc, close_lets_what_is_in_flight_finish);
  add_for_ways_with(SHARES, tc, close_cuts_off_what_is_in_flight_at_its_deadline);
  add_for_ways_with(SHARES, tc, close_fails_what_is_queued_without_a_connection_at_once);
  add_for_ways_with(SHARES, tc, close_lets_what_was_submitted_go_out);
  add_for_ways_with(SHARES, tc, close_does_not_wait_for_answers_to_calls_that_were_given_up);
  add_for_ways_with(SHARES, tc, close_ends_when_the_last_call_is_given_up);
  add_for_ways_with(SHARES, tc, close_does_not_wait_for_the_answer_to_a_keepalive_ping);
  add_for_ways_with(SHARES, tc, close_does_not_wait_for_a_connection_that_is_made_just_then);
  return checks_run("mux_closing", tc);
}
