/* SPDX-License-Identifier: BSD-3-Clause */
/* park.c - owns both forms of parking, see park.h. Knows nothing of what is waited for. */
#include "base/park.h"
#include "base/clock.h"
#include <errno.h>

#if PARK_FUTEX
/* The word counts wakes in its upper 31 bits; the lowest bit says that the owner sleeps, or is
 * about to, so that waking somebody who is awake costs no system call. Only the owner sets that
 * bit, a waker clears it.
 *
 * What the owner sleeps on is its row's word, with its seat as the futex's bit: of 64 who are to be
 * woken, two or three system calls wake each, and nobody else. The owner reads the row's word
 * before it says that it sleeps; whoever wakes it changes that word afterwards, so either the
 * kernel does not let it sleep, or the wake finds it asleep. The row's word changes for others as
 * well: then the kernel sends it back, and it tries again. */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ASLEEP UINT32_C(1)

enum { ROWS_AT_ONCE = 8 };

/* What the futex system call of this word size reads, whatever time_t is. */
struct futex_time {
  long sec, nsec;
};

void parker_init_in(struct parker *p, struct park_row *row, unsigned seat)
{
  atomic_init(&p->word, 0);
  p->row = row;
  p->seat = UINT32_C(1) << seat;
  p->next = NULL;
}

void parker_init(struct parker *p)
{
  atomic_init(&p->own.word, 0);
  parker_init_in(p, &p->own, 0);
}

void parker_destroy(struct parker *p)
{
  (void)p;
}

/* 0, or the errno of the wait: EAGAIN when somebody in the row was woken since `row` was read. */
static int futex_sleep(struct parker *p, uint32_t row, int64_t deadline)
{
  struct futex_time until = {0, 0}, *limit = NULL;
  int64_t sec = deadline / NS_PER_S;

  if (deadline != TIME_FOREVER && sec < LONG_MAX) {
    until.sec = deadline > 0 ? (long)sec : 0;
    until.nsec = deadline > 0 ? (long)(deadline % NS_PER_S) : 0;
    limit = &until;
  }
  if (syscall(SYS_futex, &p->row->word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, row, limit, NULL,
              p->seat) == 0)
    return 0;
  return errno;
}

int parker_park(struct parker *p, uint32_t ticket, int64_t deadline_ns)
{
  uint32_t row = atomic_load(&p->row->word), word = ticket;
  int why;

  if (!atomic_compare_exchange_strong(&p->word, &word, ticket | ASLEEP))
    return 0;
  do {
    why = futex_sleep(p, row, deadline_ns);
    row = atomic_load(&p->row->word);
  } while (why == EAGAIN && atomic_load(&p->word) == (ticket | ASLEEP));
  /* Nobody woke us: take the bit back, unless somebody does right now. */
  word = ticket | ASLEEP;
  if (!atomic_compare_exchange_strong(&p->word, &word, ticket))
    return 0;
  return why == ETIMEDOUT;
}

/* 1: the kernel has to wake it. */
static int rouse(struct parker *p)
{
  uint32_t old = atomic_load_explicit(&p->word, memory_order_relaxed);

  while (!atomic_compare_exchange_weak(&p->word, &old, (old | ASLEEP) + 1))
    continue;
  return old & ASLEEP;
}

static void wake_seats(struct park_row *row, uint32_t seats)
{
  atomic_fetch_add(&row->word, 1);
  syscall(SYS_futex, &row->word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL,
          seats);
}

void parker_wake(struct parker *p)
{
  if (rouse(p))
    wake_seats(p->row, p->seat);
}

void parkers_wake(struct parker *const *list, unsigned count)
{
  struct park_row *rows[ROWS_AT_ONCE];
  uint32_t seats[ROWS_AT_ONCE];
  unsigned n = 0;

  for (unsigned i = 0, j; i < count; i++) {
    struct parker *p = list[i];

    if (!rouse(p))
      continue;
    for (j = 0; j < n && rows[j] != p->row; j++)
      continue;
    if (j == ROWS_AT_ONCE) {
      wake_seats(p->row, p->seat);
      continue;
    }
    if (j == n) {
      rows[n] = p->row;
      seats[n++] = 0;
    }
    seats[j] |= p->seat;
  }
  for (unsigned j = 0; j < n; j++)
    wake_seats(rows[j], seats[j]);
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

void parker_init_in(struct parker *p, struct park_row *row, unsigned seat)
{
  (void)row;
  (void)seat;
  parker_init(p);
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

void parkers_wake(struct parker *const *list, unsigned count)
{
  for (unsigned i = 0; i < count; i++)
    parker_wake(list[i]);
}

#endif

uint32_t parker_ticket(struct parker *p)
{
  return atomic_load(&p->word);
}
