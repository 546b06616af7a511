/* SPDX-License-Identifier: BSD-3-Clause */
/* park.h - where one thread sleeps until somebody wakes it, in one of two forms: on a futex, or on
 * a condition variable. Replaced at link time by the simulator.
 *
 * Wakes are remembered; the protocol is: ticket = parker_ticket(p); look at the condition;
 * parker_park(p, ticket, deadline). Spurious wake-ups are allowed; a wake between ticket and park
 * is never lost. A waker may be inside parker_wake() when the owner, who saw the condition, is long
 * on its way: before a parker is destroyed something else must have made sure that no waker is
 * left, such as the lock under which they wake. */
#ifndef PMX_BASE_PARK_H
#define PMX_BASE_PARK_H
#include <stdatomic.h>
#include <stdint.h>

/* PMX_PARK_COND is configure's --with-park=cond. */
#if defined(__linux__) && !defined(PMX_PARK_COND)
#define PARK_FUTEX 1
#define PARK_NAME "futex"
#else
#define PARK_FUTEX 0
#define PARK_NAME "cond"
#include <pthread.h>
#endif

struct parker {
  _Atomic uint32_t word; /* another number after each wake */
#if !PARK_FUTEX
  pthread_mutex_t mutex;
  pthread_cond_t woken;
#endif
  struct parker *next; /* of those that are free, see parkers.h */
};

void parker_init(struct parker *);
void parker_destroy(struct parker *);
uint32_t parker_ticket(struct parker *);
/* 0 woken, 1 time is up. Thread: its owner. Locks: none. A cancellation point, so never with thread
 * cancellation enabled. */
int parker_park(struct parker *, uint32_t ticket, int64_t deadline_ns);
void parker_wake(struct parker *); /* any thread */

#endif
