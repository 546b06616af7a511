/* SPDX-License-Identifier: BSD-3-Clause */
/* batch_lost.c - batches whose connection ends in the middle, or that are given up: what each
 * command's status says is compared with what the server has done (promise P3). */
#include "behaviour/batching.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/muxing.h"
#include "harness/checks.h"
#include "harness/proxy.h"

enum { COMMANDS = 3 };

struct scene {
  struct side side;
  pmx_call call; /* of a batch, and of what shall be where that goes */
  struct server *server;
  struct proxy *proxy;
  pmx_client *client;
  int64_t values[COMMANDS]; /* of c0, c1, c2 before */
  int ok, not_run, unknown;
};

static const char increments[] = "INCR c0; INCR c1; INCR c2";

static void scene_open(struct scene *s, int i)
{
  struct side side = side_at(i);
  struct proxy_options options = {.over = side.way->over};

  memset(s, 0, sizeof *s);
  s->side = side;
  s->call = side_call(&side, 0, PMX_DEFAULT);
  s->server = server_start(NULL);
  s->proxy = proxy_start(url_for(side.way, s->server), &options);
  s->client = open_side(&side, proxy_url(s->proxy), "reconnect.min_delay", "1ms",
                        "reconnect.max_delay", "2ms", NULL);
}

static void scene_close(struct scene *s)
{
  printf("ok %d, not run %d, unknown %d\n", s->ok, s->not_run, s->unknown);
  close_client(s->client);
  proxy_stop(s->proxy);
  ck_assert(server_stop(s->server));
}

static void note_values(struct scene *s)
{
  char key[32];

  for (int i = 0; i < COMMANDS; i++) {
    snprintf(key, sizeof key, "c%d", i);
    s->values[i] = server_value(s->server, key);
  }
}

/* The status agrees with what has happened to key i. */
static void check_element(struct scene *s, const pmx_reply *element, int i)
{
  char key[32];
  int64_t ran;

  snprintf(key, sizeof key, "c%d", i);
  ran = server_value(s->server, key) - s->values[i];
  ck_assert_int_ge(ran, 0);
  ck_assert_int_le(ran, 1); /* at most once */
  switch (pmx_reply_status(element)) {
  case PMX_OK:
    ck_assert_int_eq(ran, 1);
    ck_assert_int_eq(pmx_reply_int(element, NULL), s->values[i] + 1);
    s->ok++;
    return;
  case PMX_NOT_RUN:
    ck_assert_int_eq(ran, 0);
    s->not_run++;
    break;
  case PMX_UNKNOWN:
    s->unknown++;
    break;
  case PMX_SERVER_ERROR:
  case PMX_INVALID:
  case PMX_NOMEM:
    ck_abort_msg("%s", pmx_reply_error(element));
  }
  ck_assert_int_eq(pmx_reply_cause(element), PMX_CAUSE_LOST);
  ck_assert_int_eq(pmx_reply_safe_to_retry(element), pmx_reply_status(element) == PMX_NOT_RUN);
}

static void settle(struct scene *s)
{
  side_connect(&s->side, s->client); /* again */
  ck_assert(wait_for((bool (*)(void *))server_running, s->server, SOON_MS));
}

/* A cut at every byte of the requests, then of the replies. */
static void cut_everywhere(struct scene *s, int atomic, enum proxy_way way, int size)
{
  for (int at = 1; at < size; at++) {
    pmx_reply *reply;

    settle(s);
    note_values(s);
    proxy_cut(s->proxy, way, at, 1);
    reply = batch_run(batch_of(s->client, increments), atomic, &s->call);
    settle(s);
    if (pmx_ok(reply))
      check_array(reply, COMMANDS);
    for (int i = 0; i < COMMANDS; i++)
      check_element(s, pmx_ok(reply) ? pmx_reply_at(reply, (size_t)i) : reply, i);
    ck_assert(!atomic || !pmx_reply_failed(reply) || pmx_reply_failed(reply) == reply);
    if (atomic)
      ck_assert_int_eq(server_value(s->server, "c0"), server_value(s->server, "c2"));
    pmx_reply_free(reply);
  }
}

START_TEST(cut_at_any_byte_leaves_true_statuses)
{
  struct scene s;
  int whole; /* over TLS no answer comes before the record has */

  scene_open(&s, _i);
  whole = sealing(s.side.way);
  cut_everywhere(&s, 0, PROXY_TO_SERVER, COMMANDS * 22);
  ck_assert_int_gt(s.unknown, 0);
  s.ok = 0;
  cut_everywhere(&s, 0, PROXY_TO_CLIENT, COMMANDS * (whole ? 8 : 4) + whole);
  ck_assert_int_gt(s.ok, 0); /* those whose answers came before the cut */
  scene_close(&s);
}
END_TEST

START_TEST(cut_at_any_byte_leaves_all_or_nothing_of_a_transaction)
{
  struct scene s;

  scene_open(&s, _i);
  cut_everywhere(&s, 1, PROXY_TO_SERVER, 15 + COMMANDS * 22 + 14);
  cut_everywhere(&s, 1, PROXY_TO_CLIENT, 5 + COMMANDS * 9 + 4 + COMMANDS * 4);
  ck_assert_int_gt(s.unknown, 0);
  scene_close(&s);
}
END_TEST

/* ---- tries ---- */

START_TEST(batch_that_only_reads_is_sent_again_as_a_whole)
{
  struct scene s;

  scene_open(&s, _i);
  server_ask(s.server, "MSET c0 1 c1 2 c2 3");
  for (int at = 1; at < 21; at++) {
    pmx_reply *array;

    settle(&s);
    proxy_cut(s.proxy, PROXY_TO_CLIENT, at, 1);
    array = batch_run(batch_of(s.client, "GET c0; GET c1; GET c2"), at % 2, &s.call);
    check_array(array, COMMANDS);
    for (size_t i = 0; i < COMMANDS; i++)
      check_element_int(array, i, (int64_t)i + 1);
    pmx_reply_free(array);
  }
  ck_assert_uint_ge(stats_of(s.client).retries, 20);
  scene_close(&s);
}
END_TEST

START_TEST(batch_that_may_run_twice_is_sent_again_when_the_caller_allows_it)
{
  struct scene s;
  pmx_reply *array;

  scene_open(&s, _i);
  s.call.flags |= PMX_CALL_RETRY_SAFE;
  settle(&s);
  proxy_cut(s.proxy, PROXY_TO_CLIENT, 5, 1); /* one answer, and a part of the next */
  array = batch_run(batch_of(s.client, increments), 0, &s.call);
  check_array(array, COMMANDS);
  check_element_int(array, 0, 2);
  pmx_reply_free(array);
  scene_close(&s);
}
END_TEST

/* Two tries: what the first may have run stays unknown when the second is not even sent. */
START_TEST(what_an_earlier_try_may_have_run_stays_unknown)
{
  struct scene s;
  pmx_reply *array;

  scene_open(&s, _i);
  s.call = side_call(&s.side, PMX_CALL_RETRY_SAFE, 200);
  settle(&s);
  proxy_refuse(s.proxy, true);
  proxy_cut(s.proxy, PROXY_TO_CLIENT, 5, 1);
  array = batch_run(batch_of(s.client, increments), 0, &s.call);
  check_array(array, COMMANDS);
  for (size_t i = 0; i < COMMANDS; i++) {
    ck_assert_int_eq(pmx_reply_status(pmx_reply_at(array, i)), PMX_UNKNOWN);
    ck_assert_int_eq(pmx_reply_safe_to_retry(pmx_reply_at(array, i)), 0);
  }
  ck_assert_int_eq(server_value(s.server, "c2"), 1);
  pmx_reply_free(array);
  proxy_refuse(s.proxy, false);
  scene_close(&s);
}
END_TEST

/* ---- sent in part ---- */

enum { PIECES = 24, PIECE = 1024 * 1024 };

static pmx_batch *large_batch(pmx_client *client)
{
  pmx_batch *batch = pmx_batch_new(client);
  char key[32];

  for (int i = 0; i < PIECES; i++) {
    snprintf(key, sizeof key, "piece-%d", i);
    batch_add_big(batch, key, i ? PIECE : 100);
  }
  return batch;
}

/* UNKNOWN, then NOT_RUN: at least one of each. How many are UNKNOWN. */
static size_t check_torn(pmx_reply *array, pmx_cause cause)
{
  size_t unknown = 0;

  check_array(array, PIECES);
  while (unknown < PIECES && pmx_reply_status(pmx_reply_at(array, unknown)) == PMX_UNKNOWN)
    unknown++;
  ck_assert_uint_gt(unknown, 0);
  ck_assert_uint_lt(unknown, PIECES);
  for (size_t i = 0; i < PIECES; i++)
    check_element_fails(array, i, i < unknown ? PMX_UNKNOWN : PMX_NOT_RUN, cause);
  pmx_reply_free(array);
  return unknown;
}

/* Reads the first command, and then no more than came along with it. */
static int read_one(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (strcmp(argv[0], "SET") != 0)
    return answer_values(ud, conn, argc, argv, len);
  fake_stall(conn);
  return 0;
}

struct sender {
  struct side side;
  pmx_batch *batch;
  pmx_reply *reply;
};

static void send_batch(void *arg)
{
  struct sender *s = arg;
  pmx_call call = side_call(&s->side, 0, PMX_DEFAULT);

  s->reply = batch_run(s->batch, 0, &call);
}

START_TEST(commands_that_were_not_begun_when_the_connection_was_lost_did_not_run)
{
  struct side side = side_at(_i);
  struct fake *fake = fake_for(side.way, read_one, NULL);
  pmx_client *client = open_side(&side, fake_url(fake), NULL);
  struct sender sender = {.side = side, .batch = large_batch(client)};
  struct background *thread;

  side_connect(&side, client);
  thread = background_start(send_batch, &sender);
  ck_assert(fake_wait_seen(fake, "SET", 1, SOON_MS));
  fake_reset(fake_conn_at(fake, side.conn));
  background_join(thread);
  ck_assert_uint_ge(check_torn(sender.reply, PMX_CAUSE_LOST), fake_seen(fake, "SET"));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* On a connection of its own the rest never follows; on a shared one it does. */
START_TEST(given_up_in_the_middle_of_the_write_says_what_will_still_be_sent)
{
  struct side side = side_at(_i);
  struct fake *fake = fake_for(side.way, answer_values, NULL);
  pmx_client *client = open_side(&side, fake_url(fake), NULL);
  pmx_call call = side_call(&side, 0, 300);
  pmx_reply *array;

  side_connect(&side, client);
  fake_stall(fake_conn_at(fake, side.conn));
  array = batch_run(large_batch(client), 0, &call);
  if (side.shares) {
    check_array(array, PIECES);
    for (size_t i = 0; i < PIECES; i++)
      check_element_fails(array, i, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
    pmx_reply_free(array);
  } else {
    check_torn(array, PMX_CAUSE_TIMEOUT);
  }
  fake_resume(fake_conn_at(fake, side.conn));
  call.timeout_ms = PMX_DEFAULT;
  check_value(pmx_command_call(client, &call, "GET k"), "k");
  ck_assert_uint_eq(fake_accepted(fake), side.conn + (side.shares ? 1 : 2));
  ck_assert_uint_eq(fake_seen(fake, "SET"), side.shares ? PIECES : fake_seen(fake, "SET"));
  ck_assert_uint_lt(side.shares ? 0 : fake_seen(fake, "SET"), PIECES);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- given up when some answers are there ---- */

static int answer_some(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc == 2 && strcmp(argv[1], "late") == 0)
    fake_delay(conn, 700);
  return answer_values(ud, conn, argc, argv, len);
}

START_TEST(answers_that_came_before_the_deadline_are_kept)
{
  struct side side = side_at(_i);
  struct fake *fake = fake_for(side.way, answer_some, NULL);
  pmx_client *client = open_side(&side, fake_url(fake), NULL);
  pmx_call call = side_call(&side, 0, 250);
  struct caller other;
  pmx_reply *array;

  side_connect(&side, client);
  if (side.shares)
    caller_start(&other, client, "GET other", NULL);
  array = batch_run(batch_of(client, "GET a; GET b; GET late; GET d"), 0, &call);
  check_array(array, 4);
  check_value(pmx_reply_ref(pmx_reply_at(array, 0)), "a");
  check_value(pmx_reply_ref(pmx_reply_at(array, 1)), "b");
  check_element_fails(array, 2, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_element_fails(array, 3, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_says(pmx_reply_at(array, 2), "a batch");
  pmx_reply_free(array);
  if (side.shares)
    check_value(caller_end(&other), "other");
  call.timeout_ms = PMX_DEFAULT;
  check_value(pmx_command_call(client, &call, "GET k"), "k"); /* not "late" */
  if (side.shares)
    ck_assert_uint_eq(stats_of(client).late_replies, 2);
  ck_assert_uint_eq(fake_accepted(fake), side.conn + (side.shares ? 1 : 2));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("batch_lost");

  server_require("batch_lost");
  add_for_sides(tc, cut_at_any_byte_leaves_true_statuses);
  add_for_sides(tc, cut_at_any_byte_leaves_all_or_nothing_of_a_transaction);
  add_for_sides(tc, batch_that_only_reads_is_sent_again_as_a_whole);
  add_for_sides(tc, batch_that_may_run_twice_is_sent_again_when_the_caller_allows_it);
  add_for_sides(tc, what_an_earlier_try_may_have_run_stays_unknown);
  add_for_sides(tc, commands_that_were_not_begun_when_the_connection_was_lost_did_not_run);
  add_for_sides(tc, given_up_in_the_middle_of_the_write_says_what_will_still_be_sent);
  add_for_sides(tc, answers_that_came_before_the_deadline_are_kept);
  return checks_run("batch_lost", tc);
}
