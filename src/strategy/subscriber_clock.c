/* SPDX-License-Identifier: BSD-3-Clause */
/* subscriber_clock.c - what time does to an open subscription connection: silence, answers that do
 * not come, topics to be tried again, and nothing to be there for. With the lock held, on the
 * reactor's thread. */
#include "base/clock.h"
#include "base/text.h"
#include "strategy/subscriber.h"

/* One that nobody needs is kept for a while: the next subscription may be about to come. */
enum { LINGER_NS = 1000 * 1000 * 1000 };

static int64_t earlier(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* 1: some are to be asked for again. */
static int wake_later(struct subscriber *s, int64_t now)
{
  struct list *node;

  if (list_empty(&s->later) || now < s->later_at)
    return 0;
  while ((node = list_first(&s->later)))
    subscriber_ask(s, container_of(node, struct topic, todo));
  return 1;
}

static int is_unneeded(struct subscriber *s, int64_t now)
{
  if (s->topics.count > 0)
    s->unused_since = 0;
  else if (s->unused_since == 0)
    s->unused_since = now;
  return s->unused_since && now - s->unused_since >= LINGER_NS;
}

static void explain_stall(const struct subscriber *s, int64_t still, char *buf, size_t size)
{
  struct text text;

  text_init(&text, buf, size);
  text_add(&text, "no byte from %s in ", s->env->name);
  text_add_ms(&text, still);
  text_add(&text, " (mux.stall_timeout), and an answer is owed");
}

/* Nothing that is sent may stay without an answer, and nothing unsent, for mux.stall_timeout; when
 * all is quiet for mux.keepalive, something is sent. */
static enum subscriber_action check_silence(struct subscriber *s, const struct feed *feed,
                                            int64_t now, char *why, size_t size)
{
  int64_t stall = s->config.mux_stall_timeout, keepalive = s->config.mux_keepalive, still;
  int owed = !list_empty(&s->awaited) || feed_unsent(feed);

  if (feed->moved != s->seen_moved)
    s->still_since = now;
  s->seen_moved = feed->moved;
  still = now - s->still_since;
  if (owed && stall > 0 && still >= stall) {
    explain_stall(s, still, why, size);
    return ACTION_STALLED;
  }
  s->wants_ping = !owed && keepalive > 0 && still >= keepalive;
  return s->wants_ping ? ACTION_FLUSH : ACTION_NONE;
}

int64_t subscriber_next_check(const struct subscriber *s, int64_t now)
{
  int64_t stall = s->config.mux_stall_timeout, keepalive = s->config.mux_keepalive;
  int64_t step = 5 * NS_PER_S;

  if (stall > 0)
    step = earlier(step, stall / 4);
  if (keepalive > 0)
    step = earlier(step, keepalive / 4);
  step = now + (step > NS_PER_MS ? step : NS_PER_MS);
  if (!list_empty(&s->later))
    step = earlier(step, s->later_at);
  return s->unused_since ? earlier(step, s->unused_since + LINGER_NS) : step;
}

enum subscriber_action subscriber_check(struct subscriber *s, const struct feed *feed, int64_t now,
                                        char *why, size_t size)
{
  enum subscriber_action action;

  if (is_unneeded(s, now))
    return ACTION_END;
  action = check_silence(s, feed, now, why, size);
  return action == ACTION_NONE && wake_later(s, now) ? ACTION_FLUSH : action;
}
