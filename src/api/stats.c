/* SPDX-License-Identifier: BSD-3-Clause */
/* stats.c - one picture of what a client has done and is doing, as numbers and as histograms. */
#include <string.h>
#include "api/snapshot.h"

/* A program built with an older header has a shorter struct. */
static void give(pmx_stats *ret, pmx_stats *all)
{
  size_t size = ret->size;

  all->size = size < sizeof *all ? size : sizeof *all;
  memcpy(ret, all, all->size);
  ret->size = size;
}

void pmx_stats_get(const pmx_client *c, pmx_stats *ret)
{
  struct runtime *rt = snapshot_runtime(c);
  pmx_stats all = PMX_STATS_INIT;
  struct account account = {.times = NULL};

  if (!ret)
    return;
  if (rt) {
    struct strategy *strategy = rt->node.strategy, *control = rt->node.control;

    for (unsigned i = 0; strategy->ops->account(strategy, i, &account); i++)
      snapshot_add(&all, &account.stats);
    snapshot_node(rt, &all);
    control->ops->account(control, 0, &account);
    snapshot_control(&all, &account.stats);
  }
  if (c)
    snapshot_calls(c, &all);
  give(ret, &all);
}

int pmx_stats_lane(const pmx_client *c, unsigned lane, pmx_stats *ret)
{
  struct runtime *rt = snapshot_runtime(c);
  pmx_stats none = PMX_STATS_INIT;
  struct account account = {.times = NULL};

  if (!ret)
    return 0;
  for (unsigned i = 0; rt && rt->node.strategy->ops->account(rt->node.strategy, i, &account); i++) {
    if (account.kind != ACCOUNT_LANE || account.lane != lane)
      continue;
    give(ret, &account.stats);
    return 1;
  }
  give(ret, &none);
  return 0;
}

/* ---- histograms ---- */

static void add_accounts(struct runtime *rt, pmx_histogram_kind kind, pmx_histogram *ret)
{
  pmx_histogram times[ACCOUNT_TIMES];
  struct account account = {.times = times};
  struct strategy *strategy = rt->node.strategy;

  memset(times, 0, sizeof times); /* one after the other is added to the same */
  for (unsigned i = 0; strategy->ops->account(strategy, i, &account); i++)
    ;
  *ret = times[kind];
}

static void give_histogram(pmx_histogram *ret, const pmx_histogram *all)
{
  size_t size = ret->size;

  memcpy(ret, all, size < sizeof *all ? size : sizeof *all);
  ret->size = size;
}

int pmx_stats_histogram(const pmx_client *c, pmx_histogram_kind kind, pmx_histogram *ret)
{
  struct runtime *rt = snapshot_runtime(c);
  pmx_histogram all;
  int known = kind <= PMX_HISTOGRAM_CALL;

  if (!ret)
    return 0;
  memset(&all, 0, sizeof all);
  if (kind == PMX_HISTOGRAM_CALL && c) {
    for (int i = 0; i < CALL_OUTCOMES; i++)
      snapshot_call_times(c, (enum call_outcome)i, &all);
  } else if (known && rt && kind != PMX_HISTOGRAM_CALL) {
    add_accounts(rt, kind, &all);
  }
  give_histogram(ret, &all);
  return known;
}

uint64_t pmx_histogram_bound(unsigned i)
{
  return histogram_bound(i);
}

static uint64_t rank_of(double percent, uint64_t count)
{
  double rank = percent / 100 * (double)count;
  uint64_t whole;

  if (!(rank > 1))
    return 1;
  if (rank >= (double)count)
    return count;
  whole = (uint64_t)rank;
  return (double)whole < rank ? whole + 1 : whole;
}

uint64_t pmx_histogram_percentile(const pmx_histogram *h, double percent)
{
  uint64_t left, longest;

  if (!h || h->size < sizeof *h || h->count == 0)
    return 0;
  left = rank_of(percent, h->count);
  for (unsigned i = 0; i < PMX_HISTOGRAM_BUCKETS; i++) {
    if (h->buckets[i] < left) {
      left -= h->buckets[i];
      continue;
    }
    longest = i > 0 ? histogram_bound(i - 1) : 0; /* max may not have been told yet */
    longest = h->max_ns > longest ? h->max_ns : longest + 1;
    return histogram_bound(i) < longest ? histogram_bound(i) : longest;
  }
  return h->max_ns;
}
