/* SPDX-License-Identifier: BSD-3-Clause */
/* retry.c - the one place that decides to send anything twice. Knows nothing of how it is done.
 *
 * The retry rule (promise P3). Proven not to have run: NOT_RUN by LOST or CONNECT, and a server
 * that refuses for now (LOADING, TRYAGAIN, MASTERDOWN, CLUSTERDOWN; but never when a script or an
 * EXEC said so, which may have done a part): again, as long as there is time. May have run: only
 * when the command changes nothing or the caller allows it, and retry.max times at most. A
 * transaction that met another: as often as its caller says. Anything else, and everything on a
 * lease: never. */
#include "api/retry.h"
#include "base/clock.h"
#include "base/random.h"
#include "call/reply.h"

enum { DELAY_FIRST_MS = 5, DELAY_MAX_MS = 250, CONFLICT_FIRST_MS = 1, CONFLICT_MAX_MS = 64 };

int retry_is_refusal(const struct order *order, const pmx_reply *reply)
{
  static const char *const codes[] = {"LOADING", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN"};

  if (pmx_reply_type(reply) != PMX_TYPE_ERROR || (order->route.flags & ROUTE_SCRIPT))
    return 0;
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    if (reply_is_code(reply, codes[i]))
      return 1;
  }
  return 0;
}

static int may_run_twice(const pmx_client *c, const struct order *order, const struct call *call)
{
  if (call->flags & PMX_CALL_RETRY_SAFE)
    return 1;
  return (order->route.flags & ROUTE_READONLY) &&
         atomic_load_explicit(&c->retry_reads, memory_order_relaxed);
}

static int wants_retry(const pmx_client *c, const struct order *order, const struct call *call,
                       const pmx_reply *reply, const struct attempts *attempts)
{
  int64_t max = atomic_load_explicit(&c->retry_max, memory_order_relaxed);
  pmx_cause cause = pmx_reply_cause(reply);

  if (order->link || order->given_away || (call->flags & PMX_CALL_NO_RETRY))
    return 0;
  if (cause == PMX_CAUSE_CONFLICT)
    return attempts->conflicts + 1 < order->max_tries;
  if (max == 0)
    return 0;
  switch (pmx_reply_status(reply)) {
  case PMX_NOT_RUN:
    return cause == PMX_CAUSE_LOST ||
           (cause == PMX_CAUSE_CONNECT && c->config.offline == OFFLINE_WAIT);
  case PMX_UNKNOWN:
    return cause == PMX_CAUSE_LOST && may_run_twice(c, order, call) &&
           (int64_t)attempts->resent < max;
  case PMX_SERVER_ERROR:
    return retry_is_refusal(order, reply);
  case PMX_OK:
  case PMX_INVALID:
  case PMX_NOMEM:
    break;
  }
  return 0;
}

/* The first try again after a lost connection comes at once, a refusing server is given time. */
static int64_t delay(const pmx_reply *reply, unsigned tries, int64_t now)
{
  int64_t ms = DELAY_FIRST_MS;

  if (tries == 0 && pmx_reply_status(reply) != PMX_SERVER_ERROR)
    return 0;
  for (unsigned i = 0; i < tries && ms < DELAY_MAX_MS; i++)
    ms *= 2;
  ms = (ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS) * NS_PER_MS;
  return ms / 2 + now % (ms / 2); /* the clock's low digits are jitter enough here */
}

/* Those who met spread out: full jitter over a time that doubles. */
static int64_t conflict_delay(int conflicts)
{
  struct random random;
  int64_t most = CONFLICT_MAX_MS * NS_PER_MS;

  if (conflicts < 8 && CONFLICT_FIRST_MS << conflicts < CONFLICT_MAX_MS)
    most = (CONFLICT_FIRST_MS << conflicts) * NS_PER_MS;
  random_seed(&random, random_seed_fresh());
  return (int64_t)random_below(&random, (uint64_t)most);
}

int64_t retry_at(const pmx_client *c, const struct order *order, const struct call *call,
                 const pmx_reply *reply, struct attempts *attempts, int64_t now)
{
  int64_t at;

  if (!wants_retry(c, order, call, reply, attempts))
    return RETRY_NOT;
  if (pmx_reply_cause(reply) == PMX_CAUSE_CONFLICT)
    at = time_after(now, conflict_delay(attempts->conflicts));
  else
    at = time_after(now, delay(reply, attempts->tries, now));
  return at < call->deadline ? at : RETRY_NOT;
}

void retry_begins(pmx_client *c, struct attempts *attempts, pmx_reply *reply)
{
  int may_have_run = pmx_reply_status(reply) == PMX_UNKNOWN;

  pmx_cause cause = pmx_reply_cause(reply);
  enum retry_reason reason = RETRY_REFUSED;

  if (cause == PMX_CAUSE_CONFLICT)
    reason = RETRY_CONFLICT;
  else if (pmx_reply_status(reply) != PMX_SERVER_ERROR)
    reason = cause == PMX_CAUSE_CONNECT ? RETRY_CONNECT : RETRY_LOST;
  attempts->tries++;
  attempts->conflicts += reason == RETRY_CONFLICT;
  attempts->resent += (unsigned)may_have_run;
  attempts->may_have_run |= may_have_run;
  atomic_fetch_add_explicit(&c->counters.retries[reason], 1, memory_order_relaxed);
  pmx_reply_free(reply);
}

/* The last try did not run; an earlier one may have: the call as a whole may have. */
static pmx_reply *unknown_after_all(pmx_reply *reply)
{
  pmx_reply *unknown =
      reply_failure_text(PMX_UNKNOWN, pmx_reply_cause(reply), pmx_reply_error(reply));

  pmx_reply_free(reply);
  return unknown;
}

pmx_reply *retry_sum_up(const struct order *order, const struct attempts *attempts,
                        pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);

  if (!reply || status == PMX_OK) /* none: it is not one reply, and all is well */
    return reply;
  if (attempts->may_have_run &&
      (status == PMX_NOT_RUN || status == PMX_NOMEM || status == PMX_INVALID))
    return unknown_after_all(reply);
  if (!attempts->may_have_run && retry_is_refusal(order, reply))
    reply_set_safe(reply, 1);
  return reply;
}
