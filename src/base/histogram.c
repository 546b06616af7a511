/* SPDX-License-Identifier: BSD-3-Clause */
/* histogram.c - see histogram.h. What is not a part of every call. */
#include "base/histogram.h"

_Static_assert(HISTOGRAM_LAST == (30 - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS,
               "the buckets end at 2^30 us");

uint64_t histogram_bound(unsigned i)
{
  uint64_t us = (uint64_t)i + 1;

  if (i >= HISTOGRAM_LAST)
    return UINT64_MAX;
  if (i >= HISTOGRAM_STEPS)
    us = (uint64_t)(HISTOGRAM_STEPS + i % HISTOGRAM_STEPS + 1) << (i / HISTOGRAM_STEPS - 1);
  return us * HISTOGRAM_UNIT;
}

void histogram_raise(struct histogram *h, uint64_t max)
{
  uint64_t now = histogram_get(&h->max);

  while (max > now && !atomic_compare_exchange_weak_explicit(
                          &h->max, &now, max, memory_order_relaxed, memory_order_relaxed))
    ;
}

uint64_t histogram_count(const struct histogram *h)
{
  uint64_t count = 0;

  for (unsigned i = 0; i < PMX_HISTOGRAM_BUCKETS; i++)
    count += histogram_get(&h->buckets[i]);
  return count;
}

void histogram_add_to(const struct histogram *h, pmx_histogram *ret)
{
  uint64_t max;

  for (unsigned i = 0; i < PMX_HISTOGRAM_BUCKETS; i++) {
    uint64_t n = histogram_get(&h->buckets[i]);

    ret->buckets[i] += n;
    ret->count += n;
  }
  ret->sum_ns += histogram_get(&h->sum);
  max = histogram_get(&h->max);
  ret->max_ns = max > ret->max_ns ? max : ret->max_ns;
}
