/* SPDX-License-Identifier: BSD-3-Clause */
/* probe.h - static probes for bpftrace and its like: provider poolmux. Where one stands there is one
 * instruction that does nothing, and a note in the file that says where its arguments are; those are
 * at hand anyhow, nothing is computed for them. Without ./configure --enable-probes there is nothing
 * at all. No argument is a secret. They are described in poolmux-trace(7). */
#ifndef PMX_BASE_PROBE_H
#define PMX_BASE_PROBE_H

#ifdef PMX_PROBES
#include <sys/sdt.h>
#define PROBE2(name, a, b) DTRACE_PROBE2(poolmux, name, a, b)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(poolmux, name, a, b, c)
#else
#define PROBE2(name, a, b) ((void)0)
#define PROBE3(name, a, b, c) ((void)0)
#endif

#endif
