/* SPDX-License-Identifier: BSD-3-Clause */
/* order.h - very many callers on a few connections: in which order they are served, and how evenly
 * they wait. Prints its report. */
#ifndef BENCH_ORDER_H
#define BENCH_ORDER_H

/* calls: of all callers together. 0 = measured, -1 = not, with a message. */
int order_report(const char *url, int callers, int connections, long calls);

#endif
