/* SPDX-License-Identifier: BSD-3-Clause */
/* rogue.c - connections that are out of step with their server are never used again: a command that
 * was written in part, bytes that nobody asked for. */
#include "behaviour.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/checks.h"

enum { BIG = 8 * 1024 * 1024 };

/* ---- partial writes ---- */

static pmx_reply *set_big(pmx_client *client, uint64_t flags, int64_t timeout_ms)
{
  const char *argv[] = {"SET", "big", harness_alloc(BIG)};
  const size_t len[] = {3, 3, BIG};
  pmx_call call = call_flags(flags, timeout_ms);
  pmx_reply *reply = pmx_argv(client, &call, 3, argv, len);

  free((void *)(uintptr_t)argv[2]);
  return reply;
}

START_TEST(connection_with_half_a_command_written_is_never_used_again)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", NULL);
  size_t beside;
  int64_t limit;
  pmx_reply *reply;

  get_value_alone(client, "before");
  beside = lane_beside(client);
  fake_stall(fake_conn_at(fake, beside));
  limit = pmx_now_ms() + 200;
  reply = set_big(client, 0, 200);
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_on_time("stuck write", limit);
  ck_assert_uint_eq(stats_of(client).closed, 1);
  get_value_alone(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 2 + beside);
  fake_resume(fake_conn_at(fake, beside));
  ck_assert(fake_wait_open(fake, 1 + beside, SOON_MS));
  ck_assert_uint_eq(fake_seen(fake, "SET"), 0); /* what came of it was no command */
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static void resume_later(void *arg)
{
  sleep_ms(50);
  fake_resume(arg);
}

/* On the connection with that number, where those flags lead. */
static void get_stuck(const struct way *way, size_t conn, uint64_t flags)
{
  struct fake *fake = fake_for(way, answer_values, NULL);
  pmx_client *client = open_client(way->strategy, fake_url(fake), "pool.max_size", "1", NULL);
  const struct fake_command *command;
  struct background *thread;
  size_t last;

  if (conn > 0)
    get_value_alone(client, "before");
  fake_stall(fake_conn_at(fake, conn));
  thread = background_start(resume_later, fake_conn_at(fake, conn));
  check_is_ok(set_big(client, flags, SOON_MS));
  background_join(thread);
  last = fake_counts(fake).commands - 1;
  command = fake_command(fake, last);
  ck_assert_str_eq(command->argv[0], "SET");
  ck_assert_uint_eq(command->len[2], BIG);
  ck_assert_uint_eq(command->conn, conn);
  get_value(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 1 + conn);
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(write_that_was_stuck_goes_on_when_the_server_reads_again)
{
  if (!strategy_has(ways[_i].strategy, DEDICATES)) {
    get_stuck(&ways[_i], 0, 0);
    return;
  }
  get_stuck(&ways[_i], 0, PMX_CALL_SHARED);
  get_stuck(&ways[_i], 1, 0);
}
END_TEST

/* ---- bytes that nobody asked for ---- */

#define PUSH ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"

struct rogue {
  const char *bytes;
  bool kept_in_resp3;
};

static const struct rogue rogues[] = {
    {"+X\r\n", false},
    {"+", false},
    {"\r\n", false},
    {"$5\r\nhel", false},
    {"*0\r\n", false},
    {"HTTP/1.1 400 Bad Request\r\n", false},
    {PUSH, true},
    {PUSH PUSH, true},
    {PUSH "+X\r\n", false},
    {PUSH PUSH "$-1\r\n", false},
    {PUSH ">2\r\n$10\r\ninv", false},
};
enum { ROGUES = sizeof rogues / sizeof rogues[0] };

static void wait_for_test(void *go, struct fake_conn *conn)
{
  (void)conn;
  while (!atomic_load((atomic_int *)go))
    sleep_ms(1);
}

/* Connection 0 says something while it is idle, once `go` is set; the others behave. */
struct rogue_script {
  atomic_int go;
  struct fake_step steps[5];
  const struct fake_step *scripts[2];
};

static struct fake *start_rogue(const struct rogue *rogue, enum over over,
                                struct rogue_script *script)
{
  static const struct fake_step none[] = {FAKE_END};
  const struct fake_step steps[] = {FAKE_EXPECT("SET"), FAKE_SEND("+OK\r\n"),
                                    FAKE_CALL(wait_for_test),
                                    FAKE_SEND_BYTES(rogue->bytes, strlen(rogue->bytes)), FAKE_END};
  struct fake_options options = {.over = over,
                                 .scripts = script->scripts,
                                 .script_count = 2,
                                 .ud = &script->go,
                                 .handler = answer_values};

  atomic_init(&script->go, 0);
  memcpy(script->steps, steps, sizeof steps);
  script->scripts[0] = script->steps;
  script->scripts[1] = none;
  return fake_start(&options);
}

static void count_pushes(void *ud, const pmx_event *event)
{
  if (event->type == PMX_EVENT_PUSH && strcmp(event->detail, "invalidate") == 0)
    atomic_fetch_add((atomic_int *)ud, 1);
}

static bool is_counted(void *pushes)
{
  return atomic_load((atomic_int *)pushes) > 0;
}

/* Opens a client whose first connection is the one that a call of these flags gets. */
static pmx_client *open_for(const struct way *way, struct fake *fake, uint64_t flags,
                            pmx_options *options)
{
  ck_assert_int_eq(pmx_options_set(options, "strategy", way->strategy), PMX_OK);
  ck_assert_int_eq(pmx_options_set(options, "connect", flags ? "lazy" : "eager"), PMX_OK);
  ck_assert_int_eq(pmx_options_set(options, "pool.max_size", "1"), PMX_OK);
  return open_client_with(fake_url(fake), options);
}

static void try_rogue(const struct way *way, const struct rogue *rogue, uint64_t flags)
{
  bool kept = rogue->kept_in_resp3 && reads_resp3();
  struct rogue_script script;
  struct fake *fake = start_rogue(rogue, way->over, &script);
  pmx_options *options = options_for(way->strategy);
  pmx_call call = call_flags(flags, PMX_DEFAULT);
  atomic_int pushes = 0;
  pmx_client *client;
  pmx_stats stats;

  pmx_options_set_events(options, count_pushes, &pushes);
  client = open_for(way, fake, flags, options);
  check_is_ok(pmx_do(client, &call, "SET", "k", "v", (char *)NULL));
  sleep_ms(20);
  atomic_store(&script.go, 1);
  ck_assert(fake_wait_done(fake, 0, SOON_MS));
  sleep_ms(20); /* a piece of a push has a millisecond to become one */
  check_value(pmx_do(client, &call, "GET", "k", (char *)NULL), "k");
  stats = stats_of(client);
  ck_assert_msg(fake_accepted(fake) == (kept ? 1 : 2), "case %d: %zu connections",
                (int)(rogue - rogues), fake_accepted(fake));
  /* What a pool finds stale, a lane has lost. */
  ck_assert_uint_eq(stats.closed_stale + stats.closed_error, kept ? 0 : 1);
  ck_assert_uint_eq(stats.retries, 0);
  if (kept) {
    ck_assert_uint_eq(stats.pushes, strlen(rogue->bytes) / strlen(PUSH));
    ck_assert(wait_for(is_counted, &pushes, SOON_MS));
  }
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(connection_that_spoke_out_of_turn_while_idle_is_replaced_unless_it_was_a_push)
{
  for (int i = 0; i < ROGUES; i++) {
    try_rogue(&ways[_i], &rogues[i], 0);
    if (strategy_has(ways[_i].strategy, DEDICATES))
      try_rogue(&ways[_i], &rogues[i], PMX_CALL_DEDICATED);
  }
}
END_TEST

/* All PINGs but that of the login are answered late. */
static int answer_pings_late(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (strcasecmp(argv[0], "PING") == 0 && (*(int *)ud)++ > 0)
    fake_delay(conn, 300);
  if (fake_handshake(conn, argc, argv, len) == 0)
    return 0;
  return answer_values(NULL, conn, argc, argv, len);
}

static bool was_looked_at(void *client)
{
  pmx_stats stats = stats_of(client);

  return stats.pings + stats.closed > 0;
}

static void speak_to_keepalive(const struct way *way, uint64_t flags)
{
  int pings = 0;
  struct fake_options fake_options = {
      .over = way->over, .handler = answer_pings_late, .ud = &pings, .manual = true};
  struct fake *fake = fake_start(&fake_options);
  pmx_options *options = options_for(way->strategy);
  pmx_call call = call_flags(flags, PMX_DEFAULT);
  pmx_client *client;
  pmx_reply *reply;

  pmx_options_set(options, "pool.keepalive", "50ms");
  pmx_options_set(options, "mux.keepalive", "50ms");
  client = open_for(way, fake, flags, options);
  if (flags)
    check_is_ok(pmx_do(client, &call, "SET", "k", "v", (char *)NULL));
  fake_send(fake_conn_at(fake, 0), "+X\r\n", 4);
  ck_assert(wait_for(was_looked_at, client, SOON_MS));
  sleep_ms(20);
  reply = pmx_do(client, &call, "SET", "k", "v", (char *)NULL);
  ck_assert_str_eq(pmx_reply_str(reply, NULL), "OK");
  pmx_reply_free(reply);
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(what_a_server_says_out_of_turn_is_not_the_answer_to_a_keepalive)
{
  speak_to_keepalive(&ways[_i], 0);
  if (strategy_has(ways[_i].strategy, DEDICATES))
    speak_to_keepalive(&ways[_i], PMX_CALL_DEDICATED);
}
END_TEST

/* Behind the answer: another one, or what will become one. */
static const char *const too_much[] = {"$3\r\none\r\n$3\r\ntwo\r\n", "$3\r\none\r\n$3\r\nt",
                                       "$3\r\none\r\n>2\r\n$10\r\ninv"};

static int answer_too_much(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc == 2 && strcmp(argv[1], "one") == 0)
    fake_send(conn, ud, strlen(ud));
  else
    return answer_values(ud, conn, argc, argv, len);
  return 0;
}

static void answer_more_than_asked(const struct way *way, uint64_t flags, const char *answer)
{
  struct fake *fake = fake_for(way, answer_too_much, (void *)answer);
  pmx_client *client = open_for(way, fake, flags, pmx_options_new());
  pmx_call call = call_flags(flags, PMX_DEFAULT);
  pmx_reply *reply = pmx_do(client, &call, "GET", "one", (char *)NULL);

  ck_assert_str_eq(pmx_reply_str(reply, NULL), "one");
  pmx_reply_free(reply);
  if (strchr(answer, '>'))
    sleep_ms(20); /* the rest of a push may be on its way */
  check_value(pmx_do(client, &call, "GET", "next", (char *)NULL), "next");
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(second_reply_to_one_command_never_answers_the_next)
{
  for (size_t i = 0; i < sizeof too_much / sizeof too_much[0]; i++) {
    answer_more_than_asked(&ways[_i], 0, too_much[i]);
    if (strategy_has(ways[_i].strategy, DEDICATES))
      answer_more_than_asked(&ways[_i], PMX_CALL_DEDICATED, too_much[i]);
  }
}
END_TEST

/* ---- out of step: an answer that its command cannot get ---- */

static int answer_get_with_a_number(void *ud, struct fake_conn *conn, int argc, char **argv,
                                    size_t *len)
{
  if (argc == 2 && strcasecmp(argv[0], "GET") == 0 && strcmp(argv[1], "wrong") == 0)
    fake_reply_int(conn, 1);
  else
    return answer_values(ud, conn, argc, argv, len);
  return 0;
}

START_TEST(answer_of_the_wrong_kind_ends_the_connection_and_reaches_nobody)
{
  struct fake *fake = fake_for(&ways[_i], answer_get_with_a_number, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "retry.max", "0", NULL);
  pmx_reply *reply = pmx_do(client, NULL, "GET", "wrong", (char *)NULL);

  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), "out of step"));
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_PROTOCOL);
  get_value(client, "right");
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* What was wrong was one answer; the other read has only lost its connection, and is sent again. */
START_TEST(answer_that_is_too_large_is_the_failure_of_its_own_call_only)
{
  struct server *server = server_start(NULL);
  pmx_client *client;
  pmx_future *big, *small;

  ck_assert_ptr_nonnull(server);
  client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "reply.max_size", "4KiB", NULL);
  check_is_ok(pmx_command(client, "SETRANGE big %d x", 100000));
  check_is_ok(pmx_command(client, "SET small 1"));
  big = pmx_submit(client, NULL, "GET big");
  small = pmx_submit(client, NULL, "GET small");
  check_fails(pmx_future_take(big), PMX_UNKNOWN, PMX_CAUSE_TOO_LARGE);
  check_int(pmx_future_take(small), 1);
  close_client(client);
  server_stop(server);
}
END_TEST

int main(void)
{
  TCase *tc;

  server_require("rogue");
  tc = checks_case("rogue");

  add_for_ways_with(LEASES, tc, connection_with_half_a_command_written_is_never_used_again);
  add_for_ways(tc, write_that_was_stuck_goes_on_when_the_server_reads_again);
  add_for_ways(tc, connection_that_spoke_out_of_turn_while_idle_is_replaced_unless_it_was_a_push);
  add_for_ways(tc, what_a_server_says_out_of_turn_is_not_the_answer_to_a_keepalive);
  add_for_ways(tc, second_reply_to_one_command_never_answers_the_next);
  add_for_ways(tc, answer_of_the_wrong_kind_ends_the_connection_and_reaches_nobody);
  add_for_ways(tc, answer_that_is_too_large_is_the_failure_of_its_own_call_only);
  return checks_run("rogue", tc);
}
