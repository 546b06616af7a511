/* SPDX-License-Identifier: BSD-3-Clause */
/* overdue.c - a call whose time is up says why: which pool or lane, for how long, what is going
 * on there, what holds the connections, and why the last connect failed, if it did. What one that
 * waits for a connection says is told in exhaustion.c. */
#include "behaviour.h"

#include <stdio.h>
#include <string.h>

#include "harness/checks.h"

enum { TIME_MS = 60 };

/* The text says so, and then for how long: for as long as the call had, or longer. */
static void check_duration(const pmx_reply *reply, const char *part)
{
  const char *at = strstr(pmx_reply_error(reply), part);
  double time = 0;
  char unit[3] = "";

  ck_assert_msg(at && sscanf(at + strlen(part), "%lf %2[ms]", &time, unit) == 2,
                "\"%s\" does not say \"%s\" and a time", pmx_reply_error(reply), part);
  ck_assert_msg(unit[1] == '\0' || time >= TIME_MS, "%s: %s", part, pmx_reply_error(reply));
}

/* What is over and done with explains nothing. */
static void check_blames_no_connect(const pmx_reply *reply)
{
  ck_assert_msg(strstr(pmx_reply_error(reply), "connect error") == NULL, "%s",
                pmx_reply_error(reply));
}

static int answer_but_get(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argv[0][0] == 'G')
    return 0;
  return answer_values(ud, conn, argc, argv, len);
}

/* A client whose first connect was refused, and that is connected now; its server answers no GET.
 */
static pmx_client *open_after_a_failure(const struct way *way, struct fake *fake, const char *lanes)
{
  pmx_client *client;
  pmx_call call = call_in(TIME_MS);

  fake_listen(fake, false);
  client = open_client(way->strategy, fake_url(fake), "connect", "lazy", "pool.name", "mine",
                       "mux.lanes", lanes, "pool.max_size", "4", NULL);
  pmx_reply_free(pmx_do(client, &call, "PING", (char *)NULL));
  call = call_alone(client, TIME_MS);
  pmx_reply_free(pmx_do(client, &call, "PING", (char *)NULL));
  fake_listen(fake, true);
  check_is_ok(pmx_command(client, "PING"));
  call = call_alone(client, SOON_MS);
  check_is_ok(pmx_do(client, &call, "PING", (char *)NULL));
  return client;
}

START_TEST(a_call_without_an_answer_tells_what_its_pool_is_doing)
{
  struct fake *fake = fake_for(&ways[_i], answer_but_get, NULL);
  pmx_client *client = open_after_a_failure(&ways[_i], fake, "1");
  pmx_call call = call_alone(client, TIME_MS);
  pmx_reply *reply = pmx_do(client, &call, "GET", "k", (char *)NULL);

  check_says(reply, "GET got no answer from ");
  check_duration(reply, " in time, after ");
  check_says(reply, "; pool mine: live 1, idle 0, in use 1, connecting 0, waiting 0, max 4");
  check_duration(reply, "; longest in use ");
  check_says(reply, " (GET)");
  check_blames_no_connect(reply);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(a_call_without_an_answer_tells_what_its_lane_is_doing)
{
  struct fake *fake = fake_for(&ways[_i], answer_but_get, NULL);
  pmx_client *client = open_after_a_failure(&ways[_i], fake, "1");
  pmx_call call = call_in(TIME_MS);
  pmx_reply *reply = pmx_do(client, &call, "GET", "k", (char *)NULL);

  check_says(reply, "mux ");
  check_duration(reply, ": GET got no answer in time, after ");
  check_duration(reply, ": connected, in flight 1 (1 of them abandoned, the oldest for ");
  check_says(reply, "), queued 0");
  check_blames_no_connect(reply);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* One fits in flight, so the second is never written. */
START_TEST(a_call_that_was_not_sent_tells_what_its_lane_is_doing)
{
  struct fake *fake = fake_for(&ways[_i], answer_but_get, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "mux.max_inflight", "1",
                                   "mux.lanes", "1", NULL);
  pmx_call call = call_in(TIME_MS);
  pmx_reply *reply;

  pmx_reply_free(pmx_do(client, &call, "GET", "k", (char *)NULL));
  reply = pmx_do(client, &call, "SET", "k", "v", (char *)NULL);
  check_duration(reply, ": SET was still not sent after ");
  check_duration(reply, ": connected, in flight 1 (1 of them abandoned, the oldest for ");
  check_says(reply, "), queued 0");
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(one_of_several_lanes_says_which_it_is)
{
  struct fake *fake = fake_for(&ways[_i], answer_but_get, NULL);
  pmx_client *client = open_after_a_failure(&ways[_i], fake, "2");
  pmx_call call = call_in(TIME_MS);
  pmx_reply *reply = pmx_do(client, &call, "GET", "k", (char *)NULL);

  check_says(reply, ": lane ");
  pmx_reply_free(reply);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

struct some {
  struct fake *fake;
  size_t count;
};

static bool are_closed(void *arg)
{
  const struct some *s = arg;
  bool closed = true;

  for (size_t i = 0; i < s->count; i++)
    closed &= !fake_conn_is_open(fake_conn_at(s->fake, i));
  return closed;
}

/* The connection that the call waits for has not failed. */
START_TEST(a_connect_that_failed_before_another_did_not_is_no_cause)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_after_a_failure(&ways[_i], fake, "1");
  pmx_call call = call_in(TIME_MS);
  pmx_reply *reply;

  fake_accept_mode(fake, FAKE_ACCEPT_SILENT);
  for (size_t i = 0; i < 1 + lane_beside(client); i++) /* those that were made before */
    fake_close(fake_conn_at(fake, i));
  ck_assert(wait_for(are_closed, &(struct some){fake, 1 + lane_beside(client)}, SOON_MS));
  check_stat(client, connecting, strategy_has(ways[_i].strategy, SHARES));
  reply = pmx_do(client, &call, "GET", "k", (char *)NULL);
  check_blames_no_connect(reply);
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("overdue");

  ways_brief();
  add_for_ways_with(LEASES, tc, a_call_without_an_answer_tells_what_its_pool_is_doing);
  add_for_ways_with(SHARES, tc, a_call_without_an_answer_tells_what_its_lane_is_doing);
  add_for_ways_with(SHARES, tc, a_call_that_was_not_sent_tells_what_its_lane_is_doing);
  add_for_ways_with(SHARES, tc, one_of_several_lanes_says_which_it_is);
  add_for_ways(tc, a_connect_that_failed_before_another_did_not_is_no_cause);
  return checks_run("overdue", tc);
}
