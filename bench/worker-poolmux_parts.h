/* SPDX-License-Identifier: BSD-3-Clause */
/* worker-poolmux_parts.h - what the parts of poolmux-bench-poolmux share: one client, and those who
 * call through it. */
#ifndef BENCH_WORKER_POOLMUX_PARTS_H
#define BENCH_WORKER_POOLMUX_PARTS_H
#include <poolmux/poolmux.h>

#include "worker.h"

struct futures;
struct self {
  const struct plan *plan;
  pmx_client *client;
  pmx_sub **subs;          /* callbacks: one for each subscriber */
  struct futures *futures; /* NULL: callers are none */
  pmx_stats since;
};

void answer_with(struct call *, int i, const pmx_reply *); /* the reply is not kept */

/* worker-poolmux_threads.c */
void threads_call(void *self, struct call *);
void threads_listen(void *self, struct listener *);

/* worker-poolmux_async.c */
int async_open(struct self *);   /* 0, or -1: out of memory */
void async_close(struct self *); /* before the client */
void async_issue(void *self, struct call *);
void async_listen(void *self, struct listener *);
void async_turn(void *self, int64_t until_ns); /* io=loop */

#endif
