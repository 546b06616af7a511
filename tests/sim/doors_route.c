/* SPDX-License-Identifier: BSD-3-Clause */
/* doors_route.c - stands before the library's router, by the linker's --wrap, for mutants: what
 * becomes of a client whose router is wrong. */
#include "route/router.h"
#include "sim/sim.h"

void __real_router_place(struct route *, size_t size, const struct config *);
void __wrap_router_place(struct route *, size_t size, const struct config *);

void __wrap_router_place(struct route *route, size_t size, const struct config *config)
{
  __real_router_place(route, size, config);
  if (route->reason == REASON_BLOCKS && mutates(MUTANT_ON_LANE))
    route->place = PLACE_LANE;
  if (route->reason == REASON_ORDINARY && mutates(MUTANT_IN_POOL))
    route->place = PLACE_POOL;
}
