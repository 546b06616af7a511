/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_wire.c - the stream of a shared connection: replies in any pieces, with pushes and attributes
 * between them, cut off in the middle, or of nobody. Each call has its own reply or none. */
#include "behaviour/muxing.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/checks.h"
#include "harness/proxy.h"

/* ---- pieces ---- */

enum { THREADS = 64, THREE = 3, WIRE_SIZE = 512 };

static void get_some(int i, void *client)
{
  char key[48];

  for (int n = 0; n < (soak() ? 1000 : 6); n++) {
    snprintf(key, sizeof key, "key-%d-%d", i, n);
    get_value(client, key);
  }
}

START_TEST(every_call_has_its_own_value_though_bytes_come_one_by_one)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  struct proxy *proxy =
      proxy_start(fake_url(fake), &(struct proxy_options){.over = ways[_i].over});
  pmx_client *client = open_client(ways[_i].strategy, proxy_url(proxy), "command_timeout", "50s",
                                   "mux.stall_timeout", "off", NULL);

  proxy_slice(proxy, PROXY_TO_CLIENT, 1);
  proxy_slice(proxy, PROXY_TO_SERVER, 7);
  run_threads(THREADS, get_some, client);
  ck_assert_uint_eq(stats_of(client).opened, 1);
  ck_assert_uint_eq(stats_of(client).retries, 0);
  close_client(client);
  proxy_stop(proxy);
  ck_assert(fake_stop(fake));
}
END_TEST

static int never_answer(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud, (void)conn, (void)argc, (void)argv, (void)len;
  return 0;
}

/* The answers to key-0 … key-2, with what the server may say between them. */
static size_t three_answers(char wire[WIRE_SIZE], const char *between)
{
  size_t size = 0;

  for (int i = 0; i < THREE; i++) {
    char key[16], value[VALUE_SIZE];

    snprintf(key, sizeof key, "key-%d", i);
    value_of(key, value);
    size += (size_t)snprintf(wire + size, WIRE_SIZE - size, "%s$%zu\r\n%s\r\n", i ? between : "",
                             strlen(value), value);
  }
  return size;
}

/* Pieces of 1, 2, 3 … bytes: so the first one ends after each byte there is. */
static void check_pieces(const struct way *way, const char *between)
{
  struct fake *fake = fake_for(way, never_answer, NULL);
  pmx_client *client = open_client(way->strategy, fake_url(fake), NULL);
  char wire[WIRE_SIZE];
  size_t size = three_answers(wire, between);

  for (size_t piece = 1; piece <= size; piece++) {
    struct caller callers[THREE];

    callers_start(callers, THREE, client, NULL);
    ck_assert(fake_wait_seen(fake, "GET", THREE * piece, SOON_MS));
    fake_send_sliced(fake_conn_at(fake, 0), wire, size, piece, size / piece > 8 ? 0 : 1);
    callers_check_values(callers, THREE);
  }
  ck_assert_uint_eq(fake_accepted(fake), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(replies_may_be_in_two_pieces_at_every_byte)
{
  check_pieces(&ways[_i], "");
}
END_TEST

/* ---- what is no reply ---- */

#define PUSH ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
#define ATTRIBUTE "|1\r\n$3\r\nttl\r\n:3600\r\n"

/* hiredis before 1.3 takes an attribute for a broken stream. */
static bool reads_attributes(void)
{
  int major = 0, minor = 0;

  return sscanf(pmx_build_info(), "hiredis %d.%d", &major, &minor) == 2 &&
         major * 100 + minor >= 103;
}

START_TEST(pushes_between_replies_at_every_byte_are_nobodys_reply)
{
  if (reads_resp3())
    check_pieces(&ways[_i], PUSH);
}
END_TEST

START_TEST(attributes_of_replies_at_every_byte_are_no_replies)
{
  if (reads_attributes())
    check_pieces(&ways[_i], ATTRIBUTE);
}
END_TEST

/* Kinds the library has never heard of among them. */
static int answer_with_pushes(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  static const char *const kinds[] = {"invalidate", "message", "MOVING", "x"};

  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    fake_reply_push(conn, 2);
    fake_reply_text(conn, kinds[i]);
    fake_reply_int(conn, 1);
    if (i == 1)
      answer_values(ud, conn, argc, argv, len);
  }
  return 0;
}

START_TEST(pushes_of_any_kind_are_counted_and_reported_and_disturb_nobody)
{
  struct fake *fake = fake_for(&ways[_i], answer_with_pushes, NULL);
  pmx_options *options = options_for(ways[_i].strategy);
  struct seen seen;
  pmx_client *client;

  if (!reads_resp3()) { /* nothing asks for RESP3, so no server pushes */
    pmx_options_free(options);
    ck_assert(fake_stop(fake));
    return;
  }
  seen_init(&seen);
  pmx_options_set_events(options, seen_event, &seen);
  client = open_client_with(fake_url(fake), options);
  run_threads(8, get_some, client);
  check_stat(client, pushes, 4 * fake_seen(fake, "GET"));
  ck_assert(seen_reaches(&seen, PMX_EVENT_PUSH, 1, SOON_MS));
  ck_assert_uint_eq(stats_of(client).opened, 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- replies of nobody ---- */

static const char *const strays[] = {"+OK\r\n",         "-ERR max number of clients reached\r\n",
                                     "$-1\r\n",         "*0\r\n",
                                     "$5\r\nhello\r\n", "$5\r\nhe"};

/* unused: the connection has not been used for a while, and is watched. */
static void check_stray(const struct way *way, const char *stray, bool unused)
{
  struct fake *fake = fake_for(way, answer_values, NULL);
  pmx_options *options = options_for(way->strategy);
  struct seen seen;
  pmx_client *client;

  seen_init(&seen);
  pmx_options_set_events(options, seen_event, &seen);
  pmx_options_set(options, "retry.max", "0");
  client = open_client_with(fake_url(fake), options);
  if (!unused)
    get_value(client, "before");
  fake_send(fake_conn_at(fake, 0), stray, strlen(stray));
  if (unused)
    check_stat(client, closed, 1);
  ck_assert(fake_wait_sent(fake_conn_at(fake, 0), SOON_MS));
  sleep_ms(5); /* a lane that was read from in the last millisecond is not looked at again */
  get_value(client, "after");
  check_stat(client, closed, 1);
  ck_assert(seen_reaches(&seen, PMX_EVENT_LOST, 1, SOON_MS));
  if (stray[0] == '-')
    ck_assert_msg(strstr(seen.detail[PMX_EVENT_LOST], "max number of clients") != NULL, "%s",
                  seen.detail[PMX_EVENT_LOST]);
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(reply_of_nobody_ends_the_connection_with_that_reason_and_answers_nobody)
{
  for (size_t i = 0; i < sizeof strays / sizeof *strays; i++) {
    check_stray(&ways[_i], strays[i], true);
    check_stray(&ways[_i], strays[i], false);
  }
}
END_TEST

/* One reply too many, right behind the last one of a pipeline. */
static int answer_the_last_twice(void *ud, struct fake_conn *conn, int argc, char **argv,
                                 size_t *len)
{
  answer_values(ud, conn, argc, argv, len);
  if (argc == 2 && strcmp(argv[1], "key-2") == 0)
    fake_reply_text(conn, "again");
  return 0;
}

START_TEST(one_reply_too_many_behind_a_pipeline_answers_nobody)
{
  struct fake *fake = fake_for(&ways[_i], answer_the_last_twice, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "retry.max", "0", NULL);
  struct caller callers[THREE];

  fake_stall(fake_conn_at(fake, 0));
  callers_start(callers, THREE, client, NULL);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_values(callers, THREE);
  check_stat(client, closed, 1);
  get_value(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- replies that cannot be ---- */

static int answer_one_with_a_number(void *ud, struct fake_conn *conn, int argc, char **argv,
                                    size_t *len)
{
  if (argc != 2 || strcmp(argv[1], "odd") != 0)
    return answer_values(ud, conn, argc, argv, len);
  fake_reply_int(conn, 1);
  return 0;
}

START_TEST(reply_of_the_wrong_kind_ends_the_connection_and_reaches_nobody)
{
  struct fake *fake = fake_for(&ways[_i], answer_one_with_a_number, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  struct caller before, odd, behind[THREE], write;

  fake_stall(fake_conn_at(fake, 0));
  caller_start(&before, client, "GET before", NULL);
  check_outstanding(client, 1);
  caller_start(&odd, client, "GET odd", NULL);
  check_outstanding(client, 2);
  callers_start(behind, THREE, client, NULL);
  caller_start(&write, client, "INCR n", NULL);
  check_outstanding(client, 3 + THREE);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_values(&before, 1);
  callers_check_fail(&odd, 1, PMX_UNKNOWN, PMX_CAUSE_PROTOCOL);
  callers_check_fail(&write, 1, PMX_UNKNOWN, PMX_CAUSE_LOST);
  callers_check_values(behind, THREE); /* on the next connection */
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- a reply that is too large ---- */

static int answer_large(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  char *bytes;

  if (argc != 2 || strcmp(argv[1], "large") != 0)
    return answer_values(ud, conn, argc, argv, len);
  bytes = harness_alloc(10000);
  fake_reply_bulk(conn, bytes, 10000);
  free(bytes);
  return 0;
}

START_TEST(reply_over_the_limit_costs_only_its_own_call_and_writes_that_were_under_way)
{
  struct fake *fake = fake_for(&ways[_i], answer_large, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "reply.max_size", "4KiB", NULL);
  struct caller large, reads[THREE], write;

  fake_stall(fake_conn_at(fake, 0));
  caller_start(&large, client, "GET large", NULL);
  check_outstanding(client, 1);
  callers_start(reads, THREE, client, NULL);
  caller_start(&write, client, "INCR n", NULL);
  check_outstanding(client, 2 + THREE);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_fail(&large, 1, PMX_UNKNOWN, PMX_CAUSE_TOO_LARGE);
  callers_check_fail(&write, 1, PMX_UNKNOWN, PMX_CAUSE_LOST);
  callers_check_values(reads, THREE);
  ck_assert_uint_eq(fake_seen(fake, "INCR"), 1);
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_wire");

  add_for_ways_with(SHARES, tc, every_call_has_its_own_value_though_bytes_come_one_by_one);
  add_for_ways_with(SHARES, tc, replies_may_be_in_two_pieces_at_every_byte);
  add_for_ways_with(SHARES, tc, pushes_between_replies_at_every_byte_are_nobodys_reply);
  add_for_ways_with(SHARES, tc, attributes_of_replies_at_every_byte_are_no_replies);
  add_for_ways_with(SHARES, tc, pushes_of_any_kind_are_counted_and_reported_and_disturb_nobody);
  add_for_ways_with(SHARES, tc,
                    reply_of_nobody_ends_the_connection_with_that_reason_and_answers_nobody);
  add_for_ways_with(SHARES, tc, one_reply_too_many_behind_a_pipeline_answers_nobody);
  add_for_ways_with(SHARES, tc, reply_of_the_wrong_kind_ends_the_connection_and_reaches_nobody);
  add_for_ways_with(SHARES, tc,
                    reply_over_the_limit_costs_only_its_own_call_and_writes_that_were_under_way);
  return checks_run("mux_wire", tc);
}
