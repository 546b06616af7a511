/* SPDX-License-Identifier: BSD-3-Clause */
/* names.c - a hash table for the commands, then a walk over the few subcommands. Knows no command.
 *
 * The hash table is made by the first who asks. Several may: they make the same, each on its own
 * stack, and store the same. */
#include "call/names.h"
#include <string.h>

static unsigned upper(char c)
{
  return (unsigned char)c - (c >= 'a' && c <= 'z' ? 32U : 0U);
}

/* < 0, 0 or > 0, as `key` sorts before, is or sorts after `name`. A blank never matches, so that
 * "CLIENT ID" sent as one argument stays as unknown to us as it is to the server. */
static int compare(const char *key, size_t len, const char *name)
{
  for (size_t i = 0; i < len; i++) {
    unsigned a = upper(key[i]), b = (unsigned char)name[i];

    if (b == 0)
      return 1;
    if (a != b || a == ' ')
      return a < b ? -1 : 1;
  }
  return name[len] == '\0' ? 0 : -1;
}

static const char *row(const struct names *names, size_t i)
{
  return (const char *)names->rows + i * names->row_size;
}

static const char *name_of(const char *at)
{
  return *(const char *const *)(const void *)at;
}

static bool is_sub_of(const char *name, const char *base, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (name[i] != base[i])
      return false;
  return name[len] == ' ';
}

static const char *find_sub(const struct names *names, size_t base, size_t len, const char *sub,
                            size_t sub_len)
{
  const char *base_name = name_of(row(names, base));

  for (size_t i = base + 1; i < names->count; i++) {
    const char *name = name_of(row(names, i));

    if (!is_sub_of(name, base_name, len))
      return NULL;
    if (compare(sub, sub_len, name + len + 1) == 0)
      return row(names, i);
  }
  return NULL;
}

enum { NAME_MAX_BYTES = 47 }; /* longer than any name */

/* A slot: the number of a row, from 1; a bit; and the upper half of the hash, which tells nearly
 * all other names apart. */
enum { ROW_MASK = 0x7fff, HAS_SUBS = 0x8000, HASH_SHIFT = 16 };

/* FNV-1a of the name without its case. What else this folds together, is_name tells apart. */
static uint32_t hash_of(const char *name, size_t len)
{
  uint32_t hash = UINT32_C(2166136261);

  for (size_t i = 0; i < len; i++)
    hash = (hash ^ ((unsigned char)name[i] & 0xdfU)) * UINT32_C(16777619);
  return hash ^ hash >> HASH_SHIFT;
}

static bool is_name(const char *key, size_t len, const char *name)
{
  for (size_t i = 0; i < len; i++)
    if (name[i] == '\0' || (key[i] != name[i] && upper(key[i]) != (unsigned char)name[i]))
      return false;
  return name[len] == '\0';
}

/* Subcommands stand behind their commands and are not in it. */
static void make_index(const struct names *names)
{
  uint32_t slots[NAMES_SLOTS] = {0};

  for (size_t i = 0; i < names->count; i++) {
    const char *name = name_of(row(names, i));
    size_t len = strlen(name);
    uint32_t hash = hash_of(name, len), at = hash;
    bool subs = i + 1 < names->count && is_sub_of(name_of(row(names, i + 1)), name, len);

    if (strchr(name, ' '))
      continue;
    while (slots[at % NAMES_SLOTS])
      at++;
    slots[at % NAMES_SLOTS] =
        (uint32_t)(i + 1) | (subs ? HAS_SUBS : 0U) | hash >> HASH_SHIFT << HASH_SHIFT;
  }
  for (size_t i = 0; i < NAMES_SLOTS; i++)
    atomic_store_explicit(&names->index->slots[i], slots[i], memory_order_relaxed);
  atomic_store_explicit(&names->index->ready, true, memory_order_release);
}

const void *names_find(const struct names *names, const char *name, size_t len, const char *sub,
                       size_t sub_len)
{
  const char *found = NULL;
  uint32_t hash, at, slot;
  size_t i;

  if (len > NAME_MAX_BYTES)
    return NULL;
  if (!atomic_load_explicit(&names->index->ready, memory_order_acquire))
    make_index(names);
  hash = hash_of(name, len);
  for (at = hash;; at++) {
    slot = atomic_load_explicit(&names->index->slots[at % NAMES_SLOTS], memory_order_relaxed);
    if (slot == 0)
      return NULL;
    i = (slot & ROW_MASK) - 1;
    if ((slot ^ hash) >> HASH_SHIFT == 0 && is_name(name, len, name_of(row(names, i))))
      break;
  }
  if (sub && (slot & HAS_SUBS))
    found = find_sub(names, i, len, sub, sub_len);
  return found ? found : row(names, i);
}

bool names_word_is(const char *arg, size_t len, const char *word)
{
  size_t i = 0;

  for (; i < len && arg[i] != '\0' && word[i] != '\0'; i++)
    if (upper(arg[i]) != (unsigned char)word[i])
      return false;
  return word[i] == '\0' && (i == len || arg[i] == '\0');
}
