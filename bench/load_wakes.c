/* SPDX-License-Identifier: BSD-3-Clause */
/* load_wakes.c - contestant of poolmux-load: threads that only park and are woken, as a multiplexer
 * does it, without network and commands. A caller queues itself, wakes the driver if that sleeps,
 * and parks; the driver takes all who are queued and wakes one after the other. What blocking
 * threads can reach with one wake each, however fast the library and the server are. */
#include "load_parts.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A system call is made only for those who sleep. */
enum { AWAKE, ASLEEP, WOKEN };

struct seat {
  _Alignas(64) _Atomic uint32_t word;
  struct seat *next; /* in the queue: who came before */
};

struct wakes {
  struct seat driver;
  _Alignas(64) _Atomic(struct seat *) queue; /* the last one that came */
  _Atomic int over;
  pthread_t thread;
  struct seat *callers;
};

static void park(struct seat *seat)
{
  uint32_t word = AWAKE;

  if (atomic_compare_exchange_strong(&seat->word, &word, ASLEEP)) {
    while (atomic_load(&seat->word) == ASLEEP)
      syscall(SYS_futex, &seat->word, FUTEX_WAIT_PRIVATE, ASLEEP, NULL, NULL, 0);
  }
  atomic_store(&seat->word, AWAKE);
}

static void wake(struct seat *seat)
{
  if (atomic_exchange(&seat->word, WOKEN) == ASLEEP)
    syscall(SYS_futex, &seat->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- the driver ---- */

/* In the order in which they came. A seat may be queued again as soon as it was woken. */
static void wake_all(struct seat *last)
{
  struct seat *first = NULL, *next;

  for (; last; last = next) {
    next = last->next;
    last->next = first;
    first = last;
  }
  for (; first; first = next) {
    next = first->next;
    wake(first);
  }
}

static void *drive(void *arg)
{
  struct wakes *w = arg;

  while (!atomic_load(&w->over)) {
    struct seat *batch = atomic_exchange(&w->queue, NULL);

    if (batch)
      wake_all(batch);
    else
      park(&w->driver);
  }
  return NULL;
}

/* ---- the callers ---- */

static int call(void *self, struct caller *caller, struct command *command)
{
  struct wakes *w = self;
  struct seat *seat = &w->callers[caller->place], *before = atomic_load(&w->queue);

  (void)command;
  do
    seat->next = before;
  while (!atomic_compare_exchange_weak(&w->queue, &before, seat));
  if (!before)
    wake(&w->driver);
  park(seat);
  return 0;
}

static int run(void *self, struct lap *lap)
{
  struct wakes *w = self;
  int failed;

  atomic_store(&w->over, 0);
  if (pthread_create(&w->thread, NULL, drive, w) != 0)
    return lap_failed(lap, "no thread");
  failed = crew_run(lap, call, w);
  atomic_store(&w->over, 1);
  wake(&w->driver);
  pthread_join(w->thread, NULL);
  return failed;
}

static void close_wakes(void *self)
{
  struct wakes *w = self;

  free(w->callers);
  free(w);
}

static void *open_wakes(const char *url, int callers, char why[LOAD_WHY])
{
  struct wakes *w = aligned_alloc(_Alignof(struct wakes), sizeof *w);

  (void)url;
  snprintf(why, LOAD_WHY, "out of memory");
  if (!w)
    return NULL;
  *w = (struct wakes){.thread = 0};
  w->callers = aligned_alloc(_Alignof(struct seat), (size_t)callers * sizeof *w->callers);
  for (int i = 0; w->callers && i < callers; i++)
    w->callers[i] = (struct seat){.next = NULL};
  if (w->callers)
    return w;
  close_wakes(w);
  return NULL;
}

const struct contestant load_wakes = {
    .name = "wakes",
    .what = "N threads that only park, one that wakes them; no network",
    .no_server = 1,
    .open = open_wakes,
    .run = run,
    .close = close_wakes,
};
