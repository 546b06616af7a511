/* SPDX-License-Identifier: BSD-3-Clause */
/* closing.c - pmx_close: who fails at once, who may finish, who is cut off, and that nothing stays
 * behind (the fixture counts descriptors and threads). The C library's getaddrinfo is replaced, so
 * that a name lookup can hang for as long as a test likes. */
#include <poolmux/poolmux.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

static _Atomic int dns_hangs, dns_inside;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
  (void)name, (void)service, (void)hints;
  atomic_fetch_add(&dns_inside, 1);
  while (atomic_load(&dns_hangs))
    sleep_ms(1);
  atomic_fetch_sub(&dns_inside, 1);
  *ret = NULL;
  return EAI_NONAME;
}

/* ---- in the background ---- */

struct closer {
  pmx_client *client;
  int64_t timeout_ms, began_ms, ended_ms;
  int result;
};

static void run_close(void *arg)
{
  struct closer *c = arg;

  c->result = pmx_close(c->client, c->timeout_ms);
  c->ended_ms = now_ms();
}

static struct background *start_close(struct closer *c)
{
  c->began_ms = now_ms();
  return background_start(run_close, c);
}

/* A pool of 8 that is wholly in use and has 20 waiters. */
enum { LENT = 8, BLOCKED = 4, WAITERS = 20, DRAIN_MS = 400 };

struct crowd {
  struct server *server;
  pmx_client *client;
  pmx_lease *leases[LENT];
  struct waiting blocked[BLOCKED]; /* inside a command of the first leases */
  struct waiting waiters[WAITERS];
};

static void gather(struct crowd *c, const struct way *way)
{
  memset(c, 0, sizeof *c);
  c->server = server_start(NULL);
  c->client = open_client(way->strategy, url_for(way, c->server), "pool.max_size", "8",
                          "pool.wait_timeout", "60s", "command_timeout", "60s", NULL);
  for (int i = 0; i < LENT; i++)
    c->leases[i] = take(c->client);
  for (int i = 0; i < BLOCKED; i++) {
    c->blocked[i] = (struct waiting){.lease = c->leases[i], .command = "BLPOP q 0"};
    waiting_start(&c->blocked[i]);
  }
  for (int i = 0; i < WAITERS; i++) {
    c->waiters[i] = (struct waiting){.client = c->client, .command = i % 2 ? "GET k" : NULL};
    if (i % 2)
      c->waiters[i].call = call_alone(c->client, PMX_DEFAULT);
    waiting_start(&c->waiters[i]);
  }
  ck_assert(server_has(c->server, "blocked_clients", BLOCKED, SOON_MS));
  check_stat(c->client, waiting, WAITERS);
}

static void disperse(struct crowd *c)
{
  check_books(c->client, LENT);
  pmx_unref(c->client);
  ck_assert(server_stop(c->server));
}

START_TEST(close_fails_waiters_at_once_honours_leases_and_cuts_off_the_rest_in_time)
{
  struct crowd c;
  struct closer closer = {.timeout_ms = DRAIN_MS};
  struct background *thread;

  gather(&c, &ways[_i]);
  closer.client = c.client;
  thread = start_close(&closer);
  for (int i = 0; i < WAITERS; i++)
    check_fails(waiting_end(&c.waiters[i]), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  for (int i = BLOCKED; i < LENT; i++)
    lease_ok(c.leases[i], "PING");
  give_back(c.leases[BLOCKED]);
  for (int i = 0; i < BLOCKED; i++) {
    check_fails(waiting_end(&c.blocked[i]), PMX_UNKNOWN, PMX_CAUSE_CLOSED);
    ck_assert_int_ge(c.blocked[i].ended_ms - closer.began_ms, DRAIN_MS - 1);
  }
  background_join(thread);
  ck_assert_int_eq(closer.result, 0);
  ck_assert_int_lt(closer.ended_ms - closer.began_ms, DRAIN_MS + HANG_MS);
  for (int i = 0; i < WAITERS; i++)
    ck_assert_int_lt(c.waiters[i].ended_ms, c.blocked[0].ended_ms);
  check_fails(pmx_lease_command(c.leases[LENT - 1], NULL, "PING"), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  check_clients(c.server, 0);
  for (int i = 0; i < LENT; i++) /* late */
    ck_assert_int_eq(pmx_release(c.leases[i]), i == BLOCKED ? PMX_INVALID : PMX_OK);
  disperse(&c);
}
END_TEST

START_TEST(close_without_time_cuts_off_everything)
{
  struct crowd c;
  int64_t begin;

  gather(&c, &ways[_i]);
  begin = pmx_now_ms();
  ck_assert_int_eq(pmx_close(c.client, 0), 0);
  check_on_time("close", begin);
  for (int i = 0; i < WAITERS; i++)
    check_fails(waiting_end(&c.waiters[i]), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  for (int i = 0; i < BLOCKED; i++)
    check_fails(waiting_end(&c.blocked[i]), PMX_UNKNOWN, PMX_CAUSE_CLOSED);
  ck_assert_uint_eq(stats_of(c.client).live, 0);
  for (int i = 0; i < LENT; i++)
    give_back(c.leases[i]);
  disperse(&c);
}
END_TEST

/* GET slow is answered after 200 ms, GET never not at all. */
static int answer(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc == 2 && strcmp(argv[1], "never") == 0)
    return 0;
  if (argc == 2 && strcmp(argv[1], "slow") == 0)
    fake_delay(conn, 200);
  return answer_values(ud, conn, argc, argv, len);
}

START_TEST(close_waits_for_calls_that_end_by_themselves)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  struct waiting calls[3];

  for (int i = 0; i < 3; i++) {
    calls[i] = (struct waiting){.client = client, .command = "GET slow"};
    calls[i].call = call_flags(i == 1 ? flags_alone(client) : 0, PMX_DEFAULT);
    waiting_start(&calls[i]);
  }
  ck_assert(fake_wait_seen(fake, "GET", 3, SOON_MS));
  ck_assert_int_eq(pmx_close(client, PMX_FOREVER), 1);
  for (int i = 0; i < 3; i++)
    check_value(waiting_end(&calls[i]), "slow");
  ck_assert_uint_eq(stats_of(client).live, 0);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(a_second_close_does_nothing_new)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_stats before, after;

  check_is_ok(pmx_command(client, "PING"));
  if (lane_beside(client))
    give_back(take(client));
  ck_assert_int_eq(pmx_close(client, 1000), 1);
  before = stats_of(client);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(pmx_close(client, i == 0 ? 0 : PMX_DEFAULT), 1);
  ck_assert_int_eq(pmx_close(NULL, 0), 1);
  after = stats_of(client);
  ck_assert_mem_eq(&before, &after, sizeof before);
  pmx_unref(client);
  pmx_unref(NULL);
  ck_assert(server_stop(server));
}
END_TEST

/* alone: what they wait for is a call on a connection of its own. */
static void close_twice(const struct way *way, bool alone)
{
  struct fake *fake = fake_for(way, answer, NULL);
  pmx_client *client = open_client(way->strategy, fake_url(fake), "command_timeout", "60s", NULL);
  struct waiting call = {.client = client, .command = "GET never"};
  struct closer patient = {.client = client, .timeout_ms = 60000}, other = patient;
  struct background *threads[2];

  call.call = call_flags(alone ? flags_alone(client) : 0, PMX_DEFAULT);
  waiting_start(&call);
  ck_assert(fake_wait_seen(fake, "GET", 1, SOON_MS));
  threads[0] = start_close(&patient);
  threads[1] = start_close(&other);
  sleep_ms(20);
  ck_assert_int_eq(pmx_close(client, 50), 0);
  check_fails(waiting_end(&call), PMX_UNKNOWN, PMX_CAUSE_CLOSED);
  background_join(threads[0]);
  background_join(threads[1]);
  ck_assert_int_eq(patient.result + other.result, 0);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}

START_TEST(of_two_closes_the_earlier_deadline_counts)
{
  close_twice(&ways[_i], false);
  if (strategy_has(ways[_i].strategy, DEDICATES))
    close_twice(&ways[_i], true);
}
END_TEST

START_TEST(a_closed_client_says_so)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_call alone = call_alone(client, PMX_DEFAULT);
  pmx_reply *failure;
  int64_t connections;

  pmx_close(client, 1000);
  connections = server_connections(server);
  check_fails(pmx_command(client, "PING"), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  check_fails(pmx_command_call(client, &alone, "PING"), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  ck_assert_ptr_null(pmx_acquire(client, NULL, NULL));
  if (strategy_has(ways[_i].strategy, LEASES)) {
    ck_assert_ptr_null(pmx_acquire(client, NULL, &failure));
    check_fails(failure, PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  }
  ck_assert_int_eq(pmx_client_set(client, "pool.min_idle", "2"), PMX_OK);
  sleep_ms(30);
  ck_assert_int_eq(server_connections(server), connections);
  ck_assert_uint_eq(stats_of(client).live, 0);
  pmx_unref(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- while it connects ---- */

static pmx_client *open_lazy(const char *strategy, const char *url)
{
  return open_client(strategy, url, "connect", "lazy", "command_timeout", "60s", "connect_timeout",
                     "60s", "pool.wait_timeout", "60s", NULL);
}

START_TEST(close_gives_up_connects_at_once_however_much_time_it_has)
{
  struct fake_options options = {.accept = FAKE_ACCEPT_SILENT, .over = ways[_i].over};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_lazy(ways[_i].strategy, fake_url(fake));
  int leases = strategy_has(ways[_i].strategy, LEASES);
  struct waiting calls[3];
  int64_t begin;

  for (int i = 0; i < 3; i++) {
    calls[i] = (struct waiting){.client = client, .command = i >= leases ? "GET k" : NULL};
    calls[i].call = call_flags(i == 1 ? flags_alone(client) : 0, PMX_DEFAULT);
    waiting_start(&calls[i]);
  }
  check_stat(client, waiting, 3);
  ck_assert(fake_wait_accepted(fake, leases ? 3 : 1, SOON_MS));
  begin = pmx_now_ms();
  ck_assert_int_eq(pmx_close(client, 30000), 1);
  check_on_time("close while connecting", begin);
  for (int i = 0; i < 3; i++)
    check_fails(waiting_end(&calls[i]), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  check_books(client, 0);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static bool is_inside_dns(void *arg)
{
  (void)arg;
  return atomic_load(&dns_inside) > 0;
}

START_TEST(close_does_not_wait_for_a_name_lookup_that_hangs)
{
  pmx_client *client = open_lazy(strategies[_i], "redis://a-name.invalid:7777");
  struct waiting call = {.client = client, .command = "GET k"};
  int64_t begin;

  atomic_store(&dns_hangs, 1);
  waiting_start(&call);
  ck_assert(wait_for(is_inside_dns, NULL, SOON_MS));
  begin = pmx_now_ms();
  ck_assert_int_eq(pmx_close(client, 30000), 1);
  check_fails(waiting_end(&call), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  pmx_unref(client);
  check_on_time("close in a hung lookup", begin);
  ck_assert_int_eq(atomic_load(&dns_inside), 1);
  atomic_store(&dns_hangs, 0); /* its thread must find its own way out */
}
END_TEST

START_TEST(open_and_unref_in_a_hung_lookup_end_at_the_deadline)
{
  pmx_options *options = options_for(strategies[_i]);
  int64_t begin = pmx_now_ms();
  pmx_reply *failure;

  atomic_store(&dns_hangs, 1);
  pmx_options_set(options, "connect_timeout", "80ms");
  ck_assert_ptr_null(pmx_open("redis://a-name.invalid:7777", options, &failure));
  check_on_time("open in a hung lookup", begin + 80);
  check_says(failure, "host \"a-name.invalid\": the name lookup gave no answer in time");
  check_fails(failure, PMX_NOT_RUN, PMX_CAUSE_DNS);
  pmx_options_free(options);
  atomic_store(&dns_hangs, 0);
}
END_TEST

/* GET is not answered. */
static int answer_but_get(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  return argv[0][0] == 'G' ? 0 : answer_values(ud, conn, argc, argv, len);
}

START_TEST(close_gives_up_checks_and_repairs)
{
  struct fake_options options = {.handler = answer_values, .over = ways[_i].over};
  struct fake *fake = fake_start(&options);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "pool.ping_after_idle", "10ms",
                  "pool.check_timeout", "60s", "pool.keepalive", "off", "pool.max_size", "2",
                  "command_timeout", "60s", "pool.wait_timeout", "60s", NULL);
  struct waiting call = {.client = client, .command = "GET k"};
  pmx_lease *lease = take(client);
  int64_t begin;

  pmx_reply_free(pmx_lease_command(lease, NULL, "SELECT 5"));
  ck_assert(fake_wait_open(fake, 1 + lane_beside(client), SOON_MS));
  fake_stall(fake_conn_at(fake, lane_beside(client)));
  give_back(lease); /* its repair is never answered */
  fake_accept_mode(fake, FAKE_ACCEPT_SILENT);
  call.call = call_alone(client, PMX_DEFAULT);
  waiting_start(&call);
  check_stat(client, waiting, 1);
  begin = pmx_now_ms();
  ck_assert_int_eq(pmx_close(client, 30000), 1);
  check_on_time("close while repairing", begin);
  check_fails(waiting_end(&call), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  ck_assert_uint_eq(stats_of(client).closed_shutdown, stats_of(client).closed);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static void close_the_only_one(const struct way *way, bool checks)
{
  struct fake *fake = fake_for(way, answer_but_get, NULL);
  pmx_client *client = open_client(way->strategy, fake_url(fake), "pool.max_size", "1",
                                   "pool.ping_after_idle", "1ms", "pool.check_timeout", "60s",
                                   "pool.keepalive", "off", "retry.max", "0", NULL);
  struct waiting call = {.client = client, .command = "GET k"};
  pmx_stats s;

  give_back(take(client));
  sleep_ms(10); /* it is idle for longer than that */
  if (checks)
    fake_stall(fake_conn_at(fake, lane_beside(client)));
  call.call = call_alone(client, SOON_MS);
  waiting_start(&call);
  if (checks)
    check_stat(client, checking, 1);
  else
    ck_assert(fake_wait_seen(fake, "GET", 1, SOON_MS));
  pmx_close(client, 0);
  ck_assert_int_ne(pmx_reply_finish(waiting_end(&call)), PMX_OK);
  check_stat(client, live, 0);
  s = stats_of(client);
  ck_assert_uint_eq(s.closed_shutdown, s.opened);
  ck_assert_uint_eq(s.closed, s.opened);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}

START_TEST(what_a_close_cuts_off_is_counted_as_shut_down)
{
  close_the_only_one(&ways[_i], true);
  close_the_only_one(&ways[_i], false);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("closing");

  server_require("closing");
  add_for_ways_with(LEASES, tc,
                    close_fails_waiters_at_once_honours_leases_and_cuts_off_the_rest_in_time);
  add_for_ways_with(LEASES, tc, close_without_time_cuts_off_everything);
  add_for_ways(tc, close_waits_for_calls_that_end_by_themselves);
  add_for_ways(tc, a_second_close_does_nothing_new);
  add_for_ways(tc, of_two_closes_the_earlier_deadline_counts);
  add_for_ways(tc, a_closed_client_says_so);
  add_for_ways(tc, close_gives_up_connects_at_once_however_much_time_it_has);
  add_for_strategies(tc, close_does_not_wait_for_a_name_lookup_that_hangs);
  add_for_strategies(tc, open_and_unref_in_a_hung_lookup_end_at_the_deadline);
  add_for_ways_with(LEASES, tc, close_gives_up_checks_and_repairs);
  add_for_ways_with(LEASES, tc, what_a_close_cuts_off_is_counted_as_shut_down);
  return checks_run("closing", tc);
}
