/* SPDX-License-Identifier: BSD-3-Clause */
/* async_failures.c - callbacks of calls that are given up: their time has passed, or a token was
 * fired, before, while and after they run. Each comes once, with the outcome that a synchronous
 * call would have had. */
#include <poolmux/poolmux.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "behaviour/calling.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

/* ---- time ---- */

/* alone: each needs a connection to itself, and there is one. */
static void expire(const struct manner *manner, bool alone)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_manner(manner, manner_url(manner, server), "pool.max_size", "1", (char *)NULL);
  struct told sent = {0}, queued = {0};
  pmx_call call = alone ? call_alone(client, 100) : call_in(100);
  pmx_call first = call_flags(call.flags, PMX_DEFAULT);
  int64_t limit;

  check_is_ok(pmx_command_call(client, &first, "PING"));
  server_pause(server);
  limit = pmx_now_ms() + 100;
  ask(client, &sent, &call, "INCR n");
  if (alone)
    ask(client, &queued, &call, "INCR n");
  check_fails(outcome(&sent), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_on_time("callback", limit);
  if (alone)
    check_fails(outcome(&queued), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  server_resume(server);
  check_is_ok(pmx_command(client, "PING"));
  close_client(client);
  ck_assert_int_le(server_integer(server, "GET", "n", NULL), 1);
  ck_assert(server_stop(server));
}

START_TEST(a_deadline_ends_what_was_sent_unknown_and_what_was_not_as_not_run)
{
  if (strategy_has(manners[_i].strategy, SHARES))
    expire(&manners[_i], false);
  if (strategy_has(manners[_i].strategy, LEASES))
    expire(&manners[_i], true);
}
END_TEST

enum { TIMERS = 400 };

/* In an order that has nothing to do with that of the deadlines. */
START_TEST(hundreds_of_deadlines_are_kept_each_at_its_own_time)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), "pool.max_size", "4",
                                   "pool.wait_timeout", "60s", (char *)NULL);
  struct told *told = harness_alloc(TIMERS * sizeof *told);
  int64_t *limits = harness_alloc(TIMERS * sizeof *limits), worst = 0;

  check_is_ok(pmx_command(client, "PING"));
  server_pause(server);
  for (int i = 0; i < TIMERS; i++) {
    int64_t timeout = 20 + i * 7919 % TIMERS;
    pmx_call call = call_flags(i % 2 ? flags_alone(client) : 0, timeout);

    limits[i] = pmx_now_ms() + timeout;
    ask(client, &told[i], &call, "GET k");
  }
  ck_assert(all_told(told, TIMERS, SOON_MS));
  for (int i = 0; i < TIMERS; i++) {
    int64_t over = told[i].at_ms - limits[i];

    ck_assert_int_eq(pmx_reply_cause(told[i].reply), PMX_CAUSE_TIMEOUT);
    ck_assert_msg(over >= -1, "%d: %lld ms too early", i, (long long)-over);
    worst = over > worst ? over : worst;
  }
  printf("%s, io=%s: the latest of %d deadlines was %lld ms over\n", manner->strategy, manner->io,
         (int)TIMERS, (long long)worst);
  ck_assert_int_lt(worst, HANG_MS);
  told_clear(told, TIMERS);
  server_resume(server);
  close_client(client);
  ck_assert(server_stop(server));
  free(told);
  free(limits);
}
END_TEST

/* Without room in the pool the wait for room has a limit of its own. */
START_TEST(a_busy_pool_says_so_in_its_own_time)
{
  const struct manner *manner = &manners[_i];
  struct server *server;
  pmx_client *client;
  struct told pop = {0}, waits = {0};
  pmx_call call;
  int64_t limit;

  if (!strategy_has(manner->strategy, LEASES))
    return;
  server = server_start(NULL);
  client = open_manner(manner, manner_url(manner, server), "pool.max_size", "1",
                       "pool.wait_timeout", "100ms", "command_timeout", "60s", (char *)NULL);
  ask(client, &pop, NULL, "BLPOP q 60");
  call = call_alone(client, PMX_DEFAULT);
  limit = pmx_now_ms() + 100;
  ask(client, &waits, &call, "PING");
  check_fails(outcome(&waits), PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  check_on_time("the wait for room", limit);
  server_ask(server, "RPUSH q x");
  check_is_ok(outcome(&pop));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- tokens ---- */

/* alone: one runs, and the others wait for its connection. */
static void fire(const struct manner *manner, bool alone)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), "pool.max_size", "1",
                                   "command_timeout", "60s", (char *)NULL);
  struct told told[3] = {{0}};
  pmx_call call = PMX_CALL_INIT;
  int64_t begin;

  call.flags = alone ? flags_alone(client) : 0;
  check_is_ok(pmx_command_call(client, &call, "PING"));
  call.cancel = pmx_cancel_new();
  server_pause(server);
  for (int i = 0; i < 3; i++)
    ask(client, &told[i], &call, "INCR n");
  pass(client, 20);
  begin = pmx_now_ms();
  pmx_cancel_fire(call.cancel);
  ck_assert(all_told(told, 3, SOON_MS));
  check_on_time("cancel", begin);
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(pmx_reply_cause(told[i].reply), PMX_CAUSE_CANCELED);
    ck_assert_int_eq(pmx_reply_status(told[i].reply), i > 0 && alone ? PMX_NOT_RUN : PMX_UNKNOWN);
  }
  ck_assert_int_eq(pmx_async(client, &call, tell, told, "PING"), PMX_NOT_RUN);
  pmx_cancel_free(call.cancel);
  told_clear(told, 3);
  server_resume(server);
  check_is_ok(pmx_command(client, "PING"));
  close_client(client);
  ck_assert(server_stop(server));
}

START_TEST(a_token_ends_calls_that_wait_and_calls_that_run)
{
  if (strategy_has(manners[_i].strategy, SHARES))
    fire(&manners[_i], false);
  if (strategy_has(manners[_i].strategy, LEASES))
    fire(&manners[_i], true);
}
END_TEST

START_TEST(a_token_fired_afterwards_changes_nothing)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  struct told told = {0};
  pmx_call call = PMX_CALL_INIT;

  call.cancel = pmx_cancel_new();
  ask(client, &told, &call, "PING");
  ck_assert(until(client, is_told, &told, SOON_MS));
  pmx_cancel_fire(call.cancel);
  pass(client, 5);
  check_is_ok(outcome(&told));
  pmx_cancel_free(call.cancel);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* The owner of a token need not keep it for as long as the call takes. */
START_TEST(a_token_may_be_freed_while_its_call_runs)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  struct told told[20] = {{0}};
  pmx_call call = PMX_CALL_INIT;

  for (int i = 0; i < 20; i++) {
    call.cancel = pmx_cancel_new();
    ask(client, &told[i], &call, "PING");
    pmx_cancel_free(call.cancel);
  }
  ck_assert(all_told(told, 20, SOON_MS));
  told_clear(told, 20);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* At all moments: while they begin, wait, run, and end. */
enum { ROUNDS = 60, EACH = 16 };

struct firing {
  pmx_cancel *_Atomic token; /* NULL: it was fired */
  _Atomic int stop;
};

static void fire_soon(void *arg)
{
  struct firing *f = arg;
  struct rng rng;

  rng_seed(&rng, 7);
  while (!atomic_load(&f->stop)) {
    pmx_cancel *token = atomic_load(&f->token);

    if (!token) {
      sched_yield();
      continue;
    }
    for (uint64_t n = rng_below(&rng, 20000); n > 0; n--)
      atomic_load(&f->stop);
    pmx_cancel_fire(token);
    atomic_store(&f->token, NULL);
  }
}

static bool is_fired(void *arg)
{
  return atomic_load(&((struct firing *)arg)->token) == NULL;
}

/* How many were turned away, cancelled, and done. */
static void fire_once(pmx_client *client, struct firing *firing, struct told *told, int count[3])
{
  pmx_call call = call_in(SOON_MS);
  int n = 0;

  call.cancel = pmx_cancel_new();
  atomic_store(&firing->token, call.cancel);
  for (int i = 0; i < EACH; i++) {
    told[n].client = client;
    n += pmx_async(client, &call, tell, &told[n], "PING") == PMX_OK;
  }
  ck_assert(all_told(told, n, SOON_MS));
  ck_assert(until(client, is_fired, firing, SOON_MS));
  pmx_cancel_free(call.cancel);
  count[0] += EACH - n;
  for (int i = 0; i < n; i++) {
    ck_assert(pmx_ok(told[i].reply) || pmx_reply_cause(told[i].reply) == PMX_CAUSE_CANCELED);
    count[pmx_ok(told[i].reply) ? 2 : 1]++;
  }
  told_clear(told, n);
}

START_TEST(a_token_may_be_fired_at_any_moment)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), "pool.max_size", "4",
                                   "pool.wait_timeout", "60s", (char *)NULL);
  struct told *told = harness_alloc(EACH * sizeof *told);
  struct firing firing = {NULL, 0};
  struct background *thread = background_start(fire_soon, &firing);
  int count[3] = {0};

  for (int round = 0; round < ROUNDS * (soak() ? 50 : 1); round++)
    fire_once(client, &firing, told, count);
  atomic_store(&firing.stop, 1);
  background_join(thread);
  printf("%s, io=%s: %d turned away, %d cancelled, %d done\n", manner->strategy, manner->io,
         count[0], count[1], count[2]);
  close_client(client);
  ck_assert(server_stop(server));
  free(told);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("async_failures");

  manners_brief();
  server_require("async_failures");
  tcase_set_timeout(tc, soak() ? 300 : 60);
  add_for_manners(tc, a_deadline_ends_what_was_sent_unknown_and_what_was_not_as_not_run);
  add_for_manners(tc, hundreds_of_deadlines_are_kept_each_at_its_own_time);
  add_for_manners(tc, a_busy_pool_says_so_in_its_own_time);
  add_for_manners(tc, a_token_ends_calls_that_wait_and_calls_that_run);
  add_for_manners(tc, a_token_fired_afterwards_changes_nothing);
  add_for_manners(tc, a_token_may_be_freed_while_its_call_runs);
  add_for_manners(tc, a_token_may_be_fired_at_any_moment);
  return checks_run("async_failures", tc);
}
