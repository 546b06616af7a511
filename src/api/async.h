/* SPDX-License-Identifier: BSD-3-Clause */
/* async.h - calls that nobody waits for: callbacks and futures. */
#ifndef PMX_API_ASYNC_H
#define PMX_API_ASYNC_H
#include "api/call.h"

struct async;

struct async_target {
  pmx_reply_fn fn; /* or NULL: */
  void *ud;
  struct pmx_future *future;
  int internal; /* the library's own question: not counted as a call */
};

/* Of the arguments, or of why they are bad, which it takes over. NULL: the target will be told,
 * once. Else it never will, and why. */
pmx_reply *async_start(pmx_client *, const pmx_call *, const struct args *, pmx_reply *bad_args,
                       const struct async_target *);
/* Of a call for a future that takes something away at the server while it waits there
 * (async_takes): nobody wants it any more. */
void async_abandon(struct async *);
void async_unref(struct async *);
/* Something was taken, and reaches nobody: counted, and an event. */
void async_orphan(struct async *, const pmx_reply *);
void async_end_paused(struct runtime *); /* those before their next try. Thread: reactor */

/* future.c. The call it is for, when that may have to be abandoned: with a reference. Before it is
 * submitted. */
void future_has_call(struct pmx_future *, struct async *);
/* Takes the reply and the reference of the call over. Thread: any. Locks: none. */
void future_publish(struct pmx_future *, pmx_reply *);

#endif
