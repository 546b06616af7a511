/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.c - owns the library's only view of time, CLOCK_MONOTONIC in nanoseconds. Knows no wall
 * clock: a jump of the system's time must never move a deadline. */
#include "base/clock.h"
#include <time.h>

int64_t clock_ns(void)
{
  struct timespec now;
  int64_t ns;

  /* Cannot fail: the clock exists on every Linux, and the argument is valid. */
  clock_gettime(CLOCK_MONOTONIC, &now);
  ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
  return ns > 0 ? ns : 1;
}

int64_t time_after(int64_t now, int64_t span)
{
  int64_t sum;

  if (now == TIME_FOREVER || span == TIME_FOREVER)
    return TIME_FOREVER;
  if (!__builtin_add_overflow(now, span, &sum))
    return sum;
  return span > 0 ? TIME_FOREVER : INT64_MIN;
}

int64_t time_from_ms(int64_t ms)
{
  if (ms <= 0)
    return 0;
  return ms > INT64_MAX / NS_PER_MS ? TIME_FOREVER : ms * NS_PER_MS;
}
