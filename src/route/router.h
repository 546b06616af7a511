/* SPDX-License-Identifier: BSD-3-Clause */
/* router.h - where a classified request goes, and why, in a client that both shares connections and
 * lends them. */
#ifndef PMX_ROUTE_ROUTER_H
#define PMX_ROUTE_ROUTER_H
#include <stddef.h>
#include "call/config.h"
#include "call/route.h"

struct text;

/* Sets place and reason. size: encoded bytes. Thread: any. Locks: none. */
void router_place(struct route *, size_t size, const struct config *);
/* 1: the server has to say what kind of command this is. */
int router_is_unknown(const struct route *);
/* In a word: "lane", "dedicated", "control"; "ordinary", "asked", "blocks" … Static. */
const char *router_place_word(const struct route *);
const char *router_reason_word(const struct route *);
/* "dedicated: BLPOP blocks for up to 5.0 s", of one that is not refused. name: of the command, for
 * people. */
void router_explain(const struct route *, const char *name, size_t size, const struct config *,
                    struct text *);

#endif
