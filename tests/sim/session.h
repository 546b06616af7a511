/* SPDX-License-Identifier: BSD-3-Clause */
/* session.h - one connection as the server sees it: shared by server.c (what it reads, and when it
 * answers), execute.c (what commands do) and lists.c (who waits for what). */
#ifndef PMX_SIM_SESSION_H
#define PMX_SIM_SESSION_H
#include "sim/command.h"
#include "sim/sim.h"

enum { QUEUE_MAX = 16, ISSUERS_MAX = 66, KEY_SIZE = 40 };

enum deafness { HEARS, HANGS_UP, WANTS_PASSWORD };

struct session {
  struct stream *stream;
  char *in;
  size_t len, cap;
  int64_t db, busy_until;
  enum deafness deaf;
  unsigned id, run; /* as CLIENT ID says; of which server process */
  int multi, watch, rolled;
  unsigned lease; /* whose command came last */
  char *queue[QUEUE_MAX];
  char kind[QUEUE_MAX];
  int queued;
  char *out;
  size_t out_len, out_cap;
  unsigned last[ISSUERS_MAX]; /* the latest call of each thread */
  int gone;                   /* the client has closed it, and the server knows */
  int blocked, paused;        /* by a BLPOP with this key; the next command waits */
  char wants[KEY_SIZE];
  int64_t blocked_until;
};

/* server.c */
void server_says(struct session *); /* what is in `out`, and then reads on */
unsigned server_run(void);          /* which process it is: another one after each restart */

/* execute.c */
void execute_reset(int64_t base_db);
/* Runs it; the answer is in `out`, or comes later: it is blocked. Returns when it may leave. */
int64_t execute(struct session *, const struct command *);
void session_clear(struct session *);
void say(struct session *, const char *);
void say_string(struct session *, const char *);
void say_value(struct session *, const char *key);

/* lists.c */
void lists_reset(void);
size_t lists_push(const char *key); /* how many it has now; lists_serve() must follow */
void lists_serve(void);             /* those who are blocked, as far as there is something */
int lists_pop(struct session *, const char *key, int64_t wait); /* 1: an answer is there */
int lists_unblock(unsigned id, int error);                      /* 1: it was blocked */
void lists_leave(struct session *);                             /* it is blocked no more */
void lists_restart(void);
void lists_heal(void);

#endif
