/* SPDX-License-Identifier: BSD-3-Clause */
/* timing.c - see timing.h. */
#include "call/timing.h"
#include "base/clock.h"

void timing_left(struct timing *t, int64_t now, uint64_t link)
{
  t->left_at = now;
  t->answered_at = 0;
  t->link = link;
}

void timing_answered(struct timing *t, const pmx_reply *reply)
{
  if (pmx_reply_status(reply) == PMX_NOT_RUN)
    t->left_at = t->answered_at = 0;
  else
    t->answered_at = clock_ns();
}

void timing_end(struct timing *t, const pmx_reply *reply)
{
  int left = t->left_at != 0 && pmx_reply_status(reply) != PMX_NOT_RUN;
  int64_t end = t->answered_at ? t->answered_at : clock_ns();

  t->queued += (left ? t->left_at : end) - t->queued_at;
  t->wire += left ? end - t->left_at : 0;
  t->conn = left ? t->link : t->conn;
}
