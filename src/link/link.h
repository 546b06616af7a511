/* SPDX-License-Identifier: BSD-3-Clause */
/* link.h - one connection in use: transport + conn + who drives it.
 *
 * A link has one owner at a time, and only the owner calls the functions below (link_abort
 * excepted): the reactor, while it connects, checks or repairs (link_dial, link_ask, link_relogin);
 *   the thread of a synchronous call, from the moment its request is ASSIGNED (link_begin,
 *   link_wait, link_abandon), until request_end() of that request;
 *   nobody, while it is idle in a strategy.
 * Ownership passes through the strategy, under the strategy's lock; there is no lock here. A link
 * that callers share is a lane's once it has logged in: see lane.h.
 *
 * request_end() is always the last thing that is done for a link: the request's done() may already
 * have handed the link to another thread. A link lives as long as its client and carries many
 * connections, one after the other.
 *
 * Lock order of the whole library: a runtime's (its live options) → a strategy's, a lane's or a
 * subscriber's → the reactor's (jobs) and the parker slab's → the notices'; the resolver's → the
 * reactor's. A cancel token's and the lease slab's are taken alone; under a token's, waiters are
 * only woken. */
#ifndef PMX_LINK_LINK_H
#define PMX_LINK_LINK_H
#include <stdatomic.h>
#include "base/parkers.h"
#include "call/config.h"
#include "call/request.h"
#include "conn/conn.h"
#include "link/reactor.h"
#include "net/channel.h"
#include "net/resolve.h"
#include "net/transport.h"

/* What all links of a node share; lives as long as its client. */
struct link_env {
  struct reactor *reactor;
  struct resolver *resolver;
  struct notices *notices;
  struct parker_slab *parkers;
  const struct config *config; /* only its FIXED options are read here */
  struct endpoint endpoint;
  struct tls_source *tls;       /* NULL: plain */
  const char *name;             /* "127.0.0.1:6379" or the socket's path */
  _Atomic uint64_t connections; /* numbers them */
  _Atomic uint64_t pushes;
};

/* What a dial failed of. */
enum dial_stage {
  DIAL_DNS,
  DIAL_TCP, /* not reached, or hung up before the login was through */
  DIAL_TLS,
  DIAL_AUTH,
  DIAL_PROTOCOL,
  DIAL_TIMEOUT, /* connecting, or logging in */
  DIAL_LOCAL,   /* our own shortage */
  DIAL_STAGES
};

struct dial {
  struct request *request; /* ends when the link is ready; NULL = not dialling */
  struct lookup lookup;
  struct job resolved;
  int securing;  /* connected; TLS shakes hands */
  int resolving; /* the lookup runs: its fields are the resolver's */
  size_t next;   /* address to try */
  int64_t deadline;
  char error[896]; /* of the address that told most, the last of these */
  int weight;      /* how much that tells, see dial_tell.c; 0: nothing yet */
  int local_error; /* our own fault (descriptors, memory): says nothing about the server */
  int silent;      /* what `error` is about got no answer in time */
  int64_t started;
};

enum link_abort {
  LINK_GOES_ON,
  LINK_CLOSED, /* cause CLOSED */
  LINK_STOPPED /* link_stop: what it waits for will not come; cause CANCELED */
};

struct link {
  struct link_env *env;
  struct transport transport;
  struct channel channel; /* its bytes */
  struct conn conn;
  struct source source;
  struct dial dial;
  _Atomic int aborted; /* enum link_abort: somebody wants the owner to give up */
  unsigned want;       /* events the next wait is for */
  uint64_t id;         /* of the connection */
  int refused;         /* TLS was why it was lost: the peer does not accept us, or we it */
  char lost[896];      /* why it was lost: link_explain_lost */
  char about[768];     /* what the connection is, once it is ready: "RESP3 address=127.0.0.1:6379" */
};

/* places: how many requests may be in flight. 0 or errno. */
int link_init(struct link *, struct link_env *, uint32_t places);
void link_destroy(struct link *); /* closes it; ends nothing */

/* ---- owner: reactor ---- */
/* Connects and logs in. The request ends with NULL (ready), or NOT_RUN and why. */
void link_dial(struct link *, struct request *);
/* Looks at the socket, sends it, drives until it has ended. */
void link_ask(struct link *, struct request *);
/* Instead of a caller: looks at the socket (probe), sends it, drives until it has ended. */
void link_start(struct link *, struct request *, int probe);
void link_relogin(struct link *,
                  struct request *); /* RESET and the handshake again, then as link_dial */
void link_give_up(struct link *, pmx_cause, const char *text); /* ends what the reactor drives */
enum dial_stage dial_stage_of(const struct link *, pmx_cause); /* its dial ended with that cause */

/* ---- owner: caller ---- */
/* For an ASSIGNED request: looks at the socket (probe), then starts to send. A request without
 * bytes ends with NULL. A link found closed or unclean dies; the request ends NOT_RUN/LOST. */
void link_begin(struct link *, struct request *, int probe);
/* Waits for I/O and does it once; 0 = the deadline has passed. On the reactor's own thread it lets
 * the reactor do both. */
int link_wait(struct link *, int64_t deadline);
/* After it, by a caller who runs the reactor no longer. */
void link_unwatch(struct link *);
/* The caller gives the request up: NOT_RUN when none of it was sent, and the link lives; else the
 * link dies and the request ends UNKNOWN. */
void link_abandon(struct link *, struct request *, pmx_cause, const char *text);

/* From done(), instead of ending it: the request is sent again, with other bytes perhaps, and this
 * use of the link goes on. It may have ended, and be gone, when this returns. */
void link_resend(struct link *, struct request *);
/* From done(): its stream can be followed no further. */
void link_break(struct link *, pmx_cause, const char *text);

/* ---- owner, or under the strategy's lock while nobody owns it ---- */
int link_dead(const struct link *);
int link_outdated(const struct link *); /* owner: made with settings that are not those of now */
void link_shut(struct link *);          /* closes the socket; ends nothing. System call */

/* Thread: any, while the strategy's lock is held. The owner finds out at its next step. */
void link_abort(struct link *);
/* The same, for what it waits for now: a reply that has come by then is taken. link_unstop: the
 * wait is over. */
void link_stop(struct link *);
void link_unstop(struct link *);

/* link.c, for dial.c: 1: it is closed, or not where we think it is; it is dead, and the request has
 * ended */
int link_stale(struct link *, struct request *);

/* dial.c, for link.c */
void dial_io(struct source *, unsigned events);
void dial_init(struct link *);
void dial_give_up(struct link *, pmx_cause, const char *text); /* before the handshake */
void dial_end(struct link *); /* ends the dial's request as the conn's state says */
void link_source_io(struct source *, unsigned events);
unsigned link_exchange(struct link *, unsigned ready);

/* for lane_io.c */
enum link_loss { LOST_CLOSED, LOST_WHILE_IDLE, LOST_SENDING, LOST_RECEIVING };
void link_explain_lost(struct link *, enum link_loss);   /* into `lost` */
void link_report_pushes(struct link *, uint64_t before); /* those since `before` */

#endif
