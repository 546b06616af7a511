/* SPDX-License-Identifier: BSD-3-Clause */
/* async.h - calls that nobody waits for: callbacks and futures. */
#ifndef PMX_API_ASYNC_H
#define PMX_API_ASYNC_H
#include "api/call.h"

struct future;

struct async_target {
  pmx_reply_fn fn; /* or NULL: */
  void *ud;
  struct pmx_future *future;
  int internal; /* the library's own question: not counted as a call */
};

/* Takes the arguments over, or why they are bad. NULL: the target will be told, once. Else it never
 * will, and why. */
pmx_reply *async_start(pmx_client *, const pmx_call *, struct args *, pmx_reply *bad_args,
                       const struct async_target *);
void async_end_paused(struct runtime *); /* those before their next try. Thread: reactor */

/* future.c. Takes the reply and the reference of the call over. Thread: any. Locks: none. */
void future_publish(struct pmx_future *, pmx_reply *);

#endif
