/* SPDX-License-Identifier: BSD-3-Clause */
/* costs_flight.c - paths of poolmux-costs that nobody waits on: callbacks, each of which begins the
 * next call of its own chain, and futures. */
#include "costs_parts.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct flight;

/* Callbacks come one at a time, but the first may come while the last chains are still begun. */
struct chain {
  struct flight *flight;
  long turn, left;
};

struct flight {
  const struct path *path;
  pmx_client *client;
  struct chain *chains;
  _Atomic int under_way, failed;
  sem_t landed;
};

static void end_chain(struct flight *f, const char *why)
{
  if (why)
    atomic_store(&f->failed, costs_failed(f->path->name, why));
  if (atomic_fetch_sub(&f->under_way, 1) == 1)
    sem_post(&f->landed);
}

static void answered(void *ud, const pmx_reply *reply);

static void begin(struct chain *chain)
{
  const struct command *c = costs_command(chain->turn);
  pmx_status status =
      pmx_async_argv(chain->flight->client, NULL, answered, chain, c->argc, c->argv, c->len);

  if (status != PMX_OK)
    end_chain(chain->flight, pmx_status_str(status));
}

static void answered(void *ud, const pmx_reply *reply)
{
  struct chain *chain = ud;
  int good = costs_fits(costs_command(chain->turn), reply);

  chain->turn++;
  if (!good)
    end_chain(chain->flight, pmx_reply_error(reply));
  else if (--chain->left > 0)
    begin(chain);
  else
    end_chain(chain->flight, NULL);
}

static void wait_for_thread(struct flight *f)
{
  while (sem_wait(&f->landed) != 0)
    continue;
}

static void dispatch(struct flight *f)
{
  while (sem_trywait(&f->landed) != 0)
    pmx_dispatch(f->client, 1000);
}

static int fly(struct flight *f, const char *url, long calls, void (*wait)(struct flight *))
{
  int n = f->path->callers;

  f->chains = calloc((size_t)n, sizeof *f->chains);
  f->client = f->chains ? costs_open(f->path, url) : NULL;
  if (f->client) {
    sem_init(&f->landed, 0, 0);
    atomic_store(&f->under_way, n);
    for (int i = 0; i < n; i++) {
      f->chains[i] = (struct chain){f, i, calls / n};
      begin(&f->chains[i]);
    }
    wait(f);
    pmx_unref(f->client);
    sem_destroy(&f->landed);
  }
  free(f->chains);
  return f->client ? atomic_load(&f->failed) : -1;
}

int costs_run_callbacks(const struct path *path, const char *url, long calls)
{
  struct flight f = {.path = path};

  return fly(&f, url, calls, wait_for_thread);
}

int costs_run_loop(const struct path *path, const char *url, long calls)
{
  struct flight f = {.path = path};

  return fly(&f, url, calls, dispatch);
}

/* ---- futures: so many are begun, then all are taken ----
 * The last first: its reply comes last, so who takes sleeps once. In the other order it would
 * depend on the scheduler how often. */

static int take(const struct path *path, const struct command *c, pmx_future *future)
{
  pmx_reply *reply = pmx_future_take(future);
  int failed = costs_fits(c, reply) ? 0 : costs_failed(path->name, pmx_reply_error(reply));

  pmx_reply_free(reply);
  return failed;
}

static int run_wave(const struct path *path, pmx_client *client, pmx_future **futures)
{
  const struct command *c;
  int failed = 0;

  for (int i = 0; i < path->callers; i++) {
    c = costs_command(i);
    futures[i] = pmx_submit_argv(client, NULL, c->argc, c->argv, c->len);
  }
  for (int i = path->callers - 1; i >= 0; i--)
    failed |= take(path, costs_command(i), futures[i]);
  return failed;
}

int costs_run_futures(const struct path *path, const char *url, long calls)
{
  pmx_future **futures = calloc((size_t)path->callers, sizeof *futures);
  pmx_client *client = futures ? costs_open(path, url) : NULL;
  int failed = client ? 0 : -1;

  for (long wave = calls / path->callers; !failed && wave > 0; wave--)
    failed = run_wave(path, client, futures);
  pmx_unref(client);
  free(futures);
  return failed;
}
