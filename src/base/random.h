/* SPDX-License-Identifier: BSD-3-Clause */
/* random.h - jitter. Not for secrets. One state per owner, under its owner's lock. */
#ifndef PMX_BASE_RANDOM_H
#define PMX_BASE_RANDOM_H
#include <stdint.h>

struct random {
  uint64_t state;
};

void random_seed(struct random *, uint64_t seed);
uint64_t random_seed_fresh(void);                      /* differs between processes and calls */
uint64_t random_below(struct random *, uint64_t bound); /* 0 … bound-1; 0 for bound 0 */

#endif
