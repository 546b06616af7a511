/* SPDX-License-Identifier: BSD-3-Clause */
/* reply_nodes.h - reply trees built by hand, for the tests of replies. */
#ifndef TESTS_REPLY_NODES_H
#define TESTS_REPLY_NODES_H
#include <check.h>
#include <string.h>
#include "call/reply.h"

static inline pmx_reply *node(struct reply_tree *tree, pmx_type type)
{
  pmx_reply *r = reply_tree_alloc(tree, sizeof *r);

  ck_assert_ptr_nonnull(r);
  memset(r, 0, sizeof *r);
  r->tree = tree;
  r->type = (uint8_t)type;
  r->status = type == PMX_TYPE_ERROR ? PMX_SERVER_ERROR : PMX_OK;
  return r;
}

static inline pmx_reply *text_node(struct reply_tree *tree, pmx_type type, const char *text,
                                   size_t len)
{
  pmx_reply *r = node(tree, type);
  char *copy = reply_tree_alloc(tree, len + 1);

  ck_assert_ptr_nonnull(copy);
  memcpy(copy, text, len);
  copy[len] = '\0';
  r->str = copy;
  r->len = len;
  return r;
}

static inline pmx_reply *aggregate(struct reply_tree *tree, pmx_type type, size_t count)
{
  pmx_reply *r = node(tree, type);

  r->elems = reply_tree_alloc(tree, count * sizeof(pmx_reply *));
  r->len = count;
  return r;
}

static inline struct reply_tree *new_tree(void)
{
  struct reply_tree *tree = reply_tree_new(0, SIZE_MAX);

  ck_assert_ptr_nonnull(tree);
  return tree;
}

#endif
