/* SPDX-License-Identifier: BSD-3-Clause */
/* fdtable.c - owns the set of descriptors the library holds: one byte for each descriptor number,
 * in chunks that double and are never freed. Knows nothing of what they are connected to. All is
 * lock-free, because the child of a fork reads it whatever the other threads were doing. */
#include "net/fdtable.h"
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/sync.h"

/* Chunk 0 has 0 … 1023, chunk k has the numbers whose highest bit is 9 + k. */
enum { FIRST_BITS = 10, FIRST = 1 << FIRST_BITS, CHUNKS = 32 - FIRST_BITS };

static atomic_uchar first[FIRST];
static _Atomic(atomic_uchar *) more[CHUNKS]; /* [0] stays NULL: it is `first` */
static atomic_int held;

static int chunk_of(unsigned fd)
{
  return fd < FIRST ? 0 : 32 - __builtin_clz(fd) - FIRST_BITS;
}

static unsigned chunk_start(int chunk)
{
  return chunk == 0 ? 0 : (unsigned)FIRST << (chunk - 1);
}

static unsigned chunk_size(int chunk)
{
  return chunk == 0 ? FIRST : chunk_start(chunk);
}

static atomic_uchar *chunk_slots(int chunk)
{
  return chunk == 0 ? first : atomic_load(&more[chunk]);
}

static atomic_uchar *chunk_make(int chunk)
{
  atomic_uchar *there = chunk_slots(chunk), *fresh;

  if (there)
    return there;
  fresh = mem_zalloc(chunk_size(chunk) * sizeof *fresh);
  if (!fresh)
    return NULL;
  if (atomic_compare_exchange_strong(&more[chunk], &there, fresh))
    return fresh;
  mem_free(fresh);
  return there;
}

/* In the child, inside fork(): close() and atomics only. */
static void close_inherited(void)
{
  for (int chunk = 0; chunk < CHUNKS; chunk++) {
    atomic_uchar *slots = chunk_slots(chunk);
    unsigned start = chunk_start(chunk), size = slots ? chunk_size(chunk) : 0;

    for (unsigned i = 0; i < size; i++)
      if (atomic_load_explicit(&slots[i], memory_order_relaxed)) {
        atomic_store_explicit(&slots[i], 0, memory_order_relaxed);
        close((int)(start + i));
      }
  }
  atomic_store(&held, 0);
}

int fdtable_add(int fd)
{
  atomic_uchar *slots;
  int chunk;

  if (fd < 0)
    return -1;
  fork_watch(close_inherited);
  chunk = chunk_of((unsigned)fd);
  slots = chunk_make(chunk);
  if (!slots)
    return -1;
  if (!atomic_exchange(&slots[(unsigned)fd - chunk_start(chunk)], 1))
    atomic_fetch_add(&held, 1);
  return 0;
}

/* Forgets first: the number may be somebody else's the moment it is closed. */
void fdtable_close(int fd)
{
  atomic_uchar *slots;
  int chunk;

  if (fd < 0)
    return;
  chunk = chunk_of((unsigned)fd);
  slots = chunk_slots(chunk);
  if (!slots || !atomic_exchange(&slots[(unsigned)fd - chunk_start(chunk)], 0))
    return;
  atomic_fetch_sub(&held, 1);
  close(fd);
}

int fdtable_count(void)
{
  return atomic_load(&held);
}
