/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.h - the program's functions around each call. */
#ifndef PMX_API_TRACE_H
#define PMX_API_TRACE_H
#include "api/call.h"

static inline int trace_wanted(const pmx_client *c)
{
  return c->config.trace.begin != NULL;
}

/* On the caller's thread, once it is known where the call goes: the program's span. */
void *trace_begin(const pmx_client *, const struct runtime *, const struct order *);
/* Its outcome is known. Thread: the caller's, or where callbacks run. Locks: none. */
void trace_end(const pmx_client *, const struct runtime *, const struct order *, void *span,
               const pmx_reply *);

#endif
