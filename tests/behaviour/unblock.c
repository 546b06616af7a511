/* SPDX-License-Identifier: BSD-3-Clause */
/* unblock.c - a command that waits for a key and is given up, on a real server: it has taken
 * nothing, or what it took is its reply, and its connection goes on (promise P8). */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/calling.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/util.h"

/* ---- one blocked call ---- */

struct blocked {
  struct waiting w;
  pmx_cancel *token;
};

static void block(struct blocked *b, struct server *server, pmx_client *client, const char *command)
{
  memset(b, 0, sizeof *b);
  b->token = pmx_cancel_new();
  b->w.client = client;
  b->w.command = command;
  b->w.call = call_in(20000);
  b->w.call.cancel = b->token;
  waiting_start(&b->w);
  ck_assert(server_has(server, "blocked_clients", 1, SOON_MS));
}

static pmx_reply *unblock(struct blocked *b)
{
  pmx_reply *reply;

  pmx_cancel_fire(b->token);
  reply = waiting_end(&b->w);
  pmx_cancel_free(b->token);
  return reply;
}

/* ---- clean ends ---- */

START_TEST(a_cancelled_pop_has_taken_nothing_and_keeps_its_connection)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "1", "cancel_grace", "10s", NULL);
  int64_t id = client_id_alone(client);
  struct blocked b;
  pmx_stats stats;

  for (int i = 0; i < 5; i++) {
    pmx_reply *reply;

    block(&b, server, client, "BLPOP q 0");
    reply = unblock(&b);
    ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
    check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_CANCELED);
    ck_assert_int_eq(client_id_alone(client), id);
  }
  stats = stats_of(client);
  ck_assert_uint_eq(stats.opened, 1 + lane_beside(client));
  ck_assert_uint_eq(stats.closed, 0);
  ck_assert_uint_eq(stats.unblocks, 5);
  ck_assert_uint_eq(stats.late_wins, 0);
  ck_assert_uint_eq(stats.retries, 0);
  ck_assert_uint_eq(stats.control_opened, 1);
  ck_assert_uint_eq(stats.control_live, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(an_overdue_pop_has_taken_nothing_and_keeps_its_connection)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "1", "cancel_grace", "10s", NULL);
  int64_t id = client_id_alone(client), begin = pmx_now_ms();
  pmx_call brief = call_in(40);

  check_fails(pmx_command_call(client, &brief, "BLPOP q 0"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_int_ge(pmx_now_ms() - begin, 39);
  check_on_time("BLPOP", begin + 40);
  ck_assert_int_eq(client_id_alone(client), id);
  ck_assert_uint_eq(stats_of(client).unblocks, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static const char *const forms[] = {
    "BLPOP q r 0",
    "brpop q 0",
    "BLMOVE q p LEFT RIGHT 0",
    "BRPOPLPUSH q p 0",
    "BLMPOP 0 1 q LEFT COUNT 2",
    "BZPOPMIN z 0",
    "BZPOPMAX z 0",
    "BZMPOP 0 1 z MIN",
    "XREAD COUNT 1 BLOCK 0 STREAMS s $",
    "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
};

START_TEST(each_command_that_waits_for_a_key_can_be_ended)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_UNIX), "pool.max_size",
                                   "1", "cancel_grace", "10s", NULL);
  struct blocked b;

  server_ask(server, "XGROUP CREATE s g $ MKSTREAM");
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    block(&b, server, client, forms[i]);
    check_fails(unblock(&b), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  }
  ck_assert_uint_eq(stats_of(client).opened, 1 + lane_beside(client));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* Who it is, a connection asks once, and only when it is going to wait. */
START_TEST(only_the_first_blocking_command_of_a_connection_costs_more)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_UNIX), "pool.max_size",
                                   "1", "client_info", "no", NULL);
  pmx_call alone = call_alone(client, PMX_DEFAULT);
  int64_t before;

  check_is_ok(pmx_command_call(client, &alone, "PING"));
  before = server_commands(server);
  check_is_ok(pmx_command(client, "LPUSH q a b c d"));
  ck_assert_int_eq(server_commands(server), before + 1);
  check_is_ok(pmx_command(client, "BLPOP q 1"));
  ck_assert_int_le(server_commands(server), before + 2 + 2); /* CLIENT ID and INFO */
  before = server_commands(server);
  for (int i = 0; i < 3; i++)
    check_is_ok(pmx_command(client, "BLPOP q 1"));
  ck_assert_int_eq(server_commands(server), before + 3);
  ck_assert_uint_eq(stats_of(client).control_opened, 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_lease_goes_on_with_its_state)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(strategies[_i], server_url(server, SERVER_UNIX), "cancel_grace", "10s", NULL);
  pmx_lease *lease = take(client);
  int64_t id = lease_id(lease);
  pmx_reply *reply;

  lease_ok(lease, "WATCH k");
  lease_ok(lease, "BLPOP q 0.01"); /* from here on the connection knows who it is */
  for (int i = 0; i < 20; i++) {
    pmx_call brief = call_in(1 + i % 3);

    check_fails(pmx_lease_command(lease, &brief, "BLPOP q 0"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  }
  ck_assert_int_eq(lease_id(lease), id);
  server_ask(server, "SET k changed");
  lease_ok(lease, "MULTI");
  lease_ok(lease, "BLPOP q 0"); /* queued: it will not wait */
  reply = lease_words(lease, "EXEC");
  ck_assert_int_eq(pmx_reply_type(reply), PMX_TYPE_NIL); /* the WATCH was in force all the time */
  pmx_reply_free(reply);
  give_back(lease);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(off_means_that_the_connection_is_closed)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_UNIX), "cancel_grace",
                                   "off", "pool.max_size", "1", NULL);
  struct blocked b;

  block(&b, server, client, "BLPOP q 0");
  check_fails(unblock(&b), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  ck_assert_uint_eq(stats_of(client).unblocks, 0);
  ck_assert_uint_eq(stats_of(client).closed, 1);
  ck_assert_int_eq(pmx_client_set(client, "cancel_grace", "10s"), PMX_OK);
  block(&b, server, client, "BLPOP q 0");
  check_fails(unblock(&b), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- without permission ---- */

static void without(const char *strategy, const char *denied, uint64_t attempts)
{
  struct server *server = server_start(NULL);
  pmx_client *client;
  struct blocked b;

  free(server_command(server, "ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all", denied,
                      (char *)NULL));
  client = open_client(strategy, server_url(server, SERVER_UNIX), "user", "worker", "password",
                       "pw", "cancel_grace", "10s", NULL);
  for (int i = 0; i < 3; i++) {
    int64_t begin = pmx_now_ms();

    block(&b, server, client, "BLPOP q 0");
    check_fails(unblock(&b), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
    ck_assert_int_lt(pmx_now_ms() - begin, 5000); /* not the whole grace */
    ck_assert(server_has(server, "blocked_clients", 0, SOON_MS));
    ck_assert_uint_eq(stats_of(client).closed, (uint64_t)i + 1);
    ck_assert_uint_eq(stats_of(client).unblocks, attempts); /* it is remembered */
  }
  close_client(client);
  ck_assert(server_stop(server));
}

START_TEST(without_permission_the_connection_is_closed_and_that_is_remembered)
{
  without(strategies[_i], "-client|unblock", 1);
  without(strategies[_i], "-info", 0);
  if (!reads_resp3()) /* else HELLO has told it */
    without(strategies[_i], "-client|id", 0);
}
END_TEST

/* ---- CLIENT PAUSE ---- */

static void check_left(struct server *server, pmx_reply *reply)
{
  int64_t left = server_integer(server, "LLEN", "q", NULL);

  ck_assert_int_eq(left + (pmx_reply_type(reply) == PMX_TYPE_ARRAY), 1);
  if (pmx_reply_status(reply) == PMX_NOT_RUN)
    ck_assert_int_eq(left, 1);
  pmx_reply_free(reply);
}

/* Some servers answer -UNBLOCKED for a paused command, and run it after the pause all the same. */
START_TEST(a_paused_pop_that_is_cancelled_takes_nothing_later)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(strategies[_i], server_url(server, SERVER_UNIX), "cancel_grace", "200ms", NULL);
  struct blocked b;
  pmx_reply *reply;

  server_ask(server, "RPUSH q x");
  server_ask(server, "CLIENT PAUSE 20000 WRITE");
  block(&b, server, client, "BLPOP q 0");
  reply = unblock(&b);
  ck_assert(!pmx_ok(reply));
  ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_CANCELED);
  ck_assert(server_has(server, "blocked_clients", 0, SOON_MS));
  server_ask(server, "CLIENT UNPAUSE");
  check_left(server, reply);
  check_is_ok(pmx_command(client, "PING"));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_paused_pop_that_runs_after_all_has_its_element)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(strategies[_i], server_url(server, SERVER_UNIX), "cancel_grace", "10s", NULL);
  struct blocked b;

  server_ask(server, "RPUSH q x");
  server_ask(server, "CLIENT PAUSE 20000 WRITE");
  block(&b, server, client, "BLPOP q 0");
  pmx_cancel_fire(b.token);
  sleep_ms(50); /* usually the answer to CLIENT UNBLOCK has come by then; no claim rests on it */
  server_ask(server, "CLIENT UNPAUSE");
  check_left(server, unblock(&b));
  for (int i = 0; i < 5; i++) /* nothing is out of step */
    check_is_ok(pmx_command(client, "SET k %d", i));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- where else calls wait ---- */

START_TEST(with_nobody_dispatching_a_blocked_call_is_ended_all_the_same)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_UNIX), "io", "loop",
                                   "pool.max_size", "1", "cancel_grace", "10s", NULL);
  pmx_call brief = call_in(30);
  struct blocked b;
  int64_t id = client_id_alone(client);

  block(&b, server, client, "BLPOP q 0");
  check_fails(unblock(&b), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  check_fails(pmx_command_call(client, &brief, "BLPOP q 0"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_int_eq(client_id_alone(client), id);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static void pop_inside(struct told *told, const pmx_reply *reply)
{
  pmx_call brief = call_in(30);
  pmx_reply *inside = pmx_command_call(told->client, &brief, "BLPOP q 0");

  (void)reply;
  *(pmx_status *)told->arg = pmx_reply_status(inside);
  pmx_reply_free(inside);
}

START_TEST(inside_a_callback_a_blocked_call_is_ended)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), "cancel_grace", "10s", NULL);
  pmx_status status = PMX_OK;
  struct told told = {.client = client, .inside = pop_inside, .arg = &status};

  ask(client, &told, NULL, "PING");
  pmx_reply_free(outcome(&told));
  /* Where blocking commands are refused, they are here, too. */
  ck_assert_int_eq(status, strategy_has(manner->strategy, LEASES) ? PMX_NOT_RUN : PMX_INVALID);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_call_with_a_callback_is_ended_by_its_token_and_by_its_deadline)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), "cancel_grace", "10s",
                                   "pool.max_size", "1", NULL);
  struct told told = {.client = client};
  pmx_call call = call_in(20000), brief = call_in(30);

  if (strategy_has(manner->strategy, LEASES)) {
    call.cancel = pmx_cancel_new();
    ask(client, &told, &call, "BLPOP q 0");
    pass(client, 30);
    pmx_cancel_fire(call.cancel);
    check_fails(outcome(&told), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
    ask(client, &told, &brief, "BLPOP q 0");
    check_fails(outcome(&told), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
    ck_assert_uint_eq(stats_of(client).opened, 1 + lane_beside(client));
    pmx_cancel_free(call.cancel);
  }
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("unblock");

  ways_brief();
  server_require("unblock");
  add_for_ways_with(LEASES, tc, a_cancelled_pop_has_taken_nothing_and_keeps_its_connection);
  add_for_ways_with(LEASES, tc, an_overdue_pop_has_taken_nothing_and_keeps_its_connection);
  add_for_strategies_with(LEASES, tc, each_command_that_waits_for_a_key_can_be_ended);
  add_for_strategies_with(LEASES, tc, only_the_first_blocking_command_of_a_connection_costs_more);
  add_for_strategies_with(LEASES, tc, a_lease_goes_on_with_its_state);
  add_for_strategies_with(LEASES, tc, off_means_that_the_connection_is_closed);
  add_for_strategies_with(LEASES, tc,
                          without_permission_the_connection_is_closed_and_that_is_remembered);
  add_for_strategies_with(LEASES, tc, a_paused_pop_that_is_cancelled_takes_nothing_later);
  add_for_strategies_with(LEASES, tc, a_paused_pop_that_runs_after_all_has_its_element);
  add_for_strategies_with(LEASES, tc, with_nobody_dispatching_a_blocked_call_is_ended_all_the_same);
  add_for_manners(tc, inside_a_callback_a_blocked_call_is_ended);
  add_for_manners(tc, a_call_with_a_callback_is_ended_by_its_token_and_by_its_deadline);
  return checks_run("unblock", tc);
}
