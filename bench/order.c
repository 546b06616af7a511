/* SPDX-License-Identifier: BSD-3-Clause */
/* order.c - see order.h. Callers are made to wait one by one, so that their order is known; then
 * one connection goes from hand to hand. With more of them it could not be seen who was served
 * first: the machine runs threads as it likes. After that all call as fast as they can. */
#include "order.h"

#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "measure.h"

struct queue;

struct caller {
  struct queue *queue;
  pthread_t thread;
  int place; /* in which it came */
  int turn;  /* in which it was served; -1 = not */
  struct histogram *waits;
  long served;
};

struct queue {
  pmx_client *client;
  int callers, connections;
  struct caller *caller;
  _Atomic int turns;
  _Atomic long left; /* calls still to be made */
  _Atomic int failed;
};

static void failed(struct queue *q, const char *what, const pmx_reply *reply)
{
  if (atomic_fetch_add(&q->failed, 1) == 0)
    fprintf(stderr, "%s: %s\n", what, pmx_reply_error(reply));
}

static pmx_lease *take(struct queue *q)
{
  pmx_reply *err;
  pmx_lease *lease = pmx_acquire(q->client, NULL, &err);

  if (!lease)
    failed(q, "pmx_acquire", err);
  pmx_reply_free(err);
  return lease;
}

static void use(struct queue *q, pmx_lease *lease)
{
  pmx_reply *reply = pmx_lease_command(lease, NULL, "PING");

  if (!pmx_ok(reply))
    failed(q, "PING", reply);
  pmx_reply_free(reply);
}

/* ---- callers come one after the other ---- */

static void *come_once(void *arg)
{
  struct caller *c = arg;
  pmx_lease *lease = take(c->queue);

  if (!lease)
    return NULL;
  c->turn = atomic_fetch_add(&c->queue->turns, 1);
  use(c->queue, lease);
  pmx_release(lease);
  return NULL;
}

static int wait_until_waiting(struct queue *q, uint64_t n)
{
  const struct timespec moment = {0, 50000};
  pmx_stats stats = PMX_STATS_INIT;

  for (int i = 0; i < 100000; i++) {
    pmx_stats_get(q->client, &stats);
    if (stats.waiting >= n)
      return 1;
    nanosleep(&moment, NULL);
  }
  return 0;
}

static int start(struct queue *q, int i, void *(*run)(void *))
{
  q->caller[i].queue = q;
  q->caller[i].place = i;
  q->caller[i].turn = -1;
  return pthread_create(&q->caller[i].thread, NULL, run, &q->caller[i]) == 0;
}

static void print_turns(const struct queue *q)
{
  int off = 0;

  for (int i = 0; i < q->callers; i++)
    off += q->caller[i].turn != q->caller[i].place;
  if (off == 0)
    printf("  order of service: all %d exactly in the order they came\n", q->callers);
  else
    printf("  order of service: %d of %d NOT in the order they came\n", off, q->callers);
}

/* All connections are taken, the callers queue, then one connection comes back. */
static int serve_in_turn(struct queue *q)
{
  pmx_lease **held = calloc((size_t)q->connections, sizeof(pmx_lease *));
  int n = 0, taken = 0, good = 1;

  if (!held)
    return 0;
  atomic_store(&q->turns, 0);
  while (good && taken < q->connections) {
    good = (held[taken] = take(q)) != NULL;
    taken += good;
  }
  while (good && n < q->callers) {
    good = start(q, n, come_once);
    n += good;
    good = good && wait_until_waiting(q, (uint64_t)n);
  }
  for (int i = 0; i < (good ? 1 : taken); i++)
    pmx_release(held[i]);
  for (int i = 0; i < n; i++)
    pthread_join(q->caller[i].thread, NULL);
  for (int i = 1; good && i < taken; i++)
    pmx_release(held[i]);
  free(held);
  if (good && !atomic_load(&q->failed))
    print_turns(q);
  return good && !atomic_load(&q->failed);
}

/* ---- all at once ---- */

static void *come_again(void *arg)
{
  struct caller *c = arg;
  struct queue *q = c->queue;
  pmx_lease *lease;
  int64_t asked;

  while (atomic_fetch_sub(&q->left, 1) > 0) {
    asked = now_ns();
    lease = take(q);
    if (!lease)
      break;
    histogram_add(c->waits, now_ns() - asked);
    c->served++;
    use(q, lease);
    pmx_release(lease);
  }
  return NULL;
}

static void print_waits(const struct queue *q, double seconds)
{
  struct histogram all = {0};
  long most = 0, fewest = 0;
  char mean[NUMBER_SIZE], p99[NUMBER_SIZE], longest[NUMBER_SIZE], rate[NUMBER_SIZE];

  for (int i = 0; i < q->callers; i++) {
    long served = q->caller[i].served;

    histogram_merge(&all, q->caller[i].waits);
    most = served > most ? served : most;
    fewest = i == 0 || served < fewest ? served : fewest;
  }
  printf("  waiting for a turn: mean %s, p99 %s, longest %s; p99 is %.2f times the mean\n",
         duration_text(mean, histogram_mean(&all)),
         duration_text(p99, (double)histogram_quantile(&all, 0.99)),
         duration_text(longest, (double)all.max_ns),
         (double)histogram_quantile(&all, 0.99) / histogram_mean(&all));
  printf("  %s turns a second; one caller had %ld turns at most and %ld at least\n",
         count_text(rate, (double)all.count / seconds), most, fewest);
}

static int serve_all(struct queue *q, long calls)
{
  int64_t begun = now_ns();
  int n = 0;

  atomic_store(&q->left, calls);
  while (n < q->callers && start(q, n, come_again))
    n++;
  for (int i = 0; i < n; i++)
    pthread_join(q->caller[i].thread, NULL);
  if (n < q->callers || atomic_load(&q->failed))
    return 0;
  print_waits(q, (double)(now_ns() - begun) / 1e9);
  return 1;
}

/* ---- the whole ---- */

static pmx_client *open_client(const char *url, int connections)
{
  pmx_options *options = pmx_options_new();
  char size[NUMBER_SIZE];
  pmx_client *client;
  pmx_reply *err;

  snprintf(size, sizeof size, "%d", connections);
  pmx_options_set(options, "strategy", "pool");
  pmx_options_set(options, "pool.max_size", size);
  pmx_options_set(options, "pool.min_idle", size);
  pmx_options_set(options, "pool.prefill", "sync");
  pmx_options_set(options, "pool.wait_timeout", "1min");
  pmx_options_set(options, "command_timeout", "1min");
  client = pmx_open(url, options, &err);
  if (!client)
    fprintf(stderr, "%s\n", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

int order_report(const char *url, int callers, int connections, long calls)
{
  struct queue q = {.callers = callers, .connections = connections};
  struct histogram *waits = calloc((size_t)callers, sizeof *waits);
  int good;

  q.caller = calloc((size_t)callers, sizeof *q.caller);
  q.client = waits && q.caller ? open_client(url, connections) : NULL;
  for (int i = 0; q.client && i < callers; i++)
    q.caller[i].waits = &waits[i];
  if (q.client)
    printf("\n%d threads on %d connections\n", callers, connections);
  good = q.client && serve_in_turn(&q) && serve_all(&q, calls);
  if (q.client)
    pmx_unref(q.client);
  free(q.caller);
  free(waits);
  return good ? 0 : -1;
}
