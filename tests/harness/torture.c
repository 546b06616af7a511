/* SPDX-License-Identifier: BSD-3-Clause */
/* torture.c - the loop that lets each allocation fail in turn. Knows the allocator only as two
 * functions. */
#include "torture.h"
#include "util.h"

enum { MAX_RUNS = 1000000 };

static uint64_t torture_kind(const struct torture_hooks *hooks, int sticky, torture_run run,
                             torture_check check, void *ud)
{
  for (uint64_t n = 1; n <= MAX_RUNS; n++) {
    bool hit;

    hooks->fail_at(n, sticky);
    run(ud);
    hit = hooks->count() >= n;
    hooks->fail_at(0, 0);
    check(ud, n, sticky, hit);
    if (!hit)
      return n;
  }
  harness_die("torture: still failing allocations after %d runs", MAX_RUNS);
}

uint64_t torture_with(const struct torture_hooks *hooks, torture_run run, torture_check check,
                      void *ud)
{
  uint64_t runs = torture_kind(hooks, 0, run, check, ud);

  return runs + torture_kind(hooks, 1, run, check, ud);
}
