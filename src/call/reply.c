/* SPDX-License-Identifier: BSD-3-Clause */
/* reply.c - owns the arena a reply tree lives in, its one refcount, and the public accessors.
 * Memory is a list of blocks, so freeing a tree of any shape is a loop. Knows nothing of RESP:
 * decoder and outcome.c fill the nodes. An ERROR node keeps its code as text at str + integer (0:
 * none). */
#include "call/reply.h"
#include "base/mem.h"
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
  ALIGN = _Alignof(max_align_t),
  FIRST_BYTES = 448, /* with the header, 512 for malloc */
  BLOCK_FIRST = 1024,
  BLOCK_LAST = 1024 * 1024 /* doubling ends here */
};

struct block {
  _Alignas(max_align_t) struct block *next;
};

struct reply_tree {
  _Alignas(max_align_t) atomic_size_t refs;
  struct block *blocks; /* all but the first, which follows this header */
  char *at, *end;       /* free part of the current block */
  size_t bytes, max;    /* asked of the system */
  uint32_t next_block;
  int over;
  pmx_reply *list; /* whose elements have trees of their own; or NULL */
};

static size_t aligned(size_t size)
{
  return (size + ALIGN - 1) / ALIGN * ALIGN;
}

struct reply_tree *reply_tree_new(size_t first_hint, size_t max_bytes)
{
  size_t room = first_hint ? first_hint : FIRST_BYTES;
  size_t most = max_bytes > sizeof(struct reply_tree) ? max_bytes - sizeof(struct reply_tree) : 0;
  struct reply_tree *tree;

  /* With too little room the tree exists all the same: its first allocation says "over". */
  room = room > most - most % ALIGN ? most - most % ALIGN : aligned(room);
  if (room > PTRDIFF_MAX)
    return NULL;
  tree = mem_alloc(sizeof *tree + room);
  if (!tree)
    return NULL;
  atomic_init(&tree->refs, 1);
  tree->blocks = NULL;
  tree->at = (char *)(tree + 1);
  tree->end = tree->at + room;
  tree->bytes = sizeof *tree + room;
  tree->max = max_bytes;
  tree->next_block = BLOCK_FIRST;
  tree->over = 0;
  tree->list = NULL;
  return tree;
}

void reply_tree_free(struct reply_tree *tree)
{
  struct block *block, *next;

  if (!tree)
    return;
  for (size_t i = 0; tree->list && i < tree->list->len; i++)
    pmx_reply_free(tree->list->elems[i]);
  for (block = tree->blocks; block; block = next) {
    next = block->next;
    mem_free(block);
  }
  mem_free(tree);
}

size_t reply_bytes(const pmx_reply *reply)
{
  return reply && reply->tree ? reply->tree->bytes : 0;
}

/* A new block for `size` (aligned) bytes; the roomier of it and the old one serves what follows. */
static void *block_alloc(struct reply_tree *tree, size_t size)
{
  size_t most = tree->max > tree->bytes ? tree->max - tree->bytes : 0;
  size_t want = size + sizeof(struct block);
  struct block *block;
  char *ret;

  if (want > most) {
    tree->over = 1;
    return NULL;
  }
  if (want < tree->next_block)
    want = tree->next_block < most ? tree->next_block : most;
  block = mem_alloc(want);
  if (!block)
    return NULL;
  block->next = tree->blocks;
  tree->blocks = block;
  tree->bytes += want;
  if (tree->next_block < BLOCK_LAST)
    tree->next_block *= 2;
  ret = (char *)(block + 1);
  if (want - sizeof *block - size > (size_t)(tree->end - tree->at)) {
    tree->at = ret + size;
    tree->end = (char *)block + want;
  }
  return ret;
}

void *reply_tree_alloc(struct reply_tree *tree, size_t size)
{
  char *ret = tree->at;

  if (size > PTRDIFF_MAX / 2) {
    tree->over = 1;
    return NULL;
  }
  size = aligned(size ? size : 1);
  if (size > (size_t)(tree->end - tree->at))
    return block_alloc(tree, size);
  tree->at += size;
  return ret;
}

int reply_tree_over(const struct reply_tree *tree)
{
  return tree->over;
}

size_t reply_tree_bytes(const struct reply_tree *tree)
{
  return tree->bytes;
}

pmx_reply *reply_list_new(size_t n)
{
  size_t size = aligned(sizeof(pmx_reply)) + n * sizeof(pmx_reply *);
  struct reply_tree *tree = reply_tree_new(size, SIZE_MAX);
  pmx_reply *list = tree ? reply_tree_alloc(tree, size) : NULL;

  if (!list) {
    reply_tree_free(tree);
    return NULL;
  }
  memset(list, 0, size);
  list->tree = tree;
  list->type = PMX_TYPE_ARRAY;
  list->elems = (pmx_reply **)(void *)((char *)list + aligned(sizeof *list));
  list->len = n;
  tree->list = list;
  return list;
}

pmx_reply *pmx_reply_ref(const pmx_reply *reply)
{
  if (reply && !(reply->flags & REPLY_IMMORTAL))
    atomic_fetch_add_explicit(&reply->tree->refs, 1, memory_order_relaxed);
  return (pmx_reply *)reply; /* const protects the content, not the refcount */
}

void pmx_reply_free(pmx_reply *reply)
{
  if (!reply || (reply->flags & REPLY_IMMORTAL))
    return;
  /* Whoever finds one reference has it, and nobody can take another: no need to lock the bus. */
  if (atomic_load_explicit(&reply->tree->refs, memory_order_acquire) == 1 ||
      atomic_fetch_sub_explicit(&reply->tree->refs, 1, memory_order_acq_rel) == 1)
    reply_tree_free(reply->tree);
}

pmx_status pmx_reply_finish(pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);

  pmx_reply_free(reply);
  return status;
}

int pmx_ok(const pmx_reply *reply)
{
  return pmx_reply_status(reply) == PMX_OK;
}

pmx_status pmx_reply_status(const pmx_reply *reply)
{
  return reply ? (pmx_status)reply->status : PMX_INVALID;
}

pmx_cause pmx_reply_cause(const pmx_reply *reply)
{
  return reply ? (pmx_cause)reply->cause : PMX_CAUSE_NONE;
}

pmx_type pmx_reply_type(const pmx_reply *reply)
{
  return reply ? (pmx_type)reply->type : PMX_TYPE_FAILURE;
}

int pmx_reply_safe_to_retry(const pmx_reply *reply)
{
  return reply && (reply->flags & REPLY_SAFE_TO_RETRY);
}

static int is_aggregate(const pmx_reply *reply)
{
  return reply && reply->type >= PMX_TYPE_ARRAY && reply->type <= PMX_TYPE_PUSH;
}

static int is_text(const pmx_reply *reply)
{
  if (!reply)
    return 0;
  switch ((pmx_type)reply->type) {
  case PMX_TYPE_FAILURE:
  case PMX_TYPE_STRING:
  case PMX_TYPE_SIMPLE:
  case PMX_TYPE_ERROR:
  case PMX_TYPE_DOUBLE:
  case PMX_TYPE_BIGNUM:
  case PMX_TYPE_VERBATIM:
    return 1;
  case PMX_TYPE_NIL:
  case PMX_TYPE_INTEGER:
  case PMX_TYPE_BOOL:
  case PMX_TYPE_ARRAY:
  case PMX_TYPE_MAP:
  case PMX_TYPE_SET:
  case PMX_TYPE_PUSH:
    break;
  }
  return 0;
}

const char *pmx_reply_error(const pmx_reply *reply)
{
  if (!reply)
    return "there is no reply: the pointer is NULL";
  return reply->status != PMX_OK && is_text(reply) ? reply->str : "";
}

const char *pmx_reply_error_code(const pmx_reply *reply)
{
  if (!reply || reply->type != PMX_TYPE_ERROR || reply->integer == 0)
    return "";
  return reply->str + reply->integer;
}

/* Depth-first; as deep as reply.max_depth allows (at most 1024). */
const pmx_reply *pmx_reply_failed(const pmx_reply *reply)
{
  if (!reply || reply->status != PMX_OK)
    return reply;
  if (!is_aggregate(reply))
    return NULL;
  for (size_t i = 0; i < reply->len; i++) {
    const pmx_reply *failed = pmx_reply_failed(reply->elems[i]);

    if (failed)
      return failed;
  }
  return NULL;
}

const char *pmx_reply_str(const pmx_reply *reply, size_t *len)
{
  int text = is_text(reply);

  if (len)
    *len = text ? reply->len : 0;
  return text ? reply->str : NULL;
}

size_t pmx_reply_len(const pmx_reply *reply)
{
  return is_aggregate(reply) ? reply->len : 0;
}

const pmx_reply *pmx_reply_at(const pmx_reply *reply, size_t i)
{
  return i < pmx_reply_len(reply) ? reply->elems[i] : NULL;
}

const pmx_reply *pmx_reply_get(const pmx_reply *reply, const char *key, size_t len)
{
  if (!is_aggregate(reply) || !key || reply->len % 2)
    return NULL;
  if (reply->type != PMX_TYPE_MAP && reply->type != PMX_TYPE_ARRAY)
    return NULL;
  for (size_t i = 0; i < reply->len; i += 2) {
    size_t have;
    const char *name = pmx_reply_str(reply->elems[i], &have);

    if (name && have == len && (len == 0 || memcmp(name, key, len) == 0))
      return reply->elems[i + 1];
  }
  return NULL;
}

/* Text of a value, not of an error. */
static int is_value_text(const pmx_reply *reply)
{
  return is_text(reply) && reply->type != PMX_TYPE_ERROR && reply->type != PMX_TYPE_FAILURE;
}

static int parse_int(const char *text, size_t len, int64_t *ret)
{
  size_t i = len > 0 && text[0] == '-';
  uint64_t value = 0, most = (uint64_t)INT64_MAX + i;
  int negative = i != 0;

  if (i == len)
    return 0;
  for (; i < len; i++) {
    unsigned digit = (unsigned)(unsigned char)text[i] - '0';

    if (digit > 9 || value > (most - digit) / 10)
      return 0;
    value = value * 10 + digit;
  }
  *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
  return 1;
}

int64_t pmx_reply_int(const pmx_reply *reply, int *ok)
{
  int64_t value = 0;
  int good = 0;

  if (reply && (reply->type == PMX_TYPE_INTEGER || reply->type == PMX_TYPE_BOOL)) {
    value = reply->integer;
    good = 1;
  } else if (is_value_text(reply)) {
    good = parse_int(reply->str, reply->len, &value);
  }
  if (ok)
    *ok = good;
  return value;
}

static int parse_named(const char *text, double *ret)
{
  int negative = text[0] == '-';
  const char *name = text + (text[0] == '-' || text[0] == '+');

  if (strcasecmp(name, "inf") == 0)
    *ret = negative ? -INFINITY : INFINITY;
  else if (strcasecmp(name, "nan") == 0)
    *ret = NAN;
  else
    return 0;
  return 1;
}

/* Decimal only, and with a point whatever LC_NUMERIC says. `text` has a NUL at text[len]. */
static int parse_double(const char *text, size_t len, double *ret)
{
  locale_t plain;
  double value;
  char *end;

  if (len == 0 || strlen(text) != len)
    return 0;
  if (strspn(text, "0123456789+-.eE") != len)
    return parse_named(text, ret);
  plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* static in the C library: costs nothing */
  if (!plain)
    return 0;
  value = strtod_l(text, &end, plain);
  freelocale(plain);
  if (end != text + len || isinf(value))
    return 0;
  *ret = value;
  return 1;
}

double pmx_reply_double(const pmx_reply *reply, int *ok)
{
  double value = 0;
  int good = 0;

  if (reply && reply->type == PMX_TYPE_DOUBLE) {
    value = reply->number;
    good = 1;
  } else if (reply && (reply->type == PMX_TYPE_INTEGER || reply->type == PMX_TYPE_BOOL)) {
    value = (double)reply->integer;
    good = 1;
  } else if (is_value_text(reply)) {
    good = parse_double(reply->str, reply->len, &value);
  }
  if (ok)
    *ok = good;
  return value;
}
