/* SPDX-License-Identifier: BSD-3-Clause */
/* fake.h - a scripted server: says exactly what a test wants said, when, in which pieces, and
 * remembers all it was told. One thread of its own with an event loop. Knows nothing of the
 * library.
 *
 * Every function may be called by any thread, also by the handler; a handler must not wait. Of each
 * connection: what is to be sent and done to it stands in one queue, in order. Connections are
 * numbered from 0 as they were accepted and stay known after they closed. */
#ifndef HARNESS_FAKE_H
#define HARNESS_FAKE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "over.h"

struct fake;
struct fake_conn;
struct fake_tls; /* fake_tls.h */

/* ---- scripts ---- */
enum fake_op {
  FAKE_OP_END,
  FAKE_OP_EXPECT,
  FAKE_OP_SEND,
  FAKE_OP_DELAY,
  FAKE_OP_CLOSE,
  FAKE_OP_RESET,
  FAKE_OP_HALF_CLOSE,
  FAKE_OP_STALL,
  FAKE_OP_RESUME,
  FAKE_OP_CALL,
  /* of TLS: fake_tls.h */
  FAKE_OP_RAW,
  FAKE_OP_KEY_UPDATE,
  FAKE_OP_TICKET,
  FAKE_OP_NOTIFY,
  FAKE_OP_TRUNCATE
};
enum { FAKE_MAX_EXPECTED = 8 };
struct fake_step {
  enum fake_op op;
  const char *args[FAKE_MAX_EXPECTED];
  const char *bytes;
  size_t len, slice;
  int ms;
  void (*call)(void *ud, struct fake_conn *);
};
/* clang-format off */
/* A script is an array of these, ended by FAKE_END. A step begins when the one before is done. */
/* Waits for a command that begins with these arguments, the first in any case. A command of the
 * handshake that does not match is answered as usual; any other is a failure and closes. */
#define FAKE_EXPECT(...) {.op = FAKE_OP_EXPECT, .args = {__VA_ARGS__}}
#define FAKE_EXPECT_ANY {.op = FAKE_OP_EXPECT}
#define FAKE_SEND(literal) FAKE_SEND_BYTES(literal, sizeof(literal) - 1)
#define FAKE_SEND_BYTES(b, n) {.op = FAKE_OP_SEND, .bytes = (b), .len = (n)}
#define FAKE_SEND_SLICED(literal, size, gap_ms) \
  {.op = FAKE_OP_SEND, .bytes = (literal), .len = sizeof(literal) - 1, .slice = (size), .ms = (gap_ms)}
#define FAKE_DELAY(milliseconds) {.op = FAKE_OP_DELAY, .ms = (milliseconds)}
#define FAKE_CLOSE {.op = FAKE_OP_CLOSE}
#define FAKE_RESET {.op = FAKE_OP_RESET}           /* RST; a Unix socket is just closed */
#define FAKE_HALF_CLOSE {.op = FAKE_OP_HALF_CLOSE} /* no more output, still reads */
#define FAKE_STALL {.op = FAKE_OP_STALL}           /* stops reading */
#define FAKE_RESUME {.op = FAKE_OP_RESUME}
#define FAKE_CALL(function) {.op = FAKE_OP_CALL, .call = (function)} /* with the options' ud */
#define FAKE_END {.op = FAKE_OP_END}
/* clang-format on */

/* ---- options ---- */
/* Answers a command with the functions below. 0 = done, 1 = unknown command, -1 = close. */
typedef int (*fake_handler)(void *ud, struct fake_conn *, int argc, char **argv, size_t *len);
enum fake_hello { FAKE_HELLO_RESP3, FAKE_HELLO_UNKNOWN, FAKE_HELLO_NOPROTO };
enum fake_accept {
  FAKE_ACCEPT,        /* normal */
  FAKE_ACCEPT_SILENT, /* then never reads, answers or closes */
  FAKE_ACCEPT_CLOSE,  /* then closes at once */
  FAKE_ACCEPT_RESET   /* then resets at once */
};
struct fake_options {
  enum over over;                         /* zero: TCP on 127.0.0.1 */
  const struct fake_tls *tls;             /* over TLS; NULL: the usual certificate, any client */
  const struct fake_step *script;         /* of every connection */
  const struct fake_step *const *scripts; /* or: of connection 0, 1 …, the last of all others */
  size_t script_count;
  fake_handler handler; /* gets what no script consumes; NULL: that stays unanswered */
  void *ud;
  bool manual;                 /* the handshake is left to script and handler as well */
  enum fake_hello hello;       /* how HELLO is answered */
  const char *user, *password; /* a password makes AUTH necessary; user NULL = default */
  enum fake_accept accept;
};

struct fake *fake_start(const struct fake_options *); /* NULL = defaults; texts are borrowed */
/* Closes everything, joins the thread, frees. False, and a message: an EXPECT had failed. */
bool fake_stop(struct fake *);
const char *fake_url(const struct fake *); /* redis[s]://127.0.0.1:PORT, unix:///PATH[?tls=yes] */
uint16_t fake_port(const struct fake *);   /* 0 = Unix socket */
void fake_listen(struct fake *, bool on);  /* off: connects are refused; on: the same address */
void fake_accept_mode(struct fake *, enum fake_accept); /* for connections to come */

/* ---- what a connection is sent: by handler, FAKE_CALL or the test at any time ---- */
struct fake_conn *fake_conn_at(struct fake *,
                               size_t i); /* until fake_stop; NULL: not yet accepted */
size_t fake_conn_index(const struct fake_conn *);
bool fake_conn_is_open(const struct fake_conn *);
int fake_conn_proto(const struct fake_conn *); /* 2 or 3 */
void fake_send(struct fake_conn *, const void *bytes, size_t len);
void fake_send_sliced(struct fake_conn *, const void *bytes, size_t len, size_t slice, int gap_ms);
void fake_reply_simple(struct fake_conn *, const char *text);
void fake_reply_error(struct fake_conn *, const char *text); /* "ERR no such thing" */
void fake_reply_int(struct fake_conn *, int64_t);
void fake_reply_bulk(struct fake_conn *, const void *bytes, size_t len);
void fake_reply_text(struct fake_conn *, const char *text); /* a bulk */
void fake_reply_null(struct fake_conn *);
void fake_reply_array(struct fake_conn *, size_t n); /* its head; n replies follow */
void fake_reply_push(struct fake_conn *, size_t n);  /* > in RESP3, an array in RESP2 */
/* What is queued after it waits until ms from now: pipelined commands do not add up. */
void fake_delay(struct fake_conn *, int ms);
void fake_close(struct fake_conn *);      /* queued: after all output */
void fake_reset(struct fake_conn *);      /* queued */
void fake_half_close(struct fake_conn *); /* queued */
void fake_stall(struct fake_conn *);      /* at once */
void fake_resume(struct fake_conn *);     /* at once */
/* What the fake does with the handshake by itself: PING, AUTH, HELLO, SELECT, QUIT, CLIENT SETINFO,
 * SETNAME and ID. 0 = answered, 1 = not one of these: for handlers of a manual fake. */
int fake_handshake(struct fake_conn *, int argc, char **argv, size_t *len);

/* ---- what was seen ---- */
struct fake_counts {
  size_t accepted, open, max_open;
  size_t commands;
  size_t handshakes;      /* of TLS that were done */
  size_t protocol_errors; /* input that is no RESP command: answered with an error and closed */
};
struct fake_counts fake_counts(struct fake *);
struct fake_command {
  int64_t at_us; /* now_us() of its last byte */
  size_t conn;
  int argc;
  char **argv;
  size_t *len;
};
const struct fake_command *fake_command(struct fake *, size_t i); /* until fake_stop; NULL: none */
size_t fake_seen(struct fake *, const char *name); /* commands of that name, e.g. "GET" */
char *fake_log(struct fake *); /* all, one a line: "conn ms-since-start GET k"; free() it */
size_t fake_received(struct fake_conn *);          /* bytes */
size_t fake_bytes_before_auth(struct fake_conn *); /* before its first AUTH or HELLO … AUTH */
const char *fake_failure(struct fake *);           /* the first failed EXPECT; NULL: none */

/* ---- waiting for it; false: not within the time ---- */
bool fake_wait_accepted(struct fake *, size_t n, int timeout_ms);               /* at least n */
bool fake_wait_open(struct fake *, size_t n, int timeout_ms);                   /* exactly n */
bool fake_wait_closed(struct fake_conn *, int timeout_ms);
bool fake_wait_seen(struct fake *, const char *name, size_t n, int timeout_ms); /* at least n;
                                                                    name NULL: of any command */
bool fake_wait_done(struct fake *, size_t conn,
                    int timeout_ms); /* its script ended, or it closed */
/* All that was queued has left, and is where the other side will find it at its next look. */
bool fake_wait_sent(struct fake_conn *, int timeout_ms);

#endif
