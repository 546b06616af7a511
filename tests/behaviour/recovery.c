/* SPDX-License-Identifier: BSD-3-Clause */
/* recovery.c - servers that restart, fall silent or are away: what it costs the calls, and how the
 * client finds its way back. */
#include "behaviour.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/proxy.h"

/* Every other one on a connection of its own. */
static void check_echo(pmx_client *client, int64_t timeout_ms, int i)
{
  pmx_call call = call_flags(i % 2 ? flags_alone(client) : 0, timeout_ms);
  char text[24];
  pmx_reply *reply;

  snprintf(text, sizeof text, "echo-%d", i);
  reply = pmx_do(client, &call, "ECHO", text, (char *)NULL);
  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  ck_assert_str_eq(pmx_reply_str(reply, NULL), text);
  pmx_reply_free(reply);
}

/* ---- a server that restarts ---- */

enum { IDLE = 10 };

static void echo_once(int i, void *client)
{
  check_echo(client, SOON_MS, i);
}

/* used: each of the connections has answered something before it is idle. */
static void fill_pool(pmx_client *client, bool used)
{
  pmx_lease *leases[IDLE];

  for (int i = 0; i < IDLE; i++) {
    leases[i] = pmx_acquire(client, NULL, NULL);
    ck_assert_ptr_nonnull(leases[i]);
    if (used)
      check_is_ok(pmx_lease_command(leases[i], NULL, "PING"));
  }
  for (int i = 0; i < IDLE; i++)
    ck_assert_int_eq(pmx_release(leases[i]), PMX_OK);
  check_stat(client, idle, IDLE);
}

static void check_restart(const struct way *way, const char *offline, bool used)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(way->strategy, url_for(way, server), "pool.max_size", "10", "retry.max", "0",
                  "offline", offline, "breaker.failures", "3", NULL);
  pmx_stats stats;

  if (strategy_has(way->strategy, LEASES))
    fill_pool(client, used);
  else if (used)
    check_is_ok(pmx_command(client, "PING"));
  server_kill(server);
  ck_assert(server_restart(server));
  run_threads(IDLE, echo_once, client);
  stats = stats_of(client);
  ck_assert_uint_gt(stats.closed_stale + stats.closed_error, 0);
  ck_assert_uint_eq(stats.not_run + stats.unknown + stats.retries, 0);
  ck_assert_uint_eq(stats.breaker_opens, 0);
  check_books(client, IDLE);
  close_client(client);
  ck_assert(server_stop(server));
}

START_TEST(restart_of_the_server_under_idle_connections_costs_no_call)
{
  check_restart(&ways[_i], "wait", true);
  check_restart(&ways[_i], "fail", true);
}
END_TEST

START_TEST(restart_of_the_server_under_connections_never_used_costs_no_call)
{
  check_restart(&ways[_i], "wait", false);
  check_restart(&ways[_i], "fail", false);
}
END_TEST

struct callers {
  pmx_client *client;
  atomic_int done;
};

static void echo_and_count(int i, void *arg)
{
  struct callers *callers = arg;

  check_echo(callers->client, SOON_MS, i);
  atomic_fetch_add(&callers->done, 1);
}

static void echo_by_many(void *arg)
{
  run_threads(6, echo_and_count, arg);
}

START_TEST(calls_wait_for_a_server_that_is_away_and_succeed_when_it_returns)
{
  struct server *server = server_start(NULL);
  struct callers callers = {.done = 0};
  struct background *thread;

  callers.client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "breaker.failures",
                               "1", "retry.max", "0", NULL);
  server_kill(server);
  thread = background_start(echo_by_many, &callers);
  check_stat(callers.client, waiting, 6);
  ck_assert_int_eq(atomic_load(&callers.done), 0);
  ck_assert(server_restart(server));
  background_join(thread);
  ck_assert_int_eq(atomic_load(&callers.done), 6);
  close_client(callers.client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- silence ---- */

START_TEST(connection_gone_silent_is_found_by_a_ping_and_replaced_inside_the_deadline)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "pool.ping_after_idle",
                                   "30ms", "pool.check_timeout", "60ms", "retry.max", "0", NULL);
  pmx_stats stats;

  get_value_alone(client, "before");
  /* No answer and no end will ever come from it. */
  fake_stall(fake_conn_at(fake, lane_beside(client)));
  sleep_ms(60);
  get_value_alone(client, "after");
  stats = stats_of(client);
  ck_assert_uint_eq(stats.pings, 1);
  ck_assert_uint_eq(stats.closed_stale, 1);
  ck_assert_uint_eq(fake_accepted(fake), 2 + lane_beside(client));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static struct proxy *proxy_for(const struct way *way, struct fake *fake)
{
  return proxy_start(fake_url(fake), &(struct proxy_options){.over = way->over});
}

START_TEST(black_hole_ends_each_call_at_its_deadline_and_is_forgotten_when_it_heals)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  struct proxy *proxy = proxy_for(&ways[_i], fake);
  pmx_client *client = open_client(ways[_i].strategy, proxy_url(proxy), "connect", "lazy",
                                   "connect_timeout", "120ms", "pool.max_size", "2", NULL);
  pmx_call call = call_alone(client, 200), longer = call_alone(client, 600);
  pmx_reply *reply;
  int64_t begun;

  get_value_alone(client, "before");
  proxy_silence(proxy, true);
  begun = pmx_now_ms();
  check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_on_time("command in the black hole", begun + 200);
  begun = pmx_now_ms();
  reply = pmx_do(client, &longer, "GET", "k", (char *)NULL);
  check_on_time("connect in the black hole", begun + 600);
  ck_assert_int_ge(pmx_now_ms() - begun, 590); /* offline=wait: it did not give up before */
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  proxy_silence(proxy, false);
  get_value_alone(client, "after");
  close_client(client);
  proxy_stop(proxy);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- every connect is refused ---- */

struct refused {
  pmx_client *client;
  int64_t timeout_ms;
};

static void fail_by_refusal(int i, void *arg)
{
  struct refused *r = arg;
  pmx_call call = call_in(r->timeout_ms);
  pmx_reply *reply = pmx_do(r->client, &call, "GET", i % 2 ? "k" : "l", (char *)NULL);

  ck_assert_msg(strstr(pmx_reply_error(reply), "refused") != NULL, "%s", pmx_reply_error(reply));
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_CONNECT);
}

static void check_refused(const struct way *way, const char *offline, int64_t timeout_ms)
{
  struct fake *fake = fake_for(way, answer_values, NULL);
  struct refused r = {.timeout_ms = timeout_ms};
  pmx_stats stats;

  fake_listen(fake, false);
  r.client = open_client(way->strategy, fake_url(fake), "pool.max_size", "2", "connect", "lazy",
                         "offline", offline, "breaker.failures", "1000", NULL);
  run_threads(10, fail_by_refusal, &r);
  check_stat(r.client, connecting, 0);
  stats = stats_of(r.client);
  ck_assert_uint_eq(stats.live + stats.waiting + stats.in_use, 0);
  ck_assert_uint_eq(stats.not_run, 10);
  ck_assert_uint_eq(fake_accepted(fake), 0);
  fake_listen(fake, true);
  get_value(r.client, "up");
  close_client(r.client);
  ck_assert(fake_stop(fake));
}

/* With a deadline that outlives the test's own limit: they end because the connects fail. */
START_TEST(refused_connects_fail_all_callers_at_once_with_offline_fail)
{
  check_refused(&ways[_i], "fail", 300 * 1000);
}
END_TEST

START_TEST(refused_connects_fail_all_callers_at_their_deadline_with_offline_wait)
{
  int64_t begun = pmx_now_ms();

  check_refused(&ways[_i], "wait", 500);
  ck_assert_int_ge(pmx_now_ms() - begun, 500);
  check_on_time("refused callers", begun + 500);
}
END_TEST

START_TEST(refused_login_fails_the_callers_at_once_even_with_offline_wait)
{
  struct fake_options options = {
      .over = ways[_i].over, .password = "right", .handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "password", "wrong",
                                   "connect", "lazy", "offline", "wait", NULL);
  pmx_call call = call_in(300 * 1000);

  check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_AUTH);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(open_says_at_once_that_the_connect_was_refused)
{
  struct fake *fake = fake_for(&ways[_i], NULL, NULL);
  pmx_options *options = options_for(ways[_i].strategy);
  pmx_reply *err;

  fake_listen(fake, false);
  ck_assert_int_eq(pmx_options_set(options, "connect_timeout", "10min"), PMX_OK);
  trust_for(options, fake_url(fake));
  ck_assert_ptr_null(pmx_open(fake_url(fake), options, &err));
  ck_assert_ptr_nonnull(strstr(pmx_reply_error(err), "refused"));
  check_fails(err, PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  pmx_options_free(options);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("recovery");

  ways_brief();
  server_require("recovery");
  add_for_ways(tc, restart_of_the_server_under_idle_connections_costs_no_call);
  add_for_ways(tc, restart_of_the_server_under_connections_never_used_costs_no_call);
  add_for_ways(tc, calls_wait_for_a_server_that_is_away_and_succeed_when_it_returns);
  add_for_ways_with(LEASES, tc,
                    connection_gone_silent_is_found_by_a_ping_and_replaced_inside_the_deadline);
  add_for_ways_with(LEASES, tc,
                    black_hole_ends_each_call_at_its_deadline_and_is_forgotten_when_it_heals);
  add_for_ways(tc, refused_connects_fail_all_callers_at_once_with_offline_fail);
  add_for_ways(tc, refused_connects_fail_all_callers_at_their_deadline_with_offline_wait);
  add_for_ways(tc, refused_login_fails_the_callers_at_once_even_with_offline_wait);
  add_for_ways(tc, open_says_at_once_that_the_connect_was_refused);
  return checks_run("recovery", tc);
}
