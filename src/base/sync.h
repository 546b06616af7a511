/* SPDX-License-Identifier: BSD-3-Clause */
/* sync.h - locks, threads and the fork generation. With park.h the only door to pthreads and
 * futexes; replaced at link time by the simulator, where each of these calls is a scheduling point.
 */
#ifndef PMX_BASE_SYNC_H
#define PMX_BASE_SYNC_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct lock {
  pthread_mutex_t mutex;
};

void lock_init(struct lock *);
void lock_destroy(struct lock *);
void lock_acquire(struct lock *);
void lock_release(struct lock *);

/* Library threads block all signals, cannot be cancelled, and are named; a detached one owns its
 * data. */
struct thread {
  pthread_t id;
};

int thread_start(struct thread *, const char *name, void (*run)(void *), void *arg); /* 0 or errno */
void thread_join(struct thread *);
void thread_detach(struct thread *); /* instead of joining: for a thread that ends itself */
int thread_is_me(const struct thread *);
void thread_yield(void); /* lets others that want this processor have it, if there are any */
int thread_start_detached(const char *name, void (*run)(void *), void *arg);
/* Thread cancellation is off inside calls: returns the old state for the second. */
int thread_cancel_disable(void);
void thread_cancel_restore(int old);

/* Counts the forks that led to this process: different from a remembered value = we are the child.
 * fork_watch adds a function that is run in the child, inside fork(), before anything else. */
uint32_t fork_generation(void);
void fork_watch(void (*child)(void)); /* at most 4, idempotent per function */
/* Between the two no fork of the process begins: around what has locks that a child would find
 * shut. Not nested, not around what is the user's or may take long: forks wait half a second, and
 * while one waits so does whoever wants to hold it. */
void fork_hold(void);
void fork_let(void);

unsigned cpu_count(void);     /* at least 1 */
unsigned thread_number(void); /* of this thread: 0, 1, 2 … as they first ask */

#endif
