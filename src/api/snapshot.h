/* SPDX-License-Identifier: BSD-3-Clause */
/* snapshot.h - what a client's pools and lanes say of themselves, put together. Each of them is
 * read under its lock, one after the other: its own numbers balance, and so do sums of such; what
 * they say together is not of one moment. */
#ifndef PMX_API_SNAPSHOT_H
#define PMX_API_SNAPSHOT_H
#include "api/client.h"

enum { ACCOUNT_TIMES = PMX_HISTOGRAM_CALL }; /* the kinds that pools and lanes measure */

/* This process' own; or NULL: none, or one of before fork(), which is not looked at. */
struct runtime *snapshot_runtime(const pmx_client *);
void snapshot_add(pmx_stats *sum, const pmx_stats *part);
/* What is no pool's and no lane's. */
void snapshot_calls(const pmx_client *, pmx_stats *ret);
/* So many have ended: the outcomes, and their sum, of which ret->invalid is a part already. */
void snapshot_count_calls(pmx_stats *ret, const uint64_t ended[CALL_OUTCOMES]);
void snapshot_node(struct runtime *, pmx_stats *ret);
void snapshot_control(pmx_stats *ret, const pmx_stats *control);
void snapshot_call_times(const pmx_client *, enum call_outcome, pmx_histogram *ret); /* adds */

#endif
