/* SPDX-License-Identifier: BSD-3-Clause */
/* fairness.c - callers who wait for a connection: who is next, that nobody is forgotten, and what
 * those are told who waited in vain. */
#include "behaviour.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "harness/checks.h"

static pmx_lease *take(pmx_client *client)
{
  pmx_reply *err;
  pmx_lease *lease = pmx_acquire(client, NULL, &err);

  ck_assert_msg(lease != NULL, "%s", pmx_reply_error(err));
  return lease;
}

static void give(pmx_lease *lease)
{
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
}

/* A client of one connection whose waiters wait as long as the test. */
static pmx_client *open_single(const struct way *way, const struct fake *fake)
{
  return open_client(way->strategy, fake_url(fake), "pool.max_size", "1", "pool.wait_timeout",
                     "60s", "command_timeout", "60s", NULL);
}

/* ---- a caller in the background ---- */

struct visitor {
  pmx_client *client;
  const char *key; /* NULL = k */
  pmx_cancel *cancel;
  int64_t timeout_ms;
  pmx_reply *reply;
  struct background *thread;
};

static void visit(void *arg)
{
  struct visitor *v = arg;
  pmx_call call = call_alone(v->client, v->timeout_ms);

  call.cancel = v->cancel;
  v->reply = pmx_do(v->client, &call, "GET", v->key ? v->key : "k", (char *)NULL);
}

/* Returns when it waits in the queue behind `before` others. */
static void visitor_queues(struct visitor *v, uint64_t before)
{
  v->thread = background_start(visit, v);
  check_stat(v->client, waiting, before + 1);
}

static pmx_reply *visitor_leaves(struct visitor *v)
{
  background_join(v->thread);
  return v->reply;
}

/* ---- first come, first served ---- */

enum { QUEUE = 50, MANY = 500, DESKS = 16 };

struct queue {
  pmx_client *client;
  atomic_int arrived, served;
  int place[MANY]; /* when each of them was served */
};

static void wait_in_queue(void *arg)
{
  struct queue *q = arg;
  int i = atomic_fetch_add(&q->arrived, 1); /* they are started one by one */
  pmx_lease *lease = take(q->client);

  q->place[i] = atomic_fetch_add(&q->served, 1);
  check_value(pmx_lease_command(lease, NULL, "GET %s", "k"), "k");
  give(lease);
}

/* They come one by one, so that their order is known; then one connection goes from hand to hand:
 * with more of them it could not be seen who was first. */
START_TEST(a_crowd_is_served_in_the_order_it_came)
{
  struct fake *fake = fake_for(&ways[0], answer_values, NULL);
  struct queue q = {.client =
                        open_client("pool", fake_url(fake), "pool.max_size", "16",
                                    "pool.wait_timeout", "60s", "command_timeout", "60s", NULL)};
  struct background *threads[MANY];
  pmx_lease *leases[DESKS];

  for (int i = 0; i < DESKS; i++)
    leases[i] = take(q.client);
  for (int i = 0; i < MANY; i++) {
    threads[i] = background_start(wait_in_queue, &q);
    check_stat(q.client, waiting, (uint64_t)i + 1);
  }
  give(leases[0]);
  for (int i = 0; i < MANY; i++) {
    background_join(threads[i]);
    ck_assert_int_eq(q.place[i], i);
  }
  for (int i = 1; i < DESKS; i++)
    give(leases[i]);
  ck_assert_uint_eq(fake_accepted(fake), DESKS);
  check_books(q.client, DESKS);
  close_client(q.client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(waiters_are_served_in_order_and_before_who_returns_and_asks_again)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  struct queue q = {.client = open_single(&ways[_i], fake)};
  struct background *threads[QUEUE];
  pmx_lease *lease = take(q.client);

  for (int i = 0; i < QUEUE; i++) {
    threads[i] = background_start(wait_in_queue, &q);
    check_stat(q.client, waiting, (uint64_t)i + 1);
  }
  /* The holder asks again the moment it has given back: all of them are before it. */
  give(lease);
  lease = take(q.client);
  ck_assert_int_eq(atomic_load(&q.served), QUEUE);
  give(lease);
  for (int i = 0; i < QUEUE; i++) {
    background_join(threads[i]);
    ck_assert_int_eq(q.place[i], i);
  }
  ck_assert_uint_eq(fake_accepted(fake), 1 + lane_beside(q.client));
  check_books(q.client, 1);
  close_client(q.client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(waiter_that_gives_up_or_is_cancelled_is_passed_over)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_single(&ways[_i], fake);
  struct visitor late = {.client = client, .timeout_ms = 60};
  struct visitor cancelled = {.client = client, .timeout_ms = SOON_MS, .cancel = pmx_cancel_new()};
  struct visitor patient = {.client = client, .timeout_ms = SOON_MS};
  pmx_lease *lease = take(client);

  late.thread = background_start(visit, &late);
  check_fails(visitor_leaves(&late), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  visitor_queues(&cancelled, 0);
  visitor_queues(&patient, 1);
  pmx_cancel_fire(cancelled.cancel);
  check_fails(visitor_leaves(&cancelled), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  check_stat(client, waiting, 1);
  give(lease);
  check_value(visitor_leaves(&patient), "k");
  ck_assert_uint_eq(fake_accepted(fake), 1 + lane_beside(client));
  ck_assert_uint_eq(fake_seen(fake, "GET"), 1);
  pmx_cancel_free(cancelled.cancel);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- capacity that comes free ---- */

static int hang_up_on_die(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  return strcmp(argv[0], "DIE") == 0 ? -1 : answer_values(ud, conn, argc, argv, len);
}

START_TEST(waiter_gets_a_new_connection_when_the_only_one_dies)
{
  struct fake *fake = fake_for(&ways[_i], hang_up_on_die, NULL);
  pmx_client *client = open_single(&ways[_i], fake);
  struct visitor visitor = {.client = client, .timeout_ms = SOON_MS};
  pmx_lease *lease = take(client);

  visitor_queues(&visitor, 0);
  check_fails(pmx_lease_command(lease, NULL, "DIE"), PMX_UNKNOWN, PMX_CAUSE_LOST);
  check_value(visitor_leaves(&visitor), "k"); /* before the dead lease is given back */
  check_fails(pmx_lease_command(lease, NULL, "GET k"), PMX_NOT_RUN, PMX_CAUSE_LOST);
  give(lease);
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  check_books(client, 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static const struct fake_command *nth_get(struct fake *fake, size_t n)
{
  const struct fake_command *command;

  for (size_t i = 0; (command = fake_command(fake, i)); i++) {
    if (strcmp(command->argv[0], "GET") == 0 && n-- == 0)
      return command;
  }
  ck_abort_msg("there were fewer GETs");
}

START_TEST(waiter_that_is_given_a_dead_connection_keeps_its_place)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_single(&ways[_i], fake);
  struct visitor first = {.client = client, .key = "first", .timeout_ms = SOON_MS};
  struct visitor second = {.client = client, .key = "second", .timeout_ms = SOON_MS};
  pmx_lease *lease = take(client);

  visitor_queues(&first, 0);
  visitor_queues(&second, 1);
  fake_close(fake_conn_at(fake, lane_beside(client)));
  ck_assert(fake_wait_open(fake, lane_beside(client), SOON_MS));
  give(lease);
  check_value(visitor_leaves(&first), "first");
  check_value(visitor_leaves(&second), "second");
  ck_assert_str_eq(nth_get(fake, 0)->argv[1], "first");
  ck_assert_str_eq(nth_get(fake, 1)->argv[1], "second");
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(waiter_gets_a_new_connection_when_the_returned_one_is_thrown_away)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1",
                                   "pool.reset", "close", NULL);
  struct visitor visitor = {.client = client, .timeout_ms = SOON_MS};
  pmx_lease *lease = take(client);

  visitor_queues(&visitor, 0);
  check_is_ok(pmx_lease_command(lease, NULL, "WATCH k"));
  give(lease);
  check_value(visitor_leaves(&visitor), "k");
  ck_assert_uint_eq(stats_of(client).closed_dirty, 1);
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(returned_connection_serves_the_waiter_while_the_connect_it_asked_for_is_stuck)
{
  static const struct fake_step none[] = {FAKE_END};
  static const struct fake_step stuck[] = {FAKE_EXPECT("PING"), FAKE_END};
  static const struct fake_step *const scripts[] = {none, stuck};
  struct fake_options options = {.over = ways[_i].over,
                                 .scripts = scripts,
                                 .script_count = 2,
                                 .handler = answer_values};
  struct fake *fake = fake_start(&options);
  /* Lazy: the first connection is the one that is lent. */
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "2",
                                   "connect_timeout", "60s", "connect", "lazy", NULL);
  struct visitor visitor = {.client = client, .timeout_ms = SOON_MS};
  pmx_lease *lease = take(client);

  visitor_queues(&visitor, 0);
  ck_assert(fake_wait_accepted(fake, 2, SOON_MS));
  ck_assert(fake_wait_done(fake, 1, SOON_MS));
  give(lease);
  check_value(visitor_leaves(&visitor), "k");
  ck_assert_uint_eq(stats_of(client).connecting, 1);
  fake_send(fake_conn_at(fake, 1), "+PONG\r\n", 7);
  check_stat(client, idle, 2); /* the connect was not in vain */
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- nobody is forgotten ---- */

enum { CROWD = 64 };

struct crowd {
  pmx_client *client;
  uint64_t seed;
  int64_t until;
  atomic_int values, over;
};

static void lease_and_die(pmx_client *client, const pmx_call *call)
{
  pmx_lease *lease = pmx_acquire(client, call, NULL);

  if (!lease)
    return;
  pmx_reply_free(pmx_lease_command(lease, NULL, "DIE"));
  give(lease);
}

static void call_in_crowd(struct crowd *crowd, struct rng *rng)
{
  pmx_call call = call_alone(crowd->client, (int64_t)rng_below(rng, 3));
  pmx_reply *reply;

  if (rng_below(rng, 8) == 0) {
    lease_and_die(crowd->client, &call);
    return;
  }
  if (rng_below(rng, 8) == 0) {
    call.cancel = pmx_cancel_new();
    pmx_cancel_fire(call.cancel);
  }
  reply = pmx_do(crowd->client, &call, "GET", "k", (char *)NULL);
  if (pmx_ok(reply)) {
    check_value(reply, "k");
    atomic_fetch_add(&crowd->values, 1);
  } else {
    pmx_reply_free(reply);
  }
  pmx_cancel_free(call.cancel);
}

/* Every eighth waits as long as it takes: a lost wake-up would leave it asleep. */
static void join_crowd(int i, void *arg)
{
  struct crowd *crowd = arg;
  struct rng rng;

  rng_seed(&rng, crowd->seed + (uint64_t)i);
  while (pmx_now_ms() < crowd->until) {
    if (i % 8 != 0) {
      call_in_crowd(crowd, &rng);
      continue;
    }
    get_value_alone(crowd->client, "k");
    atomic_fetch_add(&crowd->values, 1);
  }
}

/* No picture of the pool shows an idle connection and a waiter. */
static void watch_crowd(void *arg)
{
  struct crowd *crowd = arg;

  while (!atomic_load(&crowd->over)) {
    pmx_stats s = stats_of(crowd->client);

    ck_assert_msg(s.idle == 0 || s.waiting == 0, "idle %llu, waiting %llu",
                  (unsigned long long)s.idle, (unsigned long long)s.waiting);
    ck_assert_uint_le(s.live + s.connecting, 4 + lane_beside(crowd->client));
    sleep_ms(1);
  }
}

START_TEST(no_waiter_sleeps_while_a_connection_is_idle)
{
  struct crowd crowd = {.seed = test_seed("no_waiter_sleeps_while_a_connection_is_idle")};
  struct fake *fake = fake_for(&ways[_i], hang_up_on_die, NULL);
  struct background *sampler;
  pmx_stats stats;

  crowd.client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "4",
                             "pool.wait_timeout", "60s", "command_timeout", "40s", NULL);
  crowd.until = pmx_now_ms() + (soak() ? 30000 : 700);
  sampler = background_start(watch_crowd, &crowd);
  run_threads(CROWD, join_crowd, &crowd);
  atomic_store(&crowd.over, 1);
  background_join(sampler);
  ck_assert_int_gt(atomic_load(&crowd.values), 0);
  check_stat(crowd.client, connecting, 0);
  stats = stats_of(crowd.client);
  ck_assert_uint_eq(stats.idle, stats.live - stats.lanes_live);
  ck_assert_uint_eq(stats.lanes_live, lane_beside(crowd.client));
  ck_assert_uint_eq(stats.waiting + stats.in_use, 0);
  ck_assert_uint_gt(stats.discards, 0);
  check_books(crowd.client, 4);
  close_client(crowd.client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("fairness");

  ways_brief();
  tcase_add_test(tc, a_crowd_is_served_in_the_order_it_came);
  add_for_ways_with(LEASES, tc, waiters_are_served_in_order_and_before_who_returns_and_asks_again);
  add_for_ways_with(LEASES, tc, waiter_that_gives_up_or_is_cancelled_is_passed_over);
  add_for_ways_with(LEASES, tc, waiter_gets_a_new_connection_when_the_only_one_dies);
  add_for_ways_with(LEASES, tc, waiter_that_is_given_a_dead_connection_keeps_its_place);
  add_for_ways_with(LEASES, tc, waiter_gets_a_new_connection_when_the_returned_one_is_thrown_away);
  add_for_ways_with(LEASES, tc,
                    returned_connection_serves_the_waiter_while_the_connect_it_asked_for_is_stuck);
  add_for_ways_with(LEASES, tc, no_waiter_sleeps_while_a_connection_is_idle);
  return checks_run("fairness", tc);
}
