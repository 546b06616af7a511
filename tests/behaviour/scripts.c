/* SPDX-License-Identifier: BSD-3-Clause */
/* scripts.c - scripts on a real server: by their hash where the server knows them, as a whole where
 * it does not or has forgotten them, and each run counted once, whatever a script says of itself.
 */
#include <check.h>
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/scripting.h"
#include "harness/checks.h"
#include "harness/util.h"

#define MISSING "NOSCRIPT No matching script. Please use EVAL."

static const char increment[] = "return redis.call('INCR', KEYS[1])";

/* ---- which command is sent ---- */

START_TEST(a_script_is_sent_once_and_then_its_hash)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
  pmx_script *script = script_of(increment);
  uint64_t before = stats_of(client).commands;

  for (int i = 1; i <= 5; i++)
    check_int(run_script(client, NULL, script, 1, "n", (char *)NULL), i);
  ck_assert_int_eq(server_calls(server, "eval"), 1);
  ck_assert_int_eq(server_calls(server, "evalsha"), 5);
  ck_assert_uint_eq(stats_of(client).commands - before, 5);
  ck_assert_uint_eq(stats_of(client).retries, 0);
  ck_assert_uint_eq(stats_of(client).server_errors, 0);
  pmx_script_free(script);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(the_hash_is_the_one_the_server_computes)
{
  static const char *const texts[] = {increment, "",
                                      "return 'a longer text \xc3\xa4\xff, of any "
                                      "bytes, which fills more than one block'"};
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);

  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    pmx_script *script = script_of(texts[i]);

    free(server_command(server, "SCRIPT", "LOAD", texts[i], NULL));
    check_is_ok(run_script(client, NULL, script, 1, "n", (char *)NULL));
    pmx_script_free(script);
  }
  ck_assert_int_eq(server_calls(server, "eval"), 0);
  ck_assert_int_eq(server_calls(server, "evalsha"), 3);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(scripts_keys_and_arguments_may_have_any_bytes)
{
  static const char lua[] = "return {KEYS[1], ARGV[1], ARGV[2], #KEYS, #ARGV, 'x\0y\xff'}";
  static const char *const argv[] = {"k\0\r\n\xff", "\0", NULL};
  static const size_t len[] = {5, 1, 0};
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
  pmx_script *script = pmx_script_new(lua, sizeof lua - 1);

  for (int i = 0; i < 2; i++) {
    pmx_reply *reply = pmx_script_run(client, NULL, script, 1, 3, argv, len);
    size_t n;

    ck_assert_msg(pmx_reply_len(reply) == 6, "%s", pmx_reply_error(reply));
    ck_assert_mem_eq(pmx_reply_str(pmx_reply_at(reply, 0), &n), argv[0], 5);
    ck_assert_uint_eq(n, 5);
    ck_assert_mem_eq(pmx_reply_str(pmx_reply_at(reply, 1), &n), argv[1], 1);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(pmx_reply_str(pmx_reply_at(reply, 2), &n), "");
    ck_assert_int_eq(pmx_reply_int(pmx_reply_at(reply, 3), NULL), 1);
    ck_assert_int_eq(pmx_reply_int(pmx_reply_at(reply, 4), NULL), 2);
    ck_assert_mem_eq(pmx_reply_str(pmx_reply_at(reply, 5), &n), "x\0y\xff", 4);
    ck_assert_uint_eq(n, 4);
    pmx_reply_free(reply);
  }
  ck_assert_int_eq(server_calls(server, "eval"), 1);
  pmx_script_free(script);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- servers that forget ---- */

START_TEST(a_forgotten_script_is_sent_again)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
  pmx_script *script = script_of(increment);
  pmx_call call = call_flags(PMX_CALL_NO_RETRY, SOON_MS);
  pmx_call patient = call_flags(PMX_CALL_RETRY_SAFE, SOON_MS);

  for (int i = 1; i <= 4; i++) {
    check_int(run_script(client, &call, script, 1, "n", (char *)NULL), i);
    free(server_command(server, "SCRIPT", "FLUSH", NULL));
  }
  ck_assert_int_eq(server_calls(server, "eval"), 4);
  ck_assert(server_restart(server));
  check_is_ok(pmx_do(client, &patient, "PING", (char *)NULL)); /* it has noticed */
  check_int(run_script(client, &call, script, 1, "n", (char *)NULL), 1);
  check_int(run_script(client, &call, script, 1, "n", (char *)NULL), 2);
  ck_assert_int_eq(server_calls(server, "eval"), 1);
  pmx_script_free(script);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

enum { THREADS = 6, RUNS = 150 };
struct crowd {
  struct server *server;
  pmx_client *client;
  pmx_script *script;
  atomic_int running, failed;
};

static void run_in_crowd(int i, void *arg)
{
  struct crowd *c = arg;

  if (i == THREADS) {
    while (atomic_load(&c->running) > 0)
      free(server_command(c->server, "SCRIPT", "FLUSH", NULL));
    return;
  }
  for (int k = 0; k < RUNS; k++) {
    pmx_reply *reply = run_script(c->client, NULL, c->script, 1, "n", (char *)NULL);

    if (!pmx_ok(reply) && atomic_fetch_add(&c->failed, 1) == 0)
      printf("a run failed: %s\n", pmx_reply_error(reply));
    pmx_reply_free(reply);
  }
  atomic_fetch_sub(&c->running, 1);
}

START_TEST(many_threads_run_one_script_while_it_is_forgotten_all_the_time)
{
  struct crowd c;

  memset(&c, 0, sizeof c);
  c.server = server_start(NULL);
  c.client = open_client(ways[_i].strategy, url_for(&ways[_i], c.server), (char *)NULL);
  c.script = script_of(increment);
  atomic_store(&c.running, THREADS);
  run_threads(THREADS + 1, run_in_crowd, &c);
  ck_assert_int_eq(atomic_load(&c.failed), 0);
  ck_assert_int_eq(server_integer(c.server, "GET", "n", NULL), THREADS * RUNS);
  ck_assert_int_gt(server_calls(c.server, "eval"), 1);
  pmx_script_free(c.script);
  close_client(c.client);
  ck_assert(server_stop(c.server));
}
END_TEST

/* ---- scripts that say it themselves ---- */

/* Each counts itself first. `loaded`: by somebody else, before we run it. */
static const struct liar {
  const char *lua, *argument, *says;
  bool loaded;
} liars[] = {
    {"redis.call('INCR', KEYS[1]) return redis.error_reply('" MISSING "')", NULL, MISSING, false},
    {"redis.call('INCR', KEYS[1]) return redis.error_reply('" MISSING "')", NULL, MISSING, true},
    {"redis.call('INCR', KEYS[1]) return {err = '" MISSING "'}", NULL, MISSING, true},
    {"redis.call('INCR', KEYS[1]) return redis.error_reply(ARGV[1])", MISSING, MISSING, false},
    {"redis.call('INCR', KEYS[1]) return redis.error_reply(ARGV[1])", MISSING, MISSING, true},
    {"redis.call('INCR', KEYS[1]) return {[ARGV[1]] = 'NO' .. 'SCRIPT No matching script. Please "
     "use EVAL.'}",
     "err", MISSING, false},
    {"redis.call('INCR', KEYS[1]) error('NO' .. 'SCRIPT No matching script. Please use EVAL.')",
     NULL, "matching", true},
    {"redis.call('INCR', KEYS[1]) error({err = 'NO' .. 'SCRIPT No matching script. Please use "
     "EVAL.'})",
     NULL, "matching", false},
    {"redis.call('INCR', KEYS[1]) return redis.call('EVALSHA', string.rep('0', 40), 0)", NULL, "",
     true},
    {"redis.call('INCR', KEYS[1]) return redis.pcall('EVALSHA', string.rep('0', 40), 0)", NULL, "",
     true},
};
enum { LIES = 3 };

static void run_liar(const struct way *way, const struct liar *liar)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(way->strategy, url_for(way, server), (char *)NULL);
  pmx_script *script = script_of(liar->lua);

  if (liar->loaded)
    free(server_command(server, "SCRIPT", "LOAD", liar->lua, NULL));
  for (int i = 1; i <= LIES; i++) {
    pmx_reply *reply = run_script(client, NULL, script, 1, "n", liar->argument, (char *)NULL);

    ck_assert_msg(pmx_reply_status(reply) == PMX_SERVER_ERROR, "%s", pmx_reply_error(reply));
    ck_assert_msg(strstr(pmx_reply_error(reply), liar->says) != NULL, "%s", pmx_reply_error(reply));
    ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
    pmx_reply_free(reply);
    ck_assert_msg(server_integer(server, "GET", "n", NULL) == i, "%s has run %lld times, not %d",
                  liar->lua, (long long)server_integer(server, "GET", "n", NULL), i);
  }
  pmx_script_free(script);
  close_client(client);
  ck_assert(server_stop(server));
}

START_TEST(a_script_that_says_it_is_unknown_runs_once)
{
  for (size_t i = 0; i < sizeof liars / sizeof liars[0]; i++)
    run_liar(&(const struct way){strategies[_i], OVER_UNIX}, &liars[i]);
}
END_TEST

/* ---- what is wrong with a call ---- */

START_TEST(bad_arguments_are_named)
{
  static const char *const argv[] = {"k", "a", NULL};
  static const size_t len[] = {1, 1, 1};
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_UNIX),
                                   "request.max_size", "1KiB", (char *)NULL);
  pmx_script *script = script_of(increment), *none = pmx_script_new(NULL, 7);
  char *large = harness_alloc(1025);
  pmx_script *big = script_of(memset(large, ' ', 1024));
  pmx_call call = call_flags(1 << 20, 100);
  uint64_t before = stats_of(client).invalid;

  check_fails_saying(pmx_script_run(client, NULL, script, -1, 2, argv, len), PMX_INVALID,
                     PMX_CAUSE_NONE, "nkeys", "-1", "0 to 2", (char *)NULL);
  check_fails_saying(pmx_script_run(client, NULL, script, 3, 2, argv, len), PMX_INVALID,
                     PMX_CAUSE_NONE, "nkeys", "3", "0 to 2", (char *)NULL);
  check_fails_saying(pmx_script_run(client, NULL, script, 0, -2, argv, len), PMX_INVALID,
                     PMX_CAUSE_NONE, "argc", "-2", "0 or more", (char *)NULL);
  check_fails_saying(pmx_script_run(client, NULL, script, 1, 1, NULL, len), PMX_INVALID,
                     PMX_CAUSE_NONE, "argv", "NULL", "0", (char *)NULL);
  check_fails_saying(pmx_script_run(client, NULL, script, 1, 3, argv, len), PMX_INVALID,
                     PMX_CAUSE_NONE, "argument 2", "NULL", (char *)NULL);
  check_fails_saying(pmx_script_run(client, NULL, none, 1, 2, argv, len), PMX_INVALID,
                     PMX_CAUSE_NONE, "lua", "NULL", (char *)NULL);
  check_fails_saying(pmx_script_run(client, &call, script, 1, 2, argv, len), PMX_INVALID,
                     PMX_CAUSE_NONE, "flags", (char *)NULL);
  check_fails_saying(pmx_script_run(client, NULL, big, 0, 0, NULL, NULL), PMX_INVALID,
                     PMX_CAUSE_TOO_LARGE, "request.max_size", (char *)NULL);
  ck_assert_uint_eq(stats_of(client).invalid - before, 8);
  check_fails_saying(pmx_script_run(NULL, NULL, script, 1, 2, argv, len), PMX_INVALID,
                     PMX_CAUSE_NONE, "client", "NULL", (char *)NULL);
  check_fails(pmx_script_run(client, NULL, NULL, 1, 2, argv, len), PMX_NOMEM, PMX_CAUSE_NONE);
  check_int(pmx_script_run(client, NULL, script, 1, 2, argv, len), 1);
  pmx_script_free(script);
  pmx_script_free(none);
  pmx_script_free(big);
  pmx_script_free(NULL);
  free(large);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("scripts");

  server_require("scripts");
  add_for_ways(tc, a_script_is_sent_once_and_then_its_hash);
  add_for_ways(tc, the_hash_is_the_one_the_server_computes);
  add_for_ways(tc, scripts_keys_and_arguments_may_have_any_bytes);
  add_for_ways(tc, a_forgotten_script_is_sent_again);
  add_for_ways(tc, many_threads_run_one_script_while_it_is_forgotten_all_the_time);
  add_for_strategies(tc, a_script_that_says_it_is_unknown_runs_once);
  add_for_strategies(tc, bad_arguments_are_named);
  return checks_run("scripts", tc);
}
