/* SPDX-License-Identifier: BSD-3-Clause */
/* limits.c - the largest, the deepest and the oddest: sizes of requests and replies up to their
 * limit and one beyond, arguments of any bytes; and pool.prefill, which may not say yes too early.
 */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

enum { MIB = 1 << 20 };

/* ---- requests ---- */

static pmx_reply *set_bytes(pmx_client *client, const char *key, const char *bytes, size_t size)
{
  const char *argv[] = {"SET", key, bytes};
  const size_t len[] = {3, strlen(key), size};

  return pmx_argv(client, NULL, 3, argv, len);
}

/* What SET k takes on the wire but for its value's bytes. */
static size_t overhead(size_t size)
{
  char digits[32];

  return strlen("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$\r\n\r\n") +
         (size_t)snprintf(digits, sizeof digits, "%zu", size);
}

START_TEST(a_request_at_the_limit_is_sent_and_one_byte_more_is_not)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server),
                                   "request.max_size", "100000", NULL);
  char *bytes = harness_alloc(100001);
  size_t most = 100000 - overhead(99000);
  int64_t before;

  check_is_ok(set_bytes(client, "k", bytes, most));
  check_int(pmx_command(client, "STRLEN k"), (int64_t)most);
  before = server_commands(server);
  check_fails(set_bytes(client, "k", bytes, most + 1), PMX_INVALID, PMX_CAUSE_TOO_LARGE);
  check_fails(pmx_command(client, "SET k %b", bytes, most + 1), PMX_INVALID, PMX_CAUSE_TOO_LARGE);
  ck_assert_int_eq(server_commands(server), before);
  check_is_ok(pmx_command(client, "PING"));
  /* What is large goes beside the lane, and only what is sent counts. */
  ck_assert_uint_eq(stats_of(client).opened, 1 + lane_beside(client));
  ck_assert_uint_eq(stats_of(client).routed_large, lane_beside(client));
  free(bytes);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static void fill_random(char *bytes, size_t size)
{
  struct rng rng;

  rng_seed(&rng, size);
  for (size_t i = 0; i + 8 <= size; i += 8) {
    uint64_t word = rng_next(&rng);
    memcpy(bytes + i, &word, sizeof word);
  }
}

/* bulk: the size from which on a lane does not carry a request. */
static void move_much(const struct way *way, const char *bulk, uint64_t connections)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(way->strategy, url_for(way, server), "command_timeout", "50s",
                                   "hybrid.bulk_request", bulk, NULL);
  size_t size = (soak() ? 300 : 20) * (size_t)MIB, len;
  char *bytes = harness_alloc(size);
  pmx_reply *reply;

  fill_random(bytes, size);
  check_is_ok(set_bytes(client, "k", bytes, size));
  reply = pmx_command(client, "GET k");
  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  ck_assert_ptr_nonnull(pmx_reply_str(reply, &len));
  ck_assert_uint_eq(len, size);
  ck_assert(memcmp(pmx_reply_str(reply, NULL), bytes, size) == 0);
  pmx_reply_free(reply);
  ck_assert_uint_eq(stats_of(client).opened, connections);
  free(bytes);
  close_client(client);
  ck_assert(server_stop(server));
}

START_TEST(twenty_mebibytes_go_there_and_back)
{
  move_much(&ways[_i], "1GiB", 1);
  if (strategy_has(ways[_i].strategy, DEDICATES))
    move_much(&ways[_i], "64KiB", 2);
}
END_TEST

START_TEST(arguments_may_be_any_bytes_or_none)
{
  static const struct {
    const char *bytes;
    size_t len;
  } values[] = {
      {"", 0},      {"\0", 1},        {"a\0b", 3}, {" a  b ", 6},
      {"\r\n", 2},  {"$3\r\nabc", 7}, {"%s%n", 4}, {"\xff\xfe\x00\x80", 4},
      {"\"'\\", 3}, {"*1\r\n", 4},
  };
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);

  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    const char *argv[] = {"HSET", values[i].bytes, values[i].bytes, values[i].bytes};
    const size_t len[] = {4, values[i].len, values[i].len, values[i].len};
    pmx_reply *reply;
    size_t got;

    check_int(pmx_argv(client, NULL, 4, argv, len), 1);
    reply = pmx_command(client, "HGET %b %b", values[i].bytes, values[i].len, values[i].bytes,
                        values[i].len);
    ck_assert_msg(pmx_reply_str(reply, &got) && got == values[i].len &&
                      memcmp(pmx_reply_str(reply, NULL), values[i].bytes, got) == 0,
                  "value %zu came back as something else", i);
    pmx_reply_free(reply);
  }
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- replies ---- */

static void check_too_large(pmx_client *client, const char *command)
{
  uint64_t closed = stats_of(client).closed;
  pmx_reply *reply = call_words(client, command);

  ck_assert_msg(pmx_reply_status(reply) == PMX_UNKNOWN &&
                    pmx_reply_cause(reply) == PMX_CAUSE_TOO_LARGE,
                "%s: %s/%s %s", command, pmx_status_str(pmx_reply_status(reply)),
                pmx_cause_str(pmx_reply_cause(reply)), pmx_reply_error(reply));
  pmx_reply_free(reply);
  /* What is left of it must not be taken for the answer to the next one. */
  check_stat(client, closed, closed + 1);
  check_is_ok(pmx_command(client, "PING"));
}

START_TEST(a_reply_over_a_limit_ends_the_connection_and_nothing_else)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "reply.max_size", "64KiB",
                  "reply.max_elements", "100", "reply.max_depth", "4", NULL);
  char *bytes = harness_alloc(70000);

  check_is_ok(set_bytes(client, "large", bytes, 70000));
  check_is_ok(set_bytes(client, "small", bytes, 60000));
  for (int i = 0; i < 200; i++)
    check_is_ok(pmx_command(client, "RPUSH list %d", i));
  check_is_ok(pmx_command(client, "GET small"));
  check_too_large(client, "GET large");
  check_is_ok(pmx_command(client, "LRANGE list 0 98"));
  check_too_large(client, "LRANGE list 0 -1");
  check_is_ok(pmx_command(client, "EVAL %s 0", "return {{{{1}}}}"));
  check_too_large(client, "EVAL return{{{{{1}}}}} 0");
  free(bytes);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_reply_over_a_limit_ends_the_lease)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "reply.max_size", "4KiB", NULL);
  pmx_lease *lease = take(client);
  char *bytes = harness_alloc(5000);

  check_is_ok(set_bytes(client, "large", bytes, 5000));
  check_fails(pmx_lease_command(lease, NULL, "GET large"), PMX_UNKNOWN, PMX_CAUSE_TOO_LARGE);
  check_fails(pmx_lease_command(lease, NULL, "PING"), PMX_NOT_RUN, PMX_CAUSE_LOST);
  give_back(lease);
  free(bytes);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(many_elements_arrive_in_order)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  const char *script = "local t={} for i=1,ARGV[1] do t[i]=i end return t";
  int count = soak() ? 1000000 : 100000;
  pmx_reply *reply = pmx_command(client, "EVAL %s 0 %d", script, count);

  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  ck_assert_uint_eq(pmx_reply_len(reply), (size_t)count);
  for (int i = 0; i < count; i++) {
    if (pmx_reply_int(pmx_reply_at(reply, (size_t)i), NULL) != i + 1)
      ck_abort_msg("element %d is wrong", i);
  }
  pmx_reply_free(reply);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(nested_arrays_keep_their_shape)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_reply *reply = pmx_command(client, "EVAL %s 0", "return {1,{2,{3,{4,{5,{6,{7}}}}}}}");
  const pmx_reply *at = reply;

  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  for (int depth = 1; depth <= 7; depth++) {
    ck_assert_int_eq(pmx_reply_int(pmx_reply_at(at, 0), NULL), depth);
    ck_assert_uint_eq(pmx_reply_len(at), depth < 7 ? 2 : 1);
    at = pmx_reply_at(at, 1);
  }
  pmx_reply_free(reply);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* hiredis 0.14 reads eight levels, and what is deeper costs its own call. */
START_TEST(a_thousand_levels_arrive_where_hiredis_reads_them)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "reply.max_depth", "1024", NULL);
  const char *script = "local t={7} for i=2,1000 do t={t} end return t";
  pmx_reply *reply = pmx_command(client, "EVAL %s 0", script);
  const pmx_reply *at = reply;

  if (strstr(pmx_build_info(), "RESP3")) {
    ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
    for (int depth = 1; depth <= 1000; depth++) {
      ck_assert_uint_eq(pmx_reply_len(at), 1);
      at = pmx_reply_at(at, 0);
    }
    ck_assert_int_eq(pmx_reply_int(at, NULL), 7);
    pmx_reply_free(reply);
  } else {
    check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_TOO_LARGE);
  }
  check_is_ok(pmx_command(client, "PING"));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- prefill ---- */

START_TEST(prefill_sync_opens_all_before_it_says_yes)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "20", "pool.min_idle", "20", "pool.prefill", "sync",
                                   "pool.connect_concurrency", "3", NULL);
  pmx_stats stats = stats_of(client);

  ck_assert_uint_eq(stats.idle, 20);
  ck_assert_uint_eq(stats.opened, 20);
  ck_assert_int_eq(server_clients(server), 20);
  check_is_ok(pmx_command(client, "PING"));
  ck_assert_uint_eq(stats_of(client).opened, 20 + lane_beside(client));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(prefill_async_says_yes_and_fills)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "20",
                  "pool.min_idle", "20", "pool.prefill", "async", "connect", "lazy", NULL);

  check_stat(client, idle, 20);
  check_clients(server, 20);
  ck_assert_uint_eq(stats_of(client).borrows, 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* What says no itself has all the time it wants for that, and needs none of it. */
static void check_no_prefill(const char *strategy, const char *url, pmx_cause cause)
{
  pmx_options *options = options_for(strategy);
  int64_t begin = pmx_now_ms();
  pmx_reply *failure;

  pmx_options_set(options, "pool.max_size", "20");
  pmx_options_set(options, "pool.min_idle", "20");
  pmx_options_set(options, "pool.prefill", "sync");
  pmx_options_set(options, "pool.prefill_timeout", cause == PMX_CAUSE_TIMEOUT ? "300ms" : "50s");
  trust_for(options, url);
  ck_assert_ptr_null(pmx_open(url, options, &failure));
  check_on_time("prefill that fails", begin + 300);
  ck_assert_ptr_nonnull(failure);
  ck_assert_ptr_null(strstr(pmx_reply_error(failure), "wrong-password"));
  check_fails(failure, PMX_NOT_RUN, cause);
  pmx_options_free(options);
}

START_TEST(prefill_sync_with_a_bad_password_is_an_auth_error)
{
  struct server_options with_password = {.password = "secret"};
  struct server *server = server_start(&with_password);
  char url[160];

  snprintf(url, sizeof url, "redis://:wrong-password@127.0.0.1:%u", server_port(server));
  check_no_prefill(strategies[_i], url, PMX_CAUSE_AUTH);
  snprintf(url, sizeof url, "redis://127.0.0.1:%u", server_port(server));
  check_no_prefill(strategies[_i], url, PMX_CAUSE_AUTH);
  check_clients(server, 0);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(prefill_sync_says_no_when_the_server_has_no_room)
{
  static const char *const config[] = {"--maxclients", "10", NULL};
  struct server_options small = {.config = config};
  struct server *server = server_start(&small);

  check_no_prefill(ways[_i].strategy, url_for(&ways[_i], server), PMX_CAUSE_CONNECT);
  check_clients(server, 0);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(prefill_sync_says_no_when_nobody_listens_or_answers)
{
  struct fake_options options = {.accept = FAKE_ACCEPT_SILENT};
  struct fake *fake = fake_start(&options);

  check_no_prefill(strategies[_i], fake_url(fake), PMX_CAUSE_TIMEOUT);
  fake_listen(fake, false);
  check_no_prefill(strategies[_i], fake_url(fake), PMX_CAUSE_CONNECT);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(prefill_sync_of_no_connection_still_connects_once)
{
  pmx_options *options = options_for(strategies[_i]);
  pmx_reply *failure;

  pmx_options_set(options, "pool.prefill", "sync");
  ck_assert_ptr_null(pmx_open("redis://127.0.0.1:1", options, &failure));
  check_fails(failure, PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  pmx_options_free(options);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("limits");

  server_require("limits");
  add_for_ways(tc, a_request_at_the_limit_is_sent_and_one_byte_more_is_not);
  add_for_ways(tc, twenty_mebibytes_go_there_and_back);
  add_for_ways(tc, arguments_may_be_any_bytes_or_none);
  add_for_ways(tc, a_reply_over_a_limit_ends_the_connection_and_nothing_else);
  add_for_ways_with(LEASES, tc, a_reply_over_a_limit_ends_the_lease);
  add_for_ways(tc, many_elements_arrive_in_order);
  add_for_ways(tc, nested_arrays_keep_their_shape);
  add_for_ways(tc, a_thousand_levels_arrive_where_hiredis_reads_them);
  add_for_ways_with(LEASES, tc, prefill_sync_opens_all_before_it_says_yes);
  add_for_ways_with(LEASES, tc, prefill_async_says_yes_and_fills);
  add_for_strategies(tc, prefill_sync_with_a_bad_password_is_an_auth_error);
  add_for_ways_with(LEASES, tc, prefill_sync_says_no_when_the_server_has_no_room);
  add_for_strategies(tc, prefill_sync_says_no_when_nobody_listens_or_answers);
  add_for_strategies(tc, prefill_sync_of_no_connection_still_connects_once);
  return checks_run("limits", tc);
}
