/* SPDX-License-Identifier: BSD-3-Clause */
/* session.c - the session-state tracker. Knows commands only by their effect; which command has
 * which effect is the router's knowledge.
 *
 * Protocol facts (redis.io/commands, and the server's multi.c): DISCARD outside MULTI is an error
 * and keeps the WATCH; EXEC ends MULTI and WATCH whether it answers an array, nil or EXECABORT;
 * inside MULTI every command answers +QUEUED and takes effect with the EXEC. */
#include "conn/session.h"
#include <string.h>
#include "call/reply.h"
#include "resp/encode.h"

void session_init(struct session *s, int64_t base_db)
{
  s->bits = 0;
  s->queued = 0;
  s->base_db = base_db;
}

static int is_queued(const pmx_reply *reply)
{
  return pmx_reply_type(reply) == PMX_TYPE_SIMPLE && reply->len == 6 &&
         memcmp(reply->str, "QUEUED", 6) == 0;
}

struct change {
  uint32_t set, clear;
};

static struct change change_of(const struct session *s, enum session_effect effect, int32_t arg)
{
  switch (effect) {
  case SESSION_NONE:
  case SESSION_EXEC:
  case SESSION_DISCARD:
    return (struct change){0, 0};
  case SESSION_WATCH:
    return (struct change){SESSION_BIT_WATCH, 0};
  case SESSION_UNWATCH:
    return (struct change){0, SESSION_BIT_WATCH};
  case SESSION_MULTI:
    return (struct change){SESSION_BIT_MULTI, 0};
  case SESSION_SELECT:
    return arg == s->base_db ? (struct change){0, SESSION_BIT_DB}
                             : (struct change){SESSION_BIT_DB, 0};
  case SESSION_NAME:
    return (struct change){SESSION_BIT_NAME, 0};
  case SESSION_TRACKING_ON:
    return (struct change){SESSION_BIT_TRACKING, 0};
  case SESSION_TRACKING_OFF:
    return (struct change){0, SESSION_BIT_TRACKING};
  case SESSION_NO_EVICT_ON:
    return (struct change){SESSION_BIT_NO_EVICT, 0};
  case SESSION_NO_EVICT_OFF:
    return (struct change){0, SESSION_BIT_NO_EVICT};
  case SESSION_NO_TOUCH_ON:
    return (struct change){SESSION_BIT_NO_TOUCH, 0};
  case SESSION_NO_TOUCH_OFF:
    return (struct change){0, SESSION_BIT_NO_TOUCH};
  case SESSION_READONLY:
    return (struct change){SESSION_BIT_READONLY, 0};
  case SESSION_READWRITE:
    return (struct change){0, SESSION_BIT_READONLY};
  case SESSION_RESET:
  case SESSION_QUIT:
  case SESSION_OTHER:
    return (struct change){SESSION_BIT_LOST, 0};
  }
  return (struct change){SESSION_BIT_LOST, 0};
}

static void end_multi(struct session *s, uint32_t set)
{
  s->bits &= ~(uint32_t)(SESSION_BIT_MULTI | SESSION_BIT_WATCH);
  s->bits |= set;
  s->queued = 0;
}

/* EXEC runs what was queued only when it answers an array. Which element failed is not looked at: a
 * queued change counts as made, which costs at most a needless repair. */
static void apply_exec(struct session *s, const pmx_reply *reply)
{
  pmx_type type = pmx_reply_type(reply);

  if (type == PMX_TYPE_ERROR && !reply_is_code(reply, "EXECABORT"))
    return;
  end_multi(s, type == PMX_TYPE_ARRAY ? s->queued : 0);
}

void session_apply(struct session *s, enum session_effect effect, int32_t arg,
                   const pmx_reply *reply)
{
  struct change change;

  if (effect == SESSION_NONE)
    return;
  if (effect == SESSION_EXEC) {
    apply_exec(s, reply);
    return;
  }
  if (pmx_reply_type(reply) == PMX_TYPE_ERROR)
    return;
  if (effect == SESSION_DISCARD) {
    end_multi(s, 0);
    return;
  }
  change = change_of(s, effect, arg);
  if (is_queued(reply)) {
    s->queued |= change.set | (effect == SESSION_SELECT ? (uint32_t)SESSION_BIT_DB : 0);
    return;
  }
  s->bits = (s->bits & ~change.clear) | change.set;
}

struct writer {
  char *buf;
  size_t len;
  int replies;
};

static void put(struct writer *w, int argc, const char *const *argv)
{
  size_t len[3];
  size_t n;

  for (int i = 0; i < argc; i++)
    len[i] = strlen(argv[i]);
  n = encode_small(w->buf + w->len, SESSION_REPAIR_MAX - w->len, argc, argv, len);
  if (n == 0)
    w->replies = -1;
  w->len += n;
  w->replies += w->replies >= 0;
}

static void put_select(struct writer *w, int64_t db)
{
  char digits[21];
  size_t at = sizeof digits;

  digits[--at] = '\0';
  do {
    digits[--at] = (char)('0' + db % 10);
    db /= 10;
  } while (db > 0);
  put(w, 2, (const char *[]){"SELECT", digits + at});
}

size_t session_repair(const struct session *s, const char *name, char buf[SESSION_REPAIR_MAX],
                      int *ret_replies)
{
  struct writer w = {buf, 0, 0};

  if (s->bits & SESSION_BIT_LOST) {
    *ret_replies = -1;
    return 0;
  }
  if (s->bits & SESSION_BIT_MULTI)
    put(&w, 1, (const char *[]){"DISCARD"});
  else if (s->bits & SESSION_BIT_WATCH)
    put(&w, 1, (const char *[]){"UNWATCH"});
  if (s->bits & SESSION_BIT_DB)
    put_select(&w, s->base_db);
  if (s->bits & SESSION_BIT_NAME)
    put(&w, 3, (const char *[]){"CLIENT", "SETNAME", name});
  if (s->bits & SESSION_BIT_TRACKING)
    put(&w, 3, (const char *[]){"CLIENT", "TRACKING", "OFF"});
  if (s->bits & SESSION_BIT_NO_EVICT)
    put(&w, 3, (const char *[]){"CLIENT", "NO-EVICT", "OFF"});
  if (s->bits & SESSION_BIT_NO_TOUCH)
    put(&w, 3, (const char *[]){"CLIENT", "NO-TOUCH", "OFF"});
  if (s->bits & SESSION_BIT_READONLY)
    put(&w, 1, (const char *[]){"READWRITE"});
  *ret_replies = w.replies;
  return w.replies > 0 ? w.len : 0;
}

void session_repaired(struct session *s)
{
  s->bits = 0;
  s->queued = 0;
}
