/* SPDX-License-Identifier: BSD-3-Clause */
/* judge.c - what must be true of each outcome as soon as it is there: the right value (P1), one end
 * in time (P4), a cause that fits; and of the statistics at any time. */
#include "sim/attempt.h"
#include "harness/balance.h"
#include "sim/value.h"
#include <string.h>

/* ---- time ---- */

static int is_late(const struct attempt *a, int64_t end)
{
  return sim_now() > end + attempt_grace(a) + SIM_MS + sim_frozen() - a->frozen;
}

static int64_t later(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

/* A callback may have to wait for one that calls itself. */
void attempt_check_time(const struct attempt *a)
{
  int64_t now = sim_now(), begin = later(a->started, a->asked), end = later(a->deadline, begin);

  if (a->unattended && !a->asked && world_of_seed.callback_calls)
    return;
  if (end < SIM_FOREVER && is_late(a, end))
    fail("P4: call %u ended %.3f ms after its deadline", a->call, (double)(now - end) / 1e6);
  if (!a->token || a->token->fired_at == SIM_FOREVER)
    return;
  end = later(a->token->fired_at, begin);
  if (is_late(a, end))
    fail("P4: call %u ended %.3f ms after it was cancelled", a->call, (double)(now - end) / 1e6);
}

/* ---- cause ---- */

static void must(int condition, const struct attempt *a, const pmx_reply *reply, const char *why)
{
  if (!condition)
    fail("call %u: %s %.3f ms after it began, %s: %s", a->call,
         pmx_cause_str(pmx_reply_cause(reply)), (double)(sim_now() - a->started) / 1e6, why,
         pmx_reply_error(reply));
}

/* What the network and the server can cause. */
static void check_broken(const struct attempt *a, const pmx_reply *reply)
{
  const struct world *w = &world_of_seed;

  if (a->lane == LANE_NONE || w->memory || w->closed)
    return;
  must(!w->gentle, a, reply, "and nothing broke");
  /* A lane keeps what it has not sent for its next connection. */
  must(pmx_reply_status(reply) != PMX_NOT_RUN || pmx_reply_cause(reply) != PMX_CAUSE_LOST, a, reply,
       "instead of waiting");
}

/* What we or the system are short of. */
static void check_full(const struct attempt *a, const pmx_reply *reply)
{
  const struct world *w = &world_of_seed;
  pmx_cause cause = pmx_reply_cause(reply);

  if (cause == PMX_CAUSE_POOL_EXHAUSTED)
    must(a->lane == LANE_NONE && sim_now() >= a->started + w->wait_timeout, a, reply, "too early");
  else if (cause == PMX_CAUSE_NOMEM)
    must(w->memory || w->shortage, a, reply, "without shortage");
  else if (cause == PMX_CAUSE_QUEUE_FULL)
    must(a->lane == LANE_NONE ? w->few_waiters : w->may_be_full || (w->narrow && a->unattended), a,
         reply, "and there was room");
  else
    must(w->offline_fail, a, reply, "with offline=wait");
}

void attempt_check_cause(const struct attempt *a, const pmx_reply *reply)
{
  const struct world *w = &world_of_seed;

  switch (pmx_reply_cause(reply)) {
  case PMX_CAUSE_NONE:
    break;
  case PMX_CAUSE_TIMEOUT:
    must(sim_now() >= a->deadline, a, reply, "its deadline is later");
    break;
  case PMX_CAUSE_CANCELED:
    must((a->token && a->token->fired_at != SIM_FOREVER) || w->memory, a, reply, "nobody did");
    break;
  case PMX_CAUSE_CLOSED:
    must(w->closed, a, reply, "nobody closed");
    break;
  case PMX_CAUSE_POOL_EXHAUSTED:
  case PMX_CAUSE_NOMEM:
  case PMX_CAUSE_QUEUE_FULL:
  case PMX_CAUSE_CIRCUIT_OPEN:
    check_full(a, reply);
    break;
  case PMX_CAUSE_PROTOCOL:
    must(faults.protest > 0, a, reply, "and the server kept to it");
    break;
  case PMX_CAUSE_CONNECT:
  case PMX_CAUSE_DNS:
  case PMX_CAUSE_AUTH:
  case PMX_CAUSE_LOST:
    check_broken(a, reply);
    break;
  case PMX_CAUSE_TLS:
    must(faults.spoil > 0, a, reply, "and nothing was changed");
    check_broken(a, reply);
    break;
  case PMX_CAUSE_UNSUPPORTED:
  case PMX_CAUSE_FORKED:
  case PMX_CAUSE_TOO_LARGE:
  case PMX_CAUSE_CONFLICT:
  case PMX_CAUSE_ABORTED:
    must(0, a, reply, "which cannot be");
    break;
  }
}

/* ---- value ---- */

static int says(const pmx_reply *reply, const char *text)
{
  size_t len = 0;
  const char *str = pmx_reply_str(reply, &len);

  return str && len == strlen(text) && memcmp(str, text, len) == 0;
}

static int is_value(const struct attempt *a, const pmx_reply *reply)
{
  size_t len = 0;
  const char *str = pmx_reply_str(reply, &len);

  return str && value_fits(a->key, str, len);
}

static int is_element(const pmx_reply *reply)
{
  size_t len = 0;
  const char *str = pmx_reply_str(reply, &len);

  return str && len > 2 && value_fits(str + 2, str, len);
}

/* P1. */
static int is_right(const struct attempt *a, const pmx_reply *reply)
{
  int ok = 0;

  switch (a->kind) {
  case GET:
    return is_value(a, reply);
  case SET:
    return says(reply, "OK");
  case INCR:
    return pmx_reply_int(reply, &ok) >= 1 && ok &&
           (a->options.flags & PMX_CALL_RETRY_SAFE || pmx_reply_int(reply, NULL) == 1);
  case ECHO_KEY:
    return says(reply, a->key);
  case LPUSH:
    return pmx_reply_int(reply, &ok) >= 1 && ok;
  case BLPOP:
    return pmx_reply_type(reply) == PMX_TYPE_NIL ||
           (says(pmx_reply_at(reply, 0), a->key) && is_element(pmx_reply_at(reply, 1)));
  case KINDS:
    break;
  }
  return 0;
}

static void check_error(const struct attempt *a, const pmx_reply *reply)
{
  const char *code = pmx_reply_error_code(reply);

  if (faults.protest && strstr(pmx_reply_error(reply), "Protocol error") &&
      !oracle_is_half_sent(a->call))
    return;
  if (strcmp(code, "LOADING") != 0 && strcmp(code, "NOAUTH") != 0 && strcmp(code, "READONLY") != 0)
    fail("call %u (%s): an error the server never gave: %s", a->call, a->key,
         pmx_reply_error(reply));
}

/* ---- all of it ---- */

int attempt_may_repeat(const struct attempt *a)
{
  return a->kind == GET || a->kind == ECHO_KEY || (a->options.flags & PMX_CALL_RETRY_SAFE) != 0;
}

static unsigned element_of(const pmx_reply *reply)
{
  const char *text = pmx_reply_str(pmx_reply_at(reply, 1), NULL);

  return text ? oracle_call_of(text + 2) : 0;
}

void caller_check_orphan(const pmx_reply *reply)
{
  const char *key = pmx_reply_str(pmx_reply_at(reply, 0), NULL);

  if (!key || !is_element(pmx_reply_at(reply, 1)))
    fail("P1: something is reported that was no element");
  trace("is told what nobody takes: %s", key);
  oracle_orphaned(oracle_call_of(key), element_of(reply));
}

static void judge(const struct attempt *a, const pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);
  struct verdict v = {.call = a->call};

  v.may_repeat = attempt_may_repeat(a);
  v.acknowledged = status == PMX_OK;
  v.unsent = status == PMX_NOT_RUN || status == PMX_NOMEM;
  if (status == PMX_UNKNOWN)
    v.unknown = pmx_reply_cause(reply) == PMX_CAUSE_LOST ? LOST : GIVEN_UP;
  v.excluded = v.unsent || pmx_reply_safe_to_retry(reply);
  oracle_judge(&v);
  if (status == PMX_OK && a->kind == BLPOP)
    oracle_took(a->call, element_of(reply), v.may_repeat);
}

/* What waits for an element can be given up without losing one, as long as nothing breaks; not what
 * the kernel has taken in part only, for it does not wait yet. */
static void check_given_up(const struct attempt *a, const pmx_reply *reply)
{
  const struct world *w = &world_of_seed;
  int whole = oracle_sent_on(a->call) && !oracle_is_half_sent(a->call);

  if (a->kind == BLPOP && whole && w->grace >= 100 * SIM_MS && sim_frozen() == a->frozen)
    must(!w->gentle || w->closed || w->memory || w->reclaims, a, reply, "and nothing broke");
}

void attempt_check(const struct attempt *a, const pmx_reply *reply, int in_multi)
{
  pmx_status status = pmx_reply_status(reply);

  trace("%s ends: %s %s %s", a->key, pmx_status_str(status), pmx_cause_str(pmx_reply_cause(reply)),
        pmx_reply_error(reply));
  attempt_check_time(a);
  attempt_check_cause(a, reply);
  if (status == PMX_OK && !(in_multi ? says(reply, "QUEUED") : is_right(a, reply)))
    fail("P1: call %u (%s, kind %d) got somebody else's reply: type %d \"%.60s\"", a->call, a->key,
         (int)a->kind, (int)pmx_reply_type(reply), pmx_reply_str(reply, NULL));
  if (status == PMX_SERVER_ERROR)
    check_error(a, reply);
  if (status == PMX_UNKNOWN)
    check_given_up(a, reply);
  if (status == PMX_NOMEM && !world_of_seed.memory)
    fail("call %u: NOMEM without shortage", a->call);
  if (status == PMX_INVALID)
    fail("call %u: INVALID: %s", a->call, pmx_reply_error(reply));
  if (!in_multi)
    judge(a, reply);
}

/* ---- books ---- */

/* The pool's calls may wait for a connection too. */
static int is_overfull(const pmx_stats *s)
{
  const struct rest_limits *l = &rest_limits;
  const struct world *w = &world_of_seed;

  return w->always_full && !w->pool &&
         s->in_flight + s->waiting > (uint64_t)l->lanes * l->in_flight + l->lanes;
}

static void check_mux_stats(const pmx_stats *s, int at_rest)
{
  const struct rest_limits *l = &rest_limits;
  uint64_t pings = world_of_seed.keepalive ? l->lanes : 0;
  uint64_t live = world_of_seed.pool ? s->lanes_live : s->live + s->connecting;

  if (live > l->lanes)
    fail("I1: %llu lanes of %u", (unsigned long long)live, l->lanes);
  if (s->in_flight > (uint64_t)l->lanes * l->in_flight)
    fail("P5: %llu in flight, of %u at most", (unsigned long long)s->in_flight,
         l->lanes * l->in_flight);
  if (s->abandoned > s->in_flight)
    fail("%llu abandoned of %llu in flight", (unsigned long long)s->abandoned,
         (unsigned long long)s->in_flight);
  if (is_overfull(s))
    fail("P5: %llu in flight and %llu waiting, of %u at most", (unsigned long long)s->in_flight,
         (unsigned long long)s->waiting, l->lanes * l->in_flight);
  at_rest &= !oracle_has_forgotten();
  if (at_rest && s->in_flight > s->abandoned + pings)
    fail("at rest %llu are in flight, and nobody waits for them",
         (unsigned long long)(s->in_flight - s->abandoned));
  if (at_rest && s->waiting > pings)
    fail("at rest %llu wait", (unsigned long long)s->waiting);
  if (at_rest && world_of_seed.healed && s->stalls > world_of_seed.stalls)
    fail("a lane was found stalled when all was well");
}

static void check_pool_stats(const pmx_stats *s, int at_rest)
{
  const struct world *w = &world_of_seed;
  uint64_t max = (uint64_t)w->max_size, live = s->live - s->lanes_live;

  if (live > max || s->in_use > max)
    fail("I1: %llu pooled connections, %llu in use, of %llu", (unsigned long long)live,
         (unsigned long long)s->in_use, (unsigned long long)max);
  if (s->live + s->connecting > max + rest_limits.lanes)
    fail("I1: %llu connections of %llu and %u", (unsigned long long)(s->live + s->connecting),
         (unsigned long long)max, rest_limits.lanes);
  if (at_rest && (s->in_use || (s->waiting && !w->lanes)) && !oracle_has_forgotten())
    fail("at rest %llu are in use and %llu wait", (unsigned long long)s->in_use,
         (unsigned long long)s->waiting);
}

void caller_check_stats(int at_rest)
{
  pmx_stats s = PMX_STATS_INIT, lane = PMX_STATS_INIT;
  char broken[128];

  pmx_stats_get(world_of_seed.client, &s);
  if (balance_broken(&s, broken, sizeof broken))
    fail("I11, I12: %s", broken);
  for (unsigned i = 0; pmx_stats_lane(world_of_seed.client, i, &lane); i++) {
    if (balance_broken(&lane, broken, sizeof broken))
      fail("lane %u: %s", i, broken);
  }
  if (s.live < s.lanes_live)
    fail("I1: %llu lanes among %llu connections", (unsigned long long)s.lanes_live,
         (unsigned long long)s.live);
  if (world_of_seed.lanes)
    check_mux_stats(&s, at_rest);
  if (world_of_seed.pool)
    check_pool_stats(&s, at_rest);
  if (at_rest && !oracle_has_forgotten() &&
      s.commands != s.replies + s.server_errors + s.not_run + s.unknown + s.invalid)
    fail("%llu calls do not sum up", (unsigned long long)s.commands);
}
