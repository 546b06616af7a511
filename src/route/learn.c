/* SPDX-License-Identifier: BSD-3-Clause */
/* learn.c - see learn.h. An entry is made by a large reply. Its history has a bit for each of the
 * last 16 replies, 1 = large, and one that says whether much is expected: set with the second large
 * reply among them, cleared, with the whole entry, when all 16 were small. In between nothing
 * changes, so that a command with replies of all sizes does not go back and forth.
 *
 * Two keys may have the same hash, and two commands the same entry: the price is a command in the
 * wrong place, which is slower and never wrong. */
#include "route/learn.h"
#include <string.h>

enum { HASHED_BYTES = 64 };
#define REPLIES 0xffffU
#define EXPECTED (1U << 16)

/* Eight bytes at a time, the last ones again when they are fewer: it is done for every call. */
static uint64_t mix(uint64_t hash, const char *bytes, size_t len)
{
  const uint64_t prime = UINT64_C(0x9e3779b97f4a7c15);
  uint64_t word = 0;

  len = len < HASHED_BYTES ? len : HASHED_BYTES;
  if (len < sizeof word) {
    memcpy(&word, bytes, len);
    return (hash ^ word) * prime;
  }
  for (size_t i = 0; i + sizeof word <= len; i += sizeof word) {
    memcpy(&word, bytes + i, sizeof word);
    hash = (hash ^ word) * prime;
    hash ^= hash >> 29;
  }
  memcpy(&word, bytes + len - sizeof word, sizeof word);
  return (hash ^ word) * prime;
}

uint32_t learn_key(const struct route *route, const char *first_argument, size_t len)
{
  uint64_t hash = mix((uintptr_t)route->command ^ (uint64_t)len << 48, first_argument, len);
  uint32_t key = (uint32_t)(hash >> 32);

  return key ? key : 1;
}

static const struct learn_entry *find(const struct learn *l, uint32_t key)
{
  const struct learn_entry *set = l->entries[key % LEARN_SETS];

  for (int i = 0; i < LEARN_WAYS; i++) {
    if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key)
      return &set[i];
  }
  return NULL;
}

int learn_is_large(const struct learn *l, uint32_t key)
{
  const struct learn_entry *e = find(l, key);

  return e && (atomic_load_explicit(&e->history, memory_order_relaxed) & EXPECTED);
}

/* The one of the set that says least. */
static struct learn_entry *victim(struct learn *l, uint32_t key)
{
  struct learn_entry *set = l->entries[key % LEARN_SETS], *least = &set[0];
  int fewest = 64;

  for (int i = 0; i < LEARN_WAYS; i++) {
    uint32_t history = atomic_load_explicit(&set[i].history, memory_order_relaxed);
    int n = __builtin_popcount(history);

    if (!atomic_load_explicit(&set[i].key, memory_order_relaxed))
      return &set[i];
    if (n < fewest) {
      fewest = n;
      least = &set[i];
    }
  }
  return least;
}

static void add(struct learn *l, uint32_t key)
{
  struct learn_entry *e = victim(l, key);

  atomic_store_explicit(&e->history, 1, memory_order_relaxed);
  atomic_store_explicit(&e->key, key, memory_order_relaxed);
}

void learn_note(struct learn *l, uint32_t key, int large)
{
  struct learn_entry *e = (struct learn_entry *)(uintptr_t)find(l, key);
  uint32_t old, history;

  if (!e) {
    if (large)
      add(l, key);
    return;
  }
  old = atomic_load_explicit(&e->history, memory_order_relaxed);
  history = (old << 1 | (large ? 1U : 0U)) & REPLIES;
  if (history == 0) {
    atomic_store_explicit(&e->key, 0, memory_order_relaxed);
    return;
  }
  if (__builtin_popcount(history) >= 2)
    history |= EXPECTED;
  atomic_store_explicit(&e->history, history | (old & EXPECTED), memory_order_relaxed);
}
