/* SPDX-License-Identifier: BSD-3-Clause */
/* unknown.h - commands that neither the table nor the rules know, those of modules for instance:
 * the server is asked once what each is. */
#ifndef PMX_API_UNKNOWN_H
#define PMX_API_UNKNOWN_H
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include "call/route.h"

enum { UNKNOWN_SLOTS = 256 }; /* names kept; a power of two */

struct unknown;

struct unknowns {
  _Atomic(struct unknown *) slots[UNKNOWN_SLOTS];
};

/* Corrects the place of a command with REASON_UNKNOWN when the server has said that it may share a
 * lane. Asks it, without waiting, when nobody has. Thread: any. Locks: none. */
void unknown_settle(pmx_client *, struct unknowns *, const char *name, size_t len, struct route *);
/* The same, and asks nobody. */
void unknown_look(const struct unknowns *, const char *name, size_t len, struct route *);
void unknowns_destroy(struct unknowns *);

#endif
