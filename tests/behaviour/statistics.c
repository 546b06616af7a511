/* SPDX-License-Identifier: BSD-3-Clause */
/* statistics.c - the books of a client: that each picture balances while threads call, that what
 * ends is counted under its reason, and what is told of a lane alone. */
#include "behaviour.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "harness/checks.h"
#include "leasing.h"

/* ---- eight threads ---- */

enum { CALLERS = 8, WATCHERS = 2 };
static const uint64_t HOUR_NS = UINT64_C(3600) * 1000000000;

struct busy {
  pmx_client *client;
  struct server *server;
  atomic_bool stop;
  _Atomic uint64_t calls, pictures;
};

static void act_at_random(struct busy *b, struct rng *rng)
{
  pmx_call call = call_in(rng_below(rng, 8) ? 500 : (int64_t)rng_below(rng, 2));
  pmx_lease *lease;

  if (rng_below(rng, 4) == 0)
    call.flags = flags_alone(b->client);
  if (rng_below(rng, 16) == 0 && (lease = pmx_acquire(b->client, &call, NULL))) {
    pmx_reply_free(pmx_lease_command(lease, NULL, rng_below(rng, 2) ? "WATCH k" : "MULTI"));
    pmx_release(lease);
  }
  pmx_reply_free(pmx_do(b->client, &call, rng_below(rng, 2) ? "GET" : "INCR", "k", (char *)NULL));
  atomic_fetch_add(&b->calls, 1);
}

static void keep_busy(int i, void *arg)
{
  struct busy *b = arg;
  struct rng rng;

  rng_seed(&rng, rng_fresh());
  if (i < WATCHERS) {
    while (!atomic_load(&b->stop)) {
      check_books(b->client, 0);
      ck_assert_uint_lt(stats_of(b->client).oldest_wait_ns, HOUR_NS);
      atomic_fetch_add(&b->pictures, 1);
    }
    return;
  }
  while (!atomic_load(&b->stop))
    act_at_random(b, &rng);
}

static void run_busy(void *arg)
{
  run_threads(WATCHERS + CALLERS, keep_busy, arg);
}

/* Failed assertions of threads are seen by libcheck, which ends the whole process. */
START_TEST(every_picture_balances_while_eight_threads_call)
{
  struct server *server = server_start(NULL);
  struct busy b = {.server = server};
  struct background *all;
  int64_t until = pmx_now_ms() + (soak() ? 20000 : 1000);

  b.client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "3",
                         "mux.lanes", "2", NULL);
  all = background_start(run_busy, &b);
  while (pmx_now_ms() < until) {
    sleep_ms(100);
    server_kill_clients(server);
  }
  atomic_store(&b.stop, true);
  background_join(all);
  ck_assert_uint_ge(atomic_load(&b.pictures), 10);
  ck_assert_uint_ge(atomic_load(&b.calls), 100);
  ck_assert_uint_gt(stats_of(b.client).closed, 0);
  close_client(b.client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- closing ---- */

START_TEST(what_a_close_ends_is_counted_as_shut_down)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_stats s;

  check_is_ok(pmx_command(client, "GET k"));
  ck_assert_int_eq(pmx_close(client, HANG_MS), 1);
  s = stats_of(client);
  ck_assert_uint_ge(s.opened, 1);
  ck_assert_uint_eq(s.closed_shutdown, s.opened);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(what_is_above_a_limit_is_counted_as_surplus)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "3", "pool.max_idle", "1", NULL);
  pmx_lease *leases[3];

  for (int i = 0; i < 3; i++)
    leases[i] = take(client);
  ck_assert_uint_eq(stats_of(client).pool_max_size, 3);
  ck_assert_uint_eq(stats_of(client).pool_max_idle, 1);
  ck_assert_uint_eq(stats_of(client).running, 0); /* leases between two commands */
  ck_assert_uint_eq(stats_of(client).in_use, 3);
  for (int i = 0; i < 3; i++)
    give_back(leases[i]);
  check_stat(client, closed_surplus, 2);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- connects that fail, by stage ---- */

static int answer_wrongly(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)argc, (void)argv, (void)len;
  if (strcmp(ud, "nothing") == 0)
    return 0;
  if (strcmp(ud, "nonsense") == 0)
    fake_send(conn, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
  else
    fake_reply_error(conn, "WRONGPASS invalid username-password pair or user is disabled.");
  return 0;
}

#define check_stage(strategy, url, member)                                                         \
  do {                                                                                             \
    pmx_client *client_ = open_client((strategy), (url), "connect", "lazy", "offline", "fail",     \
                                      "connect_timeout", "200ms", NULL);                           \
    pmx_call call_ = call_in(SOON_MS);                                                             \
    pmx_reply *reply_ = pmx_do(client_, &call_, "GET", "k", (char *)NULL);                         \
    ck_assert_int_eq(pmx_reply_status(reply_), PMX_NOT_RUN);                                       \
    ck_assert_msg(stats_of(client_).member >= 1, #member ": %s", pmx_reply_error(reply_));         \
    ck_assert_uint_eq(stats_of(client_).member, stats_of(client_).dial_failures);                  \
    pmx_reply_free(reply_);                                                                        \
    close_client(client_);                                                                         \
  } while (0)

START_TEST(a_connect_that_fails_is_counted_under_its_stage)
{
  static const char *const wrongs[] = {"nothing", "nonsense", "refusal"};
  const char *strategy = strategies[_i];
  struct fake *fakes[3];
  char url[128];

  for (int i = 0; i < 3; i++) {
    struct fake_options options = {
        .manual = true, .handler = answer_wrongly, .ud = (void *)(uintptr_t)wrongs[i]};

    fakes[i] = fake_start(&options);
  }
  check_stage(strategy, "redis://nobody.invalid:1", dials_dns);
  check_stage(strategy, fake_url(fakes[0]), dials_timeout);
  check_stage(strategy, fake_url(fakes[1]), dials_protocol);
  snprintf(url, sizeof url, "redis://:secret@127.0.0.1:%d", fake_port(fakes[2]));
  check_stage(strategy, url, dials_auth);
  fake_listen(fakes[2], false);
  check_stage(strategy, url, dials_tcp);
  for (int i = 0; i < 3; i++)
    ck_assert(fake_stop(fakes[i]));
}
END_TEST

START_TEST(a_server_that_is_not_trusted_is_a_failure_of_tls)
{
  struct fake_options options = {.over = OVER_TLS};
  struct fake *fake = fake_start(&options);
  pmx_options *settings = options_for(strategies[_i]);
  pmx_client *client;
  pmx_call call = call_in(SOON_MS);

  /* Trusts the system's authorities only. */
  pmx_options_set(settings, "connect", "lazy");
  client = pmx_open(fake_url(fake), settings, NULL);
  ck_assert_ptr_nonnull(client);
  pmx_options_free(settings);
  check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_TLS);
  ck_assert_uint_ge(stats_of(client).dials_tls, 1);
  ck_assert_uint_eq(stats_of(client).dials_tls, stats_of(client).dial_failures);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- what is sent again, by reason ---- */

static int refuse_first(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  int *left = ud;

  (void)argc, (void)argv, (void)len;
  if ((*left)-- > 0)
    fake_reply_error(conn, "LOADING Redis is loading the dataset in memory");
  else
    fake_reply_simple(conn, "OK");
  return 0;
}

static int drop_first(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  int *left = ud;

  return (*left)-- > 0 ? -1 : answer_values(NULL, conn, argc, argv, len);
}

START_TEST(what_is_sent_again_is_counted_under_its_reason)
{
  int left = 2;
  struct fake *fake = fake_for(&ways[_i], refuse_first, &left);
  pmx_client *refused = open_client(ways[_i].strategy, fake_url(fake), NULL), *lost;

  check_is_ok(pmx_command(refused, "SET k v"));
  ck_assert_uint_eq(stats_of(refused).retries_refused, 2);
  ck_assert_uint_eq(stats_of(refused).retries, 2);
  close_client(refused);
  ck_assert(fake_stop(fake));

  left = 1;
  fake = fake_for(&ways[_i], drop_first, &left);
  lost = open_client(ways[_i].strategy, fake_url(fake), NULL);
  get_value(lost, "k");
  ck_assert_uint_eq(stats_of(lost).retries_lost, 1);
  ck_assert_uint_eq(stats_of(lost).retries, 1);
  close_client(lost);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- how waiting for a connection ends ---- */

struct only_one {
  struct server *server;
  pmx_client *client;
  pmx_lease *lease;
  struct waiting waiting;
};

/* One connection, which a lease has, and a call that waits for it. */
static void one_waits(struct only_one *o, const struct way *way)
{
  o->server = server_start(NULL);
  o->client = open_client(way->strategy, url_for(way, o->server), "pool.max_size", "1",
                          "pool.wait_timeout", "10s", NULL);
  o->lease = take(o->client);
  o->waiting = (struct waiting){.client = o->client, .command = "GET k"};
  o->waiting.call = call_alone(o->client, SOON_MS);
  o->waiting.call.cancel = pmx_cancel_new();
  waiting_start(&o->waiting);
  check_stat(o->client, waiting, 1);
}

static void none_waits(struct only_one *o)
{
  pmx_cancel_free(o->waiting.call.cancel);
  close_client(o->client);
  ck_assert(server_stop(o->server));
}

START_TEST(the_oldest_wait_is_told_while_it_lasts)
{
  struct only_one o;
  uint64_t before;

  one_waits(&o, &ways[_i]);
  before = stats_of(o.client).oldest_wait_ns;
  sleep_ms(20);
  ck_assert_uint_ge(stats_of(o.client).oldest_wait_ns, before + 20000000);
  ck_assert_uint_eq(stats_of(o.client).requests, stats_of(o.client).requests_ended + 1);
  give_back(o.lease);
  check_is_ok(waiting_end(&o.waiting));
  ck_assert_uint_eq(stats_of(o.client).oldest_wait_ns, 0);
  ck_assert_uint_ge(stats_of(o.client).handoffs, 1);
  none_waits(&o);
}
END_TEST

START_TEST(a_wait_that_is_cancelled_and_one_that_a_close_ends_have_numbers)
{
  struct only_one o;

  one_waits(&o, &ways[_i]);
  pmx_cancel_fire(o.waiting.call.cancel);
  check_fails(waiting_end(&o.waiting), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert_uint_eq(stats_of(o.client).wait_canceled, 1);
  ck_assert_uint_eq(stats_of(o.client).wait_timeouts + stats_of(o.client).wait_failed, 0);
  give_back(o.lease);
  none_waits(&o);

  one_waits(&o, &ways[_i]);
  ck_assert_int_eq(pmx_close(o.client, 0), 0);
  check_fails(waiting_end(&o.waiting), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  ck_assert_uint_eq(stats_of(o.client).wait_failed, 1);
  pmx_release(o.lease);
  check_books(o.client, 1);
  pmx_cancel_free(o.waiting.call.cancel);
  pmx_unref(o.client);
  ck_assert(server_stop(o.server));
}
END_TEST

START_TEST(a_connection_found_closed_is_a_requeue)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);

  give_back(take(client));
  server_kill_clients(server);
  check_clients(server, 0);
  give_back(take(client));
  ck_assert_uint_eq(stats_of(client).requeues, 1);
  ck_assert_uint_eq(stats_of(client).closed_stale, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- lanes ---- */

static void call_ten_times(int i, void *client)
{
  char key[32];

  snprintf(key, sizeof key, "key:%d", i);
  for (int n = 0; n < 10; n++)
    check_is_ok(pmx_do(client, NULL, "GET", key, (char *)NULL));
}

START_TEST(each_lane_has_its_own_numbers_and_they_sum_up)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "mux.lanes", "2", NULL);
  pmx_stats s, lane = PMX_STATS_INIT;
  uint64_t requests = 0, in = 0, out = 0;

  run_threads(8, call_ten_times, client);
  s = stats_of(client);
  ck_assert_uint_eq(s.lanes, 2);
  for (unsigned i = 0; i < 2; i++) {
    ck_assert_int_eq(pmx_stats_lane(client, i, &lane), 1);
    ck_assert_uint_gt(lane.requests, 0);
    ck_assert_uint_eq(lane.lanes_live, 1);
    requests += lane.requests;
    in += lane.bytes_in;
    out += lane.bytes_out;
  }
  ck_assert_uint_ge(requests, 80);
  ck_assert_uint_eq(s.requests, requests);
  ck_assert_uint_eq(s.bytes_in, in);
  ck_assert_uint_eq(s.bytes_out, out);
  /* 80 times "*2\r\n$3\r\nGET\r\n$5\r\nkey:N\r\n", and nil in either protocol. */
  ck_assert_uint_ge(out, 80 * 24);
  ck_assert_uint_ge(in, 80 * 3);
  ck_assert_int_eq(pmx_stats_lane(client, 2, &lane), 0);
  ck_assert_uint_eq(lane.requests + lane.live, 0);
  ck_assert_int_eq(pmx_stats_lane(NULL, 0, &lane), 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_lane_that_was_lost_counts_its_new_connection)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);

  check_is_ok(pmx_command(client, "PING"));
  ck_assert_uint_eq(stats_of(client).reconnects, 0);
  server_kill_clients(server);
  check_stat(client, reconnects, 1);
  ck_assert_uint_eq(stats_of(client).lanes_opened, 2);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* What the server has to answer, and since when. */
START_TEST(the_oldest_request_in_flight_is_told_also_when_it_was_given_up)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pmx_call call = call_in(30);

  check_is_ok(pmx_command(client, "PING"));
  ck_assert_uint_eq(stats_of(client).oldest_in_flight_ns, 0);
  server_pause(server);
  check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  ck_assert_uint_ge(stats_of(client).oldest_in_flight_ns, 30000000);
  ck_assert_uint_eq(stats_of(client).lane_given_up, 1);
  ck_assert_uint_eq(stats_of(client).abandoned, 1);
  server_resume(server);
  check_stat(client, oldest_in_flight_ns, 0);
  check_stat(client, late_replies, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- the rest ---- */

START_TEST(an_open_circuit_is_told_while_it_is)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client;
  pmx_call call = call_in(SOON_MS);

  fake_listen(fake, false);
  client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "offline", "fail",
                       "breaker.failures", "2", "reconnect.max_delay", "40ms", NULL);
  for (int i = 0; i < 2; i++)
    pmx_reply_free(pmx_do(client, &call, "GET", "k", (char *)NULL));
  ck_assert_uint_eq(stats_of(client).breaker_open, 1);
  fake_listen(fake, true);
  check_stat(client, breaker_open, 0);
  ck_assert_uint_eq(stats_of(client).breaker_opens, 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* As a program has it that was built with the first header. */
START_TEST(a_shorter_struct_is_filled_no_further_than_it_is)
{
  pmx_client *client = open_client(strategies[_i], "redis://127.0.0.1:1", "connect", "lazy", NULL);
  pmx_stats stats;

  memset(&stats, 0xab, sizeof stats);
  stats.size = offsetof(pmx_stats, closed_surplus);
  pmx_stats_get(client, &stats);
  ck_assert_uint_eq(stats.size, offsetof(pmx_stats, closed_surplus));
  ck_assert_uint_eq(stats.commands + stats.resubscribes, 0);
  ck_assert_uint_eq(stats.closed_surplus, UINT64_C(0xabababababababab));
  close_client(client);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("statistics");

  server_require("statistics");
  ways_brief();
  add_for_ways(tc, every_picture_balances_while_eight_threads_call);
  add_for_ways(tc, what_a_close_ends_is_counted_as_shut_down);
  add_for_ways_with(LEASES, tc, what_is_above_a_limit_is_counted_as_surplus);
  add_for_strategies(tc, a_connect_that_fails_is_counted_under_its_stage);
  add_for_strategies(tc, a_server_that_is_not_trusted_is_a_failure_of_tls);
  add_for_ways(tc, what_is_sent_again_is_counted_under_its_reason);
  add_for_ways_with(LEASES, tc, the_oldest_wait_is_told_while_it_lasts);
  add_for_ways_with(LEASES, tc, a_wait_that_is_cancelled_and_one_that_a_close_ends_have_numbers);
  add_for_ways_with(LEASES, tc, a_connection_found_closed_is_a_requeue);
  add_for_ways_with(SHARES, tc, each_lane_has_its_own_numbers_and_they_sum_up);
  add_for_ways_with(SHARES, tc, a_lane_that_was_lost_counts_its_new_connection);
  add_for_ways_with(SHARES, tc, the_oldest_request_in_flight_is_told_also_when_it_was_given_up);
  add_for_ways(tc, an_open_circuit_is_told_while_it_is);
  add_for_strategies(tc, a_shorter_struct_is_filled_no_further_than_it_is);
  return checks_run("statistics", tc);
}
