/* SPDX-License-Identifier: BSD-3-Clause */
/* heap.h - an intrusive pairing heap of times: the earliest is found at once, adding is O(1),
 * taking any out O(log n) in the long run. What is added in order, as deadlines of calls with the
 * same timeout are, stays a list beside it, from which taking out is O(1). Allocates nothing. Under
 * its owner's lock. */
#ifndef PMX_BASE_HEAP_H
#define PMX_BASE_HEAP_H
#include <stddef.h>
#include <stdint.h>

struct heap_node {
  int64_t key;
  struct heap_node *child, *next; /* child: itself, when it is on the list */
  struct heap_node **place;       /* what points to it; NULL: it is in no heap */
};

struct heap { /* all NULL: empty */
  struct heap_node *root;
  struct heap_node *oldest, *newest; /* of the list */
};

struct heap_node *heap_first(const struct heap *);             /* the earliest, or NULL */
void heap_add(struct heap *, struct heap_node *, int64_t key); /* it is in no heap */
void heap_remove(struct heap *, struct heap_node *);           /* twice is harmless */

#endif
