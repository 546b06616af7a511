/* SPDX-License-Identifier: BSD-3-Clause */
/* exhaustion.c - a pool that has nothing to give: how long callers wait, how many may, and what
 * they are told. */
#include "behaviour.h"

#include <string.h>

#include "harness/checks.h"

static pmx_lease *take(pmx_client *client)
{
  pmx_reply *err;
  pmx_lease *lease = pmx_acquire(client, NULL, &err);

  ck_assert_msg(lease != NULL, "%s", pmx_reply_error(err));
  return lease;
}

static pmx_reply *get(pmx_client *client, int64_t timeout_ms)
{
  pmx_call call = call_alone(client, timeout_ms);

  return pmx_do(client, &call, "GET", "k", (char *)NULL);
}

static void check_says_not(const pmx_reply *reply, const char *part)
{
  ck_assert_msg(strstr(pmx_reply_error(reply), part) == NULL, "%s", pmx_reply_error(reply));
}

static void get_in_background(void *client)
{
  get_value_alone(client, "k");
}

START_TEST(waiters_over_the_limit_are_refused_at_once_and_the_others_are_served)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", "pool.max_waiters", "2",
                  "pool.wait_timeout", "60s", "command_timeout", "60s", NULL);
  pmx_lease *lease = take(client);
  struct background *threads[2];
  pmx_reply *reply;

  for (uint64_t i = 0; i < 2; i++) {
    threads[i] = background_start(get_in_background, client);
    check_stat(client, waiting, i + 1);
  }
  reply = get(client, PMX_FOREVER);
  check_says(reply, "pool.max_waiters");
  check_says(reply, "waiting 2");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_QUEUE_FULL);
  ck_assert_uint_eq(stats_of(client).queue_full, 1);
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
  for (int i = 0; i < 2; i++)
    background_join(threads[i]);
  get_value_alone(client, "after");
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(no_waiters_allowed_still_allows_calls_that_find_room)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "2",
                                   "pool.max_waiters", "0", "connect", "lazy", NULL);
  pmx_lease *first = take(client), *second = take(client); /* both had to be connected */

  check_fails(get(client, PMX_FOREVER), PMX_NOT_RUN, PMX_CAUSE_QUEUE_FULL);
  ck_assert_int_eq(pmx_release(second), PMX_OK);
  get_value_alone(client, "k");
  ck_assert_int_eq(pmx_release(first), PMX_OK);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(exhausted_pool_names_itself_its_counts_and_the_longest_use)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client;
  pmx_lease *lease;
  pmx_reply *reply;
  uint64_t before;

  fake_listen(fake, false);
  client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "pool.name", "orders",
                       "pool.max_size", "1", "pool.wait_timeout", "40ms", NULL);
  check_fails(get(client, 300), PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  fake_listen(fake, true);
  lease = take(client);
  check_value(pmx_lease_command(lease, NULL, "GET k"), "k");
  before = stats_of(client).wait_timeouts;
  reply = get(client, PMX_FOREVER);
  check_says(reply, "pool orders:");
  check_says(reply, "live 1, idle 0, in use 1, connecting 0, waiting 1, max 1");
  check_says(reply, "longest in use ");
  check_says(reply, "last command GET");
  check_says(reply, "1 of them leases on which nothing runs, the oldest for ");
  check_says(reply, "(last command GET): was pmx_release forgotten?");
  check_says_not(reply, "last connect error"); /* it is over */
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  ck_assert_uint_eq(stats_of(client).wait_timeouts, before + 1);
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(a_pool_that_cannot_grow_says_why_the_last_connect_failed)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "2", NULL);
  pmx_lease *lease = take(client);
  pmx_reply *reply;

  fake_listen(fake, false);
  reply = get(client, 60);
  check_says(reply, "live 1, idle 0, in use 1");
  check_says(reply, "; last connect error ");
  check_says(reply, "refused");
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(wait_ends_at_the_earlier_of_wait_timeout_and_deadline_and_says_which)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1",
                                   "pool.wait_timeout", "60ms", NULL);
  pmx_lease *lease = take(client);
  int64_t begun = pmx_now_ms();

  check_fails(get(client, SOON_MS), PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  ck_assert_int_ge(pmx_now_ms() - begun, 59);
  check_on_time("pool.wait_timeout", begun + 60);
  ck_assert_int_eq(pmx_client_set(client, "pool.wait_timeout", "60s"), PMX_OK);
  begun = pmx_now_ms();
  check_fails(get(client, 30), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_int_ge(pmx_now_ms() - begun, 29);
  check_on_time("deadline", begun + 30);
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
  ck_assert_uint_eq(fake_seen(fake, "GET"), 0);
  get_value_alone(client, "after");
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static const struct fake_step slow_login[] = {FAKE_EXPECT("PING"), FAKE_DELAY(60),
                                              FAKE_SEND("+PONG\r\n"), FAKE_END};

START_TEST(wait_timeout_of_zero_refuses_when_busy_and_does_not_cut_a_connect)
{
  struct fake_options options = {
      .over = ways[_i].over, .script = slow_login, .handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy",
                                   "pool.max_size", "1", "pool.wait_timeout", "0", NULL);
  pmx_lease *lease = take(client);

  check_fails(get(client, PMX_FOREVER), PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
  get_value_alone(client, "k");
  ck_assert_uint_eq(fake_accepted(fake), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* BLPOP is not answered. */
static int answer_but_blpop(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  return strcmp(argv[0], "BLPOP") == 0 ? 0 : answer_values(ud, conn, argc, argv, len);
}

static void pop_in_background(void *client)
{
  pmx_call call = call_alone(client, 60000);

  check_fails(pmx_do(client, &call, "BLPOP", "q", "0", (char *)NULL), PMX_UNKNOWN,
              PMX_CAUSE_LOST);
}

START_TEST(pool_that_consumers_occupy_says_so)
{
  struct fake *fake = fake_for(&ways[_i], answer_but_blpop, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "2",
                                   "pool.wait_timeout", "40ms", "retry.max", "0", NULL);
  struct background *threads[2];
  pmx_reply *reply;

  for (int i = 0; i < 2; i++)
    threads[i] = background_start(pop_in_background, client);
  ck_assert(fake_wait_seen(fake, "BLPOP", 2, SOON_MS));
  reply = get(client, PMX_FOREVER);
  check_says(reply, "longest in use ");
  check_says(reply, "2 of them wait in blocking commands: give those a client of their own");
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  for (size_t i = 0; i < fake_accepted(fake); i++)
    fake_close(fake_conn_at(fake, i));
  for (int i = 0; i < 2; i++)
    background_join(threads[i]);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* GET is not answered. */
static int answer_but_get(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  return argv[0][0] == 'G' ? 0 : answer_values(ud, conn, argc, argv, len);
}

static void fail_to_get(void *client)
{
  pmx_call call = call_alone(client, 60000);

  call.flags |= PMX_CALL_NO_RETRY;
  check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_UNKNOWN, PMX_CAUSE_LOST);
}

/* Two calls that get no answer, with or without a lease on which nothing runs. */
static pmx_reply *get_beside_two(pmx_client *client, struct fake *fake, bool leased)
{
  pmx_lease *lease = leased ? take(client) : NULL;
  struct background *threads[2];
  pmx_reply *reply;

  for (int i = 0; i < 2; i++)
    threads[i] = background_start(fail_to_get, client);
  ck_assert(fake_wait_seen(fake, "GET", 2, SOON_MS));
  fake_accept_mode(fake, FAKE_ACCEPT_SILENT);
  reply = get(client, 60);
  for (size_t i = 0; i < fake_accepted(fake); i++)
    fake_close(fake_conn_at(fake, i));
  for (int i = 0; i < 2; i++)
    background_join(threads[i]);
  pmx_release(lease);
  return reply;
}

struct guess {
  const char *max_size;
  bool leased;
  const char *said, *not_said;
};

static const struct guess guesses[] = {
    {"2", false, "all of them work: raise pool.max_size", "pmx_release"},
    {"3", false, "in use 2, connecting 1", "raise pool.max_size"}, /* one more is coming */
    {"3", true, "; 1 of them leases on which nothing runs, the oldest for ", "pmx_release"},
};

START_TEST(what_to_do_is_told_only_where_it_would_help)
{
  for (size_t i = 0; i < sizeof guesses / sizeof guesses[0]; i++) {
    struct fake *fake = fake_for(&ways[_i], answer_but_get, NULL);
    pmx_client *client =
        open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", guesses[i].max_size, NULL);
    pmx_reply *reply = get_beside_two(client, fake, guesses[i].leased);

    check_says(reply, guesses[i].said);
    check_says_not(reply, guesses[i].not_said);
    pmx_reply_free(reply);
    close_client(client);
    ck_assert(fake_stop(fake));
  }
}
END_TEST

START_TEST(raising_max_size_serves_the_waiter)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1",
                                   "pool.wait_timeout", "60s", "command_timeout", "60s", NULL);
  pmx_lease *lease = take(client);
  struct background *thread = background_start(get_in_background, client);

  check_stat(client, waiting, 1);
  ck_assert_int_eq(pmx_client_set(client, "pool.max_size", "2"), PMX_OK);
  background_join(thread);
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("exhaustion");

  add_for_ways_with(LEASES, tc,
                    waiters_over_the_limit_are_refused_at_once_and_the_others_are_served);
  add_for_ways_with(LEASES, tc, no_waiters_allowed_still_allows_calls_that_find_room);
  add_for_ways_with(LEASES, tc, exhausted_pool_names_itself_its_counts_and_the_longest_use);
  add_for_ways_with(LEASES, tc, a_pool_that_cannot_grow_says_why_the_last_connect_failed);
  add_for_ways_with(LEASES, tc,
                    wait_ends_at_the_earlier_of_wait_timeout_and_deadline_and_says_which);
  add_for_ways_with(LEASES, tc, wait_timeout_of_zero_refuses_when_busy_and_does_not_cut_a_connect);
  add_for_ways_with(LEASES, tc, pool_that_consumers_occupy_says_so);
  add_for_ways_with(LEASES, tc, what_to_do_is_told_only_where_it_would_help);
  add_for_ways_with(LEASES, tc, raising_max_size_serves_the_waiter);
  return checks_run("exhaustion", tc);
}
