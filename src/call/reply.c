/* SPDX-License-Identifier: BSD-3-Clause */
/* reply.c - owns the memory of replies, and their one refcount: a scalar is one block, a tree has an
 * arena, which is a list of blocks, so freeing a tree of any shape is a loop. Knows nothing of RESP:
 * decoder and outcome.c fill the nodes. */
#include "call/reply.h"
#include "base/mem.h"
#include <string.h>

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

pmx_reply *reply_scalar_new(size_t extra)
{
  pmx_reply *node = extra < PTRDIFF_MAX - sizeof *node ? mem_alloc(sizeof *node + extra) : NULL;

  if (!node)
    return NULL;
  memset(node, 0, sizeof *node);
  atomic_init(&node->refs, 1);
  node->flags = REPLY_SCALAR;
  return node;
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
  if (!reply || (reply->flags & REPLY_IMMORTAL))
    return 0;
  return reply->flags & REPLY_SCALAR ? sizeof *reply + reply->len + 1 : reply->tree->bytes;
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

static atomic_size_t *refs_of(pmx_reply *reply)
{
  return reply->flags & REPLY_SCALAR ? &reply->refs : &reply->tree->refs;
}

pmx_reply *pmx_reply_ref(const pmx_reply *reply)
{
  pmx_reply *ret = (pmx_reply *)reply; /* const protects the content, not the refcount */

  if (ret && !(ret->flags & REPLY_IMMORTAL))
    atomic_fetch_add_explicit(refs_of(ret), 1, memory_order_relaxed);
  return ret;
}

void pmx_reply_free(pmx_reply *reply)
{
  atomic_size_t *refs;

  if (!reply || (reply->flags & REPLY_IMMORTAL))
    return;
  refs = refs_of(reply);
  /* Whoever finds one reference has it, and nobody can take another: no need to lock the bus. */
  if (atomic_load_explicit(refs, memory_order_acquire) != 1 &&
      atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) != 1)
    return;
  if (reply->flags & REPLY_SCALAR)
    mem_free(reply);
  else
    reply_tree_free(reply->tree);
}

pmx_status pmx_reply_finish(pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);

  pmx_reply_free(reply);
  return status;
}
