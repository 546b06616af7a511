/* SPDX-License-Identifier: BSD-3-Clause */
/* count.c - the outcome of a call in the client's books: once for each, with how long it took. */
#include "api/call.h"
#include "base/clock.h"
#include "call/reply.h"

/* NULL: INVALID, which is counted here. */
static struct histogram *times_of(struct call_counters *n, struct histogram *times,
                                  const pmx_reply *reply)
{
  static const enum call_outcome outcome_of[] = {
      [PMX_OK] = CALL_REPLY,        [PMX_SERVER_ERROR] = CALL_SERVER_ERROR,
      [PMX_NOT_RUN] = CALL_NOT_RUN, [PMX_UNKNOWN] = CALL_UNKNOWN,
      [PMX_NOMEM] = CALL_NOT_RUN,
  };
  unsigned status = reply ? reply->status : PMX_INVALID;

  if (status != PMX_INVALID)
    return &times[outcome_of[status]];
  atomic_fetch_add_explicit(&n->invalid, 1, memory_order_relaxed);
  return NULL;
}

static int64_t time_taken(int64_t started, int64_t ended)
{
  return started ? (ended ? ended : clock_ns()) - started : 0;
}

void call_count(pmx_client *c, const pmx_reply *reply, int64_t started, int64_t ended)
{
  struct histogram *h = times_of(&c->counters, c->counters.times, reply);

  if (h)
    histogram_record(h, time_taken(started, ended));
}

void call_count_in_callback(pmx_client *c, const pmx_reply *reply, int64_t started, int64_t ended)
{
  struct histogram *h = times_of(&c->counters, c->counters.callback_times, reply);

  if (h)
    histogram_record_own(h, time_taken(started, ended));
}
