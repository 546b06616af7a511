/* SPDX-License-Identifier: BSD-3-Clause */
/* heap.c - see heap.h. A node's children are a list in which each `place` is the pointer that leads
 * to the node, so that any node can be cut out without a walk. */
#include "base/heap.h"

static void put(struct heap_node **place, struct heap_node *node)
{
  *place = node;
  if (node)
    node->place = place;
}

static void cut(struct heap_node *node)
{
  put(node->place, node->next);
  node->next = NULL;
  node->place = NULL;
}

/* Two trees without siblings; the later one becomes the first child of the earlier. */
static struct heap_node *join(struct heap_node *a, struct heap_node *b)
{
  struct heap_node *under = a->key <= b->key ? b : a, *over = under == b ? a : b;

  put(&under->next, over->child);
  put(&over->child, under);
  return over;
}

/* The list of siblings becomes one tree: in pairs from the left, then together from the right. */
static struct heap_node *join_all(struct heap_node *list)
{
  struct heap_node *pairs = NULL, *whole = NULL;

  while (list) {
    struct heap_node *a = list, *b = a->next, *pair;

    list = b ? b->next : NULL;
    a->next = NULL;
    if (b)
      b->next = NULL;
    pair = b ? join(a, b) : a;
    pair->next = pairs;
    pairs = pair;
  }
  while (pairs) {
    struct heap_node *pair = pairs;

    pairs = pair->next;
    pair->next = NULL;
    whole = whole ? join(whole, pair) : pair;
  }
  return whole;
}

static void add_tree(struct heap *h, struct heap_node *tree)
{
  struct heap_node *first = h->first;

  if (!tree)
    return;
  if (first)
    cut(first);
  put(&h->first, first ? join(first, tree) : tree);
}

void heap_add(struct heap *h, struct heap_node *node, int64_t key)
{
  node->key = key;
  node->child = node->next = NULL;
  add_tree(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
  struct heap_node *children = node->child;

  if (!node->place)
    return;
  cut(node);
  node->child = NULL;
  add_tree(h, join_all(children));
}
