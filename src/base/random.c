/* SPDX-License-Identifier: BSD-3-Clause */
/* random.c - owns a small fast generator (splitmix64) for jitter. Must never be used for secrets.
 */
#include "base/random.h"
#include "base/clock.h"
#include <stdatomic.h>
#include <sys/random.h>
#include <unistd.h>

static uint64_t mixed(uint64_t z)
{
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

void random_seed(struct random *r, uint64_t seed)
{
  r->state = seed;
}

uint64_t random_seed_fresh(void)
{
  static _Atomic uint64_t calls;
  uint64_t seed = 0;

  /* Early in the boot, or with the call forbidden, time, process and counter have to do. */
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
    seed = mixed((uint64_t)clock_ns()) ^ mixed((uint64_t)getpid() << 32);
  return seed ^ mixed(atomic_fetch_add(&calls, 1) + 1);
}

static uint64_t next(struct random *r)
{
  r->state += UINT64_C(0x9e3779b97f4a7c15);
  return mixed(r->state);
}

uint64_t random_below(struct random *r, uint64_t bound)
{
  uint64_t uneven, n;

  if (bound == 0)
    return 0;
  uneven = (0 - bound) % bound; /* as many low values would come up once too often */
  do
    n = next(r);
  while (n < uneven);
  return n % bound;
}
