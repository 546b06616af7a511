/* SPDX-License-Identifier: BSD-3-Clause */
/* mem.h - the only way this library allocates, so that tests can make the n-th allocation fail. */
#ifndef PMX_BASE_MEM_H
#define PMX_BASE_MEM_H
#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t size);  /* NULL when out of memory; size 0 counts as 1 */
void *mem_zalloc(size_t size); /* the same, zeroed */
void *mem_realloc(void *, size_t size);
char *mem_strdup(const char *);                /* NULL stays NULL */
char *mem_strndup(const char *, size_t len);   /* copies exactly len bytes and adds a NUL */
void mem_free(void *);
/* Sooner done than what compilers make of memset for a struct of some hundred bytes. */
void mem_zero(void *, size_t size);
void mem_wipe(void *, size_t size); /* zeroes, not optimised away */

/* Tests only. Allocation number n (from 1, counted from this call) fails; sticky: all later ones as
 * well. n 0 = off. mem_count() is how many were asked for since. */
void mem_fail_at(uint64_t n, int sticky);
uint64_t mem_count(void);

#endif
