/* SPDX-License-Identifier: BSD-3-Clause */
/* once.c - at most once (promise P3), while the server keeps hanging up: what was acknowledged was
 * counted, what may have run is said to be UNKNOWN, and nothing runs twice. Each thread counts on a
 * key of its own, so that not only the sum but each single answer can be checked. */
#include <check.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "behaviour.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { THREADS = 8, CONNECTIONS = 4, KILL_EVERY_MS = 50, SHORT_MS = 800, LONG_MS = 20000 };

struct counter {
  char key[32];
  struct rng rng;
  int64_t acknowledged, unknown, not_run, refused;
  int64_t wrong;          /* answers that cannot be */
  int64_t got, low, high; /* the first of them, and what it had to be between */
};

struct once {
  struct server *server;
  pmx_client *client;
  struct counter counters[THREADS];
  unsigned kills;
  int64_t killed;
  atomic_bool stop;
};

/* Between what was acknowledged and that with all that may have run. */
static void check_between(struct counter *c, int64_t got, int64_t low, int64_t high)
{
  if (got >= low && got <= high)
    return;
  if (c->wrong++ == 0) {
    c->got = got;
    c->low = low;
    c->high = high;
  }
}

/* Some calls have so little time that they end in the queue or on the wire. */
static pmx_call some_call(struct counter *c)
{
  pmx_call call = PMX_CALL_INIT;

  switch (rng_below(&c->rng, 8)) {
  case 0:
    call.timeout_ms = (int64_t)rng_below(&c->rng, 3);
    break;
  case 1:
    call.flags = PMX_CALL_NO_RETRY;
    break;
  default:
    break;
  }
  return call;
}

static void count_once(struct once *o, struct counter *c)
{
  pmx_call call = some_call(c);
  pmx_reply *reply = pmx_do(o->client, &call, "INCR", c->key, (char *)NULL);

  switch (pmx_reply_status(reply)) {
  case PMX_OK:
    c->acknowledged++;
    check_between(c, pmx_reply_int(reply, NULL), c->acknowledged, c->acknowledged + c->unknown);
    break;
  case PMX_UNKNOWN:
    c->unknown++;
    break;
  case PMX_NOT_RUN:
    c->not_run++;
    break;
  case PMX_SERVER_ERROR:
  case PMX_INVALID:
  case PMX_NOMEM:
    c->refused++;
    break;
  }
  pmx_reply_free(reply);
}

static void look(struct once *o, struct counter *c)
{
  pmx_reply *reply = pmx_do(o->client, NULL, "GET", c->key, (char *)NULL);
  int ok = 0;
  int64_t value = pmx_reply_int(reply, &ok);

  if (ok)
    check_between(c, value, c->acknowledged, c->acknowledged + c->unknown);
  pmx_reply_free(reply);
}

static void hang_up(struct once *o)
{
  int64_t end = now_ms() + (soak() ? LONG_MS : SHORT_MS);

  while (now_ms() < end) {
    sleep_ms(KILL_EVERY_MS);
    o->killed += server_kill_clients(o->server);
    o->kills++;
  }
  atomic_store(&o->stop, true);
}

static void run(int i, void *arg)
{
  struct once *o = arg;
  struct counter *c = &o->counters[i];

  if (i == THREADS) {
    hang_up(o);
    return;
  }
  while (!atomic_load(&o->stop)) {
    count_once(o, c);
    if (rng_below(&c->rng, 16) == 0)
      look(o, c);
  }
}

static struct once *once_new(const struct way *way)
{
  struct once *o = harness_alloc(sizeof *o);
  uint64_t seed = test_seed("once");
  char size[16];

  snprintf(size, sizeof size, "%d", (int)CONNECTIONS);
  o->server = server_start(NULL);
  ck_assert_ptr_nonnull(o->server);
  o->client =
      open_client(way->strategy, url_for(way, o->server), "pool.max_size", size, (char *)NULL);
  for (int i = 0; i < THREADS; i++) {
    snprintf(o->counters[i].key, sizeof o->counters[i].key, "once:%d", i);
    rng_seed(&o->counters[i].rng, seed + (uint64_t)i);
  }
  return o;
}

static int64_t final_value(struct once *o, const struct counter *c)
{
  pmx_call call = call_flags(PMX_CALL_RETRY_SAFE, SOON_MS); /* the last kill may just have been */
  pmx_reply *reply = pmx_do(o->client, &call, "INCRBY", c->key, "0", (char *)NULL);
  int ok = 0;
  int64_t value = pmx_reply_int(reply, &ok);

  ck_assert_msg(ok, "afterwards: %s", pmx_reply_error(reply));
  pmx_reply_free(reply);
  return value;
}

static void check_and_print(struct once *o, const struct way *way)
{
  struct counter sum = {0};
  int64_t counted = 0;

  for (int i = 0; i < THREADS; i++) {
    struct counter *c = &o->counters[i];
    int64_t value = final_value(o, c);

    counted += value;
    sum.acknowledged += c->acknowledged;
    sum.unknown += c->unknown;
    sum.not_run += c->not_run;
    ck_assert_msg(c->wrong == 0, "%s was %" PRId64 ", not %" PRId64 " to %" PRId64, c->key, c->got,
                  c->low, c->high);
    ck_assert_int_eq(c->refused, 0);
    ck_assert_int_ge(value, c->acknowledged);
    ck_assert_int_le(value, c->acknowledged + c->unknown);
  }
  printf("%s over %s: counted %" PRId64 ": %" PRId64 " acknowledged and %" PRId64 " of %" PRId64
         " unknown; %" PRId64 " not run; %" PRId64 " connections killed in %u goes\n",
         way->strategy, over_name(way->over), counted, sum.acknowledged,
         counted - sum.acknowledged, sum.unknown, sum.not_run, o->killed, o->kills);
  fflush(stdout);
  ck_assert_int_gt(sum.acknowledged, 0);
  ck_assert_int_gt(sum.not_run, 0);
  ck_assert_int_gt(o->killed, 0);
}

START_TEST(acknowledged_is_counted_and_nothing_is_counted_twice)
{
  const struct way *way = &ways[_i];
  struct once *o = once_new(way);

  run_threads(THREADS + 1, run, o);
  check_and_print(o, way);
  close_client(o->client);
  ck_assert(server_stop(o->server));
  free(o);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("once");

  server_require("once");
  tcase_set_timeout(tc, soak() ? 120 : 60);
  add_for_ways(tc, acknowledged_is_counted_and_nothing_is_counted_twice);
  return checks_run("once", tc);
}
