/* SPDX-License-Identifier: BSD-3-Clause */
/* router.h - where a classified request goes, and why, in a client that both shares connections and
 * lends them. */
#ifndef PMX_ROUTE_ROUTER_H
#define PMX_ROUTE_ROUTER_H
#include <stddef.h>
#include "call/config.h"
#include "call/route.h"

/* Sets place and reason. size: encoded bytes. Thread: any. Locks: none. */
void router_place(struct route *, size_t size, const struct config *);
/* 1: the server has to say what kind of command this is. */
int router_is_unknown(const struct route *);
/* "dedicated: BLPOP blocks for up to 5 s", of one that is not refused; as snprintf returns. */
size_t router_explain(const struct route *, size_t size, const struct config *, char *buf,
                      size_t buf_size);

#endif
