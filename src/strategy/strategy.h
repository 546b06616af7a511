/* SPDX-License-Identifier: BSD-3-Clause */
/* strategy.h - how connections are used: one table of functions, every member mandatory. A node has
 * one strategy; nothing outside this folder knows which. */
#ifndef PMX_STRATEGY_STRATEGY_H
#define PMX_STRATEGY_STRATEGY_H
#include "call/config.h"
#include "call/request.h"
#include "link/link.h"

struct strategy {
  const struct strategy_ops *ops;
};

/* What one pool or one lane says of itself: balanced, for it is read under one lock. */
enum account_kind { ACCOUNT_POOL, ACCOUNT_LANE };
struct account {
  enum account_kind kind;
  unsigned lane;        /* of a lane, from 0 */
  const char *name;     /* lives as long as the strategy */
  pmx_stats stats;      /* but for its size */
  pmx_histogram *times; /* NULL, or one for each kind: what it measured is added to them */
};

enum release_result {
  RELEASE_DONE,
  RELEASE_BUSY,     /* a call is inside: not given back */
  RELEASE_GONE,     /* its connection has ended already */
  RELEASE_RECLAIMED /* it was taken back, see pool.leak_reclaim */
};

struct strategy_ops {
  int routes; /* 1: it has several places for requests, and goes by route.place */
  /* control: see control.h; or NULL, then blocked commands that are given up cost their connection.
   * 0 or errno. */
  int (*open)(struct link_env *, const struct config *, struct strategy *control,
              struct strategy **ret);
  /* NULL, or why it does not carry such a command (leased: on a lease). Thread: any. */
  pmx_reply *(*refuse)(const struct route *, int leased);
  /* Takes a NEW request: NULL, and it ends exactly once, perhaps before this returns. Or why it was
   * not taken. A request with `pinned` set goes to that link, if `ticket` is still good. Thread:
   * any. Locks: none. Never waits. */
  pmx_reply *(*submit)(struct strategy *, struct request *);
  /* Its issuer does not want to wait any longer (TIMEOUT, CANCELED): ends it, or lets it be when
   * its time has not come, or gives it a little more in `deadline`, for what it waits for at the
   * server is being ended. Thread: the issuer's. */
  void (*cancel)(struct strategy *, struct request *, pmx_cause);
  /* Gives a leased link back. Thread: any. */
  enum release_result (*release)(struct strategy *, struct link *, uint64_t ticket);
  void (*configure)(struct strategy *, const struct config *); /* LIVE options have changed */
  /* The settings that connections are made with have changed: replaces those there are, each at a
   * time of its own within so many ns, when it owes nothing. Thread: any. */
  void (*renew)(struct strategy *, int64_t within);
  int (*account)(struct strategy *, unsigned i, struct account *ret); /* 0: there is no i-th */
  /* Refuses what is new, ends what is queued, lets what runs finish until the deadline and then
   * makes it fail. Does not wait: a REQUEST_DRAIN ends when all is done. Again: the earlier
   * deadline. */
  void (*drain)(struct strategy *, int64_t deadline);
  int (*aborted)(struct strategy *); /* 1: the drain's deadline cut something off */
  /* Frees it, after its drain, with the reactor's thread gone. */
  void (*close)(struct strategy *);
};

extern const struct strategy_ops pool_ops, mux_ops, hybrid_ops;

const struct strategy_ops *strategy_ops_of(pmx_strategy);

#endif
