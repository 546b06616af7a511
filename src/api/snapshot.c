/* SPDX-License-Identifier: BSD-3-Clause */
/* snapshot.c - see snapshot.h. */
#include "api/snapshot.h"
#include "base/sync.h"

static uint64_t get(const _Atomic uint64_t *counter)
{
  return atomic_load_explicit(counter, memory_order_relaxed);
}

struct runtime *snapshot_runtime(const pmx_client *c)
{
  struct runtime *rt = c ? atomic_load(&((pmx_client *)(uintptr_t)c)->runtime) : NULL;

  return rt && rt->fork_generation == fork_generation() ? rt : NULL;
}

/* All members behind `size` are numbers of the same type. They add up, but for the ages. */
void snapshot_add(pmx_stats *sum, const pmx_stats *part)
{
  uint64_t *to = &sum->commands, wait = sum->oldest_wait_ns, flight = sum->oldest_in_flight_ns;
  const uint64_t *from = &part->commands;

  for (size_t i = 0; i < (sizeof *sum - offsetof(pmx_stats, commands)) / sizeof *to; i++)
    to[i] += from[i];
  sum->oldest_wait_ns = wait > part->oldest_wait_ns ? wait : part->oldest_wait_ns;
  sum->oldest_in_flight_ns =
      flight > part->oldest_in_flight_ns ? flight : part->oldest_in_flight_ns;
}

static uint64_t count_of(const struct call_counters *n, enum call_outcome outcome)
{
  return histogram_count(&n->times[outcome]) + histogram_count(&n->callback_times[outcome]);
}

void snapshot_count_calls(pmx_stats *ret, const uint64_t ended[CALL_OUTCOMES])
{
  ret->replies = ended[CALL_REPLY];
  ret->server_errors = ended[CALL_SERVER_ERROR];
  ret->not_run = ended[CALL_NOT_RUN];
  ret->unknown = ended[CALL_UNKNOWN];
  ret->commands = ret->replies + ret->server_errors + ret->not_run + ret->unknown + ret->invalid;
}

void snapshot_calls(const pmx_client *c, pmx_stats *ret)
{
  const struct call_counters *n = &c->counters;

  const uint64_t ended[CALL_OUTCOMES] = {[CALL_REPLY] = count_of(n, CALL_REPLY),
                                         [CALL_SERVER_ERROR] = count_of(n, CALL_SERVER_ERROR),
                                         [CALL_NOT_RUN] = count_of(n, CALL_NOT_RUN),
                                         [CALL_UNKNOWN] = count_of(n, CALL_UNKNOWN)};

  ret->invalid = get(&n->invalid);
  snapshot_count_calls(ret, ended);
  ret->orphans = get(&n->orphans);
  ret->retries_lost = get(&n->retries[RETRY_LOST]);
  ret->retries_connect = get(&n->retries[RETRY_CONNECT]);
  ret->retries_refused = get(&n->retries[RETRY_REFUSED]);
  ret->retries_conflict = get(&n->retries[RETRY_CONFLICT]);
  ret->retries =
      ret->retries_lost + ret->retries_connect + ret->retries_refused + ret->retries_conflict;
  ret->routed_asked = get(&n->routed[REASON_WISH]);
  ret->routed_blocking = get(&n->routed[REASON_BLOCKS]);
  ret->routed_parking = get(&n->routed[REASON_PARKS]);
  ret->routed_large = get(&n->routed[REASON_LARGE]);
  ret->routed_batch = get(&n->routed[REASON_BATCH]);
  ret->routed_control = get(&n->routed[REASON_CONTROL]);
  ret->routed_unknown = get(&n->routed[REASON_UNKNOWN]);
  ret->routed_learned = get(&n->routed[REASON_LEARNED]);
}

void snapshot_node(struct runtime *rt, pmx_stats *ret)
{
  ret->bad_returns += get(&rt->bad_returns);
  ret->pushes += get(&rt->node.env.pushes);
  subscriber_stats(rt->node.subscriber, ret);
}

void snapshot_control(pmx_stats *ret, const pmx_stats *control)
{
  ret->control_opened = control->opened;
  ret->control_closed = control->closed;
  ret->control_live = control->live;
  ret->control_dial_failures = control->dial_failures;
}

void snapshot_call_times(const pmx_client *c, enum call_outcome outcome, pmx_histogram *ret)
{
  histogram_add_to(&c->counters.times[outcome], ret);
  histogram_add_to(&c->counters.callback_times[outcome], ret);
}
