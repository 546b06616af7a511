/* SPDX-License-Identifier: BSD-3-Clause */
/* parkers.c - owns the parkers of a runtime: those in the slab itself, and blocks of more, which it
 * keeps. Knows nothing of how parking works. */
#include "base/parkers.h"
#include "base/mem.h"

/* One row: those who wait at the same time sit beside each other. */
struct parker_block {
  struct parker_block *next;
  struct park_row row;
  struct parker parkers[PARK_SEATS];
};

static void add_free(struct parker_slab *s, struct park_row *row, struct parker *parkers,
                     unsigned n)
{
  atomic_init(&row->word, 0);
  for (unsigned i = 0; i < n; i++) {
    parker_init_in(&parkers[i], row, i);
    parkers[i].next = s->free;
    s->free = &parkers[i];
  }
}

void parker_slab_init(struct parker_slab *s)
{
  lock_init(&s->lock);
  s->free = NULL;
  s->blocks = NULL;
  add_free(s, &s->row_at_hand, s->at_hand, PARKERS_AT_HAND);
}

static void destroy(struct parker *parkers, size_t n)
{
  for (size_t i = 0; i < n; i++)
    parker_destroy(&parkers[i]);
}

void parker_slab_destroy(struct parker_slab *s)
{
  while (s->blocks) {
    struct parker_block *b = s->blocks;

    s->blocks = b->next;
    destroy(b->parkers, PARK_SEATS);
    mem_free(b);
  }
  destroy(s->at_hand, PARKERS_AT_HAND);
  s->free = NULL;
  lock_destroy(&s->lock);
}

static void grow_locked(struct parker_slab *s)
{
  struct parker_block *b = mem_alloc(sizeof *b);

  if (!b)
    return;
  b->next = s->blocks;
  s->blocks = b;
  add_free(s, &b->row, b->parkers, PARK_SEATS);
}

struct parker *parker_get(struct parker_slab *s)
{
  struct parker *p;

  lock_acquire(&s->lock);
  if (!s->free)
    grow_locked(s);
  p = s->free;
  if (p) {
    s->free = p->next;
    p->next = NULL;
  }
  lock_release(&s->lock);
  return p;
}

void parker_put(struct parker_slab *s, struct parker *p)
{
  if (!p)
    return;
  lock_acquire(&s->lock);
  p->next = s->free;
  s->free = p;
  lock_release(&s->lock);
}
