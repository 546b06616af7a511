/* SPDX-License-Identifier: BSD-3-Clause */
/* torture.h - what happens when memory runs out: runs the same thing again and again, each time
 * with another allocation failing, until a run gets through without meeting the failure.
 *
 * The library allocates through src/base/mem.h: after mem_fail_at(n, 0) its n-th allocation fails,
 * after mem_fail_at(n, 1) all later ones as well, and mem_count() says how many were asked for.
 * Only for tests that link the library's objects; other threads' allocations count too. */
#ifndef HARNESS_TORTURE_H
#define HARNESS_TORTURE_H
#include <stdbool.h>
#include <stdint.h>

typedef void (*torture_run)(void *ud);
/* Called after each run, with failing switched off. hit: an allocation failed in this run; the last
 * run of each kind is the one without. Here belong the assertions and the cleaning up. */
typedef void (*torture_check)(void *ud, uint64_t n, bool sticky, bool hit);

struct torture_hooks {
  void (*fail_at)(uint64_t n, int sticky);
  uint64_t (*count)(void);
};

/* Runs with n = 1, 2 … for "once", then for "from then on"; returns how many runs there were. More
 * than a million of one kind ends the program: something allocates without end. */
uint64_t torture_with(const struct torture_hooks *, torture_run, torture_check, void *ud);

/* The same with the hooks of base/mem.h, which the including file must have included. */
#define torture(run, check, ud)                                                                    \
  torture_with(&(const struct torture_hooks){mem_fail_at, mem_count}, (run), (check), (ud))

#endif
