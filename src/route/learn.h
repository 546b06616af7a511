/* SPDX-License-Identifier: BSD-3-Clause */
/* learn.h - which commands have been answered with much lately: a small fixed table, by command and
 * first argument (so by key, by script, by function). Only sizes are looked at, never times: what
 * is slow at the server delays every connection alike. */
#ifndef PMX_ROUTE_LEARN_H
#define PMX_ROUTE_LEARN_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "call/route.h"

enum { LEARN_SETS = 256, LEARN_WAYS = 4 };

struct learn_entry {
  _Atomic uint32_t key;     /* 0: free */
  _Atomic uint32_t history; /* see learn.c */
};

/* Zeroed is empty. No lock: a note that is lost to another thread is one reply not seen. */
struct learn {
  struct learn_entry entries[LEARN_SETS][LEARN_WAYS];
};

/* Never 0. */
uint32_t learn_key(const struct route *, const char *first_argument, size_t len);
int learn_is_large(const struct learn *, uint32_t key);   /* 1: much is to be expected */
void learn_note(struct learn *, uint32_t key, int large); /* what it was answered with */

#endif
