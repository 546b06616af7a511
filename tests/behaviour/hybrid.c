/* SPDX-License-Identifier: BSD-3-Clause */
/* hybrid.c - each command on the connection it needs: what blocks, holds up, is large or unknown
 * does not share one with others, what only looks like it does, and neither part delays the other.
 */
#include "behaviour/behaviour.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "behaviour/leasing.h"
#include "harness/checks.h"

static pmx_client *open_hybrid(struct server *server, int i)
{
  return open_client("hybrid", server_url_over(server, (enum over)i), "pool.max_size", "4", NULL);
}

/* The command as it is, in lower case, in upper case. */
static pmx_future *submit_turned(pmx_client *client, const char *command, int variant)
{
  char text[200], *word, *rest;
  const char *argv[16];
  int argc = 0;

  snprintf(text, sizeof text, "%s", command);
  for (char *c = text; *c && variant; c++) {
    if (variant == 1 && *c >= 'A' && *c <= 'Z')
      *c = (char)(*c - 'A' + 'a');
    if (variant == 2 && *c >= 'a' && *c <= 'z')
      *c = (char)(*c - 'a' + 'A');
  }
  for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
    argv[argc++] = word;
  return pmx_submit_argv(client, NULL, argc, argv, NULL);
}

/* What each waits for comes when `serve` is sent. Names are such that case does not change them. */
static const struct {
  const char *command, *serve;
} blocking[] = {
    {"BLPOP 1 30", "RPUSH 1 x"},
    {"BLPOP 2 3 1 0", "RPUSH 1 x"},
    {"BLPOP BLPOP 1 0x1E", "RPUSH 1 x"},
    {"BRPOP 1 0.3e2", "RPUSH 1 x"},
    {"BRPOPLPUSH 1 2 30", "RPUSH 1 x"},
    {"BLMOVE 1 2 LEFT RIGHT 30", "RPUSH 1 x"},
    {"BLMPOP 30 1 1 LEFT", "RPUSH 1 x"},
    {"BLMPOP 30 2 2 1 RIGHT COUNT 3", "RPUSH 1 x"},
    {"BZPOPMIN 5 30", "ZADD 5 1 x"},
    {"BZPOPMAX 4 5 30", "ZADD 5 1 x"},
    {"BZMPOP 30 2 4 5 MIN", "ZADD 5 1 x"},
    {"BZMPOP 0 1 5 MAX COUNT 2", "ZADD 5 1 x"},
    {"XREAD BLOCK 30000 STREAMS 7 $", "XADD 7 * f v"},
    {"XREAD COUNT 2 BLOCK 30000 STREAMS 7 8 $ $", "XADD 7 * f v"},
    {"XREAD BLOCK 30000 COUNT 2 STREAMS 7 $", "XADD 7 * f v"},
    {"XREADGROUP GROUP 9 9 BLOCK 30000 STREAMS 7 >", "XADD 7 * f v"},
    {"XREADGROUP BLOCK 30000 GROUP 9 9 NOACK STREAMS 7 >", "XADD 7 * f v"},
    {"XREADGROUP GROUP 9 9 NOACK COUNT 1 BLOCK 0 STREAMS 7 >", "XADD 7 * f v"},
};
enum { BLOCKING = sizeof blocking / sizeof *blocking };

/* The GETs are answered while the blocked one still waits. */
START_TEST(a_blocking_command_delays_nobody)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_hybrid(server, _i / (3 * BLOCKING));
  int form = _i / 3 % BLOCKING;
  int64_t id = client_id(client);
  pmx_future *future;
  pmx_reply *reply;

  check_is_ok(pmx_command(client, "XGROUP CREATE 7 9 $ MKSTREAM"));
  future = submit_turned(client, blocking[form].command, _i % 3);
  ck_assert_msg(server_has(server, "blocked_clients", 1, SOON_MS), "%s does not block",
                blocking[form].command);
  for (int i = 0; i < 20; i++)
    check_is_ok(pmx_command(client, "SET k v"));
  ck_assert_int_eq(client_id(client), id);
  ck_assert_int_eq(server_info(server, "blocked_clients"), 1);
  ck_assert_int_eq(pmx_future_wait(future, 0), 0);
  check_is_ok(call_words(client, blocking[form].serve));
  reply = pmx_future_take(future);
  ck_assert_msg(pmx_ok(reply) && pmx_reply_type(reply) != PMX_TYPE_NIL, "%s: %s",
                blocking[form].command, pmx_reply_error(reply));
  pmx_reply_free(reply);
  ck_assert_uint_eq(stats_of(client).routed_blocking, 1);
  ck_assert_uint_eq(stats_of(client).borrows, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(what_only_looks_like_it_stays_on_the_lane)
{
  static const char *const decoys[] = {
      "XADD BLOCK 1-1 f v",
      "XREAD COUNT 1 STREAMS BLOCK 0-0",
      "xread count 1 streams block 0-0",
      "XGROUP CREATE BLOCK BLOCK 0",
      "XREADGROUP GROUP BLOCK BLOCK COUNT 1 STREAMS BLOCK >",
      "XREADGROUP GROUP BLOCK c BLOCK 30000 STREAMS BLOCK 0", /* history */
      "LPUSH BLPOP BLPOP",
      "LPOP BLPOP",
      "GET SUBSCRIBE",
      "SET WAIT FLUSHALL",
      "FLUSHDB ASYNC",
      "CLIENT ID",
      "EXISTS WATCH",
  };
  struct server *server = server_start(NULL);
  pmx_client *client = open_hybrid(server, 0);
  int n = sizeof decoys / sizeof *decoys;

  for (int i = 0; i < n; i++) {
    pmx_reply *reply = call_words(client, decoys[i]);

    ck_assert_msg(pmx_ok(reply), "%s: %s", decoys[i], pmx_reply_error(reply));
    pmx_reply_free(reply);
  }
  ck_assert_uint_eq(stats_of(client).lane_requests, (uint64_t)n + 1); /* and pmx_open's */
  ck_assert_uint_eq(stats_of(client).borrows, 0);
  ck_assert_uint_eq(stats_of(client).opened, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static void explain_words(pmx_client *client, const char *command, char *buf, size_t size)
{
  char text[200], *word, *rest;
  const char *argv[16];
  int argc = 0;

  snprintf(text, sizeof text, "%s", command);
  for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
    argv[argc++] = word;
  ck_assert_uint_lt(pmx_explain(client, argc, argv, NULL, buf, size), size);
}

/* Each counts for its reason, and explains itself with the place it goes to. */
START_TEST(every_reason_is_counted_and_explained)
{
  static const struct {
    const char *command;
    size_t counter;
    const char *explained;
  } cases[] = {
      {"FLUSHALL", offsetof(pmx_stats, routed_parking), "dedicated: FLUSHALL may hold up"},
      {"flushdb sync", offsetof(pmx_stats, routed_parking), "dedicated: FLUSHDB may hold up"},
      {"COMMAND INFO GET", offsetof(pmx_stats, routed_large), "dedicated: COMMAND INFO is"},
      {"CLIENT UNBLOCK 1000000", offsetof(pmx_stats, routed_control), "control: CLIENT UNBLOCK"},
      {"BLPOP none 0.001", offsetof(pmx_stats, routed_blocking), "dedicated: BLPOP blocks for up"},
      {"GET k", offsetof(pmx_stats, lane_requests), "lane: GET is an ordinary command"},
  };
  struct server *server = server_start(NULL);
  pmx_client *client = open_hybrid(server, 0);
  char text[200];

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmx_stats before = stats_of(client), after;
    const char *word[] = {cases[i].command};
    size_t expected = strlen(cases[i].explained);

    check_is_ok(call_words(client, cases[i].command));
    after = stats_of(client);
    ck_assert_uint_eq(*(uint64_t *)((char *)&after + cases[i].counter),
                      *(uint64_t *)((char *)&before + cases[i].counter) + 1);
    explain_words(client, cases[i].command, text, sizeof text);
    ck_assert_msg(strncmp(text, cases[i].explained, expected) == 0, "%s: %s", *word, text);
  }
  explain_words(client, "MULTI", text, sizeof text);
  ck_assert_ptr_nonnull(strstr(text, "refused: MULTI needs a connection of its own"));
  explain_words(client, "SUBSCRIBE c", text, sizeof text);
  ck_assert_int_eq(strncmp(text, "refused: ", 9), 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(large_requests_leave_the_lane)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_hybrid(server, _i);
  size_t size = 64 * 1024;
  char *value = calloc(1, size);
  int64_t id = client_id(client);

  check_is_ok(pmx_command(client, "SET k %b", value, size - 100));
  ck_assert_uint_eq(stats_of(client).borrows, 0);
  check_is_ok(pmx_command(client, "SET k %b", value, size));
  ck_assert_uint_eq(stats_of(client).borrows, 1);
  ck_assert_uint_eq(stats_of(client).routed_large, 1);
  ck_assert_int_eq(client_id(client), id);
  free(value);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* A script that runs for ever holds the lane up, and the whole server. */
START_TEST(a_script_is_killed_though_the_lane_is_behind_it)
{
  static const char *const config[] = {"--busy-reply-threshold", "1", NULL};
  struct server *server = server_start(&(struct server_options){.config = config});
  pmx_client *client = open_hybrid(server, _i);
  pmx_call call = call_in(30000);
  pmx_future *script = pmx_submit(client, &call, "EVAL %s 0", "while true do end");
  pmx_future *behind;
  pmx_reply *reply;

  while (stats_of(client).in_flight == 0)
    ;
  behind = pmx_submit(client, &call, "SET k v");
  /* Until the script has begun, nothing is there to be killed. */
  do {
    reply = pmx_command_call(client, &call, "SCRIPT KILL");
    if (!pmx_ok(reply))
      ck_assert_str_eq(pmx_reply_error_code(reply), "NOTBUSY");
  } while (pmx_reply_finish(reply) != PMX_OK);
  reply = pmx_future_take(script);
  ck_assert_int_eq(pmx_reply_status(reply), PMX_SERVER_ERROR);
  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), "killed"));
  pmx_reply_free(reply);
  reply = pmx_future_take(behind);
  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  pmx_reply_free(reply);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static const struct {
  const char *learn;
  bool counts, moves;
} learning[] = {{"off", false, false}, {"observe", true, false}, {"on", true, true}};

START_TEST(what_is_answered_with_much_is_noticed)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client("hybrid", server_url(server, SERVER_TCP), "hybrid.learn",
                                   learning[_i].learn, NULL);

  check_is_ok(pmx_command(client, "SETRANGE large 100000 x"));
  check_is_ok(pmx_command(client, "SET small x"));
  for (int i = 0; i < 10; i++) {
    check_is_ok(pmx_command(client, "GET large"));
    check_is_ok(pmx_command(client, "GET small"));
    check_is_ok(pmx_future_take(pmx_submit(client, NULL, "GET large")));
  }
  ck_assert_uint_eq(stats_of(client).routed_learned, learning[_i].counts ? 18 : 0);
  ck_assert_uint_eq(stats_of(client).borrows, learning[_i].moves ? 18 : 0);
  check_is_ok(pmx_command(client, "SET large x"));
  for (int i = 0; i < 30; i++)
    check_is_ok(pmx_command(client, "GET large"));
  ck_assert_uint_eq(stats_of(client).routed_learned, learning[_i].counts ? 18 + 16 : 0);
  ck_assert_uint_eq(stats_of(client).borrows, learning[_i].moves ? 18 + 16 : 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- neither part delays the other ---- */

START_TEST(an_exhausted_pool_says_so_and_delays_no_lane)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client("hybrid", server_url_over(server, (enum over)_i), "pool.max_size",
                                   "64", "pool.name", "blockers", NULL);
  pmx_future *blocked[64];
  pmx_reply *reply;
  int64_t begun;

  for (int i = 0; i < 64; i++)
    blocked[i] = pmx_submit(client, NULL, "BLPOP list 0");
  ck_assert(server_has(server, "blocked_clients", 64, SOON_MS));
  begun = now_ms();
  reply = pmx_command(client, "BLPOP list 0");
  ck_assert_int_ge(now_ms() - begun, 990); /* pool.wait_timeout */
  check_says(reply, "pool blockers: ");
  check_says(reply, "in use 64");
  check_says(reply, "max 64");
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  for (int i = 0; i < 200; i++)
    check_is_ok(pmx_command(client, "SET k v"));
  ck_assert_uint_eq(stats_of(client).not_run, 1);
  for (int i = 0; i < 64; i++)
    check_is_ok(pmx_command(client, "RPUSH list %d", i));
  for (int i = 0; i < 64; i++)
    check_is_ok(pmx_future_take(blocked[i]));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* Answers on the first connection, the lane's, nothing but the handshake. */
static int silent_lane(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (fake_conn_index(conn) == 0 && strcasecmp(argv[0], "GET") == 0)
    return 0;
  return answer_values(ud, conn, argc, argv, len);
}

START_TEST(a_lane_that_hangs_delays_no_pooled_connection)
{
  struct fake *fake = fake_for(&(struct way){"hybrid", (enum over)_i}, silent_lane, NULL);
  pmx_client *client = open_client("hybrid", fake_url(fake), NULL);
  pmx_call own = call_flags(PMX_CALL_DEDICATED, 5000), brief = call_in(2000);
  pmx_future *hanging = pmx_submit(client, &brief, "GET k");

  ck_assert(fake_wait_seen(fake, "GET", 1, SOON_MS));
  for (int i = 0; i < 50; i++)
    check_value(pmx_command_call(client, &own, "GET key"), "key");
  ck_assert_int_eq(pmx_future_wait(hanging, 0), 0);
  check_fails(pmx_future_take(hanging), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- flags ---- */

static void check_refused(pmx_client *client, uint64_t flags, const char *command, const char *why)
{
  pmx_call call = call_flags(flags, 1000);
  pmx_reply *reply = pmx_command_call(client, &call, command);

  ck_assert_msg(strstr(pmx_reply_error(reply), why) != NULL, "%s: %s", command,
                pmx_reply_error(reply));
  check_outcome(reply, PMX_INVALID,
                flags == (PMX_CALL_DEDICATED | PMX_CALL_SHARED) ? PMX_CAUSE_NONE
                                                                : PMX_CAUSE_UNSUPPORTED,
                __FILE__, __LINE__);
}

START_TEST(flags_say_where_a_call_goes)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_hybrid(server, _i);
  pmx_call own = call_flags(PMX_CALL_DEDICATED, 5000), shared = call_flags(PMX_CALL_SHARED, 5000);
  int64_t id = client_id(client);
  pmx_reply *reply;

  reply = pmx_command_call(client, &own, "CLIENT ID");
  ck_assert_int_ne(pmx_reply_int(reply, NULL), id);
  pmx_reply_free(reply);
  check_int(pmx_command_call(client, &shared, "CLIENT ID"), id);
  ck_assert_uint_eq(stats_of(client).routed_asked, 2);
  check_refused(client, PMX_CALL_SHARED, "BLPOP k 1", "would stall every other caller");
  check_refused(client, PMX_CALL_SHARED, "FLUSHALL", "would stall every other caller");
  check_refused(client, PMX_CALL_SHARED, "MULTI", "pmx_acquire()");
  check_refused(client, PMX_CALL_SHARED | PMX_CALL_DEDICATED, "GET k", "contradict");
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(other_strategies_refuse_the_flag_they_cannot_honour)
{
  struct server *server = server_start(NULL);
  pmx_client *pool = open_client("pool", server_url(server, SERVER_TCP), NULL);
  pmx_client *mux = open_client("mux", server_url(server, SERVER_TCP), NULL);
  pmx_call own = call_flags(PMX_CALL_DEDICATED, 5000), shared = call_flags(PMX_CALL_SHARED, 5000);
  pmx_lease *lease = take(pool);

  check_is_ok(pmx_command_call(pool, &own, "SET k v"));
  check_is_ok(pmx_command_call(mux, &shared, "SET k v"));
  check_is_ok(pmx_lease_command(lease, &own, "SET k v"));
  check_refused(pool, PMX_CALL_SHARED, "GET k", "strategy=hybrid");
  check_refused(mux, PMX_CALL_DEDICATED, "GET k", "strategy=hybrid");
  check_fails(pmx_lease_command(lease, &shared, "GET k"), PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  give_back(lease);
  close_client(pool);
  close_client(mux);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("hybrid");

  server_require("hybrid");
  tcase_add_loop_test(tc, a_blocking_command_delays_nobody, 0, 3 * 3 * BLOCKING);
  tcase_add_test(tc, what_only_looks_like_it_stays_on_the_lane);
  tcase_add_test(tc, every_reason_is_counted_and_explained);
  tcase_add_loop_test(tc, what_is_answered_with_much_is_noticed, 0, 3);
  tcase_add_loop_test(tc, large_requests_leave_the_lane, 0, 3);
  tcase_add_loop_test(tc, a_script_is_killed_though_the_lane_is_behind_it, 0, 3);
  tcase_add_loop_test(tc, an_exhausted_pool_says_so_and_delays_no_lane, 0, 3);
  tcase_add_loop_test(tc, a_lane_that_hangs_delays_no_pooled_connection, 0, 3);
  tcase_add_loop_test(tc, flags_say_where_a_call_goes, 0, 3);
  tcase_add_test(tc, other_strategies_refuse_the_flag_they_cannot_honour);
  return checks_run("hybrid", tc);
}
