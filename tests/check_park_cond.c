/* SPDX-License-Identifier: BSD-3-Clause */
/* check_park_cond.c - tests parking on a condition variable, whatever form the library has: its
 * sources stand here once more, and are linked instead of the library's. */
#ifndef PMX_PARK_COND
#define PMX_PARK_COND
#endif
#include "base/park.c"
#include "base/parkers.c"
#include "park_tests.h"

int main(void)
{
  return park_tests_run("park_cond");
}
