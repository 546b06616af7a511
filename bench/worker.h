/* SPDX-License-Identifier: BSD-3-Clause */
/* worker.h - the frame of a worker: a program that measures one lap of one way to make calls, and
 * prints what it saw (docs: poolmux-bench(1) starts it). The frame reads the options, fills, warms
 * up, paces, measures, judges and prints; a worker's own file only says how its library makes
 * calls.
 *
 * A way has callers that are threads: call(), and listen() when there are subscribers; or it is
 * asynchronous: issue(), whose answers come whenever they come, and turn() where somebody must
 * drive an event loop. Callers have places 0 … N-1, blocked consumers N … N+B-1, readers of big
 * values those behind: a way with a connection for each has so many of them. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H
#include <limits.h>

#include "workload.h"
#ifdef __cplusplus
extern "C" {
#endif

enum { WHY_SIZE = WORKLOAD_WHY, MAX_CALLERS = 4096 };
struct lap;
struct way;

/* What is to be done in this lap. */
struct plan {
  const struct way *way;
  const char *url;     /* redis://, rediss:// or unix:// */
  const char *control; /* the same server, for those who look at it */
  int callers;
  double seconds, warmup;
  long calls; /* exactly so many, instead of seconds; LONG_MAX: time decides */
  uint64_t seed;
  enum callers_as callers_as; /* what the way makes of the workload's wish */
  struct workload workload;
};
int plan_readers(const struct plan *); /* the first place of a reader: callers + blocked */
/* With the readers: how many calls may be under way at a time. */
int plan_places(const struct plan *);

/* ---- one call ---- */
struct part { /* what an asynchronous way hands to its library: one command of a call */
  struct call *call;
  int i;
};
struct call {
  struct task task;  /* what to send: task.n commands */
  struct part *part; /* task.n of them */
  int place;
  void *own; /* the way's */
  /* the frame's */
  struct lap *lap;
  uint64_t dice;
  int64_t since_ns, ended_ns;
  long left;       /* calls that this caller may still begin */
  int open, state; /* open: commands without an answer */
  enum verdict verdict;
  struct call *next;
};
/* The answer to the i-th command. Once for each; with the last one the call is over, and may be
 * another one when this returns. In an asynchronous way the next call is issued inside this. Any
 * thread; the answer is not kept. */
void call_answer(struct call *, int i, const struct answer *);
/* The same for a command that was not answered. */
void call_failed(struct call *, int i, const char *why);

/* ---- one subscriber ---- */
struct listener {
  int place; /* 0 … subscribers-1 */
  const char *channel;
  size_t len;
  void *own; /* the way's */
  struct lap *lap;
  long index;
};
void listener_ready(struct listener *); /* the server has confirmed it */
/* 1: go on; 0: that was the last one, unsubscribe or close. */
int listener_message(struct listener *, const char *data, size_t len);
void listener_failed(struct listener *, const char *why); /* no message will come */

/* ---- a way ---- */
struct way {
  const char *name, *what;
  /* Words: threads callbacks futures open-loop batches transactions blocking pubsub tcp unix tls.
   * What the plan needs and is not among them is refused. Of threads, callbacks and futures: which
   * ones there are; the first is used when the workload's is not among them. */
  const char *can;
  const char *(*cannot)(const struct plan *); /* NULL, or returns why not; NULL: it can */
  /* Connects all that is needed; NULL, and why not. */
  void *(*open)(const struct plan *, char why[WHY_SIZE]);
  void (*close)(void *self);
  /* Threads: makes the call and answers all its commands. Each place by its own thread. */
  void (*call)(void *self, struct call *);
  /* Threads: subscribes, then reads messages until told to end; in a thread of its own.
   * Asynchronous: subscribes and returns. */
  void (*listen)(void *self, struct listener *);
  /* Asynchronous: begins all commands of the call, without waiting. May be called inside
   * call_answer, and by the main thread at the same time. */
  void (*issue)(void *self, struct call *);
  /* Asynchronous: drives the event loop until something came or the time (now_ns) is there; never
   * longer than 100 ms. NULL: answers come on a thread of their own. */
  void (*turn)(void *self, int64_t until_ns);
  /* NULL, or: what is measured begins now; and prints "stat NAME N" lines, of what was since. */
  void (*mark)(void *self);
  void (*stats)(void *self, FILE *out);
};

struct worker {
  const char *name; /* poolmux-bench-hiredis */
  const struct way *ways;
  int n;
  void (*versions)(FILE *out); /* "version NAME VERSION" lines */
  const char *options; /* words: of a URL's query what it honours; NULL: all that poolmux has */
};
int worker_main(const struct worker *, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
