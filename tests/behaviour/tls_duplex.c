/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_duplex.c - tests one TLS lane under eight threads that write and read values of all sizes at
 * the same time, with keys of their own: each reads what it wrote. POOLMUX_SOAK=SECONDS for longer.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { THREADS = 8, SHORT_MS = 1500, LARGE = 200 * 1024, AT_ONCE = 8 };

struct shared {
  pmx_client *client;
  uint64_t seed;
  int64_t end;
  _Atomic long values, wrong;
};

struct worker {
  struct shared *shared;
  pthread_t thread;
  struct rng rng;
  int number;
  char *value;
};

/* Mostly small ones, and some of several records. */
static size_t any_size(struct worker *w)
{
  return 1 + rng_below(&w->rng, rng_below(&w->rng, 8) ? 200 : LARGE);
}

static void fill(struct worker *w, size_t len)
{
  uint64_t pattern = rng_next(&w->rng);

  for (size_t i = 0; i < len; i++)
    w->value[i] = (char)('a' + (pattern >> (i % 57)) % 26);
}

static pmx_future *begin(struct worker *w, const char *verb, const char *key, size_t len)
{
  const char *argv[] = {verb, key, w->value};
  const size_t lens[] = {3, strlen(key), len};

  return pmx_submit_argv(w->shared->client, NULL, *verb == 'S' ? 3 : 2, argv, lens);
}

static void end_set(struct worker *w, pmx_future *future)
{
  pmx_reply *reply = pmx_future_take(future);

  if (!pmx_ok(reply))
    atomic_fetch_add(&w->shared->wrong, 1);
  pmx_reply_free(reply);
}

static void end_get(struct worker *w, pmx_future *future, size_t len)
{
  pmx_reply *reply = pmx_future_take(future);
  size_t got = 0;
  const char *text = pmx_reply_str(reply, &got);

  if (!text || got != len || memcmp(text, w->value, len) != 0)
    atomic_fetch_add(&w->shared->wrong, 1);
  atomic_fetch_add(&w->shared->values, 1);
  pmx_reply_free(reply);
}

static void *run(void *arg)
{
  struct worker *w = arg;
  char key[32];

  snprintf(key, sizeof key, "duplex:%d", w->number);
  while (now_ms() < w->shared->end && !w->shared->wrong) {
    size_t len = any_size(w);
    pmx_future *set, *gets[AT_ONCE];

    fill(w, len);
    set = begin(w, "SET", key, len);
    for (int i = 0; i < AT_ONCE; i++) /* while the value is still on its way */
      gets[i] = begin(w, "GET", key, 0);
    end_set(w, set);
    for (int i = 0; i < AT_ONCE; i++)
      end_get(w, gets[i], len);
  }
  return NULL;
}

START_TEST(eight_threads_write_and_read_through_one_lane)
{
  struct server *server = server_start(NULL);
  struct shared s = {.end = now_ms() + soak_ms(SHORT_MS)};
  struct worker workers[THREADS];

  s.seed = test_seed("tls_duplex");
  s.client = open_client("mux", server_url(server, SERVER_TLS), "mux.lanes", "1", NULL);
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){.shared = &s, .number = i, .value = malloc(LARGE + 1)};
    rng_seed(&workers[i].rng, s.seed + (uint64_t)i);
    ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(workers[i].thread, NULL);
    free(workers[i].value);
  }
  printf("%ld values, %llu connections\n", s.values, (unsigned long long)stats_of(s.client).opened);
  ck_assert_int_eq(s.wrong, 0);
  ck_assert_int_gt(s.values, 0);
  ck_assert_uint_eq(stats_of(s.client).opened, 1);
  close_client(s.client);
  server_stop(server);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_duplex");

  server_require("tls_duplex");
  tcase_set_timeout(tc, 60 + (double)soak_ms(SHORT_MS) / 1000);
  tcase_add_test(tc, eight_threads_write_and_read_through_one_lane);
  return checks_run("tls_duplex", tc);
}
