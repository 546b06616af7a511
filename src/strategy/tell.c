/* SPDX-License-Identifier: BSD-3-Clause */
/* tell.c - see tell.h. */
#include "strategy/tell.h"
#include "base/clock.h"
#include "base/probe.h"
#include "base/text.h"

unsigned tell_due(struct occasion *o, int64_t now)
{
  unsigned count = ++o->count;

  if (now < o->next)
    return 0;
  o->next = time_after(now, NS_PER_S);
  o->count = 0;
  return count;
}

void tell_connected(const struct link *l, const char *name, const char *what_for)
{
  char detail[sizeof l->about + 32];
  struct text text;

  PROBE2(connection__open, l->env->name, l->id);
  text_init(&text, detail, sizeof detail);
  text_add(&text, "%s%s", l->about, what_for);
  notice_event(l->env->notices, PMX_EVENT_CONNECTED, PMX_CAUSE_NONE, l->id, l->env->name, detail);
  notice_log(l->env->notices, PMX_LOG_INFO, "connection", "%s: connection %llu is ready: %s", name,
             (unsigned long long)l->id, detail);
}

void tell_lost(const struct link *l, const char *name, const char *why, const char *next)
{
  PROBE3(connection__close, l->env->name, l->id, l->conn.cause);
  notice_event(l->env->notices, PMX_EVENT_LOST, l->conn.cause, l->id, l->env->name, why);
  notice_log(l->env->notices, PMX_LOG_WARN, "connection", "%s: connection %llu was lost: %s; %s",
             name, (unsigned long long)l->id, why, next);
}

void tell_closed(const struct link *l, const char *name, pmx_cause cause, const char *why)
{
  PROBE3(connection__close, l->env->name, l->id, cause);
  notice_event(l->env->notices, PMX_EVENT_CLOSED, cause, l->id, l->env->name, why);
  notice_log(l->env->notices, PMX_LOG_INFO, "connection", "%s: connection %llu was closed: %s",
             name, (unsigned long long)l->id, why);
}
