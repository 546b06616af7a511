/* SPDX-License-Identifier: BSD-3-Clause */
/* request.h - the request noun: one encoded command (or one contiguous group), its deadline and its
 * end. Everything that waits is a request.
 *
 * States and owners
 *   NEW      being built by its caller
 *   QUEUED   on a strategy's queue, under the strategy's lock
 *   ASSIGNED a link is reserved for it, nothing was sent; owner = whoever drives the link
 *   WRITING  handed to conn; the kernel has taken none of it, or a part (owner as above)
 *   SENT     all bytes taken, replies owed (owner as above)
 *   ENDING   a lane has its outcome, and done() is about to be called
 *   ENDED    reply is set; nobody but its issuer touches it any more
 * The one way to ENDED is request_end(): it stores the reply and calls done(). done() is set by
 * whoever issued the request to the layer that ends it; it may hand the request on (a retry), or
 * free it, or let its synchronous issuer go with request_publish(). While done() runs the state is
 * still the last one, and nobody but done() may touch the request. Without done, request_end()
 * publishes by itself. The issuer may take the reply and free the request as soon as it sees ENDED:
 * after request_publish() nobody else touches it. */
#ifndef PMX_CALL_REQUEST_H
#define PMX_CALL_REQUEST_H
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include "base/list.h"
#include "base/park.h"
#include "call/route.h"

struct lane;
struct link;
struct parts;
struct timing;

enum request_state {
  REQUEST_NEW,
  REQUEST_QUEUED,
  REQUEST_ASSIGNED,
  REQUEST_WRITING,
  REQUEST_SENT,
  REQUEST_ENDING,
  REQUEST_ENDED
};

enum request_kind {
  REQUEST_COMMAND, /* bytes, replies */
  REQUEST_LEASE,   /* ends OK when a link is reserved for it */
  REQUEST_DRAIN,   /* ends OK when nothing is in use any more */
  REQUEST_FILL     /* ends OK when pool.min_idle connections are ready, or with the dial's failure */
};

struct request {
  struct list node; /* the one queue it is on */
  enum request_kind kind;
  _Atomic int state;    /* enum request_state */
  const char *bytes;    /* encoded; must live until ENDED */
  char *heap;           /* the issuer's block that they are in, which a lane may take over; or NULL */
  size_t size, sent;    /* sent: bytes of it that the transport has taken */
  uint32_t replies;     /* how many the server owes for it */
  struct parts *parts;  /* a group whose answers are kept one by one: it then ends with the reply
                           NULL when all have come; or NULL. See parts.h */
  uint32_t thread;      /* number of its issuer, whatever thread tries it again: keeps it on a lane */
  uint32_t fail_fast;   /* 1: ends with the first failed dial, whatever `offline` says */
  struct timing *timing; /* of the call, when somebody wants to know; or NULL */
  const char *run_id;   /* goes to the server process of this run_id only; NULL: to any */
  uint8_t timed;        /* nobody watches its deadline: whoever drives it does */
  uint8_t helped;       /* its end is asked for over another connection, which the reactor drives */
  struct route route;
  int64_t deadline;     /* ns; TIME_FOREVER */
  int64_t queued_at;    /* ns */
  int64_t queue_until;  /* ns: when waiting for a free connection ends; set by the strategy */
  uint64_t ticket;      /* the lease's generation, for a command on a lease */
  uint64_t place;       /* its number among all that its connection was ever given */
  struct lane *lane;    /* a lane's from QUEUED on; the next four are under its lock */
  struct list parked;   /* among those who sleep */
  uint8_t giving;       /* it is coming, and gives way before it looks */
  uint8_t attended;     /* its issuer waits for it, outside the reactor's thread */
  uint8_t coming;       /* its issuer is awake and will look at the lane */
  unsigned crowd;       /* its issuer gives way before it looks, among so many; or 0. See yield.h */
  unsigned turns;       /* … so often; the issuer's */
  int64_t ended_at;     /* ns: when its outcome was known; 0: nobody looked at the clock */
  pmx_reply *reply;     /* the outcome, from ENDED on; owned by the issuer */
  void (*done)(struct request *);
  void (*completed)(struct request *); /* an asynchronous issuer: what request_publish calls */
  struct link *pinned;       /* a command on a lease: its link */
  _Atomic(struct link *) link; /* from ASSIGNED on */
  _Atomic(struct parker *) parker; /* where its synchronous issuer sleeps, or NULL; slab-owned */
};

void request_init(struct request *, enum request_kind);
/* Sequentially consistent, as parker_ticket() is: who says that he waits, and then looks here, must
 * not be missed by who stores ENDED, and then looks whether anybody waits. */
enum request_state request_state(const struct request *);
void request_set_state(struct request *, enum request_state); /* release */
/* Ends it with `reply` (taken over). The request may be gone when this returns. Locks: those that
 * done() allows. */
void request_end(struct request *, pmx_reply *reply);
/* Stores ENDED (release: the reply is seen with it), then wakes the parker if there is one, or calls
 * completed(), which may free the request. */
void request_publish(struct request *);

#endif
