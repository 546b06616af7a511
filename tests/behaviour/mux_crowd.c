/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_crowd.c - a crowd of callers gives way, and nobody else does; each is given what is his, and
 * nothing is written twice; no thread comes with it. */
#include "behaviour/crowding_doors.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"

enum { FEW = CROWD_LEAST - 1, ROUNDS = 15, CALLBACKS = 64, LONE = 32, THREADS = 64, AT_ONCE = 4 };

/* ---- who gives way ---- */

static void go_round(struct crowd_scene *s, int callers, int rounds)
{
  for (int i = 0; i < rounds; i++) {
    crowd_begin(s, callers);
    for (int n = 0; n < callers; n += 4)
      crowd_answer(s);
    crowd_finish(s);
  }
}

START_TEST(lone_caller_does_not_give_way)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  for (int i = 0; i < 10 * LONE; i++)
    get_value(s.client, "k");
  go_round(&s, 1, ROUNDS);
  ck_assert_uint_eq(turns(), 0);
  crowd_close(&s);
}
END_TEST

START_TEST(few_callers_do_not_give_way)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  go_round(&s, FEW, ROUNDS);
  ck_assert_uint_gt(stats_of(s.client).handovers, 0);
  for (int i = 0; i < ROUNDS; i++) { /* when one was answered before, the lane knows of two only */
    crowd_begin(&s, FEW);
    crowd_finish(&s);
  }
  ck_assert_uint_eq(turns(), 0);
  crowd_close(&s);
}
END_TEST

/* The lane knows of four only while it reads, and is told by the next read that they are three: so
 * they are answered in one piece, which TLS may cut. */
START_TEST(least_crowd_gives_way)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  for (int i = 0; turns() == 0; i++) {
    ck_assert_int_lt(i, ROUNDS);
    crowd_begin(&s, CROWD_LEAST);
    crowd_finish(&s);
  }
  crowd_close(&s);
}
END_TEST

static const char *const ios[] = {"thread", "loop"};

START_TEST(large_crowd_gives_way)
{
  for (int i = 0; i < 2; i++) {
    struct crowd_scene s;

    crowd_open_io(&s, &ways[_i], ios[i]);
    crowd_gather(&s, CROWD_MOST); /* which checks that */
    crowd_finish(&s);
    go_round(&s, CROWD_MOST, ROUNDS);
    get_value(s.client, "k");
    crowd_close(&s);
  }
}
END_TEST

static void set_yield(const struct crowd_scene *s, const char *value)
{
  ck_assert_int_eq(pmx_client_set(s->client, "mux.yield", value), PMX_OK);
}

/* From the next call on. */
START_TEST(crowd_does_not_give_way_while_that_is_off)
{
  struct crowd_scene s;
  unsigned before;

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD_MOST);
  crowd_finish(&s);
  set_yield(&s, "off");
  before = turns();
  go_round(&s, CROWD_MOST, ROUNDS);
  ck_assert_uint_eq(turns(), before);
  set_yield(&s, "auto");
  for (int i = 0; i < ROUNDS && turns() == before; i++)
    go_round(&s, CROWD_MOST, 1);
  ck_assert_uint_gt(turns(), before);
  crowd_close(&s);
}
END_TEST

static void count_value(void *count, const pmx_reply *reply)
{
  if (pmx_ok(reply))
    atomic_fetch_add((atomic_int *)count, 1);
}

/* Who does not wait does not give way: a few who do are among them. */
START_TEST(callbacks_are_no_crowd)
{
  struct crowd_scene s;
  atomic_int values = 0;

  crowd_open(&s, &ways[_i]);
  for (int round = 0; round < ROUNDS; round++) {
    crowd_begin(&s, FEW);
    for (int i = 0; i < CALLBACKS; i++)
      ck_assert_int_eq(pmx_async(s.client, NULL, count_value, &values, "GET odd-%d", i), PMX_OK);
    crowd_wait_seen(&s, FEW + CALLBACKS);
    crowd_answer(&s);
    crowd_finish(&s);
    check_stat(s.client, in_flight, 0);
  }
  ck_assert_uint_gt(stats_of(s.client).handovers, 0);
  ck_assert_uint_eq(turns(), 0);
  crowd_close(&s);
  ck_assert_int_eq(atomic_load(&values), ROUNDS * CALLBACKS);
}
END_TEST

/* ---- and when the crowd has gone ---- */

START_TEST(lone_caller_after_the_crowd_does_not_give_way)
{
  struct crowd_scene s;
  unsigned before;

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  crowd_finish(&s);
  for (int i = 0; i < LONE; i++) /* with each of them it fades */
    get_value(s.client, "k");
  before = turns();
  for (int i = 0; i < 10 * LONE; i++)
    get_value(s.client, "k");
  ck_assert_uint_eq(turns(), before);
  s.known = false;
  crowd_gather(&s, CROWD); /* and the next one does again */
  crowd_finish(&s);
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
  ck_assert(server_stop(server));
}

START_TEST(each_is_given_his_own_reply)
{
  struct work w;
  struct server *server = work_open(&w, &ways[_i], 300);

  run_threads(CROWD, echo, &w);
  ck_assert_uint_gt(turns(), 0);
  run_threads(THREADS, echo, &w);
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
  ck_assert_uint_gt(turns(), 0);
  ck_assert_int_eq(server_integer(server, "GET", "all", NULL), atomic_load(&w.answered));
  ck_assert_int_eq(atomic_load(&w.answered), THREADS * w.calls);
  work_close(&w, server);
}
END_TEST

/* ---- it brings no thread ---- */

/* Neither the test's nor the client's own: who is given an address looks up no name. */
static int strangers(void)
{
  return thread_count() - threads_named("pmt-crowd") - threads_named("pmt-other") -
         threads_named("poolmux");
}

static bool are_strangers(void *n)
{
  return strangers() == *(int *)n;
}

static void check_threads(struct crowd_scene *s, int clients, int others)
{
  crowd_gather(s, CROWD_MOST);
  crowd_finish(s);
  crowd_gather(s, CROWD_MOST);
  ck_assert_int_eq(threads_named("poolmux"), clients);
  ck_assert_int_eq(threads_named("pmx-reader"), 0);
  ck_assert_msg(wait_for(are_strangers, &others, SOON_MS), "%d threads, not %d", strangers(),
                others);
  crowd_finish(s);
}

START_TEST(crowd_brings_no_thread)
{
  for (int i = 0; i < 2; i++) {
    struct crowd_scene s;
    int others;

    crowd_name(false);
    others = strangers();
    crowd_open_io(&s, &ways[_i], ios[i]);
    check_threads(&s, i == 0, others);
    crowd_close(&s);
  }
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_crowd");

  server_require("mux_crowd");
  ways_brief();
  add_for_ways_with(SHARES, tc, lone_caller_does_not_give_way);
  add_for_ways_with(SHARES, tc, few_callers_do_not_give_way);
  add_for_ways_with(SHARES, tc, least_crowd_gives_way);
  add_for_ways_with(SHARES, tc, large_crowd_gives_way);
  add_for_ways_with(SHARES, tc, crowd_does_not_give_way_while_that_is_off);
  add_for_ways_with(SHARES, tc, callbacks_are_no_crowd);
  add_for_ways_with(SHARES, tc, lone_caller_after_the_crowd_does_not_give_way);
  add_for_ways_with(SHARES, tc, each_is_given_his_own_reply);
  add_for_ways_with(SHARES, tc, nothing_is_written_twice_or_out_of_order);
  add_for_ways_with(SHARES, tc, crowd_brings_no_thread);
  return checks_run("mux_crowd", tc);
}
