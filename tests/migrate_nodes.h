/* SPDX-License-Identifier: BSD-3-Clause */
/* migrate_nodes.h - a reply with all that libpoolmux-hiredis has to convert. */
#ifndef TESTS_MIGRATE_NODES_H
#define TESTS_MIGRATE_NODES_H
#include "reply_nodes.h"

/* An array with a reply of each pmx_type, at the place of its number. */
static inline pmx_reply *one_of_each(void)
{
  struct reply_tree *tree = new_tree();
  pmx_reply *all = aggregate(tree, PMX_TYPE_ARRAY, 14);

  all->elems[PMX_TYPE_FAILURE] = text_node(tree, PMX_TYPE_FAILURE, "no answer", 9);
  all->elems[PMX_TYPE_FAILURE]->status = PMX_UNKNOWN;
  all->elems[PMX_TYPE_FAILURE]->cause = PMX_CAUSE_LOST;
  all->elems[PMX_TYPE_NIL] = node(tree, PMX_TYPE_NIL);
  all->elems[PMX_TYPE_STRING] = text_node(tree, PMX_TYPE_STRING, "a\0b", 3);
  all->elems[PMX_TYPE_SIMPLE] = text_node(tree, PMX_TYPE_SIMPLE, "OK", 2);
  all->elems[PMX_TYPE_ERROR] = text_node(tree, PMX_TYPE_ERROR, "ERR no", 6);
  all->elems[PMX_TYPE_INTEGER] = node(tree, PMX_TYPE_INTEGER);
  all->elems[PMX_TYPE_INTEGER]->integer = INT64_MIN;
  all->elems[PMX_TYPE_DOUBLE] = text_node(tree, PMX_TYPE_DOUBLE, "1.5", 3);
  all->elems[PMX_TYPE_DOUBLE]->number = 1.5;
  all->elems[PMX_TYPE_BOOL] = node(tree, PMX_TYPE_BOOL);
  all->elems[PMX_TYPE_BOOL]->integer = 1;
  all->elems[PMX_TYPE_BIGNUM] = text_node(tree, PMX_TYPE_BIGNUM, "123456789012345678901", 21);
  all->elems[PMX_TYPE_VERBATIM] = text_node(tree, PMX_TYPE_VERBATIM, "words", 5);
  for (int type = PMX_TYPE_ARRAY; type <= PMX_TYPE_PUSH; type++) {
    all->elems[type] = aggregate(tree, (pmx_type)type, 2);
    all->elems[type]->elems[0] = text_node(tree, PMX_TYPE_STRING, "key", 3);
    all->elems[type]->elems[1] = node(tree, PMX_TYPE_INTEGER);
  }
  return all;
}

#endif
