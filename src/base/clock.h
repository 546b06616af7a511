/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.h - monotonic time in nanoseconds. Replaced at link time by the simulator. */
#ifndef PMX_BASE_CLOCK_H
#define PMX_BASE_CLOCK_H
#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define TIME_FOREVER INT64_MAX /* a deadline that never comes */

int64_t clock_ns(void);                        /* CLOCK_MONOTONIC; never 0 */
int64_t time_after(int64_t now, int64_t span); /* now + span, TIME_FOREVER instead of overflow */
int64_t time_from_ms(int64_t ms);              /* to ns, saturating; negative becomes 0 */

#endif
