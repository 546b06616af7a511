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

/* Those who sit in one row can be woken together, on a futex with one system call. */
struct park_row {
  _Atomic uint32_t word; /* another number after each wake in it */
};

enum { PARK_SEATS = 32 }; /* of a row */

struct parker {
  _Atomic uint32_t word; /* another number after each wake */
#if PARK_FUTEX
  uint32_t seat; /* one bit */
  struct park_row *row;
  struct park_row own; /* of one that sits alone */
#else
  pthread_mutex_t mutex;
  pthread_cond_t woken;
#endif
  struct parker *next; /* of those that are free, see parkers.h */
};

void parker_init(struct parker *); /* alone; must not be moved */
/* In a row that lives as long, on a seat of its own: 0 to PARK_SEATS - 1. */
void parker_init_in(struct parker *, struct park_row *, unsigned seat);
void parker_destroy(struct parker *);
uint32_t parker_ticket(struct parker *);
/* 0 woken, 1 time is up. Thread: its owner. Locks: none. A cancellation point, so never with thread
 * cancellation enabled. */
int parker_park(struct parker *, uint32_t ticket, int64_t deadline_ns);
void parker_wake(struct parker *); /* any thread */
/* All of them, in about this order: several parker_wake in one. */
void parkers_wake(struct parker *const *, unsigned count);

#endif
