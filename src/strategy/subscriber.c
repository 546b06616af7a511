/* SPDX-License-Identifier: BSD-3-Clause */
/* subscriber.c - the life of the subscription connection: dialled when something is wanted, watched
 * by the clock, lost and dialled again, closed when nothing is wanted any more. */
#include "strategy/subscriber.h"
#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"
#include "strategy/tell.h"

/* A connection that lived for less is no sign that the server is well. One that nobody needs is
 * kept for a while: the next subscription may be about to come. */
enum { YOUNG_NS = 1000 * 1000 * 1000, LINGER_NS = 1000 * 1000 * 1000 };

static const char closed[] = "the client is closed";

/* ---- the lock ---- */

void subscriber_enter(struct subscriber *s)
{
  lock_acquire(&s->lock);
}

static void tell_ended(struct subscriber *s, struct list *ended)
{
  struct list *node;
  int any = !list_empty(ended);

  while ((node = list_first(ended))) {
    list_remove(node);
    request_publish(container_of(node, struct request, node));
  }
  if (any)
    reactor_wake_nested(s->env->reactor);
}

static void free_dead(struct list *topics, struct list *members)
{
  struct list *node;

  while ((node = list_first(topics))) {
    list_remove(node);
    mem_free(container_of(node, struct topic, todo));
  }
  while ((node = list_first(members))) {
    list_remove(node);
    mem_free(container_of(node, struct member, mine));
  }
}

void subscriber_leave(struct subscriber *s)
{
  struct list ended, calling, topics, members, *node;
  int wake = s->wake;

  list_take(&ended, &s->ended);
  list_take(&calling, &s->calling);
  list_take(&topics, &s->dead_topics);
  list_take(&members, &s->dead_members);
  s->wake = 0;
  lock_release(&s->lock);
  tell_ended(s, &ended);
  while ((node = list_first(&calling))) {
    list_remove(node);
    reactor_call(s->env->reactor, &container_of(node, struct listener, calling)->call, NULL);
  }
  free_dead(&topics, &members);
  if (wake)
    reactor_wake(s->env->reactor);
}

void subscriber_poke(struct subscriber *s)
{
  reactor_post(s->env->reactor, &s->job);
  s->wake = 1;
}

/* ---- connecting ---- */

static int is_wanted(const struct subscriber *s)
{
  return !s->closing && (s->topics.count > 0 || s->backoff.open);
}

/* Locked. 1: dial now. */
static int begins(struct subscriber *s, int64_t now)
{
  if (s->state != SUBSCRIBER_DOWN || !is_wanted(s))
    return 0;
  if (now < s->backoff.next) {
    s->wake |= (uint8_t)ticker_advance(&s->ticker, s->backoff.next);
    return 0;
  }
  s->state = SUBSCRIBER_CONNECTING;
  s->dial.reply = NULL;
  s->dial.deadline = time_after(now, s->config.connect_timeout);
  return 1;
}

static void dial(struct subscriber *s)
{
  if (!s->feeding)
    s->feeding = feeding_new(s);
  if (s->feeding)
    link_dial(&feeding_feed(s->feeding)->link, &s->dial);
  else
    request_end(&s->dial, reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_NOMEM,
                                             "no room for the subscription connection"));
}

static int is_local(const struct subscriber *s)
{
  return !s->feeding || feeding_feed(s->feeding)->link.dial.local_error;
}

static void fail_adds(struct subscriber *s, pmx_cause cause)
{
  pmx_reply *failure = reply_failure(PMX_NOT_RUN, cause, "%s: %s", s->name, s->backoff.error);

  subscriber_fail_adds(s, failure);
  pmx_reply_free(failure);
}

/* Locked. */
static void end_drains(struct subscriber *s)
{
  struct list *node;

  while ((node = list_first(&s->drains)))
    subscriber_end_request(s, container_of(node, struct request, node), NULL);
}

static void dial_failed(struct subscriber *s, const pmx_reply *reply, int64_t now)
{
  pmx_cause cause = pmx_reply_cause(reply);

  s->state = SUBSCRIBER_DOWN;
  end_drains(s);
  if (s->closing)
    return;
  s->dial_failures++;
  backoff_failed(&s->backoff, &s->config, cause, pmx_reply_error(reply), is_local(s), now);
  backoff_tell(&s->backoff, s->env, s->name, now);
  backoff_may_open(&s->backoff, &s->config, s->env, s->name);
  if (s->config.offline == OFFLINE_FAIL || backoff_is_permanent(cause))
    fail_adds(s, cause);
  if (is_wanted(s))
    s->wake |= (uint8_t)ticker_advance(&s->ticker, s->backoff.next);
}

static void dial_succeeded(struct subscriber *s, int64_t now)
{
  struct link *link = &feeding_feed(s->feeding)->link;

  s->state = SUBSCRIBER_OPEN;
  s->opened++;
  s->opened_at = s->still_since = now;
  s->unused_since = 0;
  backoff_done(&s->backoff, s->env, s->name);
  ticker_advance(&s->ticker, now + NS_PER_MS);
  tell_connected(link, s->name, " subscriptions");
}

/* Thread: reactor. */
static void dial_done(struct request *request)
{
  struct subscriber *s = container_of(request, struct subscriber, dial);
  pmx_reply *failure = request->reply;
  int64_t now = clock_ns();
  int closing;

  request->reply = NULL;
  subscriber_enter(s);
  if (failure)
    dial_failed(s, failure, now);
  else
    dial_succeeded(s, now);
  closing = s->closing;
  subscriber_leave(s);
  if (!failure && closing)
    feed_end(feeding_feed(s->feeding), PMX_CAUSE_CLOSED, closed);
  else if (!failure)
    feed_up(feeding_feed(s->feeding));
  pmx_reply_free(failure);
}

/* ---- lost, or not needed any more ---- */

static void tell_end(const struct subscriber *s, const struct link *link)
{
  if (link->conn.cause != PMX_CAUSE_CLOSED)
    tell_lost(link, s->name, link->conn.text,
              s->closing ? "the client is closed" : "another one is made");
  else
    tell_closed(link, s->name, s->closing ? PMX_CAUSE_CLOSED : PMX_CAUSE_NONE, link->conn.text);
}

void subscriber_disconnected(struct subscriber *s)
{
  const struct link *link = &feeding_feed(s->feeding)->link;
  int64_t now = clock_ns();
  int dials;

  subscriber_enter(s);
  s->state = SUBSCRIBER_DOWN;
  s->closed++;
  tell_end(s, link);
  if (!s->closing && link->conn.cause != PMX_CAUSE_CLOSED) {
    s->short_lives = now - s->opened_at < YOUNG_NS ? s->short_lives + 1 : 0;
    backoff_pause(&s->backoff, &s->config, s->short_lives, now);
  }
  subscriber_lost(s);
  end_drains(s);
  dials = begins(s, now);
  subscriber_leave(s);
  if (dials)
    dial(s);
}

/* ---- the reactor's look ---- */

static void act(struct subscriber *s, enum subscriber_action action, const char *why)
{
  struct feed *feed = s->feeding ? feeding_feed(s->feeding) : NULL;

  switch (action) {
  case ACTION_NONE:
    break;
  case ACTION_DIAL:
    dial(s);
    break;
  case ACTION_FLUSH:
    feed_flush(feed);
    break;
  case ACTION_GIVE_UP:
    link_give_up(&feed->link, PMX_CAUSE_CLOSED, closed);
    break;
  case ACTION_END:
    feed_end(feed, PMX_CAUSE_CLOSED, why);
    break;
  case ACTION_STALLED:
    feed_end(feed, PMX_CAUSE_LOST, why);
    break;
  }
}

static void look(struct job *job)
{
  struct subscriber *s = container_of(job, struct subscriber, job);
  enum subscriber_action action = ACTION_NONE;

  subscriber_enter(s);
  switch (s->state) {
  case SUBSCRIBER_DOWN:
    action = begins(s, clock_ns()) ? ACTION_DIAL : ACTION_NONE;
    break;
  case SUBSCRIBER_CONNECTING:
    action = s->closing && s->feeding ? ACTION_GIVE_UP : ACTION_NONE;
    break;
  case SUBSCRIBER_OPEN:
    action = s->closing ? ACTION_END : ACTION_FLUSH;
    break;
  }
  subscriber_leave(s);
  act(s, action, closed);
}

/* ---- by the clock ---- */

static int64_t tick(struct ticker *ticker, int64_t now)
{
  struct subscriber *s = container_of(ticker, struct subscriber, ticker);
  enum subscriber_action action = ACTION_NONE;
  int64_t next = TIME_FOREVER;
  char why[192] = "no subscription is left";

  subscriber_enter(s);
  if (s->state == SUBSCRIBER_OPEN && !s->closing) {
    action = subscriber_check(s, feeding_feed(s->feeding), now, why, sizeof why);
    next = subscriber_next_check(s, now);
  } else if (begins(s, now)) {
    action = ACTION_DIAL;
  }
  subscriber_leave(s);
  act(s, action, why);
  return next;
}

/* ---- the rest ---- */

void subscriber_configure(struct subscriber *s, const struct config *config)
{
  subscriber_enter(s);
  s->config = *config;
  s->wake |= (uint8_t)ticker_advance(&s->ticker, 0);
  subscriber_leave(s);
}

void subscriber_drain(struct subscriber *s)
{
  pmx_reply *failure = reply_failure(PMX_NOT_RUN, PMX_CAUSE_CLOSED, "%s: %s", s->name, closed);

  subscriber_enter(s);
  s->closing = 1;
  subscriber_fail_adds(s, failure);
  for (struct list *node = s->listeners.next; node != &s->listeners; node = node->next)
    listener_tell_end(container_of(node, struct listener, node), failure);
  subscriber_poke(s);
  subscriber_leave(s);
  pmx_reply_free(failure);
}

int subscriber_wait_closed(struct subscriber *s, struct request *req)
{
  int waits;

  subscriber_enter(s);
  waits = s->state != SUBSCRIBER_DOWN;
  if (waits) {
    request_set_state(req, REQUEST_QUEUED);
    list_push_back(&s->drains, &req->node);
  }
  subscriber_leave(s);
  return waits;
}

void subscriber_give_up_wait(struct subscriber *s, struct request *req)
{
  subscriber_enter(s);
  if (request_state(req) == REQUEST_QUEUED)
    subscriber_end_request(s, req, NULL);
  subscriber_leave(s);
}

void subscriber_stats(struct subscriber *s, pmx_stats *ret)
{
  subscriber_enter(s);
  ret->messages += s->messages;
  ret->messages_dropped += s->dropped;
  ret->gaps += s->gaps;
  ret->resubscribes += s->resubscribes;
  ret->subscriptions += s->held;
  ret->sub_opened += s->opened;
  ret->sub_closed += s->closed;
  ret->sub_live += s->state == SUBSCRIBER_OPEN;
  ret->sub_dial_failures += s->dial_failures;
  subscriber_leave(s);
}

int subscriber_open(struct link_env *env, const struct config *config, struct subscriber **ret)
{
  struct subscriber *s = mem_zalloc(sizeof *s);

  if (!s)
    return ENOMEM;
  s->env = env;
  s->config = *config;
  snprintf(s->name, sizeof s->name, "subscriptions at %s", env->name);
  lock_init(&s->lock);
  list_init(&s->todo);
  list_init(&s->later);
  list_init(&s->awaited);
  list_init(&s->ping.node);
  list_init(&s->listeners);
  list_init(&s->drains);
  list_init(&s->ended);
  list_init(&s->calling);
  list_init(&s->dead_topics);
  list_init(&s->dead_members);
  backoff_init(&s->backoff);
  request_init(&s->dial, REQUEST_COMMAND);
  s->dial.done = dial_done;
  job_init(&s->job, look);
  s->ticker.tick = tick;
  ticker_add(env->reactor, &s->ticker, TIME_FOREVER);
  *ret = s;
  return 0;
}

void subscriber_close(struct subscriber *s)
{
  if (!s)
    return;
  feeding_free(s->feeding);
  mem_free(s->topics.buckets);
  lock_destroy(&s->lock);
  mem_free(s);
}
