/* SPDX-License-Identifier: BSD-3-Clause */
/* lease.h - where leases live, for runtime.c. */
#ifndef PMX_API_LEASE_H
#define PMX_API_LEASE_H

struct lease_slab;

void lease_slab_init(struct lease_slab *);
void lease_slab_destroy(struct lease_slab *);

#endif
