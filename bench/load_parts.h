/* SPDX-License-Identifier: BSD-3-Clause */
/* load_parts.h - what the parts of poolmux-load share. A contestant is one way to make calls; a lap
 * is its turn, with a number of callers in a closed loop: each makes its next call when the last
 * one has ended. Only load_poolmux.c and those that say so know the library. */
#ifndef BENCH_LOAD_PARTS_H
#define BENCH_LOAD_PARTS_H
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "measure.h"
#include "peer.h"

enum { LOAD_WHY = PEER_WHY, MAX_ROUNDS = 100 };

/* ---- work: SET and GET, half of each, over many keys ---- */
enum { WORK_KEYS = 10000, WORK_VALUE_BYTES = 64 };
struct command {
  int argc; /* 2: GET, 3: SET */
  const char *argv[3];
  size_t len[3];
};
void work_init(void);
int work_fill(redisContext *);  /* writes all keys; 0, or -1 */
int work_clear(redisContext *); /* deletes them */
void work_next(uint64_t *dice, struct command *ret);
int work_fits(const struct command *, const redisReply *); /* 1: the answer to it */

/* ---- laps ---- */
struct usage {
  int64_t at_ns;
  double user_s, system_s; /* of this process, all its threads */
  double server_s;         /* of the server, all its threads */
  double machine_s;        /* of everything on this machine, interrupts included */
  long sleeps;             /* voluntary context switches of this process */
};

struct caller {
  uint64_t dice;
  int place;
  char why[LOAD_WHY]; /* "" = all is well */
  struct histogram times;
};

struct lap {
  int callers;
  double seconds;        /* how long */
  long calls;            /* how many at most, all callers together; LONG_MAX = time decides */
  redisContext *control; /* asks the server for its CPU time */
  struct caller *caller; /* with one thread for all, the first one is used */
  int64_t until_ns;      /* a call that would begin later is not made */
  struct usage before, after;
  char why[LOAD_WHY]; /* why the contestant failed */
};

int lap_open(struct lap *, int callers); /* 0, or -1: out of memory */
void lap_close(struct lap *);
void lap_clear(struct lap *); /* before each lap */
void lap_begin(struct lap *); /* by the contestant, when all is ready */
void lap_end(struct lap *);
int lap_failed(struct lap *, const char *why); /* returns -1 */

enum figure { RATE, P50, P99, P999, CLIENT, KERNEL, SERVER, BUSY, SLEEPS, OTHERS, FIGURES };
void lap_figures(const struct lap *, double ret[FIGURES]);

/* ---- crew: callers that are threads ---- */
/* Makes one call; 0, or -1 with caller->why. */
typedef int (*crew_call)(void *self, struct caller *, struct command *);
int crew_run(struct lap *, crew_call, void *self); /* 0, or -1 with lap->why */

/* ---- contestants ---- */
struct contestant {
  const char *name, *what;
  int no_server; /* 1: it needs none */
  int aside;     /* 1: only when it is asked for */
  int tls;       /* 1: it is given the URL of the TLS port */
  void *(*open)(const char *url, int callers, char why[LOAD_WHY]); /* NULL, and why not */
  int (*run)(void *self, struct lap *);                            /* 0, or -1 with lap->why */
  void (*close)(void *self);
};
extern const struct contestant load_hiredis, load_pipeline, load_libevent, load_pool, load_mux,
    load_hybrid, load_spin, load_callback, load_loop, load_wakes, load_generator, load_hiredis_tls,
    load_pool_tls, load_mux_tls, load_hybrid_tls, load_callback_tls, load_loop_tls;

/* ---- rounds ---- */
struct rounds {
  const char *url, *tls_url;             /* tls_url: NULL = there is none */
  const struct contestant **contestants; /* NULL at the end; others are compared with the first */
  long rounds, calls;
  double seconds;
  redisContext *control;
};
void rounds_legend(void);
/* All contestants with so many callers, in turn, and a table. 0, or -1: somebody failed. */
int rounds_compare(const struct rounds *, int callers);
/* One lap of the first contestant and nothing else. */
int rounds_once(const struct rounds *, int callers);

#endif
