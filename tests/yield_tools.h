/* SPDX-License-Identifier: BSD-3-Clause */
/* yield_tools.h - what the tests of giving way share: the clock and the turns are this file's, with
 * which yield's source stands here once more, and is linked instead of the library's. */
#ifndef YIELD_TOOLS_H
#define YIELD_TOOLS_H
#include <check.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/sync.h"
#include "harness/checks.h"

static inline int64_t virtual_ns(void);
static inline void virtual_turn(void);
#define clock_ns virtual_ns
#define thread_yield virtual_turn
#include "link/yield.c"
#undef clock_ns
#undef thread_yield

enum { LEAST = 4, MANY = 64, TURN_NS = 5000, FIRST_NS = 12345, MS = 1000 * 1000 };

/* ---- the clock, and what a turn does ---- */

static struct {
  int64_t now;
  unsigned turns;
  unsigned late_turn; /* this one takes late_ns, all others TURN_NS; 0: none */
  int64_t late_ns;
  unsigned last_turn;   /* the request ends in this one; 0: in none */
  unsigned cancel_turn; /* it is cancelled in this one; 0: in none */
  _Atomic int canceled;
  struct request *req;
} sim;

static inline int64_t virtual_ns(void)
{
  return sim.now;
}

static inline void virtual_turn(void)
{
  sim.turns++;
  sim.now += sim.turns == sim.late_turn ? sim.late_ns : TURN_NS;
  if (sim.turns == sim.last_turn)
    request_set_state(sim.req, REQUEST_ENDED);
  if (sim.turns == sim.cancel_turn)
    atomic_store(&sim.canceled, 1);
}

static inline void begin_at(struct yield *y, struct request *req, int64_t now)
{
  request_init(req, REQUEST_COMMAND);
  request_set_state(req, REQUEST_QUEUED);
  req->attended = 1;
  req->queued_at = now;
  yield_begin(y, req);
}

/* Of one caller alone, now: to so many he gives way. */
static inline unsigned crowd_met(struct yield *y, int64_t now)
{
  struct request req;

  begin_at(y, &req, now);
  yield_end(y, &req, 0);
  return req.crowd;
}

/* So many callers have been under way when an answer came. */
static inline void crowd_of(struct yield *y, unsigned n)
{
  struct request *all = harness_alloc((n + 1) * sizeof *all);

  yield_init(y);
  for (unsigned i = 0; i < n; i++) {
    begin_at(y, &all[i], FIRST_NS);
    ck_assert_uint_eq(all[i].crowd, 0); /* nobody knows of it yet */
  }
  yield_note_crowd(y);
  for (unsigned i = 0; i < n; i++)
    yield_end(y, &all[i], 1);
  free(all);
  ck_assert_uint_eq(y->callers, 0);
}

#endif
