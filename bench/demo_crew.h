/* SPDX-License-Identifier: BSD-3-Clause */
/* demo_crew.h - all callers of the demonstration, each in a thread of its own: their keys, their
 * start, their end, and whether the server agrees with what they were told. */
#ifndef BENCH_DEMO_CREW_H
#define BENCH_DEMO_CREW_H
#include "demo_caller.h"

enum { CREW_CALLERS = 32 };

struct crew;
/* Writes its keys, all beginning with the prefix, and starts. stop, which ends calls under way once
 * it is fired, and the pulse are borrowed. NULL: it could not, and has said why. */
struct crew *crew_start(pmx_client *, pmx_cancel *stop, const char *prefix, struct pulse *);
void crew_stop(struct crew *); /* returns when the last caller has ended what it was at */
/* After crew_stop: asks the server, and notes in the tally what does not agree. 0 = asked, -1 =
 * there was no answer. */
int crew_audit(struct crew *);
const struct tally *crew_tally(const struct crew *); /* after crew_stop */
void crew_free(struct crew *);                       /* removes its keys */

#endif
