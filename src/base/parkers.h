/* SPDX-License-Identifier: BSD-3-Clause */
/* parkers.h - the parkers of one runtime. They live until the slab is destroyed, so a waker may
 * touch one whose waiter has long gone. */
#ifndef PMX_BASE_PARKERS_H
#define PMX_BASE_PARKERS_H
#include "base/park.h"
#include "base/sync.h"

/* So many, a row at most, may wait at once before memory is asked for: pmx_close() has to wait
 * without any. The simulator has fewer, to see what becomes of those who get none. */
#ifndef PARKERS_AT_HAND
#define PARKERS_AT_HAND 16
#endif
_Static_assert(PARKERS_AT_HAND <= PARK_SEATS, "they sit in one row");

/* Must not be moved: what is free is chained. */
struct parker_slab {
  struct lock lock;
  struct parker *free;
  struct parker_block *blocks;
  struct park_row row_at_hand;
  struct parker at_hand[PARKERS_AT_HAND];
};

void parker_slab_init(struct parker_slab *);
void parker_slab_destroy(struct parker_slab *);
struct parker *parker_get(struct parker_slab *); /* NULL when out of memory */
void parker_put(struct parker_slab *, struct parker *);

#endif
