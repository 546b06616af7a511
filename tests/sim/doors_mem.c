/* SPDX-License-Identifier: BSD-3-Clause */
/* doors_mem.c - the library's own base/mem.c over a malloc that is counted: at the end of a seed
 * all must be back. What is freed is spoiled, so that nobody who still looks at it gets far. */
#include "base/mem.h"
#include "sim/doors.h"
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static long living;

long doors_allocations(void)
{
  return living;
}

static void *counted(void *fresh)
{
  living += fresh != NULL;
  return fresh;
}

static void *counted_realloc(void *old, size_t size)
{
  void *fresh = realloc(old, size);

  living += !old && fresh;
  return fresh;
}

/* The compiler knows that nobody may read it, and would leave it out. */
static void *(*volatile spoil)(void *, int, size_t) = memset;

static void counted_free(void *old)
{
  living -= old != NULL;
  if (old)
    spoil(old, 0xdb, malloc_usable_size(old));
  free(old);
}

#define malloc(size) counted(malloc(size))
#define calloc(n, size) counted(calloc(n, size))
#define realloc counted_realloc
#define free counted_free
#include "base/mem.c"
