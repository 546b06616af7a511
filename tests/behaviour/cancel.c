/* SPDX-License-Identifier: BSD-3-Clause */
/* cancel.c - a fired token ends every call that carries it, wherever it waits, and says whether the
 * command may have run. */
#include <poolmux/poolmux.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { LONG_MS = 20000, SHARERS = 12 };
/* GET never is never answered, GET loading is refused for now, the rest as usual. */
static int answer(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc == 2 && strcmp(argv[1], "never") == 0)
    return 0;
  if (argc == 2 && strcmp(argv[1], "loading") == 0) {
    fake_reply_error(conn, "LOADING Redis is loading the dataset in memory");
    return 0;
  }
  return answer_values(ud, conn, argc, argv, len);
}

/* One call in the background that would take a long time, and its token. */
struct patient {
  struct waiting waiting;
  pmx_cancel *token;
  int64_t fired_ms;
};

/* flags: PMX_CALL_* */
static void patient_start(struct patient *p, pmx_client *client, pmx_lease *lease,
                          const char *command, uint64_t flags)
{
  memset(p, 0, sizeof *p);
  p->token = pmx_cancel_new();
  ck_assert_ptr_nonnull(p->token);
  p->waiting.client = client;
  p->waiting.lease = lease;
  p->waiting.command = command;
  p->waiting.call = call_flags(flags, LONG_MS);
  p->waiting.call.cancel = p->token;
  waiting_start(&p->waiting);
}

/* Fires, and gives the reply of the call, which must have ended because of it. */
static pmx_reply *patient_fire(struct patient *p)
{
  pmx_reply *reply;

  p->fired_ms = now_ms();
  pmx_cancel_fire(p->token);
  reply = waiting_end(&p->waiting);
  ck_assert_int_ge(p->waiting.ended_ms, p->fired_ms);
  ck_assert_int_lt(p->waiting.ended_ms - p->fired_ms, HANG_MS);
  pmx_cancel_free(p->token);
  return reply;
}

/* ---- where calls wait ---- */

static void cancel_in_queue(const struct way *way, const char *command)
{
  struct fake *fake = fake_for(way, answer, NULL);
  pmx_client *client = open_client(way->strategy, fake_url(fake), "pool.max_size", "1",
                                   "pool.wait_timeout", "forever", (char *)NULL);
  pmx_lease *lease = take(client);
  size_t seen = fake_counts(fake).commands;
  struct patient p;

  patient_start(&p, client, NULL, command, command ? flags_alone(client) : 0);
  check_stat(client, waiting, 1);
  check_fails(patient_fire(&p), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert_uint_eq(stats_of(client).waiting, 0);
  ck_assert_uint_eq(stats_of(client).closed, 0);
  ck_assert_uint_eq(fake_counts(fake).commands, seen);
  give_back(lease);
  get_value_alone(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 1 + lane_beside(client));
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(waiting_for_a_busy_pool)
{
  cancel_in_queue(&ways[_i], "GET k");
}
END_TEST

START_TEST(waiting_for_a_lease)
{
  cancel_in_queue(&ways[_i], NULL);
}
END_TEST

static void cancel_in_dial(const struct way *way, const char *command, uint64_t flags)
{
  struct fake_options options = {.over = way->over, .accept = FAKE_ACCEPT_SILENT};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(way->strategy, fake_url(fake), "connect", "lazy",
                                   "pool.wait_timeout", "forever", (char *)NULL);
  struct patient p;

  patient_start(&p, client, NULL, command, flags);
  ck_assert(fake_wait_accepted(fake, 1, SOON_MS));
  check_fails(patient_fire(&p), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert_uint_eq(stats_of(client).waiting, 0);
  pmx_close(client, 0);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}

START_TEST(waiting_for_a_connection_to_be_made)
{
  cancel_in_dial(&ways[_i], "GET k", 0);
  if (strategy_has(ways[_i].strategy, LEASES))
    cancel_in_dial(&ways[_i], NULL, 0);
  if (strategy_has(ways[_i].strategy, DEDICATES))
    cancel_in_dial(&ways[_i], "GET k", PMX_CALL_DEDICATED);
}
END_TEST

START_TEST(waiting_for_a_reply_is_unknown_and_costs_the_connection)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", NULL);
  struct patient p;
  pmx_reply *reply;

  patient_start(&p, client, NULL, "GET never", flags_alone(client));
  ck_assert(fake_wait_seen(fake, "GET", 1, SOON_MS));
  reply = patient_fire(&p);
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  ck_assert_uint_eq(stats_of(client).closed, 1);
  ck_assert_uint_eq(stats_of(client).retries, 0); /* not even a read: nobody wants the answer */
  ck_assert(fake_wait_open(fake, lane_beside(client), SOON_MS));
  get_value_alone(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(waiting_for_a_reply_on_a_lease_ends_the_leases_connection)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", NULL);
  pmx_lease *lease = take(client);
  struct patient p;

  patient_start(&p, client, lease, "GET never", 0);
  ck_assert(fake_wait_seen(fake, "GET", 1, SOON_MS));
  check_fails(patient_fire(&p), PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  check_fails(lease_words(lease, "GET k"), PMX_NOT_RUN, PMX_CAUSE_LOST);
  give_back(lease);
  get_value_alone(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(a_blocking_pop_can_be_cancelled)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "1", NULL);
  struct patient p;

  patient_start(&p, client, NULL, "BLPOP list 0", 0);
  ck_assert(server_has(server, "blocked_clients", 1, SOON_MS));
  check_fails(patient_fire(&p), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert(server_has(server, "blocked_clients", 0, SOON_MS));
  check_int(pmx_do(client, NULL, "RPUSH", "list", "x", (char *)NULL), 1); /* nobody takes it */
  check_int(pmx_do(client, NULL, "LLEN", "list", (char *)NULL), 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* The refusal stands as the answer, unless the token was fired in the middle of a try. */
START_TEST(a_pause_before_a_retry_is_cut_short)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", NULL);
  struct patient p;
  pmx_reply *reply;
  size_t seen;

  patient_start(&p, client, NULL, "GET loading", 0);
  ck_assert(fake_wait_seen(fake, "GET", 8, SOON_MS)); /* by now the pauses are long */
  reply = patient_fire(&p);
  if (pmx_reply_cause(reply) != PMX_CAUSE_CANCELED) {
    ck_assert_int_eq(pmx_reply_status(reply), PMX_SERVER_ERROR);
    ck_assert_str_eq(pmx_reply_error_code(reply), "LOADING");
    ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  }
  pmx_reply_free(reply);
  seen = fake_seen(fake, "GET");
  sleep_ms(20);
  ck_assert_uint_eq(fake_seen(fake, "GET"), seen);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- tokens ---- */

START_TEST(a_token_fired_before_sends_nothing)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "2", NULL);
  pmx_cancel *token = pmx_cancel_new();
  pmx_call call = call_in(LONG_MS);
  size_t seen = fake_counts(fake).commands;

  call.cancel = token;
  for (int i = 0; i < 3; i++)
    pmx_cancel_fire(token);
  for (int i = 0; i < 3; i++)
    check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert_uint_eq(fake_counts(fake).commands, seen);
  ck_assert_uint_eq(stats_of(client).closed, 0);
  pmx_cancel_free(token);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(a_token_fired_before_lends_nothing)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "2", NULL);
  pmx_cancel *token = pmx_cancel_new();
  pmx_lease *lease = take(client);
  pmx_call call = call_in(LONG_MS);
  size_t seen = fake_counts(fake).commands;
  pmx_reply *failure;

  call.cancel = token;
  pmx_cancel_fire(token);
  check_fails(pmx_lease_command(lease, &call, "GET k"), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert_ptr_null(pmx_acquire(client, &call, &failure));
  check_fails(failure, PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert_uint_eq(fake_counts(fake).commands, seen);
  check_value(pmx_lease_command(lease, NULL, "GET k"), "k");
  give_back(lease);
  pmx_cancel_free(token);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* Some wait for the pool, some for a reply. */
START_TEST(one_token_ends_all_calls_that_share_it_and_no_other)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "4",
                                   "pool.wait_timeout", "forever", (char *)NULL);
  struct waiting waiting[SHARERS];
  pmx_cancel *token = pmx_cancel_new();
  pmx_lease *lease = take(client);
  int unknown = 0;
  int64_t fired;

  memset(waiting, 0, sizeof waiting);
  for (int i = 0; i < SHARERS; i++) {
    waiting[i].client = client;
    waiting[i].command = "GET never";
    waiting[i].call = call_alone(client, LONG_MS);
    waiting[i].call.cancel = token;
    waiting_start(&waiting[i]);
  }
  ck_assert(fake_wait_seen(fake, "GET", 3, SOON_MS));
  check_stat(client, waiting, SHARERS - 3);
  fired = now_ms();
  pmx_cancel_fire(token);
  pmx_cancel_free(token);
  for (int i = 0; i < SHARERS; i++) {
    pmx_reply *reply = waiting_end(&waiting[i]);

    ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_CANCELED);
    ck_assert_int_lt(waiting[i].ended_ms - fired, HANG_MS);
    unknown += pmx_reply_status(reply) == PMX_UNKNOWN;
    ck_assert(pmx_reply_status(reply) == PMX_UNKNOWN || pmx_reply_status(reply) == PMX_NOT_RUN);
    pmx_reply_free(reply);
  }
  ck_assert_uint_eq((size_t)unknown, fake_seen(fake, "GET"));
  check_value(lease_words(lease, "GET other"), "other");
  give_back(lease);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(a_token_freed_while_in_use_cancels_nothing)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", NULL);
  struct patient p;
  char value[VALUE_SIZE];

  patient_start(&p, client, NULL, "GET never", 0);
  ck_assert(fake_wait_seen(fake, "GET", 1, SOON_MS));
  pmx_cancel_free(p.token);
  value_of("never", value);
  fake_reply_text(fake_conn_at(fake, 0), value); /* now it is answered after all */
  check_value(waiting_end(&p.waiting), "never");
  get_value(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- firing at any moment ---- */

struct race {
  pmx_client *client;
  _Atomic(pmx_cancel *) token;
  atomic_bool stop;
  atomic_int fired;
};

static void fire_them(void *arg)
{
  struct race *race = arg;
  struct rng rng;

  rng_seed(&rng, test_seed("cancel"));
  while (!atomic_load(&race->stop)) {
    pmx_cancel *token = atomic_exchange(&race->token, NULL);

    if (!token) {
      sched_yield();
      continue;
    }
    for (uint64_t spin = rng_below(&rng, 40000); spin > 0; spin--)
      atomic_load(&race->stop);
    pmx_cancel_fire(token);
    atomic_fetch_add(&race->fired, 1);
  }
}

START_TEST(a_call_cancelled_at_any_moment_has_its_own_value_or_says_cancelled)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  struct race race = {.fired = 0};
  struct background *thread;
  int rounds = soak() ? 20000 : 1000, ended[2] = {0, 0};

  race.client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "2", NULL);
  thread = background_start(fire_them, &race);
  for (int i = 0; i < rounds; i++) {
    pmx_call call = call_flags(i % 2 ? flags_alone(race.client) : 0, LONG_MS);
    char key[16];
    pmx_reply *reply;

    snprintf(key, sizeof key, "k%d", i);
    call.cancel = pmx_cancel_new();
    atomic_store(&race.token, call.cancel);
    reply = pmx_do(race.client, &call, "GET", key, (char *)NULL);
    ended[pmx_ok(reply)]++;
    if (pmx_ok(reply)) {
      check_value(reply, key);
    } else {
      ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_CANCELED);
      pmx_reply_free(reply);
    }
    while (atomic_load(&race.fired) <= i)
      sleep_ms(0);
    pmx_cancel_free(call.cancel);
  }
  atomic_store(&race.stop, true);
  background_join(thread);
  printf("%d answered, %d cancelled\n", ended[1], ended[0]);
  check_books(race.client, 2);
  close_client(race.client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("cancel");

  server_require("cancel");
  add_for_ways_with(LEASES, tc, waiting_for_a_busy_pool);
  add_for_ways_with(LEASES, tc, waiting_for_a_lease);
  add_for_ways(tc, waiting_for_a_connection_to_be_made);
  add_for_ways_with(LEASES, tc, waiting_for_a_reply_is_unknown_and_costs_the_connection);
  add_for_ways_with(LEASES, tc, waiting_for_a_reply_on_a_lease_ends_the_leases_connection);
  add_for_ways_with(LEASES, tc, a_blocking_pop_can_be_cancelled);
  add_for_ways(tc, a_pause_before_a_retry_is_cut_short);
  add_for_ways(tc, a_token_fired_before_sends_nothing);
  add_for_ways_with(LEASES, tc, a_token_fired_before_lends_nothing);
  add_for_ways_with(LEASES, tc, one_token_ends_all_calls_that_share_it_and_no_other);
  add_for_ways(tc, a_token_freed_while_in_use_cancels_nothing);
  add_for_ways(tc, a_call_cancelled_at_any_moment_has_its_own_value_or_says_cancelled);
  return checks_run("cancel", tc);
}
