/* SPDX-License-Identifier: BSD-3-Clause */
/* stress.c - everything at once: 64 threads with random commands, leases, deadlines and cancels on
 * a small pool, while connections are killed and the server is stopped, killed and started again.
 * What must hold all the same: a reply is the caller's own, a call ends once and in time, the
 * counters add up, and nothing is left behind. */
#include <check.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "behaviour.h"
#include "harness/balance.h"
#include "harness/checks.h"
#include "stressing.h"

enum { THREADS = 64, CONNECTIONS = 8, SHORT_MS = 700, LONG_MS = 30000 };

struct stress {
  struct server *server;
  pmx_client *client;
  struct worker workers[THREADS];
  struct faults faults;
  atomic_bool stop;
  uint64_t seed;
  unsigned kills, restarts, pauses, cancels;
  int64_t machine_latest_us; /* the end of a sleep after its time: what the machine itself does */
};

/* ---- the threads ---- */

static void work(struct stress *s, struct worker *w)
{
  while (!atomic_load(&s->stop))
    stress_act(w);
}

static int64_t larger(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static void cancel_some(struct stress *s)
{
  struct rng rng;
  int64_t begun;

  rng_seed(&rng, s->seed + 1000);
  while (!atomic_load(&s->stop)) {
    s->cancels += (unsigned)stress_cancel(&s->workers[rng_below(&rng, THREADS)]);
    if (rng_below(&rng, 4) != 0)
      continue;
    begun = now_us();
    sleep_ms(1);
    s->machine_latest_us = larger(s->machine_latest_us, now_us() - begun - 1000);
  }
}

/* At every moment, not only at the end. */
static void check_sums(struct stress *s)
{
  pmx_stats st = stats_of(s->client);
  char what[128];

  if (balance_broken(&st, what, sizeof what))
    stress_wrong(&s->faults, "%s", what);
  if (st.live - st.lanes_live > CONNECTIONS ||
      st.live + st.connecting > CONNECTIONS + lane_beside(s->client))
    stress_wrong(&s->faults, "%" PRIu64 " connections and %" PRIu64 " being made, of %d", st.live,
                 st.connecting, (int)CONNECTIONS);
}

static void restart(struct stress *s, int64_t away_ms)
{
  server_kill(s->server);
  sleep_ms(away_ms);
  if (!server_restart(s->server))
    stress_wrong(&s->faults, "the server did not come back");
  s->restarts++;
}

/* Replies that are late, or cut off in the middle. */
static void hold_up(struct stress *s, int64_t ms)
{
  server_pause(s->server);
  sleep_ms(ms);
  server_resume(s->server);
  s->pauses++;
}

static void make_trouble(struct stress *s)
{
  int64_t end = now_ms() + (soak() ? LONG_MS : SHORT_MS);
  struct rng rng;

  rng_seed(&rng, s->seed + 2000);
  for (unsigned n = 1; now_ms() < end; n++) {
    sleep_ms(10 + (int64_t)rng_below(&rng, 30));
    if (n % 7 == 5) {
      restart(s, (int64_t)rng_below(&rng, 30));
    } else if (n % 7 == 2) {
      hold_up(s, 5 + (int64_t)rng_below(&rng, 25));
    } else {
      server_kill_clients(s->server);
      s->kills++;
    }
    check_sums(s);
  }
  atomic_store(&s->stop, true);
}

static void run(int i, void *arg)
{
  struct stress *s = arg;

  if (i < THREADS)
    work(s, &s->workers[i]);
  else if (i == THREADS)
    cancel_some(s);
  else
    make_trouble(s);
}

/* ---- before and after ---- */

static struct stress *stress_new(const struct way *way)
{
  struct stress *s = harness_alloc(sizeof *s);
  char size[16], timeout[16];

  snprintf(size, sizeof size, "%d", (int)CONNECTIONS);
  snprintf(timeout, sizeof timeout, "%dms", (int)STRESS_COMMAND_TIMEOUT_MS);
  s->seed = test_seed("stress");
  s->server = server_start(NULL);
  ck_assert_ptr_nonnull(s->server);
  s->client = open_client(way->strategy, url_for(way, s->server), "pool.max_size", size,
                          "pool.wait_timeout", "25ms", "command_timeout", timeout,
                          "hybrid.bulk_request", "4KiB", (char *)NULL);
  pthread_mutex_init(&s->faults.lock, NULL);
  for (int i = 0; i < THREADS; i++) {
    stress_worker_init(&s->workers[i], i, s->seed);
    s->workers[i].client = s->client;
    s->workers[i].leases = strategy_has(way->strategy, LEASES);
    s->workers[i].faults = &s->faults;
  }
  return s;
}

static void stress_free(struct stress *s)
{
  close_client(s->client);
  ck_assert(server_stop(s->server));
  for (int i = 0; i < THREADS; i++)
    stress_worker_clear(&s->workers[i]);
  pthread_mutex_destroy(&s->faults.lock);
  free(s);
}

static struct worker sum_up(const struct stress *s)
{
  struct worker sum = {0};

  for (int i = 0; i < THREADS; i++) {
    const struct worker *w = &s->workers[i];

    sum.calls += w->calls;
    for (size_t k = 0; k <= PMX_NOMEM; k++)
      sum.ended[k] += w->ended[k];
    sum.latest_us = larger(sum.latest_us, w->latest_us);
    sum.cancel_latest_us = larger(sum.cancel_latest_us, w->cancel_latest_us);
  }
  return sum;
}

static void print(const struct stress *s, const struct way *way, const struct worker *sum)
{
  pmx_stats st = stats_of(s->client);

  printf("%s over %s: %" PRIu64 " calls: %" PRIu64 " answered, %" PRIu64 " not run, %" PRIu64
         " unknown; %" PRIu64 " sent again, %" PRIu64 " connections\n",
         way->strategy, over_name(way->over), sum->calls, sum->ended[PMX_OK],
         sum->ended[PMX_NOT_RUN], sum->ended[PMX_UNKNOWN], st.retries, st.opened);
  printf(
      "  %u cancels, %u kills, %u pauses, %u restarts\n"
      "  latest end of a call: %.1f ms after its deadline (aim: 10), %.1f ms after a cancel; of a "
      "plain sleep on this machine: %.1f ms\n",
      s->cancels, s->kills, s->pauses, s->restarts, (double)sum->latest_us / 1000,
      (double)sum->cancel_latest_us / 1000, (double)s->machine_latest_us / 1000);
  fflush(stdout);
}

/* What the callers counted is what the library counted. */
static void check_counts(const struct stress *s, const struct worker *sum)
{
  pmx_stats st = stats_of(s->client);

  ck_assert_uint_eq(st.commands, sum->calls);
  ck_assert_uint_eq(st.commands,
                    st.replies + st.server_errors + st.not_run + st.unknown + st.invalid);
  ck_assert_uint_eq(st.replies, sum->ended[PMX_OK]);
  ck_assert_uint_eq(st.not_run, sum->ended[PMX_NOT_RUN] + sum->ended[PMX_NOMEM]);
  ck_assert_uint_eq(st.unknown, sum->ended[PMX_UNKNOWN]);
  ck_assert_uint_eq(st.in_use, 0);
  ck_assert_uint_eq(st.waiting, 0);
}

/* Where calls have more than one way, they have taken each. */
static void check_ways(const struct stress *s)
{
  pmx_stats st = stats_of(s->client);
  uint64_t routed = st.routed_asked + st.routed_blocking + st.routed_large;

  if (!lane_beside(s->client)) {
    ck_assert_uint_eq(routed, 0);
    return;
  }
  ck_assert_uint_gt(st.routed_asked, 0);
  ck_assert_uint_gt(st.routed_blocking, 0);
  ck_assert_uint_gt(st.routed_large, 0);
  ck_assert_uint_gt(st.lane_requests, 0);
  ck_assert_uint_gt(st.lanes_closed, 0);
}

static void check_works_again(const struct stress *s)
{
  char value[VALUE_SIZE];

  check_is_ok(pmx_do(s->client, NULL, "SET", "k", value_of("k", value), (char *)NULL));
  get_value(s->client, "k");
  if (lane_beside(s->client))
    get_value_alone(s->client, "k");
}

START_TEST(every_reply_is_the_callers_own_and_every_call_ends_in_time)
{
  const struct way *way = &ways[_i];
  struct stress *s = stress_new(way);
  struct worker sum;

  run_threads(THREADS + 2, run, s);
  sum = sum_up(s);
  print(s, way, &sum);
  check_sums(s);
  ck_assert_msg(s->faults.count == 0, "%u times wrong, first: %s", s->faults.count,
                s->faults.first);
  check_counts(s, &sum);
  check_ways(s);
  ck_assert_uint_gt(sum.ended[PMX_OK], 0);
  ck_assert_uint_gt(sum.ended[PMX_NOT_RUN], 0);
  ck_assert_uint_gt(s->cancels, 0);
  ck_assert_int_lt(sum.latest_us, HANG_MS * 1000);
  ck_assert_int_lt(sum.cancel_latest_us, HANG_MS * 1000);
  check_works_again(s);
  stress_free(s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("stress");

  server_require("stress");
  tcase_set_timeout(tc, soak() ? 180 : 60);
  add_for_ways(tc, every_reply_is_the_callers_own_and_every_call_ends_in_time);
  return checks_run("stress", tc);
}
