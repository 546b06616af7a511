/* SPDX-License-Identifier: BSD-3-Clause */
/* convert.c - owns the way from a reply of poolmux to a redisReply, which freeReplyObject of the
 * hiredis in the process frees. So its memory comes from where that one puts it back: malloc with
 * 0.14, the allocators of hiredisSetAllocators since 1.0. Sees the public header of poolmux only.
 */
#include "agree.h"
#include <poolmux/hiredis.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_FIRST = 16 };

/* An aggregate that is being filled. */
struct frame {
  const pmx_reply *from;
  redisReply *to;
  size_t next;
};

/* Instead of recursion: a server decides how deep a reply is. */
struct stack {
  struct frame *frames;
  size_t depth, room;
  struct frame first[FRAMES_FIRST];
};

/* ---- memory, as freeReplyObject frees it ---- */

#if HIREDIS_MAJOR < 1
static void *get_zeroed(size_t count, size_t size)
{
  return calloc(count, size);
}

static void *get(size_t size)
{
  return malloc(size);
}

static void put(void *ptr)
{
  free(ptr);
}
#else
static void *get_zeroed(size_t count, size_t size)
{
  return hi_calloc(count, size);
}

static void *get(size_t size)
{
  return hi_malloc(size);
}

static void put(void *ptr)
{
  hi_free(ptr);
}
#endif

/* ---- one node ---- */

/* What hiredis cannot say, or cannot free, comes as RESP2 would have it. */
static int type_of(const pmx_reply *from)
{
  switch (pmx_reply_type(from)) {
  case PMX_TYPE_NIL:
    return REDIS_REPLY_NIL;
  case PMX_TYPE_SIMPLE:
    return REDIS_REPLY_STATUS;
  case PMX_TYPE_FAILURE:
  case PMX_TYPE_ERROR:
    return REDIS_REPLY_ERROR;
  case PMX_TYPE_INTEGER:
    return REDIS_REPLY_INTEGER;
#if HIREDIS_MAJOR >= 1
  case PMX_TYPE_DOUBLE:
    return REDIS_REPLY_DOUBLE;
  case PMX_TYPE_BOOL:
    return REDIS_REPLY_BOOL;
  case PMX_TYPE_VERBATIM:
    return REDIS_REPLY_VERB;
  case PMX_TYPE_MAP:
    return REDIS_REPLY_MAP;
  case PMX_TYPE_SET:
    return REDIS_REPLY_SET;
  case PMX_TYPE_PUSH:
    return REDIS_REPLY_PUSH;
#else
  case PMX_TYPE_BOOL:
    return REDIS_REPLY_INTEGER;
  case PMX_TYPE_MAP:
  case PMX_TYPE_SET:
  case PMX_TYPE_PUSH:
    return REDIS_REPLY_ARRAY;
  case PMX_TYPE_DOUBLE:
  case PMX_TYPE_VERBATIM:
    return REDIS_REPLY_STRING;
#endif
#if HIREDIS_MAJOR > 1 || (HIREDIS_MAJOR == 1 && HIREDIS_MINOR >= 1)
  case PMX_TYPE_BIGNUM:
    return REDIS_REPLY_BIGNUM;
#else
  case PMX_TYPE_BIGNUM: /* 1.0 has the type, but its freeReplyObject leaves the text lying */
    return REDIS_REPLY_STRING;
#endif
  case PMX_TYPE_ARRAY:
    return REDIS_REPLY_ARRAY;
  case PMX_TYPE_STRING:
    break;
  }
  return REDIS_REPLY_STRING;
}

static char *copy_text(const char *text, size_t len)
{
  char *copy = len == SIZE_MAX ? NULL : get(len + 1);

  if (!copy)
    return NULL;
  memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

/* "POOLMUX UNKNOWN/LOST the server has closed the connection" */
static char *failure_text(const pmx_reply *from, size_t *ret_len)
{
  const char *parts[] = {"POOLMUX ", pmx_status_str(pmx_reply_status(from)),
                         "/",        pmx_cause_str(pmx_reply_cause(from)),
                         " ",        pmx_reply_error(from)};
  enum { PARTS = sizeof parts / sizeof parts[0] };
  size_t len = 0;
  char *text, *at;

  for (size_t i = 0; i < PARTS; i++)
    len += strlen(parts[i]);
  text = get(len + 1);
  if (!text)
    return NULL;
  at = text;
  for (size_t i = 0; i < PARTS; i++)
    at = stpcpy(at, parts[i]);
  *ret_len = len;
  return text;
}

/* 0, or -1: out of memory. */
static int fill_text(redisReply *to, const pmx_reply *from)
{
  const char *text = pmx_reply_str(from, &to->len);

  if (pmx_reply_type(from) == PMX_TYPE_FAILURE)
    to->str = failure_text(from, &to->len);
  else
    to->str = copy_text(text, to->len);
#if HIREDIS_MAJOR >= 1
  if (to->type == REDIS_REPLY_DOUBLE)
    to->dval = pmx_reply_double(from, NULL);
  if (to->type == REDIS_REPLY_VERB) /* poolmux does not keep it; servers send no other */
    memcpy(to->vtype, "txt", sizeof to->vtype);
#endif
  return to->str ? 0 : -1;
}

static int fill_elements(redisReply *to, const pmx_reply *from)
{
  size_t count = pmx_reply_len(from);

  if (count == 0)
    return 0;
  to->element = get_zeroed(count, sizeof(redisReply *));
  if (!to->element)
    return -1;
  to->elements = count;
  return 0;
}

/* One node, its elements still NULL. NULL: out of memory. */
static redisReply *new_node(const pmx_reply *from)
{
  redisReply *to = get_zeroed(1, sizeof *to);
  int failed = 0;

  if (!to)
    return NULL;
  to->type = type_of(from);
  switch (pmx_reply_type(from)) {
  case PMX_TYPE_NIL:
    break;
  case PMX_TYPE_INTEGER:
  case PMX_TYPE_BOOL:
    to->integer = pmx_reply_int(from, NULL);
    break;
  case PMX_TYPE_FAILURE:
  case PMX_TYPE_STRING:
  case PMX_TYPE_SIMPLE:
  case PMX_TYPE_ERROR:
  case PMX_TYPE_DOUBLE:
  case PMX_TYPE_BIGNUM:
  case PMX_TYPE_VERBATIM:
    failed = fill_text(to, from);
    break;
  case PMX_TYPE_ARRAY:
  case PMX_TYPE_MAP:
  case PMX_TYPE_SET:
  case PMX_TYPE_PUSH:
    failed = fill_elements(to, from);
    break;
  }
  if (!failed)
    return to;
  put(to); /* what failed was the only other allocation */
  return NULL;
}

/* ---- the tree ---- */

static int push(struct stack *stack, const pmx_reply *from, redisReply *to)
{
  struct frame *more;

  if (stack->depth == stack->room) {
    more = get_zeroed(stack->room * 2, sizeof *more);
    if (!more)
      return -1;
    memcpy(more, stack->frames, stack->depth * sizeof *more);
    if (stack->frames != stack->first)
      put(stack->frames);
    stack->frames = more;
    stack->room *= 2;
  }
  stack->frames[stack->depth++] = (struct frame){from, to, 0};
  return 0;
}

/* Fills `root` and all below it; 0, or -1: out of memory, what is not filled is NULL. */
static int fill(redisReply *root, const pmx_reply *reply)
{
  struct stack stack = {.depth = 0, .room = FRAMES_FIRST};
  int failed;

  stack.frames = stack.first;
  failed = push(&stack, reply, root);
  while (!failed && stack.depth > 0) {
    struct frame *top = &stack.frames[stack.depth - 1];
    const pmx_reply *from = pmx_reply_at(top->from, top->next);
    redisReply *to;

    if (top->next == top->to->elements) {
      stack.depth--;
      continue;
    }
    to = new_node(from);
    top->to->element[top->next++] = to;
    failed = !to || (to->elements > 0 && push(&stack, from, to));
  }
  if (stack.frames != stack.first)
    put(stack.frames);
  return failed ? -1 : 0;
}

redisReply *pmx_hiredis_reply(const pmx_reply *reply)
{
  redisReply *root;

  if (pmx_reply_type(reply) == PMX_TYPE_FAILURE || !hiredis_agrees())
    return NULL;
  root = new_node(reply);
  if (root && fill(root, reply)) {
    freeReplyObject(root);
    root = NULL;
  }
  return root;
}

redisReply *pmx_hiredis_take(pmx_reply *reply, pmx_reply **rest)
{
  redisReply *converted = pmx_hiredis_reply(reply);

  if (rest)
    *rest = converted ? NULL : reply;
  if (converted || !rest)
    pmx_reply_free(reply);
  return converted;
}
