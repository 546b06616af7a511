/* SPDX-License-Identifier: BSD-3-Clause */
/* async_closing.c - what becomes of callbacks when the client is closed, from outside and inside a
 * callback: every one that was promised runs, once, and the last pmx_unref returns after the last
 * of them. The fixture counts threads and descriptors. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "behaviour/calling.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

enum { MANY = 300 };

struct scene {
  const struct manner *manner;
  struct server *server;
  pmx_client *client;
  struct told *told;
};

static void scene_open(struct scene *s, int i)
{
  s->manner = &manners[i];
  s->server = server_start(NULL);
  s->client = open_manner(s->manner, manner_url(s->manner, s->server), "pool.max_size", "4",
                          "pool.wait_timeout", "60s", "command_timeout", "60s", (char *)NULL);
  s->told = harness_alloc(MANY * sizeof *s->told);
}

static void scene_close(struct scene *s)
{
  told_clear(s->told, MANY);
  free(s->told);
  ck_assert(server_stop(s->server));
}

static void ask_many(struct scene *s)
{
  for (int i = 0; i < MANY; i++)
    ask(s->client, &s->told[i], NULL, "INCR n");
}

/* How many had which outcome; each has one. */
static void count_outcomes(const struct scene *s, int count[PMX_NOMEM + 1])
{
  for (int i = 0; i < MANY; i++) {
    ck_assert_msg(s->told[i].times == 1, "callback %d ran %d times", i, s->told[i].times);
    count[pmx_reply_status(s->told[i].reply)]++;
    if (!pmx_ok(s->told[i].reply))
      ck_assert_int_eq(pmx_reply_cause(s->told[i].reply), PMX_CAUSE_CLOSED);
  }
}

/* ---- from outside ---- */

START_TEST(close_without_time_ends_all_and_unref_returns_after_the_last_callback)
{
  struct scene s;
  int count[PMX_NOMEM + 1] = {0};
  int64_t begin;

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  server_pause(s.server);
  ask_many(&s);
  pass(s.client, 20); /* some are sent */
  begin = pmx_now_ms();
  ck_assert_int_eq(pmx_close(s.client, 0), 0);
  pmx_unref(s.client);
  count_outcomes(&s, count);
  check_on_time("close", begin);
  ck_assert_int_eq(count[PMX_NOT_RUN] + count[PMX_UNKNOWN], MANY);
  ck_assert_int_ge(count[PMX_UNKNOWN], 1);
  printf("%s, io=%s: %d not run, %d unknown\n", s.manner->strategy, s.manner->io,
         count[PMX_NOT_RUN], count[PMX_UNKNOWN]);
  server_resume(s.server);
  scene_close(&s);
}
END_TEST

START_TEST(giving_up_the_last_reference_is_enough)
{
  struct scene s;
  int count[PMX_NOMEM + 1] = {0};

  scene_open(&s, _i);
  ask_many(&s);
  pmx_unref(s.client);
  count_outcomes(&s, count);
  ck_assert_int_eq(count[PMX_OK] + count[PMX_NOT_RUN] + count[PMX_UNKNOWN], MANY);
  ck_assert_int_ge(server_integer(s.server, "INCR", "n", NULL), count[PMX_OK] + 1);
  scene_close(&s);
}
END_TEST

START_TEST(close_with_time_lets_what_is_under_way_finish)
{
  struct scene s;
  int count[PMX_NOMEM + 1] = {0};

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  ask_many(&s);
  pass(s.client, 100);
  ck_assert_int_eq(pmx_close(s.client, SOON_MS), 1);
  pmx_unref(s.client);
  count_outcomes(&s, count);
  ck_assert_int_eq(count[PMX_UNKNOWN], 0);
  ck_assert_int_gt(count[PMX_OK], 0);
  scene_close(&s);
}
END_TEST

/* ---- inside a callback ---- */

/* The client may be gone already, unless it lives in a loop that only we dispatch. */
static bool told_and_gone(const struct scene *s, struct told *told, int n)
{
  if (in_loop(s->manner))
    return all_told(told, n, SOON_MS);
  while (n > 0 && wait_for(is_told, &told[n - 1], SOON_MS))
    n--;
  return n == 0;
}

/* None is answered before the last has begun. */
static void ask_many_at_once(struct scene *s)
{
  check_is_ok(pmx_command(s->client, "PING"));
  server_pause(s->server);
  ask_many(s);
  server_resume(s->server);
}

static void close_inside(struct told *t, const pmx_reply *reply)
{
  (void)reply;
  *(int64_t *)t->arg = pmx_now_ms();
  pmx_close(t->client, PMX_FOREVER);
  *(int64_t *)t->arg = pmx_now_ms() - *(int64_t *)t->arg;
  if (pmx_async(t->client, NULL, tell, t, "PING") == PMX_OK)
    *(int64_t *)t->arg = INT64_MAX;
}

START_TEST(close_inside_a_callback_does_not_wait_and_the_rest_is_told)
{
  struct scene s;
  int count[PMX_NOMEM + 1] = {0};
  int64_t took = -1;

  scene_open(&s, _i);
  s.told[0].inside = close_inside;
  s.told[0].arg = &took;
  ask_many_at_once(&s);
  ck_assert(all_told(s.told, MANY, SOON_MS));
  ck_assert_int_ge(took, 0);
  ck_assert_int_lt(took, HANG_MS);
  count_outcomes(&s, count);
  ck_assert_int_gt(count[PMX_OK], 0);
  ck_assert_int_eq(pmx_close(s.client, SOON_MS), 1);
  pmx_unref(s.client);
  scene_close(&s);
}
END_TEST

static void unref_inside(struct told *t, const pmx_reply *reply)
{
  (void)reply;
  pmx_unref(t->client);
}

START_TEST(the_last_reference_may_go_inside_a_callback_with_calls_pending)
{
  struct scene s;
  int count[PMX_NOMEM + 1] = {0};

  scene_open(&s, _i);
  s.told[0].inside = unref_inside;
  ask_many_at_once(&s);
  ck_assert(told_and_gone(&s, s.told, MANY));
  count_outcomes(&s, count);
  scene_close(&s);
}
END_TEST

/* Nobody answers any more: what is pending has to be cut off after the callback. */
START_TEST(the_last_reference_may_go_inside_a_callback_while_the_server_is_silent)
{
  struct scene s;
  int count[PMX_NOMEM + 1] = {0};
  struct told last = {.inside = unref_inside};
  pmx_call call = call_in(50);

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  server_pause(s.server);
  ask_many(&s);
  ask(s.client, &last, &call, "PING");
  ck_assert(told_and_gone(&s, &last, 1));
  for (int i = 0; i < MANY; i++) /* by now nobody dispatches */
    ck_assert(wait_for(is_told, &s.told[i], SOON_MS));
  count_outcomes(&s, count);
  ck_assert_int_eq(count[PMX_OK], 0);
  told_clear(&last, 1);
  server_resume(s.server);
  scene_close(&s);
}
END_TEST

static void take_inside(struct told *t, const pmx_reply *reply)
{
  pmx_future *future = t->arg;

  (void)reply;
  pmx_unref(t->client);
  t->arg = pmx_future_take(future);
}

START_TEST(the_last_future_may_be_taken_inside_a_callback)
{
  struct scene s;
  struct told told = {.inside = take_inside};

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  server_pause(s.server);
  told.arg = pmx_submit(s.client, NULL, "ECHO it");
  ask(s.client, &told, NULL, "PING");
  server_resume(s.server);
  ck_assert(told_and_gone(&s, &told, 1));
  ck_assert_str_eq(pmx_reply_str(told.arg, NULL), "it");
  pmx_reply_free(told.arg);
  told_clear(&told, 1);
  scene_close(&s);
}
END_TEST

/* It waits, its token is fired, it gets a connection, the client is closed; and only then does the
 * loop, which is ours, look at all that. */
START_TEST(a_call_given_up_before_its_connection_was_used_ends_it_once)
{
  const struct manner *manner = &manners[_i];
  struct server *server;
  pmx_client *client;
  struct told told = {0};
  pmx_call call = PMX_CALL_INIT;
  pmx_lease *lease;

  if (!strategy_has(manner->strategy, LEASES))
    return;
  server = server_start(NULL);
  client = open_manner(manner, manner_url(manner, server), "pool.max_size", "1", (char *)NULL);
  lease = take(client);
  call.flags = flags_alone(client);
  call.cancel = pmx_cancel_new();
  ask(client, &told, &call, "PING");
  pmx_cancel_fire(call.cancel);
  give_back(lease);
  pmx_close(client, SOON_MS);
  check_books(client, 1);
  ck_assert_uint_eq(stats_of(client).closed, 1 + lane_beside(client));
  pmx_unref(client);
  check_fails(told.reply, PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  told.reply = NULL;
  ck_assert_int_eq(told.times, 1);
  pmx_cancel_free(call.cancel);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- while others submit ---- */

struct hammer {
  pmx_client *client;
  struct told told[4][200];
  int n[4];
  _Atomic int running;
};

static void submit_until_refused(int i, void *arg)
{
  struct hammer *h = arg;

  if (i == 4) {
    sleep_ms(2);
    pmx_close(h->client, 0);
    return;
  }
  while (h->n[i] < 200) {
    struct told *t = &h->told[i][h->n[i]];

    t->client = h->client;
    if (pmx_async(h->client, NULL, tell, t, "INCR n") != PMX_OK)
      break;
    h->n[i]++;
  }
}

START_TEST(close_beside_submissions_loses_no_callback)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  struct hammer *h = harness_alloc(sizeof *h);

  for (int round = 0; round < 5; round++) {
    int ok = 0, all = 0;

    h->client = open_manner(manner, manner_url(manner, server), (char *)NULL);
    check_is_ok(pmx_command(h->client, "SET n 0"));
    for (int i = 0; i < 4; i++)
      h->n[i] = 0;
    run_threads(5, submit_until_refused, h);
    pmx_unref(h->client);
    for (int i = 0; i < 4; i++) {
      for (int k = 0; k < h->n[i]; k++) {
        ck_assert_int_eq(h->told[i][k].times, 1);
        ok += pmx_ok(h->told[i][k].reply);
      }
      all += h->n[i];
      told_clear(h->told[i], h->n[i]);
    }
    ck_assert_int_le(ok, server_integer(server, "GET", "n", NULL));
    ck_assert_int_le(server_integer(server, "GET", "n", NULL), all);
  }
  ck_assert(server_stop(server));
  free(h);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("async_closing");

  server_require("async_closing");
  add_for_manners(tc, close_without_time_ends_all_and_unref_returns_after_the_last_callback);
  add_for_manners(tc, giving_up_the_last_reference_is_enough);
  add_for_manners(tc, close_with_time_lets_what_is_under_way_finish);
  add_for_manners(tc, close_inside_a_callback_does_not_wait_and_the_rest_is_told);
  add_for_manners(tc, the_last_reference_may_go_inside_a_callback_with_calls_pending);
  add_for_manners(tc, the_last_reference_may_go_inside_a_callback_while_the_server_is_silent);
  add_for_manners(tc, the_last_future_may_be_taken_inside_a_callback);
  add_for_io("loop", tc, a_call_given_up_before_its_connection_was_used_ends_it_once);
  add_for_manners(tc, close_beside_submissions_loses_no_callback);
  return checks_run("async_closing", tc);
}
