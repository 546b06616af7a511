/* SPDX-License-Identifier: BSD-3-Clause */
/* histogram.h - how often something took how long. A fixed array of log-linear buckets, counted up
 * without lock, allocation or loop; knows nothing of what is measured.
 *
 * Buckets. The unit is a microsecond, any part of one counts as a whole. Eight buckets of one each
 * come first, then each power of two is cut into eight equal ones: bucket i holds the times above
 * the bound of i - 1 and up to its own, and no bucket is wider than an eighth of what it holds, or
 * than a microsecond. So a percentile, which is told as the bound of its bucket, is never less than
 * the true one, and more by an eighth and a microsecond at most. What is 0 or less counts as 1 ns;
 * what is longer than 2^30 us, 18 minutes, is in the last, whose
 * bound is the longest time that was seen.
 *
 * A histogram with one writer at a time (who has its owner's lock) is counted up with plain stores,
 * one with many with atomic additions. Readers need no lock for either: each number is whole, and
 * `count` is the sum of the buckets that were read; sum and max may lack what is being added. */
#ifndef PMX_BASE_HISTOGRAM_H
#define PMX_BASE_HISTOGRAM_H
#include <poolmux/poolmux.h>
#include <stdatomic.h>

struct histogram {
  _Atomic uint64_t sum, max; /* ns */
  _Atomic uint64_t buckets[PMX_HISTOGRAM_BUCKETS];
};

uint64_t histogram_count(const struct histogram *);
void histogram_add_to(const struct histogram *, pmx_histogram *); /* what it has, on top */
uint64_t histogram_bound(unsigned i); /* ns: the longest time in it; of the last: UINT64_MAX */

/* STEPS buckets for each power of two of microseconds. */
enum { HISTOGRAM_STEP_BITS = 3, HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS };
enum { HISTOGRAM_LAST = PMX_HISTOGRAM_BUCKETS - 1, HISTOGRAM_UNIT = 1000 /* ns */ };

/* The bucket of a time, which is not 0. What follows is in the header for it is a part of every
 * call. */
static inline unsigned histogram_index(uint64_t ns)
{
  /* Times up to a bound belong to it, so one less is looked at: whole microseconds then say all. */
  uint64_t us = (ns - 1) / HISTOGRAM_UNIT;
  unsigned shift, i;

  if (us < HISTOGRAM_STEPS)
    return (unsigned)us;
  shift = 63 - (unsigned)__builtin_clzll(us) - HISTOGRAM_STEP_BITS;
  i = shift * HISTOGRAM_STEPS + (unsigned)(us >> shift);
  return i < HISTOGRAM_LAST ? i : HISTOGRAM_LAST;
}

static inline uint64_t histogram_get(const _Atomic uint64_t *number)
{
  return atomic_load_explicit(number, memory_order_relaxed);
}

static inline void histogram_set(_Atomic uint64_t *number, uint64_t value)
{
  atomic_store_explicit(number, value, memory_order_relaxed);
}

void histogram_raise(struct histogram *, uint64_t max); /* to that, unless it is higher */

/* Thread: any. */
static inline void histogram_record(struct histogram *h, int64_t ns)
{
  uint64_t time = ns > 0 ? (uint64_t)ns : 1;

  if (time > histogram_get(&h->max))
    histogram_raise(h, time);
  atomic_fetch_add_explicit(&h->sum, time, memory_order_relaxed);
  atomic_fetch_add_explicit(&h->buckets[histogram_index(time)], 1, memory_order_relaxed);
}

/* One thread at a time. */
static inline void histogram_record_own(struct histogram *h, int64_t ns)
{
  uint64_t time = ns > 0 ? (uint64_t)ns : 1;
  _Atomic uint64_t *bucket = &h->buckets[histogram_index(time)];

  if (time > histogram_get(&h->max))
    histogram_set(&h->max, time);
  histogram_set(&h->sum, histogram_get(&h->sum) + time);
  histogram_set(bucket, histogram_get(bucket) + 1);
}

/* The same for a time of 0. */
static inline void histogram_record_none(struct histogram *h)
{
  histogram_set(&h->sum, histogram_get(&h->sum) + 1);
  histogram_set(&h->buckets[0], histogram_get(&h->buckets[0]) + 1);
}

#endif
