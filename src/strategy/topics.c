/* SPDX-License-Identifier: BSD-3-Clause */
/* topics.c - see topics.h: the table, a hash with chains. */
#include "strategy/topics.h"
#include <string.h>
#include "base/mem.h"

enum { BUCKETS_FIRST = 64 };

/* FNV-1a: names are the application's own, and the server hashes them as well. */
static uint32_t hash_of(pmx_sub_kind kind, const char *name, size_t len)
{
  uint32_t hash = 2166136261U + (uint32_t)kind;

  for (size_t i = 0; i < len; i++)
    hash = (hash ^ (unsigned char)name[i]) * 16777619U;
  return hash;
}

struct topic *topic_new(pmx_sub_kind kind, const char *name, size_t len)
{
  struct topic *t = mem_zalloc(sizeof *t + len + 1);

  if (!t)
    return NULL;
  t->kind = kind;
  t->hash = hash_of(kind, name, len);
  t->len = len;
  t->alone = kind == PMX_SUB_SHARD; /* one command may name one slot only */
  if (len)
    memcpy(t->name, name, len);
  list_init(&t->todo);
  list_init(&t->awaited.node);
  list_init(&t->members);
  list_init(&t->waits);
  return t;
}

static struct topic **bucket(const struct topics *t, uint32_t hash)
{
  return &t->buckets[hash & (t->size - 1)];
}

struct topic *topics_find(const struct topics *t, pmx_sub_kind kind, const char *name, size_t len)
{
  uint32_t hash = hash_of(kind, name, len);
  struct topic *at = t->size ? *bucket(t, hash) : NULL;

  while (at && (at->hash != hash || at->kind != kind || at->len != len ||
                (len && memcmp(at->name, name, len) != 0)))
    at = at->next;
  return at;
}

static void chain(struct topics *t, struct topic *topic)
{
  struct topic **at = bucket(t, topic->hash);

  topic->next = *at;
  *at = topic;
}

void topics_add(struct topics *t, struct topic *topic)
{
  chain(t, topic);
  t->count++;
}

void topics_remove(struct topics *t, struct topic *topic)
{
  struct topic **at = bucket(t, topic->hash);

  while (*at != topic)
    at = &(*at)->next;
  *at = topic->next;
  t->count--;
}

size_t topics_want(const struct topics *t)
{
  if (t->size == 0)
    return BUCKETS_FIRST;
  return t->count >= t->size ? t->size * 2 : 0;
}

struct topic **topics_grow(struct topics *t, struct topic **buckets, size_t size)
{
  struct topic **old = t->buckets;
  size_t old_size = t->size;

  if (size <= old_size) /* somebody else was faster */
    return buckets;
  t->buckets = buckets;
  t->size = size;
  for (size_t i = 0; i < old_size; i++) {
    struct topic *next;

    for (struct topic *at = old[i]; at; at = next) {
      next = at->next;
      chain(t, at);
    }
  }
  return old;
}
