/* SPDX-License-Identifier: BSD-3-Clause */
/* commands.c - the generated command table as data. Knows names and flags, not what to do about
 * them: that is the classifier's. */
#include "call/commands.h"
#include "call/names.h"

static const struct command table[] = {
#define COMMAND(name, arity, flags, first, last, step) {name, arity, flags, first, last, step},
#include "call/commands.def"
#undef COMMAND
};

enum { COUNT = sizeof table / sizeof table[0] };

const struct command *command_find(const char *name, size_t len, const char *sub, size_t sub_len)
{
  static struct names_index index;
  static const struct names names = {table, COUNT, sizeof table[0], &index};

  return names_find(&names, name, len, sub, sub_len);
}

size_t command_count(void)
{
  return COUNT;
}

const struct command *command_at(size_t i)
{
  return i < COUNT ? &table[i] : NULL;
}
