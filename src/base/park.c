/* SPDX-License-Identifier: BSD-3-Clause */
/* park.c - owns both forms of parking, see park.h. Knows nothing of what is waited for. */
#include "base/park.h"
#include "base/clock.h"
#include <errno.h>

#if PARK_FUTEX
/* The word counts wakes in its upper 31 bits; the lowest bit says that the owner sleeps, or is
 * about to, so that waking somebody who is awake costs no system call. Only the owner sets that
 * bit, a waker clears it. */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ASLEEP UINT32_C(1)

/* What the futex system call of this word size reads, whatever time_t is. */
struct futex_time {
  long sec, nsec;
};

void parker_init(struct parker *p)
{
  atomic_init(&p->word, 0);
  p->next = NULL;
}

void parker_destroy(struct parker *p)
{
  (void)p;
}

/* 0, or the errno of the wait. */
static int futex_sleep(struct parker *p, uint32_t expected, int64_t deadline)
{
  struct futex_time until = {0, 0}, *limit = NULL;
  int64_t sec = deadline / NS_PER_S;

  if (deadline != TIME_FOREVER && sec < LONG_MAX) {
    until.sec = deadline > 0 ? (long)sec : 0;
    until.nsec = deadline > 0 ? (long)(deadline % NS_PER_S) : 0;
    limit = &until;
  }
  if (syscall(SYS_futex, &p->word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, limit, NULL,
              FUTEX_BITSET_MATCH_ANY) == 0)
    return 0;
  return errno;
}

int parker_park(struct parker *p, uint32_t ticket, int64_t deadline_ns)
{
  uint32_t word = ticket;
  int why;

  if (!atomic_compare_exchange_strong(&p->word, &word, ticket | ASLEEP))
    return 0;
  why = futex_sleep(p, ticket | ASLEEP, deadline_ns);
  /* Nobody woke us: take the bit back, unless somebody does right now. */
  word = ticket | ASLEEP;
  if (!atomic_compare_exchange_strong(&p->word, &word, ticket))
    return 0;
  return why == ETIMEDOUT;
}

void parker_wake(struct parker *p)
{
  uint32_t old = atomic_load_explicit(&p->word, memory_order_relaxed);

  while (!atomic_compare_exchange_weak(&p->word, &old, (old | ASLEEP) + 1))
    continue;
  if (old & ASLEEP)
    syscall(SYS_futex, &p->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

#else
/* The word counts wakes. It is changed under the mutex only, and read without it for a ticket. */
#include <time.h>

/* With default attributes, but for the clock, none of these can fail with glibc or musl. */
void parker_init(struct parker *p)
{
  pthread_condattr_t attr;

  atomic_init(&p->word, 0);
  p->next = NULL;
  pthread_mutex_init(&p->mutex, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&p->woken, &attr);
  pthread_condattr_destroy(&attr);
}

void parker_destroy(struct parker *p)
{
  pthread_cond_destroy(&p->woken);
  pthread_mutex_destroy(&p->mutex);
}

/* With the mutex held. 0, or why the wait ended. */
static int cond_sleep(struct parker *p, int64_t deadline)
{
  int64_t at = deadline > 0 ? deadline : 0;
  struct timespec until = {.tv_sec = (time_t)(at / NS_PER_S), .tv_nsec = (long)(at % NS_PER_S)};

  if (deadline == TIME_FOREVER || until.tv_sec != at / NS_PER_S)
    return pthread_cond_wait(&p->woken, &p->mutex);
  return pthread_cond_timedwait(&p->woken, &p->mutex, &until);
}

int parker_park(struct parker *p, uint32_t ticket, int64_t deadline_ns)
{
  int why = 0, woken;

  pthread_mutex_lock(&p->mutex);
  if (atomic_load(&p->word) == ticket)
    why = cond_sleep(p, deadline_ns);
  woken = atomic_load(&p->word) != ticket;
  pthread_mutex_unlock(&p->mutex);
  return !woken && why == ETIMEDOUT;
}

/* The signal comes after the mutex, or the woken would run into it. */
void parker_wake(struct parker *p)
{
  pthread_mutex_lock(&p->mutex);
  atomic_fetch_add(&p->word, 1);
  pthread_mutex_unlock(&p->mutex);
  pthread_cond_signal(&p->woken);
}

#endif

uint32_t parker_ticket(struct parker *p)
{
  return atomic_load_explicit(&p->word, memory_order_acquire);
}
