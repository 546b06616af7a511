/* SPDX-License-Identifier: BSD-3-Clause */
/* batch.c - batches: a status for each command, what may be added, limits, commands that wait. */
#include "behaviour/batching.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"

static struct server *server;

static void begin(void)
{
  server = server_start(NULL);
  ck_assert_ptr_nonnull(server);
}

static void end(void)
{
  ck_assert(server_stop(server));
}

static pmx_client *open_way(int i)
{
  return open_client(ways[i].strategy, url_for(&ways[i], server), NULL);
}

/* ---- what comes back ---- */

START_TEST(each_command_has_a_status_of_its_own)
{
  pmx_client *client = open_way(_i);
  pmx_reply *array = batch_run(
      batch_of(client, "SET k text; INCR k; INCR n; LRANGE none 0 -1; GET none"), 0, NULL);

  check_array(array, 5);
  check_element_text(array, 0, "OK");
  check_element_fails(array, 1, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  check_element_int(array, 2, 1);
  ck_assert_uint_eq(pmx_reply_len(pmx_reply_at(array, 3)), 0);
  ck_assert_int_eq(pmx_reply_type(pmx_reply_at(array, 4)), PMX_TYPE_NIL);
  ck_assert_ptr_eq(pmx_reply_failed(array), pmx_reply_at(array, 1));
  ck_assert_int_eq(pmx_reply_safe_to_retry(pmx_reply_at(array, 1)), 0);
  ck_assert_ptr_null(pmx_reply_at(array, 5));
  pmx_reply_free(array);
  ck_assert_uint_eq(stats_of(client).commands, 1);
  ck_assert_uint_eq(stats_of(client).replies, 1);
  close_client(client);
}
END_TEST

START_TEST(element_outlives_its_array)
{
  pmx_client *client = open_way(_i);
  pmx_reply *array = batch_run(batch_of(client, "ECHO one; ECHO two"), 0, NULL);
  pmx_reply *two = pmx_reply_ref(pmx_reply_at(array, 1));

  pmx_reply_free(array);
  ck_assert_str_eq(pmx_reply_str(two, NULL), "two");
  pmx_reply_free(two);
  close_client(client);
}
END_TEST

START_TEST(batch_may_be_executed_again_and_grow_meanwhile)
{
  pmx_client *client = open_way(_i);
  pmx_batch *batch = batch_of(client, "INCR n");

  for (int64_t round = 1; round <= 20; round++) {
    pmx_reply *array = round % 2 ? pmx_batch_exec(batch, NULL) : pmx_batch_exec_atomic(batch, NULL);

    check_array(array, (size_t)round);
    check_element_int(array, 0, server_value(server, "n") - round + 1);
    pmx_reply_free(array);
    batch_add_words(batch, "INCR n");
  }
  pmx_batch_free(batch);
  close_client(client);
}
END_TEST

START_TEST(ten_thousand_commands_are_answered_in_their_order)
{
  enum { MANY = 10000 };
  pmx_client *client = open_way(_i);
  pmx_batch *batch = pmx_batch_new(client);
  pmx_reply *array;

  for (int i = 0; i < MANY; i++)
    ck_assert_int_eq(pmx_batch_add(batch, "ECHO %d", i), PMX_OK);
  for (int atomic = 0; atomic < 2; atomic++) {
    array = atomic ? pmx_batch_exec_atomic(batch, NULL) : pmx_batch_exec(batch, NULL);
    check_array(array, MANY);
    for (size_t i = 0; i < MANY; i++)
      check_element_int(array, i, (int64_t)i);
    pmx_reply_free(array);
  }
  pmx_batch_free(batch);
  close_client(client);
}
END_TEST

static void own_keys(int thread, void *client)
{
  char line[200];

  for (int round = 0; round < 50; round++) {
    pmx_reply *array;

    snprintf(line, sizeof line, "SET %d-a %d; GET %d-a; ECHO %d.%d; INCRBY %d-n 1", thread, round,
             thread, thread, round, thread);
    array = batch_run(batch_of(client, line), round % 2, NULL);
    check_array(array, 4);
    check_element_int(array, 1, round);
    snprintf(line, sizeof line, "%d.%d", thread, round);
    check_element_text(array, 2, line);
    check_element_int(array, 3, round + 1);
    pmx_reply_free(array);
    snprintf(line, sizeof line, "GET %d-a", thread);
    check_int(call_words(client, line), round);
  }
}

START_TEST(batches_of_many_threads_get_their_own_answers)
{
  pmx_client *client = open_way(_i);

  run_threads(16, own_keys, client);
  close_client(client);
}
END_TEST

START_TEST(large_requests_and_replies_pass_each_other)
{
  pmx_client *client = open_way(_i);
  pmx_batch *batch = pmx_batch_new(client);
  pmx_reply *array;
  enum { BIG = 1024 * 1024, TIMES = 24 };

  for (int i = 0; i < TIMES; i++) {
    batch_add_big(batch, "big", BIG);
    batch_add_words(batch, "GET big");
  }
  array = batch_run(batch, 0, NULL);
  check_array(array, TIMES * 2);
  for (size_t i = 0; i < TIMES; i++) {
    size_t len = 0;

    pmx_reply_str(pmx_reply_at(array, 2 * i + 1), &len);
    ck_assert_uint_eq(len, BIG);
  }
  pmx_reply_free(array);
  close_client(client);
}
END_TEST

START_TEST(empty_batch_is_an_empty_array_and_sends_nothing)
{
  pmx_client *client = open_way(_i);
  pmx_batch *batch = pmx_batch_new(client);
  int64_t before = server_commands(server);
  pmx_call bad = call_flags(UINT64_C(1) << 60, 100);

  for (int atomic = 0; atomic < 2; atomic++) {
    pmx_reply *array = atomic ? pmx_batch_exec_atomic(batch, NULL) : pmx_batch_exec(batch, NULL);

    check_array(array, 0);
    pmx_reply_free(array);
  }
  check_fails(pmx_batch_exec(batch, &bad), PMX_INVALID, PMX_CAUSE_NONE);
  ck_assert_int_eq(server_commands(server), before);
  pmx_batch_free(batch);
  close_client(client);
}
END_TEST

/* ---- what may be added ---- */

/* The batch is void from then on, and says why. */
static void refused(pmx_client *client, const char *commands, const char *command, pmx_cause cause,
                    const char *text)
{
  pmx_batch *batch = batch_of(client, commands);
  int64_t before = server_commands(server);

  ck_assert_int_eq(pmx_batch_add(batch, command), PMX_INVALID);
  ck_assert_int_eq(pmx_batch_add(batch, "PING"), PMX_INVALID);
  for (int atomic = 0; atomic < 2; atomic++) {
    pmx_reply *reply = atomic ? pmx_batch_exec_atomic(batch, NULL) : pmx_batch_exec(batch, NULL);

    check_says(reply, text);
    check_fails(reply, PMX_INVALID, cause);
  }
  ck_assert_int_eq(server_commands(server), before);
  pmx_batch_free(batch);
}

START_TEST(what_cannot_be_in_a_batch_is_refused_with_its_index_and_a_hint)
{
  static const struct {
    const char *commands, *command, *text;
    pmx_cause cause;
  } rows[] = {
      {"", "MULTI", "command 0 of the batch: MULTI is not for batches", PMX_CAUSE_UNSUPPORTED},
      {"PING", "EXEC", "command 1 of the batch: EXEC is not for batches", PMX_CAUSE_UNSUPPORTED},
      {"PING; PING", "watch k", "command 2 of the batch: WATCH", PMX_CAUSE_UNSUPPORTED},
      {"PING", "SELECT 1", "the database of one connection", PMX_CAUSE_UNSUPPORTED},
      {"PING", "CLIENT REPLY OFF", "command 1 of the batch: CLIENT REPLY", PMX_CAUSE_UNSUPPORTED},
      {"PING", "SUBSCRIBE c", "command 1 of the batch: SUBSCRIBE", PMX_CAUSE_UNSUPPORTED},
      {"SET k v; WAIT 0 1", "PING", "PING stands behind WAIT", PMX_CAUSE_UNSUPPORTED},
      {"WAITAOF 0 0 1", "WAIT 0 1", "WAIT stands behind WAITAOF", PMX_CAUSE_UNSUPPORTED},
      {"PING", "", "command 1 of the batch: ", PMX_CAUSE_NONE},
  };
  pmx_client *client = open_way(_i);

  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    refused(client, rows[i].commands, rows[i].command, rows[i].cause, rows[i].text);
  close_client(client);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
  pmx_client *client = open_way(_i);
  pmx_batch *batch = pmx_batch_new(client);
  const char *argv[] = {"GET", NULL};

  ck_assert_ptr_null(pmx_batch_new(NULL));
  ck_assert_int_eq(pmx_batch_add(NULL, "PING"), PMX_INVALID);
  ck_assert_int_eq(pmx_batch_add_argv(NULL, 1, argv, NULL), PMX_INVALID);
  check_fails(pmx_batch_exec(NULL, NULL), PMX_INVALID, PMX_CAUSE_NONE);
  check_fails(pmx_batch_exec_atomic(NULL, NULL), PMX_INVALID, PMX_CAUSE_NONE);
  pmx_batch_free(NULL);
  ck_assert_int_eq(pmx_batch_add_argv(batch, 2, argv, NULL), PMX_INVALID);
  check_fails(batch_run(batch, 0, NULL), PMX_INVALID, PMX_CAUSE_NONE);
  close_client(client);
}
END_TEST

START_TEST(size_and_number_of_commands_are_limited)
{
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "request.max_size", "1024", NULL);
  pmx_batch *batch = pmx_batch_new(client);
  pmx_reply *reply;
  int n = 0;

  while (pmx_batch_add(batch, "PING") == PMX_OK)
    n++;
  ck_assert_int_eq(n, 1024 / 14);
  reply = batch_run(batch, 0, NULL);
  check_says(reply, "command 73 of the batch: with it the batch has 1036 bytes");
  check_says(reply, "request.max_size) is 1024");
  check_fails(reply, PMX_INVALID, PMX_CAUSE_TOO_LARGE);
  batch = pmx_batch_new(client);
  for (n = 0; n < 72; n++) /* 1008 bytes: no room for MULTI and EXEC */
    batch_add_words(batch, "PING");
  check_fails(pmx_batch_exec_atomic(batch, NULL), PMX_INVALID, PMX_CAUSE_TOO_LARGE);
  reply = batch_run(batch, 0, NULL);
  check_array(reply, 72);
  pmx_reply_free(reply);
  close_client(client);
}
END_TEST

START_TEST(a_million_commands_are_the_most)
{
  pmx_client *client = open_client("pool", server_url(server, SERVER_UNIX), NULL);
  pmx_batch *batch = pmx_batch_new(client);
  const char *argv[] = {"PING"};
  const size_t len[] = {4};
  pmx_reply *reply;

  for (int i = 0; i < 1000000; i++)
    ck_assert(pmx_batch_add_argv(batch, 1, argv, len) == PMX_OK);
  ck_assert_int_eq(pmx_batch_add_argv(batch, 1, argv, len), PMX_INVALID);
  reply = batch_run(batch, 0, NULL);
  check_says(reply, "a batch has at most 1000000 commands");
  check_fails(reply, PMX_INVALID, PMX_CAUSE_TOO_LARGE);
  close_client(client);
}
END_TEST

/* ---- commands that wait ---- */

START_TEST(wait_counts_what_its_own_batch_wrote_where_a_connection_can_be_had)
{
  pmx_client *client = open_way(_i);
  pmx_batch *batch = batch_of(client, "SET k v; WAIT 0 100");
  pmx_reply *reply = pmx_batch_exec(batch, NULL);

  if (strategy_has(ways[_i].strategy, LEASES)) {
    check_array(reply, 2);
    check_element_int(reply, 1, 0);
    pmx_reply_free(reply);
  } else {
    check_says(reply, "WAIT counts what its own connection wrote");
    check_fails(reply, PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
    ck_assert_int_eq(server_value(server, "k"), 0);
  }
  reply = batch_run(batch, 1, NULL);
  check_says(reply, "WAIT does not wait inside MULTI");
  check_fails(reply, PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  close_client(client);
}
END_TEST

START_TEST(blocking_commands_bring_their_time_and_wait_only_where_nobody_shares)
{
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "command_timeout", "100ms", NULL);
  pmx_batch *batch = batch_of(client, "BLPOP none 0.1; BLPOP none 0.1; ECHO x");
  int64_t started = now_ms();
  pmx_reply *reply = pmx_batch_exec(batch, NULL);

  if (strategy_has(ways[_i].strategy, LEASES)) {
    check_array(reply, 3);
    ck_assert_int_ge(now_ms() - started, 190);
    ck_assert_int_eq(pmx_reply_type(pmx_reply_at(reply, 1)), PMX_TYPE_NIL);
    pmx_reply_free(reply);
  } else {
    check_says(reply, "BLPOP would stall");
    check_fails(reply, PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  }
  reply = batch_run(batch, 1, NULL); /* inside MULTI nothing waits */
  check_array(reply, 3);
  ck_assert_int_eq(pmx_reply_type(pmx_reply_at(reply, 0)), PMX_TYPE_NIL);
  pmx_reply_free(reply);
  close_client(client);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("batch");

  ways_brief();
  server_require("batch");
  tcase_add_checked_fixture(tc, begin, end);
  add_for_ways(tc, each_command_has_a_status_of_its_own);
  add_for_ways(tc, element_outlives_its_array);
  add_for_ways(tc, batch_may_be_executed_again_and_grow_meanwhile);
  add_for_ways(tc, ten_thousand_commands_are_answered_in_their_order);
  add_for_ways(tc, batches_of_many_threads_get_their_own_answers);
  add_for_ways(tc, large_requests_and_replies_pass_each_other);
  add_for_ways(tc, empty_batch_is_an_empty_array_and_sends_nothing);
  add_for_ways(tc, what_cannot_be_in_a_batch_is_refused_with_its_index_and_a_hint);
  add_for_ways(tc, bad_arguments_are_refused);
  add_for_ways(tc, size_and_number_of_commands_are_limited);
  tcase_add_test(tc, a_million_commands_are_the_most);
  add_for_ways(tc, wait_counts_what_its_own_batch_wrote_where_a_connection_can_be_had);
  add_for_ways(tc, blocking_commands_bring_their_time_and_wait_only_where_nobody_shares);
  return checks_run("batch", tc);
}
