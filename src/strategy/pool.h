/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.h - inside the pool strategy. Shared by pool*.c and by nobody else.
 *
 * Slots. A slot is a place for one connection; pool.max_size bounds how many are not FREE.
 *
 *   FREE → CONNECTING → IDLE ⇄ IN_USE → REPAIRING → IDLE
 *            |           | ⇅      |  ↘     |
 *            |           | CHECKING SETTLING → IDLE
 *            ↓           ↓   ↓    ↓    ↓   ↓
 *           FREE        CLOSING → FREE
 *
 *   state        who owns the link                   leaves it
 *   FREE         nobody                              a dial is wanted
 *   CONNECTING   the reactor (task = dial)           slot_task_done
 *   IDLE         nobody: under the lock              borrow, check, timer, close
 *   IN_USE       the caller, or a lease between      pool_done, release, seizure
 *                calls (busy = 0: nobody)
 *   CHECKING     the reactor (task = PING)           slot_task_done
 *   REPAIRING    the reactor (task = repair)         slot_task_done
 *   SETTLING     nobody: a CLIENT UNBLOCK for it is  unblock_answered, close
 *                under way
 *   CLOSING      the thread that leaves the pool     pool_leave
 *
 * `state` and all else here change only under the pool's lock. No system call, no callback and no
 * dial happens under it: they are noted (closing, wakes, poke) and done by pool_leave, which
 * every entry point ends with.
 *
 * Waiters are requests in one FIFO. A usable connection goes to the oldest of them before anything
 * else; a slot that becomes FREE starts a dial for them (pool_pump). A dial belongs to the pool:
 * its connection serves whoever is first by then.
 *
 * Invariants (I1 … I17 of the specification are listed in docs/design.md): the sum of the states
 * that are not FREE never exceeds the largest pool.max_size in force when they were taken; a waiter
 * sleeps only while there is a dial, a check, a repair, a connection in use or a timer that will
 * come for it. */
#ifndef PMX_STRATEGY_POOL_H
#define PMX_STRATEGY_POOL_H
#include "base/clock.h"
#include "base/histogram.h"
#include "strategy/backoff.h"
#include "strategy/strategy.h"
#include "strategy/tell.h"

enum slot_state {
  SLOT_FREE,
  SLOT_CONNECTING,
  SLOT_IDLE,
  SLOT_IN_USE,
  SLOT_CHECKING,
  SLOT_REPAIRING,
  SLOT_SETTLING,
  SLOT_CLOSING,
  SLOT_STATES
};

/* Why a connection is closed: which counter it goes to. */
enum close_reason {
  CLOSE_IDLE,
  CLOSE_LIFETIME,
  CLOSE_STALE,
  CLOSE_DIRTY,
  CLOSE_ERROR,
  CLOSE_RECLAIMED,
  CLOSE_SURPLUS,  /* pool.max_size, pool.max_idle */
  CLOSE_SHUTDOWN, /* pmx_close */
};

struct pool;

/* What a request on a link is doing there: its own command, or what the pool says before and after
 * it. See pool_unblock.c. */
enum step { STEP_OWN, STEP_ID, STEP_RUN, STEP_FENCE };

enum { RUN_ID_SIZE = 41, UNBLOCK_SIZE = 96 };

/* Ending what a connection's command waits for at the server. */
struct unblock {
  /* the link's owner's */
  enum step step;
  const char *bytes; /* of the request, while the step is another */
  size_t size;
  uint8_t shape;
  int asked;         /* bits of enum step: the server would not say */
  int64_t client_id; /* at the server; 0 = not known */
  char run_id[RUN_ID_SIZE];
  int begun; /* this request is being cancelled */
  int retire;
  pmx_cause cause;
  /* under the pool's lock */
  int pending;          /* the CLIENT UNBLOCK has not ended */
  int waiting;          /* nor has the cancelled request */
  int answer;           /* it said: 1 = ended its wait, 0 = nothing waits; -1 = nothing yet */
  int seen;             /* the cancelled request was told so */
  int doomed;           /* nobody knows whether it will still come */
  int64_t deadline;     /* of the whole attempt */
  struct timer again;   /* asks once more */
  struct request *held; /* of a lease, until nothing is pending */
  struct request request;
  char command[UNBLOCK_SIZE];
};

struct slot {
  struct link link;
  struct pool *pool;
  struct list node; /* free, idle or closing */
  enum slot_state state;
  int linked; /* link_init was done */
  int fresh;  /* dialled just now, for a waiter who has not used it yet */
  int leased; /* IN_USE for a lease */
  int busy;   /* IN_USE and a call is inside */
  int outdated; /* made with settings that were replaced: expires without waiting for its turn */
  int exempt; /* that call waits at the server: no leak */
  int told;   /* its leak was reported */
  enum close_reason reason;
  uint64_t ticket;    /* of the current use; a stale one is refused */
  uint64_t reclaimed; /* the last ticket that was taken back from a lease */
  int64_t idle_since, used_at, borrowed_at, expires_at;
  int64_t quiet_since; /* of a lease: borrowed, or its last blocking command ended */
  const char *command; /* of the current use, for people */
  struct request *unattended; /* the current use, when the reactor is its caller; or NULL */
  struct request task;
  struct job job; /* starts the task on the reactor */
  struct unblock unblock;
  char repair[SESSION_REPAIR_MAX];
};

enum { WAKES_MAX = 8 };

struct pool {
  struct strategy base;
  struct link_env *env;
  struct strategy *control; /* or NULL */
  struct lock lock;
  struct config config; /* a copy of the values; its strings are the runtime's */
  char name[300];
  char label[600]; /* the name, and where it leads to */
  struct slot **slots;
  size_t slot_count, slot_cap;
  struct list free, idle; /* idle: oldest first */
  unsigned count[SLOT_STATES];
  struct list waiters, watchers; /* requests: COMMAND and LEASE; DRAIN and FILL */
  struct list held;              /* of leases, see struct unblock */
  unsigned waiting;
  /* closing the pool */
  int draining, aborted;
  int64_t abort_at;
  /* dialling */
  struct backoff backoff;
  int suspect; /* a check failed: the other idle connections may be as dead */
  int spare;   /* one more is wanted, so that an expired one can go */
  int64_t last_retired, wait_event_at;
  struct occasion failed; /* calls, for want of a connection */
  struct ticker ticker;
  /* noted under the lock, done by pool_leave */
  struct list closing;
  struct list finished; /* requests that ended and that nobody waits for */
  struct parker *wakes[WAKES_MAX];
  unsigned wake_count;
  int poke; /* the reactor has something to do */
  _Atomic int64_t refused_until, cancel_grace; /* until when the server lets us end no waits */
  pmx_stats stats; /* what is counted; what is now is looked at in pool_account */
  struct histogram wait, create, use;
};

/* pool.c */
struct slot *slot_of(struct link *);
void pool_leave(struct pool *); /* does what was noted and drops the lock */

/* pool_requests.c */
pmx_reply *pool_submit(struct strategy *, struct request *);
void pool_done(struct request *);
/* Off its queue, ended. `why` counts it if it waited for a connection; NULL: wait_failed. */
void pool_end(struct pool *, struct request *, pmx_reply *, uint64_t *why);
void pool_assign(struct pool *, struct slot *, struct request *, int64_t now);
void pool_pin(struct slot *, struct request *, int wake); /* a command on its lease's connection */

/* pool_cancel.c */
void pool_cancel(struct strategy *, struct request *, pmx_cause);
void pool_expire_queued(struct pool *, int64_t now, int64_t *next); /* those nobody waits for */

/* pool_steps.c. Thread: the link's owner */
void step_prepare(struct slot *, struct request *); /* before it is ASSIGNED; under the lock */
void step_take(struct slot *, struct request *, enum step);
void step_restore(struct slot *, struct request *); /* its own bytes again */
/* ID or RUN was answered, or the link died: 1: there is more to send; 0: it ends. */
int step_learnt(struct slot *, struct request *);
int step_failed(const struct request *);                          /* its reply is our own */
void step_replace_reply(struct request *, pmx_status, pmx_cause); /* the text remains */
int step_may_help(const struct pool *, int64_t now); /* waits may be ended at the server */
int step_waits_for_key(const struct slot *, const struct request *);
int step_is_refusal(const pmx_reply *);
void step_remember_refusal(struct pool *, const pmx_reply *);

/* pool_unblock.c */
void unblock_init(struct slot *);
void unblock_forget(struct slot *); /* another connection */
/* The link answered, or died. 1: the request goes on, and is not to be touched. Thread: owner. */
int unblock_goes_on(struct slot *, struct request *);
void unblock_finish(struct slot *, const struct request *); /* it has ended; under the lock */
void unblock_drop_held(struct slot *, pmx_reply *);         /* ends it; under the lock */
int unblock_is_dirty(const struct slot *);                  /* under the lock */
/* 1: it was sent, and ends without its connection's if all goes well: it waits on, or has ended.
 * 0: it cannot be done. Thread: owner. Locks: none. */
int unblock_begin(struct slot *, struct request *, pmx_cause, int64_t now);

/* pool_slots.c: all under the lock */
void slot_set(struct slot *, enum slot_state);
void slot_retire(struct slot *, enum close_reason); /* its socket may still be open */
void slot_gone(struct slot *);                      /* closed: FREE */
void pool_put(struct slot *, int64_t now); /* the end of a use, a check, a repair, a dial */
struct slot *pool_take(struct pool *,
                       int64_t now);        /* an idle one fit to be lent at once, or NULL */
void pool_pump(struct pool *, int64_t now); /* waiters ← idle ones, checks, dials */
int pool_take_expired(struct pool *, const struct slot *, int64_t now);
unsigned pool_total(const struct pool *); /* slots that are not FREE */
unsigned pool_live(const struct pool *);  /* of them, with a connection */
/* Its use ends: counts how (returns, discards), and how long it was. */
void slot_give_back(struct slot *, uint64_t *how, int64_t now);
int pool_surplus(const struct pool *);    /* more than pool.max_size: it was lowered */
int64_t pool_kill_gap(const struct pool *);
int pool_offline(const struct pool *); /* no connection at all */

/* pool_tasks.c */
void slot_outdate(struct slot *, int64_t within, int64_t now); /* under the lock */
void pool_dial_failed(struct pool *, pmx_cause, const char *text, enum dial_stage, int64_t now);
void slot_start(struct slot *, enum slot_state, int64_t deadline); /* dial, check or repair */
void slot_init_task(struct slot *);
int slot_has_task(enum slot_state); /* 1: the reactor owns the link, for its task */

/* pool_timers.c */
int64_t pool_tick(struct ticker *, int64_t now);
void pool_watch_clock(struct pool *, int64_t due); /* the ticker must run at `due` at the latest */
int64_t pool_interval(const struct pool *);

/* pool_report.c */
pmx_reply *pool_explain_wait(struct pool *, const struct request *, pmx_cause, int64_t now);
void pool_describe(struct pool *, struct text *); /* what it is doing. Locks: none */
pmx_reply *pool_explain_closed(const struct pool *);
pmx_reply *pool_explain_offline(struct pool *, pmx_cause, int64_t now);
int pool_account(struct strategy *, unsigned i, struct account *ret);
void pool_tell_end(const struct slot *); /* its connection is about to be closed */

#endif
