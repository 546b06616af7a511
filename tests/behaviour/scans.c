/* SPDX-License-Identifier: BSD-3-Clause */
/* scans.c - scans on a real server: complete, whatever they go through, of any bytes, also while
 * connections are killed; and what is said about bad arguments. */
#include <check.h>
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "behaviour/forking.h"
#include "behaviour/leasing.h"
#include "behaviour/scripting.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { MANY = 10500 };

/* ---- collections ---- */

static const struct collection {
  const char *command, *key, *fill; /* a script's loop body over i */
  bool pairs;
} collections[] = {
    {NULL, NULL, "redis.call('SET', 'e' .. i, i)", false},
    {"scan", NULL, "redis.call('SET', 'e' .. i, i)", false},
    {"HSCAN", "c", "redis.call('HSET', 'c', 'e' .. i, i)", true},
    {"SSCAN", "c", "redis.call('SADD', 'c', 'e' .. i)", false},
    {"zscan", "c", "redis.call('ZADD', 'c', i, 'e' .. i)", true},
};
enum { COLLECTIONS = sizeof collections / sizeof collections[0] };

static void fill(struct server *server, const struct collection *c)
{
  char lua[128], *answer;

  snprintf(lua, sizeof lua, "for i = 0, ARGV[1] - 1 do %s end return 1", c->fill);
  answer = server_command(server, "EVAL", lua, "0", "10500", NULL);
  ck_assert_str_eq(answer, "1");
  free(answer);
}

/* Which of the elements it is. */
static long number_of(const pmx_reply *name)
{
  const char *text = pmx_reply_str(name, NULL);
  char *end;
  long i;

  ck_assert_msg(text && text[0] == 'e', "\"%s\" is no element", text ? text : "(none)");
  i = strtol(text + 1, &end, 10);
  ck_assert_msg(*end == '\0' && i >= 0 && i < MANY, "\"%s\" is no element", text);
  return i;
}

static void tick_off(const struct collection *c, const pmx_reply *element, unsigned char *seen)
{
  const pmx_reply *name = c->pairs ? pmx_reply_at(element, 0) : element;
  long i = number_of(name);

  if (c->pairs) {
    ck_assert_int_eq(pmx_reply_type(element), PMX_TYPE_ARRAY);
    ck_assert_uint_eq(pmx_reply_len(element), 2);
    ck_assert_int_eq(pmx_reply_int(pmx_reply_at(element, 1), NULL), i);
  }
  seen[i] = 1;
}

static void check_all_seen(const unsigned char *seen)
{
  for (int i = 0; i < MANY; i++)
    ck_assert_msg(seen[i], "e%d is missing", i);
}

START_TEST(every_element_comes)
{
  for (int i = 0; i < COLLECTIONS; i++) {
    const struct collection *c = &collections[i];
    struct server *server = server_start(NULL);
    pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
    pmx_scan *scan = scan_of(client, c->command, c->key, NULL, i % 2 ? 0 : 500);
    unsigned char *seen = harness_alloc(MANY);
    const pmx_reply *element;

    fill(server, c);
    while ((element = next_of(scan)))
      tick_off(c, element, seen);
    check_all_seen(seen);
    pmx_scan_free(scan);
    free(seen);
    close_client(client);
    ck_assert(server_stop(server));
  }
}
END_TEST

/* ---- pages ---- */

START_TEST(empty_pages_are_passed_over_in_one_call_and_the_end_asks_nobody)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
  pmx_scan *scan = scan_of(client, "SCAN", NULL, "e10???", 0);
  uint64_t calls;
  int64_t asked;
  int n = 0;

  fill(server, &collections[0]);
  calls = stats_of(client).commands;
  asked = server_calls(server, "scan");
  while (next_of(scan))
    n++;
  ck_assert_int_ge(n, 500); /* e10000 to e10499 */
  calls = stats_of(client).commands - calls;
  asked = server_calls(server, "scan") - asked;
  ck_assert_uint_le(calls, (unsigned)n + 1);
  ck_assert_int_gt(asked, (int64_t)calls); /* some had no element */
  calls = stats_of(client).commands;
  asked = server_commands(server);
  for (int i = 0; i < 3; i++)
    ck_assert_ptr_null(next_of(scan));
  ck_assert_uint_eq(stats_of(client).commands, calls);
  ck_assert_int_eq(server_commands(server), asked);
  pmx_scan_free(scan);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(what_is_empty_ends_at_once)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);

  for (int i = 0; i < COLLECTIONS; i++) {
    pmx_scan *scan = scan_of(client, collections[i].command, collections[i].key, NULL, 0);

    ck_assert_ptr_null(next_of(scan));
    pmx_scan_free(scan);
  }
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- bytes, and who owns them ---- */

START_TEST(keys_patterns_and_elements_may_have_any_bytes)
{
  static const char key[] = "k\0\r\n\xff", match[] = "\0*\xff";
  static const char *const argv[] = {"HSET", key, "\0\r\n\xff", "\xff\0", "other", ""};
  static const size_t len[] = {4, 5, 4, 2, 5, 0};
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
  pmx_scan *scan = pmx_scan_new(client, "HSCAN", key, 5, match, 3, 0);
  const pmx_reply *pair;
  size_t n;

  check_int(pmx_argv(client, NULL, 6, argv, len), 2);
  pair = next_of(scan);
  ck_assert_mem_eq(pmx_reply_str(pmx_reply_at(pair, 0), &n), "\0\r\n\xff", 4);
  ck_assert_uint_eq(n, 4);
  ck_assert_mem_eq(pmx_reply_str(pmx_reply_at(pair, 1), &n), "\xff\0", 2);
  ck_assert_uint_eq(n, 2);
  ck_assert_ptr_null(next_of(scan));
  pmx_scan_free(scan);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(an_element_that_is_kept_outlives_its_scan_and_the_scan_keeps_its_client)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
  pmx_scan *scan = scan_of(client, "HSCAN", "c", NULL, 10);
  pmx_reply *kept[2];

  fill(server, &collections[2]);
  pmx_unref(client);
  kept[0] = pmx_reply_ref(next_of(scan));
  kept[1] = pmx_reply_ref(next_of(scan));
  for (int i = 0; i < 100; i++)
    ck_assert_ptr_nonnull(next_of(scan));
  pmx_scan_free(scan);
  pmx_scan_free(NULL);
  ck_assert(server_has(server, "connected_clients", 1, SOON_MS)); /* the harness' own */
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(number_of(pmx_reply_at(kept[i], 0)),
                     pmx_reply_int(pmx_reply_at(kept[i], 1), NULL));
    pmx_reply_free(kept[i]);
  }
  ck_assert(server_stop(server));
}
END_TEST

/* ---- faults ---- */

START_TEST(a_scan_survives_connections_that_are_killed)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
  const struct collection *c = &collections[4];
  pmx_scan *scan = scan_of(client, c->command, c->key, NULL, 200);
  unsigned char *seen = harness_alloc(MANY);
  const pmx_reply *element;
  int n = 0, killed = 0;

  fill(server, c);
  while ((element = next_of(scan))) {
    tick_off(c, element, seen);
    if (n++ % 1500 == 0)
      killed += server_kill_clients(server) > 0;
  }
  check_all_seen(seen);
  ck_assert_int_ge(killed, 5);
  pmx_scan_free(scan);
  free(seen);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_scan_goes_on_after_a_failure)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
  pmx_scan *scan = scan_of(client, "SSCAN", "c", NULL, 0);
  pmx_reply *err;
  int n = 0;

  free(server_command(server, "SET", "c", "no set", NULL));
  for (int i = 0; i < 2; i++) {
    ck_assert_ptr_null(pmx_scan_next(scan, NULL, &err));
    ck_assert_str_eq(pmx_reply_error_code(err), "WRONGTYPE");
    check_fails(err, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  }
  ck_assert_ptr_null(pmx_scan_next(scan, NULL, NULL));
  free(server_command(server, "DEL", "c", NULL));
  free(server_command(server, "SADD", "c", "x", "y", NULL));
  while (next_of(scan))
    n++;
  ck_assert_int_eq(n, 2);
  pmx_scan_free(scan);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_scan_goes_on_in_the_child_of_a_fork)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL);
  const struct collection *c = &collections[0];
  pmx_scan *scan = scan_of(client, c->command, c->key, NULL, 100);
  unsigned char *seen = harness_alloc(MANY);
  const pmx_reply *element;
  pid_t child;

  fill(server, c);
  tick_off(c, next_of(scan), seen);
  child = fork_asleep();
  if (child == 0) {
    int n = 1;
    pmx_reply *err;

    child_begin();
    while (pmx_scan_next(scan, NULL, &err))
      n++;
    must(err == NULL, "no page fails");
    must(n >= MANY, "all elements come");
    _exit(0);
  }
  while ((element = next_of(scan)))
    tick_off(c, element, seen);
  check_all_seen(seen);
  reap(&child);
  pmx_scan_free(scan);
  free(seen);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- at the same time ---- */

enum { SCANNERS = 6 };
struct scanners {
  pmx_client *client;
  int missing[SCANNERS];
};

static void go_through(int i, void *arg)
{
  struct scanners *s = arg;
  const struct collection *c = &collections[2];
  pmx_scan *scan = scan_of(s->client, c->command, c->key, NULL, 50 + 100 * i);
  unsigned char *seen = harness_alloc(MANY);
  const pmx_reply *pair;

  while ((pair = pmx_scan_next(scan, NULL, NULL)))
    seen[number_of(pmx_reply_at(pair, 0))] = 1;
  for (int k = 0; k < MANY; k++)
    s->missing[i] += !seen[k];
  free(seen);
  pmx_scan_free(scan);
}

START_TEST(many_scans_go_on_at_the_same_time)
{
  struct server *server = server_start(NULL);
  struct scanners s = {
      .client = open_client(ways[_i].strategy, url_for(&ways[_i], server), (char *)NULL)};

  fill(server, &collections[2]);
  run_threads(SCANNERS, go_through, &s);
  for (int i = 0; i < SCANNERS; i++)
    ck_assert_int_eq(s.missing[i], 0);
  close_client(s.client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- what is wrong with a scan ---- */

static void check_bad(pmx_scan *scan, const char *name, const char *value, const char *valid)
{
  pmx_reply *err;

  ck_assert_ptr_nonnull(scan);
  for (int i = 0; i < 2; i++) {
    ck_assert_ptr_null(pmx_scan_next(scan, NULL, &err));
    check_fails_saying(err, PMX_INVALID, PMX_CAUSE_NONE, name, value, valid, (char *)NULL);
  }
  pmx_scan_free(scan);
}

START_TEST(bad_arguments_are_named)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_UNIX), (char *)NULL);
  pmx_call call = call_flags(1 << 20, 100);
  pmx_scan *scan = scan_of(client, NULL, NULL, NULL, 0);
  uint64_t before = stats_of(client).invalid;
  pmx_reply *err;

  check_bad(scan_of(client, "KEYS", NULL, NULL, 0), "command", "KEYS", "HSCAN");
  check_bad(scan_of(client, "", NULL, NULL, 0), "command", "\"\"", "HSCAN");
  check_bad(scan_of(client, "HSCAN", NULL, NULL, 0), "key", "NULL", "hash");
  check_bad(scan_of(client, "zscan", NULL, NULL, 0), "key", "NULL", "sorted set");
  check_bad(scan_of(client, "SCAN", "k", NULL, 0), "key", "\"k\"", "NULL");
  check_bad(scan_of(client, NULL, NULL, NULL, -1), "count", "-1", "0");
  ck_assert_uint_eq(stats_of(client).invalid - before, 12);
  check_bad(scan_of(NULL, NULL, NULL, NULL, 0), "client", "NULL", "");
  ck_assert_ptr_null(pmx_scan_next(scan, &call, &err));
  check_fails_saying(err, PMX_INVALID, PMX_CAUSE_NONE, "flags", (char *)NULL);
  ck_assert_ptr_null(next_of(scan)); /* the scan itself is good */
  ck_assert_ptr_null(pmx_scan_next(NULL, NULL, &err));
  check_fails(err, PMX_NOMEM, PMX_CAUSE_NONE);
  pmx_scan_free(scan);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("scans");

  ways_brief();
  server_require("scans");
  tcase_add_checked_fixture(tc, note_test_pid, NULL);
  add_for_ways(tc, every_element_comes);
  add_for_ways(tc, empty_pages_are_passed_over_in_one_call_and_the_end_asks_nobody);
  add_for_ways(tc, what_is_empty_ends_at_once);
  add_for_ways(tc, keys_patterns_and_elements_may_have_any_bytes);
  add_for_ways(tc, an_element_that_is_kept_outlives_its_scan_and_the_scan_keeps_its_client);
  add_for_ways(tc, a_scan_survives_connections_that_are_killed);
  add_for_ways(tc, a_scan_goes_on_after_a_failure);
  add_for_ways(tc, a_scan_goes_on_in_the_child_of_a_fork);
  add_for_ways(tc, many_scans_go_on_at_the_same_time);
  add_for_strategies(tc, bad_arguments_are_named);
  return checks_run("scans", tc);
}
