/* SPDX-License-Identifier: BSD-3-Clause */
/* deadlines.c - one deadline covers everything a call waits for: name lookup, TCP, every step of
 * the login, the reply; and which of the times that were named counts. The C library's getaddrinfo
 * is replaced, so that a lookup can hang. */
#include <check.h>
#include <poolmux/poolmux.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/sock.h"
#include "harness/util.h"

enum { SHORT_MS = 25, LATE_MS = 60, LONG_MS = 20000 };

static atomic_bool dns_hangs;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
  (void)name, (void)service, (void)hints;
  while (atomic_load(&dns_hangs))
    sleep_ms(1);
  *ret = NULL;
  return EAI_NONAME;
}

/* ---- which time counts ---- */

/* GET late is answered after LATE_MS, GET never not at all. */
static int answer(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc == 2 && strcmp(argv[1], "never") == 0)
    return 0;
  if (argc == 2 && strcmp(argv[1], "late") == 0)
    fake_delay(conn, LATE_MS);
  return answer_values(ud, conn, argc, argv, len);
}

struct times {
  const char *command_timeout;
  int64_t timeout_ms;
  int64_t until_ms; /* deadline_ms is now + this; PMX_FOREVER and PMX_DEFAULT as they are */
  int64_t ends_ms;  /* after this; < 0: with the late answer */
};

static const struct times all_times[] = {
    {"25ms", PMX_DEFAULT, PMX_FOREVER, 25},
    {"25ms", PMX_DEFAULT, PMX_DEFAULT, 25},
    {"25ms", PMX_FOREVER, PMX_FOREVER, -1},
    {"25ms", LONG_MS, PMX_FOREVER, -1},
    {"forever", PMX_DEFAULT, PMX_FOREVER, -1},
    {"20s", 25, PMX_FOREVER, 25},
    {"20s", 25, LONG_MS, 25},
    {"20s", LONG_MS, 25, 25},
    {"20s", PMX_DEFAULT, 25, 25},
    {"25ms", PMX_DEFAULT, LONG_MS, 25},
    {"20s", PMX_FOREVER, 25, 25},
};
enum { TIMES = sizeof all_times / sizeof all_times[0] };

/* alone: on a connection of its own. */
static void try_times(const struct way *way, const struct times *t, bool alone)
{
  struct fake *fake = fake_for(way, answer, NULL);
  pmx_client *client = open_client(way->strategy, fake_url(fake), "pool.max_size", "1",
                                   "command_timeout", t->command_timeout, (char *)NULL);
  pmx_call call = alone ? call_alone(client, t->timeout_ms) : call_in(t->timeout_ms);
  pmx_call unhurried = call_in(SOON_MS);
  int64_t began;
  pmx_reply *reply;

  if (alone) /* so that no time is spent on connecting */
    pmx_release(pmx_acquire(client, &unhurried, NULL));
  began = pmx_now_ms();
  call.deadline_ms =
      t->until_ms == PMX_FOREVER || t->until_ms == PMX_DEFAULT ? t->until_ms : began + t->until_ms;
  reply = pmx_do(client, &call, "GET", t->ends_ms < 0 ? "late" : "never", (char *)NULL);
  if (t->ends_ms < 0) {
    check_value(reply, "late");
    ck_assert_int_ge(pmx_now_ms() - began, LATE_MS - 1);
  } else {
    check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
    ck_assert_int_ge(pmx_now_ms() - began, t->ends_ms - 1);
    check_on_time("call", began + t->ends_ms);
  }
  /* Where connections are shared, the server still owes the answer on this one. */
  if (alone) {
    call = call_alone(client, SOON_MS);
    check_value(pmx_do(client, &call, "GET", "after", (char *)NULL), "after");
  }
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(the_earlier_of_timeout_and_deadline_counts)
{
  for (int i = 0; i < TIMES; i++) {
    if (strategy_has(ways[_i].strategy, SHARES))
      try_times(&ways[_i], &all_times[i], false);
    if (strategy_has(ways[_i].strategy, LEASES))
      try_times(&ways[_i], &all_times[i], true);
  }
}
END_TEST

START_TEST(without_time_nothing_is_sent)
{
  static const int64_t none[] = {0, -1, -1000, INT64_MIN + 1};
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), (char *)NULL);
  pmx_lease *lease = strategy_has(ways[_i].strategy, LEASES) ? take(client) : NULL;
  size_t seen = fake_counts(fake).commands;

  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    pmx_call call = call_in(none[i]);

    check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
    if (lease)
      check_fails(pmx_lease_command(lease, &call, "GET k"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
    call.flags = flags_alone(client);
    check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
    call = call_in(PMX_DEFAULT);
    call.deadline_ms = none[i] == INT64_MIN + 1 ? 0 : pmx_now_ms() + none[i];
    check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  }
  ck_assert_uint_eq(fake_counts(fake).commands, seen);
  if (lease)
    give_back(lease);
  ck_assert_uint_eq(stats_of(client).closed, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(acquire_without_time_takes_what_is_idle_and_nothing_else)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "pool.max_size", "1", (char *)NULL);
  pmx_call call = call_in(0);
  pmx_reply *failure;
  pmx_lease *lease;

  if (lane_beside(client)) { /* pmx_open has made that only */
    ck_assert_uint_eq(stats_of(client).idle, 0);
    give_back(take(client));
  }
  lease = pmx_acquire(client, &call, &failure);
  ck_assert_msg(lease != NULL, "%s", pmx_reply_error(failure));
  ck_assert_ptr_null(pmx_acquire(client, &call, &failure));
  check_fails(failure, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  give_back(lease);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(a_lease_command_ends_by_its_deadline)
{
  struct fake *fake = fake_for(&ways[_i], answer, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), (char *)NULL);
  pmx_lease *lease = take(client);
  pmx_call call = call_in(SHORT_MS);
  int64_t limit = pmx_now_ms() + SHORT_MS;

  check_fails(pmx_lease_command(lease, &call, "GET never"), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_on_time("lease command", limit);
  give_back(lease);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- what the deadline covers before anything is sent ---- */

static void check_acquire_ends(pmx_client *client, const pmx_call *call)
{
  int64_t limit = pmx_now_ms() + SHORT_MS;
  pmx_reply *failure;

  ck_assert_ptr_null(pmx_acquire(client, call, &failure));
  check_fails(failure, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  check_on_time("acquire", limit);
}

static void check_call_ends(pmx_client *client, const pmx_call *call)
{
  int64_t limit = pmx_now_ms() + SHORT_MS;

  check_fails(pmx_do(client, call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  check_on_time("call", limit);
}

/* A call with a deadline, an acquire with one, and pmx_open with connect_timeout all end. */
static void never_connects(const char *strategy, const char *url, const char *password,
                           pmx_cause open_cause)
{
  pmx_client *client =
      open_client(strategy, url, "connect", "lazy", "password", password, "db", "3", "client_name",
                  "me", "connect_timeout", "20s", "pool.wait_timeout", "forever", (char *)NULL);
  pmx_options *options = options_for(strategy);
  pmx_call call = call_in(SHORT_MS);
  int64_t limit;
  pmx_reply *failure;

  check_call_ends(client, &call);
  if (strategy_has(strategy, LEASES))
    check_acquire_ends(client, &call);
  call.flags = flags_alone(client);
  if (call.flags)
    check_call_ends(client, &call);
  limit = pmx_now_ms();
  pmx_close(client, 0);
  check_on_time("close", limit);
  pmx_unref(client);

  pmx_options_set(options, "connect_timeout", "25ms");
  pmx_options_set(options, "password", password);
  pmx_options_set(options, "db", "3");
  pmx_options_set(options, "client_name", "me");
  limit = pmx_now_ms() + SHORT_MS;
  trust_for(options, url);
  ck_assert_ptr_null(pmx_open(url, options, &failure));
  check_on_time("open", limit);
  ck_assert_int_eq(pmx_reply_status(failure), PMX_NOT_RUN);
  ck_assert_msg(pmx_reply_cause(failure) == open_cause ||
                    pmx_reply_cause(failure) == PMX_CAUSE_TIMEOUT,
                "%s: %s", pmx_cause_str(pmx_reply_cause(failure)), pmx_reply_error(failure));
  ck_assert_ptr_null(password[0] ? strstr(pmx_reply_error(failure), password) : NULL);
  pmx_reply_free(failure);
  pmx_options_free(options);
}

START_TEST(a_name_lookup_that_hangs)
{
  atomic_store(&dns_hangs, true);
  never_connects(strategies[_i], "redis://name.invalid:6380", "", PMX_CAUSE_DNS);
  atomic_store(&dns_hangs, false);
}
END_TEST

/* The kernel drops the SYN of whoever comes when the queue of a listener is full. */
enum { FILLERS = 8 };

START_TEST(a_tcp_connect_that_nobody_takes)
{
  struct listener listener;
  int fillers[FILLERS];
  char url[SOCK_URL_SIZE];

  listener_open_tcp(&listener);
  ck_assert_int_eq(listen(listener.fd, 0), 0);
  for (int i = 0; i < FILLERS; i++)
    fillers[i] = sock_connect_start(&listener.at);
  sleep_ms(10);
  sock_url(&listener.at, false, url);
  never_connects(strategies[_i], url, "", PMX_CAUSE_CONNECT);
  for (int i = 0; i < FILLERS; i++)
    close(fillers[i]);
  listener_close(&listener);
}
END_TEST

/* ---- a login that stops at any step ---- */

struct stalling {
  atomic_int answers; /* commands of each connection that are answered */
  _Atomic size_t conn;
  atomic_int said;
};

static int answer_some(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct stalling *s = ud;
  size_t index = fake_conn_index(conn);

  if (atomic_exchange(&s->conn, index) != index)
    atomic_store(&s->said, 0);
  if (atomic_fetch_add(&s->said, 1) >= atomic_load(&s->answers))
    return 0;
  return fake_handshake(conn, argc, argv, len);
}

/* AUTH or HELLO, SELECT, SETNAME, twice SETINFO, PING. */
enum { STEPS = 6 };

START_TEST(a_login_that_stalls_at_any_step)
{
  for (int step = 0; step < STEPS; step++) {
    struct stalling s = {.answers = step, .conn = SIZE_MAX};
    struct fake_options options = {.over = ways[_i].over,
                                   .handler = answer_some,
                                   .ud = &s,
                                   .manual = true,
                                   .password = "s3cr3t"};
    struct fake *fake = fake_start(&options);

    /* Once more where a busy machine let nobody get that far in the time there is. */
    for (int i = 0; i < 50 && fake_counts(fake).commands <= (size_t)step; i++)
      never_connects(ways[_i].strategy, fake_url(fake), "s3cr3t", PMX_CAUSE_CONNECT);
    ck_assert_uint_gt(fake_counts(fake).commands, (size_t)step);
    ck_assert(fake_stop(fake));
  }
}
END_TEST

START_TEST(a_login_answered_to_the_end_works)
{
  struct stalling s = {.answers = STEPS, .conn = SIZE_MAX};
  struct fake_options options = {.over = ways[_i].over,
                                 .handler = answer_some,
                                 .ud = &s,
                                 .manual = true,
                                 .password = "s3cr3t"};
  struct fake *fake = fake_start(&options);

  close_client(open_client(ways[_i].strategy, fake_url(fake), "password", "s3cr3t", "db", "3",
                           "client_name", "me", "connect_timeout", "5s", (char *)NULL));
  ck_assert_uint_eq(fake_counts(fake).commands, STEPS); /* what STEPS is */
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("deadlines");

  add_for_ways(tc, the_earlier_of_timeout_and_deadline_counts);
  add_for_ways(tc, without_time_nothing_is_sent);
  add_for_ways_with(LEASES, tc, acquire_without_time_takes_what_is_idle_and_nothing_else);
  add_for_ways_with(LEASES, tc, a_lease_command_ends_by_its_deadline);
  add_for_strategies(tc, a_name_lookup_that_hangs);
  add_for_strategies(tc, a_tcp_connect_that_nobody_takes);
  add_for_ways(tc, a_login_that_stalls_at_any_step);
  add_for_ways(tc, a_login_answered_to_the_end_works);
  return checks_run("deadlines", tc);
}
