/* SPDX-License-Identifier: BSD-3-Clause */
/* choice.c - owns the one generator of a seed (splitmix64): all that is open is asked here. */
#include "sim/sim.h"

static uint64_t random_state, digest;
enum mutant mutant;

void choose_seed(uint64_t seed)
{
  random_state = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
  digest = 0;
}

uint64_t choose_digest(void)
{
  return digest;
}

static uint64_t next_random(void)
{
  uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

uint64_t choose(uint64_t bound)
{
  uint64_t chosen = bound ? next_random() % bound : 0;

  digest = (digest ^ bound ^ chosen) * UINT64_C(0x100000001b3) + 1;
  return chosen;
}

int chance(unsigned per_mille)
{
  return per_mille > 0 && next_random() % 1000 < per_mille;
}

int64_t between(int64_t low, int64_t high)
{
  return low + (int64_t)choose((uint64_t)(high - low) + 1);
}

int mutates(enum mutant which)
{
  return mutant == which && chance(30);
}
