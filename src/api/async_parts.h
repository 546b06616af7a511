/* SPDX-License-Identifier: BSD-3-Clause */
/* async_parts.h - between async.c and async_end.c: a call that nobody waits for, and what the two
 * ask of each other. */
#ifndef PMX_API_ASYNC_PARTS_H
#define PMX_API_ASYNC_PARTS_H
#include "api/async.h"
#include "api/retry.h"
#include "call/timing.h"

struct async {
  struct request request;
  _Atomic unsigned refs; /* the call itself, and who is at work on it */
  _Atomic int over;      /* its outcome is decided */
  _Atomic int submitted, fired, cancel_posted, abandoned;
  int paused; /* the reactor's thread only */
  struct attempts attempts;
  void *span; /* the program's, see trace.h */
  pmx_reply *reply;
  pmx_client *client; /* what follows is set when it is made */
  struct runtime *runtime;
  struct async_target target;
  struct order order;
  struct call call;
  struct timer timer; /* the deadline; while PAUSED: the next try */
  struct list pause;  /* on runtime.paused */
  struct job job;     /* the next try; in the end the callback */
  struct job cancel;
  _Alignas(max_align_t) char behind[]; /* see make_order */
};

/* async.c */
/* Its outcome, once. Thread: any. Locks: none. */
void async_finish(struct async *, pmx_reply *);
void async_try_again(struct async *); /* Thread: reactor */

/* async_end.c. The first two are its timer's */
void async_hold(struct timer *);
void async_time_is_up(struct timer *);
void async_run_cancel(struct job *); /* its job `cancel` */
/* Gives it up soon, on the reactor's thread. Thread: any */
void async_post_cancel(struct async *);
void async_token_fired(struct cancel_hook *);
void async_end_pause(struct async *);

#endif
