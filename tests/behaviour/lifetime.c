/* SPDX-License-Identifier: BSD-3-Clause */
/* lifetime.c - how connections age: retiring one by one and never in use, PINGs that keep them
 * alive or find them dead. Wall time stretches on a busy machine, so no test claims that something
 * happens in time; only that it happens, and never too close together. */
#include <poolmux/poolmux.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

/* ---- retiring ---- */

enum { LIFE_MS = 600, CONNECTIONS = 20, FLOOR = 8, SAMPLES_MAX = 20000 };

struct sample {
  int64_t before_us, after_us; /* it was taken between */
  uint64_t closes;
};

struct samples {
  struct sample *all;
  int count;
};

static void sample(struct samples *s, const pmx_client *client, uint64_t floor)
{
  struct sample *one = &s->all[s->count];
  pmx_stats stats;

  one->before_us = now_us();
  stats = stats_of(client);
  one->after_us = now_us();
  one->closes = stats.closed_lifetime;
  if (s->count < SAMPLES_MAX - 1)
    s->count++;
  ck_assert_uint_ge(stats.idle, floor);
  ck_assert_uint_le(stats.live + stats.connecting, CONNECTIONS);
}

/* In no stretch of time are there more closes than half the gap allows; half, because they are
 * decided a moment before they are counted. */
static void check_gaps(const struct samples *s, int64_t gap_us)
{
  for (int i = 0; i < s->count; i++) {
    for (int k = i + 1; k < s->count; k++) {
      const struct sample *a = &s->all[i], *b = &s->all[k];
      int64_t most = (b->after_us - a->before_us) / (gap_us / 2) + 1;

      if ((int64_t)(b->closes - a->closes) > most)
        ck_abort_msg("%d closes in %lld us", (int)(b->closes - a->closes),
                     (long long)(b->after_us - a->before_us));
      if (b->closes == s->all[s->count - 1].closes)
        break; /* nothing happened after b */
    }
  }
}

START_TEST(connections_of_one_age_retire_one_by_one_and_are_replaced_first)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "20", "pool.min_idle", "8", "pool.prefill", "sync",
                                   "pool.max_lifetime", "600ms", "pool.lifetime_jitter", "0", NULL);
  struct samples s = {harness_alloc(SAMPLES_MAX * sizeof *s.all), 0};
  int64_t end = now_ms() + (soak() ? 20 : 2) * LIFE_MS + LIFE_MS / 2;

  while (now_ms() < end) {
    sample(&s, client, FLOOR);
    sleep_ms(1);
  }
  check_gaps(&s, LIFE_MS * 1000 / CONNECTIONS);
  /* The first generation is gone. */
  ck_assert_uint_ge(stats_of(client).closed_lifetime, FLOOR);
  ck_assert_uint_eq(stats_of(client).closed, stats_of(client).closed_lifetime);
  free(s.all);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(without_a_floor_they_retire_one_by_one_as_well)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "20",
                  "pool.max_lifetime", "600ms", "pool.lifetime_jitter", "0", NULL);
  struct samples s = {harness_alloc(SAMPLES_MAX * sizeof *s.all), 0};
  pmx_lease *leases[CONNECTIONS];
  int64_t end = now_ms() + SOON_MS;

  for (int i = 0; i < CONNECTIONS; i++)
    leases[i] = take(client);
  for (int i = 0; i < CONNECTIONS; i++)
    give_back(leases[i]);
  while (stats_of(client).live > 0 && now_ms() < end) {
    sample(&s, client, 0);
    sleep_ms(1);
  }
  sample(&s, client, 0);
  check_gaps(&s, LIFE_MS * 1000 / CONNECTIONS);
  ck_assert_uint_eq(stats_of(client).closed_lifetime, CONNECTIONS);
  free(s.all);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_connection_in_use_is_not_cut_by_its_age)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "1", "pool.max_lifetime", "50ms", NULL);
  pmx_lease *lease = take(client);
  int64_t id = lease_id(lease);

  sleep_ms(200);
  ck_assert_int_eq(lease_id(lease), id);
  ck_assert_uint_eq(stats_of(client).closed, 0);
  give_back(lease);
  ck_assert_int_ne(client_id_alone(client), id);
  ck_assert_uint_eq(stats_of(client).closed_lifetime, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static void ask_until(int i, void *arg)
{
  struct waiting *w = arg; /* call.deadline_ms: until when */
  pmx_call call = call_alone(w->client, PMX_DEFAULT);
  (void)i;

  while (pmx_now_ms() < w->call.deadline_ms) {
    if (pmx_reply_finish(pmx_command_call(w->client, &call, "GET k")) != PMX_OK)
      __atomic_fetch_add(&w->ended_ms, 1, __ATOMIC_RELAXED); /* counts failures */
  }
}

START_TEST(retiring_connections_fails_no_call)
{
  struct server *server = server_start(NULL);
  struct waiting w = {.call = PMX_CALL_INIT};

  w.client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "3",
                         "pool.max_lifetime", "20ms", "pool.lifetime_jitter", "50", "retry.max",
                         "0", NULL);
  w.call.deadline_ms = pmx_now_ms() + (soak() ? 20000 : 700);
  run_threads(6, ask_until, &w);
  ck_assert_int_eq(w.ended_ms, 0);
  ck_assert_uint_ge(stats_of(w.client).closed_lifetime, 10);
  close_client(w.client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(lifetime_off_keeps_connections)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(strategies[_i], server_url(server, SERVER_TCP), "pool.max_lifetime", "off", NULL);
  int64_t id = client_id_alone(client);

  sleep_ms(100);
  ck_assert_int_eq(client_id_alone(client), id);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- keepalive ---- */

START_TEST(keepalive_pings_idle_connections_and_only_those)
{
  struct fake_options options = {.handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(strategies[_i], fake_url(fake), "pool.keepalive", "40ms", NULL);
  pmx_lease *lease;
  size_t pings;

  /* One PING belongs to the handshake. */
  ck_assert(fake_wait_seen(fake, "PING", 1 + 3, SOON_MS));
  check_stat(client, idle, 1);
  ck_assert_uint_eq(stats_of(client).borrows, stats_of(client).returns);
  lease = take(client);
  pings = fake_seen(fake, "PING");
  sleep_ms(150);
  ck_assert_uint_eq(fake_seen(fake, "PING"), pings);
  give_back(lease);
  ck_assert(fake_wait_seen(fake, "PING", pings + 1, SOON_MS));
  ck_assert_uint_eq(fake_counts(fake).accepted, 1);
  ck_assert_uint_ge(stats_of(client).pings, 3);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(keepalive_off_is_silent)
{
  struct fake_options options = {.handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(strategies[_i], fake_url(fake), "pool.keepalive", "off",
                                   "pool.idle_timeout", "off", NULL);
  size_t commands;

  get_value(client, "k");
  commands = fake_counts(fake).commands;
  sleep_ms(200);
  ck_assert_uint_eq(fake_counts(fake).commands, commands);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* Each PING is a use for the server, not for the pool. */
START_TEST(keepalive_does_not_keep_connections_from_being_evicted)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.keepalive",
                                   "20ms", "pool.idle_timeout", "200ms", NULL);

  check_stat(client, live, 0);
  ck_assert_uint_eq(stats_of(client).closed_idle, 1);
  ck_assert_uint_ge(stats_of(client).pings, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(keepalive_finds_dead_connections_and_min_idle_refills)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.keepalive",
                                   "30ms", "pool.min_idle", "4", "pool.prefill", "sync", NULL);

  ck_assert_int_eq(server_clients(server), 4);
  ck_assert_int_eq(server_kill_clients(server), 4);
  check_stat(client, closed_stale, 4);
  check_stat(client, idle, 4);
  ck_assert_int_eq(server_clients(server), 4);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- checks before use ---- */

START_TEST(a_connection_idle_for_long_is_pinged_before_it_is_lent)
{
  struct fake_options options = {.handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(strategies[_i], fake_url(fake), "pool.ping_after_idle", "60ms",
                                   "pool.keepalive", "off", NULL);
  size_t pings = fake_seen(fake, "PING");

  get_value(client, "a");
  get_value(client, "b");
  ck_assert_uint_le(fake_seen(fake, "PING"), pings + 1); /* a slow machine may pause in between */
  pings = fake_seen(fake, "PING");
  sleep_ms(90);
  get_value(client, "c");
  ck_assert_uint_eq(fake_seen(fake, "PING"), pings + 1);
  ck_assert_str_eq(fake_command(fake, fake_counts(fake).commands - 2)->argv[0], "PING");
  ck_assert_uint_eq(fake_counts(fake).accepted, 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(a_silent_idle_connection_is_replaced_without_an_error)
{
  struct fake_options options = {.handler = answer_values, .over = ways[_i].over};
  struct fake *fake = fake_start(&options);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "pool.ping_after_idle", "20ms",
                  "pool.check_timeout", "100ms", "pool.keepalive", "off", "retry.max", "0", NULL);
  int64_t begin;

  fake_stall(fake_conn_at(fake, 0));
  sleep_ms(40);
  begin = pmx_now_ms();
  get_value(client, "k");
  check_on_time("replacing a silent connection", begin + 100);
  ck_assert_uint_eq(fake_counts(fake).accepted, 2);
  ck_assert_uint_eq(stats_of(client).closed_stale, 1);
  ck_assert_uint_eq(stats_of(client).retries, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(check_ping_asks_before_every_use)
{
  struct fake_options options = {.handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(strategies[_i], fake_url(fake), "pool.check_on_borrow", "ping",
                                   "pool.keepalive", "off", NULL);
  size_t pings = fake_seen(fake, "PING");

  for (int i = 0; i < 20; i++)
    get_value(client, "k");
  ck_assert_uint_eq(fake_seen(fake, "PING"), pings + 20);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("lifetime");

  ways_brief();
  server_require("lifetime");
  add_for_ways_with(BORROWS, tc, connections_of_one_age_retire_one_by_one_and_are_replaced_first);
  add_for_ways_with(BORROWS, tc, without_a_floor_they_retire_one_by_one_as_well);
  add_for_ways_with(LEASES, tc, a_connection_in_use_is_not_cut_by_its_age);
  add_for_ways_with(LEASES, tc, retiring_connections_fails_no_call);
  add_for_strategies_with(LEASES, tc, lifetime_off_keeps_connections);
  add_for_strategies_with(BORROWS, tc, keepalive_pings_idle_connections_and_only_those);
  add_for_strategies_with(BORROWS, tc, keepalive_off_is_silent);
  add_for_ways_with(BORROWS, tc, keepalive_does_not_keep_connections_from_being_evicted);
  add_for_ways_with(LEASES, tc, keepalive_finds_dead_connections_and_min_idle_refills);
  add_for_strategies_with(BORROWS, tc, a_connection_idle_for_long_is_pinged_before_it_is_lent);
  add_for_ways_with(BORROWS, tc, a_silent_idle_connection_is_replaced_without_an_error);
  add_for_strategies_with(BORROWS, tc, check_ping_asks_before_every_use);
  return checks_run("lifetime", tc);
}
