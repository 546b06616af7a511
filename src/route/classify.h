/* SPDX-License-Identifier: BSD-3-Clause */
/* classify.h - what a command is, told from its arguments as the server would parse them. */
#ifndef PMX_ROUTE_CLASSIFY_H
#define PMX_ROUTE_CLASSIFY_H
#include <stddef.h>
#include "call/route.h"

/* Total: any arguments give a route. Thread: any. Locks: none. No allocation. */
void classify(int argc, const char *const *argv, const size_t *len, struct route *ret);

#endif
