/* SPDX-License-Identifier: BSD-3-Clause */
/* sub_lost.c - a subscription connection that is lost, again and again, at any byte, or goes
 * silent: everything is restored, and each consumer is told of each gap once, before anything that
 * comes after it, when it may look at the state of things without missing a message. */
#include "behaviour/listening.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/proxy.h"
#include "harness/util.h"

enum { EARS = 3, SHORT_LOSSES = 12, LONG_LOSSES = 1000, MANY = 2500 };

/* ---- reconnects ---- */

static void add_names(struct ear *ear, int i)
{
  char name[16];

  snprintf(name, sizeof name, "own-%d", i);
  add_ok(ear, PMX_SUB_CHANNEL, "all");
  add_ok(ear, PMX_SUB_CHANNEL, name);
  add_ok(ear, PMX_SUB_PATTERN, "p*");
  if (server_program_major() >= 7)
    add_ok(ear, PMX_SUB_SHARD, "shard");
}

/* Everything arrives, once. */
static void check_all_restored(struct scene *s, struct ear *ears, int round)
{
  char text[16], expected[128], name[16];

  snprintf(text, sizeof text, "%d", round);
  ck_assert_int_eq(publish(s->server, "all", text), 1);
  ck_assert_int_eq(publish(s->server, "pq", text), 1);
  for (int i = 0; i < EARS; i++) {
    snprintf(name, sizeof name, "own-%d", i);
    ck_assert_int_eq(publish(s->server, name, text), 1);
    snprintf(expected, sizeof expected, "GAP all=%s p*>pq=%s %s=%s ", text, text, name, text);
    ear_check(&ears[i], expected);
  }
  if (server_program_major() < 7)
    return;
  ck_assert_int_eq(server_integer(s->server, "SPUBLISH", "shard", text, NULL), 1);
  snprintf(expected, sizeof expected, "shard:shard=%s ", text);
  for (int i = 0; i < EARS; i++)
    ear_check(&ears[i], expected);
}

START_TEST(each_gap_is_told_once_and_each_subscription_restored)
{
  struct scene s;
  struct ear ears[EARS];
  int losses = soak() ? LONG_LOSSES : SHORT_LOSSES;
  uint64_t names = server_program_major() >= 7 ? 3 + EARS : 2 + EARS;

  scene_open(&s, _i, "reconnect.min_delay", "1ms", "reconnect.max_delay", "10ms", NULL);
  for (int i = 0; i < EARS; i++) {
    ear_open(&ears[i], s.client, i % 2);
    add_names(&ears[i], i);
  }
  for (int round = 1; round <= losses; round++) {
    kill_subscribers(s.server);
    for (int i = 0; i < EARS; i++)
      ck_assert_msg(ear_has(&ears[i], 0, 1, SOON_MS), "round %d: no gap", round);
    check_all_restored(&s, ears, round);
  }
  ck_assert_uint_eq(stats_of(s.client).gaps, (uint64_t)losses * EARS);
  ck_assert_uint_eq(stats_of(s.client).resubscribes, (uint64_t)losses * names);
  ck_assert_uint_eq(stats_of(s.client).messages_dropped, 0);
  for (int i = 0; i < EARS; i++)
    ear_close(&ears[i]);
  scene_close(&s);
}
END_TEST

START_TEST(a_server_that_comes_back_is_subscribed_to_again)
{
  struct scene s;
  struct ear ear;
  int64_t back;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  server_kill(s.server);
  ear_pull(&ear, 300); /* the gap is not told before there is an end to it */
  ear_check(&ear, "");
  ck_assert(server_restart(s.server));
  back = pmx_now_ms();
  ck_assert(ear_has(&ear, 0, 1, SOON_MS));
  printf("restored %lld ms after the server was back\n", (long long)(pmx_now_ms() - back));
  check_on_time("restored", back + 1000);
  ck_assert_int_eq(publish(s.server, "c", "x"), 1);
  ear_check(&ear, "GAP c=x ");
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

START_TEST(thousands_of_names_are_restored)
{
  struct scene s;
  struct ear ear;
  pmx_message m = PMX_MESSAGE_INIT;
  char name[32];

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  for (int i = 0; i < MANY; i++) {
    snprintf(name, sizeof name, "name-%d", i);
    add_ok(&ear, i % 5 ? PMX_SUB_CHANNEL : PMX_SUB_PATTERN, name);
  }
  kill_subscribers(s.server);
  ck_assert(ear_has(&ear, 0, 1, SOON_MS));
  for (int i = 0; i < MANY; i += 7) { /* by the time the gap is told all are there */
    pmx_reply *reply;

    snprintf(name, sizeof name, "name-%d", i);
    ck_assert_int_eq(publish(s.server, name, "x"), 1);
    reply = pmx_sub_next(ear.sub, NULL);
    ck_assert_int_eq(pmx_message_get(reply, &m), 1);
    ck_assert_int_eq(m.type, PMX_MESSAGE_DATA);
    ck_assert_str_eq(m.channel, name);
    pmx_reply_free(reply);
  }
  ck_assert_uint_eq(stats_of(s.client).subscriptions, MANY);
  ck_assert_uint_eq(stats_of(s.client).resubscribes, MANY);
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

/* ---- cuts ---- */

/* The state of things, and news of it: as someone uses it who keeps a copy. */
struct copy {
  int64_t value;
  int64_t wrong;
};

static int64_t look_up(struct scene *s)
{
  return server_integer(s->server, "GET", "state", NULL);
}

static void change(struct scene *s, int64_t n)
{
  char text[24];

  snprintf(text, sizeof text, "%lld", (long long)n);
  free(server_command(s->server, "SET", "state", text, NULL));
  publish(s->server, "state", text);
}

/* Until the copy is right, by messages and gaps alone. */
static bool follow(struct scene *s, struct ear *ear, struct copy *copy, int64_t wanted)
{
  pmx_call call = call_in(SOON_MS);

  while (copy->value != wanted) {
    pmx_reply *reply = pmx_sub_next(ear->sub, &call);
    pmx_message m = PMX_MESSAGE_INIT;
    bool got = pmx_message_get(reply, &m) == 1;

    if (got && m.type == PMX_MESSAGE_GAP)
      copy->value = look_up(s);
    else if (got)
      copy->value = strtoll(m.data, NULL, 10);
    pmx_reply_free(reply);
    if (!got)
      return false;
  }
  return true;
}

START_TEST(a_copy_kept_by_messages_and_gaps_is_right_wherever_it_is_cut)
{
  struct scene s;
  struct proxy *proxy;
  struct ear ear;
  struct copy copy = {0, 0};
  pmx_client *client;
  int rounds = soak() ? 3000 : 60;
  struct rng rng;

  scene_open(&s, _i, NULL);
  proxy = proxy_start(manner_url(s.manner, s.server),
                      &(struct proxy_options){.over = s.manner->over});
  client = open_manner(s.manner, proxy_url(proxy), "connect", "lazy", "reconnect.min_delay", "1ms",
                       "reconnect.max_delay", "5ms", "command_timeout", "20s", (char *)NULL);
  rng_seed(&rng, test_seed("sub_lost"));
  ear_open(&ear, client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "other");
  add_ok(&ear, PMX_SUB_CHANNEL, "state");
  for (int round = 1; round <= rounds; round++) {
    enum proxy_way way = rng_below(&rng, 2) ? PROXY_TO_CLIENT : PROXY_TO_SERVER;

    proxy_cut(proxy, way, (int64_t)rng_below(&rng, 400), 1);
    for (int i = 0; i < 8; i++)
      change(&s, round * 100 + i);
    ck_assert_msg(follow(&s, &ear, &copy, round * 100 + 7), "round %d: %" PRId64, round,
                  copy.value);
  }
  proxy_heal(proxy);
  printf("%d rounds, %llu gaps\n", rounds, (unsigned long long)stats_of(client).gaps);
  ck_assert_uint_gt(stats_of(client).gaps, 0);
  ear_close(&ear);
  close_client(client);
  proxy_stop(proxy);
  scene_close(&s);
}
END_TEST

/* ---- silence ---- */

START_TEST(a_silent_connection_is_found_out)
{
  struct scene s;
  struct proxy *proxy;
  struct ear ear;
  pmx_client *client;

  scene_open(&s, _i, NULL);
  proxy = proxy_start(manner_url(s.manner, s.server),
                      &(struct proxy_options){.over = s.manner->over});
  client = open_manner(s.manner, proxy_url(proxy), "mux.keepalive", "100ms", "mux.stall_timeout",
                       "200ms", "connect_timeout", "200ms", "command_timeout", "20s", (char *)NULL);
  ear_open(&ear, client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  ear_pull(&ear, 500); /* PINGs are answered: it stays */
  ear_check(&ear, "");
  ck_assert_uint_eq(stats_of(client).gaps, 0);
  proxy_silence(proxy, true);
  ear_pull(&ear, 700);
  proxy_silence(proxy, false);
  ck_assert(ear_has(&ear, 0, 1, SOON_MS));
  ck_assert_int_ge(publish(s.server, "c", "x"), 1);
  ear_check(&ear, "GAP c=x ");
  ear_close(&ear);
  close_client(client);
  proxy_stop(proxy);
  scene_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("sub_lost");

  server_require("sub_lost");
  tcase_set_timeout(tc, soak() ? 600 : 60);
  add_for_manners(tc, each_gap_is_told_once_and_each_subscription_restored);
  add_for_manners(tc, a_server_that_comes_back_is_subscribed_to_again);
  add_for_manners(tc, thousands_of_names_are_restored);
  add_for_manners(tc, a_copy_kept_by_messages_and_gaps_is_right_wherever_it_is_cut);
  add_for_manners(tc, a_silent_connection_is_found_out);
  return checks_run("sub_lost", tc);
}
