/* SPDX-License-Identifier: BSD-3-Clause */
/* inbox.h - the messages that wait for one consumer, in order, and the gaps between them. Bounded:
 * what comes when it is full is dropped, with a gap in its place, until half of it is free again.
 * Allocates nothing after inbox_init. Under its owner's lock.
 *
 * A gap stands before a message, or behind the last one. Two with no message between them are one.
 * The last gap may be held: it is not handed out, nor what is behind it, before it is let go. */
#ifndef PMX_STRATEGY_INBOX_H
#define PMX_STRATEGY_INBOX_H
#include <poolmux/poolmux.h>
#include <stdint.h>

struct inbox_place {
  pmx_reply *reply;
  int gap; /* before it */
};

struct inbox {
  struct inbox_place *places; /* a ring of cap + 1: the last is where a gap behind all stands */
  uint64_t taken, put;        /* numbers of the next to be taken and to be put in */
  uint64_t cap;
  size_t bytes, max_bytes;
  int lossy; /* it was full, and is not half empty yet */
  int held;
  uint64_t held_at; /* the number of the message it stands before */
};

int inbox_init(struct inbox *, uint64_t max_messages,
               size_t max_bytes); /* 0, or -1: out of memory */
void inbox_destroy(struct inbox *);
/* 1: it has a reference of its own. 0: dropped, -1: dropped, and a new gap is where it was. */
int inbox_put(struct inbox *, pmx_reply *);
/* Messages may be missing here. hold: until inbox_let_go. 1: a new gap, 0: there is one already. */
int inbox_gap(struct inbox *, int hold);
void inbox_let_go(struct inbox *);
int inbox_ready(const struct inbox *);
/* A message or inbox_gap_reply, the caller's; NULL: nothing is ready. */
pmx_reply *inbox_take(struct inbox *);
const pmx_reply *inbox_gap_reply(void); /* a push with the one word "gap"; static */

#endif
