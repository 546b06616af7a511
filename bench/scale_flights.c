/* SPDX-License-Identifier: BSD-3-Clause */
/* scale_flights.c - what a call takes while it is under way, for poolmux-scale: the server holds
 * its answers back until all have been sent, and memory is looked at; then it answers all at once.
 * The first is a SET, which is what the server holds; the others are GETs of 64 bytes. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scale_parts.h"

static const char lane_options[] = "strategy=mux&mux.max_inflight=1000000&mux.max_queued=4GiB";
static const char pool_options[] =
    "strategy=pool&pool.max_size=16&pool.max_waiters=1000000&pool.wait_timeout=10min";

enum { VALUE = 64 };
static const char *const set[] = {
    "SET", "poolmux:scale", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"};
static const char *const get[] = {"GET", "poolmux:scale"};

struct flight {
  pmx_client *client;
  long n;
  pmx_future **futures;
  _Atomic long left;
  atomic_int wrong;
  sem_t landed;
};

static int is_value(const pmx_reply *reply)
{
  size_t len = 0;

  return pmx_reply_str(reply, &len) && len == VALUE;
}

static void answered(void *ud, const pmx_reply *reply)
{
  struct flight *f = ud;

  if (!pmx_ok(reply) || (pmx_reply_type(reply) != PMX_TYPE_SIMPLE && !is_value(reply)))
    atomic_fetch_add(&f->wrong, 1);
  if (atomic_fetch_sub(&f->left, 1) == 1)
    sem_post(&f->landed);
}

/* ---- beginning n calls, and their end ---- */

/* On a pool the first ones each hold a connection of theirs up. */
static int holds(const struct flight *f, long i)
{
  return i == 0 || (pmx_client_strategy(f->client) == PMX_STRATEGY_POOL && i < 16);
}

static void begin_callbacks(struct flight *f)
{
  pmx_status status;

  sem_init(&f->landed, 0, 0);
  atomic_store(&f->left, f->n);
  for (long i = 0; i < f->n; i++) {
    status = holds(f, i) ? pmx_async_argv(f->client, NULL, answered, f, 3, set, NULL)
                         : pmx_async_argv(f->client, NULL, answered, f, 2, get, NULL);
    if (status != PMX_OK)
      scale_failed("callbacks", pmx_status_str(status));
  }
}

static void end_callbacks(struct flight *f)
{
  while (sem_wait(&f->landed) != 0)
    continue;
  sem_destroy(&f->landed);
}

static void begin_futures(struct flight *f)
{
  f->futures = calloc((size_t)f->n, sizeof(pmx_future *));
  for (long i = 0; f->futures && i < f->n; i++)
    f->futures[i] = holds(f, i) ? pmx_submit_argv(f->client, NULL, 3, set, NULL)
                                : pmx_submit_argv(f->client, NULL, 2, get, NULL);
}

static void end_futures(struct flight *f)
{
  pmx_reply *reply;

  for (long i = 0; i < f->n; i++) {
    reply = pmx_future_take(f->futures[i]);
    if (!pmx_ok(reply) || (!holds(f, i) && !is_value(reply)))
      atomic_fetch_add(&f->wrong, 1);
    pmx_reply_free(reply);
  }
  free(f->futures);
}

/* ---- the measurement ---- */

/* Until the server has read all that it is given, or, on a pool, until all wait. */
static void wait_for_all(const struct scale *s, const struct flight *f)
{
  pmx_stats stats = PMX_STATS_INIT;
  double before = -1, bytes;

  for (;;) {
    bytes = server_queries(s);
    pmx_stats_get(f->client, &stats);
    if (bytes == before && (long)(stats.in_flight + stats.waiting + stats.running) >= f->n &&
        stats.queued == 0)
      return;
    before = bytes;
    scale_sleep_ms(200);
  }
}

struct kind {
  const char *name, *options;
  void (*begin)(struct flight *);
  void (*end)(struct flight *);
};

static void print(const char *what, long n, const struct memory *before, const struct memory *now)
{
  char text[80];

  snprintf(text, sizeof text, "%ld %s", n, what);
  memory_print(text, before, now, n);
}

static void fly(const struct scale *s, const struct kind *kind, long n)
{
  struct flight f = {.n = n};
  struct memory before, now;
  double peak;

  memory_before(s, &before);
  f.client = scale_open(s->url, kind->options);
  if (pmx_reply_finish(pmx_command(f.client, "GET poolmux:scale")) != PMX_OK)
    scale_failed(kind->name, "GET is not answered");
  memory_look(s, &before);
  server_hold(s);
  kind->begin(&f);
  wait_for_all(s, &f);
  memory_look(s, &now);
  print(kind->name, n, &before, &now);
  peak = now.peak;
  server_go_on(s);
  if (kind->end == end_futures) {
    pmx_future_wait(f.futures[n - 1], PMX_FOREVER);
    memory_look(s, &now);
    print("of them, answered and not taken", n, &before, &now);
  }
  kind->end(&f);
  memory_look(s, &now);
  if (now.peak > peak && kind->end == end_callbacks)
    printf("%-46s %29.0f\n", "  while it answers them in one go",
           (now.peak - before.server) / (double)n);
  if (atomic_load(&f.wrong))
    scale_failed(kind->name, "a wrong answer");
  pmx_unref(f.client);
}

/* ---- threads that wait for their call ---- */

static void *call(void *client)
{
  pmx_reply *reply = pmx_argv(client, NULL, 3, set, NULL);

  if (!pmx_ok(reply))
    scale_failed("threads", pmx_reply_error(reply));
  pmx_reply_free(reply);
  return NULL;
}

static void threads(const struct scale *s, long n)
{
  pthread_t *all = calloc((size_t)n, sizeof *all);
  struct flight f = {.n = n};
  struct memory before, now;

  memory_before(s, &before);
  f.client = scale_open(s->url, lane_options);
  if (pmx_reply_finish(pmx_command(f.client, "GET poolmux:scale")) != PMX_OK)
    scale_failed("threads", "GET is not answered");
  memory_look(s, &before);
  server_hold(s);
  for (long i = 0; all && i < n; i++) {
    if (pthread_create(&all[i], NULL, call, f.client) != 0)
      scale_failed("threads", "not so many");
  }
  wait_for_all(s, &f);
  memory_look(s, &now);
  print("threads that wait for a lane", n, &before, &now);
  server_go_on(s);
  for (long i = 0; all && i < n; i++)
    pthread_join(all[i], NULL);
  free(all);
  pmx_unref(f.client);
}

void scale_flights(const struct scale *s, long most)
{
  static const struct kind callbacks = {"callbacks on a lane", lane_options, begin_callbacks,
                                        end_callbacks};
  static const struct kind futures = {"futures on a lane", lane_options, begin_futures,
                                      end_futures};
  static const struct kind waiting = {"callbacks, waiting for 16 connections", pool_options,
                                      begin_callbacks, end_callbacks};

  printf("\n%-46s %9s %9s %9s\n", "calls under way, bytes each", "heap", "resident", "server");
  for (long n = 1000; n < most; n *= 10)
    fly(s, &callbacks, n);
  fly(s, &callbacks, most);
  fly(s, &futures, most);
  fly(s, &waiting, most);
  threads(s, 1000);
}
