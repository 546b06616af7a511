/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_impl.h - what the files of the fake server share. Not for tests.
 * Everything is protected by fake->mutex, which is recursive because handlers call back. */
#ifndef HARNESS_FAKE_IMPL_H
#define HARNESS_FAKE_IMPL_H
#include <pthread.h>

#include "fake.h"
#include "fake_tls.h"
#include "sock.h"
#include "util.h"
#include "wire.h"

/* One entry of a connection's queue. */
struct fake_action {
  struct fake_action *next;
  enum fake_op op;
  int64_t due_us; /* not before */
  char *bytes;
  size_t len, sent, slice;
  int64_t gap_us;
  void (*call)(void *ud, struct fake_conn *);
};

struct ssl_ctx_st;
struct fake_tls_conn;

struct fake_conn {
  struct fake *fake;
  size_t index;
  int fd;        /* -1 = closed */
  size_t polled; /* its place among what poll() was asked; 0 = none */
  bool silent, stalled, input_ended, output_blocked;
  /* input */
  struct wire_buf in;
  struct wire_scan scan;
  size_t received, parsed, before_auth;
  bool auth_seen;
  size_t
      next_command; /* in the log: the next one of this connection to answer, if it is < log_len */
  /* output */
  struct fake_action *first, **last;
  /* script; NULL = none, or ended */
  const struct fake_step *step;
  size_t step_number;
  /* session */
  int proto;
  bool logged_in;
  struct fake_tls_conn *tls; /* NULL: none between it and its socket */
};

struct fake {
  struct fake_options options;
  struct fake_tls tls;
  struct ssl_ctx_st *tls_context; /* NULL: plain */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  pthread_t thread;
  int wake_fd;
  bool stopping;
  int64_t started_us;
  struct listener listener;
  char dir[TEMP_DIR_SIZE]; /* "" with TCP */
  char url[SOCK_URL_SIZE];
  struct fake_conn **conns;
  struct fake_conn *pumping; /* about to be looked at again anyway */
  size_t conn_len, conn_cap;
  struct fake_command **log;
  size_t log_len, log_cap;
  struct fake_counts counts;
  char failure[512];
};

/* Makes room for one more pointer in an array that doubles. */
void *fake_grow(void *array, size_t len, size_t *cap);
void fake_wake(struct fake *);

/* Thread: the fake's own. Locks: held. */
void fake_conn_opened(struct fake *, int fd);
void fake_conn_readable(struct fake_conn *);
void fake_conn_pump(struct fake_conn *); /* does what can be done now */
void fake_conn_close(struct fake_conn *, bool reset);
void fake_conn_free(struct fake_conn *);

/* Queues what a step says. Thread: any. Locks: any. */
void fake_queue_step(struct fake_conn *, const struct fake_step *);
/* Locks: held. */
void fake_queue_work(struct fake_conn *); /* does what is due; may close the connection */
void fake_queue_drop(struct fake_conn *);
int64_t fake_queue_due_us(const struct fake_conn *); /* when to work next; INT64_MAX = no timer */

/* ---- fake_tls.c; all but the first for connections that have a ->tls. Locks: held ---- */
struct ssl_ctx_st *fake_tls_context(const struct fake_tls *);
void fake_tls_opened(struct fake_conn *);
void fake_tls_closing(struct fake_conn *); /* says the end and takes what has come */
void fake_tls_closed(struct fake_conn *);
void fake_tls_free(struct fake_conn *);
ssize_t fake_tls_recv(struct fake_conn *, void *, size_t);
ssize_t fake_tls_send(struct fake_conn *, const void *, size_t);
/* 1 = nothing is left, 0 = later, -1 = the connection is gone */
int fake_tls_flush(struct fake_conn *);
bool fake_tls_hold(struct fake_conn *, bool on);  /* reads without the socket; true */
bool fake_tls_blocked(const struct fake_conn *);  /* wants to know when the socket takes more */
bool fake_tls_pending(const struct fake_conn *);  /* something will leave yet */
int64_t fake_tls_due_us(const struct fake_conn *);
int fake_tls_may(struct fake_conn *, enum fake_op); /* now; as fake_tls_flush */
int fake_tls_perform(struct fake_conn *, const struct fake_action *);

#endif
