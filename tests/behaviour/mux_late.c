/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_late.c - calls that are given up on a shared connection: before they are sent nothing of them
 * appears, afterwards their reply comes and reaches nobody, and the connection and all other calls
 * on it go on. */
#include "behaviour/muxing.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"

enum { CALLERS = 8, BIG = 8 * 1024 * 1024 };

/* GET slow is answered after 80 ms. */
static int answer(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc == 2 && strcmp(argv[1], "slow") == 0)
    fake_delay(conn, 80);
  return answer_values(ud, conn, argc, argv, len);
}

static void check_same_connection(pmx_client *client, struct fake *fake)
{
  ck_assert_uint_eq(stats_of(client).closed, 0);
  ck_assert_uint_eq(fake_accepted(fake), 1);
}

/* ---- after it was sent ---- */

START_TEST(late_reply_reaches_nobody_and_is_counted)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  int64_t limit = pmx_now_ms() + 50;
  pmx_reply *reply = get_in(client, "slow", 50);

  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_on_time("GET slow", limit);
  ck_assert_uint_eq(stats_of(client).abandoned, 1);
  get_value(client, "b");
  ck_assert_uint_eq(stats_of(client).late_replies, 1);
  ck_assert_uint_eq(outstanding(client) + stats_of(client).abandoned, 0);
  check_same_connection(client, fake);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(one_token_ends_all_calls_that_share_it_and_no_other_on_the_connection)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  struct caller with[CALLERS], without[CALLERS];
  pmx_call call = call_in(SOON_MS);

  call.cancel = pmx_cancel_new();
  fake_stall(fake_conn_at(fake, 0));
  for (int i = 0; i < CALLERS; i++) {
    caller_start(&with[i], client, "GET with", &call);
    caller_start(&without[i], client, i % 2 ? "GET without" : "GET other", NULL);
  }
  check_stat(client, in_flight, 2 * CALLERS);
  pmx_cancel_fire(call.cancel);
  callers_check_fail(with, CALLERS, PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  ck_assert_uint_eq(stats_of(client).retries, 0); /* nobody wants the answer */
  fake_resume(fake_conn_at(fake, 0));
  callers_check_values(without, CALLERS);
  get_value(client, "after");
  ck_assert_uint_eq(stats_of(client).late_replies, CALLERS);
  check_same_connection(client, fake);
  pmx_cancel_free(call.cancel);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static pmx_reply *set_big(pmx_client *client, const pmx_call *call)
{
  const char *argv[] = {"SET", "big", harness_alloc(BIG)};
  const size_t len[] = {3, 3, BIG};
  pmx_reply *reply = pmx_argv(client, call, 3, argv, len);

  free((void *)(uintptr_t)argv[2]);
  return reply;
}

static void check_big_was_seen(struct fake *fake)
{
  size_t i = 0;

  while (strcmp(fake_command(fake, i)->argv[0], "SET") != 0)
    i++;
  ck_assert_uint_eq(fake_command(fake, i)->len[2], BIG);
  ck_assert_uint_eq(fake_seen(fake, "SET"), 1);
  ck_assert_uint_eq(fake_counts(fake).protocol_errors, 0);
}

START_TEST(rest_of_a_request_that_was_given_up_follows_and_the_connection_stays_in_step)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "hybrid.bulk_request", "1GiB", NULL);
  struct caller after[CALLERS];
  pmx_call call = call_in(60);

  fake_stall(fake_conn_at(fake, 0));
  check_fails(set_big(client, &call), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  callers_start(after, CALLERS, client, NULL);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_values(after, CALLERS);
  check_big_was_seen(fake);
  ck_assert_uint_eq(stats_of(client).late_replies, 1);
  check_same_connection(client, fake);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* Nobody waits: the client's own thread has to see to it. */
START_TEST(rest_of_a_request_that_was_given_up_follows_though_nobody_calls)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "hybrid.bulk_request", "1GiB", NULL);
  pmx_call call = call_in(60);

  fake_stall(fake_conn_at(fake, 0));
  check_fails(set_big(client, &call), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  fake_resume(fake_conn_at(fake, 0));
  check_stat(client, late_replies, 1);
  check_big_was_seen(fake);
  ck_assert_uint_eq(stats_of(client).in_flight, 0);
  check_same_connection(client, fake);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- before it was sent ---- */

struct writer {
  pmx_client *client;
  struct background *thread;
};

static void write_big(void *arg)
{
  struct writer *w = arg;
  pmx_call call = call_in(SOON_MS);

  check_is_ok(set_big(w->client, &call));
}

/* From here on nothing more can be written. */
static void block_the_socket(struct writer *w, struct fake *fake)
{
  fake_stall(fake_conn_at(fake, 0));
  w->thread = background_start(write_big, w);
  check_stat(w->client, in_flight, 1);
  sleep_ms(20); /* and the kernel's buffers are full */
}

static void give_up_while_queued(const struct way *way, bool by_token)
{
  struct fake *fake = fake_for(way, answer, NULL);
  pmx_client *client =
      open_client(way->strategy, fake_url(fake), "hybrid.bulk_request", "1GiB", NULL);
  struct writer writer = {.client = client};
  struct caller caller;
  pmx_call call = call_in(by_token ? SOON_MS : 30);

  call.cancel = by_token ? pmx_cancel_new() : NULL;
  block_the_socket(&writer, fake);
  caller_start(&caller, client, "GET hidden", &call);
  if (by_token) {
    check_stat(client, waiting, 1);
    pmx_cancel_fire(call.cancel);
  }
  callers_check_fail(&caller, 1, PMX_NOT_RUN, by_token ? PMX_CAUSE_CANCELED : PMX_CAUSE_TIMEOUT);
  ck_assert_uint_eq(stats_of(client).waiting, 0);
  fake_resume(fake_conn_at(fake, 0));
  background_join(writer.thread);
  get_value(client, "after");
  check_text(keys_seen(fake), "after");
  ck_assert_uint_eq(stats_of(client).late_replies, 0);
  check_same_connection(client, fake);
  pmx_cancel_free(call.cancel);
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(call_cancelled_behind_a_blocked_socket_is_not_run_and_never_appears)
{
  give_up_while_queued(&ways[_i], true);
}
END_TEST

START_TEST(call_that_times_out_behind_a_blocked_socket_is_not_run_and_never_appears)
{
  give_up_while_queued(&ways[_i], false);
}
END_TEST

/* ---- too many that were given up ---- */

START_TEST(max_abandoned_stops_writing_until_the_server_has_answered)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "mux.max_abandoned", "3", NULL);
  struct caller earlier[3], patient;
  pmx_call call = call_in(20);
  pmx_reply *reply;

  fake_stall(fake_conn_at(fake, 0));
  callers_start(earlier, 3, client, NULL);
  ck_assert_uint_eq(stats_of(client).in_flight, 3);
  for (int i = 0; i < 3; i++)
    check_fails(pmx_do(client, &call, "GET", "slow", (char *)NULL), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  reply = get_in(client, "unsent", 30);
  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), "3 of them abandoned"));
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  caller_start(&patient, client, "GET patient", NULL);
  check_stat(client, waiting, 1);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_values(earlier, 3);
  callers_check_values(&patient, 1);
  check_text(keys_seen(fake), "key-0 key-1 key-2 slow slow slow patient");
  ck_assert_uint_eq(stats_of(client).abandoned, 0);
  check_same_connection(client, fake);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_late");

  add_for_ways_with(SHARES, tc, late_reply_reaches_nobody_and_is_counted);
  add_for_ways_with(SHARES, tc,
                    one_token_ends_all_calls_that_share_it_and_no_other_on_the_connection);
  add_for_ways_with(SHARES, tc,
                    rest_of_a_request_that_was_given_up_follows_and_the_connection_stays_in_step);
  add_for_ways_with(SHARES, tc, rest_of_a_request_that_was_given_up_follows_though_nobody_calls);
  add_for_ways_with(SHARES, tc,
                    call_cancelled_behind_a_blocked_socket_is_not_run_and_never_appears);
  add_for_ways_with(SHARES, tc,
                    call_that_times_out_behind_a_blocked_socket_is_not_run_and_never_appears);
  add_for_ways_with(SHARES, tc, max_abandoned_stops_writing_until_the_server_has_answered);
  return checks_run("mux_late", tc);
}
