/* SPDX-License-Identifier: BSD-3-Clause */
/* yield.h - a crowd gives way. A synchronous caller that has queued its request lets other threads
 * have its processor, a few times, before it looks at its lane. Those who were answered together
 * with it queue theirs meanwhile, so one write takes them all; and most are answered before they
 * would have slept, which saves the sleep and the wake.
 *
 * It pays where those who want the processor are callers like it. It does not where they compute,
 * and keep it for a slice of the system's each time: then it comes late. Nor where the server is so
 * far that callers sleep all the same. So there is a credit: an answer in time adds to it, a sleep
 * takes a little from it, coming late takes half of all there can be. Without credit nobody gives
 * way, for a while that is twice as long each time; then a little is given, for a trial. */
#ifndef PMX_LINK_YIELD_H
#define PMX_LINK_YIELD_H
#include "call/request.h"

#ifndef YIELD_CROWD
#define YIELD_CROWD 4 /* so many synchronous callers are a crowd */
#endif

/* Of one lane, under its lock. */
struct yield {
  uint8_t off;      /* mux.yield */
  unsigned callers; /* synchronous ones, whose requests have not ended */
  unsigned crowd;   /* the same when an answer comes: the most, fading */
  unsigned credit;
  uint64_t earned;   /* since the last trial began */
  int64_t pause;     /* ns: how long nobody gives way when the credit is gone again */
  int64_t resume_at; /* ns */
  int64_t late_at;   /* ns: when somebody came late last */
};

void yield_init(struct yield *);
/* It begins: says in request.crowd and .turns whether its issuer gives way. */
void yield_begin(struct yield *, struct request *);
/* It has ended. in_time: answered, and its issuer was still awake. */
void yield_end(struct yield *, const struct request *, int in_time);
void yield_slept(struct yield *, const struct request *); /* its issuer has to sleep after all */
/* Its issuer has given way from `since` to now, which was too long. */
void yield_late(struct yield *, const struct request *, int64_t since, int64_t now);
void yield_note_crowd(struct yield *); /* an answer comes */

/* Gives way until it has ended, is cancelled, its time is up, or often enough. When it came back
 * too late: when it began; else -1. Thread: the issuer's. Locks: none. */
int64_t yield_give_way(struct request *, const _Atomic int *canceled);

#endif
