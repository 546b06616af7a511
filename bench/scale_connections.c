/* SPDX-License-Identifier: BSD-3-Clause */
/* scale_connections.c - what connections take, for poolmux-scale: some hundreds and some thousands
 * of a pool, plain and TLS; a lane; and threads, which is what a pool's connections are for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scale_parts.h"

/* Each connection is lent once, with one command. */
static void use_all(pmx_client *client, long n)
{
  pmx_lease **leases = calloc((size_t)n, sizeof *leases);
  pmx_reply *err;

  for (long i = 0; leases && i < n; i++) {
    leases[i] = pmx_acquire(client, NULL, &err);
    if (!leases[i])
      scale_failed("lease", pmx_reply_error(err));
    if (pmx_reply_finish(pmx_lease_command(leases[i], NULL, "GET poolmux:scale")) != PMX_OK)
      scale_failed("lease", "GET is not answered");
  }
  for (long i = 0; leases && i < n; i++) {
    if (pmx_release(leases[i]) != PMX_OK)
      scale_failed("lease", "not taken back");
  }
  free(leases);
}

static void pool_of(const struct scale *s, const char *url, long n, const char *name)
{
  char options[256], what[64];
  struct memory before, now;
  pmx_stats stats = PMX_STATS_INIT;
  pmx_client *client;

  snprintf(options, sizeof options,
           "strategy=pool&pool.max_size=%ld&pool.min_idle=%ld&pool.prefill=sync"
           "&pool.prefill_timeout=5min&pool.connect_concurrency=64",
           n, n);
  memory_before(s, &before);
  client = scale_open(url, options);
  use_all(client, n);
  pmx_stats_get(client, &stats);
  if ((long)stats.live != n)
    scale_failed(name, "not so many connections");
  memory_look(s, &now);
  snprintf(what, sizeof what, "%ld %s, just used", n, name);
  memory_print(what, &before, &now, n);
  if (!s->quick) {
    memory_settled(s, &now);
    snprintf(what, sizeof what, "%ld %s, idle", n, name);
    memory_print(what, &before, &now, n);
  }
  pmx_unref(client);
}

/* By itself, and first of all: what libc has learnt of large blocks then does not matter. */
void scale_lane(const struct scale *s)
{
  struct memory before, now;
  pmx_client *client;

  printf("%-46s %9s %9s %9s\n", "one client, bytes", "heap", "resident", "server");
  memory_before(s, &before);
  client = scale_open(s->url, "strategy=pool&connect=lazy");
  memory_look(s, &now);
  memory_print("a client without a connection", &before, &now, 1);
  pmx_unref(client);
  memory_before(s, &before);
  client = scale_open(s->url, "strategy=mux");
  if (pmx_reply_finish(pmx_command(client, "GET poolmux:scale")) != PMX_OK)
    scale_failed("mux", "GET is not answered");
  memory_settled(s, &now);
  memory_print("a client with a lane, idle", &before, &now, 1);
  pmx_unref(client);
}

void scale_connections(const struct scale *s, long most)
{
  printf("\n%-46s %9s %9s %9s\n", "connections, bytes each", "heap", "resident", "server");
  server_does(s,
              "SET poolmux:scale vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv");
  pool_of(s, s->url, 1000, "of a pool");
  if (most > 1000)
    pool_of(s, s->url, most, "of a pool");
  if (s->tls_url)
    pool_of(s, s->tls_url, 1000, "of a pool, TLS");
  if (s->tls_url && most > 1000)
    pool_of(s, s->tls_url, most / 2, "of a pool, TLS");
}
