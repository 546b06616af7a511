/* SPDX-License-Identifier: BSD-3-Clause */
/* inbox.c - see inbox.h. */
#include "strategy/inbox.h"
#include "base/mem.h"
#include "call/reply.h"

/* Constant memory: who may write to a reply checks REPLY_IMMORTAL first. */
static const struct pmx_reply gap_word = {
    .type = PMX_TYPE_STRING, .flags = REPLY_IMMORTAL, .str = "gap", .len = 3};
static pmx_reply *const gap_elements[] = {(pmx_reply *)&gap_word};
static const struct pmx_reply gap_reply = {
    .type = PMX_TYPE_PUSH, .flags = REPLY_IMMORTAL, .elems = (pmx_reply **)gap_elements, .len = 1};

const pmx_reply *inbox_gap_reply(void)
{
  return &gap_reply;
}

static struct inbox_place *place(const struct inbox *in, uint64_t number)
{
  return &in->places[number % (in->cap + 1)];
}

int inbox_init(struct inbox *in, uint64_t max_messages, size_t max_bytes)
{
  /* Zeroed memory that was never used costs no page. */
  *in = (struct inbox){.cap = max_messages, .max_bytes = max_bytes};
  in->places = mem_zalloc((size_t)(max_messages + 1) * sizeof *in->places);
  return in->places ? 0 : -1;
}

void inbox_destroy(struct inbox *in)
{
  for (; in->places && in->taken < in->put; in->taken++)
    pmx_reply_free(place(in, in->taken)->reply);
  mem_free(in->places);
  in->places = NULL;
}

/* An empty one takes a message of any size. */
static int has_room(struct inbox *in, size_t bytes)
{
  uint64_t count = in->put - in->taken;

  if (in->lossy && (count > in->cap / 2 || in->bytes > in->max_bytes / 2))
    return 0;
  in->lossy = count >= in->cap ||
              (count > 0 && (bytes > in->max_bytes || in->bytes > in->max_bytes - bytes));
  return !in->lossy;
}

int inbox_gap(struct inbox *in, int hold)
{
  struct inbox_place *behind = place(in, in->put);
  int is_new = !behind->gap;

  behind->gap = 1;
  if (hold) {
    in->held = 1;
    in->held_at = in->put;
  }
  return is_new;
}

int inbox_put(struct inbox *in, pmx_reply *reply)
{
  size_t bytes = reply_bytes(reply);

  if (!has_room(in, bytes))
    return inbox_gap(in, 0) ? -1 : 0;
  place(in, in->put++)->reply = pmx_reply_ref(reply);
  place(in, in->put)->gap = 0;
  in->bytes += bytes;
  return 1;
}

void inbox_let_go(struct inbox *in)
{
  in->held = 0;
}

int inbox_ready(const struct inbox *in)
{
  if (place(in, in->taken)->gap)
    return !in->held || in->held_at != in->taken;
  return in->taken < in->put;
}

pmx_reply *inbox_take(struct inbox *in)
{
  struct inbox_place *first = place(in, in->taken);

  if (!inbox_ready(in))
    return NULL;
  if (first->gap) {
    first->gap = 0;
    return pmx_reply_ref(&gap_reply);
  }
  in->bytes -= reply_bytes(first->reply);
  in->taken++;
  return first->reply;
}
