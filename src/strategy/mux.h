/* SPDX-License-Identifier: BSD-3-Clause */
/* mux.h - inside the multiplexer. Shared by mux*.c and by nobody else.
 *
 *   DOWN → CONNECTING → OPEN → DOWN
 *
 *   state       who owns the lane's link                     leaves it
 *   DOWN        nobody                                       a connect is wanted, and its time has
 * come CONNECTING  the reactor (dial)                           dial_done OPEN        its lane:
 * whoever drives it                  down_done: poisoned, and then closed
 *
 * All of a lane's fields here are under the lock of the lane itself. One connector per lane;
 * requests wait in the lane's queue meanwhile. A lane that was lost is connected again at once, but
 * after a failed connect only while somebody waits for it (or offline=fail has to know when to stop
 * refusing). */
#ifndef PMX_STRATEGY_MUX_H
#define PMX_STRATEGY_MUX_H
#include "base/clock.h"
#include "link/lane.h"
#include "strategy/backoff.h"
#include "strategy/strategy.h"
#include "strategy/tell.h"
#include "strategy/watchers.h"

enum { MUX_LANES_MAX = 8 };

enum mux_state { MUX_DOWN, MUX_CONNECTING, MUX_OPEN };

struct mux;

struct mux_lane {
  struct lane lane;
  struct mux *mux;
  struct config config; /* a copy of the values; its strings are the runtime's */
  enum mux_state state;
  int eager; /* just lost: connect without being asked */
  int draining, aborted;
  int64_t abort_at;
  struct backoff backoff;
  struct occasion full;
  unsigned short_lives; /* connections in a row that died young */
  struct request dial, ping;
  struct job job; /* starts the dial on the reactor */
  int pinging;
  struct ticker ticker;
  int64_t opened_at;
  int64_t renew_at; /* of this connection: when it is to be replaced */
  /* what the last tick saw, and since when nothing has moved */
  uint64_t seen_reads, seen_sent;
  int64_t still_since;
  pmx_stats stats; /* what is counted; what is now is looked at in mux_add_stats */
  struct histogram create;
};

struct mux {
  struct strategy base;
  struct link_env *env;
  char name[300];
  struct mux_lane *lanes[MUX_LANES_MAX];
  unsigned count;
  struct watchers watchers;
};

/* mux_lane.c: the life of a lane's connections */
int mux_lane_open(struct mux *, const struct config *, struct mux_lane **ret); /* 0 or errno */
void mux_lane_close(struct mux_lane *);
void mux_want_connection(struct mux_lane *, int64_t now); /* locked */
void mux_drop_ping(struct mux_lane *);                    /* locked */
void mux_drop_queued(struct mux_lane *);                  /* locked: they end, CLOSED */
void mux_renew_lane(struct mux_lane *, int64_t within, int64_t now); /* locked */
void mux_abort(struct mux_lane *);                        /* locked: while it is up */
void mux_check_drained(struct mux *);                     /* no lock held */

/* mux_report.c: all with the lane's lock held */
pmx_reply *mux_explain_unsent(const struct mux_lane *, const struct request *, pmx_cause,
                              int64_t now);
pmx_reply *mux_explain_unanswered(const struct mux_lane *, const struct request *, pmx_cause,
                                  int64_t now);
pmx_reply *mux_explain_offline(const struct mux_lane *, pmx_cause, int64_t now);
pmx_reply *mux_explain_full(struct mux_lane *); /* and tells the log */
pmx_reply *mux_explain_closed(const struct mux *);
void mux_tell(struct mux_lane *, struct account *ret, int64_t now);

#endif
