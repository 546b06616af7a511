/* SPDX-License-Identifier: BSD-3-Clause */
/* measure.c - see measure.h. */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t now_ns(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- histogram: each power of two is cut into 64 buckets; below 128 each value has its own ----
 */

enum { CUT_BITS = 6, CUTS = 1 << CUT_BITS };
static const uint64_t LONGEST = UINT64_C(1) << 40;

static size_t bucket_of(uint64_t value)
{
  unsigned shift = value < 2 * CUTS ? 0 : (unsigned)(63 - CUT_BITS - __builtin_clzll(value));

  if (value >= LONGEST)
    return HISTOGRAM_BUCKETS - 1;
  return (size_t)shift * CUTS + (size_t)(value >> shift);
}

int64_t histogram_upper(size_t bucket)
{
  unsigned shift = bucket < 2 * CUTS ? 0 : (unsigned)(bucket / CUTS - 1);
  uint64_t low = (uint64_t)(bucket - (size_t)shift * CUTS) << shift;

  return (int64_t)(low + (UINT64_C(1) << shift) - 1);
}

static double middle_of(size_t bucket)
{
  unsigned shift = bucket < 2 * CUTS ? 0 : (unsigned)(bucket / CUTS - 1);
  uint64_t low = (uint64_t)(bucket - (size_t)shift * CUTS) << shift;

  return (double)low + (double)((UINT64_C(1) << shift) - 1) / 2;
}

void histogram_add(struct histogram *h, int64_t ns)
{
  uint64_t value = ns > 0 ? (uint64_t)ns : 0;
  size_t bucket = bucket_of(value);

  if (h->count == 0 || bucket < h->low)
    h->low = bucket;
  if (h->count == 0 || bucket > h->high)
    h->high = bucket;
  h->count++;
  h->sum_ns += value;
  if (value > h->max_ns)
    h->max_ns = value;
  h->buckets[bucket]++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
  if (from->count == 0)
    return;
  if (h->count == 0 || from->low < h->low)
    h->low = from->low;
  if (h->count == 0 || from->high > h->high)
    h->high = from->high;
  h->count += from->count;
  h->sum_ns += from->sum_ns;
  if (from->max_ns > h->max_ns)
    h->max_ns = from->max_ns;
  for (size_t i = from->low; i <= from->high; i++)
    h->buckets[i] += from->buckets[i];
}

void histogram_clear(struct histogram *h)
{
  if (h->count == 0)
    return;
  memset(h->buckets + h->low, 0, (h->high - h->low + 1) * sizeof *h->buckets);
  h->count = h->sum_ns = h->max_ns = 0;
}

int64_t histogram_quantile(const struct histogram *h, double q)
{
  uint64_t rank = (uint64_t)(q * (double)h->count), seen = 0;

  if (h->count == 0)
    return 0;
  if (rank >= h->count)
    return (int64_t)h->max_ns;
  for (size_t i = h->low; i <= h->high; i++) {
    seen += h->buckets[i];
    if (seen > rank)
      return middle_of(i) < (double)h->max_ns ? (int64_t)middle_of(i) : (int64_t)h->max_ns;
  }
  return (int64_t)h->max_ns;
}

/* ---- medians ---- */

static int compare(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

static double at(const double *sorted, size_t n, double q)
{
  double place = q * (double)(n - 1);
  size_t i = (size_t)place;

  if (i + 1 >= n)
    return sorted[n - 1];
  return sorted[i] + (place - (double)i) * (sorted[i + 1] - sorted[i]);
}

struct spread spread_of(double *values, size_t n)
{
  if (n == 0)
    return (struct spread){0};
  qsort(values, n, sizeof *values, compare);
  return (struct spread){at(values, n, 0.5), at(values, n, 0.25), at(values, n, 0.75)};
}

/* ---- text ---- */

const char *count_text(char buf[NUMBER_SIZE], double n)
{
  char digits[NUMBER_SIZE];
  size_t len = (size_t)snprintf(digits, sizeof digits, "%.0f", n), out = 0;

  for (size_t i = 0; i < len && out + 2 < NUMBER_SIZE; i++) {
    if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
      buf[out++] = ',';
    buf[out++] = digits[i];
  }
  buf[out] = '\0';
  return buf;
}

const char *duration_text(char buf[NUMBER_SIZE], double ns)
{
  static const struct unit {
    double ns;
    const char *name;
  } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}};
  size_t i = 0;

  while (i < 2 && ns < units[i].ns)
    i++;
  ns /= units[i].ns;
  snprintf(buf, NUMBER_SIZE, "%.*f %s", ns < 10 ? 2 : ns < 100 ? 1 : 0, ns, units[i].name);
  return buf;
}

int parse_count(const char *text, long low, long high, long *ret)
{
  char *end;
  long n;

  errno = 0;
  n = strtol(text, &end, 10);
  if (errno || end == text || *end || n < low || n > high)
    return 0;
  *ret = n;
  return 1;
}
