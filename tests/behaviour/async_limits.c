/* SPDX-License-Identifier: BSD-3-Clause */
/* async_limits.c - more is begun than can be carried out: what is too much is turned away at once,
 * memory stays within the limits, nobody waits, and afterwards all is as before. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behaviour/calling.h"
#include "behaviour/forking.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

enum { MANY = 100000 };

struct flood {
  _Atomic int told, ok;
  int begun;
};

static void count(void *ud, const pmx_reply *reply)
{
  struct flood *f = ud;

  if (pmx_ok(reply))
    atomic_fetch_add(&f->ok, 1);
  atomic_fetch_add(&f->told, 1);
}

static bool all_told_of(void *flood)
{
  struct flood *f = flood;

  return atomic_load(&f->told) >= f->begun;
}

/* Begins a call; 1: it was taken, 0: there is no room. */
static int begin(pmx_client *client, struct flood *f, const char *format, int i)
{
  pmx_status status = pmx_async(client, NULL, count, f, format, i);

  ck_assert_msg(status == PMX_OK || status == PMX_NOT_RUN, "%d: %s", i, pmx_status_str(status));
  f->begun += status == PMX_OK;
  return status == PMX_OK;
}

/* In bytes; what the process has touched. A sanitizer touches more, and keeps what was freed. */
static int64_t memory(void)
{
  FILE *file = fopen("/proc/self/statm", "r");
  long pages = 0;

  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fscanf(file, "%*d %ld", &pages), 1);
  fclose(file);
  return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static void check_memory(int64_t grown)
{
  if (!SANITIZED)
    ck_assert_int_lt(grown, 32 << 20);
}

START_TEST(a_stopped_server_and_a_hundred_thousand_calls)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), "mux.max_inflight", "5000",
                                   "pool.max_waiters", "5000", "pool.wait_timeout", "60s",
                                   "command_timeout", "60s", (char *)NULL);
  struct flood f = {0};
  int64_t before, grown, started, longest = 0;

  check_is_ok(pmx_command(client, "PING"));
  server_pause(server);
  before = memory();
  for (int i = 0; i < MANY; i++) {
    started = now_us();
    begin(client, &f, "INCR n:%d", i);
    started = now_us() - started;
    longest = started > longest ? started : longest;
  }
  grown = memory() - before;
  printf("%s, io=%s: %d of %d taken, %lld KiB, the longest took %lld us\n", manner->strategy,
         manner->io, f.begun, (int)MANY, (long long)grown / 1024, (long long)longest);
  ck_assert_int_ge(f.begun, 5000);
  ck_assert_int_le(f.begun, 5000 + 64); /* and one for each connection of the pool */
  ck_assert_uint_ge(stats_of(client).queue_full, MANY - 5000 - 64);
  check_memory(grown);
  ck_assert_int_lt(longest, HANG_MS * 1000);
  ck_assert_uint_eq(stats_of(client).not_run, (uint64_t)(MANY - f.begun));
  server_resume(server);
  ck_assert(until(client, all_told_of, &f, SOON_MS));
  ck_assert_int_eq(f.ok, f.begun);
  for (int i = 0; i < 1000; i++)
    ck_assert(begin(client, &f, "INCR n:%d", i));
  ck_assert(until(client, all_told_of, &f, SOON_MS));
  ck_assert_int_eq(f.ok, f.begun);
  close_client(client);
  ck_assert_int_eq(f.told, f.begun);
  ck_assert(server_stop(server));
}
END_TEST

/* Large ones fill the queue by their bytes. */
START_TEST(bytes_that_wait_are_limited_too)
{
  const struct manner *manner = &manners[_i];
  struct server *server;
  pmx_client *client;
  char *value = harness_alloc(256 << 10);
  const char *argv[] = {"SET", "k", value};
  const size_t len[] = {3, 1, 256 << 10};
  struct flood f = {0};
  int64_t before;
  int refused = 0;

  if (!strategy_has(manner->strategy, SHARES)) {
    free(value);
    return;
  }
  server = server_start(NULL);
  client = open_manner(manner, manner_url(manner, server), "mux.max_queued", "8MiB",
                       "command_timeout", "60s", "hybrid.bulk_request", "1GiB", (char *)NULL);
  check_is_ok(pmx_command(client, "PING"));
  server_pause(server);
  before = memory();
  for (int i = 0; i < 200; i++) {
    pmx_status status = pmx_async_argv(client, NULL, count, &f, 3, argv, len);

    f.begun += status == PMX_OK;
    refused += status == PMX_NOT_RUN;
    if (i % 20 == 0)
      pass(client, 1);
  }
  ck_assert_int_eq(f.begun + refused, 200);
  ck_assert_int_gt(refused, 100);
  check_memory(memory() - before);
  server_resume(server);
  ck_assert(until(client, all_told_of, &f, SOON_MS));
  ck_assert_int_eq(f.ok, f.begun);
  close_client(client);
  free(value);
  ck_assert(server_stop(server));
}
END_TEST

/* Futures that nobody takes are the user's, but the calls behind them are limited all the same. */
START_TEST(futures_are_limited_as_callbacks_are)
{
  enum { FUTURES = 300 };
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_manner(manner, manner_url(manner, server), "mux.max_inflight", "100", "pool.max_waiters",
                  "92", "pool.max_size", "8", "pool.wait_timeout", "60s", (char *)NULL);
  pmx_future *futures[FUTURES];
  int full = 0;

  check_is_ok(pmx_command(client, "PING"));
  server_pause(server);
  for (int i = 0; i < FUTURES; i++)
    futures[i] = pmx_submit(client, NULL, "PING");
  for (int i = 0; i < FUTURES; i++)
    full += pmx_future_wait(futures[i], 0);
  ck_assert_int_eq(full, FUTURES - 100);
  server_resume(server);
  for (int i = 0; i < FUTURES; i++) {
    pmx_reply *reply = pmx_future_take(futures[i]);

    if (i < 100)
      check_is_ok(reply);
    else
      check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_QUEUE_FULL);
  }
  check_is_ok(pmx_future_take(pmx_submit(client, NULL, "PING")));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("async_limits");

  manners_brief();
  server_require("async_limits");
  add_for_manners(tc, a_stopped_server_and_a_hundred_thousand_calls);
  add_for_manners(tc, bytes_that_wait_are_limited_too);
  add_for_manners(tc, futures_are_limited_as_callbacks_are);
  return checks_run("async_limits", tc);
}
