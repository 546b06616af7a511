/* SPDX-License-Identifier: BSD-3-Clause */
/* shapes.h - which kind of answer a command gets, where there is only one: a connection on which
 * GET is answered with a number has lost its place. */
#ifndef PMX_ROUTE_SHAPES_H
#define PMX_ROUTE_SHAPES_H
#include <stddef.h>
#include <stdint.h>
#include "call/commands.h"

struct shape {
  const char *name; /* as in the command table */
  uint8_t mask;     /* SHAPE_* */
};

uint8_t shape_of(const struct command *); /* 0: any */
size_t shape_count(void);
const struct shape *shape_at(size_t i); /* sorted by name */

#endif
