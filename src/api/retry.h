/* SPDX-License-Identifier: BSD-3-Clause */
/* retry.h - whether a call is sent again, and what its outcome is as a whole. */
#ifndef PMX_API_RETRY_H
#define PMX_API_RETRY_H
#include "api/call.h"

struct attempts {
  unsigned tries;  /* that were followed by another */
  unsigned resent; /* of these, how many may have run */
  int may_have_run;
  int conflicts; /* tries that ended CONFLICT */
};

enum { RETRY_NOT = -1 };

/* 1: an answer of a server that takes no commands just now, and has not begun this one. */
int retry_is_refusal(const struct order *, const pmx_reply *);

/* After a try with this outcome: when the next is to begin (ns; now or later), or RETRY_NOT. */
int64_t retry_at(const pmx_client *, const struct order *, const struct call *, const pmx_reply *,
                 struct attempts *, int64_t now);
/* The next try begins: `reply`, the last outcome, is freed. */
void retry_begins(pmx_client *, struct attempts *, pmx_reply *);
/* The outcome of the call, told from that of its last try, which is taken over. */
pmx_reply *retry_sum_up(const struct order *, const struct attempts *, pmx_reply *);

#endif
