/* SPDX-License-Identifier: BSD-3-Clause */
/* doors.h - what scenario.c asks of the doors themselves. */
#ifndef PMX_SIM_DOORS_H
#define PMX_SIM_DOORS_H

void doors_reset(void);      /* between seeds */
struct stream;
struct transport;

int doors_descriptors(void); /* held by the library */
long doors_allocations(void);
struct stream *doors_stream(const struct transport *);
int doors_readable(int fd); /* a poller's: an application's poll() would say so */

#endif
