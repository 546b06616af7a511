/* SPDX-License-Identifier: BSD-3-Clause */
/* stats.c - one picture of what a client has done and is doing, put together from its parts. */
#include <string.h>
#include "api/client.h"
#include "base/sync.h"
#include "strategy/control.h"

static uint64_t get(const _Atomic uint64_t *counter)
{
  return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_calls(const struct call_counters *n, pmx_stats *all)
{
  all->replies = get(&n->replies);
  all->server_errors = get(&n->server_errors);
  all->not_run = get(&n->not_run);
  all->unknown = get(&n->unknown);
  all->invalid = get(&n->invalid);
  all->retries = get(&n->retries);
  all->orphans = get(&n->orphans);
  all->commands = all->replies + all->server_errors + all->not_run + all->unknown + all->invalid;
  all->routed_asked = get(&n->routed[REASON_WISH]);
  all->routed_blocking = get(&n->routed[REASON_BLOCKS]);
  all->routed_parking = get(&n->routed[REASON_PARKS]);
  all->routed_large = get(&n->routed[REASON_LARGE]);
  all->routed_batch = get(&n->routed[REASON_BATCH]);
  all->routed_control = get(&n->routed[REASON_CONTROL]);
  all->routed_unknown = get(&n->routed[REASON_UNKNOWN]);
  all->routed_learned = get(&n->routed[REASON_LEARNED]);
}

void pmx_stats_get(const pmx_client *c, pmx_stats *ret)
{
  size_t size = ret ? ret->size : 0;
  pmx_stats all = PMX_STATS_INIT;
  struct runtime *rt = c ? atomic_load(&((pmx_client *)(uintptr_t)c)->runtime) : NULL;

  if (!ret)
    return;
  /* A runtime of before fork() is not looked at. */
  if (rt && rt->fork_generation == fork_generation()) {
    rt->node.strategy->ops->stats(rt->node.strategy, &all);
    all.bad_returns += get(&rt->bad_returns);
    all.pushes = get(&rt->node.env.pushes);
    control_stats(rt->node.control, &all);
    subscriber_stats(rt->node.subscriber, &all);
  }
  if (c)
    add_calls(&c->counters, &all);
  /* A program built with an older header has a shorter struct. */
  all.size = size < sizeof all ? size : sizeof all;
  memcpy(ret, &all, all.size);
  ret->size = size;
}
