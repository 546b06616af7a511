/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_lost.c - the end of a shared connection and the next one: what becomes of calls that were
 * sent, sent in part, and not yet sent; in which order the last go on; and that one connects for
 * all. */
#include "behaviour/muxing.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/proxy.h"

enum { CALLERS = 10, BIG = 8 * 1024 * 1024 };

/* ---- calls that were sent ---- */

START_TEST(lost_connection_ends_writes_unknown_and_reads_are_sent_again)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  struct caller reads[CALLERS], writes[CALLERS];

  fake_stall(fake_conn_at(fake, 0));
  callers_start(reads, CALLERS, client, NULL);
  for (int i = 0; i < CALLERS; i++)
    caller_start(&writes[i], client, "INCR n", NULL);
  check_outstanding(client, 2 * CALLERS);
  fake_reset(fake_conn_at(fake, 0));
  callers_check_fail(writes, CALLERS, PMX_UNKNOWN, PMX_CAUSE_LOST);
  callers_check_values(reads, CALLERS);
  ck_assert_uint_eq(fake_seen(fake, "INCR"), 0);
  ck_assert_uint_eq(stats_of(client).retries, CALLERS);
  check_stat(client, closed_error, 1);
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* Every byte of a request: the server never sees a part of it as a command, and it is not sent
 * again. */
START_TEST(request_that_was_cut_off_in_the_middle_is_unknown_and_the_next_one_is_whole)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  struct proxy *proxy =
      proxy_start(fake_url(fake), &(struct proxy_options){.over = ways[_i].over});
  pmx_client *client = open_client(ways[_i].strategy, proxy_url(proxy), "reconnect.min_delay",
                                   "1ms", "reconnect.max_delay", "2ms", NULL);
  size_t size = strlen("*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");

  for (size_t at = 1; at < size; at++) {
    get_value(client, "k"); /* it is connected */
    proxy_cut(proxy, PROXY_TO_SERVER, (int64_t)at, 1);
    check_fails(pmx_command(client, "INCR n"), PMX_UNKNOWN, PMX_CAUSE_LOST);
  }
  check_is_ok(pmx_command(client, "INCR n"));
  ck_assert_uint_eq(fake_seen(fake, "INCR"), 1);
  ck_assert_uint_eq(fake_counts(fake).protocol_errors, 0);
  close_client(client);
  proxy_stop(proxy);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- calls that were not sent yet ---- */

static void set_big(void *client)
{
  const char *argv[] = {"SET", "big", harness_alloc(BIG)};
  const size_t len[] = {3, 3, BIG};

  check_fails(pmx_argv(client, NULL, 3, argv, len), PMX_UNKNOWN, PMX_CAUSE_LOST);
  free((void *)(uintptr_t)argv[2]);
}

START_TEST(only_what_was_sent_in_part_fails_and_what_is_behind_it_goes_on_in_its_order)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "retry.max", "0",
                                   "hybrid.bulk_request", "1GiB", NULL);
  struct caller reads[CALLERS], write;
  struct background *thread;

  fake_stall(fake_conn_at(fake, 0));
  thread = background_start(set_big, client);
  check_stat(client, in_flight, 1);
  sleep_ms(20); /* and the kernel takes no more */
  callers_start(reads, CALLERS, client, NULL);
  caller_start(&write, client, "INCR n", NULL);
  check_stat(client, waiting, CALLERS + 1);
  fake_reset(fake_conn_at(fake, 0));
  background_join(thread);
  callers_check_values(reads, CALLERS);
  check_is_ok(caller_end(&write));
  check_text(keys_seen(fake), "key-0 key-1 key-2 key-3 key-4 key-5 key-6 key-7 key-8 key-9");
  ck_assert_uint_eq(fake_seen(fake, "INCR"), 1);
  ck_assert_uint_eq(fake_seen(fake, "SET"), 0);
  ck_assert_uint_eq(fake_counts(fake).protocol_errors, 0);
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(what_waits_while_the_server_is_away_is_sent_in_its_order)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "reconnect.max_delay", "20ms",
                                   "retry.max", "0", NULL);
  struct caller callers[CALLERS], gives_up;
  pmx_call call = call_in(SOON_MS);

  call.cancel = pmx_cancel_new();
  fake_listen(fake, false);
  fake_close(fake_conn_at(fake, 0));
  check_stat(client, live, 0);
  caller_start(&gives_up, client, "GET given-up", &call);
  check_outstanding(client, 1);
  callers_start(callers, CALLERS, client, NULL);
  pmx_cancel_fire(call.cancel);
  callers_check_fail(&gives_up, 1, PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  fake_listen(fake, true);
  callers_check_values(callers, CALLERS);
  check_text(keys_seen(fake), "key-0 key-1 key-2 key-3 key-4 key-5 key-6 key-7 key-8 key-9");
  pmx_cancel_free(call.cancel);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- idle ---- */

START_TEST(connection_that_the_server_closed_while_idle_fails_no_call)
{
  static const int idle_ms[] = {3, 10, 40, 250};
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "retry.max", "0", "reconnect.min_delay", "1ms",
                  "reconnect.max_delay", "2ms", NULL);
  size_t rounds = sizeof idle_ms / sizeof *idle_ms;

  get_value(client, "k");
  for (size_t i = 0; i < rounds; i++) {
    fake_close(fake_conn_at(fake, i));
    ck_assert(fake_wait_open(fake, 0, SOON_MS) || fake_accepted(fake) > i + 1);
    sleep_ms(idle_ms[i]);
    check_is_ok(pmx_command(client, "INCR n"));
    sleep_ms(5);
    ck_assert_uint_eq(fake_accepted(fake), i + 2);
  }
  ck_assert_uint_eq(fake_seen(fake, "INCR"), rounds);
  ck_assert_uint_eq(stats_of(client).unknown + stats_of(client).not_run, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* The next call finds it connected again. */
START_TEST(connection_that_the_server_closed_is_replaced_before_anybody_calls)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);

  get_value(client, "k");
  fake_close(fake_conn_at(fake, 0));
  ck_assert(fake_wait_accepted(fake, 2, SOON_MS));
  check_stat(client, live, 1);
  get_value(client, "k");
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static int read_only(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (fake_conn_index(conn) == 0 && strcmp(argv[0], "SET") == 0) {
    fake_reply_error(conn, "READONLY You can't write against a read only replica.");
    return 0;
  }
  return answer_values(ud, conn, argc, argv, len);
}

START_TEST(connection_to_a_replica_is_replaced_once_all_was_answered)
{
  struct fake *fake = fake_for(&ways[_i], read_only, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "retry.max", "0", NULL);
  struct caller write, callers[CALLERS];

  fake_stall(fake_conn_at(fake, 0));
  caller_start(&write, client, "SET k v", NULL);
  check_outstanding(client, 1);
  callers_start(callers, CALLERS, client, NULL);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_fail(&write, 1, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  callers_check_values(callers, CALLERS);
  check_is_ok(pmx_command(client, "SET k v"));
  ck_assert_uint_eq(fake_accepted(fake), 2);
  ck_assert_uint_eq(stats_of(client).unknown + stats_of(client).not_run, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- one connector ---- */

static const struct fake_step slow_login[] = {FAKE_EXPECT("PING"), FAKE_DELAY(60),
                                              FAKE_SEND("+PONG\r\n"), FAKE_END};

static void get_one(int i, void *client)
{
  (void)i;
  get_value(client, "k");
}

START_TEST(one_connects_for_all_who_come_meanwhile)
{
  struct fake_options options = {
      .over = ways[_i].over, .script = slow_login, .handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "retry.max", "0", NULL);

  for (size_t round = 0; round < 3; round++) {
    run_threads(40, get_one, client);
    ck_assert_uint_eq(fake_accepted(fake), round + 1);
    ck_assert_uint_eq(fake_counts(fake).max_open, 1);
    fake_close(fake_conn_at(fake, round));
    check_stat(client, closed, round + 1);
  }
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- why it ended: in the books as in the events ---- */

/* The first connection answers nothing. */
static int answer_on_others(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  return fake_conn_index(conn) == 0 ? 0 : answer_values(ud, conn, argc, argv, len);
}

enum { ENDS = 1000 };

struct end {
  struct fake *fake;
  struct seen seen;
  pmx_client *client;
  pmx_future *futures[ENDS]; /* the first is in flight */
  int count;
};

static pmx_future *end_submit(struct end *e)
{
  pmx_call call = call_flags(PMX_CALL_NO_RETRY, SOON_MS);

  ck_assert_int_lt(e->count, ENDS);
  return e->futures[e->count++] = pmx_submit(e->client, &call, "INCR n");
}

static void end_open(struct end *e, const char *strategy, enum over over)
{
  struct fake_options fake_options = {.over = over, .handler = answer_on_others};
  pmx_options *options = options_for(strategy);

  e->count = 0;
  e->fake = fake_start(&fake_options);
  seen_init(&e->seen);
  pmx_options_set_events(options, seen_event, &e->seen);
  if (over_tls(over))
    pmx_options_set(options, "tls.retire", "0");
  pmx_options_set(options, "retry.max", "0");
  e->client = open_client_with(fake_url(e->fake), options);
  end_submit(e);
  ck_assert(fake_wait_seen(e->fake, "INCR", 1, SOON_MS));
}

static void end_check(struct end *e, pmx_event_type type, uint64_t lifetime, uint64_t error)
{
  pmx_stats s;

  ck_assert(seen_reaches(&e->seen, type, 1, SOON_MS));
  s = stats_of(e->client);
  ck_assert_uint_eq(s.closed_lifetime, lifetime);
  ck_assert_uint_eq(s.closed_error, error);
  ck_assert_uint_eq(seen_count(&e->seen, PMX_EVENT_LOST), error);
}

static void end_close(struct end *e)
{
  for (int i = 0; i < e->count; i++)
    pmx_reply_free(pmx_future_take(e->futures[i]));
  close_client(e->client);
  ck_assert(fake_stop(e->fake));
}

/* Its settings were replaced, but that is not what it ended for. */
START_TEST(a_lane_that_is_lost_before_it_is_replaced_was_lost)
{
  struct end e;

  end_open(&e, strategies[_i], OVER_TLS);
  check_is_ok(pmx_reload_tls(e.client));
  do { /* until it takes nothing any more */
    end_submit(&e);
    sleep_ms(10);
  } while (stats_of(e.client).waiting == 0);
  fake_close(fake_conn_at(e.fake, 0));
  end_check(&e, PMX_EVENT_LOST, 0, 1);
  end_close(&e);
}
END_TEST

START_TEST(a_lane_that_is_replaced_is_not_lost)
{
  struct end e;

  end_open(&e, strategies[_i], OVER_TLS);
  check_is_ok(pmx_reload_tls(e.client));
  fake_reply_int(fake_conn_at(e.fake, 0), 1);
  end_check(&e, PMX_EVENT_CLOSED, 1, 0);
  end_close(&e);
}
END_TEST

static void close_in_background(void *client)
{
  pmx_close(client, SOON_MS);
}

START_TEST(a_lane_that_is_lost_while_the_client_is_closed_was_lost)
{
  struct end e;
  struct background *closing;

  end_open(&e, strategies[_i], OVER_TCP);
  closing = background_start(close_in_background, e.client);
  while (!pmx_future_wait(end_submit(&e), 10)) /* until it is refused */
    ;
  fake_close(fake_conn_at(e.fake, 0));
  background_join(closing);
  end_check(&e, PMX_EVENT_LOST, 0, 1);
  ck_assert_uint_eq(stats_of(e.client).closed_shutdown, 0);
  end_close(&e);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_lost");

  add_for_ways_with(SHARES, tc, lost_connection_ends_writes_unknown_and_reads_are_sent_again);
  add_for_ways_with(SHARES, tc,
                    request_that_was_cut_off_in_the_middle_is_unknown_and_the_next_one_is_whole);
  add_for_ways_with(SHARES, tc,
                    only_what_was_sent_in_part_fails_and_what_is_behind_it_goes_on_in_its_order);
  add_for_ways_with(SHARES, tc, what_waits_while_the_server_is_away_is_sent_in_its_order);
  add_for_ways_with(SHARES, tc, connection_that_the_server_closed_while_idle_fails_no_call);
  add_for_ways_with(SHARES, tc, connection_that_the_server_closed_is_replaced_before_anybody_calls);
  add_for_ways_with(SHARES, tc, connection_to_a_replica_is_replaced_once_all_was_answered);
  add_for_ways_with(SHARES, tc, one_connects_for_all_who_come_meanwhile);
  add_for_strategies_with(SHARES, tc, a_lane_that_is_lost_before_it_is_replaced_was_lost);
  add_for_strategies_with(SHARES, tc, a_lane_that_is_replaced_is_not_lost);
  add_for_strategies_with(SHARES, tc, a_lane_that_is_lost_while_the_client_is_closed_was_lost);
  return checks_run("mux_lost", tc);
}
