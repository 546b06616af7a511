/* SPDX-License-Identifier: BSD-3-Clause */
/* lane.h - a link that many callers share: one queue, one pipeline, one lock. Whoever waits drives
 * it: the holder of the driver token reads for everybody. The protocol, its states and why nobody is
 * left waiting (invariant T) are in docs/design.md, "The multiplexer".
 *
 * A strategy embeds a lane, dials its link, and tells it when the connection is ready. `lock` is
 * the strategy's too: *_locked functions want it held, lane_enter and lane_leave take and drop it.
 * lane_leave does what was noted under the lock (wakes, ends, pokes) and restores invariant T, so
 * the lock is dropped in no other way. */
#ifndef PMX_LINK_LANE_H
#define PMX_LINK_LANE_H
#include "base/histogram.h"
#include "link/link.h"
#include "link/yield.h"

enum { LANE_BUFFER = 64 * 1024, LANE_WAKES = 256, LANE_HALF_MAX = 256 };
#ifndef LANE_EARLY
#define LANE_EARLY 16 /* so many that nobody waits for are worth a write of their own */
#endif
#ifndef LANE_OPEN
#define LANE_OPEN 4 /* so many are, while whoever reads is still waking others */
#endif

struct lane_limits {
  uint32_t in_flight, abandoned;
};

struct lane {
  struct link link;
  struct lock lock;
  struct lane_limits limits;
  /* what waits: QUEUED requests, in order; sleeping synchronous callers, the newest last */
  struct list queue, parked;
  unsigned queued;
  unsigned usual;    /* requests that are under way when an answer comes: the most, fading */
  size_t queued_bytes;
  struct yield yield;
  unsigned coming;   /* threads that will look at the lane without being woken */
  unsigned giving;   /* those of them that give way first */
  /* the connection */
  uint8_t up;      /* logged in, and not yet poisoned */
  uint8_t dying;   /* poisoned, its socket still open */
  uint8_t renewed; /* it ends when it owes nothing: another one is to follow */
  uint8_t replaced; /* it did end for that, and for nothing else */
  uint8_t last;    /* it ends when all that is queued was answered; no other one follows */
  uint8_t amid;    /* what was read last ends in the middle of a message, or of a TLS record */
  int64_t amid_at; /* when that was read; 0: nobody knows how long it has been there */
  uint8_t quiet;   /* nobody has looked at it for a while: look before writing */
  int64_t seen_at; /* when it was read last, or its driver left */
  int64_t spin;    /* ns: how long the driver looks before it sleeps */
  uint64_t reads;  /* how often something was received, on all connections */
  /* who drives and who writes */
  uint8_t held, blocked, writing;
  uint8_t open;        /* its holder has decoded all it read, and will write before it sleeps */
  uint8_t stuck;       /* the kernel took less than it was offered */
  uint8_t watches_out; /* who is blocked waits for room as well */
  uint8_t armed; /* the events that the reactor watches the socket for; its thread's to change */
  uint8_t poked; /* the reactor will look */
  _Atomic(struct request *) driver; /* of the thread that holds the token */
  char *out;                        /* the writer's */
  size_t out_len, out_sent;
  /* noted, for lane_leave */
  struct list finished; /* ended requests that nobody waits for */
  struct parker *wakes[LANE_WAKES];
  unsigned wake_count;
  uint8_t kick, wake_reactor, wake_nested;
  uint64_t sends, handovers;
  /* books: begun = ended + queued + in flight - abandoned; bytes without what TLS adds */
  uint64_t begun, ended, given_up, bytes_in, bytes_out;
  struct histogram queue_time;
  int64_t matched_at; /* while replies are given out: when they were read; else 0 */
  int64_t now;        /* the token's holder's: what the clock has just said; 0: look at it */
  /* the reactor's side */
  struct source watch;
  struct job look;
  struct ticker *ticker; /* must run soon once nobody watches the socket */
  struct request down;   /* ends, on the reactor's thread, when a connection is closed for good */
};

int lane_init(struct lane *, struct link_env *, const struct lane_limits *); /* 0 or errno */
void lane_destroy(struct lane *);
void lane_enter(struct lane *);
void lane_leave(struct lane *);

/* ---- strategy ---- */
void lane_configure_locked(struct lane *, const struct config *); /* what may change while it runs */
/* Queues a NEW request, and may drop the lock meanwhile. An attended one's issuer will call
 * lane_wait. */
void lane_submit_locked(struct lane *, struct request *);
/* Its issuer gives it up. The status it is to end with: NOT_RUN or UNKNOWN, and nobody else
 * touches it any more; PMX_OK: it has ended, or is about to. */
pmx_status lane_withdraw_locked(struct lane *, struct request *);
struct request *lane_first_queued(const struct lane *);
/* Ends one that is queued. */
void lane_end_locked(struct lane *, struct request *, pmx_reply *);
void lane_last_locked(
    struct lane *); /* lets what is queued or in flight finish, then ends the connection */
void lane_kill_locked(struct lane *, pmx_cause, const char *text); /* ends it now */
/* Ends it when it owes nothing any more; what is queued waits for the next connection. */
void lane_renew_locked(struct lane *);
int lane_busy(const struct lane *);                                /* locked. 1: a reply is owed */

/* Thread: reactor. */
void lane_up(struct lane *);  /* its link has logged in. Locks: none */
void lane_arm(struct lane *); /* nobody uses it: the reactor watches it. Locks: none */

/* ---- caller: wait.c ---- */
enum lane_wait_result { LANE_AGAIN, LANE_TIMEOUT, LANE_NOMEM };
/* Drives, or sleeps once. Thread: the issuer's. */
enum lane_wait_result lane_wait(struct lane *, struct request *, const _Atomic int *canceled);
void lane_interrupt(struct lane *, const struct request *); /* Thread: any. Its driver looks up */

#endif
