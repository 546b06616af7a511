/* SPDX-License-Identifier: BSD-3-Clause */
/* retry.c - what is sent again and what never is, counted at the server: at most once for what may
 * have run, again for what did not or changes nothing, all of it inside the deadline. */
#include "behaviour.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "harness/checks.h"
#include "harness/util.h"

/* ---- a server that fails the first times ---- */

struct trouble {
  const char *name;  /* of the commands it makes trouble with */
  int times;         /* how often; -1 = always */
  const char *error; /* what it answers then; NULL: it takes the command and hangs up */
};

static int make_trouble(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct trouble *trouble = ud;

  if (strcasecmp(argv[0], trouble->name) != 0 || trouble->times == 0)
    return answer_values(NULL, conn, argc, argv, len);
  if (trouble->times > 0)
    trouble->times--;
  if (!trouble->error)
    return -1;
  fake_reply_error(conn, trouble->error);
  return 0;
}

/* ---- what may have run ---- */

START_TEST(write_whose_connection_died_after_the_server_took_it_is_never_sent_twice)
{
  struct trouble trouble = {"INCR", 1, NULL};
  struct fake *fake = fake_for(&ways[_i], make_trouble, &trouble);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_reply *reply = pmx_do(client, NULL, "INCR", "n", (char *)NULL);

  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_LOST);
  get_value(client, "k"); /* were there a second INCR, it would be before this */
  ck_assert_uint_eq(fake_seen(fake, "INCR"), 1);
  ck_assert_uint_eq(stats_of(client).retries, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(read_whose_connection_died_is_sent_again)
{
  struct trouble trouble = {"GET", 2, NULL};
  struct fake *fake = fake_for(&ways[_i], make_trouble, &trouble);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);

  get_value(client, "k");
  ck_assert_uint_eq(fake_seen(fake, "GET"), 3);
  ck_assert_uint_eq(stats_of(client).retries, 2);
  ck_assert_uint_eq(stats_of(client).commands, 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

struct lost_case {
  const char *command, *option, *value;
  uint64_t flags;
  size_t seen; /* how often the server gets it when every connection dies of it */
};

static const struct lost_case lost_cases[] = {
    {"GET", "retry.max", "3", 0, 4},
    {"GET", "retry.max", "1", 0, 2},
    {"GET", "retry.max", "0", 0, 1},
    {"GET", "retry.reads", "no", 0, 1},
    {"GET", "retry.max", "3", PMX_CALL_NO_RETRY, 1},
    {"GET", "retry.reads", "no", PMX_CALL_RETRY_SAFE, 4},
    {"INCR", "retry.max", "3", 0, 1},
    {"INCR", "retry.max", "2", PMX_CALL_RETRY_SAFE, 3},
    {"INCR", "retry.max", "0", PMX_CALL_RETRY_SAFE, 1},
    {"EVAL", "retry.max", "3", 0, 1},
    {"GETDEL", "retry.max", "3", 0, 1},
    {"X.UNKNOWN", "retry.max", "3", 0, 1},
};

static void try_lost(const struct way *way, const struct lost_case *row, uint64_t flags)
{
  struct trouble trouble = {row->command, -1, NULL};
  struct fake *fake = fake_for(way, make_trouble, &trouble);
  pmx_client *client = open_client(way->strategy, fake_url(fake), row->option, row->value, NULL);
  pmx_call call = call_flags(row->flags | flags, SOON_MS);
  pmx_reply *reply = pmx_do(client, &call, row->command, "k", "0", (char *)NULL);

  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_LOST);
  ck_assert_msg(fake_seen(fake, row->command) == row->seen, "%s, %s=%s, flags %d: seen %zu times",
                row->command, row->option, row->value, (int)row->flags,
                fake_seen(fake, row->command));
  ck_assert_uint_eq(stats_of(client).retries, row->seen - 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(lost_connection_repeats_only_what_is_read_only_or_allowed)
{
  for (size_t i = 0; i < sizeof lost_cases / sizeof lost_cases[0]; i++) {
    try_lost(&ways[_i], &lost_cases[i], 0);
    if (strategy_has(ways[_i].strategy, DEDICATES))
      try_lost(&ways[_i], &lost_cases[i], PMX_CALL_DEDICATED);
  }
}
END_TEST

static int never_answer(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud;
  (void)conn;
  (void)argc;
  (void)argv;
  (void)len;
  return 0;
}

START_TEST(call_that_timed_out_is_not_sent_again_even_if_that_is_allowed)
{
  struct fake *fake = fake_for(&ways[_i], never_answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_call call = call_flags(PMX_CALL_RETRY_SAFE, 150);
  int64_t limit = pmx_now_ms() + 150;

  check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_on_time("unanswered call", limit);
  ck_assert_uint_eq(fake_seen(fake, "GET"), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- what did not run ---- */

START_TEST(write_meets_a_connection_closed_while_idle_and_is_sent_once_on_another)
{
  struct trouble trouble = {"INCR", 0, NULL};
  struct fake *fake = fake_for(&ways[_i], make_trouble, &trouble);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "retry.max", "0", NULL);

  get_value(client, "k"); /* then nobody is still busy with the new connection */
  fake_close(fake_conn_at(fake, 0));
  ck_assert(fake_wait_closed(fake_conn_at(fake, 0), SOON_MS));
  sleep_ms(3);
  check_is_ok(pmx_do(client, NULL, "INCR", "n", (char *)NULL));
  ck_assert_uint_eq(fake_seen(fake, "INCR"), 1);
  ck_assert_uint_eq(stats_of(client).retries, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(call_that_never_left_is_not_run_and_safe_to_retry)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_call call = call_in(300);
  pmx_reply *reply;
  int64_t limit;

  get_value(client, "k"); /* then nobody is still busy with the new connection */
  fake_listen(fake, false);
  fake_close(fake_conn_at(fake, 0));
  ck_assert(fake_wait_open(fake, 0, SOON_MS));
  sleep_ms(3);
  limit = pmx_now_ms() + 300;
  reply = pmx_do(client, &call, "INCR", "n", (char *)NULL);
  check_on_time("call without a server", limit);
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  ck_assert_uint_eq(fake_seen(fake, "INCR"), 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(answers_say_whether_sending_again_is_safe)
{
  struct trouble trouble = {"INCR", 1, "WRONGTYPE Operation against a key"};
  struct fake *fake = fake_for(&ways[_i], make_trouble, &trouble);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_reply *reply = pmx_do(client, NULL, "INCR", "n", (char *)NULL);

  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  reply = pmx_do(client, NULL, "INCR", "n", (char *)NULL);
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0); /* it has run: twice would be twice */
  check_is_ok(reply);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- servers that refuse for now ---- */

START_TEST(server_that_is_loading_is_asked_again_with_growing_delays_until_it_answers)
{
  struct trouble trouble = {"SET", 6, "LOADING Redis is loading the dataset in memory"};
  struct fake *fake = fake_for(&ways[_i], make_trouble, &trouble);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "retry.max", "1", NULL);
  int64_t before = 0, least = 2;

  check_is_ok(pmx_do(client, NULL, "SET", "k", "v", (char *)NULL));
  ck_assert_uint_eq(fake_seen(fake, "SET"), 7);
  ck_assert_uint_eq(stats_of(client).retries, 6);
  ck_assert_uint_eq(fake_accepted(fake), 1);
  for (size_t i = 0; i < fake_counts(fake).commands; i++) {
    const struct fake_command *command = fake_command(fake, i);
    if (strcmp(command->argv[0], "SET") != 0)
      continue;
    if (before) {
      ck_assert_int_ge(command->at_us - before, least * 1000);
      least *= 2;
    }
    before = command->at_us;
  }
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

struct error_case {
  const char *command, *error;
  uint64_t flags;
  const char *retry_max;
  size_t seen; /* when it is refused once */
  int safe;    /* what the refusal says, when that is the outcome */
};

static const struct error_case error_cases[] = {
    {"SET", "LOADING wait", 0, "3", 2, 0},
    {"SET", "TRYAGAIN wait", 0, "3", 2, 0},
    {"SET", "MASTERDOWN wait", 0, "3", 2, 0},
    {"SET", "CLUSTERDOWN wait", 0, "3", 2, 0},
    {"SET", "LOADING wait", PMX_CALL_NO_RETRY, "3", 1, 1},
    {"SET", "LOADING wait", 0, "0", 1, 1},
    {"EVAL", "LOADING wait", 0, "3", 1, 0},
    {"EVALSHA", "TRYAGAIN wait", 0, "3", 1, 0},
    {"FCALL", "MASTERDOWN wait", 0, "3", 1, 0},
    {"EVAL", "LOADING wait", PMX_CALL_RETRY_SAFE, "3", 1, 0},
    {"GET", "ERR no", 0, "3", 1, 0},
    {"GET", "WRONGTYPE no", 0, "3", 1, 0},
    {"GET", "BUSY no", 0, "3", 1, 0},
    {"GET", "MOVED 1 127.0.0.1:1", 0, "3", 1, 0},
    {"SET", "READONLY no", 0, "3", 1, 0},
    {"SET", "OOM no", 0, "3", 1, 0},
    {"SET", "LOADINGX no", 0, "3", 1, 0},
    {"SET", "ERR LOADING", 0, "3", 1, 0},
};

static void try_error(const struct way *way, const struct error_case *row)
{
  struct trouble trouble = {row->command, 1, row->error};
  struct fake *fake = fake_for(way, make_trouble, &trouble);
  pmx_client *client =
      open_client(way->strategy, fake_url(fake), "retry.max", row->retry_max, NULL);
  pmx_call call = call_flags(row->flags, SOON_MS);
  pmx_reply *reply = pmx_do(client, &call, row->command, "k", "0", (char *)NULL);

  ck_assert_msg(fake_seen(fake, row->command) == row->seen, "%s answered by %s: seen %zu times",
                row->command, row->error, fake_seen(fake, row->command));
  if (row->seen > 1) {
    check_is_ok(reply);
  } else {
    ck_assert_msg(pmx_reply_safe_to_retry(reply) == row->safe, "%s answered by %s", row->command,
                  row->error);
    check_fails(reply, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  }
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(only_refusals_for_now_are_repeated_and_never_those_of_a_script)
{
  for (size_t i = 0; i < sizeof error_cases / sizeof error_cases[0]; i++)
    try_error(&ways[_i], &error_cases[i]);
}
END_TEST

/* ---- leases ---- */

START_TEST(command_on_a_lease_is_never_sent_again)
{
  struct trouble trouble = {"GET", 1, "LOADING wait"};
  struct fake *fake = fake_for(&ways[_i], make_trouble, &trouble);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_call call = call_flags(PMX_CALL_RETRY_SAFE, SOON_MS);
  pmx_lease *lease = pmx_acquire(client, NULL, NULL);

  ck_assert_ptr_nonnull(lease);
  check_fails(pmx_lease_command(lease, &call, "GET k"), PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  check_value(pmx_lease_command(lease, NULL, "GET k"), "k");
  fake_close(fake_conn_at(fake, lane_beside(client)));
  ck_assert(fake_wait_open(fake, lane_beside(client), SOON_MS));
  check_fails(pmx_lease_command(lease, &call, "GET k"), PMX_NOT_RUN, PMX_CAUSE_LOST);
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
  ck_assert_uint_eq(fake_seen(fake, "GET"), 2);
  ck_assert_uint_eq(stats_of(client).retries, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(read_on_a_lease_whose_connection_dies_is_not_sent_on_another)
{
  struct trouble trouble = {"GET", -1, NULL};
  struct fake *fake = fake_for(&ways[_i], make_trouble, &trouble);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_lease *lease = pmx_acquire(client, NULL, NULL);

  ck_assert_ptr_nonnull(lease);
  check_fails(pmx_lease_command(lease, NULL, "GET k"), PMX_UNKNOWN, PMX_CAUSE_LOST);
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
  ck_assert_uint_eq(fake_seen(fake, "GET"), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- the deadline ---- */

static void check_bounded(const struct way *way, struct trouble *trouble)
{
  struct fake *fake = fake_for(way, make_trouble, trouble);
  pmx_client *client = open_client(way->strategy, fake_url(fake), "retry.max", "1000", NULL);
  pmx_call call = call_in(300);
  int64_t limit = pmx_now_ms() + 300;
  pmx_reply *reply = pmx_do(client, &call, "GET", "k", (char *)NULL);

  check_on_time("a call that is sent again and again", limit);
  ck_assert_int_ne(pmx_reply_status(reply), PMX_OK);
  pmx_reply_free(reply);
  ck_assert_uint_gt(fake_seen(fake, "GET"), 1);
  ck_assert_uint_lt(fake_seen(fake, "GET"), 20); /* with delays between */
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(deadline_bounds_all_tries_together)
{
  struct trouble refuses = {"GET", -1, "LOADING wait"}, hangs_up = {"GET", -1, NULL};

  check_bounded(&ways[_i], &refuses);
  check_bounded(&ways[_i], &hangs_up);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("retry");

  ways_brief();
  add_for_ways(tc, write_whose_connection_died_after_the_server_took_it_is_never_sent_twice);
  add_for_ways(tc, read_whose_connection_died_is_sent_again);
  add_for_ways(tc, lost_connection_repeats_only_what_is_read_only_or_allowed);
  add_for_ways(tc, call_that_timed_out_is_not_sent_again_even_if_that_is_allowed);
  add_for_ways(tc, write_meets_a_connection_closed_while_idle_and_is_sent_once_on_another);
  add_for_ways(tc, call_that_never_left_is_not_run_and_safe_to_retry);
  add_for_ways(tc, answers_say_whether_sending_again_is_safe);
  add_for_ways(tc, server_that_is_loading_is_asked_again_with_growing_delays_until_it_answers);
  add_for_ways(tc, only_refusals_for_now_are_repeated_and_never_those_of_a_script);
  add_for_ways_with(LEASES, tc, command_on_a_lease_is_never_sent_again);
  add_for_ways_with(LEASES, tc, read_on_a_lease_whose_connection_dies_is_not_sent_on_another);
  add_for_ways(tc, deadline_bounds_all_tries_together);
  return checks_run("retry", tc);
}
