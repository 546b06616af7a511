/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_parts.h - what the parts of the frame share. A lap has two phases, the warm-up and what is
 * measured; each begins with nothing under way and ends when all that was begun has its answer, so
 * that calls, answers and the server's counters agree exactly. Readers of big values, who are
 * beside the callers, make their last call when the time is over or the callers have ended.
 *
 * Locks: a book's → the lap's. The flights' is taken alone. */
#ifndef BENCH_WORKER_PARTS_H
#define BENCH_WORKER_PARTS_H
#include <pthread.h>
#include <stdatomic.h>

#include "measure.h"
#include "wire.h"
#include "worker.h"

enum { SLICE_MS = 100, MOST_SLICES = 8192, ERRORS = 5, MOST_FAILURES = 1000, EXIT_CANNOT = 77 };

/* ---- what has been measured: written by one thread, until the lap takes it over ---- */
struct book {
  pthread_mutex_t lock;
  long slice;
  struct histogram *times[KINDS]; /* NULL: none yet */
  uint64_t commands[KINDS];
};

struct usage {
  int64_t at_ns;
  double user_s, system_s; /* of this process, all its threads */
  double machine_s;        /* of everything on this machine, interrupts included */
  long sleeps;             /* voluntary context switches of this process */
  /* of the server; < 0: it does not say */
  double server_s, commands, reads, writes, bytes_in, bytes_out, connections;
  double asked_out, asked_in; /* bytes of this question and its answer */
  char server_name[32], server_version[32];
};

struct lap {
  const struct plan *plan;
  const struct way *way;
  void *self;
  int async; /* callers are not threads */
  struct wire *control;
  int places;
  struct call *calls; /* one for each place */
  struct listener *listeners;
  struct book *books; /* one for each place, then one for each listener; asynchronous: the first */
  struct crew *crew;  /* NULL: an asynchronous way */

  /* the phase */
  int64_t begun_ns, until_ns;
  int64_t give_up_ns;     /* open loop: what was due before until_ns is begun until then */
  long most;              /* calls to begin */
  double step_ns;         /* between two calls that are due; 0: closed loop */
  _Atomic long ticket;    /* the next call that is due */
  _Atomic uint64_t begun; /* before until_ns */
  _Atomic uint64_t late;  /* begun more than a millisecond after they were due, whenever that was */
  _Atomic int64_t latest_ns;

  /* what has to arrive before a phase is over */
  _Atomic uint64_t pushed, popped, promised, heard;
  _Atomic int consuming, ready, listening;

  /* asynchronous ways */
  pthread_mutex_t flights;
  pthread_cond_t landed;
  struct call *idle; /* open loop: not under way */
  _Atomic int under_way;
  int reading; /* readers of big values that have not ended; under flights' lock */

  _Atomic int enough; /* the callers have made all their calls: readers need no other */

  /* the result; under the lock */
  pthread_mutex_t lock;
  struct histogram times[KINDS];
  uint64_t commands[KINDS], failed[KINDS], failures;
  char error[ERRORS][WHY_SIZE];
  struct histogram *slices[MOST_SLICES];
  struct usage before, after;
};

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* worker_book.c */
void book_add(struct lap *, struct book *, enum kind, int64_t ns, int commands, int64_t now);
void lap_collect(struct lap *);                                /* takes all books over */
void lap_forget(struct lap *);                                 /* everything measured so far */
void lap_trouble(struct lap *, enum verdict, const char *why); /* of a command; wrong: ends us */
void lap_failure(struct lap *, enum kind);                     /* of a call */

/* worker_call.c */
void call_draw(struct call *, int64_t since_ns); /* draws it and stamps it */
void call_record(struct call *);                 /* it is over */
int call_is_last(const struct call *);           /* a consumer's: it was told to end */
int64_t ticket_due(const struct lap *, long ticket);
void ticket_begun(struct lap *, int64_t due_ns, int64_t now_ns);
long calls_of(const struct lap *, int place); /* the share of a caller in a closed loop */

/* worker_crew.c, worker_flights.c: one phase; the former's threads come and go with it */
void crew_start(struct lap *);
void crew_phase(struct lap *);
void crew_stop(struct lap *);
void flights_start(struct lap *);
void flights_phase(struct lap *);
void flights_stop(struct lap *);
void flight_over(struct call *); /* all its commands are answered */
/* Waits until it is: 0; or in vain, for 10 s: -1. */
int lap_await(struct lap *, int (*there)(struct lap *));

/* worker_usage.c */
void usage_take(struct lap *, struct usage *ret, int begin);

/* worker_store.c: keys, by the control connection; each returns or dies */
void store_fill(const struct plan *, struct wire *);
void store_clean(const struct plan *, struct wire *);
void store_prepare(const struct plan *, struct wire *);   /* what one lap needs for itself */
void store_send_ends(const struct plan *, struct wire *); /* to consumers and subscribers */

/* worker_print.c */
void lap_print(struct lap *, const struct worker *, FILE *out);

/* worker_lap.c */
void lap_run(const struct plan *, struct wire *control, const struct worker *);

#endif
