/* SPDX-License-Identifier: BSD-3-Clause */
/* block.h - how long a command may wait at the server, told from its arguments. One function for
 * each grammar; each takes all arguments, the name included.
 *
 * Where servers differ, the answer is "it waits": a command wrongly taken for a waiting one costs a
 * connection for a moment, the opposite mistake stops everybody behind it. */
#ifndef PMX_ROUTE_BLOCK_H
#define PMX_ROUTE_BLOCK_H
#include <stdint.h>
#include "route/arguments.h"

#define BLOCK_NEVER INT64_C(-1) /* answered at once, be it with an error */

/* ms, ROUTE_BLOCK_FOREVER or BLOCK_NEVER */
typedef int64_t (*block_fn)(const struct arguments *);

int64_t block_pop(const struct arguments *);        /* name key … seconds */
int64_t block_rpoplpush(const struct arguments *);  /* name from to seconds */
int64_t block_move(const struct arguments *);       /* name from to LEFT RIGHT seconds */
int64_t block_move_many(const struct arguments *);  /* the same, then options */
int64_t block_pop_list(const struct arguments *);   /* name seconds n key … LEFT [COUNT n] */
int64_t block_pop_sorted(const struct arguments *); /* name seconds n key … MIN [COUNT n] */
int64_t block_read(const struct arguments *); /* name … [BLOCK ms] … STREAMS key … id … */
int64_t block_read_group(const struct arguments *);  /* the same, with GROUP group consumer */
int64_t block_read_series(const struct arguments *); /* name key from [BLOCK ms min] … */
int64_t block_wait(const struct arguments *);        /* name replicas ms */
int64_t block_wait_aof(const struct arguments *);    /* name local replicas ms */
int64_t block_migrate(const struct arguments *);     /* name host port key db ms … */

#endif
