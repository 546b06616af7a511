/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_lanes.c - more than one shared connection: each thread keeps to one of them, so its calls
 * keep their order; one that is silent or lost is no matter of the others. */
#include "behaviour/muxing.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/checks.h"

enum { LANES = 3, THREADS = 12, CALLS = 20 };

static pmx_client *open_lanes(const struct way *way, const char *url)
{
  return open_client(way->strategy, url, "mux.lanes", "3", "command_timeout", "10s", NULL);
}

struct crew {
  pmx_client *client;
  int64_t id[THREADS]; /* of the connection of each */
  atomic_int wandered;
};

static void ask_who_i_am(int i, void *arg)
{
  struct crew *crew = arg;

  crew->id[i] = client_id(crew->client);
  for (int n = 1; n < CALLS; n++) {
    if (client_id(crew->client) != crew->id[i])
      atomic_fetch_add(&crew->wandered, 1);
  }
}

START_TEST(each_thread_keeps_to_one_of_the_connections)
{
  struct server *server = server_start(NULL);
  struct crew crew = {.client = open_lanes(&ways[_i], url_for(&ways[_i], server))};
  int used = 0;

  run_threads(THREADS, ask_who_i_am, &crew);
  ck_assert_int_eq(atomic_load(&crew.wandered), 0);
  for (int i = 0; i < THREADS; i++) {
    int seen = 0;

    for (int k = 0; k < i; k++)
      seen |= crew.id[k] == crew.id[i];
    used += !seen;
  }
  ck_assert_int_eq(used, LANES); /* twelve threads, in turn */
  ck_assert_int_eq(server_clients(server), LANES);
  ck_assert_uint_eq(stats_of(crew.client).opened, LANES);
  close_client(crew.client);
  check_clients(server, 0);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- one of them in trouble ---- */

struct part {
  pmx_client *client;
  struct fake *fake;
  atomic_bool stop;
  atomic_int values[THREADS], failures[THREADS];
};

static void get_again_and_again(int i, void *arg)
{
  struct part *p = arg;

  while (!atomic_load(&p->stop)) {
    pmx_reply *reply = get_in(p->client, "k", 100);

    if (pmx_ok(reply)) {
      check_value(reply, "k");
      atomic_fetch_add(&p->values[i], 1);
    } else {
      pmx_reply_free(reply);
      atomic_fetch_add(&p->failures[i], 1);
    }
  }
}

static void get_by_all(void *arg)
{
  run_threads(THREADS, get_again_and_again, arg);
}

static void forget(struct part *p)
{
  for (int i = 0; i < THREADS; i++) {
    atomic_store(&p->values[i], 0);
    atomic_store(&p->failures[i], 0);
  }
}

static bool all_have_values(void *arg)
{
  struct part *p = arg;

  for (int i = 0; i < THREADS; i++) {
    if (atomic_load(&p->values[i]) < 3)
      return false;
  }
  return true;
}

/* Of each thread it is known by then whether it is on the connection that is silent. */
static bool all_have_ends(void *arg)
{
  struct part *p = arg;

  for (int i = 0; i < THREADS; i++) {
    if (atomic_load(&p->values[i]) < 3 && atomic_load(&p->failures[i]) < 2)
      return false;
  }
  return true;
}

START_TEST(silent_connection_holds_up_only_the_threads_on_it)
{
  struct part p = {.fake = fake_for(&ways[_i], answer_values, NULL)};
  struct background *thread;
  int held_up = 0;

  p.client = open_lanes(&ways[_i], fake_url(p.fake));
  thread = background_start(get_by_all, &p);
  ck_assert(wait_for(all_have_values, &p, SOON_MS));
  ck_assert_uint_eq(fake_accepted(p.fake), LANES);
  fake_stall(fake_conn_at(p.fake, 1));
  sleep_ms(50); /* what was answered before */
  forget(&p);
  ck_assert(wait_for(all_have_ends, &p, SOON_MS));
  for (int i = 0; i < THREADS; i++)
    held_up += atomic_load(&p.failures[i]) >= 2 && atomic_load(&p.values[i]) == 0;
  ck_assert_int_eq(held_up, THREADS / LANES);
  fake_resume(fake_conn_at(p.fake, 1));
  forget(&p);
  ck_assert(wait_for(all_have_values, &p, SOON_MS));
  atomic_store(&p.stop, true);
  background_join(thread);
  ck_assert_uint_eq(fake_accepted(p.fake), LANES);
  close_client(p.client);
  ck_assert(fake_stop(p.fake));
}
END_TEST

START_TEST(lost_connection_is_replaced_and_the_others_live_on)
{
  struct part p = {.fake = fake_for(&ways[_i], answer_values, NULL)};
  struct background *thread;

  p.client = open_lanes(&ways[_i], fake_url(p.fake));
  thread = background_start(get_by_all, &p);
  ck_assert(wait_for(all_have_values, &p, SOON_MS));
  fake_reset(fake_conn_at(p.fake, 1));
  ck_assert(fake_wait_accepted(p.fake, LANES + 1, SOON_MS));
  forget(&p);
  ck_assert(wait_for(all_have_values, &p, SOON_MS));
  ck_assert(fake_conn_is_open(fake_conn_at(p.fake, 0)));
  ck_assert(fake_conn_is_open(fake_conn_at(p.fake, 2)));
  atomic_store(&p.stop, true);
  background_join(thread);
  check_stat(p.client, closed, 1);
  ck_assert_uint_eq(fake_accepted(p.fake), LANES + 1);
  close_client(p.client);
  ck_assert(fake_stop(p.fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_lanes");

  server_require("mux_lanes");
  add_for_ways_with(SHARES, tc, each_thread_keeps_to_one_of_the_connections);
  add_for_ways_with(SHARES, tc, silent_connection_holds_up_only_the_threads_on_it);
  add_for_ways_with(SHARES, tc, lost_connection_is_replaced_and_the_others_live_on);
  return checks_run("mux_lanes", tc);
}
