/* SPDX-License-Identifier: BSD-3-Clause */
/* check_histogram.c - the buckets: that they leave nothing out, where their bounds are, how wrong a
 * percentile may be, what becomes of 0 and of what is too long; and writers at the same time. */
#include "base/histogram.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/util.h"

enum { US = 1000, LAST = PMX_HISTOGRAM_BUCKETS - 1 };
static const uint64_t too_long = (uint64_t)US << 30;

static pmx_histogram read_out(const struct histogram *h)
{
  pmx_histogram out = PMX_HISTOGRAM_INIT;

  histogram_add_to(h, &out);
  return out;
}

START_TEST(each_time_is_in_the_bucket_whose_bound_it_does_not_exceed)
{
  for (unsigned i = 0; i < LAST; i++) {
    uint64_t bound = histogram_bound(i);

    ck_assert_uint_eq(histogram_index(bound), i);
    ck_assert_uint_eq(histogram_index(bound + 1), i + 1);
    ck_assert_uint_eq(pmx_histogram_bound(i), bound);
  }
  ck_assert_uint_eq(histogram_bound(LAST - 1), too_long);
  ck_assert_uint_eq(histogram_bound(LAST), UINT64_MAX);
  ck_assert_uint_eq(pmx_histogram_bound(LAST + 1000), UINT64_MAX);
  ck_assert_uint_eq(histogram_index(1), 0);
  ck_assert_uint_eq(histogram_index(UINT64_MAX), LAST);
}
END_TEST

START_TEST(no_bucket_is_wider_than_an_eighth_of_what_it_holds)
{
  uint64_t before = 0;

  for (unsigned i = 0; i < LAST; i++) {
    uint64_t width = histogram_bound(i) - before;

    ck_assert_msg(width <= US || width <= before / 8, "bucket %u is %llu ns wide", i,
                  (unsigned long long)width);
    before = histogram_bound(i);
  }
}
END_TEST

START_TEST(zero_less_and_too_long_are_counted)
{
  struct histogram h = {0};
  pmx_histogram out;

  histogram_record(&h, 0);
  histogram_record_own(&h, -5);
  histogram_record_none(&h);
  histogram_record(&h, INT64_MAX / 4);
  histogram_record_own(&h, (int64_t)too_long + 1);
  out = read_out(&h);
  ck_assert_uint_eq(out.count, 5);
  ck_assert_uint_eq(histogram_count(&h), 5);
  ck_assert_uint_eq(out.buckets[0], 3);
  ck_assert_uint_eq(out.buckets[LAST], 2);
  ck_assert_uint_eq(out.max_ns, INT64_MAX / 4);
  ck_assert_uint_eq(out.sum_ns, 3 + INT64_MAX / 4 + too_long + 1);
  ck_assert_uint_eq(pmx_histogram_percentile(&out, 50), 1000);
  ck_assert_uint_eq(pmx_histogram_percentile(&out, 99), INT64_MAX / 4);
}
END_TEST

static int ascending(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return (x > y) - (x < y);
}

/* Times of all lengths, from ns to minutes. */
START_TEST(a_percentile_is_never_less_and_at_most_an_eighth_and_a_microsecond_more)
{
  enum { N = 20000 };
  static int64_t times[N];
  struct histogram h = {0};
  pmx_histogram out;
  struct rng rng;

  rng_seed(&rng, rng_fresh());
  for (int i = 0; i < N; i++) {
    times[i] = 1 + (int64_t)rng_below(&rng, (uint64_t)1 << (1 + rng_below(&rng, 39)));
    histogram_record_own(&h, times[i]);
  }
  qsort(times, N, sizeof times[0], ascending);
  out = read_out(&h);
  for (double percent = 0.1; percent <= 100; percent += 0.1) {
    size_t rank = (size_t)ceil(percent / 100 * N);
    uint64_t truth = (uint64_t)times[rank - 1], said = pmx_histogram_percentile(&out, percent);

    ck_assert_msg(said >= truth && said <= truth + truth / 8 + US, "%.1f %%: %llu, truly %llu",
                  percent, (unsigned long long)said, (unsigned long long)truth);
  }
  ck_assert_uint_eq(pmx_histogram_percentile(&out, 100), (uint64_t)times[N - 1]);
  ck_assert_uint_eq(out.max_ns, (uint64_t)times[N - 1]);
}
END_TEST

START_TEST(odd_percentages_are_those_of_the_shortest_and_the_longest)
{
  struct histogram h = {0};
  pmx_histogram out = PMX_HISTOGRAM_INIT;

  ck_assert_uint_eq(pmx_histogram_percentile(&out, 50), 0);
  ck_assert_uint_eq(pmx_histogram_percentile(NULL, 50), 0);
  histogram_record(&h, 5 * US);
  histogram_record(&h, 7 * US);
  out = read_out(&h);
  ck_assert_uint_eq(pmx_histogram_percentile(&out, -1), 5 * US);
  ck_assert_uint_eq(pmx_histogram_percentile(&out, NAN), 5 * US);
  ck_assert_uint_eq(pmx_histogram_percentile(&out, 50), 5 * US);
  ck_assert_uint_eq(pmx_histogram_percentile(&out, 50.1), 7 * US);
  ck_assert_uint_eq(pmx_histogram_percentile(&out, 1e9), 7 * US);
  ck_assert_uint_eq(pmx_histogram_percentile(&out, INFINITY), 7 * US);
  out.size = 0;
  ck_assert_uint_eq(pmx_histogram_percentile(&out, 50), 0);
}
END_TEST

START_TEST(histograms_add_up)
{
  struct histogram a = {0}, b = {0};
  pmx_histogram out = PMX_HISTOGRAM_INIT;

  histogram_record(&a, 3 * US);
  histogram_record(&b, 3 * US);
  histogram_record(&b, 100 * US);
  histogram_add_to(&b, &out);
  histogram_add_to(&a, &out);
  ck_assert_uint_eq(out.count, 3);
  ck_assert_uint_eq(out.buckets[2], 2);
  ck_assert_uint_eq(out.sum_ns, 106 * US);
  ck_assert_uint_eq(out.max_ns, 100 * US);
}
END_TEST

/* ---- writers at the same time, one who reads ---- */

enum { WRITERS = 4, TIMES = 20000 };

struct crowd {
  struct histogram shared, own;
  _Atomic int left;
};

static void *write_many(void *arg)
{
  struct crowd *c = arg;

  for (int i = 1; i <= TIMES; i++)
    histogram_record(&c->shared, i * US);
  atomic_fetch_sub(&c->left, 1);
  return NULL;
}

static void *write_alone(void *arg)
{
  struct crowd *c = arg;

  for (int i = 1; i <= TIMES; i++)
    histogram_record_own(&c->own, i * US);
  atomic_fetch_sub(&c->left, 1);
  return NULL;
}

static void check_all(const struct histogram *h, uint64_t writers)
{
  pmx_histogram out = read_out(h);

  ck_assert_uint_eq(out.count, writers * TIMES);
  ck_assert_uint_eq(out.sum_ns, writers * US * TIMES * (TIMES + 1) / 2);
  ck_assert_uint_eq(out.max_ns, (uint64_t)TIMES * US);
}

START_TEST(nothing_is_lost_with_many_writers_and_one_reader)
{
  static struct crowd crowd;
  pthread_t threads[WRITERS + 1];
  uint64_t before = 0;

  atomic_store(&crowd.left, WRITERS + 1);
  for (int i = 0; i <= WRITERS; i++)
    ck_assert_int_eq(
        pthread_create(&threads[i], NULL, i < WRITERS ? write_many : write_alone, &crowd), 0);
  while (atomic_load(&crowd.left) > 0) {
    pmx_histogram out = read_out(&crowd.shared);
    uint64_t sum = 0;

    for (unsigned i = 0; i < PMX_HISTOGRAM_BUCKETS; i++)
      sum += out.buckets[i];
    ck_assert_uint_eq(out.count, sum);
    ck_assert_uint_ge(out.count, before);
    before = out.count;
  }
  for (int i = 0; i <= WRITERS; i++)
    pthread_join(threads[i], NULL);
  check_all(&crowd.shared, WRITERS);
  check_all(&crowd.own, 1);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("histogram");

  tcase_add_test(tc, each_time_is_in_the_bucket_whose_bound_it_does_not_exceed);
  tcase_add_test(tc, no_bucket_is_wider_than_an_eighth_of_what_it_holds);
  tcase_add_test(tc, zero_less_and_too_long_are_counted);
  tcase_add_test(tc, a_percentile_is_never_less_and_at_most_an_eighth_and_a_microsecond_more);
  tcase_add_test(tc, odd_percentages_are_those_of_the_shortest_and_the_longest);
  tcase_add_test(tc, histograms_add_up);
  tcase_add_test(tc, nothing_is_lost_with_many_writers_and_one_reader);
  return checks_run("histogram", tc);
}
