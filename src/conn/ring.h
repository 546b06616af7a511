/* SPDX-License-Identifier: BSD-3-Clause */
/* ring.h - the requests in flight on one connection, oldest first. A place keeps what the matching
 * of replies needs, so that its request may give up and be gone: the place then stays, without it
 * (a tombstone), until the server has answered. Never grows. */
#ifndef PMX_CONN_RING_H
#define PMX_CONN_RING_H
#include <stdint.h>
#include "base/mem.h"
#include "call/parts.h"
#include "call/request.h"

struct place {
  struct request *request; /* NULL: abandoned */
  uint64_t begin, end;     /* of its bytes in what was ever written to this connection */
  int64_t since;           /* ns: its request's queued_at */
  uint32_t replies;        /* still owed */
  uint32_t atomic;         /* 1: the last of them is EXEC's */
};

struct ring {
  struct place *places;
  uint32_t cap, head, count;
  uint64_t first; /* number of the oldest one; a request knows its own */
};

static inline int ring_init(struct ring *r, uint32_t cap)
{
  /* Zeroed memory that was never used costs no page. */
  *r = (struct ring){.places = mem_zalloc(cap * sizeof *r->places), .cap = cap};
  return r->places ? 0 : -1;
}

static inline void ring_destroy(struct ring *r)
{
  mem_free(r->places);
  r->places = NULL;
}

/* i counts from the oldest one. */
static inline struct place *ring_at(const struct ring *r, uint32_t i)
{
  uint32_t at = r->head + i;

  return &r->places[at < r->cap ? at : at - r->cap];
}

/* Its place, counted from the oldest one. */
static inline uint32_t ring_index(const struct ring *r, const struct request *req)
{
  return (uint32_t)(req->place - r->first);
}

static inline struct place *ring_first(const struct ring *r)
{
  return r->count ? ring_at(r, 0) : NULL;
}

/* The caller knows that there is room. */
static inline struct place *ring_push(struct ring *r, struct request *req)
{
  struct place *p = ring_at(r, r->count);

  req->place = r->first + r->count++;
  p->request = req;
  p->since = req->queued_at;
  p->replies = req->replies;
  p->atomic = req->parts && req->parts->atomic;
  return p;
}

static inline void ring_pop(struct ring *r)
{
  r->first++;
  r->count--;
  r->head = r->count && r->head + 1 < r->cap ? r->head + 1 : 0;
}

/* Takes out one whose bytes are untouched, as are those of all behind it. */
static inline void ring_remove(struct ring *r, uint32_t i)
{
  uint64_t size = ring_at(r, i)->end - ring_at(r, i)->begin;

  for (; i + 1 < r->count; i++) {
    struct place *p = ring_at(r, i);

    *p = *ring_at(r, i + 1);
    p->begin -= size;
    p->end -= size;
    if (p->request)
      p->request->place--;
  }
  r->count--;
}

#endif
