/* SPDX-License-Identifier: BSD-3-Clause */
/* sizes.c - how many connections there are and which one is next: shrinking without traffic,
 * growing and shrinking at run time, the floor and the ceiling of idle ones, the order of lending.
 */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

enum { BURST = 20 };

/* BURST connections at once, returned in the order of the array a few ms apart: their numbers. */
static void burst(pmx_client *client, int64_t id[BURST])
{
  pmx_lease *leases[BURST];

  for (int i = 0; i < BURST; i++) {
    leases[i] = take(client);
    id[i] = lease_id(leases[i]);
  }
  for (int i = 0; i < BURST; i++) {
    give_back(leases[i]);
    sleep_ms(2);
  }
}

static bool is_connected(struct server *server, int64_t id)
{
  char text[32], *list;
  bool found;

  snprintf(text, sizeof text, "%lld", (long long)id);
  list = server_command(server, "CLIENT", "LIST", "ID", text, (char *)NULL);
  ck_assert_ptr_nonnull(list);
  found = strncmp(list, "id=", 3) == 0;
  free(list);
  return found;
}

START_TEST(a_burst_shrinks_to_the_floor_without_traffic_oldest_first)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "20", "pool.min_idle", "3", "pool.idle_timeout", "200ms", NULL);
  int64_t lanes = (int64_t)lane_beside(client);
  int64_t id[BURST], begin;

  burst(client, id);
  ck_assert_int_eq(server_clients(server), BURST + (int64_t)lane_beside(client));
  begin = pmx_now_ms();
  check_stat(client, live, 3 + lane_beside(client));
  check_on_time("shrinking", begin + 200);
  check_clients(server, 3 + lanes);
  for (int i = 0; i < BURST; i++)
    ck_assert_int_eq(is_connected(server, id[i]), i >= BURST - 3);
  ck_assert_uint_eq(stats_of(client).closed_idle, BURST - 3);
  sleep_ms(300);
  check_clients(server, 3 + lanes);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_burst_shrinks_to_nothing_without_a_floor)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "20", "pool.idle_timeout", "100ms", NULL);
  int64_t lanes = (int64_t)lane_beside(client);
  int64_t id[BURST];

  burst(client, id);
  check_stat(client, live, lane_beside(client));
  check_clients(server, lanes);
  check_is_ok(pmx_command(client, "PING"));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* Last in, first out: one thread keeps one connection alive, not twenty in turn. */
START_TEST(one_busy_thread_does_not_keep_a_burst_alive)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "20", "pool.idle_timeout", "150ms", NULL);
  int64_t lanes = (int64_t)lane_beside(client);
  int64_t id[BURST], end = now_ms() + SOON_MS;

  burst(client, id);
  while (stats_of(client).live > 1 + lane_beside(client) && now_ms() < end) {
    ck_assert_int_eq(client_id_alone(client), id[BURST - 1]);
    sleep_ms(5);
  }
  check_clients(server, 1 + lanes);
  ck_assert(is_connected(server, id[BURST - 1]));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(max_idle_closes_the_surplus_on_return)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "20", "pool.max_idle", "5", NULL);
  int64_t lanes = (int64_t)lane_beside(client);
  int64_t id[BURST];

  burst(client, id);
  ck_assert_uint_eq(stats_of(client).idle, 5);
  check_clients(server, 5 + lanes);
  ck_assert_int_eq(pmx_client_set(client, "pool.max_idle", "0"), PMX_OK);
  check_stat(client, live, lane_beside(client));
  check_clients(server, lanes);
  check_is_ok(pmx_command(client, "PING"));
  check_clients(server, lanes);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(min_idle_is_refilled_while_connections_are_in_use)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "8", "pool.min_idle", "3", "pool.prefill", "sync", NULL);
  pmx_lease *leases[8];

  check_stat(client, idle, 3); /* prefill has connected these, and no lane beside them */
  ck_assert_uint_eq(stats_of(client).lanes_opened, 0);
  for (int i = 0; i < 5; i++) {
    leases[i] = take(client);
    check_stat(client, idle, 3);
  }
  check_clients(server, 8);
  for (int i = 5; i < 8; i++)
    leases[i] = take(client);
  ck_assert_uint_eq(stats_of(client).live, 8); /* pool.max_size wins */
  for (int i = 0; i < 8; i++)
    give_back(leases[i]);
  ck_assert_int_eq(pmx_client_set(client, "pool.idle_timeout", "50ms"), PMX_OK);
  check_stat(client, live, 3);
  ck_assert_int_eq(pmx_client_set(client, "pool.min_idle", "6"), PMX_OK);
  check_stat(client, idle, 6);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(lifo_lends_the_one_returned_last_and_fifo_each_in_turn)
{
  struct server *server = server_start(NULL);
  pmx_client *lifo =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "20", NULL);
  pmx_client *fifo = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                 "20", "pool.order", "fifo", NULL);
  int64_t id[BURST];

  burst(lifo, id);
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(client_id_alone(lifo), id[BURST - 1]);
  burst(fifo, id);
  for (int i = 0; i < 2 * BURST; i++)
    ck_assert_int_eq(client_id_alone(fifo), id[i % BURST]);
  close_client(lifo);
  close_client(fifo);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- resizing ---- */

struct load {
  pmx_client *client;
  _Atomic int stop, failures;
  _Atomic uint64_t calls;
};

static void load_thread(int i, void *arg)
{
  struct load *load = arg;
  pmx_call call = call_alone(load->client, PMX_DEFAULT);
  char key[16], text[VALUE_SIZE];

  snprintf(key, sizeof key, "k%d", i);
  if (pmx_reply_finish(
          pmx_command_call(load->client, &call, "SET %s %s", key, value_of(key, text))) != PMX_OK)
    atomic_fetch_add(&load->failures, 1);
  while (!atomic_load(&load->stop)) {
    pmx_reply *reply = pmx_command_call(load->client, &call, "GET %s", key);
    const char *got = pmx_reply_str(reply, NULL);

    if (!got || strcmp(got, text) != 0)
      atomic_fetch_add(&load->failures, 1);
    pmx_reply_free(reply);
    atomic_fetch_add(&load->calls, 1);
  }
}

static void run_load(void *arg)
{
  run_threads(40, load_thread, arg);
}

/* Samples for some time: what there is never exceeds max. */
static void watch_size(const pmx_client *client, uint64_t max, int64_t ms)
{
  int64_t end = now_ms() + ms;

  while (now_ms() < end) {
    pmx_stats s = stats_of(client);
    ck_assert_uint_le(s.live + s.connecting, max + lane_beside(client));
    sleep_ms(1);
  }
}

static bool has_shrunk(void *arg)
{
  pmx_stats s = stats_of(arg);

  return s.live + s.connecting <= 4 + lane_beside(arg);
}

static bool has_grown(void *arg)
{
  return stats_of(arg).live > 4 + lane_beside(arg);
}

static bool goes_on(void *arg)
{
  return atomic_load((_Atomic uint64_t *)arg) > 0;
}

START_TEST(resizing_under_load_overshoots_never_and_fails_nobody)
{
  struct server *server = server_start(NULL);
  struct load load = {.client = open_client(ways[_i].strategy, url_for(&ways[_i], server),
                                            "pool.max_size", "32", "pool.wait_timeout", "20s",
                                            "command_timeout", "20s", NULL)};
  int64_t lanes = (int64_t)lane_beside(load.client);
  struct background *thread = background_start(run_load, &load);

  for (int round = 0; round < (soak() ? 20 : 2); round++) {
    ck_assert_int_eq(pmx_client_set(load.client, "pool.max_size", "32"), PMX_OK);
    watch_size(load.client, 32, 100);
    ck_assert_int_eq(pmx_client_set(load.client, "pool.max_size", "4"), PMX_OK);
    ck_assert(wait_for(has_shrunk, load.client, SOON_MS));
    atomic_store(&load.calls, 0);
    watch_size(load.client, 4, 100);
    check_clients(server, 4 + lanes);
    ck_assert(wait_for(goes_on, (void *)&load.calls, SOON_MS));
  }
  ck_assert_int_eq(pmx_client_set(load.client, "pool.max_size", "32"), PMX_OK);
  watch_size(load.client, 32, 100);
  ck_assert(wait_for(has_grown, load.client, SOON_MS));
  atomic_store(&load.stop, 1);
  background_join(thread);
  ck_assert_int_eq(atomic_load(&load.failures), 0);
  close_client(load.client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(growing_serves_waiters_at_once)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "1", "pool.wait_timeout", "30s", "command_timeout", "30s", NULL);
  pmx_lease *lease = take(client);
  struct waiting waiters[5];
  int64_t begin;

  for (int i = 0; i < 5; i++) {
    waiters[i] = (struct waiting){.client = client, .command = "BLPOP nothing 0.3"};
    waiting_start(&waiters[i]);
  }
  check_stat(client, waiting, 5);
  begin = pmx_now_ms();
  ck_assert_int_eq(pmx_client_set(client, "pool.max_size", "6"), PMX_OK);
  check_stat(client, in_use, 6);
  for (int i = 0; i < 5; i++)
    check_is_ok(waiting_end(&waiters[i]));
  check_on_time("the waiters", begin + 300);
  give_back(lease);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* A lease is honoured until its end; what it gave back is not kept. */
START_TEST(shrinking_closes_idle_connections_at_once_and_leases_on_return)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "20", NULL);
  int64_t lanes = (int64_t)lane_beside(client);
  pmx_lease *leases[3];
  int64_t id[BURST];

  burst(client, id);
  for (int i = 0; i < 3; i++)
    leases[i] = take(client);
  ck_assert_int_eq(pmx_client_set(client, "pool.max_size", "1"), PMX_OK);
  check_clients(server, 3 + lanes);
  for (int i = 0; i < 3; i++) {
    lease_ok(leases[i], "PING");
    give_back(leases[i]);
  }
  check_clients(server, 1 + lanes);
  check_books(client, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(only_live_options_with_sane_values_can_be_changed)
{
  static const char *const bad[][2] = {
      {"pool.max_size", "0"},  {"pool.max_size", "many"},
      {"pool.min_idle", "21"}, {"pool.order", "fifo"},
      {"host", "elsewhere"},   {"pool.prefill", "sync"},
      {"no.such.option", "1"}, {"", "1"},
      {"password", "x"},       {"command_timeout", "0"},
      {"pool.max_size", ""},   {"reply.max_size", "1GiB"},
  };
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(strategies[_i], server_url(server, SERVER_TCP), "pool.max_size", "20", NULL);

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(pmx_client_set(client, bad[i][0], bad[i][1]) == PMX_INVALID, "%s=%s", bad[i][0],
                  bad[i][1]);
  ck_assert_int_eq(pmx_client_set(client, NULL, "1"), PMX_INVALID);
  ck_assert_int_eq(pmx_client_set(client, "pool.max_size", NULL), PMX_INVALID);
  ck_assert_int_eq(pmx_client_set(NULL, "pool.max_size", "1"), PMX_INVALID);
  check_is_ok(pmx_command(client, "PING"));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("sizes");

  server_require("sizes");
  add_for_ways_with(LEASES, tc, a_burst_shrinks_to_the_floor_without_traffic_oldest_first);
  add_for_ways_with(LEASES, tc, a_burst_shrinks_to_nothing_without_a_floor);
  add_for_ways_with(LEASES, tc, one_busy_thread_does_not_keep_a_burst_alive);
  add_for_ways_with(LEASES, tc, max_idle_closes_the_surplus_on_return);
  add_for_ways_with(LEASES, tc, min_idle_is_refilled_while_connections_are_in_use);
  add_for_ways_with(LEASES, tc, lifo_lends_the_one_returned_last_and_fifo_each_in_turn);
  add_for_ways_with(LEASES, tc, resizing_under_load_overshoots_never_and_fails_nobody);
  add_for_ways_with(LEASES, tc, growing_serves_waiters_at_once);
  add_for_ways_with(LEASES, tc, shrinking_closes_idle_connections_at_once_and_leases_on_return);
  add_for_strategies(tc, only_live_options_with_sane_values_can_be_changed);
  return checks_run("sizes", tc);
}
