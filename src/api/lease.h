/* SPDX-License-Identifier: BSD-3-Clause */
/* lease.h - where leases live, for runtime.c; and leases that the library itself takes. */
#ifndef PMX_API_LEASE_H
#define PMX_API_LEASE_H
#include <poolmux/poolmux.h>

struct call;
struct lease_slab;
struct order;
struct runtime;

void lease_slab_init(struct lease_slab *);
void lease_slab_destroy(struct lease_slab *);
/* NULL and a lease, or why there is none. For pmx_release. */
pmx_reply *lease_take(pmx_client *, struct runtime *, const struct call *, int64_t now,
                      pmx_lease **ret);
/* Has the order go to the leased connection. NULL, or why the lease is none any more. */
pmx_reply *lease_pin(const pmx_lease *, struct order *);

#endif
