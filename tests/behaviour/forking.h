/* SPDX-License-Identifier: BSD-3-Clause */
/* forking.h - what the tests of fork share: claims made in a child, where no assertion of libcheck
 * may be used because they belong to the parent's test, and the reaping of children. */
#ifndef FORKING_H
#define FORKING_H
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "harness/sanitized.h"

enum { CHILD_MS = 20000, FORK_KEYS = 16 };

void note_test_pid(void); /* in the fixture: who is the parent */
void child_begin(void);   /* in a child: it must not outlive its test, should it hang */
/* In a child: says so and ends it when the claim does not hold. */
void must(bool holds, const char *claim);
void must_end(pmx_reply *, pmx_status, pmx_cause, const char *claim); /* frees the reply */
void child_get(pmx_client *, int i);                                  /* GET fork:i and its value */
/* In the parent: waits for it; the test fails when it did not end well. 0 = none, and afterwards.
 */
void reap(pid_t *);

/* The locks of a sanitizer's allocator do not survive a fork that finds another thread inside. So
 * under one each test forks while all others sleep; without one these do nothing. */
void let_all_sleep(void);
pid_t fork_asleep(void); /* lets them, and forks */
/* For threads of a test that do not sleep: nobody is inside a call while one forks. */
struct fork_gate {
  pthread_rwlock_t lock;
};
void gate_init(struct fork_gate *);
void gate_enter(struct fork_gate *, bool to_fork);
void gate_leave(struct fork_gate *);

#endif
