/* SPDX-License-Identifier: BSD-3-Clause */
/* muxing.h - what the tests of shared connections share: crowds of calls that run at the same time,
 * one behind the other in a known order, and what the other side has seen of them. */
#ifndef MUXING_H
#define MUXING_H
#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"

/* ---- calls in the background ---- */
struct caller {
  struct waiting waiting;
  char command[48];
};
/* "GET key-0" … "GET key-(n-1)", the next one only when the one before is queued or in flight. The
 * connection must not answer yet. call NULL: the default. */
void callers_start(struct caller *, int n, pmx_client *, const pmx_call *call);
void caller_start(struct caller *, pmx_client *, const char *command, const pmx_call *call);
pmx_reply *caller_end(struct caller *); /* the reply is the caller's */
/* Each of them ends with the value of its key; or with this status and cause. */
void callers_check_values(struct caller *, int n);
void callers_check_fail(struct caller *, int n, pmx_status, pmx_cause);
pmx_reply *get_in(pmx_client *, const char *key, int64_t timeout_ms);

/* ---- the lane ---- */
uint64_t outstanding(const pmx_client *);             /* queued or in flight */
void check_outstanding(const pmx_client *, uint64_t); /* waits for it */
/* Waits until the reactor watches the lane, as it does soon after the last use: from then on what
 * the server does by itself is noticed. */
void wait_unused(void);

/* ---- the other side ---- */
/* The keys of all GETs in the order in which they came, with blanks between; free() it. */
char *keys_seen(struct fake *);

#endif
