/* SPDX-License-Identifier: BSD-3-Clause */
/* reactor.h - the client's own thread (or, with io=loop, whoever runs it): it drives what no caller waits for (connects, checks, repairs),
 * owns the timers, and is the only one that runs the user's callbacks. One per client.
 *
 * Sources, tickers and steps belong to the reactor's thread; jobs and wake-ups come from any.
 * Lock order: strategy's lock → reactor's lock (jobs only) → nothing. No user code and no source is
 * called with a lock held. */
#ifndef PMX_LINK_REACTOR_H
#define PMX_LINK_REACTOR_H
#include <stdatomic.h>
#include "base/heap.h"
#include "base/list.h"
#include "base/notice.h"
#include "base/park.h"
#include "base/sync.h"
#include "net/poller.h"
#include "net/transport.h"

/* Something to be run once on the reactor's thread. Posting it again before it ran is the same as
 * once. */
struct job {
  struct list node;
  void (*run)(struct job *);
  struct timer *timer; /* reactor_call: cleared before it runs */
};

/* Something to be run once at a time, on the reactor's thread. Thread of all calls: any. */
struct timer {
  struct heap_node node;
  void (*run)(struct timer *);
  void (*hold)(struct timer *); /* with the reactor's lock held: run() is about to be called */
  int known; /* it was set or cleared before */
};

/* A transport that the reactor watches. */
struct source {
  struct list node;
  struct transport *transport; /* NULL: only a deadline */
  unsigned events;
  int64_t deadline;
  int broken; /* the system would not watch it: io is called with events 0 a moment later */
  void (*io)(struct source *, unsigned events); /* events 0: the deadline has passed */
};

/* Called when `due` has come; returns the next time. */
struct ticker {
  struct list node;
  _Atomic int64_t due;
  int64_t (*tick)(struct ticker *, int64_t now);
};

struct reactor {
  struct thread thread;
  struct poller *poller;
  int loop;                /* io=loop: there is no thread */
  _Atomic unsigned runner; /* who runs it now, see reactor_run.c; 0 = nobody */
  struct lock lock;        /* of jobs, callbacks, timers and helpers */
  struct list jobs, callbacks, helpers;
  _Atomic int others; /* callbacks is not empty */
  /* Without the lock, of who runs it: callbacks that it asked for itself, all older than the others;
   * and timers that it began, and has yet to put among the timers. */
  struct list own_callbacks;
  struct heap_node *own_timers, **own_timers_end;
  /* Callbacks: asked for, under the lock; by who runs it; begun, by who runs them. */
  _Atomic unsigned called, own_called, ran;
  unsigned claims; /* how many want to run it instead of those who only help */
  struct heap timers;
  struct list sources, tickers;
  struct notices *notices;
  _Atomic int stop;
  _Atomic int nested; /* calls that wait on the reactor's own thread */
  uint32_t fork_generation;
  /* Asked once it is to stop, between steps: 1 = all that it drove has ended, and what waits here
   * has been told. */
  int (*wind_up)(struct reactor *);
  void (*final)(void *); /* run at the very end of the thread, when it cannot be joined */
  void *final_arg;
};

int reactor_open(struct reactor *, struct notices *, int loop); /* 0 or errno; without its thread */
int reactor_start(struct reactor *);                  /* 0 or errno */
/* Stops and joins. On its own thread: returns at once, and final(arg) runs when the thread has left
 * everything behind; nobody may touch the reactor afterwards. */
void reactor_close(struct reactor *, void (*final)(void *), void *arg);
void reactor_destroy(struct reactor *); /* after the thread has ended */
int reactor_is_me(const struct reactor *); /* 1: this thread runs it */
int reactor_is_mine(const struct reactor *); /* 1: this thread runs it, and will run user code */
int reactor_is_run_by(const struct reactor *, unsigned thread); /* the same of any thread_number */
/* Sleeps on the parker, as parker_park does; on the reactor's own thread it steps the reactor
 * instead. 0 woken, perhaps, 1 time is up. */
int reactor_wait(struct reactor *, struct parker *, uint32_t ticket, int64_t deadline);

/* io=loop: runs it from here on, if nobody else does; 1 = so it is. No callback comes meanwhile. */
int reactor_help(struct reactor *);
void reactor_end_help(struct reactor *);

void job_init(struct job *, void (*run)(struct job *));
void reactor_post(struct reactor *, struct job *);       /* Thread: any; does not wake */
int reactor_posted(struct reactor *, const struct job *); /* Thread: any. 1: it is yet to run */
/* For user code: run between two steps, never inside another call, in the order of asking. Wakes.
 * The timer, unless it is NULL, is cleared before it runs. Thread: any. */
void reactor_call(struct reactor *, struct job *, struct timer *clear);
unsigned reactor_backlog(const struct reactor *); /* callbacks whose turn has not come. Thread: any */
void timer_set(struct reactor *, struct timer *, int64_t due); /* again: the new time holds */
void timer_begin(struct reactor *, struct timer *, int64_t due); /* unless set or cleared before */
/* The same for a timer that only this thread touches, the one that runs it and its user code
 * (reactor_is_mine), until a callback clears it. */
void timer_begin_own(struct reactor *, struct timer *, int64_t due);
void timer_clear(struct reactor *, struct timer *);            /* run() may be under way, see hold */
void reactor_wake(struct reactor *);                     /* Thread: any */
void reactor_call_user(struct reactor *);                /* the same, and io=loop: the application */
void reactor_wake_nested(struct reactor *);              /* only if a call waits on its thread */
void ticker_add(struct reactor *, struct ticker *, int64_t due); /* before reactor_start */
int ticker_advance(struct ticker *, int64_t due);        /* Thread: any; 1: earlier than before, wake */
void source_init(struct source *, struct transport *, void (*io)(struct source *, unsigned));
void reactor_watch(struct reactor *, struct source *, unsigned events, int64_t deadline);
void reactor_unwatch(struct reactor *, struct source *);
/* io=loop: steps until something was done for the user or the deadline has come, and runs callbacks;
 * how many. The reactor may be gone afterwards, when one of them closed the client. */
int reactor_dispatch(struct reactor *, int64_t deadline);
int reactor_fd(const struct reactor *); /* io=loop: readable when there is something to do; or -1 */
/* One round: what is due, I/O, waiting until `deadline` at most. Runs no callback. */
void reactor_step(struct reactor *, int64_t deadline);

/* for reactor_run.c */
int64_t reactor_run_due(struct reactor *); /* when the next thing is due; 0 = now */
int reactor_busy(struct reactor *);        /* something is to be done before anybody sleeps */
int reactor_calls(struct reactor *);       /* user code waits to be run */
void reactor_take_callbacks(struct reactor *, struct list *ret); /* that are there */

#endif
