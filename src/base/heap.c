/* SPDX-License-Identifier: BSD-3-Clause */
/* heap.c - see heap.h. A node's children are a list in which each `place` is the pointer that leads
 * to the node, so that any node can be cut out without a walk. */
#include "base/heap.h"
#include "base/list.h"

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
  struct heap_node *root = h->root;

  if (!tree)
    return;
  if (root)
    cut(root);
  put(&h->root, root ? join(root, tree) : tree);
}

struct heap_node *heap_first(const struct heap *h)
{
  if (h->oldest && h->root)
    return h->oldest->key <= h->root->key ? h->oldest : h->root;
  return h->oldest ? h->oldest : h->root;
}

static void append(struct heap *h, struct heap_node *node)
{
  node->child = node;
  put(h->newest ? &h->newest->next : &h->oldest, node);
  h->newest = node;
}

static void take_from_list(struct heap *h, struct heap_node *node)
{
  if (h->newest == node)
    h->newest =
        node->place == &h->oldest ? NULL : container_of(node->place, struct heap_node, next);
  cut(node);
  node->child = NULL;
}

void heap_add(struct heap *h, struct heap_node *node, int64_t key)
{
  node->key = key;
  node->child = node->next = NULL;
  if (!h->newest || key >= h->newest->key)
    append(h, node);
  else
    add_tree(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
  struct heap_node *children = node->child;

  if (!node->place)
    return;
  if (children == node) {
    take_from_list(h, node);
    return;
  }
  cut(node);
  node->child = NULL;
  add_tree(h, join_all(children));
}
