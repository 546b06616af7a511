/* SPDX-License-Identifier: BSD-3-Clause */
/* measuring.c - what takes how long, and all of it as a text: that waiting, queueing, connecting,
 * use and calls are measured where they happen, and that a text is there as a whole or not at all.
 * What parsers make of the texts is for scripts/check-metrics to say. */
#include "behaviour.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calling.h"
#include "harness/checks.h"
#include "leasing.h"

enum { LONG_MS = 60, MS = 1000000 };

static pmx_histogram times_of(const pmx_client *client, pmx_histogram_kind kind)
{
  pmx_histogram h = PMX_HISTOGRAM_INIT;

  ck_assert_int_eq(pmx_stats_histogram(client, kind, &h), 1);
  return h;
}

static uint64_t longest(const pmx_client *client, pmx_histogram_kind kind)
{
  return times_of(client, kind).max_ns;
}

static uint64_t count_of(const pmx_client *client, pmx_histogram_kind kind)
{
  return times_of(client, kind).count;
}

/* ---- where it happens ---- */

START_TEST(a_call_is_measured_from_its_start_to_its_outcome)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_call call = call_in(LONG_MS);
  pmx_histogram h;
  int64_t begun;

  for (int i = 0; i < 20; i++)
    check_is_ok(pmx_command(client, "GET k"));
  h = times_of(client, PMX_HISTOGRAM_CALL);
  ck_assert_uint_eq(h.count, 20);
  ck_assert_uint_gt(h.sum_ns, 20 * 1000);
  server_pause(server);
  begun = now_us();
  pmx_reply_free(pmx_do(client, &call, "GET", "k", (char *)NULL));
  begun = now_us() - begun;
  server_resume(server);
  h = times_of(client, PMX_HISTOGRAM_CALL);
  ck_assert_uint_eq(h.count, 21);
  ck_assert_uint_ge(h.max_ns, LONG_MS * (uint64_t)MS);
  ck_assert_uint_le(h.max_ns, (uint64_t)begun * 1000);
  ck_assert_uint_eq(pmx_histogram_percentile(&h, 100), h.max_ns);
  ck_assert_uint_le(pmx_histogram_percentile(&h, 50), h.max_ns);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* What is INVALID never was a call; the others count whatever their outcome. */
START_TEST(each_call_but_the_invalid_is_measured_once)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_call none = call_in(0);
  pmx_reply *reply;

  check_is_ok(pmx_command(client, "SET s text"));
  ck_assert_int_eq(pmx_reply_finish(pmx_command(client, "LPUSH s x")), PMX_SERVER_ERROR);
  ck_assert_int_eq(pmx_reply_finish(pmx_command_call(client, &none, "GET s")), PMX_NOT_RUN);
  ck_assert_int_eq(pmx_reply_finish(pmx_command(client, "SUBSCRIBE c")), PMX_INVALID);
  reply = pmx_future_take(pmx_submit(client, NULL, "GET s"));
  check_is_ok(reply);
  ck_assert_uint_eq(stats_of(client).commands, 5);
  ck_assert_uint_eq(stats_of(client).invalid, 1);
  ck_assert_uint_eq(count_of(client, PMX_HISTOGRAM_CALL), 4);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* In the books with one writer, or in the others: each once. */
START_TEST(calls_without_a_waiter_are_measured)
{
  enum { CALLS = 200 };
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(&manners[_i], manner_url(&manners[_i], server), NULL);
  struct told told[CALLS] = {{0}};
  pmx_histogram h;

  for (int i = 0; i < CALLS; i++)
    ask(client, &told[i], NULL, "GET k%d", i);
  ck_assert(all_told(told, CALLS, SOON_MS));
  told_clear(told, CALLS);
  h = times_of(client, PMX_HISTOGRAM_CALL);
  ck_assert_uint_eq(h.count, CALLS);
  ck_assert_uint_eq(stats_of(client).replies, CALLS);
  ck_assert_uint_gt(h.sum_ns, CALLS * 1000);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(waiting_for_a_connection_and_its_use_are_measured)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "1", "pool.wait_timeout", "10s", NULL);
  struct waiting waiting = {.client = client, .command = "GET k"};
  pmx_lease *lease = take(client);

  waiting.call = call_alone(client, SOON_MS);
  waiting_start(&waiting);
  check_stat(client, waiting, 1);
  sleep_ms(LONG_MS);
  give_back(lease);
  check_is_ok(waiting_end(&waiting));
  ck_assert_uint_ge(longest(client, PMX_HISTOGRAM_WAIT), LONG_MS * (uint64_t)MS);
  ck_assert_uint_ge(longest(client, PMX_HISTOGRAM_USE), LONG_MS * (uint64_t)MS);
  ck_assert_uint_eq(count_of(client, PMX_HISTOGRAM_WAIT), stats_of(client).borrows);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static int answer_late(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud, (void)argc, (void)argv, (void)len;
  fake_delay(conn, LONG_MS);
  fake_reply_simple(conn, "OK");
  return 0;
}

/* One fits in flight, so the second is queued until the first was answered. */
START_TEST(what_waits_on_a_lane_is_measured)
{
  struct fake *fake = fake_for(&ways[_i], answer_late, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "mux.max_inflight", "1", NULL);
  struct waiting waiting = {.client = client, .command = "GET k"};

  waiting.call = call_in(SOON_MS);
  waiting_start(&waiting);
  ck_assert(fake_wait_seen(fake, "GET", 1, SOON_MS));
  check_is_ok(pmx_command(client, "SET k v"));
  check_is_ok(waiting_end(&waiting));
  ck_assert_uint_ge(longest(client, PMX_HISTOGRAM_QUEUE), LONG_MS / 2 * (uint64_t)MS);
  ck_assert_uint_eq(count_of(client, PMX_HISTOGRAM_QUEUE), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(making_a_connection_is_measured)
{
  static const struct fake_step slow[] = {FAKE_EXPECT_ANY, FAKE_DELAY(LONG_MS),
                                          FAKE_SEND("-ERR unknown command\r\n"), FAKE_END};
  struct fake_options options = {
      .over = ways[_i].over, .script = slow, .handler = answer_values, .manual = false};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);

  get_value(client, "k");
  ck_assert_uint_ge(longest(client, PMX_HISTOGRAM_CREATE), LONG_MS * (uint64_t)MS);
  ck_assert_uint_eq(count_of(client, PMX_HISTOGRAM_CREATE), stats_of(client).opened);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(there_is_no_such_histogram)
{
  pmx_client *client = open_client(strategies[_i], "redis://127.0.0.1:1", "connect", "lazy", NULL);
  pmx_histogram h = PMX_HISTOGRAM_INIT, before;

  pmx_reply_free(pmx_command(client, "SUBSCRIBE c"));
  h.count = 7;
  ck_assert_int_eq(pmx_stats_histogram(client, (pmx_histogram_kind)5, &h), 0);
  ck_assert_uint_eq(h.count, 0);
  ck_assert_int_eq(pmx_stats_histogram(NULL, PMX_HISTOGRAM_CALL, &h), 1);
  ck_assert_uint_eq(h.count, 0);
  ck_assert_int_eq(pmx_stats_histogram(client, PMX_HISTOGRAM_CALL, NULL), 0);
  /* A program with a shorter one. */
  memset(&before, 0xab, sizeof before);
  h = before;
  h.size = offsetof(pmx_histogram, max_ns);
  pmx_stats_histogram(client, PMX_HISTOGRAM_CALL, &h);
  ck_assert_uint_eq(h.size, offsetof(pmx_histogram, max_ns));
  ck_assert_uint_eq(h.max_ns, before.max_ns);
  close_client(client);
}
END_TEST

/* ---- texts ---- */

static const char *const formats[] = {"text", "json", "prometheus"};
enum { FORMATS = sizeof formats / sizeof formats[0] };

START_TEST(a_text_is_there_as_a_whole_or_not_at_all)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  char *text;

  check_is_ok(pmx_command(client, "GET k"));
  for (int i = 0; i < FORMATS; i++) {
    size_t len = pmx_stats_text(client, formats[i], NULL, 0);

    ck_assert_uint_gt(len, 1000);
    text = harness_alloc(len + 2);
    memset(text, 'x', len + 2);
    ck_assert_uint_eq(pmx_stats_text(client, formats[i], text, len + 1), len);
    ck_assert_uint_eq(strlen(text), len);
    ck_assert_int_eq(text[len - 1], '\n');
    ck_assert_int_eq(text[len + 1], 'x');
    memset(text, 'x', len + 2);
    ck_assert_uint_eq(pmx_stats_text(client, formats[i], text, len), len);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(text[len], 'x');
    ck_assert_uint_eq(pmx_stats_text(client, formats[i], text, 1), len);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(pmx_stats_text(client, formats[i], NULL, 100), len);
    free(text);
  }
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(what_has_no_text_gives_none)
{
  pmx_client *client = open_client(strategies[_i], "redis://127.0.0.1:1", "connect", "lazy", NULL);
  char text[8] = "before";

  ck_assert_uint_eq(pmx_stats_text(client, "xml", text, sizeof text), 0);
  ck_assert_str_eq(text, "");
  strcpy(text, "before");
  ck_assert_uint_eq(pmx_stats_text(client, NULL, text, sizeof text), 0);
  ck_assert_str_eq(text, "");
  strcpy(text, "before");
  ck_assert_uint_eq(pmx_stats_text(NULL, "text", text, sizeof text), 0);
  ck_assert_str_eq(text, "");
  ck_assert_uint_eq(pmx_stats_text(NULL, "text", NULL, 0), 0);
  close_client(client);
}
END_TEST

static void check_has(const char *text, const char *part, bool wanted)
{
  ck_assert_msg((strstr(text, part) != NULL) == wanted, "%s \"%s\":\n%s",
                wanted ? "there is no" : "there is", part, text);
}

START_TEST(each_lane_and_each_pool_has_its_place)
{
  static char text[1 << 16];
  struct server *server = server_start(NULL);
  const char *strategy = ways[_i].strategy;
  pmx_client *client = open_client(strategy, url_for(&ways[_i], server), "mux.lanes", "2",
                                   "client_name", "me", "pool.name", "mine", NULL);

  ck_assert_uint_lt(pmx_stats_text(client, "text", text, sizeof text), sizeof text);
  check_has(text, "client me to ", true);
  check_has(text, "\nlane 0\n", strategy_has(strategy, SHARES));
  check_has(text, "\nlane 1\n", strategy_has(strategy, SHARES));
  check_has(text, "\nlane 2\n", false);
  check_has(text, "\npool mine\n", strategy_has(strategy, LEASES));
  check_has(text, "\npool control\n", true);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(no_secret_is_in_a_text)
{
  static char text[1 << 18];
  struct fake_options options = {
      .user = "canary-user", .password = "canary-password", .handler = answer_values};
  struct fake *fake = fake_start(&options);
  char url[160];
  pmx_client *client;

  snprintf(url, sizeof url, "redis://canary-user:canary-password@127.0.0.1:%d", fake_port(fake));
  client = open_client(strategies[_i], url, NULL);
  pmx_reply_free(pmx_command(client, "GET canary-key"));
  for (int i = 0; i < FORMATS; i++) {
    ck_assert_uint_lt(pmx_stats_text(client, formats[i], text, sizeof text), sizeof text);
    check_has(text, "canary", false);
  }
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

struct caller {
  pmx_client *client;
  atomic_bool stop;
};

static void keep_calling(void *arg)
{
  struct caller *c = arg;

  while (!atomic_load(&c->stop))
    pmx_reply_free(pmx_command(c->client, "GET k"));
}

static unsigned long long number_in(const char *text, const char *family)
{
  const char *at = strstr(text, family);

  ck_assert_ptr_nonnull(at);
  at = strstr(at, "outcome=\"reply\"} ");
  ck_assert_ptr_nonnull(at);
  return strtoull(strchr(at, '}') + 1, NULL, 10);
}

START_TEST(a_text_has_as_many_calls_as_it_has_durations_of_them)
{
  static char text[1 << 18];
  struct server *server = server_start(NULL);
  struct caller caller = {.client =
                              open_client(strategies[_i], server_url(server, SERVER_TCP), NULL)};
  struct background *thread = background_start(keep_calling, &caller);

  while (stats_of(caller.client).replies < 1000)
    sleep_ms(1);
  for (int i = 0; i < 500; i++) {
    ck_assert_uint_lt(pmx_stats_text(caller.client, "prometheus", text, sizeof text), sizeof text);
    ck_assert_uint_eq(number_in(text, "\npoolmux_calls_total{"),
                      number_in(text, "\npoolmux_call_duration_seconds_count{"));
  }
  atomic_store(&caller.stop, true);
  background_join(thread);
  close_client(caller.client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("measuring");

  server_require("measuring");
  manners_brief();
  add_for_ways(tc, a_call_is_measured_from_its_start_to_its_outcome);
  add_for_ways(tc, each_call_but_the_invalid_is_measured_once);
  add_for_manners(tc, calls_without_a_waiter_are_measured);
  add_for_ways_with(LEASES, tc, waiting_for_a_connection_and_its_use_are_measured);
  add_for_ways_with(SHARES, tc, what_waits_on_a_lane_is_measured);
  add_for_ways(tc, making_a_connection_is_measured);
  add_for_strategies(tc, there_is_no_such_histogram);
  add_for_ways(tc, a_text_is_there_as_a_whole_or_not_at_all);
  add_for_strategies(tc, what_has_no_text_gives_none);
  add_for_ways(tc, each_lane_and_each_pool_has_its_place);
  add_for_strategies(tc, no_secret_is_in_a_text);
  add_for_strategies(tc, a_text_has_as_many_calls_as_it_has_durations_of_them);
  return checks_run("measuring", tc);
}
