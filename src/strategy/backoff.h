/* SPDX-License-Identifier: BSD-3-Clause */
/* backoff.h - what a strategy remembers of the connects that failed: when the next may be, whether
 * the circuit is open, and why. Under its owner's lock; knows neither slots nor lanes. */
#ifndef PMX_STRATEGY_BACKOFF_H
#define PMX_STRATEGY_BACKOFF_H
#include "base/random.h"
#include "call/config.h"
#include "link/link.h"

struct text;

struct backoff {
  unsigned failures; /* in a row */
  unsigned refusals; /* of them, those that were not our own shortage */
  unsigned opens;    /* how often the circuit opened */
  int open;          /* the circuit: the server is known to be away */
  int64_t next;      /* no connect before */
  pmx_cause cause;
  char error[768]; /* what is wrong with a certificate takes a few sentences */
  int64_t error_at;
  struct random random;
};

void backoff_init(struct backoff *);
/* One more failed; sets `next` with full jitter and does not tell the user yet.
 * local: our own shortage. */
void backoff_failed(struct backoff *, const struct config *, pmx_cause, const char *text, int local,
                    int64_t now);
/* The last connect failed: its cause and error are those of today. */
int backoff_is_failing(const struct backoff *);
/* One more in the books, under its stage. */
void backoff_count(pmx_stats *, enum dial_stage);
/* No connection is left: opens the circuit when offline=fail. `name`: see tell.h. */
void backoff_may_open(struct backoff *, const struct config *, const struct link_env *,
                      const char *name);
void backoff_done(struct backoff *, const struct link_env *, const char *name); /* one was made */
/* A connection was lost: the next connect waits as after n failed ones. */
void backoff_pause(struct backoff *, const struct config *, unsigned n, int64_t now);
void backoff_tell(const struct backoff *, const struct link_env *, const char *name, int64_t now);
/* Trying again will not help those who wait: the server answered. */
int backoff_is_permanent(pmx_cause);
/* "5 connects in a row failed, the last one 3 ms ago: <error>", or the error alone. */
void backoff_explain(const struct backoff *, struct text *, pmx_cause, int64_t now);

#endif
