/* SPDX-License-Identifier: BSD-3-Clause */
/* rules.h - what the command table does not say about commands: one row for each command that is
 * more than "reads" or "writes". */
#ifndef PMX_ROUTE_RULES_H
#define PMX_ROUTE_RULES_H
#include <stddef.h>
#include <stdint.h>
#include "route/block.h"

/* What more the arguments say. */
enum rule_detail {
  DETAIL_NONE = 0,
  DETAIL_SWITCH,   /* argument 2 is ON or OFF: OFF has effect_off */
  DETAIL_DATABASE, /* argument 1 is effect_arg */
  DETAIL_STORE,    /* only reads unless STORE or STOREDIST is given */
  DETAIL_BITFIELD, /* only reads unless SET or INCRBY is given */
  DETAIL_STREAM,   /* may run twice unless it waits for what comes after "$" */
  DETAIL_FLUSH     /* argument 1 is ASYNC: holds nobody up */
};

struct rule {
  const char *name; /* as in the command table */
  uint32_t flags;   /* ROUTE_*, added to what the command table says */
  uint16_t effect;  /* enum session_effect */
  uint16_t effect_off;
  enum rule_detail detail;
  block_fn block; /* or NULL */
  const char *hint;
};

/* The row of the subcommand, else of the command, else NULL. Case-insensitive; sub may be NULL. */
const struct rule *rule_find(const char *name, size_t len, const char *sub, size_t sub_len);
size_t rule_count(void);
const struct rule *rule_at(size_t i); /* sorted by name */

#endif
