/* SPDX-License-Identifier: BSD-3-Clause */
/* reactor_stage.h - for the tests of the reactor: one with its notices, and jobs that count. */
#ifndef TESTS_REACTOR_STAGE_H
#define TESTS_REACTOR_STAGE_H
#include <check.h>
#include <string.h>

#include "base/clock.h"
#include "harness/util.h"
#include "link/reactor.h"

enum { SOON_MS = 10000, HANG_MS = 2000 };

static inline int64_t in_ms(int64_t ms)
{
  return clock_ns() + ms * NS_PER_MS;
}

/* ---- a reactor, with and without its thread ---- */

struct stage {
  struct notices notices;
  struct reactor reactor;
  _Atomic int logged, finals;
  int log_again; /* the log function logs once more */
  int close_in_log;
};

static inline void final(void *arg)
{
  struct stage *s = arg;

  atomic_fetch_add(&s->finals, 1);
}

static inline void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  struct stage *s = ud;

  (void)level, (void)component, (void)message;
  if (s->log_again-- > 0)
    notice_log(&s->notices, PMX_LOG_INFO, "test", "again");
  if (s->close_in_log)
    reactor_close(&s->reactor, final, s);
  atomic_fetch_add(&s->logged, 1);
}

static inline void stage_open_as(struct stage *s, int loop)
{
  memset(s, 0, sizeof *s);
  notices_init(&s->notices, on_log, PMX_LOG_DEBUG, s, NULL, NULL);
  ck_assert_int_eq(reactor_open(&s->reactor, &s->notices, loop), 0);
}

static inline void stage_open(struct stage *s)
{
  stage_open_as(s, 0);
}

static inline void stage_start(struct stage *s)
{
  ck_assert_int_eq(reactor_start(&s->reactor), 0);
}

/* Ends its thread; what it watched can be taken apart then. */
static inline void stage_stop(struct stage *s)
{
  reactor_close(&s->reactor, final, s);
  ck_assert_int_eq(s->finals, 1);
}

static inline void stage_close(struct stage *s)
{
  reactor_destroy(&s->reactor);
  notices_destroy(&s->notices);
}

/* Without a thread: io=loop. */
static inline void loop_open(struct stage *s)
{
  stage_open_as(s, 1);
  ck_assert_int_eq(reactor_start(&s->reactor), 0);
}

static inline void loop_close(struct stage *s)
{
  stage_stop(s);
  stage_close(s);
}

struct wanted {
  _Atomic int *counter;
  int value;
};

static inline bool is_reached(void *arg)
{
  struct wanted *w = arg;

  return atomic_load(w->counter) >= w->value;
}

static inline void reaches(_Atomic int *counter, int value)
{
  struct wanted w = {counter, value};

  ck_assert_msg(wait_for(is_reached, &w, SOON_MS), "%d instead of %d", atomic_load(counter), value);
}

struct work {
  struct job job;
  struct stage *stage;
  _Atomic int runs;
  int again; /* posts itself again so many times */
  int log;   /* writes a log line */
  int wake;  /* ends a nested wait */
  int order; /* when it ran */
  int *clock;
};

static inline void run_work(struct job *job)
{
  struct work *w = container_of(job, struct work, job);

  if (w->clock)
    w->order = ++*w->clock;
  if (w->again-- > 0)
    reactor_post(&w->stage->reactor, &w->job);
  if (w->log)
    notice_log(&w->stage->notices, PMX_LOG_INFO, "test", "from a job");
  atomic_fetch_add(&w->runs, 1);
  if (w->wake)
    reactor_wake_nested(&w->stage->reactor);
}

static inline void work_init(struct work *w, struct stage *s)
{
  memset(w, 0, sizeof *w);
  job_init(&w->job, run_work);
  w->stage = s;
}

#endif
