/* SPDX-License-Identifier: BSD-3-Clause */
/* async_retries.c - callbacks of calls that are tried more than once, or must not be: the
 * connection is lost, the server refuses for now, the server is away. Each comes once, with the
 * outcome that a synchronous call would have had. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <strings.h>

#include "behaviour/calling.h"
#include "harness/checks.h"

struct trouble {
  const char *name;  /* of the commands it makes trouble with */
  _Atomic int times; /* how often */
  const char *error; /* what it answers then; NULL: it takes the command and hangs up */
};

static int make_trouble(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct trouble *trouble = ud;

  if (strcasecmp(argv[0], trouble->name) != 0 || atomic_load(&trouble->times) == 0)
    return answer_values(NULL, conn, argc, argv, len);
  atomic_fetch_sub(&trouble->times, 1);
  if (!trouble->error)
    return -1;
  fake_reply_error(conn, trouble->error);
  return 0;
}

struct troubled {
  const struct manner *manner;
  struct trouble trouble;
  struct fake *fake;
  pmx_client *client;
};

static void trouble_begin(struct troubled *t, int i)
{
  struct way way = way_of(&manners[i]);

  t->manner = &manners[i];
  t->fake = fake_for(&way, make_trouble, &t->trouble);
  t->client = open_manner(t->manner, fake_url(t->fake), "command_timeout", "20s", (char *)NULL);
}

static void trouble_end(struct troubled *t)
{
  close_client(t->client);
  ck_assert(fake_stop(t->fake));
}

START_TEST(a_read_whose_connection_was_lost_is_sent_again)
{
  struct troubled t = {.trouble = {"GET", 2, NULL}};
  struct told told = {0};

  trouble_begin(&t, _i);
  ask(t.client, &told, NULL, "GET k");
  check_value(outcome(&told), "k");
  ck_assert_uint_eq(fake_seen(t.fake, "GET"), 3);
  ck_assert_uint_eq(stats_of(t.client).retries, 2);
  ck_assert_uint_eq(stats_of(t.client).commands, 1);
  trouble_end(&t);
}
END_TEST

START_TEST(a_write_whose_connection_was_lost_is_unknown_and_sent_once)
{
  struct troubled t = {.trouble = {"INCR", 1, NULL}};
  struct told told = {0};
  pmx_reply *reply;

  trouble_begin(&t, _i);
  ask(t.client, &told, NULL, "INCR n");
  reply = outcome(&told);
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_LOST);
  ask(t.client, &told, NULL, "GET k");
  check_value(outcome(&told), "k");
  ck_assert_uint_eq(fake_seen(t.fake, "INCR"), 1);
  trouble_end(&t);
}
END_TEST

START_TEST(a_call_that_may_have_run_is_tried_retry_max_times)
{
  struct troubled t = {.trouble = {"GET", -1, NULL}};
  struct told told = {0};

  trouble_begin(&t, _i);
  ask(t.client, &told, NULL, "GET k");
  check_fails(outcome(&told), PMX_UNKNOWN, PMX_CAUSE_LOST);
  ck_assert_uint_eq(fake_seen(t.fake, "GET"), 4);
  trouble_end(&t);
}
END_TEST

START_TEST(a_loading_server_is_asked_again_until_it_is_ready)
{
  struct troubled t = {.trouble = {"GET", 5, "LOADING in a moment"}};
  struct told told[10] = {{0}};

  trouble_begin(&t, _i);
  for (int i = 0; i < 10; i++)
    ask(t.client, &told[i], NULL, "GET k");
  ck_assert(all_told(told, 10, SOON_MS));
  for (int i = 0; i < 10; i++)
    ck_assert_msg(pmx_ok(told[i].reply), "%s", pmx_reply_error(told[i].reply));
  told_clear(told, 10);
  ck_assert_uint_eq(fake_seen(t.fake, "GET"), 15);
  ck_assert_uint_eq(stats_of(t.client).retries, 5);
  trouble_end(&t);
}
END_TEST

START_TEST(a_server_that_never_gets_ready_costs_no_more_than_the_deadline)
{
  struct troubled t = {.trouble = {"SET", -1, "LOADING for ever"}};
  struct told told = {0};
  pmx_call call = call_in(150);
  int64_t limit;
  pmx_reply *reply;

  trouble_begin(&t, _i);
  limit = pmx_now_ms() + 150;
  ask(t.client, &told, &call, "SET k v");
  reply = outcome(&told);
  check_on_time("retries", limit);
  if (pmx_reply_status(reply) == PMX_SERVER_ERROR) {
    ck_assert_str_eq(pmx_reply_error_code(reply), "LOADING");
    ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  } else { /* time was up in the middle of the last try */
    ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_TIMEOUT);
  }
  pmx_reply_free(reply);
  ck_assert_uint_ge(fake_seen(t.fake, "SET"), 3);
  trouble_end(&t);
}
END_TEST

START_TEST(a_token_ends_the_pause_before_a_retry)
{
  struct troubled t = {.trouble = {"SET", -1, "LOADING for ever"}};
  struct told told = {0};
  pmx_call call = call_in(60000);
  int64_t begin;

  trouble_begin(&t, _i);
  call.cancel = pmx_cancel_new();
  ask(t.client, &told, &call, "SET k v");
  pass(t.client, 100);
  ck_assert(!is_told(&told));
  begin = pmx_now_ms();
  pmx_cancel_fire(call.cancel);
  pmx_reply_free(outcome(&told));
  check_on_time("cancel", begin);
  pmx_cancel_free(call.cancel);
  trouble_end(&t);
}
END_TEST

/* The server is away while they are begun, and comes back. */
START_TEST(calls_begun_while_the_server_is_away_are_carried_out_later)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), "command_timeout", "20s",
                                   "pool.wait_timeout", "60s", (char *)NULL);
  struct told told[50] = {{0}};

  check_is_ok(pmx_command(client, "PING"));
  server_kill(server);
  sleep_ms(5); /* what was written in the very moment might have run */
  for (int i = 0; i < 50; i++)
    ask(client, &told[i], NULL, "SETNX k:%d v", i);
  pass(client, 50);
  ck_assert(server_restart(server));
  ck_assert(all_told(told, 50, SOON_MS));
  for (int i = 0; i < 50; i++)
    ck_assert_msg(pmx_reply_int(told[i].reply, NULL) == 1, "%d: %s", i,
                  pmx_reply_error(told[i].reply));
  told_clear(told, 50);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- the client is closed meanwhile ---- */

enum { PAUSING = 6 };

struct pausing {
  struct troubled t;
  struct told told[PAUSING];
  pmx_future *future;
};

/* Every try that was begun has been sent. */
static bool none_is_queued(void *arg)
{
  struct pausing *p = arg;

  return fake_seen(p->t.fake, "SET") == PAUSING + 1 + stats_of(p->t.client).retries;
}

static void begin_pauses(struct pausing *p, int i)
{
  trouble_begin(&p->t, i);
  for (int k = 0; k < PAUSING; k++)
    ask(p->t.client, &p->told[k], NULL, "SET k v");
  p->future = pmx_submit(p->t.client, NULL, "SET k v");
  pass(p->t.client, 400); /* pauses are long by now */
  ck_assert(until(p->t.client, none_is_queued, p, SOON_MS));
  if (in_loop(p->t.manner))
    sleep_ms(300); /* and now all are over, but nobody has dispatched */
}

/* How many ended NOT_RUN; frees what they were told. */
static int count_not_run(struct pausing *p, pmx_reply *of_future)
{
  int n = pmx_reply_status(of_future) == PMX_NOT_RUN;

  pmx_reply_free(of_future);
  for (int k = 0; k < PAUSING; k++)
    n += pmx_reply_status(p->told[k].reply) == PMX_NOT_RUN;
  told_clear(p->told, PAUSING);
  return n;
}

/* False: another try was begun just before, which may not have been sent. */
static bool close_in_pauses(int i)
{
  struct pausing p = {.t.trouble = {"SET", -1, "LOADING for ever"}};
  pmx_reply *of_future;
  uint64_t retries;
  int64_t begin;
  bool paused;

  begin_pauses(&p, i);
  retries = stats_of(p.t.client).retries;
  begin = pmx_now_ms();
  pmx_close(p.t.client, 0);
  of_future = pmx_future_take(p.future);
  ck_assert(all_told(p.told, PAUSING, SOON_MS));
  check_on_time("close", begin);
  paused = stats_of(p.t.client).retries == retries && none_is_queued(&p);
  if (paused)
    ck_assert_int_eq(count_not_run(&p, of_future), 0);
  else
    count_not_run(&p, of_future);
  pmx_unref(p.t.client);
  ck_assert(fake_stop(p.t.fake));
  return paused;
}

/* With the outcome of their last try: there is no other, which would end NOT_RUN. A thread of the
 * client's own may begin it while we close, and the calls of a lane do so together. */
START_TEST(calls_that_pause_before_a_retry_end_when_the_client_is_closed)
{
  int rounds = in_loop(&manners[_i]) ? 1 : 50;

  while (rounds > 0 && !close_in_pauses(_i))
    rounds--;
  ck_assert_msg(rounds > 0, "another try was begun");
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("async_retries");

  manners_brief();
  server_require("async_retries");
  add_for_manners(tc, a_read_whose_connection_was_lost_is_sent_again);
  add_for_manners(tc, a_write_whose_connection_was_lost_is_unknown_and_sent_once);
  add_for_manners(tc, a_call_that_may_have_run_is_tried_retry_max_times);
  add_for_manners(tc, a_loading_server_is_asked_again_until_it_is_ready);
  add_for_manners(tc, a_server_that_never_gets_ready_costs_no_more_than_the_deadline);
  add_for_manners(tc, a_token_ends_the_pause_before_a_retry);
  add_for_manners(tc, calls_that_pause_before_a_retry_end_when_the_client_is_closed);
  add_for_manners(tc, calls_begun_while_the_server_is_away_are_carried_out_later);
  return checks_run("async_retries", tc);
}
