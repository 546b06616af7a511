/* SPDX-License-Identifier: BSD-3-Clause */
/* client.h - inside the client object.
 *
 * A client is what outlives everything: its opening configuration, a handful of atomics, and a
 * pointer to the runtime of this process. A runtime owns threads, descriptors and locks; after a
 * fork the child leaks its parent's and builds one of its own at first use.
 *
 * A runtime has nodes: a node is one server endpoint with its strategy. Only standalone servers
 * exist, so there is one; nothing outside api/ may know that. */
#ifndef PMX_API_CLIENT_H
#define PMX_API_CLIENT_H
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include "api/unknown.h"
#include "base/histogram.h"
#include "call/cancel.h"
#include "call/config.h"
#include "link/link.h"
#include "route/learn.h"
#include "strategy/strategy.h"
#include "strategy/subscriber.h"

struct node {
  struct link_env env;
  struct strategy *control; /* its control connection, see strategy/control.h */
  struct strategy *strategy;
  struct subscriber *subscriber;
  struct tls_source tls; /* when env.tls points to it */
  char name[280];
};

/* Where leases live: long enough that one returned twice is found out, see lease.c. */
struct lease_slab {
  struct lock lock;
  struct list returned, blocks;
  unsigned resting;
};

struct runtime {
  uint32_t fork_generation;
  struct config fixed; /* as opened: never changes; its strings are the client's */
  struct lock lock;    /* of live */
  struct config live;  /* what pmx_client_set made of it */
  struct notices notices;
  struct reactor reactor;
  struct resolver *resolver;
  struct parker_slab parkers;
  struct lease_slab leases;
  struct unknowns unknowns;
  struct node node;
  _Atomic uint64_t bad_returns;
  struct list paused; /* asynchronous calls before their next try; the reactor's thread only */
  struct job end_paused;
  struct request drained; /* ends when the strategy is empty: then the control connection goes */
  _Atomic int draining;
  _Atomic int64_t close_at; /* the earliest deadline of a close */
  int64_t wind_up_until;
  pmx_client *owned; /* it has ended: the runtime gives up its reference when it is destroyed */
};

/* How a call ended: which histogram counts it. INVALID is no outcome of a call that was made. */
enum call_outcome { CALL_REPLY, CALL_SERVER_ERROR, CALL_NOT_RUN, CALL_UNKNOWN, CALL_OUTCOMES };

enum retry_reason { RETRY_LOST, RETRY_CONNECT, RETRY_REFUSED, RETRY_CONFLICT, RETRY_REASONS };

/* Relaxed atomics. A call is counted by recording how long it took. One with a callback is counted
 * where callbacks run, one at a time, in books of its own with one writer: no locked instructions
 * there. */
struct call_counters {
  struct histogram times[CALL_OUTCOMES], callback_times[CALL_OUTCOMES];
  _Atomic uint64_t invalid, orphans;
  _Atomic uint64_t retries[RETRY_REASONS];
  _Atomic uint64_t routed[ROUTE_REASONS]; /* with hybrid, the ordinary ones left out */
};

struct pmx_client {
  _Atomic unsigned refs; /* the users', the runtime's, and whether it is ending */
  _Atomic int closed;
  const struct strategy_ops *strategy;
  struct config config; /* as opened */
  _Atomic(struct runtime *) runtime;
  /* the LIVE options that calls read */
  _Atomic int64_t command_timeout, blocking_grace, retry_max, retry_reads;
  struct call_counters counters;
  struct learn learn;
};

/* runtime.c. NULL and the reason when it cannot be had. */
struct runtime *runtime_open(const struct config *fixed, const struct config *live,
                             pmx_reply **ret_error);
/* Frees it. Outside the reactor's thread: now. On it: when the current callback has returned. */
void runtime_close(struct runtime *);
pmx_reply *runtime_explain_tls(const char *error);                   /* what tls_context_new said */
struct node *runtime_node(struct runtime *, const struct request *); /* where a request goes */
void runtime_drain(struct runtime *, int64_t deadline);
void runtime_wait_unsubscribed(struct runtime *, int64_t deadline); /* after it */

/* client.c */
struct runtime *client_runtime(pmx_client *, pmx_reply **ret_error); /* this process' own */

/* call.c */
struct call {
  uint64_t flags;
  int64_t started, deadline; /* ns */
  int64_t cap;               /* ns: pmx_call.deadline_ms */
  unsigned thread;           /* the caller's */
  int has_timeout;           /* the caller named one */
  struct timing *timing; /* for trace.h, or NULL */
  pmx_cancel *cancel;
  struct cancel_hook hold; /* keeps the token alive for as long as the call takes */
};
/* NULL, or why the options of the call are bad. */
pmx_reply *call_read(const pmx_client *, const pmx_call *, struct call *ret);
/* Around all that uses the call: its owner may free the token meanwhile. */
void call_hold(struct call *);
void call_let_go(struct call *);
/* NULL, or why it need not begin: cancelled, or no time. */
pmx_reply *call_may_begin(const struct call *);
void call_allow_blocking(const pmx_client *, const struct route *, struct call *);
/* Submits, waits and cancels as need be, until the request has ended; its reply, NULL for success
 * without one. */
pmx_reply *call_wait(struct node *, struct request *, pmx_cancel *);
pmx_reply *call_wait_on(struct strategy *, struct link_env *, struct request *, pmx_cancel *);

#endif
