/* SPDX-License-Identifier: BSD-3-Clause */
/* conn.h - one RESP connection without I/O: bytes in, bytes out. No system call, no lock, no clock, no
 * idea of threads. Thread: the link's owner, one at a time; on a lane whoever has its lock, and the
 * decoder's is the driver.
 *
 * Phases: NEW → HANDSHAKE → READY → DEAD. Requests wait in `ring` in wire order: of the ones before
 * `unwritten` all bytes were handed out (SENT), of the one at `unwritten` perhaps some, of those
 * behind it none. `taken` counts what was handed out, `sent` what the transport may have taken of
 * it. A reply completes the first of `ring`; a reply without one, a byte out of place or memory that
 * ran out poisons the connection: `poisoned` is a plain store that comes before anything else, and
 * nothing is written or matched afterwards (promise P1).
 *
 * Requests that ended are not told so from here: they are kept on `ended`, with their reply, until
 * the owner takes them, because telling one may give the whole connection to somebody else. */
#ifndef PMX_CONN_CONN_H
#define PMX_CONN_CONN_H
#include "base/list.h"
#include "call/config.h"
#include "call/request.h"
#include "conn/ring.h"
#include "conn/session.h"
#include "resp/decode.h"

enum conn_phase { CONN_NEW, CONN_HANDSHAKE, CONN_READY, CONN_DEAD };

enum { HANDSHAKE_STEPS = 8, CONN_PLACES = 16 /* on a connection that is not shared */ };

struct handshake {
  char *out; /* what to send, wiped once it was sent */
  size_t size, len, sent;
  char *user, *password; /* ours, wiped with the handshake; NULL = none */
  uint8_t expect[HANDSHAKE_STEPS];
  size_t ends[HANDSHAKE_STEPS]; /* where the bytes of each end in `out` */
  unsigned expected, answered;
  int refused_resp3; /* the server has no HELLO 3 */
};

struct conn {
  enum conn_phase phase;
  int poisoned;
  int retire;      /* an answer (READONLY, NOAUTH …) says: not to be used after this request */
  int resp3;       /* protocol in use */
  int64_t client_id; /* the server's number of it, as HELLO said; 0 = it did not */
  int unsolicited; /* the poison was a reply nobody had asked for */
  pmx_cause cause; /* of the poison */
  char text[896];  /* of the poison, for people */
  const struct config *config;
  struct decoder *decoder;
  struct session session;
  struct handshake handshake;
  struct ring ring;
  struct list ended;
  uint32_t unwritten; /* counted from the oldest */
  uint32_t abandoned; /* places without a request */
  uint64_t taken, sent;
  char *rest; /* bytes left behind by an abandoned request that was half written, or NULL */
  const char *rest_at;
  uint64_t pushes, late; /* late: replies to abandoned requests */
  char push_kind[32]; /* of the last one */
};

int conn_init(struct conn *, const struct config *, uint32_t places); /* 0, or -1: out of memory */
void conn_destroy(struct conn *);
/* A fresh transport: begins the handshake. User and password are copied; NULL = none.
 * reset: the old transport, RESET first. 0, or -1: out of memory. */
int conn_start(struct conn *, const char *user, const char *password, int reset);

/* ---- out: straight to the transport (output, sent), or through a buffer (copy, offered) ---- */
const char *conn_output(const struct conn *, size_t *ret_len); /* what to send next; *ret_len 0: nothing */
void conn_sent(struct conn *, size_t n); /* the transport took n bytes of it */
/* Copies what fits, whole requests only unless `buf` begins with one that is larger than it. */
size_t conn_copy(struct conn *, char *buf, size_t size);
/* The transport may have taken what was copied but for the last `less` bytes. */
void conn_offered(struct conn *, size_t less);

/* ---- in ---- */
void conn_feed(struct conn *, const char *bytes, size_t n); /* n <= DECODE_FEED_MAX */
void conn_reply(struct conn *, pmx_reply *); /* one that was decoded; takes it over. READY only */
void conn_decode_failed(struct conn *);      /* the decoder has given up */
/* The decoder has no whole reply any more: what is half read must answer something, or be a push. */
void conn_decoded(struct conn *);

/* ---- requests ---- */
uint32_t conn_room(const struct conn *);           /* how many more may be in flight */
void conn_submit(struct conn *, struct request *); /* READY and with room only */
/* 1: none of its bytes were taken, it is off the connection again; 0: it stays. */
int conn_withdraw(struct conn *, struct request *);
/* It is given up but its reply will come: nobody touches it, or its parts, any more. Should the rest of its bytes
 * have to follow, they are taken over: req->heap is NULL then. */
void conn_abandon(struct conn *, struct request *);
/* Ends the connection and everything on it: NOT_RUN where no byte was taken, else UNKNOWN. The first
 * poison wins. */
void conn_poison(struct conn *, pmx_cause, const char *text);
struct request *conn_take_ended(struct conn *); /* NULL: no more; its reply is in request.reply */
int conn_waits(const struct conn *);            /* 1: a reply is owed */
int conn_idle(const struct conn *);             /* 1: READY, nothing owed, buffered or unsent */

/* conn.c, for match.c */
void conn_end_request(struct conn *, struct request *, pmx_reply *); /* takes the reply over */

/* fits.c. 1: the reply may be the answer to the first of ring; 0: it is not, the connection is dead */
int conn_fits(struct conn *, const struct place *first, const pmx_reply *);

/* handshake.c */
int handshake_begin(struct conn *, int reset); /* 0, or -1: out of memory */
void handshake_reply(struct conn *, const pmx_reply *);
void handshake_clear(struct handshake *);

#endif
