/* SPDX-License-Identifier: BSD-3-Clause */
/* backoff.c - see backoff.h. */
#include "strategy/backoff.h"
#include <stdio.h>
#include "base/clock.h"
#include "base/text.h"

void backoff_init(struct backoff *b)
{
  random_seed(&b->random, random_seed_fresh());
}

static int64_t delay(struct backoff *b, const struct config *config, unsigned n)
{
  int64_t d = config->reconnect_min_delay;

  for (unsigned i = 1; i < n && d < config->reconnect_max_delay; i++)
    d *= 2;
  if (d > config->reconnect_max_delay)
    d = config->reconnect_max_delay;
  return (int64_t)random_below(&b->random, (uint64_t)d) + 1;
}

void backoff_failed(struct backoff *b, const struct config *config, pmx_cause cause,
                    const char *text, int local, int64_t now)
{
  b->failures++;
  b->refusals += !local;
  b->cause = cause;
  b->error_at = now;
  snprintf(b->error, sizeof b->error, "%s", text);
  b->next = time_after(now, delay(b, config, b->failures));
}

int backoff_is_failing(const struct backoff *b)
{
  return b->failures > 0;
}

void backoff_count(pmx_stats *stats, enum dial_stage stage)
{
  uint64_t *const by_stage[DIAL_STAGES] = {
      [DIAL_DNS] = &stats->dials_dns,           [DIAL_TCP] = &stats->dials_tcp,
      [DIAL_TLS] = &stats->dials_tls,           [DIAL_AUTH] = &stats->dials_auth,
      [DIAL_PROTOCOL] = &stats->dials_protocol, [DIAL_TIMEOUT] = &stats->dials_timeout,
      [DIAL_LOCAL] = &stats->dials_local,
  };

  stats->dial_failures++;
  ++*by_stage[stage];
}

void backoff_pause(struct backoff *b, const struct config *config, unsigned n, int64_t now)
{
  b->next = time_after(now, delay(b, config, n));
}

void backoff_may_open(struct backoff *b, const struct config *config, const struct link_env *env,
                      const char *name)
{
  if (config->offline != OFFLINE_FAIL || b->open ||
      b->refusals < (unsigned)config->breaker_failures)
    return;
  b->open = 1;
  b->opens++;
  notice_log(env->notices, PMX_LOG_WARN, "connection",
             "%s: %u connects in a row failed: calls fail at once until one succeeds", name,
             b->failures);
}

void backoff_done(struct backoff *b, const struct link_env *env, const char *name)
{
  if (b->failures)
    notice_log(env->notices, PMX_LOG_INFO, "connection",
               "%s: connected, after %u connects that failed%s", name, b->failures,
               b->open ? ": calls are taken again" : "");
  b->failures = b->refusals = 0;
  b->next = 0;
  b->open = 0;
}

void backoff_tell(const struct backoff *b, const struct link_env *env, const char *name,
                  int64_t now)
{
  char detail[896], pause[32];
  struct text text;

  text_init(&text, pause, sizeof pause);
  text_add_ms(&text, b->next - now);
  text_init(&text, detail, sizeof detail);
  text_add(&text, "%s; next try in %s", b->error, pause);
  notice_event(env->notices, PMX_EVENT_RECONNECTING, b->cause, 0, env->name, detail);
  notice_log(env->notices, PMX_LOG_WARN, "connection", "%s: %s; next try in %s", name, b->error,
             pause);
}

int backoff_is_permanent(pmx_cause cause)
{
  return cause == PMX_CAUSE_AUTH || cause == PMX_CAUSE_TLS || cause == PMX_CAUSE_PROTOCOL;
}

void backoff_explain(const struct backoff *b, struct text *text, pmx_cause cause, int64_t now)
{
  if (cause == PMX_CAUSE_CIRCUIT_OPEN) {
    text_add(text, "%u connects in a row failed, the last one ", b->failures);
    text_add_ms(text, now - b->error_at);
    text_add(text, " ago: ");
  }
  text_add(text, "%s", b->error);
}
