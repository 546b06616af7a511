/* SPDX-License-Identifier: BSD-3-Clause */
/* caller.h - the world of one seed, shared by scenario.c (its course), draw.c (what is drawn for
 * it), roles.c (who lives in it) and caller.c (what they call). */
#ifndef PMX_SIM_CALLER_H
#define PMX_SIM_CALLER_H
#include <poolmux/poolmux.h>
#include "sim/sim.h"

enum { CALLERS_MAX = 8, NESTED = CALLERS_MAX };

enum { TOKENS_EACH = 6 };

/* Of a caller: one after the other, since one that was fired is of no more use. */
struct token {
  pmx_cancel *cancel; /* NULL: none */
  int64_t fired_at;   /* SIM_FOREVER: not yet */
};

struct world {
  pmx_client *client;
  int lanes, pool;      /* mux has lanes, pool a pool, hybrid both */
  int loop;             /* io=loop */
  int refs;             /* to the client, as far as we hold them */
  int callers, running; /* coroutines that make calls, and calls that are to be called back */
  int callbacks;        /* of the latter */
  int chain;            /* how many more callbacks may do something */
  int stop;             /* no new calls but the last ones */
  int healed, closed, memory, forever_allowed;
  int leaves_first; /* main drops its reference before the callers do */
  int callback_ref; /* a reference a callback may drop */
  int callback_calls;
  int chatty; /* callbacks begin one call after the other */
  int gentle; /* nothing breaks: no connection may be lost */
  int told;   /* there is a callback for events */
  int offline_fail, few_waiters, shortage, reclaims, keepalive;
  int narrow;      /* a lane may be full for those who do not wait */
  int may_be_full; /* mux.full=fail, now or before … */
  int always_full; /* … at all times */
  int big;         /* some values are larger than any buffer */
  uint64_t stalls; /* of the statistics, when all was well again */
  int64_t base_db, wait_timeout, max_size;
  int64_t retire; /* tls.retire */
  int64_t bulk;   /* hybrid.bulk_request */
  int64_t grace;  /* cancel_grace */
  struct token tokens[CALLERS_MAX + 1][TOKENS_EACH];
  int token_now[CALLERS_MAX + 1];
  unsigned next_lease;
};

extern struct world world_of_seed;

/* scenario.c: one more reference to the client, unless it may be gone; one less. */
int world_hold(void);
void world_drop(void);

/* draw.c */
void draw_options(pmx_options *);
void draw_faults(void);
/* 1: it must be accepted, -1: refused. After that draw_live_option_set. */
int draw_live_option(const char **name, char *value, size_t size);
void draw_live_option_set(const char *name, const char *value);

/* roles.c */
void role_event(void *, const pmx_event *);
void role_close(int64_t timeout_ms);
void role_callback_begins(void); /* what holds for all of them */
void role_callback_ends(void);
void roles_start(void);
void roles_tune(void); /* changes one live option */
void roles_wait(const char *until);
void roles_burst(void); /* many callers at once, when all is well */

/* caller.c */
struct token *caller_token(int who); /* the one of now */
/* One random call. `who` indexes the tokens. */
void caller_step(int who);
/* After healing: succeeds within a second, tried as often as it takes. */
void caller_must_succeed(void);
void caller_must_succeed_there(uint64_t place); /* PMX_CALL_DEDICATED, PMX_CALL_SHARED */
/* When all is well, with others: ends within a second. */
void caller_burst_step(void);
/* What the strategy does not carry must be refused. */
void caller_refused(int who);
int caller_is_hybrid(void);

/* async.c */
void async_step(int who); /* some calls that nobody waits for */
void async_urgent(void);  /* one, when all is well */
void async_check(void);   /* at the end: each was told once */

/* tracing.c */
void tracing_set(pmx_options *);
void tracing_event(const pmx_event *);
void tracing_check(void); /* at the end */

/* loop.c */
void loop_start(void);
void loop_stop(void);

/* blockade.c */
void blockade(void); /* hybrid: the whole pool is blocked, and the lanes do not mind */

/* leasing.c */
void caller_lease(int who); /* one lease with some calls */

/* judge.c */
void caller_check_stats(int at_rest);
void caller_check_orphan(const pmx_reply *); /* what was popped for a future that was freed */

#endif
