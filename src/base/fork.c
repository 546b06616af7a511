/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c - owns the count of forks, and who is told in a child. Knows nothing of what a watcher
 * closes. */
#include "base/sync.h"

enum { WATCH_MAX = 4 };

/* 0 until the fork handler is registered. */
static _Atomic uint32_t generation;
static _Atomic(void (*)(void)) watchers[WATCH_MAX];

/* Runs inside fork(), with one thread left: async-signal-safe calls only. Harmless when registered
 * twice. */
static void forked(void)
{
  atomic_fetch_add(&generation, 1);
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

  if (pthread_atfork(NULL, NULL, forked) != 0)
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
