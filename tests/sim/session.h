/* SPDX-License-Identifier: BSD-3-Clause */
/* session.h - one connection as the server sees it: shared by server.c (what it reads, and when it
 * answers) and execute.c (what commands do). */
#ifndef PMX_SIM_SESSION_H
#define PMX_SIM_SESSION_H
#include "sim/command.h"
#include "sim/sim.h"

enum { QUEUE_MAX = 16, ISSUERS_MAX = 66 };

enum deafness { HEARS, HANGS_UP, WANTS_PASSWORD };

struct session {
  struct stream *stream;
  char *in;
  size_t len, cap;
  int64_t db, busy_until;
  enum deafness deaf;
  int multi, watch, rolled;
  unsigned lease; /* whose command came last */
  int blocked;    /* in BLPOP of this key, until busy_until; then: nil? */
  char pop[64];
  int pop_nil;
  char *queue[QUEUE_MAX];
  char kind[QUEUE_MAX];
  int queued;
  char *out;
  size_t out_len, out_cap;
  unsigned last[ISSUERS_MAX]; /* the latest call of each thread */
};

/* execute.c */
void execute_reset(int64_t base_db, int shared);
/* Runs it; the answer is in `out`, unless it is blocked now. */
void execute(struct session *, const struct command *);
void session_clear(struct session *);
void execute_pop(struct session *); /* its wait is over */
/* It is told so; 0: it does not run any more. */
int execute_unblocked(struct session *);

/* server.c. CLIENT UNBLOCK: 1 = it was blocked. */
int server_unblock(unsigned id);

#endif
