/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c - owns the count of forks, who is told in a child, and who is waited for before one. Knows
 * nothing of what a watcher closes.
 *
 * OpenSSL has locks that all its users share, and no means to have them open in the child of a
 * fork: one that another thread held stays shut there for ever. So a fork waits until none of our
 * threads is inside OpenSSL, and whoever wants to go in while it happens waits for that:
 *
 *   in:    count up a slot, and look whether there is a fork; if so, count it down and wait
 *   fork:  say so, and wait until all slots are empty; the child begins with all of them empty
 *
 * One of the two sees the other, since both are sequentially consistent. Threads have slots of
 * their own, as far as there are that many: a connection goes in and out with every record.
 *
 * Both wait for a limited time, then go on as if there were nothing to wait for. None of our locks
 * is wanted inside by whoever holds it and wants to go in; but a handler of somebody else may run
 * between our two, and wait for a thread that waits here. The thread that forks goes in at any
 * time, for such handlers may use a client. Whoever forks inside, in a signal handler, waits for
 * itself; its child has left. */
#include "base/sync.h"
#include <time.h>
#include "base/clock.h"

enum { WATCH_MAX = 4, SLOTS = 16, PAUSE_NS = 20000 };
#define PATIENCE_NS INT64_C(500000000)

/* 0 until the fork handler is registered. */
static _Atomic uint32_t generation;
static _Atomic(void (*)(void)) watchers[WATCH_MAX];

static _Atomic int forks; /* that are going on */
static struct slot {
  _Alignas(64) _Atomic int inside;
} slots[SLOTS];

/* Of this thread: it is in the middle of so many forks' handlers; where it went in. */
static _Thread_local int forking;
static _Thread_local uint32_t held_in;

/* ---- who is waited for ---- */

static void pause_shortly(void)
{
  nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static struct slot *my_slot(void)
{
  return &slots[thread_number() % SLOTS];
}

static void wait_for_forks(struct slot *slot)
{
  int64_t end = clock_ns() + PATIENCE_NS;

  do {
    atomic_fetch_sub(&slot->inside, 1);
    while (atomic_load(&forks) > 0 && clock_ns() < end)
      pause_shortly();
    atomic_fetch_add(&slot->inside, 1);
  } while (atomic_load(&forks) > 0 && clock_ns() < end);
}

void fork_hold(void)
{
  struct slot *slot = my_slot();

  held_in = fork_generation();
  atomic_fetch_add(&slot->inside, 1);
  if (atomic_load(&forks) > 0 && !forking)
    wait_for_forks(slot);
}

void fork_let(void)
{
  if (held_in == fork_generation())
    atomic_fetch_sub_explicit(&my_slot()->inside, 1, memory_order_release);
}

static int anybody_inside(void)
{
  for (size_t i = 0; i < SLOTS; i++) {
    if (atomic_load(&slots[i].inside) > 0)
      return 1;
  }
  return 0;
}

static void before(void)
{
  int64_t end = clock_ns() + PATIENCE_NS;
  int cancel = thread_cancel_disable();

  forking++;
  atomic_fetch_add(&forks, 1);
  while (anybody_inside() && clock_ns() < end)
    pause_shortly();
  thread_cancel_restore(cancel);
}

/* Where it was registered in the middle of a fork, it comes alone. */
static void after(void)
{
  if (forking == 0)
    return;
  forking--;
  atomic_fetch_sub(&forks, 1);
}

/* ---- who is told ---- */

/* Runs inside fork(), with one thread left: async-signal-safe calls only. Harmless when registered
 * twice. */
static void forked(void)
{
  atomic_fetch_add(&generation, 1);
  atomic_store(&forks, 0);
  forking = 0;
  for (size_t i = 0; i < SLOTS; i++)
    atomic_store(&slots[i].inside, 0);
  for (size_t i = 0; i < WATCH_MAX; i++) {
    void (*child)(void) = atomic_load(&watchers[i]);

    if (child)
      child();
  }
}

/* No pthread_once: registering may fail for want of memory, and is then tried again at the next
 * use. Two threads that come here at once may both register. */
static uint32_t fork_register(void)
{
  uint32_t none = 0;

  if (pthread_atfork(before, after, forked) != 0)
    return 1;
  if (atomic_compare_exchange_strong(&generation, &none, 1))
    return 1;
  return none;
}

uint32_t fork_generation(void)
{
  uint32_t now = atomic_load_explicit(&generation, memory_order_relaxed);

  return now ? now : fork_register();
}

void fork_watch(void (*child)(void))
{
  for (size_t i = 0; i < WATCH_MAX; i++) {
    void (*taken)(void) = NULL;

    if (atomic_compare_exchange_strong(&watchers[i], &taken, child) || taken == child)
      break;
  }
  fork_generation();
}
