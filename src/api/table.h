/* SPDX-License-Identifier: BSD-3-Clause */
/* table.h - the rows of options.def at run time, and one value of one row: from text into a
 * configuration, and back. */
#ifndef PMX_API_TABLE_H
#define PMX_API_TABLE_H
#include "api/options.h"
#include "base/text.h"

enum { SET_OK = 0, SET_INVALID = -1, SET_NOMEM = -2 };

enum { QUOTE_MAX = 64 }; /* bytes of a foreign value in a message */

/* OPTION_COUNT: there is none. */
enum option_id option_find(const char *name);
/* SET_OK, or what went wrong, with the reason added to `error` and the old value left. show 0: keep
 * the value out of the reason, as for a secret. */
int option_apply(struct config *, enum option_id, const char *value, int show, struct text *error);
void option_print(struct text *, const struct config *, enum option_id); /* nothing of a secret */
void option_add_unknown(struct text *, const char *name, int show);      /* "did you mean …?" */
/* Of options that are kept as a number, and of those that are kept as a string. */
int64_t option_number(const struct config *, enum option_id);
const char *option_string(const struct config *, enum option_id);

#endif
