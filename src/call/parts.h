/* SPDX-License-Identifier: BSD-3-Clause */
/* parts.h - a request that is a group of commands, each with an answer of its own: contiguous
 * bytes, one place on a connection, `parts_answers()` replies.
 *
 * It belongs to the issuer, as the request does, and so does what it points to. From submission
 * until the request ends, or is abandoned, whoever has the connection fills it in (on a lane, under
 * its lock); afterwards nobody else touches it, and the issuer reads which commands were answered,
 * and how many bytes may have been sent of those that were not. */
#ifndef PMX_CALL_PARTS_H
#define PMX_CALL_PARTS_H
#include <poolmux/poolmux.h>
#include "call/route.h"

#define PARTS_MULTI "*1\r\n$5\r\nMULTI\r\n"
#define PARTS_EXEC "*1\r\n$4\r\nEXEC\r\n"
enum { PARTS_MULTI_SIZE = sizeof PARTS_MULTI - 1, PARTS_EXEC_SIZE = sizeof PARTS_EXEC - 1 };

struct part {
  size_t end;          /* of its bytes, among those of all commands */
  const char *command; /* canonical name, static */
  uint8_t shape;       /* SHAPE_*, as in its route */
};

struct parts {
  const struct part *commands;
  uint32_t count;
  uint8_t atomic;   /* they stand between MULTI and EXEC, which are answered as well */
  uint8_t opened;   /* MULTI was accepted */
  uint8_t harmless; /* the issuer has found out that this try ran nothing */
  uint32_t got;     /* how many answers have come */
  uint32_t earlier; /* commands that may have run in tries before this one: so many of the first */
  size_t taken;     /* bytes of the group that may have been sent, or will be: from its end on */
  pmx_reply **replies; /* room for all answers */
};

static inline uint32_t parts_answers(const struct parts *p)
{
  return p->count + (p->atomic ? 2 : 0);
}

/* Where the bytes end, in those of the request, that answer i answers. */
static inline size_t parts_end(const struct parts *p, uint32_t i)
{
  size_t all = p->count ? p->commands[p->count - 1].end : 0;

  if (!p->atomic)
    return p->commands[i].end;
  if (i == 0)
    return PARTS_MULTI_SIZE;
  if (i > p->count)
    return PARTS_MULTI_SIZE + all + PARTS_EXEC_SIZE;
  return PARTS_MULTI_SIZE + p->commands[i - 1].end;
}

static inline size_t parts_begin(const struct parts *p, uint32_t i)
{
  return i ? parts_end(p, i - 1) : 0;
}

uint32_t
parts_begun(const struct parts *); /* answers to what may have been sent, a part at least */
const char *parts_name(const struct parts *); /* of the command that is to be answered next */
/* 1: this reply may be what is to come next. `shape`: its SHAPE_*; errors always may. */
int parts_expect(const struct parts *, const pmx_reply *, unsigned shape);
void parts_answer(struct parts *, pmx_reply *); /* takes it over */
/* Another try begins: what has come is forgotten, what may have run is not. */
void parts_reset(struct parts *);

#endif
