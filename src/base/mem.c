/* SPDX-License-Identifier: BSD-3-Clause */
/* mem.c - owns every allocation of the library and the test hook that makes them fail. While the
 * hook is off, an allocation costs one relaxed load more than malloc. Knows nothing of who asks. */
#include "base/mem.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_int hook_on;
static atomic_int fail_sticky;
static _Atomic uint64_t fail_number;
static _Atomic uint64_t asked; /* while the hook is on */

static int refused(void)
{
  uint64_t n, bad;

  if (!atomic_load_explicit(&hook_on, memory_order_relaxed))
    return 0;
  n = atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed) + 1;
  bad = atomic_load_explicit(&fail_number, memory_order_relaxed);
  if (n == bad)
    return 1;
  return n > bad && atomic_load_explicit(&fail_sticky, memory_order_relaxed);
}

void *mem_alloc(size_t size)
{
  return refused() ? NULL : malloc(size ? size : 1);
}

void *mem_zalloc(size_t size)
{
  return refused() ? NULL : calloc(1, size ? size : 1);
}

void *mem_realloc(void *old, size_t size)
{
  return refused() ? NULL : realloc(old, size ? size : 1);
}

char *mem_strdup(const char *text)
{
  return text ? mem_strndup(text, strlen(text)) : NULL;
}

char *mem_strndup(const char *text, size_t len)
{
  char *copy = len == SIZE_MAX ? NULL : mem_alloc(len + 1);

  if (!copy)
    return NULL;
  if (len)
    memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

void mem_zero(void *ptr, size_t size)
{
  memset(ptr, 0, size);
}

void mem_free(void *ptr)
{
  free(ptr);
}

void mem_wipe(void *ptr, size_t size)
{
  if (ptr && size)
    explicit_bzero(ptr, size);
}

void mem_fail_at(uint64_t n, int sticky)
{
  atomic_store(&hook_on, 0);
  if (n == 0) /* the count stays readable */
    return;
  atomic_store(&asked, 0);
  atomic_store(&fail_sticky, sticky);
  atomic_store(&fail_number, n);
  atomic_store(&hook_on, 1);
}

uint64_t mem_count(void)
{
  return atomic_load(&asked);
}
