/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_silence.c - a server that says nothing: for a while, and the connection lives; for longer
 * than mux.stall_timeout, and it is replaced; slow is not silent. And the PING by which an idle
 * connection that is dead is found. */
#include "behaviour/muxing.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/proxy.h"

enum { CALLERS = 8, SLOW_BYTES = 200 * 1000 };

static struct proxy *proxy_for(const struct way *way, struct fake *fake)
{
  return proxy_start(fake_url(fake), &(struct proxy_options){.over = way->over});
}

static void check_on_time_each(struct caller *callers, int n, int64_t begun, int64_t ms)
{
  for (int i = 0; i < n; i++)
    ck_assert_int_lt(callers[i].waiting.ended_ms - begun, ms + HANG_MS);
}

/* ---- black holes ---- */

START_TEST(black_hole_ends_calls_at_their_deadline_and_the_connection_at_the_stall_timeout)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  struct proxy *proxy = proxy_for(&ways[_i], fake);
  pmx_client *client =
      open_client(ways[_i].strategy, proxy_url(proxy), "mux.stall_timeout", "300ms",
                  "connect_timeout", "100ms", "reconnect.max_delay", "20ms", NULL);
  struct caller callers[CALLERS];
  pmx_call call = call_in(60);
  int64_t begun;

  get_value(client, "before");
  proxy_silence(proxy, true);
  begun = pmx_now_ms();
  for (int i = 0; i < CALLERS; i++)
    caller_start(&callers[i], client, "GET k", &call);
  callers_check_fail(callers, CALLERS, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_on_time_each(callers, CALLERS, begun, 60);
  check_stat(client, stalls, 1);
  ck_assert_int_ge(pmx_now_ms() - begun, 299);
  check_on_time("stall", begun + 300);
  proxy_silence(proxy, false);
  get_value(client, "after");
  ck_assert_uint_eq(stats_of(client).retries, 0);
  close_client(client);
  proxy_stop(proxy);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(calls_with_time_left_survive_a_stall_if_they_only_read)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_options *options = options_for(ways[_i].strategy);
  struct seen seen;
  struct caller reads[CALLERS], write;
  pmx_client *client;

  seen_init(&seen);
  pmx_options_set(options, "mux.stall_timeout", "100ms");
  pmx_options_set_events(options, seen_event, &seen);
  client = open_client_with(fake_url(fake), options);
  fake_stall(fake_conn_at(fake, 0)); /* for good */
  callers_start(reads, CALLERS, client, NULL);
  caller_start(&write, client, "INCR n", NULL);
  callers_check_fail(&write, 1, PMX_UNKNOWN, PMX_CAUSE_LOST);
  callers_check_values(reads, CALLERS);
  ck_assert_uint_eq(stats_of(client).stalls, 1);
  ck_assert(seen_reaches(&seen, PMX_EVENT_LOST, 1, SOON_MS));
  ck_assert_ptr_nonnull(strstr(seen.detail[PMX_EVENT_LOST], "mux.stall_timeout"));
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- slow is not silent ---- */

static int answer_long(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  char *bytes;

  if (argc != 2 || strcmp(argv[1], "long") != 0)
    return answer_values(ud, conn, argc, argv, len);
  bytes = harness_alloc(SLOW_BYTES);
  fake_reply_bulk(conn, bytes, SLOW_BYTES);
  free(bytes);
  return 0;
}

START_TEST(long_answer_that_trickles_in_is_no_stall)
{
  struct fake *fake = fake_for(&ways[_i], answer_long, NULL);
  struct proxy *proxy = proxy_for(&ways[_i], fake);
  pmx_client *client =
      open_client(ways[_i].strategy, proxy_url(proxy), "mux.stall_timeout", "250ms", NULL);
  int64_t begun = now_ms();
  pmx_reply *reply;
  size_t len = 0;

  proxy_rate(proxy, PROXY_TO_CLIENT, SLOW_BYTES); /* a second for all of it */
  reply = get_in(client, "long", SOON_MS);
  ck_assert_msg(pmx_reply_str(reply, &len) != NULL, "%s", pmx_reply_error(reply));
  ck_assert_uint_eq(len, SLOW_BYTES);
  pmx_reply_free(reply);
  ck_assert_int_gt(now_ms() - begun, 500);
  ck_assert_uint_eq(stats_of(client).stalls, 0);
  close_client(client);
  proxy_stop(proxy);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(idle_connection_is_never_stalled)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "mux.stall_timeout", "20ms",
                                   "mux.keepalive", "off", NULL);

  for (int i = 0; i < 4; i++) {
    get_value(client, "k");
    sleep_ms(60);
  }
  ck_assert_uint_eq(stats_of(client).stalls + stats_of(client).pings, 0);
  ck_assert_uint_eq(fake_accepted(fake), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- a server that sleeps ---- */

static void check_survives(pmx_client *client, struct server *server, int64_t connections)
{
  ck_assert_uint_eq(stats_of(client).opened, 1);
  ck_assert_uint_eq(stats_of(client).closed + stats_of(client).dial_failures, 0);
  ck_assert_int_eq(server_connections(server), connections);
}

static void time_out_all(pmx_client *client)
{
  struct caller callers[CALLERS];
  pmx_call call = call_in(40);

  for (int i = 0; i < CALLERS; i++)
    caller_start(&callers[i], client, i % 2 ? "INCR n" : "GET k", &call);
  callers_check_fail(callers, CALLERS, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
}

START_TEST(server_that_sleeps_costs_calls_their_time_and_no_connection)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  int64_t connections = server_connections(server);
  char value[VALUE_SIZE];

  check_is_ok(pmx_command(client, "SET k %s", value_of("k", value)));
  for (int round = 0; round < (soak() ? 50 : 3); round++) {
    server_pause(server);
    time_out_all(client);
    server_resume(server);
    get_value(client, "k");
    ck_assert_uint_eq(stats_of(client).late_replies, (uint64_t)(round + 1) * CALLERS);
  }
  check_survives(client, server, connections);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(client_pause_costs_calls_their_time_and_no_connection)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  int64_t connections = server_connections(server);
  char value[VALUE_SIZE];

  check_is_ok(pmx_command(client, "SET k %s", value_of("k", value)));
  server_ask(server, "CLIENT PAUSE 300 ALL");
  time_out_all(client);
  get_value(client, "k");
  ck_assert_uint_eq(stats_of(client).late_replies, CALLERS);
  check_int(pmx_command(client, "GET n"), CALLERS / 2); /* they ran, later */
  check_survives(client, server, connections);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- keepalive ---- */

/* Calls again and again; the longest time that nothing happened. */
static int64_t keep_busy(pmx_client *client, int64_t ms)
{
  int64_t begun = now_ms(), before = begun, longest = 0;

  while (before < begun + ms) {
    int64_t now;

    get_value(client, "k");
    sleep_ms(2);
    now = now_ms();
    longest = now - before > longest ? now - before : longest;
    before = now;
  }
  return longest;
}

START_TEST(keepalive_pings_an_idle_connection_and_no_other)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "mux.keepalive", "150ms", NULL);
  size_t pings;

  ck_assert(fake_wait_seen(fake, "PING", 1 + 2, SOON_MS)); /* one belongs to the login */
  pings = fake_seen(fake, "PING");
  if (keep_busy(client, 500) < 100)                        /* as the machine lets us */
    ck_assert_uint_le(fake_seen(fake, "PING"), pings + 1); /* one may have been on its way */
  pings = fake_seen(fake, "PING");
  ck_assert(fake_wait_seen(fake, "PING", pings + 2, SOON_MS));
  ck_assert_uint_ge(stats_of(client).pings, 3);
  ck_assert_uint_eq(fake_accepted(fake), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(keepalive_off_sends_nothing)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "mux.keepalive", "off", NULL);
  size_t commands;

  get_value(client, "k");
  commands = fake_counts(fake).commands;
  sleep_ms(300);
  ck_assert_uint_eq(fake_counts(fake).commands, commands);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(keepalive_finds_a_dead_connection_before_anybody_calls)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "mux.keepalive", "50ms",
                                   "mux.stall_timeout", "100ms", "retry.max", "0", NULL);

  fake_stall(fake_conn_at(fake, 0));
  check_stat(client, stalls, 1);
  ck_assert(fake_wait_accepted(fake, 2, SOON_MS));
  check_is_ok(pmx_command(client, "INCR n"));
  ck_assert_uint_eq(stats_of(client).unknown + stats_of(client).not_run, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_silence");

  ways_brief();
  server_require("mux_silence");
  add_for_ways_with(
      SHARES, tc, black_hole_ends_calls_at_their_deadline_and_the_connection_at_the_stall_timeout);
  add_for_ways_with(SHARES, tc, calls_with_time_left_survive_a_stall_if_they_only_read);
  add_for_ways_with(SHARES, tc, long_answer_that_trickles_in_is_no_stall);
  add_for_ways_with(SHARES, tc, idle_connection_is_never_stalled);
  add_for_ways_with(SHARES, tc, server_that_sleeps_costs_calls_their_time_and_no_connection);
  add_for_ways_with(SHARES, tc, client_pause_costs_calls_their_time_and_no_connection);
  add_for_ways_with(SHARES, tc, keepalive_pings_an_idle_connection_and_no_other);
  add_for_ways_with(SHARES, tc, keepalive_off_sends_nothing);
  add_for_ways_with(SHARES, tc, keepalive_finds_a_dead_connection_before_anybody_calls);
  return checks_run("mux_silence", tc);
}
