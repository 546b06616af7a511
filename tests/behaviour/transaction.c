/* SPDX-License-Identifier: BSD-3-Clause */
/* transaction.c - WATCH transactions where connections are lent: nothing is lost when they meet,
 * how they give up, and what becomes of lease and batch. */
#include "behaviour/batching.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/calling.h"
#include "harness/checks.h"

static struct server *server;

static void begin(void)
{
  server = server_start(NULL);
  ck_assert_ptr_nonnull(server);
}

static void end(void)
{
  ck_assert(server_stop(server));
}

static pmx_client *open_way(int i)
{
  return open_client(ways[i].strategy, url_for(&ways[i], server), NULL);
}

/* What the function of a transaction does, and how often it ran. */
struct plan {
  pmx_client *client;
  int runs;
  int meddle; /* in so many of the first runs somebody else changes the key */
  int result; /* what it returns */
  void (*inside)(struct plan *, pmx_lease *, pmx_batch *);
  pmx_call call;
  void *arg;
};

static const char *const key_n[] = {"n"};

/* n = n + 1, the hard way. */
static int add_one(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  struct plan *p = ud;
  pmx_reply *reply = pmx_lease_command(lease, NULL, "GET n");
  int64_t value = pmx_reply_int(reply, NULL);

  if (!pmx_ok(reply)) {
    pmx_reply_free(reply);
    return -1;
  }
  pmx_reply_free(reply);
  if (p->runs++ < p->meddle)
    check_is_ok(call_words(p->client, "INCRBY n 100"));
  pmx_batch_add(batch, "SET n %lld", (long long)value + 1);
  if (p->inside)
    p->inside(p, lease, batch);
  return p->result;
}

static pmx_reply *transact(struct plan *p, int max_tries)
{
  if (p->call.size == 0)
    p->call = (pmx_call)PMX_CALL_INIT;
  return pmx_transaction(p->client, &p->call, 1, key_n, NULL, max_tries, add_one, p);
}

/* ---- conflicts ---- */

START_TEST(transaction_is_run_again_until_nobody_was_faster)
{
  for (int meddle = 0; meddle < 4; meddle++) {
    struct plan p = {.client = open_way(_i), .meddle = meddle};
    int64_t before = server_value(server, "n");
    pmx_reply *array = transact(&p, 0);

    check_array(array, 1);
    check_element_text(array, 0, "OK");
    pmx_reply_free(array);
    ck_assert_int_eq(p.runs, meddle + 1);
    ck_assert_int_eq(server_value(server, "n"), before + 100 * meddle + 1);
    ck_assert_uint_eq(stats_of(p.client).retries, (uint64_t)meddle);
    close_client(p.client);
  }
}
END_TEST

START_TEST(after_so_many_tries_it_gives_up_and_says_how_many)
{
  struct plan p = {.client = open_way(_i), .meddle = 1000};
  pmx_reply *reply = transact(&p, 3);

  check_says(reply, "in each of 3 tries, so nothing ran");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_CONFLICT);
  ck_assert_int_eq(p.runs, 3);
  ck_assert_int_eq(server_value(server, "n"), 300);
  p.runs = 0;
  p.call = call_flags(PMX_CALL_NO_RETRY, SOON_MS);
  check_fails(transact(&p, 5), PMX_NOT_RUN, PMX_CAUSE_CONFLICT);
  ck_assert_int_eq(p.runs, 1);
  p.runs = 0;
  p.call = call_in(SOON_MS);
  check_fails(transact(&p, 0), PMX_NOT_RUN, PMX_CAUSE_CONFLICT);
  ck_assert_int_eq(p.runs, 16);
  check_stat(p.client, in_use, 0);
  close_client(p.client);
}
END_TEST

START_TEST(conflicts_are_tried_again_without_retries_as_well)
{
  struct plan p = {
      .client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "retry.max", "0", NULL),
      .meddle = 2};
  pmx_reply *array = transact(&p, 3);

  check_array(array, 1);
  pmx_reply_free(array);
  ck_assert_int_eq(p.runs, 3);
  close_client(p.client);
}
END_TEST

enum { COUNTERS = 2, WRITERS = 50, ROUNDS = 100 };

struct crowd {
  pmx_client *client;
  atomic_int counting;
  _Atomic int64_t runs;
};

static void count_or_write(int thread, void *arg)
{
  struct crowd *crowd = arg;
  char line[64];

  for (int i = 0; thread < COUNTERS && i < ROUNDS; i++) {
    struct plan p = {.client = crowd->client};
    pmx_call call = call_in(PMX_FOREVER);
    pmx_reply *array = pmx_transaction(crowd->client, &call, 1, key_n, NULL, 1000000, add_one, &p);

    check_array(array, 1);
    pmx_reply_free(array);
    atomic_fetch_add(&crowd->runs, p.runs);
  }
  if (thread < COUNTERS)
    atomic_fetch_sub(&crowd->counting, 1);
  while (thread >= COUNTERS && atomic_load(&crowd->counting) > 0) {
    snprintf(line, sizeof line, "INCR other-%d", thread);
    check_is_ok(call_words(crowd->client, line));
  }
}

START_TEST(no_update_is_lost_while_fifty_threads_write)
{
  struct crowd crowd = {.client = open_client(ways[_i].strategy, url_for(&ways[_i], server),
                                              "pool.max_size", "16", "pool.wait_timeout", "forever",
                                              NULL),
                        .counting = COUNTERS};

  run_threads(COUNTERS + WRITERS, count_or_write, &crowd);
  printf("%d transactions took %lld runs\n", COUNTERS * ROUNDS,
         (long long)atomic_load(&crowd.runs));
  ck_assert_int_eq(server_value(server, "n"), COUNTERS * ROUNDS);
  close_client(crowd.client);
}
END_TEST

/* ---- giving up ---- */

START_TEST(function_that_gives_up_leaves_nothing_behind)
{
  struct plan p = {.client = open_client(ways[_i].strategy, url_for(&ways[_i], server),
                                         "pool.max_size", "1", NULL),
                   .result = 7};
  pmx_lease *lease = take(p.client);
  char *clean = session_of(lease), *after;
  pmx_reply *reply;

  give_back(lease);
  reply = transact(&p, 0);
  check_says(reply, "gave up: it returned 7");
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert_int_eq(p.runs, 1);
  ck_assert_int_eq(server_value(server, "n"), 0);
  lease = take(p.client);
  after = session_of(lease);
  ck_assert_str_eq(after, clean);
  free(after);
  free(clean);
  give_back(lease);
  ck_assert_uint_eq(stats_of(p.client).opened, 1 + lane_beside(p.client));
  close_client(p.client);
}
END_TEST

static void add_nonsense(struct plan *p, pmx_lease *lease, pmx_batch *batch)
{
  (void)lease;
  pmx_batch_add(batch, p->arg);
}

START_TEST(bad_command_in_its_batch_ends_it)
{
  struct plan p = {.client = open_way(_i), .inside = add_nonsense, .arg = (void *)"SUBSCRIBE c"};
  pmx_reply *reply = transact(&p, 0);

  check_says(reply, "command 1 of the batch: SUBSCRIBE");
  check_fails(reply, PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  p.arg = (void *)"INCRBY n";
  reply = transact(&p, 0);
  check_says(reply, "nothing ran, for command 1 (INCRBY) was refused: ERR wrong number");
  check_fails(reply, PMX_SERVER_ERROR, PMX_CAUSE_ABORTED);
  ck_assert_int_eq(p.runs, 2);
  ck_assert_int_eq(server_value(server, "n"), 0);
  close_client(p.client);
}
END_TEST

static void oversleep(struct plan *p, pmx_lease *lease, pmx_batch *batch)
{
  (void)lease, (void)batch;
  if (p->arg)
    pmx_cancel_fire(p->arg);
  else
    sleep_ms(250);
}

START_TEST(deadline_and_token_end_it_before_exec_is_sent)
{
  struct plan p = {.client = open_way(_i), .inside = oversleep, .call = call_in(200)};
  pmx_lease *leases[64];
  int n = 0;

  check_fails(transact(&p, 0), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  p.call = call_in(SOON_MS);
  p.arg = p.call.cancel = pmx_cancel_new();
  check_fails(transact(&p, 0), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  check_fails(transact(&p, 0), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert_int_eq(p.runs, 2);
  ck_assert_int_eq(server_value(server, "n"), 0);
  pmx_cancel_free(p.arg);
  p.call = call_in(30);
  while (n < 64 && (leases[n] = pmx_acquire(p.client, &p.call, NULL)))
    n++;
  check_fails(transact(&p, 0), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_int_eq(p.runs, 2);
  while (n > 0)
    give_back(leases[--n]);
  close_client(p.client);
}
END_TEST

/* ---- lease and batch are the library's ---- */

static void misuse(struct plan *p, pmx_lease *lease, pmx_batch *batch)
{
  check_fails(pmx_batch_exec(batch, NULL), PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  check_fails(pmx_batch_exec_atomic(batch, NULL), PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  pmx_batch_free(batch);
  if (p->arg)
    give_back(lease);
}

START_TEST(function_may_not_execute_or_free_the_batch_or_return_the_lease)
{
  struct plan p = {.client = open_way(_i), .inside = misuse};
  pmx_reply *array = transact(&p, 0);

  check_array(array, 1);
  pmx_reply_free(array);
  ck_assert_int_eq(server_value(server, "n"), 1);
  p.arg = &p;
  check_fails(transact(&p, 0), PMX_INVALID, PMX_CAUSE_NONE);
  ck_assert_int_eq(server_value(server, "n"), 1);
  check_stat(p.client, in_use, 0);
  close_client(p.client);
}
END_TEST

static int only_look(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  struct plan *p = ud;

  (void)batch;
  check_is_ok(pmx_lease_command(lease, NULL, "GET n"));
  if (p->runs++ < p->meddle)
    check_is_ok(call_words(p->client, "INCR n"));
  return 0;
}

/* A picture of several keys of one moment. */
START_TEST(transaction_without_writes_says_whether_the_keys_were_left_alone)
{
  struct plan p = {.client = open_way(_i), .meddle = 1};
  const char *keys[] = {"a", "n"};
  const size_t lens[] = {1, 1};
  pmx_reply *array = pmx_transaction(p.client, NULL, 2, keys, lens, 0, only_look, &p);

  check_array(array, 0);
  pmx_reply_free(array);
  ck_assert_int_eq(p.runs, 2);
  close_client(p.client);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
  struct plan p = {.client = open_way(_i)};
  const char *none[] = {"n", NULL};
  pmx_call call = call_flags(PMX_CALL_RETRY_SAFE, SOON_MS);

  check_fails(pmx_transaction(NULL, NULL, 1, key_n, NULL, 0, add_one, &p), PMX_INVALID,
              PMX_CAUSE_NONE);
  check_fails(pmx_transaction(p.client, NULL, 0, key_n, NULL, 0, add_one, &p), PMX_INVALID,
              PMX_CAUSE_NONE);
  check_fails(pmx_transaction(p.client, NULL, 1, NULL, NULL, 0, add_one, &p), PMX_INVALID,
              PMX_CAUSE_NONE);
  check_fails(pmx_transaction(p.client, NULL, 2, none, NULL, 0, add_one, &p), PMX_INVALID,
              PMX_CAUSE_NONE);
  check_fails(pmx_transaction(p.client, NULL, 1, key_n, NULL, -1, add_one, &p), PMX_INVALID,
              PMX_CAUSE_NONE);
  check_fails(pmx_transaction(p.client, NULL, 1, key_n, NULL, 0, NULL, &p), PMX_INVALID,
              PMX_CAUSE_NONE);
  check_fails(pmx_transaction(p.client, &call, 1, key_n, NULL, 0, add_one, &p), PMX_INVALID,
              PMX_CAUSE_UNSUPPORTED);
  ck_assert_int_eq(p.runs, 0);
  close_client(p.client);
}
END_TEST

START_TEST(client_that_lends_no_connection_refuses_transactions)
{
  struct plan p = {.client = open_way(_i)};
  pmx_reply *reply = transact(&p, 0);

  check_says(reply, "lends none");
  check_fails(reply, PMX_INVALID, PMX_CAUSE_UNSUPPORTED);
  ck_assert_int_eq(p.runs, 0);
  close_client(p.client);
}
END_TEST

static void transact_inside(struct told *t, const pmx_reply *reply)
{
  struct plan p = {.client = t->client, .meddle = 1};
  pmx_reply *array = transact(&p, 0);

  (void)reply;
  check_array(array, 1);
  pmx_reply_free(array);
}

START_TEST(transactions_work_inside_callbacks_and_in_a_loop)
{
  pmx_client *client;
  struct told told = {.inside = transact_inside};

  if (!strategy_has(manners[_i].strategy, LEASES))
    return;
  client = open_manner(&manners[_i], manner_url(&manners[_i], server), NULL);
  transact_inside(&(struct told){.client = client}, NULL);
  ask(client, &told, NULL, "ECHO x");
  check_is_ok(outcome(&told));
  close_client(client);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("transaction");

  ways_brief();
  server_require("transaction");
  tcase_add_checked_fixture(tc, begin, end);
  add_for_ways_with(LEASES, tc, transaction_is_run_again_until_nobody_was_faster);
  add_for_ways_with(LEASES, tc, after_so_many_tries_it_gives_up_and_says_how_many);
  add_for_ways_with(LEASES, tc, conflicts_are_tried_again_without_retries_as_well);
  add_for_ways_with(LEASES, tc, no_update_is_lost_while_fifty_threads_write);
  add_for_ways_with(LEASES, tc, function_that_gives_up_leaves_nothing_behind);
  add_for_ways_with(LEASES, tc, bad_command_in_its_batch_ends_it);
  add_for_ways_with(LEASES, tc, deadline_and_token_end_it_before_exec_is_sent);
  add_for_ways_with(LEASES, tc, function_may_not_execute_or_free_the_batch_or_return_the_lease);
  add_for_ways_with(LEASES, tc, transaction_without_writes_says_whether_the_keys_were_left_alone);
  add_for_ways(tc, what_makes_no_sense_is_refused);
  for (int i = 0; i < way_count; i++) {
    if (!strategy_has(ways[i].strategy, LEASES))
      tcase_add_loop_test(tc, client_that_lends_no_connection_refuses_transactions, i, i + 1);
  }
  add_for_manners(tc, transactions_work_inside_callbacks_and_in_a_loop);
  return checks_run("transaction", tc);
}
