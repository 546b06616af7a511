/* SPDX-License-Identifier: BSD-3-Clause */
/* costs_calls.c - paths of poolmux-costs whose callers wait: threads, a command that blocks, a
 * lease, a batch. */
#include "costs_parts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- threads, each with its share of the calls ---- */

struct crew {
  const struct path *path;
  pmx_client *client;
  long each;
  pthread_barrier_t go;
};

static int call(const struct crew *crew, long turn)
{
  const struct command *c = costs_command(turn);
  pmx_reply *reply = pmx_argv(crew->client, NULL, c->argc, c->argv, c->len);
  int failed = costs_fits(c, reply) ? 0 : costs_failed(crew->path->name, pmx_reply_error(reply));

  pmx_reply_free(reply);
  return failed;
}

static void *work(void *arg)
{
  struct crew *crew = arg;

  pthread_barrier_wait(&crew->go);
  for (long i = 0; i < crew->each; i++) {
    if (call(crew, i) != 0)
      return crew;
  }
  return NULL;
}

static int run_crew(struct crew *crew, int members)
{
  pthread_t *threads = calloc((size_t)members, sizeof *threads);
  void *failed;
  int status = 0;

  if (!threads)
    return costs_failed(crew->path->name, "out of memory");
  pthread_barrier_init(&crew->go, NULL, (unsigned)members);
  for (int i = 0; i < members; i++) {
    if (pthread_create(&threads[i], NULL, work, crew) != 0) {
      perror("pthread_create");
      exit(EXIT_FAILURE);
    }
  }
  for (int i = 0; i < members; i++) {
    pthread_join(threads[i], &failed);
    if (failed)
      status = -1;
  }
  pthread_barrier_destroy(&crew->go);
  free(threads);
  return status;
}

int costs_run_threads(const struct path *path, const char *url, long calls)
{
  struct crew crew = {.path = path, .each = calls / path->callers};
  int failed = -1;

  crew.client = costs_open(path, url);
  if (crew.client)
    failed = run_crew(&crew, path->callers);
  pmx_unref(crew.client);
  return failed;
}

/* ---- one thread, one reply after the other ---- */

static int take(const struct path *path, pmx_reply *reply)
{
  int failed = pmx_reply_failed(reply)
                   ? costs_failed(path->name, pmx_reply_error(pmx_reply_failed(reply)))
                   : 0;

  pmx_reply_free(reply);
  return failed;
}

/* The list has one element, which is found at once each time. */
int costs_run_blocking(const struct path *path, const char *url, long calls)
{
  static const char list[] = "poolmux:costs:list";
  const char *argv[] = {"BLMOVE", list, list, "LEFT", "RIGHT", "60"};
  const size_t len[] = {6, sizeof list - 1, sizeof list - 1, 4, 5, 2};
  pmx_client *client = costs_open(path, url);
  int failed;

  if (!client)
    return -1;
  failed = take(path, pmx_command(client, "DEL %s", list));
  if (!failed)
    failed = take(path, pmx_command(client, "RPUSH %s element", list));
  while (!failed && calls-- > 0)
    failed = take(path, pmx_argv(client, NULL, 6, argv, len));
  pmx_unref(client);
  return failed;
}

static int run_lease(const struct path *path, pmx_client *client, const struct command *c)
{
  pmx_reply *err;
  pmx_lease *lease = pmx_acquire(client, NULL, &err);
  int failed;

  if (!lease)
    return take(path, err);
  failed = take(path, pmx_lease_argv(lease, NULL, c->argc, c->argv, c->len));
  if (pmx_release(lease) != PMX_OK)
    failed = costs_failed(path->name, "the lease was not taken back");
  return failed;
}

int costs_run_lease(const struct path *path, const char *url, long calls)
{
  pmx_client *client = costs_open(path, url);
  int failed = client ? 0 : -1;

  for (long i = 0; !failed && i < calls; i++)
    failed = run_lease(path, client, costs_command(i));
  pmx_unref(client);
  return failed;
}

/* A call is one batch: made, filled, executed and freed. */
static int run_batch(const struct path *path, pmx_client *client)
{
  pmx_batch *batch = pmx_batch_new(client);
  const struct command *c;
  int failed;

  for (long i = 0; i < COSTS_BATCH; i++) {
    c = costs_command(i);
    (void)pmx_batch_add_argv(batch, c->argc, c->argv, c->len); /* executing tells */
  }
  failed = take(path, pmx_batch_exec(batch, NULL));
  pmx_batch_free(batch);
  return failed;
}

int costs_run_batch(const struct path *path, const char *url, long calls)
{
  pmx_client *client = costs_open(path, url);
  int failed = client ? 0 : -1;

  while (!failed && calls-- > 0)
    failed = run_batch(path, client);
  pmx_unref(client);
  return failed;
}
