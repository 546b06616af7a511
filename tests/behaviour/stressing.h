/* SPDX-License-Identifier: BSD-3-Clause */
/* stressing.h - one of the many callers of the stress test: what it asks, with which random
 * deadline and cancel token, and whether the answer was its own and came in time. Knows nothing of
 * what goes wrong with the server meanwhile. */
#ifndef BEHAVIOUR_STRESSING_H
#define BEHAVIOUR_STRESSING_H
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness/util.h"

enum { STRESS_COMMAND_TIMEOUT_MS = 1500 }; /* the client's command_timeout must be this */

struct faults {
  pthread_mutex_t lock;
  unsigned count;
  char first[512];
};
void stress_wrong(struct faults *, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct worker {
  pmx_client *client;
  bool leases; /* the client has them, and so blocking commands */
  struct faults *faults;
  int index;
  struct rng rng;
  char list[32], *text;
  uint64_t texts;
  /* what it saw */
  uint64_t calls, ended[PMX_NOMEM + 1];
  int64_t latest_us;        /* end of a call after its deadline */
  int64_t cancel_latest_us; /* end of a call after its token was fired */
  /* shared with the thread that cancels */
  pthread_mutex_t lock;
  pmx_cancel *token;
  int64_t fired_us;
};

void stress_worker_init(struct worker *, int index, uint64_t seed);
void stress_worker_clear(struct worker *);
void stress_act(struct worker *);   /* one command, or one lease with a few */
int stress_cancel(struct worker *); /* its present call, if that carries a token; 1 = done */

#endif
