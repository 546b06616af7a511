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

enum { NAME_SIZE = 48 }; /* longer than any name, with its NUL */

/* In upper case and NUL-terminated, so that names are compared as plain strings, and its hash
 * (FNV-1a). False: no name looks like this. */
static bool fold(char folded[NAME_SIZE], const char *name, size_t len, uint32_t *ret_hash)
{
  uint32_t hash = UINT32_C(2166136261);

  if (len >= NAME_SIZE)
    return false;
  for (size_t i = 0; i < len; i++) {
    folded[i] = (char)upper(name[i]);
    if (folded[i] == ' ' || folded[i] == '\0')
      return false;
    hash = (hash ^ (unsigned char)folded[i]) * UINT32_C(16777619);
  }
  folded[len] = '\0';
  *ret_hash = hash ^ hash >> 15;
  return true;
}

/* Subcommands stand behind their commands and are not in it. */
static void make_index(const struct names *names)
{
  uint16_t slots[NAMES_SLOTS] = {0};
  char folded[NAME_SIZE];
  uint32_t at;

  for (size_t i = 0; i < names->count; i++) {
    const char *name = name_of(row(names, i));

    if (!fold(folded, name, strlen(name), &at))
      continue;
    while (slots[at % NAMES_SLOTS])
      at++;
    slots[at % NAMES_SLOTS] = (uint16_t)(i + 1);
  }
  for (size_t i = 0; i < NAMES_SLOTS; i++)
    atomic_store_explicit(&names->index->slots[i], slots[i], memory_order_relaxed);
  atomic_store_explicit(&names->index->ready, true, memory_order_release);
}

const void *names_find(const struct names *names, const char *name, size_t len, const char *sub,
                       size_t sub_len)
{
  char folded[NAME_SIZE];
  const char *found;
  uint32_t at;
  size_t i;

  if (!fold(folded, name, len, &at))
    return NULL;
  if (!atomic_load_explicit(&names->index->ready, memory_order_acquire))
    make_index(names);
  for (;; at++) {
    i = atomic_load_explicit(&names->index->slots[at % NAMES_SLOTS], memory_order_relaxed);
    if (i == 0)
      return NULL;
    if (strcmp(folded, name_of(row(names, i - 1))) == 0)
      break;
  }
  found = sub ? find_sub(names, i - 1, len, sub, sub_len) : NULL;
  return found ? found : row(names, i - 1);
}

bool names_word_is(const char *arg, size_t len, const char *word)
{
  size_t i = 0;

  for (; i < len && arg[i] != '\0' && word[i] != '\0'; i++)
    if (upper(arg[i]) != (unsigned char)word[i])
      return false;
  return word[i] == '\0' && (i == len || arg[i] == '\0');
}
