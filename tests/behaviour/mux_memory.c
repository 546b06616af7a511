/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_memory.c - each allocation fails in turn, once and for all, while many share a connection:
 * somebody's reply may be lost, and the connection with it, but nobody is given the reply of
 * another, all calls end, and with memory the same client works. Sees base/mem.h. */
#include "base/mem.h"
#include "behaviour/muxing.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/torture.h"

enum { THREADS = 5, CALLS = 3, LARGE = 40 * 1024 };

struct scene {
  struct server *server;
  pmx_client *client;
  char *large;
  atomic_int wrong, values, failures;
  atomic_int dishonest;
  int hits;
  int64_t acknowledged, unknown; /* of INCR, which one thread sends */
};

static void check_honest(struct scene *s, pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);
  pmx_cause cause = pmx_reply_cause(reply);

  if ((status != PMX_NOT_RUN && status != PMX_UNKNOWN && status != PMX_NOMEM) ||
      cause == PMX_CAUSE_PROTOCOL || cause == PMX_CAUSE_TIMEOUT)
    atomic_fetch_add(&s->dishonest, 1);
  atomic_fetch_add(&s->failures, 1);
  pmx_reply_free(reply);
}

static void take_text(struct scene *s, pmx_reply *reply, const char *text, size_t len)
{
  size_t got_len = 0;
  const char *got = pmx_reply_str(reply, &got_len);

  if (!pmx_ok(reply)) {
    check_honest(s, reply);
    return;
  }
  atomic_fetch_add(got && got_len == len && memcmp(got, text, len) == 0 ? &s->values : &s->wrong,
                   1);
  pmx_reply_free(reply);
}

static void echo_large(struct scene *s)
{
  const char *argv[] = {"ECHO", s->large};
  const size_t len[] = {4, LARGE};

  take_text(s, pmx_argv(s->client, NULL, 2, argv, len), s->large, LARGE);
}

static void count(struct scene *s)
{
  pmx_reply *reply = pmx_command(s->client, "INCR n");

  if (pmx_ok(reply)) {
    s->acknowledged++;
    pmx_reply_free(reply);
    return;
  }
  s->unknown += pmx_reply_status(reply) == PMX_UNKNOWN;
  check_honest(s, reply);
}

static void call(int i, void *arg)
{
  struct scene *s = arg;
  char text[48];

  for (int n = 0; n < CALLS; n++) {
    snprintf(text, sizeof text, "text-%d-%d", i, n);
    take_text(s, pmx_do(s->client, NULL, "ECHO", text, (char *)NULL), text, strlen(text));
    if (i == 0)
      count(s);
    if (i == 1)
      echo_large(s);
  }
}

static void run(void *ud)
{
  run_threads(THREADS, call, ud);
}

static void check(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct scene *s = ud;
  int64_t end = now_ms() + SOON_MS;

  s->hits += hit;
  while (pmx_reply_finish(pmx_command(s->client, "PING")) != PMX_OK)
    ck_assert_msg(now_ms() < end, "the client does not recover from %llu%s", (unsigned long long)n,
                  sticky ? " and all later ones" : "");
  ck_assert_int_eq(atomic_load(&s->wrong), 0);
  ck_assert_int_eq(atomic_load(&s->dishonest), 0);
  ck_assert_uint_eq(outstanding(s->client), 0);
  check_books(s->client, 0);
  if (n % 4 == 0)
    server_kill_clients(s->server); /* the next run connects */
}

START_TEST(no_failed_allocation_gives_anybody_the_reply_of_another)
{
  struct scene s = {.server = server_start(NULL), .large = harness_alloc(LARGE)};
  struct guard *guard = guard_start("mux_memory", soak() ? 300000 : 55000);
  uint64_t runs;
  int64_t value;

  memset(s.large, 'l', LARGE);
  s.client = open_client(ways[_i].strategy, url_for(&ways[_i], s.server), "offline", "fail",
                         "reconnect.min_delay", "1ms", "reconnect.max_delay", "2ms",
                         "command_timeout", "30s", NULL);
  runs = torture(run, check, &s);
  value = server_integer(s.server, "INCRBY", "n", "0", NULL);
  printf("%llu runs, %d with a failure: %d values, %d failures, %lld unknown\n",
         (unsigned long long)runs, s.hits, atomic_load(&s.values), atomic_load(&s.failures),
         (long long)s.unknown);
  ck_assert_int_gt(s.hits, 20);
  ck_assert_int_gt(atomic_load(&s.failures), 20);
  ck_assert_int_ge(value, s.acknowledged);
  ck_assert_int_le(value, s.acknowledged + s.unknown);
  close_client(s.client);
  ck_assert(server_stop(s.server));
  free(s.large);
  guard_stop(guard);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_memory");

  server_require("mux_memory");
  tcase_set_timeout(tc, soak() ? 300 : 60);
  add_for_ways_with(SHARES, tc, no_failed_allocation_gives_anybody_the_reply_of_another);
  return checks_run("mux_memory", tc);
}
