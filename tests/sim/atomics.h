/* SPDX-License-Identifier: BSD-3-Clause */
/* atomics.h - included before everything else in the library's sources, for the simulator only:
 * makes each atomic load and store a scheduling point. Interleavings only: no weak memory. And how
 * many callers are a crowd: drawn by the seed. */
#ifndef PMX_SIM_ATOMICS_H
#define PMX_SIM_ATOMICS_H
#include <stdatomic.h>

void sim_atomic_point(void);
extern unsigned sim_crowd;
#define YIELD_CROWD sim_crowd

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#define atomic_load(p) (sim_atomic_point(), *(p))
#define atomic_load_explicit(p, order) (sim_atomic_point(), *(p))
#define atomic_store(p, value) ((void)(sim_atomic_point(), *(p) = (value)))
#define atomic_store_explicit(p, value, order) ((void)(sim_atomic_point(), *(p) = (value)))

#endif
