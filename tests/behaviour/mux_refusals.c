/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_refusals.c - what a connection that many callers share cannot carry is refused before
 * anything is sent, and told which way it can be done; what only looks like it is carried. */
#include "behaviour/muxing.h"

#include <check.h>
#include <string.h>

#include "harness/checks.h"

static const char *const sessions[] = {
    "SELECT 1",
    "select 1",
    "AUTH password",
    "HELLO 3",
    "RESET",
    "QUIT",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH k",
    "UNWATCH",
    "READONLY",
    "READWRITE",
    "ASKING",
    "CLIENT SETNAME name",
    "CLIENT SETINFO lib-name x",
    "CLIENT TRACKING ON",
    "CLIENT CACHING YES",
    "CLIENT NO-EVICT on",
    "CLIENT NO-TOUCH on",
    "WAIT 1 100",
    "WAITAOF 1 0 100",
};
static const char *const blocking[] = {
    "BLPOP l 0",
    "blpop l 1",
    "BRPOP l 1",
    "BLMOVE a b LEFT LEFT 1",
    "BLMPOP 1 1 l LEFT",
    "BRPOPLPUSH a b 1",
    "BZPOPMIN z 1",
    "BZPOPMAX z 1",
    "BZMPOP 1 1 z MIN",
    "XREAD BLOCK 100 STREAMS s $",
    "XREAD COUNT 1 block 0 STREAMS s $",
    "XREADGROUP GROUP g c BLOCK 100 STREAMS s >",
};
static const char *const never[] = {
    "SUBSCRIBE c", "PSUBSCRIBE c",     "SSUBSCRIBE c", "UNSUBSCRIBE",
    "MONITOR",     "CLIENT REPLY OFF", "SYNC",         "PSYNC ? -1",
};
static const char *const carried[] = {
    "XREAD COUNT 1 STREAMS BLOCK 0-0", /* a stream of that name */
    "LPOP BLPOP",
    "GET SUBSCRIBE",
    "CLIENT ID",
    "CLIENT GETNAME",
    "CLIENT INFO",
    "EXISTS WATCH",
};

/* hint: what the way out is called. */
static void check_refused(pmx_client *client, uint64_t flags, const char *command, const char *hint)
{
  struct waiting w = {.client = client, .command = command};
  pmx_reply *reply;
  const char *text;

  w.call = call_flags(flags, PMX_DEFAULT);
  waiting_start(&w);
  reply = waiting_end(&w);
  text = pmx_reply_error(reply);

  ck_assert_msg(pmx_reply_status(reply) == PMX_INVALID &&
                    pmx_reply_cause(reply) == PMX_CAUSE_UNSUPPORTED,
                "%s: %s/%s %s", command, pmx_status_str(pmx_reply_status(reply)),
                pmx_cause_str(pmx_reply_cause(reply)), text);
  ck_assert_msg(strlen(text) > 20 && strstr(text, hint) != NULL, "%s: no way out in \"%s\"",
                command, text);
  pmx_reply_free(reply);
}

START_TEST(what_a_shared_connection_cannot_carry_is_refused_and_told_the_way_out)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  int64_t id = client_id(client), before = server_commands(server);

  for (size_t i = 0; i < sizeof sessions / sizeof *sessions; i++)
    check_refused(client, 0, sessions[i], "strategy=");
  for (size_t i = 0; i < sizeof blocking / sizeof *blocking; i++)
    check_refused(client, 0, blocking[i], "strategy=");
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    check_refused(client, 0, never[i], "");
  ck_assert_int_eq(server_commands(server), before);
  ck_assert_int_eq(client_id(client), id); /* nothing happened to the connection */
  ck_assert_uint_eq(stats_of(client).invalid, sizeof sessions / sizeof *sessions +
                                                  sizeof blocking / sizeof *blocking +
                                                  sizeof never / sizeof *never);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(what_only_looks_like_it_is_carried)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);

  for (size_t i = 0; i < sizeof carried / sizeof *carried; i++) {
    pmx_reply *reply = call_words(client, carried[i]);

    ck_assert_msg(pmx_ok(reply), "%s: %s", carried[i], pmx_reply_error(reply));
    pmx_reply_free(reply);
  }
  ck_assert_uint_eq(stats_of(client).opened, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(what_a_lane_cannot_carry_is_refused_to_who_insists_on_one)
{
  static const char *const parking[] = {"FLUSHALL", "flushdb sync", "SHUTDOWN",
                                        "MIGRATE 127.0.0.1 1 k 0 10"};
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_call shared = call_flags(PMX_CALL_SHARED, PMX_DEFAULT);
  int64_t before = server_commands(server);

  for (size_t i = 0; i < sizeof sessions / sizeof *sessions; i++)
    check_refused(client, PMX_CALL_SHARED, sessions[i], "pmx_acquire");
  for (size_t i = 0; i < sizeof blocking / sizeof *blocking; i++)
    check_refused(client, PMX_CALL_SHARED, blocking[i], "leave PMX_CALL_SHARED out");
  for (size_t i = 0; i < sizeof parking / sizeof *parking; i++)
    check_refused(client, PMX_CALL_SHARED, parking[i], "leave PMX_CALL_SHARED out");
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    check_refused(client, PMX_CALL_SHARED, never[i], "");
  ck_assert_int_eq(server_commands(server), before);
  check_is_ok(pmx_command_call(client, &shared, "GET k"));
  ck_assert_uint_eq(stats_of(client).opened, 1);
  ck_assert_uint_eq(stats_of(client).borrows, 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_blocking_command_is_named_in_its_refusal)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_reply *reply = call_words(client, "BLPOP l 0");

  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), "BLPOP would stall every other caller"));
  pmx_reply_free(reply);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(no_connection_is_lent)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  pmx_reply *failure;

  for (int i = 0; i < 3; i++) {
    ck_assert_ptr_null(pmx_acquire(client, NULL, &failure));
    ck_assert_ptr_nonnull(strstr(pmx_reply_error(failure), "strategy=hybrid"));
    check_fails(failure, PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  }
  ck_assert_ptr_null(pmx_acquire(client, NULL, NULL));
  get_value(client, "k");
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_refusals");

  server_require("mux_refusals");
  add_for_ways_with(REFUSES, tc,
                    what_a_shared_connection_cannot_carry_is_refused_and_told_the_way_out);
  add_for_ways_with(SHARES, tc, what_only_looks_like_it_is_carried);
  add_for_ways_with(REFUSES, tc, a_blocking_command_is_named_in_its_refusal);
  add_for_ways_with(REFUSES, tc, no_connection_is_lent);
  add_for_ways_with(DEDICATES, tc, what_a_lane_cannot_carry_is_refused_to_who_insists_on_one);
  return checks_run("mux_refusals", tc);
}
