/* SPDX-License-Identifier: BSD-3-Clause */
/* fdtable.h - every descriptor this library holds, in a lock-free table, so that the child of a
 * fork() closes them without a byte on any of them and without taking a lock. */
#ifndef PMX_NET_FDTABLE_H
#define PMX_NET_FDTABLE_H

int fdtable_add(int fd);     /* 0, or -1: table full (fd is still the caller's) */
void fdtable_close(int fd);  /* forgets it, then closes it; after a fork in the child: nothing */
int fdtable_count(void);     /* how many are held: for tests */

#endif
