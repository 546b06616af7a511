/* SPDX-License-Identifier: BSD-3-Clause */
/* atomics.h - included before everything else in the library's sources, for the simulator only:
 * makes each atomic load and store a scheduling point. Interleavings only: no weak memory. And how
 * near a server has to be for requests to be left to whoever reads: drawn by the seed, 0 or far. */
#ifndef PMX_SIM_ATOMICS_H
#define PMX_SIM_ATOMICS_H
#include <stdatomic.h>

void sim_atomic_point(void);
extern long long sim_near_ns;
#define LANE_NEAR_NS sim_near_ns

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#define atomic_load(p) (sim_atomic_point(), *(p))
#define atomic_load_explicit(p, order) (sim_atomic_point(), *(p))
#define atomic_store(p, value) ((void)(sim_atomic_point(), *(p) = (value)))
#define atomic_store_explicit(p, value, order) ((void)(sim_atomic_point(), *(p) = (value)))

#endif
