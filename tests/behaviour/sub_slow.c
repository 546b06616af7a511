/* SPDX-License-Identifier: BSD-3-Clause */
/* sub_slow.c - consumers that are slower than their messages: what does not fit is dropped, with a
 * gap where it was, and nobody else notices. */
#include "behaviour/listening.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/util.h"

static void publish_many(struct server *server, const char *channel, int from, int to)
{
  char text[16];

  for (int i = from; i <= to; i++) {
    snprintf(text, sizeof text, "%d", i);
    ck_assert_int_ge(publish(server, channel, text), 1);
  }
}

struct wanted {
  pmx_client *client;
  uint64_t messages; /* taken and dropped */
};

static bool all_came(void *arg)
{
  struct wanted *w = arg;
  pmx_stats stats = stats_of(w->client);

  return stats.messages + stats.messages_dropped >= w->messages;
}

static void wait_for_messages(pmx_client *client, uint64_t n)
{
  ck_assert(until(client, all_came, &(struct wanted){client, n}, SOON_MS));
}

START_TEST(a_full_queue_drops_what_is_new_and_says_where)
{
  struct scene s;
  struct ear slow, quick;

  scene_open(&s, _i, "sub.max_messages", "4", NULL);
  ear_open(&slow, s.client, true);
  ear_open(&quick, s.client, false);
  add_ok(&slow, PMX_SUB_CHANNEL, "c");
  add_ok(&quick, PMX_SUB_CHANNEL, "c");
  for (int i = 1; i <= 9; i++) {
    publish_many(s.server, "c", i, i);
    ck_assert(ear_has(&quick, i, 0, SOON_MS)); /* it is not held up */
  }
  ear_check(&quick, "c=1 c=2 c=3 c=4 c=5 c=6 c=7 c=8 c=9 ");
  ck_assert_uint_eq(stats_of(s.client).messages_dropped, 5);
  ck_assert_uint_eq(stats_of(s.client).gaps, 1);
  ear_pull(&slow, 1000);
  ear_pull(&slow, 1000);
  publish_many(s.server, "c", 10, 10); /* half of it is free */
  wait_for_messages(s.client, 20);
  ear_check(&slow, "c=1 c=2 c=3 c=4 GAP c=10 ");
  ear_check(&quick, "c=10 ");
  publish_many(s.server, "c", 11, 11);
  ear_check(&slow, "c=11 ");
  ear_close(&slow);
  ear_close(&quick);
  scene_close(&s);
}
END_TEST

START_TEST(bytes_are_bounded_as_well)
{
  enum { BIG = 100 * 1000 };
  struct scene s;
  struct ear ear;
  char *big = harness_alloc(BIG + 1);

  scene_open(&s, _i, "sub.max_queued", "250KB", NULL);
  memset(big, 'b', BIG);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(publish(s.server, "c", big), 1);
  wait_for_messages(s.client, 5);
  ck_assert_uint_eq(stats_of(s.client).messages, 2);
  ck_assert_uint_eq(stats_of(s.client).messages_dropped, 3);
  ck_assert(ear_has(&ear, 2, 1, SOON_MS));
  publish_many(s.server, "c", 1, 1);
  ck_assert(ear_has(&ear, 3, 1, SOON_MS));
  ear_close(&ear);
  scene_close(&s);
  free(big);
}
END_TEST

static bool is_restored(void *client)
{
  return stats_of(client).resubscribes == 1;
}

START_TEST(a_lost_connection_behind_a_full_queue_is_one_gap)
{
  struct scene s;
  struct ear ear;

  scene_open(&s, _i, "sub.max_messages", "2", NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  publish_many(s.server, "c", 1, 4);
  wait_for_messages(s.client, 4);
  kill_subscribers(s.server);
  ck_assert(until(s.client, is_restored, s.client, SOON_MS));
  ear_check(&ear, "c=1 c=2 GAP ");
  ck_assert_int_eq(publish(s.server, "c", "5"), 1);
  ear_check(&ear, "c=5 ");
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

static void dawdle(struct ear *ear, const pmx_message *m)
{
  (void)ear, (void)m;
  sleep_ms(2);
}

/* Callbacks run one after the other, so that a slow one makes the others late. They lose nothing.
 */
START_TEST(a_slow_callback_takes_nothing_from_the_others)
{
  enum { MANY = 200 };
  struct scene s;
  struct ear slow, pulls, calls;

  scene_open(&s, _i, NULL);
  ear_open(&slow, s.client, false);
  ear_open(&pulls, s.client, true);
  ear_open(&calls, s.client, false);
  slow.inside = dawdle;
  add_ok(&slow, PMX_SUB_CHANNEL, "c");
  add_ok(&pulls, PMX_SUB_CHANNEL, "c");
  add_ok(&calls, PMX_SUB_CHANNEL, "c");
  publish_many(s.server, "c", 1, MANY);
  ck_assert(ear_has(&calls, MANY, 0, SOON_MS));
  ck_assert(ear_has(&slow, MANY, 0, SOON_MS));
  ck_assert(ear_has(&pulls, MANY, 0, SOON_MS));
  ck_assert_int_eq(slow.gaps + pulls.gaps + calls.gaps, 0);
  ck_assert_uint_eq(stats_of(s.client).messages, 3 * MANY);
  ear_close(&slow);
  ear_close(&pulls);
  ear_close(&calls);
  scene_close(&s);
}
END_TEST

/* Nothing waits for a consumer that never comes. */
START_TEST(calls_go_on_beside_a_consumer_that_takes_nothing)
{
  struct scene s;
  struct ear ear;

  scene_open(&s, _i, "sub.max_messages", "10", NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  for (int i = 0; i < 500; i++)
    check_int(pmx_do(s.client, NULL, "PUBLISH", "c", "x", (char *)NULL), 1);
  wait_for_messages(s.client, 500);
  ck_assert_uint_eq(stats_of(s.client).messages, 10);
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("sub_slow");

  manners_brief();
  server_require("sub_slow");
  tcase_set_timeout(tc, 60);
  add_for_manners(tc, a_full_queue_drops_what_is_new_and_says_where);
  add_for_manners(tc, bytes_are_bounded_as_well);
  add_for_manners(tc, a_lost_connection_behind_a_full_queue_is_one_gap);
  add_for_manners(tc, a_slow_callback_takes_nothing_from_the_others);
  add_for_manners(tc, calls_go_on_beside_a_consumer_that_takes_nothing);
  return checks_run("sub_slow", tc);
}
