/* SPDX-License-Identifier: BSD-3-Clause */
/* options.h - text to struct config: the option table, single settings and URLs. */
#ifndef PMX_API_OPTIONS_H
#define PMX_API_OPTIONS_H
#include "call/config.h"

enum option_id { /* OPTION_ID_host … in the order of the table */
#define OPTION(field, ...) OPTION_ID_##field,
#include "call/options.def"
#undef OPTION
  OPTION_COUNT
};

enum { OPTION_TEXT_SIZE = 24 }; /* the longest printed number or name, and its NUL */

struct pmx_options {
  struct config config;
  char error[512]; /* the first bad setting; "" = none */
  char text[OPTION_COUNT][OPTION_TEXT_SIZE]; /* what pmx_options_get returns, unless a string */
};

/* Sets one option. 0; -1 with the reason in error (names the option, the value unless it is a secret,
 * and what is valid); or -2: the same, because memory ran out. Whatever fails leaves the old value.
 * live_only: refuse options that are not LIVE. */
int config_set(struct config *, const char *name, const char *value, int live_only, char *error,
               size_t error_size);
int config_init(struct config *); /* all defaults; 0, or -1: out of memory */
/* Applies a redis:// rediss:// valkey:// valkeys:// unix:// URL, all of it or nothing. 0, or -1 or
 * -2 with error as above, nothing of user and password ever in it. */
int config_set_url(struct config *, const char *url, char *error, size_t error_size);
/* What only holds between options (client_name without blanks, min_idle <= max_size …). 0, or -1
 * with the reason in error. */
int config_check(const struct config *, char *error, size_t error_size);

struct option_row {
  const char *name, *kind, *def, *names, *help;
  int64_t min, max;
  int live;
};
size_t option_count(void);
const struct option_row *option_at(size_t i); /* for tests and the manual's check */

#endif
