/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_reader.c - a crowd of callers has a reader of its own: when there is one and when not, that
 * it gives to each what is his and writes nothing twice, and that it goes when the crowd has gone.
 */
#include "behaviour/crowding.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"

enum {
  FEW = 6,
  LEAST = 7,
  IDLE_MS = 5,
  ROUNDS = 15,
  CALLBACKS = 64,
  LONE = 32,
  THREADS = 64,
  AT_ONCE = 4
};

/* ---- when there is one ---- */

/* Whoever drives leaves all the others behind, as a rule, again and again. */
static void go_round(struct crowd_scene *s, int callers, int rounds)
{
  for (int i = 0; i < rounds; i++) {
    crowd_begin(s, callers);
    for (int n = 0; n < callers / 4; n++)
      crowd_answer(s);
    crowd_finish(s);
  }
}

START_TEST(few_callers_have_none)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  go_round(&s, FEW, ROUNDS);
  get_value(s.client, "k");
  ck_assert_uint_gt(stats_of(s.client).handovers, 0);
  ck_assert_int_eq(readers(), 0);
  crowd_close(&s);
}
END_TEST

START_TEST(seven_callers_have_one)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  crowd_read(&s, LEAST);
  crowd_finish(&s);
  crowd_close(&s);
}
END_TEST

START_TEST(large_crowd_has_but_one)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  crowd_read(&s, CROWD_MOST);
  crowd_finish(&s);
  go_round(&s, CROWD_MOST, ROUNDS);
  ck_assert_int_eq(readers(), 1);
  crowd_close(&s);
}
END_TEST

static bool have_both(struct crowd_scene *s)
{
  go_round(s, CROWD_MOST, 1);
  return readers() == 2;
}

START_TEST(each_lane_has_one)
{
  struct crowd_scene s;
  int64_t end = pmx_now_ms() + SOON_MS;

  memset(&s, 0, sizeof s);
  s.fake = fake_for(&ways[_i], withhold, NULL);
  s.client = open_client("mux", fake_url(s.fake), "mux.lanes", "2", (char *)NULL);
  while (!have_both(&s))
    ck_assert_int_lt(pmx_now_ms(), end);
  go_round(&s, CROWD_MOST, ROUNDS);
  ck_assert_int_eq(readers(), 2);
  ck_assert_uint_eq(fake_accepted(s.fake), 2);
  crowd_close(&s);
}
END_TEST

START_TEST(client_of_a_loop_has_none)
{
  struct crowd_scene s;

  memset(&s, 0, sizeof s);
  s.fake = fake_for(&ways[_i], withhold, NULL);
  s.client = open_client(ways[_i].strategy, fake_url(s.fake), "io", "loop", (char *)NULL);
  go_round(&s, CROWD, ROUNDS);
  get_value(s.client, "k");
  ck_assert_uint_gt(stats_of(s.client).handovers, 0);
  ck_assert_int_eq(readers(), 0);
  crowd_close(&s);
}
END_TEST

static void count_value(void *count, const pmx_reply *reply)
{
  if (pmx_ok(reply))
    atomic_fetch_add((atomic_int *)count, 1);
}

/* Who does not wait does not hand anything over: a few who do are among them. */
START_TEST(callbacks_are_no_crowd)
{
  struct crowd_scene s;
  atomic_int values = 0;

  crowd_open(&s, &ways[_i]);
  for (int round = 0; round < ROUNDS; round++) {
    crowd_begin(&s, FEW / 2);
    for (int i = 0; i < CALLBACKS; i++)
      ck_assert_int_eq(pmx_async(s.client, NULL, count_value, &values, "GET odd-%d", i), PMX_OK);
    crowd_wait_seen(&s, FEW / 2 + CALLBACKS);
    crowd_answer(&s);
    crowd_finish(&s);
    check_stat(s.client, in_flight, 0);
  }
  ck_assert_uint_gt(stats_of(s.client).handovers, 0);
  ck_assert_int_eq(readers(), 0);
  crowd_close(&s);
  ck_assert_int_eq(atomic_load(&values), ROUNDS * CALLBACKS);
}
END_TEST

/* ---- and when the crowd has gone ---- */

START_TEST(lone_caller_after_the_crowd_reads_for_itself)
{
  struct crowd_scene s;
  uint64_t before;

  crowd_open(&s, &ways[_i]);
  readers_are_patient(true); /* it does not go because nothing is owed for a while */
  crowd_read(&s, CROWD);
  crowd_finish(&s);
  check_reader_reads();
  for (int i = 0; i < LONE; i++)
    get_value(s.client, "k");
  check_reader_is_away();
  before = reader_switches();
  for (int i = 0; i < 10 * LONE; i++)
    get_value(s.client, "k");
  ck_assert_uint_eq(reader_switches(), before);
  crowd_read(&s, CROWD); /* and comes again */
  crowd_finish(&s);
  crowd_close(&s);
}
END_TEST

START_TEST(reader_that_is_owed_nothing_goes)
{
  struct crowd_scene s;
  int64_t answered;

  crowd_open(&s, &ways[_i]);
  crowd_read(&s, CROWD);
  crowd_finish(&s);
  answered = pmx_now_ms();
  check_reader_is_away();
  check_on_time("the reader", answered + IDLE_MS);
  get_value(s.client, "k");
  ck_assert_int_eq(readers(), 1);
  crowd_close(&s);
}
END_TEST

/* ---- to each what is his ---- */

struct work {
  pmx_client *client;
  int calls;
  atomic_int wrong;
  atomic_llong answered; /* INCR of all */
};

static void echo(int i, void *arg)
{
  struct work *w = arg;
  char sent[32];

  for (int n = 0; n < w->calls; n++) {
    pmx_reply *reply = pmx_command(w->client, "ECHO %d:%d", i, n);
    const char *text = pmx_reply_str(reply, NULL);

    snprintf(sent, sizeof sent, "%d:%d", i, n);
    if (!text || strcmp(text, sent) != 0)
      atomic_fetch_add(&w->wrong, 1);
    pmx_reply_free(reply);
  }
}

static int many(int usual)
{
  return soak() ? 50 * usual : usual;
}

static struct server *work_open(struct work *w, const struct way *way, int calls)
{
  struct server *server = server_start(NULL);

  memset(w, 0, sizeof *w);
  w->client = open_client(way->strategy, url_for(way, server), "retry.max", "0", (char *)NULL);
  w->calls = many(calls);
  return server;
}

static void work_close(struct work *w, struct server *server)
{
  ck_assert_int_eq(atomic_load(&w->wrong), 0);
  ck_assert_uint_eq(stats_of(w->client).opened, 1);
  close_client(w->client);
  check_readers(0);
  ck_assert(server_stop(server));
}

START_TEST(each_is_given_his_own_reply)
{
  struct work w;
  struct server *server = work_open(&w, &ways[_i], 300);

  run_threads(CROWD, echo, &w);
  ck_assert_int_eq(readers(), 1);
  run_threads(THREADS, echo, &w);
  ck_assert_int_eq(readers(), 1);
  work_close(&w, server);
}
END_TEST

/* A counter of his own goes up by one with each reply: in order, none twice, none left out. */
static void count_up(struct work *w, int i, int64_t *last, pmx_future **own)
{
  for (int n = 0; n < AT_ONCE; n++)
    own[n] = pmx_submit(w->client, NULL, "INCR own:%d", i);
  for (int n = 0; n < AT_ONCE; n++) {
    pmx_reply *reply = pmx_future_take(own[n]);

    if (pmx_reply_int(reply, NULL) != ++*last)
      atomic_fetch_add(&w->wrong, 1);
    pmx_reply_free(reply);
  }
}

static void increment(int i, void *arg)
{
  struct work *w = arg;
  int64_t own = 0, shared = 0;
  pmx_future *futures[AT_ONCE];

  for (int n = 0; n < w->calls; n++) {
    pmx_reply *reply = pmx_command(w->client, "INCR all");

    int64_t all = pmx_reply_int(reply, NULL);

    if (all <= shared)
      atomic_fetch_add(&w->wrong, 1);
    shared = all;
    atomic_fetch_add(&w->answered, 1);
    pmx_reply_free(reply);
    if (n % 8 == 0)
      count_up(w, i, &own, futures);
  }
}

START_TEST(nothing_is_written_twice_or_out_of_order)
{
  struct work w;
  struct server *server = work_open(&w, &ways[_i], 200);

  run_threads(THREADS, increment, &w);
  ck_assert_int_eq(readers(), 1);
  ck_assert_int_eq(server_integer(server, "GET", "all", NULL), atomic_load(&w.answered));
  ck_assert_int_eq(atomic_load(&w.answered), THREADS * w.calls);
  work_close(&w, server);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_reader");

  server_require("mux_reader");
  ways_brief();
  add_for_ways_with(SHARES, tc, few_callers_have_none);
  add_for_ways_with(SHARES, tc, seven_callers_have_one);
  add_for_ways_with(SHARES, tc, large_crowd_has_but_one);
  tcase_add_test(tc, each_lane_has_one);
  add_for_ways_with(SHARES, tc, client_of_a_loop_has_none);
  add_for_ways_with(SHARES, tc, callbacks_are_no_crowd);
  add_for_ways_with(SHARES, tc, lone_caller_after_the_crowd_reads_for_itself);
  add_for_ways_with(SHARES, tc, reader_that_is_owed_nothing_goes);
  add_for_ways_with(SHARES, tc, each_is_given_his_own_reply);
  add_for_ways_with(SHARES, tc, nothing_is_written_twice_or_out_of_order);
  return checks_run("mux_reader", tc);
}
