/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_blocking.h - ways to make calls over connections that block: one for each caller, a few of
 * them behind a mutex, or one with a pipeline written by hand. What a connection is, a table of
 * functions says: hiredis and its kin differ in names only. Knows none of them, and nothing of the
 * library. */
#ifndef BENCH_WORKER_BLOCKING_H
#define BENCH_WORKER_BLOCKING_H
#include "worker.h"
#ifdef __cplusplus
extern "C" {
#endif

struct blocking {
  void *(*open)(const char *url, char why[WHY_SIZE]); /* NULL, and why not */
  void (*close)(void *connection);
  /* Adds a command to what is sent next: 0, or -1. */
  int (*append)(void *connection, int argc, const char *const *argv, const size_t *len);
  /* Sends what was added, and waits for the next reply. NULL: the connection is broken. */
  void *(*reply)(void *connection);
  const char *(*error)(void *connection); /* after that */
  void (*free_reply)(void *reply);
  void (*read)(const void *reply,
               struct answer *ret); /* of an array: ANSWER_PAIR or ANSWER_OTHER */
  const void *(*element)(const void *reply, size_t i); /* of an array; NULL: there is none */
};

/* Subscribes over a connection of its own, and reads until the last message. */
void blocking_listen(const struct blocking *, const char *url, struct listener *);

/* ---- callers are threads ---- */
struct crowd;
struct crowd *crowd_open(const struct blocking *, const char *url, int connections,
                         char why[WHY_SIZE]);
void crowd_close(void *crowd);
void crowd_call_own(void *crowd, struct call *);    /* by the connection of the caller's place */
void crowd_call_pooled(void *crowd, struct call *); /* by the one that was used last, or wait */
void crowd_listen(void *crowd, struct listener *);  /* by one that is opened for it */
/* As many as the workload says, or else as pool.max_size of poolmux allows when nothing is said: 4
 * for each processor that this process may run on, at least 8, at most 64; and one for each
 * consumer, which keeps it, and each reader of big values. */
int pool_size(const struct plan *);

/* ---- a pipeline: all calls that wait are sent, then all their answers read ---- */
struct pipeline;
struct pipeline *pipeline_open(const struct blocking *, const char *url, char why[WHY_SIZE]);
void pipeline_close(void *pipeline);
void pipeline_issue(void *pipeline, struct call *);
void pipeline_turn(void *pipeline, int64_t until_ns);
void pipeline_listen(void *pipeline, struct listener *); /* in a thread that is started for it */
void pause_until(int64_t until_ns); /* or 100 ms: what a turn does when nothing is to be done */

#ifdef __cplusplus
}
#endif

#endif
