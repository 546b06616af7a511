/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.h - the program's functions around each call, and what they are told of its time. */
#ifndef PMX_API_TRACE_H
#define PMX_API_TRACE_H
#include "api/call.h"

static inline int trace_wanted(const pmx_client *c)
{
  return c->config.trace.begin != NULL;
}

/* On the caller's thread, once it is known where the call goes: the program's span. From here on
 * the call notes its times in `timing`, which need not have been cleared. */
void *trace_begin(const pmx_client *, const struct runtime *, const struct order *, struct call *,
                  const struct attempts *, struct timing *);
/* Its outcome is known. Thread: the caller's, or where callbacks run. Locks: none. */
void trace_end(const pmx_client *, const struct runtime *, const struct order *,
               const struct call *, void *span, const pmx_reply *);

#endif
