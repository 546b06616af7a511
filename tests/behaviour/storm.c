/* SPDX-License-Identifier: BSD-3-Clause */
/* storm.c - connecting when many want it, for longer than they have time, or in vain: never more at
 * once than allowed, never more often than the schedule, and no connection made is thrown away. */
#include "behaviour.h"

#include <stdatomic.h>
#include <stdio.h>

#include "harness/checks.h"

/* ---- connects that take longer than a call has time ---- */

static const struct fake_step slow_login[] = {FAKE_EXPECT("PING"), FAKE_DELAY(80),
                                              FAKE_SEND("+PONG\r\n"), FAKE_END};

START_TEST(connect_that_outlives_the_call_serves_the_next_ones)
{
  struct fake_options options = {
      .over = ways[_i].over, .script = slow_login, .handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "pool.max_size", "2", NULL);
  pmx_call call = call_in(20);
  int64_t limit = pmx_now_ms() + SOON_MS;
  int failures = 0;
  pmx_reply *reply;

  while (!pmx_ok(reply = pmx_do(client, &call, "GET", "k", (char *)NULL))) {
    ck_assert_int_ne(pmx_reply_status(reply), PMX_SERVER_ERROR);
    check_fails(reply, pmx_reply_status(reply), PMX_CAUSE_TIMEOUT);
    failures++;
    ck_assert_int_lt(pmx_now_ms(), limit);
  }
  check_value(reply, "k");
  ck_assert_int_ge(failures, 1); /* 80 ms of login, 20 ms for a call */
  ck_assert_uint_le(fake_accepted(fake), 2);
  ck_assert_uint_eq(stats_of(client).dial_failures, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- storms ---- */

struct storm {
  atomic_int logins, most; /* logins under way at the server */
  pmx_client *client;
};

static void login_begins(void *ud, struct fake_conn *conn)
{
  struct storm *storm = ud;
  int now = atomic_fetch_add(&storm->logins, 1) + 1;

  (void)conn;
  if (now > atomic_load(&storm->most))
    atomic_store(&storm->most, now); /* the fake's thread alone */
}

static void login_ends(void *ud, struct fake_conn *conn)
{
  (void)conn;
  atomic_fetch_sub(&((struct storm *)ud)->logins, 1);
}

static void get_in_storm(int i, void *arg)
{
  struct storm *storm = arg;
  char key[24];

  for (int round = 0; round < 5; round++) {
    snprintf(key, sizeof key, "key-%d-%d", i, round);
    get_value(storm->client, key);
  }
}

START_TEST(cold_pool_stays_inside_both_of_its_limits_under_a_storm)
{
  static const struct fake_step script[] = {FAKE_CALL(login_begins), FAKE_EXPECT("PING"),
                                            FAKE_DELAY(5),           FAKE_CALL(login_ends),
                                            FAKE_SEND("+PONG\r\n"),  FAKE_END};
  struct storm storm = {.most = 0};
  struct fake_options options = {.over = ways[_i].over,
                                 .script = script,
                                 .handler = answer_values,
                                 .ud = &storm};
  struct fake *fake = fake_start(&options);

  storm.client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "pool.max_size",
                             "20", "pool.connect_concurrency", "4", "pool.wait_timeout", "60s",
                             "command_timeout", "60s", NULL);
  run_threads(100, get_in_storm, &storm);
  ck_assert_int_le(atomic_load(&storm.most), 4);
  ck_assert_int_gt(atomic_load(&storm.most), 1); /* and not one after the other */
  ck_assert_uint_le(fake_accepted(fake), 20);
  ck_assert_uint_eq(stats_of(storm.client).closed, 0);
  check_books(storm.client, 20);
  close_client(storm.client);
  ck_assert(fake_stop(fake));
}
END_TEST

static void get_while_down(int i, void *client)
{
  char key[24];

  snprintf(key, sizeof key, "key-%d", i);
  get_value(client, key);
}

static void get_by_many(void *client)
{
  run_threads(20, get_while_down, client);
}

/* Delays are random between 0 and 100 ms: 20 connects in a second is what to expect, and 60 are
 * nine standard deviations away. */
START_TEST(server_that_is_down_is_tried_by_schedule_and_the_connections_that_find_it_are_kept)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client;
  struct background *thread;
  pmx_stats stats;

  fake_listen(fake, false);
  client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "command_timeout",
                       "60s", "reconnect.min_delay", "100ms", "reconnect.max_delay", "100ms",
                       "pool.max_size", "20", NULL);
  thread = background_start(get_by_many, client);
  sleep_ms(1000);
  stats = stats_of(client);
  ck_assert_uint_gt(stats.dial_failures, 1);
  ck_assert_uint_le(stats.dial_failures, 60);
  ck_assert_uint_eq(stats.waiting, 20);
  fake_listen(fake, true);
  background_join(thread);
  check_stat(client, connecting, 0);
  stats = stats_of(client);
  ck_assert_uint_eq(stats.closed, 0);
  ck_assert_uint_eq(stats.opened, fake_accepted(fake));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- a crowd of programs ---- */

enum { BIN_MS = 50, FEW = 100, MANY = 500 };

struct crowd {
  pmx_client *clients[MANY];
  pmx_future *waiting[MANY];
  unsigned n;
};

static unsigned attempts_of_all(const struct crowd *crowd)
{
  uint64_t n = 0;

  for (unsigned i = 0; i < crowd->n; i++)
    n += stats_of(crowd->clients[i]).dial_failures;
  return (unsigned)n;
}

/* Each client waits between 0 and 500 ms before it tries again: a fifth of them tries in 50 ms. In
 * step all would, and then nobody for long. Of 100 clients half of them, 50, are seven standard
 * deviations away from 20, and fewer than 5 three; of 500 they are fifteen and seven. */
static void check_attempts_are_spread(const struct crowd *crowd, int bins)
{
  unsigned before = attempts_of_all(crowd), first = before;
  int quiet = 0;

  for (int bin = 0; bin < bins; bin++) {
    int64_t begun = now_ms();
    unsigned now;

    sleep_ms(BIN_MS);
    now = attempts_of_all(crowd);
    ck_assert_int_le(now - before, crowd->n / 2 * (now_ms() - begun + BIN_MS - 1) / BIN_MS);
    quiet += now - before < crowd->n / 20;
    before = now;
  }
  ck_assert_int_le(quiet, bins / 2);
  ck_assert_uint_gt(before - first, crowd->n); /* and nobody has given up */
}

START_TEST(a_crowd_of_clients_of_a_server_that_is_down_does_not_try_in_step)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  struct crowd crowd = {.n = soak() ? MANY : FEW};

  fake_listen(fake, false);
  for (unsigned i = 0; i < crowd.n; i++)
    crowd.clients[i] =
        open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "command_timeout", "60s",
                    "reconnect.min_delay", "500ms", "reconnect.max_delay", "500ms", NULL);
  for (unsigned i = 0; i < crowd.n; i++) /* at the same time, so to say */
    crowd.waiting[i] = pmx_submit(crowd.clients[i], NULL, "GET %s", "k");
  sleep_ms(500);
  check_attempts_are_spread(&crowd, (soak() ? 30000 : 700) / BIN_MS);
  fake_listen(fake, true);
  for (unsigned i = 0; i < crowd.n; i++)
    check_value(pmx_future_take(crowd.waiting[i]), "k");
  for (unsigned i = 0; i < crowd.n; i++)
    close_client(crowd.clients[i]);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("storm");

  ways_brief();
  add_for_ways(tc, connect_that_outlives_the_call_serves_the_next_ones);
  add_for_ways_with(BORROWS, tc, cold_pool_stays_inside_both_of_its_limits_under_a_storm);
  add_for_ways(tc,
               server_that_is_down_is_tried_by_schedule_and_the_connections_that_find_it_are_kept);
  add_for_ways(tc, a_crowd_of_clients_of_a_server_that_is_down_does_not_try_in_step);
  return checks_run("storm", tc);
}
