/* SPDX-License-Identifier: BSD-3-Clause */
/* hybrid_places.c - batches, transactions and commands for administrators on a real server with
 * strategy=hybrid: where each of them goes, and what its caller gets. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/batching.h"
#include "harness/checks.h"
#include "harness/util.h"

static struct server *server;
static pmx_client *client;

static void begin(void)
{
  server = server_start(NULL);
  ck_assert_ptr_nonnull(server);
  client = open_client("hybrid", server_url(server, SERVER_TCP), "pool.max_size", "4", NULL);
}

static void end(void)
{
  close_client(client);
  ck_assert(server_stop(server));
}

/* ---- what the counters say a call has done ---- */

enum { LANE, BLOCKING, PARKING, LARGE, BATCH, CONTROL, COUNTERS };

static void read_counters(uint64_t ret[COUNTERS])
{
  pmx_stats s = stats_of(client);

  ret[LANE] = s.lane_requests;
  ret[BLOCKING] = s.routed_blocking;
  ret[PARKING] = s.routed_parking;
  ret[LARGE] = s.routed_large;
  ret[BATCH] = s.routed_batch;
  ret[CONTROL] = s.routed_control;
}

struct before {
  uint64_t counters[COUNTERS], borrows;
};

static struct before before(void)
{
  struct before b;

  read_counters(b.counters);
  b.borrows = stats_of(client).borrows;
  return b;
}

/* One call has gone there, and nothing anywhere else. */
static void check_went(const struct before *b, int counter, const char *what)
{
  uint64_t now[COUNTERS];
  uint64_t borrowed = counter != LANE && counter != CONTROL;

  read_counters(now);
  for (int i = 0; i < COUNTERS; i++)
    ck_assert_msg(now[i] == b->counters[i] + (i == counter),
                  "%s: counter %d went from %llu to %llu", what, i,
                  (unsigned long long)b->counters[i], (unsigned long long)now[i]);
  ck_assert_uint_eq(stats_of(client).borrows, b->borrows + borrowed);
}

/* The reply is the caller's. */
static pmx_reply *call_goes(int counter, const char *command)
{
  struct before b = before();
  pmx_reply *reply = call_words(client, command);

  check_went(&b, counter, command);
  return reply;
}

static pmx_reply *batch_goes(int counter, pmx_batch *batch, int atomic, const char *what)
{
  struct before b = before();
  pmx_reply *reply = batch_run(batch, atomic, NULL);

  check_went(&b, counter, what);
  return reply;
}

/* ---- batches ---- */

START_TEST(a_batch_that_waits_leaves_the_lane)
{
  pmx_reply *array = batch_goes(BLOCKING, batch_of(client, "SET k v; WAIT 0 1"), 0, "WAIT");

  check_array(array, 2);
  check_element_int(array, 1, 0);
  pmx_reply_free(array);
  array = batch_goes(BLOCKING, batch_of(client, "RPUSH q x; BLPOP q 0"), 0, "BLPOP");
  check_array(array, 2);
  pmx_reply_free(array);
  array = batch_goes(BLOCKING, batch_of(client, "BLPOP q 0.01; GET k"), 0, "BLPOP without");
  check_array(array, 2);
  check_element_text(array, 1, "v");
  pmx_reply_free(array);
}
END_TEST

static pmx_batch *many(int n)
{
  pmx_batch *batch = pmx_batch_new(client);

  for (int i = 0; i < n; i++)
    batch_add_words(batch, "INCR n");
  return batch;
}

/* hybrid.batch_commands is 1000; MULTI and EXEC count. */
START_TEST(a_batch_of_many_commands_leaves_the_lane)
{
  static const struct {
    int n, atomic, counter;
  } cases[] = {{1000, 0, LANE}, {1001, 0, BATCH}, {998, 1, LANE}, {999, 1, BATCH}};
  int64_t sum = 0;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmx_reply *array = batch_goes(cases[i].counter, many(cases[i].n), cases[i].atomic, "many");

    check_array(array, (size_t)cases[i].n);
    sum += cases[i].n;
    check_element_int(array, (size_t)cases[i].n - 1, sum);
    pmx_reply_free(array);
  }
}
END_TEST

static pmx_batch *of_size(size_t size)
{
  pmx_batch *batch = pmx_batch_new(client);
  size_t half = size / 2, around = strlen("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$123456\r\n\r\n");

  batch_add_big(batch, "k", half - around);
  batch_add_big(batch, "k", size - half - around);
  return batch;
}

/* hybrid.batch_size is 256 KiB, and no single command of it is bulk. */
START_TEST(a_batch_of_many_bytes_leaves_the_lane)
{
  check_is_ok(batch_goes(LANE, of_size(256 * 1024), 0, "256 KiB"));
  check_is_ok(batch_goes(BATCH, of_size(256 * 1024 + 1), 0, "256 KiB and a byte"));
  check_is_ok(batch_goes(BATCH, of_size(256 * 1024), 1, "256 KiB and MULTI and EXEC"));
}
END_TEST

START_TEST(an_atomic_batch_stays_on_the_lane)
{
  pmx_reply *array = batch_goes(LANE, batch_of(client, "SET k v; INCR n; GET k"), 1, "atomic");

  check_array(array, 3);
  check_element_text(array, 2, "v");
  pmx_reply_free(array);
  /* Inside MULTI nothing waits. */
  array = batch_goes(LANE, batch_of(client, "BLPOP none 0; INCR n"), 1, "atomic BLPOP");
  check_array(array, 2);
  check_element_int(array, 1, 2);
  pmx_reply_free(array);
  check_int(call_goes(LANE, "INCR n"), 3); /* nobody was left inside MULTI */
}
END_TEST

/* ---- commands for administrators ---- */

static void check_code(pmx_reply *reply, const char *code)
{
  ck_assert_int_eq(pmx_reply_status(reply), PMX_SERVER_ERROR);
  ck_assert_str_eq(pmx_reply_error_code(reply), code);
  pmx_reply_free(reply);
}

START_TEST(what_ends_the_waits_of_others_has_the_control_connection)
{
  check_stat(client, control_live, 0);
  check_code(call_goes(CONTROL, "SCRIPT KILL"), "NOTBUSY");
  check_code(call_goes(CONTROL, "FUNCTION KILL"), "NOTBUSY");
  check_code(call_goes(CONTROL, "SHUTDOWN ABORT"), "ERR");
  check_is_ok(call_goes(CONTROL, "CLIENT UNPAUSE"));
  check_int(call_goes(CONTROL, "CLIENT UNBLOCK 1000000"), 0);
  check_int(call_goes(CONTROL, "CLIENT KILL ID 1000000"), 0);
  ck_assert_uint_eq(stats_of(client).routed_control, 6);
  ck_assert_uint_eq(stats_of(client).control_opened, 1);
  ck_assert_uint_eq(stats_of(client).control_live, 1);
}
END_TEST

START_TEST(flushall_and_command_docs_leave_the_lane)
{
  int64_t id = client_id(client);
  pmx_reply *reply;

  check_is_ok(call_goes(LANE, "SET k v"));
  check_is_ok(call_goes(PARKING, "FLUSHALL"));
  ck_assert_int_eq(server_integer(server, "DBSIZE", NULL), 0);
  check_is_ok(call_goes(LANE, "SET k v"));
  check_is_ok(call_goes(LANE, "FLUSHALL ASYNC"));
  ck_assert_int_eq(server_integer(server, "DBSIZE", NULL), 0);
  check_is_ok(call_goes(LARGE, "COMMAND DOCS GET"));
  reply = call_goes(LARGE, "COMMAND DOCS");
  if (reads_resp3()) {
    ck_assert_uint_gt(pmx_reply_len(reply), 200);
    check_is_ok(reply);
  } else { /* too deep for such a hiredis; it costs a connection, but not the lane */
    check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_TOO_LARGE);
    check_stat(client, closed, 1);
  }
  ck_assert_int_eq(client_id(client), id);
  ck_assert_uint_eq(stats_of(client).lanes_closed, 0);
}
END_TEST

static void migrate_to(struct server *other, char *buf, size_t size)
{
  const char *url = server_url(other, SERVER_TCP);
  const char *port = strrchr(url, ':');

  ck_assert_ptr_nonnull(port);
  snprintf(buf, size, "MIGRATE 127.0.0.1 %d k 0 2000", atoi(port + 1));
}

START_TEST(migrate_leaves_the_lane)
{
  struct server *other = server_start(NULL);
  char command[100];

  migrate_to(other, command, sizeof command);
  check_is_ok(call_words(client, "SET k v"));
  check_is_ok(call_goes(BLOCKING, command));
  ck_assert_int_eq(server_integer(server, "EXISTS", "k", NULL), 0);
  ck_assert_int_eq(server_integer(other, "EXISTS", "k", NULL), 1);
  ck_assert(server_stop(other));
  check_is_ok(call_words(client, "SET k v"));
  check_code(call_goes(BLOCKING, command), "IOERR");
  ck_assert_int_eq(server_integer(server, "EXISTS", "k", NULL), 1);
}
END_TEST

static bool has_ended(void *arg)
{
  return !server_running(arg);
}

/* A server that has done it says nothing, and is gone. Sent again it would end the next one. */
START_TEST(shutdown_that_succeeds_ends_unknown_and_is_sent_once)
{
  pmx_client *c = open_client(strategies[_i], server_url(server, SERVER_TCP), NULL);
  pmx_reply *reply = call_words(c, "SHUTDOWN NOSAVE");

  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_LOST);
  ck_assert_uint_eq(stats_of(c).routed_parking, lane_beside(c));
  ck_assert(wait_for(has_ended, server, SOON_MS));
  ck_assert(server_restart(server));
  check_is_ok(call_words(c, "SET k v"));
  ck_assert_uint_eq(stats_of(c).retries, 0);
  ck_assert(server_running(server));
  close_client(c);
}
END_TEST

/* ---- transactions that meet, while others write on the lane ---- */

enum { MEETING = 2, WRITERS = 50, ROUNDS = 20 };

struct meeting {
  pthread_barrier_t together;
  atomic_int meeting; /* threads that still do */
  _Atomic uint64_t runs, writes;
};

struct visit {
  struct meeting *m;
  int runs;
};

/* In the first run of each, both have read before either goes on. */
static int add_one(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  struct visit *v = ud;
  pmx_reply *reply = pmx_lease_command(lease, NULL, "GET n");
  int64_t value = pmx_reply_int(reply, NULL);
  int ok = pmx_ok(reply);

  pmx_reply_free(reply);
  if (v->runs++ == 0)
    pthread_barrier_wait(&v->m->together);
  pmx_batch_add(batch, "SET n %lld", (long long)value + 1);
  return ok ? 0 : -1;
}

static void meet_or_write(int thread, void *arg)
{
  static const char *const keys[] = {"n"};
  struct meeting *m = arg;
  char line[64];

  for (int i = 0; thread < MEETING && i < ROUNDS; i++) {
    struct visit v = {m, 0};
    pmx_call call = call_in(60000);
    pmx_reply *array = pmx_transaction(client, &call, 1, keys, NULL, 0, add_one, &v);

    check_array(array, 1);
    pmx_reply_free(array);
    atomic_fetch_add(&m->runs, (uint64_t)v.runs);
    pthread_barrier_wait(&m->together); /* the next round begins when both have ended this one */
  }
  if (thread < MEETING)
    atomic_fetch_sub(&m->meeting, 1);
  snprintf(line, sizeof line, "INCR other-%d", thread);
  while (thread >= MEETING && atomic_load(&m->meeting) > 0) {
    check_is_ok(call_words(client, line));
    atomic_fetch_add(&m->writes, 1);
  }
}

START_TEST(transactions_that_meet_are_noticed_beside_a_busy_lane)
{
  struct meeting m = {.meeting = MEETING};
  uint64_t lane = stats_of(client).lane_requests, written = 0;
  char key[32];

  pthread_barrier_init(&m.together, NULL, MEETING);
  run_threads(MEETING + WRITERS, meet_or_write, &m);
  pthread_barrier_destroy(&m.together);
  ck_assert_int_eq(server_value(server, "n"), MEETING * ROUNDS);
  ck_assert_uint_eq(m.runs, (MEETING + 1) * ROUNDS); /* one of the two had to begin again */
  ck_assert_uint_eq(stats_of(client).retries, ROUNDS);
  for (int i = MEETING; i < MEETING + WRITERS; i++) {
    snprintf(key, sizeof key, "other-%d", i);
    written += (uint64_t)server_value(server, key);
  }
  ck_assert_uint_eq(written, m.writes);
  ck_assert_uint_eq(stats_of(client).lane_requests, lane + written);
  check_stat(client, in_use, 0);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("hybrid_places");

  server_require("hybrid_places");
  tcase_add_checked_fixture(tc, begin, end);
  tcase_add_test(tc, a_batch_that_waits_leaves_the_lane);
  tcase_add_test(tc, a_batch_of_many_commands_leaves_the_lane);
  tcase_add_test(tc, a_batch_of_many_bytes_leaves_the_lane);
  tcase_add_test(tc, an_atomic_batch_stays_on_the_lane);
  tcase_add_test(tc, what_ends_the_waits_of_others_has_the_control_connection);
  tcase_add_test(tc, flushall_and_command_docs_leave_the_lane);
  tcase_add_test(tc, migrate_leaves_the_lane);
  add_for_strategies(tc, shutdown_that_succeeds_ends_unknown_and_is_sent_once);
  tcase_add_test(tc, transactions_that_meet_are_noticed_beside_a_busy_lane);
  return checks_run("hybrid_places", tc);
}
