/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_acts.h - what the files of the soak test's acts share. */
#ifndef BEHAVIOUR_SOAKING_ACTS_H
#define BEHAVIOUR_SOAKING_ACTS_H
#include "behaviour/soaking.h"

/* Ends a mark; limit_ms: how long it may have taken by itself. */
void in_time(struct caller *, const char *what, int64_t limit_ms);

/* One act each, on a client to which the caller has a reference. The order is room for one. */
typedef void act(struct caller *, struct opened *, struct order *);
act act_call, act_async, act_submit, act_future, act_any, act_dispatch, act_lease, act_batch;
act act_transaction, act_script, act_scan, act_sub, act_orphan;

#endif
