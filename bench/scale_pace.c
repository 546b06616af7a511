/* SPDX-License-Identifier: BSD-3-Clause */
/* scale_pace.c - whether more calls under way make a call dearer, for poolmux-scale: closed loops
 * of callbacks on one lane, and of threads. Times depend on what else the machine does: only how
 * they compare is told. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "measure.h"
#include "scale_parts.h"

static const char *const get[] = {"GET", "poolmux:scale"};

struct pace {
  double client_s, server_s, reads, writes; /* of all calls */
  int64_t at_ns;
};

struct loop {
  pmx_client *client;
  _Atomic long left, under_way;
  atomic_int wrong;
  sem_t landed;
};

static double seconds(struct timeval t)
{
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void look(const struct scale *s, struct pace *ret)
{
  struct rusage own;

  ret->server_s =
      server_figure(s, "cpu", "used_cpu_sys:") + server_figure(s, "cpu", "used_cpu_user:");
  ret->reads = server_figure(s, "stats", "total_reads_processed:");
  ret->writes = server_figure(s, "stats", "total_writes_processed:");
  getrusage(RUSAGE_SELF, &own);
  ret->client_s = seconds(own.ru_utime) + seconds(own.ru_stime);
  ret->at_ns = now_ns();
}

/* ---- callbacks ---- */

static void answered(void *ud, const pmx_reply *reply)
{
  struct loop *loop = ud;

  if (!pmx_ok(reply))
    atomic_fetch_add(&loop->wrong, 1);
  if (atomic_fetch_sub(&loop->left, 1) > 0 &&
      pmx_async_argv(loop->client, NULL, answered, loop, 2, get, NULL) == PMX_OK)
    return;
  if (atomic_fetch_sub(&loop->under_way, 1) == 1)
    sem_post(&loop->landed);
}

static void run_callbacks(struct loop *loop, long n)
{
  sem_init(&loop->landed, 0, 0);
  atomic_store(&loop->under_way, n);
  for (long i = 0; i < n; i++) {
    if (pmx_async_argv(loop->client, NULL, answered, loop, 2, get, NULL) != PMX_OK)
      scale_failed("callbacks", "refused");
  }
  while (sem_wait(&loop->landed) != 0)
    continue;
  sem_destroy(&loop->landed);
}

/* ---- threads ---- */

static void *call(void *ud)
{
  struct loop *loop = ud;

  while (atomic_fetch_sub(&loop->left, 1) > 0) {
    if (pmx_reply_finish(pmx_argv(loop->client, NULL, 2, get, NULL)) != PMX_OK)
      atomic_fetch_add(&loop->wrong, 1);
  }
  return NULL;
}

static void run_threads(struct loop *loop, long n)
{
  pthread_t *all = calloc((size_t)n, sizeof *all);

  for (long i = 0; all && i < n; i++) {
    if (pthread_create(&all[i], NULL, call, loop) != 0)
      scale_failed("threads", "not so many");
  }
  for (long i = 0; all && i < n; i++)
    pthread_join(all[i], NULL);
  free(all);
}

/* ---- the table ---- */

enum { ROUNDS = 7, LINES = 8 };
enum figure { RATE, CLIENT, SERVER, PARTS, READS, WRITES, FIGURES };

struct line {
  const char *name, *options;
  long under_way, calls;
  void (*run)(struct loop *, long n);
  double figures[FIGURES][ROUNDS];
};

static void lap(const struct scale *s, struct line *line, int round)
{
  struct loop loop = {.client = scale_open(s->url, line->options)};
  double calls = (double)line->calls;
  struct pace a, b;

  /* Callbacks begin with as many as are under way, before they look at what is left. */
  atomic_store(&loop.left, line->calls - (line->run == run_callbacks ? line->under_way : 0));
  look(s, &a);
  line->run(&loop, line->under_way);
  look(s, &b);
  if (atomic_load(&loop.wrong))
    scale_failed(line->name, "a wrong answer");
  line->figures[RATE][round] = calls / (double)(b.at_ns - a.at_ns);
  line->figures[CLIENT][round] = (b.client_s - a.client_s) / calls;
  line->figures[SERVER][round] = (b.server_s - a.server_s) / calls;
  line->figures[PARTS][round] = (b.client_s - a.client_s) / (b.server_s - a.server_s);
  line->figures[READS][round] = (b.reads - a.reads) / calls;
  line->figures[WRITES][round] = (b.writes - a.writes) / calls;
  pmx_unref(loop.client);
}

/* The first three as ratios to the first line of the same round. */
static void print(const struct line *line, const struct line *first)
{
  double median[FIGURES], values[ROUNDS];

  for (int i = 0; i < FIGURES; i++) {
    for (int round = 0; round < ROUNDS; round++)
      values[round] = line->figures[i][round] / (i < PARTS ? first->figures[i][round] : 1);
    median[i] = spread_of(values, ROUNDS).median;
  }
  printf("%-26s %9ld %8.2f %8.3f %8.3f %8.1f %8.4f %8.4f\n", line->name, line->under_way,
         median[RATE], median[CLIENT], median[SERVER], median[PARTS], median[READS],
         median[WRITES]);
}

void scale_pace(const struct scale *s, long most, long calls)
{
  static const char lane[] = "strategy=mux&mux.max_inflight=1000000&mux.max_queued=4GiB";
  static const char pool[] = "strategy=pool&pool.max_size=64&pool.min_idle=64&pool.prefill=sync";
  static struct line lines[LINES] = {
      {"threads, a connection each", pool, 64, 0, run_threads, {{0}}},
      {"threads, a lane", lane, 64, 0, run_threads, {{0}}},
      {"a thread, a lane", lane, 1, 0, run_threads, {{0}}},
  };
  size_t n = 3;

  lines[0].calls = lines[1].calls = calls / 8;
  lines[2].calls = calls / 32;
  for (long under_way = 64; under_way < most && n < LINES - 1; under_way *= 16)
    lines[n++] = (struct line){"callbacks, a lane", lane, under_way, calls, run_callbacks, {{0}}};
  lines[n++] = (struct line){"callbacks, a lane", lane, most, calls, run_callbacks, {{0}}};
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < n; i++)
      lap(s, &lines[i], round);
  }
  /* CPU of the client and of the server: of the first line's, and of each other's. */
  printf("\n%-26s %9s %8s %8s %8s %8s %8s %8s\n", "a call, compared", "under way", "rate", "client",
         "server", "cl./srv.", "reads", "writes");
  for (size_t i = 0; i < n; i++)
    print(&lines[i], &lines[0]);
}
