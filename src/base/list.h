/* SPDX-License-Identifier: BSD-3-Clause */
/* list.h - intrusive doubly linked list with a head node. A node that is on no list points to
 * itself or is NULL-initialised by list_init; removing twice is harmless. */
#ifndef PMX_BASE_LIST_H
#define PMX_BASE_LIST_H
#include <stddef.h>

struct list {
  struct list *prev, *next;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
  l->prev = l->next = l;
}

static inline int list_empty(const struct list *head)
{
  return head->next == head;
}

static inline int list_linked(const struct list *node)
{
  return node->next != node;
}

static inline void list_insert(struct list *after, struct list *node)
{
  node->prev = after;
  node->next = after->next;
  after->next->prev = node;
  after->next = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
  list_insert(head, node);
}

static inline void list_push_back(struct list *head, struct list *node)
{
  list_insert(head->prev, node);
}

static inline void list_remove(struct list *node)
{
  node->prev->next = node->next;
  node->next->prev = node->prev;
  list_init(node);
}

static inline struct list *list_first(const struct list *head)
{
  return list_empty(head) ? NULL : head->next;
}

static inline struct list *list_last(const struct list *head)
{
  return list_empty(head) ? NULL : head->prev;
}

/* Moves all nodes of `from` to the empty list `to`. */
static inline void list_take(struct list *to, struct list *from)
{
  list_init(to);
  if (list_empty(from))
    return;
  *to = *from;
  to->next->prev = to;
  to->prev->next = to;
  list_init(from);
}

/* Moves all nodes of `from` behind those of `to`. */
static inline void list_append(struct list *to, struct list *from)
{
  if (list_empty(from))
    return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  list_init(from);
}

#endif
