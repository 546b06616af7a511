/* SPDX-License-Identifier: BSD-3-Clause */
/* names.h - looking up command names in sorted tables. Rows begin with `const char *name`: upper
 * case, in byte order, "CLIENT REPLY" for a subcommand, which so stands right behind its "CLIENT".
 */
#ifndef PMX_CALL_NAMES_H
#define PMX_CALL_NAMES_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAMES_SLOTS = 1024 }; /* a power of two, well above the number of commands in a table */

struct names_index {
  atomic_bool ready;
  _Atomic uint32_t slots[NAMES_SLOTS]; /* 0: free */
};

struct names {
  const void *rows;
  size_t count, row_size;
  struct names_index *index; /* static memory of its own, zeroed */
};

/* Case-insensitive; sub may be NULL. The subcommand's row if there is one, else that of `name`
 * alone, else NULL. Names are compared whole: a NUL or a blank in one matches nothing. */
const void *names_find(const struct names *, const char *name, size_t len, const char *sub,
                       size_t sub_len);

/* True when the argument is the word (given in upper case) to a server that compares options as C
 * strings: whatever follows a NUL is not looked at. */
bool names_word_is(const char *arg, size_t len, const char *word);

#endif
