/* SPDX-License-Identifier: BSD-3-Clause */
/* parts.c - which answer of a group is due, and what is known of those that did not come. Knows
 * nothing of connections. */
#include "call/parts.h"

uint32_t parts_begun(const struct parts *p)
{
  uint32_t low = p->got, high = parts_answers(p);

  /* Where they begin is in order: the first that begins behind what was taken. */
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;

    if (parts_begin(p, middle) < p->taken)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const char *parts_name(const struct parts *p)
{
  if (!p->atomic)
    return p->commands[p->got].command;
  if (p->got == 0)
    return "MULTI";
  return p->got > p->count ? "EXEC" : p->commands[p->got - 1].command;
}

/* Inside MULTI every command is answered "QUEUED"; when MULTI was refused they ran one by one. */
static unsigned expected(const struct parts *p)
{
  if (!p->atomic)
    return p->commands[p->got].shape;
  if (p->got == 0)
    return SHAPE_TEXT;
  if (p->got > p->count)
    return p->opened ? SHAPE_LIST | SHAPE_NIL : 0;
  return p->opened ? SHAPE_TEXT : p->commands[p->got - 1].shape;
}

int parts_expect(const struct parts *p, const pmx_reply *reply, unsigned shape)
{
  unsigned wanted = expected(p);

  if (pmx_reply_type(reply) == PMX_TYPE_ERROR)
    return 1;
  if (p->opened && p->got > p->count && (shape & SHAPE_LIST) && pmx_reply_len(reply) != p->count)
    return 0;
  return !wanted || (wanted & shape);
}

void parts_answer(struct parts *p, pmx_reply *reply)
{
  if (p->atomic && p->got == 0)
    p->opened = pmx_reply_type(reply) != PMX_TYPE_ERROR;
  p->replies[p->got++] = reply;
}

/* Of the commands, without MULTI: EXEC runs all of them. */
static uint32_t may_have_run(const struct parts *p)
{
  uint32_t begun = parts_begun(p);

  if (p->harmless)
    return 0;
  if (!p->atomic)
    return begun;
  return begun > 0 ? p->count : 0;
}

void parts_reset(struct parts *p)
{
  uint32_t run = may_have_run(p);

  if (run > p->earlier)
    p->earlier = run;
  for (uint32_t i = 0; i < p->got; i++) {
    pmx_reply_free(p->replies[i]);
    p->replies[i] = NULL;
  }
  p->got = 0;
  p->opened = p->harmless = 0;
  p->taken = 0;
}
