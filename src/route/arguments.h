/* SPDX-License-Identifier: BSD-3-Clause */
/* arguments.h - the arguments of one command as the classifier's parts hand them around. Borrowed;
 * an index must be below count. */
#ifndef PMX_ROUTE_ARGUMENTS_H
#define PMX_ROUTE_ARGUMENTS_H
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "call/names.h"

struct arguments {
  int count;
  const char *const *text;
  const size_t *len; /* NULL: C strings */
};

static inline size_t argument_len(const struct arguments *args, int i)
{
  if (!args->text[i])
    return 0;
  return args->len ? args->len[i] : strlen(args->text[i]);
}

/* As an option: case does not count, nor does what follows a NUL. The word is upper case. */
static inline bool argument_is(const struct arguments *args, int i, const char *word)
{
  return names_word_is(args->text[i], argument_len(args, i), word);
}

static inline bool argument_is_either(const struct arguments *args, int i, const char *one,
                                      const char *other)
{
  return argument_is(args, i, one) || argument_is(args, i, other);
}

#endif
