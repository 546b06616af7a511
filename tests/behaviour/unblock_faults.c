/* SPDX-License-Identifier: BSD-3-Clause */
/* unblock_faults.c - ending the wait of a blocked command when something goes wrong: with the
 * answer to CLIENT UNBLOCK, with the control connection, with the server. The element is the reply,
 * or the outcome says UNKNOWN; nobody else is ever hit by the UNBLOCK. */
#include "behaviour/unblocking.h"

#include <check.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/util.h"

/* ---- the element was faster ---- */

START_TEST(no_other_call_is_hit_by_an_unblock_that_came_too_late)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  struct pop first, second;

  pop_start(&first, &s, client, NULL);
  pop_fire(&first, &s);
  scene_gives(&s, "x");
  check_popped(pop_ended(&first), "x");
  ck_assert_uint_eq(stats_of(client).late_wins, 1);
  memset(&second, 0, sizeof second);
  second.w.client = client;
  second.w.command = "BLPOP q 0";
  second.w.call = call_in(30000);
  waiting_start(&second.w);
  check_stat(client, waiting, 1); /* for the only connection, which is not free yet */
  ck_assert_uint_eq(fake_seen(s.fake, "BLPOP"), 1);
  ck_assert_uint_eq(stats_of(client).in_use, 0);
  ck_assert_uint_eq(stats_of(client).idle, 0);
  fake_reply_int(s.control, 0);
  ck_assert(fake_wait_seen(s.fake, "BLPOP", 2, SOON_MS));
  scene_gives(&s, "y");
  check_popped(waiting_end(&second.w), "y");
  ck_assert_uint_eq(stats_of(client).opened, 1 + lane_beside(client));
  scene_end(&s, client);
}
END_TEST

START_TEST(nor_is_the_next_call_on_the_same_lease)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  pmx_lease *lease = take(client);
  struct pop first;
  struct waiting second = {.client = client, .lease = lease, .command = "BLPOP q 0"};
  pmx_call brief = call_in(20);

  pop_start(&first, &s, client, lease);
  pop_fire(&first, &s);
  scene_gives(&s, "x");
  check_popped(pop_ended(&first), "x");
  /* A paused server holds up any command, and WAIT waits as well. */
  check_fails(pmx_lease_command(lease, &brief, "GET k"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  check_fails(pmx_lease_command(lease, &brief, "WAIT 1 0"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_uint_eq(fake_seen(s.fake, "GET") + fake_seen(s.fake, "WAIT"), 0);
  check_fails(pmx_lease_command(lease, &brief, "BLPOP q 0"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_uint_eq(fake_seen(s.fake, "BLPOP"), 1);
  second.call = call_in(30000);
  waiting_start(&second);
  sleep_ms(20);
  ck_assert_uint_eq(fake_seen(s.fake, "BLPOP"), 1);
  ck_assert_int_eq(pmx_release(lease), PMX_INVALID); /* a call is inside */
  fake_reply_int(s.control, 0);
  ck_assert(fake_wait_seen(s.fake, "BLPOP", 2, SOON_MS));
  scene_gives(&s, "y");
  check_popped(waiting_end(&second), "y");
  give_back(lease);
  ck_assert_uint_eq(stats_of(client).opened, 1 + lane_beside(client));
  ck_assert_uint_eq(stats_of(client).waiting, 0);
  scene_end(&s, client);
}
END_TEST

/* A released lease rests until its UNBLOCK was answered; one whose UNBLOCK may still come closes.
 */
START_TEST(a_lost_answer_costs_the_connection)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  pmx_lease *lease = take(client);
  struct waiting held = {.client = client, .lease = lease, .command = "BLPOP q 0"};
  struct pop first;

  pop_start(&first, &s, client, lease);
  pop_fire(&first, &s);
  scene_gives(&s, "x");
  check_popped(pop_ended(&first), "x");
  held.call = call_in(30000);
  waiting_start(&held);
  sleep_ms(10); /* held by now, or it will find the connection doomed: the same end */
  fake_close(s.control);
  check_fails(waiting_end(&held), PMX_NOT_RUN, PMX_CAUSE_LOST);
  give_back(lease);
  ck_assert_uint_eq(stats_of(client).closed_dirty, 1);
  ck_assert_uint_eq(fake_seen(s.fake, "BLPOP"), 1);
  scene_end(&s, client);
}
END_TEST

START_TEST(an_unblock_that_hit_nobody_known_costs_the_connection)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  struct pop c;

  pop_start(&c, &s, client, NULL);
  pop_fire(&c, &s);
  scene_gives(&s, "x");
  fake_reply_int(s.control, 1);
  check_popped(pop_ended(&c), "x");
  check_stat(client, closed_dirty, 1);
  get_value_alone(client, "k");
  scene_end(&s, client);
}
END_TEST

/* ---- neither ---- */

START_TEST(an_unblock_that_is_not_answered_is_given_up_after_the_grace)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "60ms");
  int64_t begun = pmx_now_ms();
  struct pop c;

  pop_start(&c, &s, client, NULL);
  pop_fire(&c, &s);
  check_fails(pop_ended(&c), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  ck_assert_int_ge(pmx_now_ms() - begun, 59);
  check_on_time("the grace", begun + 60);
  ck_assert_uint_eq(stats_of(client).closed_error, 1);
  ck_assert_uint_eq(stats_of(client).retries, 0);
  get_value_alone(client, "k");
  scene_end(&s, client);
}
END_TEST

/* It was paused, had not begun, or had just ended: what comes is waited for, and it is asked again.
 */
START_TEST(an_answer_that_nothing_waited_is_no_end)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  struct pop c;

  pop_start(&c, &s, client, NULL);
  pop_fire(&c, &s);
  for (int i = 0; i < 3; i++) {
    struct fake_conn *control = atomic_exchange(&s.control, NULL);

    fake_reply_int(control, 0);
    ck_assert(wait_for(scene_is_asked, &s, SOON_MS));
  }
  scene_gives(&s, "x");
  check_popped(pop_ended(&c), "x");
  fake_reply_int(s.control, 0);
  get_value_alone(client, "k");
  ck_assert_uint_eq(stats_of(client).opened, 1 + lane_beside(client));
  scene_end(&s, client);
}
END_TEST

/* ---- other ends ---- */

/* As from a server that had paused it, and went on in the same moment. */
START_TEST(an_element_right_behind_the_refusal_leaves_it_unknown)
{
  static const char both[] = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
                             "*2\r\n$1\r\nq\r\n$1\r\nx\r\n";
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  int64_t begun = pmx_now_ms();
  struct pop c;

  pop_start(&c, &s, client, NULL);
  pop_fire(&c, &s);
  fake_send(s.blocked, both, sizeof both - 1);
  fake_reply_int(s.control, 1);
  check_fails(pop_ended(&c), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  ck_assert_int_lt(pmx_now_ms() - begun, 10000);
  get_value(client, "k");
  scene_end(&s, client);
}
END_TEST

START_TEST(a_failover_that_comes_first_costs_the_connection)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  struct pop c;

  pop_start(&c, &s, client, NULL); /* nobody cancels it */
  fake_reply_error(s.blocked, "UNBLOCKED force unblock from blocking operation, instance state "
                              "changed (master -> replica?)");
  fake_close(s.blocked);
  check_fails(pop_ended(&c), PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  check_stat(client, closed_dirty, 1);
  pop_start(&c, &s, client, NULL);
  pop_fire(&c, &s);
  fake_stall(s.blocked); /* it reads nothing more */
  fake_reply_error(s.blocked, "UNBLOCKED force unblock from blocking operation, instance state "
                              "changed (master -> replica?)");
  fake_close(s.blocked);
  check_fails(pop_ended(&c), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  fake_reply_int(s.control, 0);
  get_value_alone(client, "k");
  scene_end(&s, client);
}
END_TEST

START_TEST(another_server_process_is_never_sent_an_unblock)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  struct pop c;

  s.strangers = 1;
  for (int i = 0; i < 3; i++) {
    int64_t begun = pmx_now_ms();

    pop_start(&c, &s, client, NULL);
    if (i > 0) { /* now both lead to the other one: allowed again */
      pop_fire(&c, &s);
      scene_says_unblocked(&s);
      fake_reply_int(s.control, 1);
      check_fails(pop_ended(&c), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
      continue;
    }
    pmx_cancel_fire(c.token);
    check_fails(pop_ended(&c), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
    ck_assert_int_lt(pmx_now_ms() - begun, 10000); /* not the whole grace */
    ck_assert_ptr_null(s.control);
    ck_assert_uint_eq(stats_of(client).closed_error, 1);
  }
  scene_end(&s, client);
}
END_TEST

START_TEST(without_a_control_connection_the_blocked_one_is_closed_at_once)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  int64_t begun = pmx_now_ms();
  struct pop c;

  pop_start(&c, &s, client, NULL);
  fake_listen(s.fake, false);
  pmx_cancel_fire(c.token);
  check_fails(pop_ended(&c), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  ck_assert_int_lt(pmx_now_ms() - begun, 10000);
  ck_assert_ptr_null(s.control);
  fake_listen(s.fake, true);
  get_value_alone(client, "k");
  scene_end(&s, client);
}
END_TEST

START_TEST(a_control_connection_that_cannot_be_made_in_time_is_not_waited_for)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "60ms");
  int64_t begun = pmx_now_ms();
  struct pop c;

  pop_start(&c, &s, client, NULL);
  fake_accept_mode(s.fake, FAKE_ACCEPT_SILENT);
  pmx_cancel_fire(c.token);
  check_fails(pop_ended(&c), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  check_on_time("the grace", begun + 60);
  fake_accept_mode(s.fake, FAKE_ACCEPT);
  get_value(client, "k");
  scene_end(&s, client);
}
END_TEST

START_TEST(a_server_that_dies_meanwhile_leaves_it_unknown)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(strategies[_i], server_url(server, SERVER_UNIX), "cancel_grace", "5s", NULL);

  for (int i = 0; i < 10; i++) {
    struct waiting w = {.client = client, .command = "BLPOP q 0", .call = call_in(30000)};
    pmx_reply *reply;

    w.call.cancel = pmx_cancel_new();
    waiting_start(&w);
    ck_assert(server_has(server, "blocked_clients", 1, SOON_MS));
    pmx_cancel_fire(w.call.cancel);
    server_kill(server);
    reply = waiting_end(&w);
    if (pmx_reply_cause(reply) != PMX_CAUSE_LOST) /* the end was seen before the token */
      ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_CANCELED);
    ck_assert(pmx_reply_status(reply) == PMX_UNKNOWN || pmx_reply_status(reply) == PMX_NOT_RUN);
    pmx_reply_free(reply);
    pmx_cancel_free(w.call.cancel);
    ck_assert(server_restart(server));
  }
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("unblock_faults");

  server_require("unblock_faults");
  add_for_strategies_with(LEASES, tc, no_other_call_is_hit_by_an_unblock_that_came_too_late);
  add_for_strategies_with(LEASES, tc, nor_is_the_next_call_on_the_same_lease);
  add_for_strategies_with(LEASES, tc, a_lost_answer_costs_the_connection);
  add_for_strategies_with(LEASES, tc, an_unblock_that_hit_nobody_known_costs_the_connection);
  add_for_strategies_with(LEASES, tc, an_unblock_that_is_not_answered_is_given_up_after_the_grace);
  add_for_strategies_with(LEASES, tc, an_answer_that_nothing_waited_is_no_end);
  add_for_strategies_with(LEASES, tc, an_element_right_behind_the_refusal_leaves_it_unknown);
  add_for_strategies_with(LEASES, tc, a_failover_that_comes_first_costs_the_connection);
  add_for_strategies_with(LEASES, tc, another_server_process_is_never_sent_an_unblock);
  add_for_strategies_with(LEASES, tc,
                          without_a_control_connection_the_blocked_one_is_closed_at_once);
  add_for_strategies_with(LEASES, tc,
                          a_control_connection_that_cannot_be_made_in_time_is_not_waited_for);
  add_for_strategies_with(LEASES, tc, a_server_that_dies_meanwhile_leaves_it_unknown);
  return checks_run("unblock_faults", tc);
}
