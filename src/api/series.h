/* SPDX-License-Identifier: BSD-3-Clause */
/* series.h - several commands, one after the other, that are one call to their issuer: one deadline
 * and one token for all, one outcome that is counted. */
#ifndef PMX_API_SERIES_H
#define PMX_API_SERIES_H
#include "api/call.h"
#include "api/retry.h"

struct series {
  pmx_client *client;
  struct runtime *rt;
  struct call call;         /* `started` is when its current command began */
  struct attempts attempts; /* of its commands since the issuer zeroed it */
  int64_t began;            /* the whole; 0: it did not */
  int held, sent;
};

/* NULL, or why it need not begin, which is bad_args if there are any. series_end() ends it in any
 * case. The client is the caller's and may be NULL. */
pmx_reply *series_begin(struct series *, pmx_client *, const pmx_call *, pmx_reply *bad_args);
/* The next command, if there is still time for it; its outcome. What an earlier one left in
 * `attempts` counts: a series of which a part may have run does not end NOT_RUN. */
pmx_reply *series_send(struct series *, const struct args *);
void series_end(struct series *, const pmx_reply *outcome);

#endif
