/* SPDX-License-Identifier: BSD-3-Clause */
/* session_blocking.c - commands that wait at the server: how long they may take, and that one which
 * was given up takes nothing with it. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

/* ---- an abandoned blocking pop ---- */

/* On a slow machine it may be over before it was sent. */
static void check_given_up(pmx_reply *reply, pmx_cause cause)
{
  pmx_status status = pmx_reply_status(reply);

  check_fails(reply, status == PMX_NOT_RUN ? PMX_NOT_RUN : PMX_UNKNOWN, cause);
}

static void abandon(struct server *server, pmx_client *client, bool by_token)
{
  struct waiting w = {.client = client, .command = "BLPOP q 0", .call = call_in(20000)};
  pmx_cancel *token = pmx_cancel_new();
  int64_t begin = pmx_now_ms();

  ck_assert_ptr_nonnull(token);
  w.call.cancel = token;
  if (!by_token)
    w.call.timeout_ms = 30;
  waiting_start(&w);
  if (by_token) {
    ck_assert(server_has(server, "blocked_clients", 1, SOON_MS));
    begin = pmx_now_ms() - 30;
    pmx_cancel_fire(token);
  }
  check_given_up(waiting_end(&w), by_token ? PMX_CAUSE_CANCELED : PMX_CAUSE_TIMEOUT);
  check_on_time("giving up BLPOP", begin + 30);
  pmx_cancel_free(token);
}

static void check_popped(pmx_reply *reply, const char *value)
{
  const char *text = pmx_reply_str(pmx_reply_at(reply, 1), NULL);

  ck_assert_msg(text && strcmp(text, value) == 0, "popped \"%s\", not \"%s\": %s",
                text ? text : "nothing", value, pmx_reply_error(reply));
  pmx_reply_free(reply);
}

START_TEST(an_abandoned_blocking_pop_takes_no_element_away)
{
  struct server *server = server_start(NULL);
  const char *url = url_for(&ways[_i], server);
  pmx_client *client = open_client(ways[_i].strategy, url, NULL);
  pmx_client *other = open_client(ways[_i].strategy, url, NULL);
  char value[32];

  for (int i = 0; i < (soak() ? 1000 : 16); i++) {
    abandon(server, client, i % 2 == 0);
    ck_assert_msg(server_has(server, "blocked_clients", 0, SOON_MS), "one still waits");
    snprintf(value, sizeof value, "v%d", i);
    check_int(pmx_command(client, "LPUSH q %s", value), 1);
    check_popped(pmx_command(other, "BLPOP q 5"), value);
  }
  close_client(client);
  close_client(other);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- under load ---- */

enum { POPPERS = 4, PUSHES = 400, PUSHES_SOAK = 20000 };

struct race {
  pmx_client *client;
  int pushes;
  _Atomic int done, unknown, wrong;
  _Atomic unsigned char *popped; /* how often each element was */
};

static void pop(struct race *r, struct rng *rng)
{
  pmx_call call = call_in(1 + (int64_t)rng_below(rng, 6));
  pmx_reply *reply = pmx_command_call(r->client, &call, "BLPOP q 0");
  int i;

  switch (pmx_reply_status(reply)) {
  case PMX_OK:
    i = atoi(pmx_reply_str(pmx_reply_at(reply, 1), NULL));
    if (i < 0 || i >= r->pushes || atomic_fetch_add(&r->popped[i], 1) != 0)
      atomic_fetch_add(&r->wrong, 1);
    break;
  case PMX_UNKNOWN:
    atomic_fetch_add(&r->unknown, 1);
    break;
  case PMX_NOT_RUN:
    break;
  case PMX_SERVER_ERROR:
  case PMX_INVALID:
  case PMX_NOMEM:
    atomic_fetch_add(&r->wrong, 1);
    break;
  }
  pmx_reply_free(reply);
}

static void push_all(struct race *r, struct rng *rng)
{
  for (int i = 0; i < r->pushes; i++) {
    if (pmx_reply_finish(pmx_command(r->client, "RPUSH q %d", i)) != PMX_OK)
      atomic_fetch_add(&r->wrong, 1);
    if (rng_below(rng, 2) == 0)
      sleep_ms((int64_t)rng_below(rng, 3));
  }
  atomic_store(&r->done, 1);
}

static void race_thread(int i, void *arg)
{
  struct race *r = arg;
  struct rng rng;

  rng_seed(&rng, (uint64_t)i + 1);
  if (i == POPPERS) {
    push_all(r, &rng);
    return;
  }
  while (!atomic_load(&r->done))
    pop(r, &rng);
}

START_TEST(elements_are_lost_only_where_the_outcome_says_unknown)
{
  struct server *server = server_start(NULL);
  struct race r = {.pushes = soak() ? PUSHES_SOAK : PUSHES};
  int missing = 0;
  int64_t left;

  r.popped = harness_alloc((size_t)r.pushes);
  r.client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  run_threads(POPPERS + 1, race_thread, &r);
  left = server_integer(server, "LLEN", "q", NULL);
  for (int i = 0; i < r.pushes; i++)
    missing += r.popped[i] == 0;
  printf("pushed %d, popped %d, left %d, unknown %d\n", r.pushes, r.pushes - missing, (int)left,
         atomic_load(&r.unknown));
  ck_assert_int_eq(atomic_load(&r.wrong), 0);
  ck_assert_int_ge(missing, (int)left);
  ck_assert_int_le(missing - (int)left, atomic_load(&r.unknown));
  free((void *)r.popped);
  close_client(r.client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- how long they may take ---- */

struct wait_row {
  const char *command;
  int64_t ms; /* what it asks for */
};

/* All of them end by themselves, long after command_timeout. */
static const struct wait_row waits[] = {
    {"BLPOP q 0.1", 100},
    {"brpop a b q 0.1", 100},
    {"BLMOVE q p LEFT RIGHT 0.1", 100},
    {"BRPOPLPUSH q p 0.1", 100},
    {"BLMPOP 0.1 1 q LEFT COUNT 2", 100},
    {"BZPOPMIN z 0.1", 100},
    {"BZPOPMAX z 0.1", 100},
    {"BZMPOP 0.1 1 z MIN", 100},
    {"XREAD COUNT 1 BLOCK 100 STREAMS s $", 100},
    {"XREADGROUP GROUP g c BLOCK 100 STREAMS s >", 100},
};

START_TEST(a_blocking_command_brings_its_own_deadline)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "command_timeout", "40ms", NULL);

  server_ask(server, "XGROUP CREATE s g $ MKSTREAM");
  for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
    int64_t begin = pmx_now_ms();
    pmx_reply *reply = call_words(client, waits[i].command);

    ck_assert_msg(pmx_ok(reply) && pmx_reply_type(reply) == PMX_TYPE_NIL, "%s: %s",
                  waits[i].command, pmx_reply_error(reply));
    pmx_reply_free(reply);
    ck_assert_int_ge(pmx_now_ms() - begin, waits[i].ms - 5);
    check_on_time(waits[i].command, begin + waits[i].ms);
  }
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(wait_on_a_lease_brings_its_own_deadline)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(strategies[_i], server_url(server, SERVER_TCP), "command_timeout", "40ms", NULL);
  pmx_lease *lease = take(client);
  int64_t begin;

  lease_ok(lease, "SET a b");
  begin = pmx_now_ms();
  check_int(lease_words(lease, "WAIT 1 150"), 0);
  ck_assert_int_ge(pmx_now_ms() - begin, 145);
  give_back(lease);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_pop_without_a_limit_waits_until_something_comes)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "command_timeout", "30ms", NULL);
  struct waiting w = {.client = client, .command = "BLPOP q 0"};

  waiting_start(&w);
  ck_assert(server_has(server, "blocked_clients", 1, SOON_MS));
  sleep_ms(150);
  server_ask(server, "LPUSH q x");
  check_popped(waiting_end(&w), "x");
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static int silent(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud, (void)conn, (void)argc, (void)argv, (void)len;
  return 0;
}

struct limit_row {
  const char *command;
  int64_t timeout_ms, cap_ms, expected_ms; /* of the call; from now, 0 = none; when it ends */
};

static const struct limit_row limits[] = {
    {"BLPOP q 0.1", PMX_DEFAULT, 0, 180}, /* and blocking_grace */
    {"BLPOP q 0.1", 40, 0, 40},           /* the caller knows better */
    {"BLPOP q 0.1", 250, 0, 180},         /* of the two the earlier one */
    {"BLPOP q 0.1", PMX_FOREVER, 0, 180},
    {"BLPOP q 0", 60, 0, 60},
    {"BLPOP q 0", PMX_DEFAULT, 60, 60},
    {"BLPOP q 0.1", PMX_DEFAULT, 60, 60},
    {"BLPOP q nonsense", PMX_DEFAULT, 0, 20}, /* an error at once: an ordinary command */
    {"GET k", PMX_DEFAULT, 0, 20},
};

START_TEST(a_server_that_never_answers_is_given_up_at_the_derived_deadline)
{
  struct fake_options options = {.handler = silent, .over = ways[_i].over};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "command_timeout", "20ms",
                                   "blocking_grace", "80ms", NULL);

  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    const struct limit_row *row = &limits[i];
    int64_t begin = pmx_now_ms();
    struct waiting w = {.client = client, .command = row->command};

    w.call = call_in(row->timeout_ms);
    if (row->cap_ms)
      w.call.deadline_ms = begin + row->cap_ms;
    waiting_start(&w);
    check_given_up(waiting_end(&w), PMX_CAUSE_TIMEOUT);
    ck_assert_msg(pmx_now_ms() - begin >= row->expected_ms - 1, "row %zu ended early", i);
    check_on_time(row->command, begin + row->expected_ms);
  }
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- commands that stop the others ---- */

START_TEST(client_pause_delays_and_harms_nothing)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_call brief = call_in(50);
  char text[VALUE_SIZE];
  int64_t begin;

  check_is_ok(pmx_command(client, "SET k %s", value_of("k", text)));
  check_is_ok(pmx_command(client, "CLIENT PAUSE 200 ALL"));
  begin = pmx_now_ms();
  check_fails(pmx_command_call(client, &brief, "INCR n"), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  get_value(client, "k");
  ck_assert_int_ge(pmx_now_ms() - begin, 100);
  check_is_ok(pmx_command(client, "CLIENT PAUSE 10000 WRITE"));
  get_value(client, "k");
  check_is_ok(pmx_command(client, "CLIENT UNPAUSE"));
  check_is_ok(pmx_command(client, "SET k2 1"));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_lease_can_be_used_after_its_blocked_pop_was_given_up)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_TCP), NULL);
  pmx_lease *lease = take(client);
  pmx_call brief = call_in(30);

  check_fails(pmx_lease_command(lease, &brief, "BLPOP q 0"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  lease_ok(lease, "PING");
  ck_assert(server_has(server, "blocked_clients", 0, SOON_MS));
  give_back(lease);
  ck_assert_uint_eq(stats_of(client).discards, 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* WAIT is not for a key: nothing but closing ends it for certain. */
START_TEST(a_lease_is_of_no_more_use_after_its_wait_was_given_up)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_TCP), NULL);
  pmx_lease *lease = take(client);
  pmx_call brief = call_in(30);

  lease_ok(lease, "SET a b");
  check_fails(pmx_lease_command(lease, &brief, "WAIT 1 0"), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_fails(pmx_lease_command(lease, NULL, "PING"), PMX_NOT_RUN, PMX_CAUSE_LOST);
  ck_assert(server_has(server, "blocked_clients", 0, SOON_MS));
  give_back(lease);
  check_is_ok(pmx_command(client, "PING"));
  ck_assert_uint_eq(stats_of(client).discards, 1);
  ck_assert_uint_eq(stats_of(client).unblocks, 0);
  ck_assert_uint_eq(stats_of(client).control_opened, 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("session_blocking");

  ways_brief();
  server_require("session_blocking");
  add_for_ways_with(LEASES, tc, an_abandoned_blocking_pop_takes_no_element_away);
  add_for_ways_with(LEASES, tc, elements_are_lost_only_where_the_outcome_says_unknown);
  add_for_ways_with(LEASES, tc, a_blocking_command_brings_its_own_deadline);
  add_for_strategies_with(LEASES, tc, wait_on_a_lease_brings_its_own_deadline);
  add_for_ways_with(LEASES, tc, a_pop_without_a_limit_waits_until_something_comes);
  add_for_ways_with(LEASES, tc, a_server_that_never_answers_is_given_up_at_the_derived_deadline);
  add_for_ways(tc, client_pause_delays_and_harms_nothing);
  add_for_strategies_with(LEASES, tc, a_lease_can_be_used_after_its_blocked_pop_was_given_up);
  add_for_strategies_with(LEASES, tc, a_lease_is_of_no_more_use_after_its_wait_was_given_up);
  return checks_run("session_blocking", tc);
}
