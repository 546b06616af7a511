/* SPDX-License-Identifier: BSD-3-Clause */
/* thread.c - owns the library's threads: all signals blocked, named. Knows nothing of what a thread
 * runs. With fork.c the second half of sync.h. */
#include "base/sync.h"
#include "base/mem.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { THREAD_NAME_SIZE = 16 }; /* the kernel's limit, with the NUL */

struct thread_start {
  void (*run)(void *);
  void *arg;
  char name[THREAD_NAME_SIZE];
};

/* Of a library thread, for good: to switch it off and on costs two locked instructions a call. */
static _Thread_local int never_cancelled;

static void *thread_main(void *arg)
{
  struct thread_start start = *(struct thread_start *)arg;

  mem_free(arg);
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  never_cancelled = 1;
  pthread_setname_np(pthread_self(), start.name);
  start.run(start.arg);
  return NULL;
}

static int start_masked(pthread_t *id, const pthread_attr_t *attr, struct thread_start *start)
{
  sigset_t all, old;
  int err;

  sigfillset(&all);
  err = pthread_sigmask(SIG_SETMASK, &all, &old);
  if (err)
    return err;
  err = pthread_create(id, attr, thread_main, start);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return err;
}

static int start_named(pthread_t *id, const pthread_attr_t *attr, const char *name,
                       void (*run)(void *), void *arg)
{
  struct thread_start *start = mem_alloc(sizeof *start);
  int err;

  if (!start)
    return ENOMEM;
  start->run = run;
  start->arg = arg;
  snprintf(start->name, sizeof start->name, "%s", name);
  err = start_masked(id, attr, start);
  if (err)
    mem_free(start);
  return err;
}

int thread_start(struct thread *t, const char *name, void (*run)(void *), void *arg)
{
  return start_named(&t->id, NULL, name, run, arg);
}

void thread_join(struct thread *t)
{
  pthread_join(t->id, NULL);
}

void thread_detach(struct thread *t)
{
  pthread_detach(t->id);
}

int thread_is_me(const struct thread *t)
{
  return pthread_equal(t->id, pthread_self()) != 0;
}

int thread_start_detached(const char *name, void (*run)(void *), void *arg)
{
  pthread_attr_t attr;
  pthread_t id;
  int err = pthread_attr_init(&attr);

  if (err)
    return err;
  err = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  if (!err)
    err = start_named(&id, &attr, name, run, arg);
  pthread_attr_destroy(&attr);
  return err;
}

void thread_yield(void)
{
  sched_yield();
}

int thread_cancel_disable(void)
{
  int old = PTHREAD_CANCEL_ENABLE;

  if (never_cancelled)
    return PTHREAD_CANCEL_DISABLE;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
  return old;
}

void thread_cancel_restore(int old)
{
  if (old != PTHREAD_CANCEL_DISABLE)
    pthread_setcancelstate(old, NULL);
}

unsigned cpu_count(void)
{
  cpu_set_t set;
  long online;

  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
    return (unsigned)CPU_COUNT(&set);
  online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than the set has room for */
  return online > 0 ? (unsigned)online : 1;
}

unsigned thread_number(void)
{
  static _Atomic unsigned count;
  static _Thread_local unsigned mine; /* from 1 */

  if (!mine)
    mine = 1 + atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
  return mine - 1;
}
