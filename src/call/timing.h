/* SPDX-License-Identifier: BSD-3-Clause */
/* timing.h - where the time of one call goes, for whoever traces calls. Its requests point to it;
 * nobody reads a clock for one that does not.
 *
 * A try begins when it is submitted (timing_begin) and ends when its request has (timing_end). In
 * between its bytes are offered to the kernel (timing_left) and its answer is decoded
 * (timing_answered), both by whoever owns the request just then: a link's owner, or under the
 * lane's lock. What was offered and not taken is offered again, or ends NOT_RUN: then it never
 * left. */
#ifndef PMX_CALL_TIMING_H
#define PMX_CALL_TIMING_H
#include <poolmux/poolmux.h>
#include <stdint.h>

struct timing {
  int64_t started; /* ns: the call */
  /* of this try, ns; 0: not yet */
  int64_t queued_at, left_at, answered_at;
  uint64_t link; /* number of the connection that it left on */
  /* of all tries that have ended */
  int64_t queued, wire; /* ns */
  uint64_t conn;        /* the last one that a try left on; 0: none did */
  /* the call's count of tries that were followed by another, and what it was before */
  const unsigned *retries;
  unsigned retries_before;
};

static inline void timing_begin(struct timing *t, int64_t now)
{
  t->queued_at = now;
  t->left_at = t->answered_at = 0;
}

/* Out of line: nothing of them is to be seen in a call that nobody traces. */
void timing_left(struct timing *, int64_t now, uint64_t link);
/* Or it ended without an answer. What ends NOT_RUN may be offered once more. */
void timing_answered(struct timing *, const pmx_reply *);
void timing_end(struct timing *, const pmx_reply *);

#endif
