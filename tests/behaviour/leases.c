/* SPDX-License-Identifier: BSD-3-Clause */
/* leases.c - leases used wrongly, for too long, or after their connection or client: each mistake
 * has an error code and a counter, and none of them gives a connection to two owners. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

/* ---- returned before ---- */

START_TEST(a_lease_returned_twice_is_an_error_and_counted)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_lease *lease = take(client);

  give_back(lease);
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(pmx_release(lease), PMX_INVALID);
  ck_assert_int_eq(pmx_release(NULL), PMX_INVALID);
  ck_assert_uint_eq(stats_of(client).bad_returns, 5);
  ck_assert_uint_eq(stats_of(client).returns, stats_of(client).borrows);
  check_is_ok(pmx_command(client, "PING"));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* The first owner's second return must not take the connection from the second owner. */
START_TEST(a_second_return_does_not_end_the_lease_of_the_next_owner)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "1", "pool.wait_timeout", "50ms", NULL);
  pmx_call call = call_alone(client, PMX_DEFAULT);
  pmx_lease *first = take(client), *second;

  give_back(first);
  second = take(client);
  ck_assert_int_eq(pmx_release(first), PMX_INVALID);
  check_fails(pmx_lease_command(first, NULL, "PING"), PMX_INVALID, PMX_CAUSE_NONE);
  lease_ok(second, "PING");
  check_fails(pmx_command_call(client, &call, "PING"), PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  give_back(second);
  check_is_ok(pmx_command_call(client, &call, "PING"));
  ck_assert_uint_eq(stats_of(client).bad_returns, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_lease_cannot_be_used_after_its_return)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  const char *ping[] = {"PING"};
  pmx_lease *lease = take(client);
  int64_t before;

  give_back(lease);
  before = server_commands(server);
  check_fails(pmx_lease_command(lease, NULL, "SET k %d", 1), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_lease_argv(lease, NULL, 1, ping, NULL), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_lease_command(NULL, NULL, "PING"), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_lease_argv(NULL, NULL, 1, ping, NULL), PMX_INVALID, PMX_CAUSE_NONE);
  ck_assert_int_eq(server_commands(server), before);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_thousand_later_leases_do_not_revive_an_old_one)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_UNIX), NULL);
  pmx_lease *old = take(client);

  give_back(old);
  for (int i = 0; i < 1000; i++)
    give_back(take(client));
  ck_assert_int_eq(pmx_release(old), PMX_INVALID);
  check_fails(pmx_lease_command(old, NULL, "PING"), PMX_INVALID, PMX_CAUSE_NONE);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- a call is still inside ---- */

START_TEST(a_lease_with_a_running_call_is_not_given_back)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_lease *lease = take(client);
  struct waiting w = {.lease = lease, .command = "BLPOP q 0"};

  waiting_start(&w);
  ck_assert(server_has(server, "blocked_clients", 1, SOON_MS));
  ck_assert_int_eq(pmx_release(lease), PMX_INVALID);
  ck_assert_uint_eq(stats_of(client).bad_returns, 1);
  check_int(pmx_command(client, "LPUSH q x"), 1);
  check_is_ok(waiting_end(&w));
  lease_ok(lease, "PING");
  give_back(lease);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- the connection is gone ---- */

START_TEST(a_lease_whose_connection_died_says_so_and_is_returned_without_harm)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "1", NULL);
  pmx_lease *lease = take(client);
  pmx_reply *reply;

  lease_ok(lease, "MULTI");
  ck_assert_int_eq(server_kill_clients(server), 1 + (int)lane_beside(client));
  reply = pmx_lease_command(lease, NULL, "SET k 1");
  ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_LOST);
  ck_assert_int_eq(pmx_reply_finish(reply), PMX_NOT_RUN);
  /* It is not another connection without the MULTI. */
  check_fails(pmx_lease_command(lease, NULL, "SET k 1"), PMX_NOT_RUN, PMX_CAUSE_LOST);
  give_back(lease);
  ck_assert_int_eq(pmx_release(lease), PMX_INVALID);
  check_int(pmx_command(client, "EXISTS k"), 0);
  ck_assert_uint_eq(stats_of(client).discards, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_dead_lease_frees_its_place_before_it_is_returned)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "1", NULL);
  pmx_lease *lease = take(client), *other;

  server_kill_clients(server);
  check_fails(pmx_lease_command(lease, NULL, "PING"), PMX_NOT_RUN, PMX_CAUSE_LOST);
  other = take(client);
  lease_ok(other, "PING");
  give_back(lease);
  lease_ok(other, "PING");
  give_back(other);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- out for too long ---- */

static void set_live(pmx_client *client, const char *option, const char *value)
{
  ck_assert_int_eq(pmx_client_set(client, option, value), PMX_OK);
}

/* The limits come later, when nothing but what is tested can exceed them: on a slow machine even
 * pmx_open holds its connection for long. */
static pmx_client *open_watched(int way, struct server *server, struct seen *seen)
{
  pmx_options *options = options_for(ways[way].strategy);

  seen_init(seen);
  pmx_options_set_events(options, seen_event, seen);
  pmx_options_set(options, "pool.max_size", "1");
  return open_client_with(url_for(&ways[way], server), options);
}

static void check_no_leak(struct seen *seen)
{
  ck_assert_msg(seen_count(seen, PMX_EVENT_LEAK) == 0, "%s", seen->detail[PMX_EVENT_LEAK]);
}

START_TEST(a_lease_out_for_too_long_is_reported_once_with_its_age_and_command)
{
  struct server *server = server_start(NULL);
  struct seen seen;
  pmx_client *client = open_watched(_i, server, &seen);
  pmx_lease *lease = take(client);
  const char *detail = seen.detail[PMX_EVENT_LEAK];

  lease_ok(lease, "SET k 1");
  set_live(client, "pool.leak_warn", "60ms");
  ck_assert(seen_reaches(&seen, PMX_EVENT_LEAK, 1, SOON_MS));
  ck_assert_msg(strstr(detail, "SET") && strstr(detail, "ms"), "%s", detail);
  sleep_ms(200);
  ck_assert_uint_eq(seen_count(&seen, PMX_EVENT_LEAK), 1);
  ck_assert_uint_eq(stats_of(client).leaks, 1);
  lease_ok(lease, "GET k"); /* it is only a warning */
  give_back(lease);
  lease = take(client);
  ck_assert(seen_reaches(&seen, PMX_EVENT_LEAK, 2, SOON_MS)); /* once a lease */
  give_back(lease);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_plain_call_and_a_short_lease_are_no_leak)
{
  struct server *server = server_start(NULL);
  struct seen seen;
  pmx_client *client = open_watched(_i, server, &seen);

  set_live(client, "pool.leak_warn", "60ms");
  check_is_ok(pmx_command(client, "BLPOP q 0.2"));
  set_live(client, "pool.leak_warn", "400ms");
  for (int i = 0; i < 60; i++) { /* together they take longer */
    pmx_lease *lease = take(client);
    sleep_ms(10);
    give_back(lease);
  }
  check_no_leak(&seen);
  ck_assert_uint_eq(stats_of(client).leaks, 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_lease_inside_a_blocking_command_is_neither_reported_nor_taken_back)
{
  struct server *server = server_start(NULL);
  struct seen seen;
  pmx_client *client = open_watched(_i, server, &seen);
  pmx_lease *lease = take(client);
  struct waiting w = {.lease = lease, .command = "BLPOP q 0"};

  waiting_start(&w);
  ck_assert(server_has(server, "blocked_clients", 1, SOON_MS));
  set_live(client, "pool.leak_warn", "60ms");
  set_live(client, "pool.leak_reclaim", "120ms");
  sleep_ms(400);
  check_no_leak(&seen);
  ck_assert_uint_eq(stats_of(client).reclaimed, 0);
  server_ask(server, "LPUSH q x");
  check_is_ok(waiting_end(&w));
  pmx_release(lease); /* it may have been taken back by now */
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_lease_that_blocks_again_and_again_is_no_leak)
{
  struct server *server = server_start(NULL);
  struct seen seen;
  pmx_client *client = open_watched(_i, server, &seen);
  pmx_lease *lease = take(client);

  set_live(client, "pool.leak_warn", "400ms");
  for (int i = 0; i < 16; i++) /* each time anew, 0.8 s in all */
    check_is_ok(pmx_lease_command(lease, NULL, "BLPOP q 0.05"));
  set_live(client, "pool.leak_warn", "400ms"); /* has all leases looked at, this one between two */
  sleep_ms(50);
  check_no_leak(&seen);
  give_back(lease);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_reclaimed_lease_serves_others_and_its_late_return_is_an_error)
{
  struct server *server = server_start(NULL);
  struct seen seen;
  pmx_client *client = open_watched(_i, server, &seen);
  pmx_lease *lease = take(client), *other;
  int64_t id = lease_id(lease);

  lease_ok(lease, "WATCH k");
  set_live(client, "pool.leak_reclaim", "250ms");
  other = take(client); /* waits until it is taken back */
  set_live(client, "pool.leak_reclaim", "off");
  ck_assert_int_ne(lease_id(other), id);
  check_fails(pmx_lease_command(lease, NULL, "PING"), PMX_NOT_RUN, PMX_CAUSE_LOST);
  ck_assert_int_eq(pmx_release(lease), PMX_INVALID);
  ck_assert_int_eq(pmx_release(lease), PMX_INVALID);
  lease_ok(other, "PING");
  give_back(other);
  ck_assert_uint_eq(stats_of(client).reclaimed, 1);
  ck_assert_uint_eq(stats_of(client).bad_returns, 2);
  check_clients(server, 1 + (int64_t)lane_beside(client));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- the client is gone ---- */

START_TEST(a_lease_keeps_a_client_that_everybody_else_gave_up)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_lease *lease = take(client);

  pmx_unref(client);
  lease_ok(lease, "PING");
  give_back(lease); /* the last reference */
  check_clients(server, 0);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_lease_survives_close_until_its_return)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_lease *lease = take(client);

  ck_assert_int_eq(pmx_close(client, 0), 0);
  check_fails(pmx_lease_command(lease, NULL, "PING"), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  check_fails(pmx_command(client, "PING"), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  give_back(lease);
  ck_assert_int_eq(pmx_release(lease), PMX_INVALID);
  check_books(client, 0);
  pmx_unref(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- one owner ---- */

enum { OWNERS = 8, PLACES = 3 };

struct owners {
  pmx_client *client;
  _Atomic int wrong, rounds;
};

/* Each connection carries its owner's name while it is out. Half of the returns are made twice. */
static void own(int i, void *arg)
{
  struct owners *o = arg;
  char name[32];

  for (int round = 0; round < atomic_load(&o->rounds); round++) {
    pmx_lease *lease = pmx_acquire(o->client, NULL, NULL);
    pmx_reply *reply;
    const char *got;

    snprintf(name, sizeof name, "owner-%d-%d", i, round);
    pmx_reply_free(pmx_lease_command(lease, NULL, "CLIENT SETNAME %s", name));
    reply = pmx_lease_command(lease, NULL, "CLIENT GETNAME");
    got = pmx_reply_str(reply, NULL);
    if (!lease || !got || strcmp(got, name) != 0)
      atomic_fetch_add(&o->wrong, 1);
    pmx_reply_free(reply);
    if (pmx_release(lease) != PMX_OK)
      atomic_fetch_add(&o->wrong, 1);
    if (round % 2 && pmx_release(lease) != PMX_INVALID)
      atomic_fetch_add(&o->wrong, 1);
  }
}

START_TEST(a_connection_is_never_owned_twice)
{
  struct server *server = server_start(NULL);
  struct owners o = {.rounds = soak() ? 5000 : 60};

  o.client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "3",
                         "pool.wait_timeout", "20s", "command_timeout", "20s", NULL);
  run_threads(OWNERS, own, &o);
  ck_assert_int_eq(atomic_load(&o.wrong), 0);
  check_books(o.client, PLACES);
  close_client(o.client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("leases");

  ways_brief();
  server_require("leases");
  add_for_ways_with(LEASES, tc, a_lease_returned_twice_is_an_error_and_counted);
  add_for_ways_with(LEASES, tc, a_second_return_does_not_end_the_lease_of_the_next_owner);
  add_for_ways_with(LEASES, tc, a_lease_cannot_be_used_after_its_return);
  add_for_strategies_with(LEASES, tc, a_thousand_later_leases_do_not_revive_an_old_one);
  add_for_ways_with(LEASES, tc, a_lease_with_a_running_call_is_not_given_back);
  add_for_ways_with(LEASES, tc, a_lease_whose_connection_died_says_so_and_is_returned_without_harm);
  add_for_ways_with(LEASES, tc, a_dead_lease_frees_its_place_before_it_is_returned);
  add_for_ways_with(LEASES, tc, a_lease_out_for_too_long_is_reported_once_with_its_age_and_command);
  add_for_ways_with(LEASES, tc, a_plain_call_and_a_short_lease_are_no_leak);
  add_for_ways_with(LEASES, tc, a_lease_that_blocks_again_and_again_is_no_leak);
  add_for_ways_with(LEASES, tc,
                    a_lease_inside_a_blocking_command_is_neither_reported_nor_taken_back);
  add_for_ways_with(LEASES, tc, a_reclaimed_lease_serves_others_and_its_late_return_is_an_error);
  add_for_ways_with(LEASES, tc, a_lease_keeps_a_client_that_everybody_else_gave_up);
  add_for_ways_with(LEASES, tc, a_lease_survives_close_until_its_return);
  add_for_ways_with(LEASES, tc, a_connection_is_never_owned_twice);
  return checks_run("leases", tc);
}
