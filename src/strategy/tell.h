/* SPDX-License-Identifier: BSD-3-Clause */
/* tell.h - what the program is told of connections, the same by each that has some: an event and a
 * line in the log. Each connection that was announced is ended once, by one of the two below.
 * `name`: who has it, and where it leads to. Any lock may be held. */
#ifndef PMX_STRATEGY_TELL_H
#define PMX_STRATEGY_TELL_H
#include "link/link.h"

/* Something that may happen thousands of times a second is told once in that time. */
struct occasion {
  int64_t next;
  unsigned count;
};
unsigned tell_due(struct occasion *, int64_t now); /* so often it happened; 0: not now */

void tell_connected(const struct link *, const char *name, const char *what_for);
/* It broke, or is of no more use. next: what will be done about it. */
void tell_lost(const struct link *, const char *name, const char *why, const char *next);
/* In due course; cause CLOSED: with the client. */
void tell_closed(const struct link *, const char *name, pmx_cause, const char *why);

#endif
