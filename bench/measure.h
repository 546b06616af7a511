/* SPDX-License-Identifier: BSD-3-Clause */
/* measure.h - what the measuring programs share: time, a histogram of durations, medians, and
 * numbers written for people. Knows nothing of the library. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H
#include <stddef.h>
#include <stdint.h>

int64_t now_ns(void); /* CLOCK_MONOTONIC */

/* Durations in buckets of at most 1/64 of their value; what is longer than 18 minutes is in the last
 * one. All zero is empty. */
enum { HISTOGRAM_BUCKETS = 2240 };
struct histogram {
  uint64_t count, sum_ns, max_ns;
  size_t low, high; /* unless it is empty: other buckets are 0 */
  uint64_t buckets[HISTOGRAM_BUCKETS];
};
void histogram_add(struct histogram *, int64_t ns);
void histogram_merge(struct histogram *, const struct histogram *from);
void histogram_clear(struct histogram *); /* touches no more than was used */
int64_t histogram_upper(size_t bucket);   /* ns: no value in it is larger, but in the last one */
int64_t histogram_quantile(const struct histogram *, double q); /* ns; 0 when empty */

/* Sorts the values; the middle one of them, and the quarters around it. */
struct spread {
  double median, low, high; /* low, high: a quarter of the values is outside on each side */
};
struct spread spread_of(double *values, size_t n);

enum { NUMBER_SIZE = 32 };
const char *count_text(char buf[NUMBER_SIZE], double n);     /* "1,234,567"; returns buf */
const char *duration_text(char buf[NUMBER_SIZE], double ns); /* "1.23 ms" */

/* "123" … with nothing behind it, between low and high: 1, and *ret is set; else 0. */
int parse_count(const char *text, long low, long high, long *ret);

#endif
