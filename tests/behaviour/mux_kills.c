/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_kills.c - many callers on one connection that is killed again and again: each call ends once,
 * with its own value or an honest failure, what was counted was said, one connects for all, and
 * soon after the last kill everything works. */
#include "behaviour/muxing.h"

#include <check.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"

enum { THREADS = 200, KEYS = 32, KILL_EVERY_MS = 10, SHORT_MS = 900, LONG_MS = 30000 };

struct caller_of_many {
  int64_t acknowledged, unknown, not_run; /* of INCR on its own key */
  int64_t values, wrong;                  /* of GET */
  int64_t odd;                            /* ends that this test does not provoke */
  char first_odd[256];
};

struct kills {
  struct server *server;
  pmx_client *client;
  struct caller_of_many callers[THREADS];
  atomic_bool stop;
  _Atomic int64_t last_kill_us, recovered_us; /* first success after the last kill */
  int64_t killed;
  uint64_t most_connecting, most_live;
};

static void note_end(struct kills *k, struct caller_of_many *c, const pmx_reply *reply)
{
  pmx_cause cause = pmx_reply_cause(reply);
  int64_t none = 0;

  if (pmx_ok(reply)) {
    if (atomic_load(&k->stop))
      atomic_compare_exchange_strong(&k->recovered_us, &none, now_us());
    return;
  }
  if (cause == PMX_CAUSE_LOST || cause == PMX_CAUSE_CONNECT || cause == PMX_CAUSE_TIMEOUT)
    return;
  if (c->odd++ == 0)
    snprintf(c->first_odd, sizeof c->first_odd, "%s/%s: %s",
             pmx_status_str(pmx_reply_status(reply)), pmx_cause_str(cause), pmx_reply_error(reply));
}

static void count_up(struct kills *k, struct caller_of_many *c, int i)
{
  pmx_reply *reply = pmx_command(k->client, "INCR kills:%d", i);

  note_end(k, c, reply);
  if (pmx_ok(reply)) {
    int64_t got = pmx_reply_int(reply, NULL);

    c->acknowledged++;
    c->wrong += got < c->acknowledged || got > c->acknowledged + c->unknown;
  } else {
    c->unknown += pmx_reply_status(reply) == PMX_UNKNOWN;
    c->not_run += pmx_reply_status(reply) == PMX_NOT_RUN;
  }
  pmx_reply_free(reply);
}

static void look_up(struct kills *k, struct caller_of_many *c, int n)
{
  char key[32], value[VALUE_SIZE];
  pmx_reply *reply;

  snprintf(key, sizeof key, "key-%d", n % KEYS);
  reply = pmx_do(k->client, NULL, "GET", key, (char *)NULL);
  note_end(k, c, reply);
  if (pmx_ok(reply)) {
    const char *text = pmx_reply_str(reply, NULL);

    c->values++;
    c->wrong += !text || strcmp(text, value_of(key, value)) != 0;
  }
  pmx_reply_free(reply);
}

/* Ends when, after the last kill, a call of its own has succeeded. */
static void call_again_and_again(struct kills *k, int i)
{
  struct caller_of_many *c = &k->callers[i];
  int64_t good = 0, end = 0;

  for (int n = i;; n++) {
    if (atomic_load(&k->stop) && end == 0) {
      good = c->acknowledged + c->values;
      end = now_ms() + SOON_MS;
    }
    if (end && (c->acknowledged + c->values > good || now_ms() > end))
      return;
    if (n % 4 == 0)
      count_up(k, c, i);
    else
      look_up(k, c, n);
  }
}

static void sample(struct kills *k)
{
  pmx_stats s = stats_of(k->client);

  if (s.connecting > k->most_connecting)
    k->most_connecting = s.connecting;
  if (s.live + s.connecting > k->most_live)
    k->most_live = s.live + s.connecting;
}

static void kill_again_and_again(struct kills *k)
{
  int64_t end = now_ms() + (soak() ? LONG_MS : SHORT_MS);

  while (now_ms() < end) {
    sleep_ms(KILL_EVERY_MS);
    k->killed += server_kill_clients(k->server);
    sample(k);
  }
  atomic_store(&k->last_kill_us, now_us());
  atomic_store(&k->stop, true);
}

static void run(int i, void *arg)
{
  if (i == THREADS)
    kill_again_and_again(arg);
  else
    call_again_and_again(arg, i);
}

static struct kills *kills_new(const struct way *way)
{
  struct kills *k = harness_alloc(sizeof *k);

  k->server = server_start(NULL);
  ck_assert_ptr_nonnull(k->server);
  for (int i = 0; i < KEYS; i++) {
    char key[32], value[VALUE_SIZE];

    snprintf(key, sizeof key, "key-%d", i);
    free(server_command(k->server, "SET", key, value_of(key, value), NULL));
  }
  k->client = open_client(way->strategy, url_for(way, k->server), NULL);
  return k;
}

static void check_counters(struct kills *k)
{
  struct caller_of_many sum = {0};

  for (int i = 0; i < THREADS; i++) {
    const struct caller_of_many *c = &k->callers[i];
    char key[32];
    int64_t value;

    snprintf(key, sizeof key, "kills:%d", i);
    value = c->acknowledged + c->unknown ? server_integer(k->server, "INCRBY", key, "0", NULL) : 0;
    ck_assert_msg(c->wrong == 0, "thread %d: %" PRId64 " wrong answers", i, c->wrong);
    ck_assert_msg(c->odd == 0, "thread %d: %s", i, c->first_odd);
    ck_assert_int_ge(value, c->acknowledged);
    ck_assert_int_le(value, c->acknowledged + c->unknown);
    sum.acknowledged += c->acknowledged;
    sum.unknown += c->unknown;
    sum.not_run += c->not_run;
    sum.values += c->values;
  }
  printf("%" PRId64 " kills: %" PRId64 " counted, %" PRId64 " unknown, %" PRId64
         " not run, %" PRId64 " values; works %.1f ms after the last kill\n",
         k->killed, sum.acknowledged, sum.unknown, sum.not_run, sum.values,
         (double)(k->recovered_us - k->last_kill_us) / 1000);
  ck_assert_int_gt(sum.acknowledged, 0);
  ck_assert_int_gt(sum.values, 0);
}

START_TEST(kills_cost_nobody_a_wrong_value_and_nothing_is_counted_twice)
{
  struct kills *k = kills_new(&ways[_i]);
  pmx_stats stats;

  run_threads(THREADS + 1, run, k);
  check_counters(k);
  ck_assert_int_gt(k->killed, 2);
  ck_assert_uint_le(k->most_connecting, 1);
  ck_assert_uint_le(k->most_live, 1);
  /* Aim: a second; what a busy machine adds is not the library's. */
  ck_assert_int_gt(k->recovered_us, 0);
  ck_assert_int_lt(k->recovered_us - k->last_kill_us, 1000000 + (int64_t)HANG_MS * 1000);
  stats = stats_of(k->client);
  ck_assert_uint_eq(stats.commands, stats.replies + stats.not_run + stats.unknown);
  ck_assert_uint_eq(outstanding(k->client), 0);
  close_client(k->client);
  ck_assert(server_stop(k->server));
  free(k);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_kills");

  server_require("mux_kills");
  tcase_set_timeout(tc, soak() ? 180 : 60);
  add_for_ways_with(SHARES, tc, kills_cost_nobody_a_wrong_value_and_nothing_is_counted_twice);
  return checks_run("mux_kills", tc);
}
