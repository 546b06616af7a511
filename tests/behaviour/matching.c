/* SPDX-License-Identifier: BSD-3-Clause */
/* matching.c - every call gets its own reply or a failure, never the reply of another call:
 * whatever is late, and whoever gave up waiting. */
#include "behaviour.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/checks.h"

/* ---- late replies ---- */

/* "slow" is answered after 300 ms, the rest at once. */
static int answer_slow(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc == 2 && strcmp(argv[1], "slow") == 0)
    fake_delay(conn, 300);
  return answer_values(ud, conn, argc, argv, len);
}

/* Where calls have connections to themselves; where they share one: mux_late.c. */
START_TEST(call_after_a_timeout_gets_its_own_reply_from_a_new_connection)
{
  struct fake *fake = fake_for(&ways[_i], answer_slow, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", NULL);
  pmx_call call = call_alone(client, 100);
  int64_t limit;

  get_value_alone(client, "a"); /* so that the connection is there */
  limit = pmx_now_ms() + 100;
  check_fails(pmx_do(client, &call, "GET", "slow", (char *)NULL), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_on_time("timeout", limit);
  get_value_alone(client, "b");
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  sleep_ms(250); /* the late reply, were anybody there to read it */
  get_value_alone(client, "c");
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  ck_assert_uint_eq(stats_of(client).closed_error, 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

struct firing {
  pmx_cancel *token;
  struct fake *fake;
};

static void fire_once_seen(void *arg)
{
  struct firing *f = arg;

  ck_assert(fake_wait_seen(f->fake, "GET", 1, SOON_MS));
  pmx_cancel_fire(f->token);
}

START_TEST(call_after_a_cancelled_one_gets_its_own_reply_from_a_new_connection)
{
  struct fake *fake = fake_for(&ways[_i], answer_slow, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", NULL);
  struct firing firing = {pmx_cancel_new(), fake};
  struct background *thread = background_start(fire_once_seen, &firing);
  pmx_call call = call_alone(client, SOON_MS);

  call.cancel = firing.token;
  check_fails(pmx_do(client, &call, "GET", "slow", (char *)NULL), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  get_value_alone(client, "b");
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  background_join(thread);
  pmx_cancel_free(firing.token);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* Replies come 0 to 6 ms late, whole or in pieces. */
static int answer_at_random(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct rng *rng = ud;
  char value[VALUE_SIZE], reply[VALUE_SIZE + 16];
  int n;

  if (argc != 2 || strcasecmp(argv[0], "GET") != 0)
    return answer_values(NULL, conn, argc, argv, len);
  fake_delay(conn, (int)rng_below(rng, 7));
  value_of(argv[1], value);
  n = snprintf(reply, sizeof reply, "$%zu\r\n%s\r\n", strlen(value), value);
  if (rng_below(rng, 2))
    fake_send(conn, reply, (size_t)n);
  else
    fake_send_sliced(conn, reply, (size_t)n, (size_t)n / 3 + 1, (int)(rng_below(rng, 4) == 0));
  return 0;
}

/* True: the right value; false: a failure of a kind that this test provokes. */
static bool value_or_failure(pmx_reply *reply, const char *key)
{
  pmx_cause cause = pmx_reply_cause(reply);

  if (pmx_ok(reply)) {
    check_value(reply, key);
    return true;
  }
  ck_assert_msg(cause == PMX_CAUSE_TIMEOUT || cause == PMX_CAUSE_CANCELED, "GET %s: %s/%s: %s", key,
                pmx_status_str(pmx_reply_status(reply)), pmx_cause_str(cause),
                pmx_reply_error(reply));
  pmx_reply_free(reply);
  return false;
}

START_TEST(late_reply_never_answers_another_call)
{
  struct rng server_rng, rng;
  struct fake *fake = fake_for(&ways[_i], answer_at_random, &server_rng);
  pmx_client *client;
  uint64_t seed = test_seed("late_reply_never_answers_another_call");
  int rounds = soak() ? 10000 : 150, values = 0;
  char key[24];

  rng_seed(&rng, seed);
  rng_seed(&server_rng, seed + 1);
  client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", NULL);
  for (int i = 0; i < rounds; i++) {
    pmx_call call = call_flags(i % 2 ? flags_alone(client) : 0, 1 + (int64_t)rng_below(&rng, 8));

    snprintf(key, sizeof key, "key-%d", i);
    values += value_or_failure(pmx_do(client, &call, "GET", key, (char *)NULL), key);
  }
  ck_assert_int_gt(values, 0);
  ck_assert_int_lt(values, rounds);
  check_books(client, 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- the same by many threads, with cancellation from outside ---- */

enum { CALLERS = 4 };

struct caller {
  pthread_mutex_t lock;
  pmx_cancel *token; /* of its current call */
  atomic_int values, failures;
};

struct crowd {
  pmx_client *client;
  uint64_t seed;
  struct caller callers[CALLERS];
  atomic_bool over;
};

static void set_token(struct caller *caller, pmx_cancel *token)
{
  pmx_cancel *old;

  pthread_mutex_lock(&caller->lock);
  old = caller->token;
  caller->token = token;
  pthread_mutex_unlock(&caller->lock);
  pmx_cancel_free(old);
}

static void call_and_compare(int i, void *arg)
{
  struct crowd *crowd = arg;
  struct caller *caller = &crowd->callers[i];
  int rounds = soak() ? 5000 : 100;
  struct rng rng;
  char key[24];

  rng_seed(&rng, crowd->seed + (uint64_t)i);
  for (int round = 0; round < rounds; round++) {
    pmx_call call = call_in(1 + (int64_t)rng_below(&rng, 20));

    call.cancel = pmx_cancel_new();
    set_token(caller, call.cancel);
    snprintf(key, sizeof key, "key-%d-%d", i, round);
    if (value_or_failure(pmx_do(crowd->client, &call, "GET", key, (char *)NULL), key))
      atomic_fetch_add(&caller->values, 1);
    else
      atomic_fetch_add(&caller->failures, 1);
  }
  set_token(caller, NULL);
}

static void fire_at_random(void *arg)
{
  struct crowd *crowd = arg;
  struct rng rng;

  rng_seed(&rng, crowd->seed + CALLERS);
  while (!atomic_load(&crowd->over)) {
    struct caller *caller = &crowd->callers[rng_below(&rng, CALLERS)];

    sleep_ms(2);
    pthread_mutex_lock(&caller->lock);
    if (caller->token)
      pmx_cancel_fire(caller->token);
    pthread_mutex_unlock(&caller->lock);
  }
}

START_TEST(threads_that_time_out_and_are_cancelled_get_only_their_own_replies)
{
  struct crowd crowd = {.seed = test_seed("threads_that_time_out_and_are_cancelled")};
  struct rng server_rng;
  struct fake *fake = fake_for(&ways[_i], answer_at_random, &server_rng);
  struct background *canceller;

  rng_seed(&server_rng, crowd.seed + CALLERS + 1);
  for (int i = 0; i < CALLERS; i++)
    pthread_mutex_init(&crowd.callers[i].lock, NULL);
  crowd.client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "2", NULL);
  canceller = background_start(fire_at_random, &crowd);
  run_threads(CALLERS, call_and_compare, &crowd);
  atomic_store(&crowd.over, true);
  background_join(canceller);
  for (int i = 0; i < CALLERS; i++) {
    ck_assert_int_gt(atomic_load(&crowd.callers[i].values), 0);
    ck_assert_int_gt(atomic_load(&crowd.callers[i].failures), 0);
    pthread_mutex_destroy(&crowd.callers[i].lock);
  }
  check_books(crowd.client, 2);
  close_client(crowd.client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("matching");

  ways_brief();
  add_for_ways_with(LEASES, tc, call_after_a_timeout_gets_its_own_reply_from_a_new_connection);
  add_for_ways_with(LEASES, tc,
                    call_after_a_cancelled_one_gets_its_own_reply_from_a_new_connection);
  add_for_ways(tc, late_reply_never_answers_another_call);
  add_for_ways(tc, threads_that_time_out_and_are_cancelled_get_only_their_own_replies);
  return checks_run("matching", tc);
}
