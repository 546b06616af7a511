/* SPDX-License-Identifier: BSD-3-Clause */
/* sim.h - the deterministic simulator: threads are coroutines, time is virtual, the network and the
 * server are models, and one seed decides everything that is open. See README.md.
 *
 * One seed at a time; nothing here is thread-safe, because there is one real thread. */
#ifndef PMX_SIM_H
#define PMX_SIM_H
#include <stddef.h>
#include <stdint.h>

#define SIM_MS INT64_C(1000000)
#define SIM_S INT64_C(1000000000)
#define SIM_FOREVER INT64_MAX

/* ---- choice.c, events.c, schedule.c: choices, events, time, coroutines ---- */

struct task;

void choose_seed(uint64_t);
uint64_t choose_digest(void);    /* of all choices since: another run has another one */
uint64_t choose(uint64_t bound); /* 0 … bound-1; 0 for bound 0 */
int chance(unsigned per_mille);
int64_t between(int64_t low, int64_t high); /* both included */
int64_t sim_now(void);                      /* virtual ns; does not advance by asking */
int64_t sim_clock(void);                    /* the same for the library: asking may take time */
extern int64_t sim_clock_step;              /* of that, in this seed: below this; 0: none */
int64_t sim_frozen(void); /* how long coroutines stood still in the middle of something, all told */
int64_t sim_frozen_last(void); /* when one did */
int sim_is_frozen(void);       /* one does */
int sim_is_away(void);         /* one has given way, and is not back */

/* A coroutine; it begins to run some time later. NULL: no room. */
struct task *task_start(const char *name, void (*run)(void *), void *arg);
struct task *task_self(void);
unsigned long task_number(const struct task *); /* from 1 */
struct task *task_numbered(unsigned long);
void task_detach(struct task *);
int task_ended(const struct task *);
int task_is_parked(const struct task *);
const char *task_name(void); /* of the current one; NULL: none */
int *task_locks(void);       /* how many locks the current one holds */
/* A scheduling point: another coroutine, or a due event, may run now. */
void point(void);
void sim_atomic_point(void); /* the same, before an atomic load or store */
/* Sleeps until ready(arg) or the deadline. 1 = ready, 0 = time is up. */
int block(const char *what, int (*ready)(void *), void *arg, int64_t deadline);
void sleep_until(int64_t when);
void freeze(int64_t how_long); /* whatever it was doing: nobody may count on it meanwhile */
void changed(void);            /* something that ready() functions look at has changed */
/* Calls run(arg) at that time, between two coroutines' steps. Frees arg afterwards when it says so.
 */
void at(int64_t when, void (*run)(void *), void *arg, int frees);
int64_t event_time(void); /* of the next one; SIM_FOREVER: none */
void event_run(void);
void events_drop(void);

/* Runs `main` as the first coroutine until all have ended. at_rest() is called whenever nobody can
 * run and time is about to pass, unless a coroutine stands still: what is due then is nobody's. */
void schedule_run(uint64_t seed, void (*main)(void *), void *arg, void (*at_rest)(void));
void tasks_tell(void); /* prints what each one does */

/* ---- tell.c. Failing: prints seed and reason, ends the process with status 1 ---- */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern int tracing;
extern uint64_t sim_seed;
extern int sim_tls;      /* all seeds have it, or none has; DRAWN: some */
extern int sim_strategy; /* a pmx_strategy that all seeds have; DRAWN: each draws one */
enum { DRAWN = -1 };
const char *strategy_name(void);

/* ---- mutants: mistakes in the doors that the oracle must find ---- */
enum mutant {
  MUTANT_NONE,
  MUTANT_LOST_WAKE,    /* parker_wake does nothing */
  MUTANT_LOST_KICK,    /* transport_kick does nothing */
  MUTANT_LOST_POKE,    /* poller_wake does nothing */
  MUTANT_OPEN_LOCK,    /* a lock that somebody holds is given to another */
  MUTANT_SECOND_REPLY, /* received bytes come once more, later */
  MUTANT_CROSSED,      /* a reply arrives on another connection */
  MUTANT_SENT_LESS,    /* bytes were sent, but fewer are reported */
  MUTANT_SENT_MORE,    /* fewer bytes were sent than are reported */
  MUTANT_LATE_CLOCK,   /* the poller waits 5 ms longer than its deadline */
  MUTANT_LATE_WAIT,    /* waiting takes 5 ms longer than its deadline */
  MUTANT_KEPT_OPEN,    /* a closed descriptor stays open */
  MUTANT_NO_DISCARD,   /* the server says OK to DISCARD and UNWATCH, and does nothing */
  MUTANT_RUN_TWICE,    /* the server runs an INCR twice */
  MUTANT_SWAPPED,      /* two replies change places */
  MUTANT_NO_ROOM,      /* poll() does not tell that there is room to write again */
  MUTANT_UNWATCHED,    /* the poller watches nothing, and says it does */
  MUTANT_DROPPED,      /* an element is popped, and nobody gets it */
  MUTANT_GIVEN_TWICE,  /* an element is popped, and still there */
  MUTANT_ON_LANE,      /* the router has a lane carry a command that blocks */
  MUTANT_IN_POOL,      /* the router has a pooled connection carry an ordinary command */
  MUTANT_TAKEN_BACK,   /* who is unblocked has been given an element, and is not told */
  MUTANT_HUSHED_UP,    /* the application is not told of what was popped for a future it freed */
  MUTANT_HELD_UP,      /* while somebody is blocked, others are answered later */
  MUTANT_FIRST_OF_TLS, /* those that follow need it */
  MUTANT_LET_GO = MUTANT_FIRST_OF_TLS, /* nobody waits until what is held can be sent */
  MUTANT_NOT_TOLD,                     /* an error that was found behind good bytes is not told */
  MUTANT_NOT_SEALED,                   /* a record is sealed, and its bytes count as not sent */
  MUTANTS
};
extern enum mutant mutant;
int mutates(enum mutant); /* now and then, when it is switched on */

/* ---- network.c: connections and their faults ---- */

struct stream; /* one connection, both ends */

struct faults {
  int on; /* off: the network and the server are well; what stands below the line stays */
  unsigned refuse, hang;             /* connects, per mille */
  unsigned rogue;                    /* servers that do not want us, per mille of connections */
  unsigned reset, silent, slow, cut; /* each command */
  unsigned paused;                   /* CLIENT UNBLOCKs of what runs all the same, later */
  unsigned readonly;                 /* commands answered so */
  unsigned stray;                    /* idle connections on which the server speaks, at each rest */
  unsigned protest;                  /* large commands answered before their end */
  unsigned idle_reset;               /* each reply: the connection dies some time after … */
  unsigned at_once;                  /* … or right behind it, per mille of these … */
  int punctual;                      /* … or just when calls begin, see next_beat */
  unsigned jam;                      /* sends of several calls: nothing is taken, and it dies */
  unsigned restart;                  /* the server is away now and then: per mille of commands */
  unsigned shortage;                 /* descriptors and threads that cannot be had, per mille */
  unsigned name;                     /* lookups that fail or hang, per mille */
  int64_t latency, slowness;         /* longest of one way; of a slow command */
  int slices;                        /* bytes come in small pieces */
  /* ---- */
  int secure;       /* all connections are through TLS; what is below is for that */
  int tls_flags;    /* secure.h */
  unsigned spoil;   /* what is sent: a bit changes */
  unsigned clog;    /* what arrives: the server does not read on for some time */
  unsigned renew;   /* each answer: its keys, then or later */
  unsigned rude;    /* ends without a close notify */
  unsigned instant; /* what arrives without any latency, per mille */
  size_t window;    /* how many bytes the kernel takes that the server has not read */
  size_t
      backlog; /* the server does not read on with so many bytes of its replies unread; 0: does */
};
extern struct faults faults;
extern unsigned streams_allowed; /* at the same time */

void network_reset(void);
void network_heal(void); /* faults off; what hangs, dies */
void network_down(int64_t how_long, int loading);
void network_end_all(int reset); /* the server ends all connections */
unsigned network_owing(void);    /* connections that owe a reply */
int network_is_choked(void);     /* what the library gave up may yet leave, or might have */

struct stream *stream_connect(int *err); /* NULL: at once, with errno */
int stream_connected(struct stream *);   /* 0, EINPROGRESS or errno */
int stream_readable(const struct stream *);
int stream_writable(const struct stream *);
/* As transport_send and transport_recv; *err = errno */
long stream_send(struct stream *, const void *, size_t, int *err);
long stream_recv(struct stream *, void *, size_t, int peek, int *err);
void stream_close(struct stream *);
void stream_hang_up(struct stream *); /* as transport_hang_up */
unsigned stream_id(const struct stream *);
void stream_unwatchable(struct stream *); /* the system had no room to watch it */

void network_reloads(int64_t until); /* begins or ends: what was dialled before goes by then */

/* for server.c */
struct session *stream_session(struct stream *);
void stream_answer(struct stream *, const char *bytes, size_t len, int64_t not_before);
void stream_reply_ends(struct stream *); /* what was answered was one whole reply */
void stream_finish(struct stream *, int reset, int64_t when); /* FIN or RST from the server */
void stream_breaks_off(struct stream *);                      /* its next answer, in the middle */
void stream_silence(struct stream *);
void stream_retires(struct stream *); /* the server says so */
int stream_finished(const struct stream *);
int stream_is_lane(const struct stream *); /* several callers may use it; as far as is known */

/* ---- server.c: what the server does with the bytes ---- */
struct session *server_accept(struct stream *);
void server_free(struct session *);
int64_t server_busy_until(const struct session *);
void server_receive(struct session *, const char *, size_t);
void server_is_left(struct session *); /* its client has closed it */
void server_reset(int64_t base_db);
void server_restart(int64_t loading_until); /* it is another process from now on */
void server_heal(void);
extern int64_t server_loading_until;

/* lists.c: another client pushes an element. Only it does so to LIST_HELD. */
enum { LIST_HELD = 2, LISTS };
void lists_feed(unsigned list);
unsigned lists_blocked(unsigned list); /* how many are */

/* ---- oracle.c: what becomes of each call, by its number, which is in the key of what it sends.
 * Whoever asks for a number is its issuer. ---- */
void oracle_reset(void);
unsigned oracle_new_call(void);
unsigned oracle_call_of(const char *key);
unsigned long oracle_issuer(unsigned call);               /* task_number() */
void oracle_sent(const char *key, struct stream *);       /* the kernel has its bytes, or TLS */
void oracle_refused(const char *key);                     /* the server did not run it */
void oracle_executed(const char *key);                    /* it did */
void oracle_popped(const char *key, const char *element); /* … and took what that call pushed */
/* Its caller was given that; 0: there was nothing. may_repeat: an earlier try may have had more. */
void oracle_took(unsigned call, unsigned element, int may_repeat);
unsigned oracle_runs(unsigned call);
int oracle_may_be_late(unsigned call); /* it was, or may have been, sent before */
/* Was reported, for its future was freed; must have been, if it was popped well before that time.
 */
void oracle_orphaned(unsigned call, unsigned element);
void oracle_check_orphans(int64_t closed);
struct verdict {
  unsigned call;
  int may_repeat;                         /* it only reads, or PMX_CALL_RETRY_SAFE */
  int acknowledged, excluded;             /* OK; NOT_RUN or safe to retry */
  int unsent;                             /* NOT_RUN: no byte may have left */
  enum { KNOWN, LOST, GIVEN_UP } unknown; /* UNKNOWN: one must have */
  int forgotten;                          /* nobody asked */
};
void oracle_judge(const struct verdict *); /* and once more at the end of the seed */
void oracle_check(void);
/* Somebody sleeps until it ends, will be called back, asks for it later, or nobody ever does. */
enum waiting_how { SLEEPS, CALLED_BACK, ASKED_LATER, FORGOTTEN };
/* A call that has begun and not ended; see rest.c. */
struct waiting {
  unsigned call;
  int lane; /* LANE_NONE: none */
  size_t size;
  int64_t until;             /* SIM_FOREVER: it waits for ever */
  int64_t grace;             /* so much longer, when it is blocked */
  const int64_t *fired_at;   /* its token was; NULL: no token */
  int how;                   /* enum waiting_how */
  int unattended;            /* begun by a thread that did not wait */
  const struct task *task;   /* the one that waits; NULL: it is unattended */
  uint64_t rest;             /* rest_number when it began */
  const struct stream *gone; /* had ended when it began, and was to be looked at before its use */
};
enum { LANE_NONE = -1 }; /* a connection of its own */
void oracle_waits(const struct waiting *);
void oracle_waits_so(unsigned call, int how); /* from now on */
void oracle_waits_no_more(unsigned call);
const struct waiting *oracle_waiting(size_t i);          /* NULL: no more */
const struct waiting *oracle_waiting_for(unsigned call); /* NULL: it does not */
int oracle_has_forgotten(void);                          /* calls that live on */
void oracle_answered(unsigned call);                     /* its reply was read */
struct stream *oracle_sent_on(unsigned call);            /* NULL: nowhere yet */
int oracle_was_answered(unsigned call);                  /* by what it was sent on last */
/* Its issuer sleeps, or has not stayed: somebody else has to write and read for it. */
int oracle_needs_others(const struct waiting *);
int oracle_is_needed(const struct stream *); /* it owes an answer to one of those */
int oracle_is_half_sent(unsigned call);         /* the end of it never left */

/* ---- rest.c: what must be true whenever nobody can run, and time passes ---- */
struct rest_limits {
  int pooled; /* there are connections that are no lanes */
  unsigned pool_size;
  int shared; /* lanes, one connection each; what follows is for them only */
  unsigned lanes, in_flight, abandoned;
  int64_t queued;                   /* mux.max_queued; SIM_FOREVER: no call is refused for it */
  int64_t stall, keepalive;         /* SIM_FOREVER: off */
  int64_t changed_at;               /* when these two were */
  int fails_offline;                /* offline=fail */
  uint64_t dial_failed;             /* rest_number, when the only lane's connect failed last */
  int in_callback;                  /* one runs, and the others have to wait */
  int64_t closing_since;            /* SIM_FOREVER: not yet */
  int closing;                      /* nothing is promised to those who wait any more … */
  int64_t closed_at, closed_frozen; /* … but that they have ended then */
};
extern struct rest_limits rest_limits;
extern uint64_t rest_number; /* counts them */
void rest_reset(void);
void rest_check(void);
void rest_begins(struct waiting *); /* a call does */
void rest_left(int lane);           /* one has ended */
void rest_closes(int64_t when);     /* pmx_close was called: all must have ended then */
/* What was true at the last rest must still hold when a call's bytes leave. */
void rest_check_sent(struct stream *, unsigned call);

/* ---- tracing.c ---- */
void tracing_begins(unsigned call); /* the current coroutine's next one */
void tracing_sent(unsigned call, int64_t begun_at);
void tracing_answered(unsigned call);

/* ---- scenario.c, roles.c ---- */
void scenario_main(void *);
int64_t next_beat(void); /* when those begin that want to begin together: every 5 ms */

#endif
