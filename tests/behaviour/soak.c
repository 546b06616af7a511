/* SPDX-License-Identifier: BSD-3-Clause */
/* soak.c - all public functions from eight threads at once, on clients of every kind that are
 * opened and closed at random, over a network and a server that fail. A run is a row of short
 * epochs, each of which begins with nothing and leaves nothing: no thread, no descriptor, no
 * connection, no promise. POOLMUX_SOAK=SECONDS runs for so long, 1 for half an hour; the sanitizers
 * look on.
 *
 * The seed of an epoch is that of the run and its number, so that any of them can be the first. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/soaking.h"
#include "harness/balance.h"
#include "harness/checks.h"

enum { SHORT_MS = 1500, EPOCH_MS = 250, COVER_MS = 30000, WATCH_MS = 500 };

/* ---- an epoch ---- */

static void run(int i, void *arg)
{
  struct soaking *s = arg;
  struct rng rng;
  int64_t end;

  if (i < SOAK_THREADS) {
    while (!atomic_load_explicit(&s->stop, memory_order_relaxed))
      soak_act(&s->callers[i]);
    return;
  }
  rng_seed(&rng, s->seed * 100 + 99);
  end = now_ms() + EPOCH_MS + (int64_t)rng_below(&rng, 4 * EPOCH_MS);
  while (now_ms() < end) {
    mark_begin(&s->trouble, "a fault");
    soak_trouble(s, &rng);
    mark_end(&s->trouble);
  }
  atomic_store_explicit(&s->stop, true, memory_order_relaxed);
}

static void watch(void *arg)
{
  struct soaking *s = arg;

  for (int64_t ms = 0; !atomic_load(&s->watched); ms += 20) {
    if (ms % WATCH_MS == 0)
      soak_watch(s);
    sleep_ms(20);
  }
}

static void prepare_server(struct server *server)
{
  free(server_command(server, "FLUSHALL", NULL));
  free(server_command(server, "SET", "soak:text", "text", NULL));
  for (int i = 0; i < SOAK_THREADS; i++) {
    char key[64];

    snprintf(key, sizeof key, "soak:h:%d", i);
    free(server_command(server, "HSET", key, "own", key, "other", "x", NULL));
  }
}

static const enum server_address addresses[] = {SERVER_TCP, SERVER_UNIX, SERVER_TLS};

static struct soaking *epoch_new(struct server *server, uint64_t seed)
{
  struct soaking *s = harness_alloc(sizeof *s);

  s->server = server;
  s->seed = seed;
  s->proxy = proxy_start(server_url(server, addresses[seed % 3]), NULL);
  prepare_server(server);
  pthread_mutex_init(&s->lock, NULL);
  pthread_mutex_init(&s->futures.lock, NULL);
  pthread_mutex_init(&s->leases.lock, NULL);
  pthread_mutex_init(&s->replies.lock, NULL);
  for (int i = 0; i < SOAK_SLOTS; i++)
    pthread_mutex_init(&s->slots[i].lock, NULL);
  for (int i = 0; i < SOAK_TOKENS; i++)
    pthread_mutex_init(&s->tokens[i].lock, NULL);
  for (int i = 0; i <= SOAK_THREADS; i++) {
    s->callers[i].s = s;
    s->callers[i].index = i;
    rng_seed(&s->callers[i].rng, seed * 100 + (uint64_t)i);
  }
  return s;
}

/* ---- its end: nothing may be left ---- */

static void end_shelves(struct soaking *s, struct caller *w)
{
  struct item item;

  while (shelf_take(&s->futures, &w->rng, &item))
    soak_future_end(w, &item);
  while (shelf_take(&s->leases, &w->rng, &item))
    soak_lease_end(w, item.thing);
  while (shelf_take(&s->replies, &w->rng, &item))
    pmx_reply_free(item.thing);
}

static void end_client(struct soaking *s, struct opened *o)
{
  pmx_stats st;
  char what[128];

  mark_begin(&s->callers[SOAK_THREADS].mark, "the last pmx_close");
  pmx_close(o->client, HANG_MS);
  st = stats_of(o->client);
  if (balance_broken(&st, what, sizeof what))
    soak_wrong(s, "closed, and %s", what);
  if (st.live + st.connecting + st.in_use + st.waiting)
    soak_wrong(s,
               "closed, but live %" PRIu64 ", connecting %" PRIu64 ", in use %" PRIu64
               ", waiting %" PRIu64,
               st.live, st.connecting, st.in_use, st.waiting);
  mark_begin(&s->callers[SOAK_THREADS].mark, "the last pmx_unref");
  client_drop(o);
  mark_end(&s->callers[SOAK_THREADS].mark);
}

static bool no_clients(void *server)
{
  return server_clients(server) == 0;
}

static bool is_outside(void *arg)
{
  struct opened *o = arg;

  return atomic_load_explicit(&o->inside, memory_order_acquire) == 0 &&
         atomic_load_explicit(&o->asked, memory_order_acquire) == 0;
}

/* What callbacks have seen goes when no callback can come any more. */
static void end_opened(struct soaking *s)
{
  while (s->opened) {
    struct opened *o = s->opened;

    if (!wait_for(is_outside, o, SOAK_SLACK_MS))
      soak_wrong(s, "a callback of a client that has gone is still running");
    tickets_end(s, atomic_load_explicit(&o->tickets, memory_order_acquire));
    if (atomic_load(&o->spans) != 0)
      soak_wrong(s, "%lld calls have begun for the trace and not ended",
                 (long long)atomic_load(&o->spans));
    s->opened = o->next;
    free(o);
  }
}

/* A callback of another one may be calling it, under the lock of its slot. */
static void end_slot(struct soaking *s, struct slot *slot)
{
  struct opened *o;

  client_put(slot, NULL, &o);
  if (o)
    end_client(s, o);
}

static void epoch_end(struct soaking *s, int fds, int threads)
{
  struct caller *w = &s->callers[SOAK_THREADS];

  proxy_heal(s->proxy);
  end_shelves(s, w);
  for (int i = 0; i < SOAK_SLOTS; i++)
    end_slot(s, &s->slots[i]);
  for (int i = 0; i < SOAK_THREADS; i++)
    tickets_end(s, s->callers[i].tickets);
  proxy_stop(s->proxy);
  if (!settles_at(fds, threads, SOAK_SLACK_MS))
    soak_wrong(s, "left behind: %d descriptors, %d threads; there were %d and %d", fd_count(),
               thread_count(), fds, threads);
  if (!wait_for(no_clients, s->server, SOAK_SLACK_MS))
    soak_wrong(s, "left behind: %" PRId64 " connections", server_clients(s->server));
}

/* Callbacks use them as well, and so they go last. */
static void end_tokens(struct soaking *s)
{
  for (int i = 0; i < SOAK_TOKENS; i++) {
    if (s->tokens[i].users)
      soak_wrong(s, "a token has %d users left", s->tokens[i].users);
    pmx_cancel_free(s->tokens[i].cancel);
  }
}

struct sum {
  uint64_t epochs, calls, answered;
  int64_t latest_ms;
};

static void epoch(struct server *server, uint64_t seed, struct sum *sum)
{
  struct soaking *s;
  struct background *watcher;
  int fds = fd_count();

  s = epoch_new(server, seed);
  watcher = background_start(watch, s);
  run_threads(SOAK_THREADS + 1, run, s);
  epoch_end(s, fds, holdings_threads + 1); /* the watchdog's */
  atomic_store(&s->watched, true);
  background_join(watcher);
  end_opened(s);
  end_tokens(s);
  for (int i = 0; i < SOAK_THREADS; i++) {
    sum->calls += s->callers[i].calls;
    sum->answered += s->callers[i].answered;
    if (s->callers[i].latest_ms > sum->latest_ms)
      sum->latest_ms = s->callers[i].latest_ms;
  }
  sum->epochs++;
  ck_assert_msg(s->wrong == 0,
                "%u times wrong, first: %s\nagain: POOLMUX_TEST_SEED=%" PRIu64
                " POOLMUX_SOAK=10 tests/behaviour/soak",
                s->wrong, s->first, seed);
  free(s);
}

/* ---- a run ---- */

START_TEST(all_functions_from_eight_threads_with_random_closing)
{
  struct server_options options = {.listen = SERVER_TCP | SERVER_UNIX | SERVER_TLS};
  struct server *server = server_start(&options);
  uint64_t seed = test_seed("soak");
  int64_t begin = now_ms(), end = begin + soak_ms(SHORT_MS);
  struct sum sum = {0};

  ck_assert_ptr_nonnull(server);
  while (now_ms() < end || (soak_never_called() && now_ms() < begin + COVER_MS))
    epoch(server, seed + sum.epochs, &sum);
  printf("%" PRIu64 " epochs, %" PRIu64 " replies, %" PRIu64
         " of them answers; latest end of anything: %" PRId64 " ms after its time\n",
         sum.epochs, sum.calls, sum.answered, sum.latest_ms);
  ck_assert_msg(!soak_never_called(), "%s was never called", soak_never_called());
  ck_assert_uint_gt(sum.answered, 0);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("soak");

  server_require("soak");
  tcase_set_timeout(tc, (double)soak_ms(SHORT_MS) / 1000 + 120);
  tcase_add_test(tc, all_functions_from_eight_threads_with_random_closing);
  return checks_run("soak", tc);
}
