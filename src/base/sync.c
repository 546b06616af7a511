/* SPDX-License-Identifier: BSD-3-Clause */
/* sync.c - owns locks. Knows nothing of what is protected. */
#include "base/sync.h"

void lock_init(struct lock *l)
{
  pthread_mutex_init(&l->mutex, NULL); /* default attributes: cannot fail with glibc or musl */
}

void lock_destroy(struct lock *l)
{
  pthread_mutex_destroy(&l->mutex);
}

void lock_acquire(struct lock *l)
{
  pthread_mutex_lock(&l->mutex);
}

void lock_release(struct lock *l)
{
  pthread_mutex_unlock(&l->mutex);
}
