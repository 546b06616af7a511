/* SPDX-License-Identifier: BSD-3-Clause */
/* subscriber_topics.c - what becomes of topics, and of those who want them, when the server or the
 * connection says something. All of it with the subscriber's lock held: what it decides is noted,
 * and done by subscriber_leave. */
#include "base/clock.h"
#include "base/text.h"
#include "call/reply.h"
#include "strategy/subscriber.h"

enum { REST_NS = 500 * 1000 * 1000 };

static int is_wanted(const struct topic *t)
{
  return !list_empty(&t->members);
}

/* ---- who waits ---- */

void subscriber_end_request(struct subscriber *s, struct request *req, pmx_reply *reply)
{
  list_remove(&req->node);
  request_set_state(req, REQUEST_ENDING);
  req->reply = reply;
  list_push_back(&s->ended, &req->node);
}

/* Of the calls that wait for the topic those that add it, or those that have removed it. */
static void end_waits(struct subscriber *s, struct topic *t, int adding, const pmx_reply *reply)
{
  for (struct list *node = t->waits.next, *next; node != &t->waits; node = next) {
    struct wait *w = container_of(node, struct wait, request.node);

    next = node->next;
    if ((w->member != NULL) != adding)
      continue;
    if (w->member)
      w->member->adding--;
    subscriber_end_request(s, &w->request, reply ? pmx_reply_ref(reply) : NULL);
  }
}

void subscriber_serve(struct subscriber *s, struct listener *l)
{
  struct list *node;

  while (inbox_ready(&l->inbox) && (node = list_first(&l->nexts)))
    subscriber_end_request(s, container_of(node, struct request, node), inbox_take(&l->inbox));
  if (!l->has_callback || l->called || l->ended || !inbox_ready(&l->inbox))
    return;
  l->called = 1;
  listener_ref(l);
  list_push_back(&s->calling, &l->calling);
}

void subscriber_deliver(struct subscriber *s, struct topic *t, pmx_reply *reply)
{
  for (struct list *node = t->members.next; node != &t->members; node = node->next) {
    struct member *m = container_of(node, struct member, of_topic);
    struct listener *l = m->listener;
    int put;

    if (!m->confirmed)
      continue; /* it is of a subscription that ends before this one's begins */
    put = inbox_put(&l->inbox, reply);
    s->messages += put > 0;
    s->dropped += put <= 0;
    s->gaps += put < 0;
    subscriber_serve(s, l);
  }
}

/* ---- members ---- */

/* Their topic sends nothing any more. One gap for each listener and loss: it is held until all that
 * was lost has been answered, so that who reads the state of things on a gap misses nothing. */
static void member_lost(struct subscriber *s, struct member *m)
{
  struct listener *l = m->listener;

  if (!m->confirmed || s->closing)
    return;
  l->restoring += !m->restoring;
  m->restoring = 1;
  if (l->round == s->round)
    return;
  l->round = s->round;
  s->gaps += (uint64_t)inbox_gap(&l->inbox, 1);
  subscriber_serve(s, l); /* one that was held before is not the last any more */
}

static void member_answered(struct subscriber *s, struct member *m)
{
  struct listener *l = m->listener;

  if (!m->restoring)
    return;
  m->restoring = 0;
  if (--l->restoring > 0)
    return;
  inbox_let_go(&l->inbox);
  subscriber_serve(s, l);
}

static void member_held(struct subscriber *s, struct member *m, int lost)
{
  /* It was told of the gap when the server refused to end it: now it ends. */
  if (lost && m->confirmed && !m->restoring) {
    s->gaps += (uint64_t)inbox_gap(&m->listener->inbox, 0);
    subscriber_serve(s, m->listener);
  }
  member_answered(s, m);
  m->confirmed = 1;
}

void subscriber_drop(struct subscriber *s, struct member *m)
{
  member_answered(s, m);
  list_remove(&m->of_topic);
  list_remove(&m->mine);
  list_push_back(&s->dead_members, &m->mine);
}

/* Those whom nobody waits for any more, and who were never confirmed. */
static void drop_unconfirmed(struct subscriber *s, struct topic *t)
{
  for (struct list *node = t->members.next, *next; node != &t->members; node = next) {
    struct member *m = container_of(node, struct member, of_topic);

    next = node->next;
    if (!m->confirmed && !m->adding)
      subscriber_drop(s, m);
  }
}

/* ---- topics ---- */

static void forget(struct subscriber *s, struct topic *t)
{
  topics_remove(&s->topics, t);
  list_push_back(&s->dead_topics, &t->todo);
  if (s->topics.count == 0)
    s->wake |= (uint8_t)ticker_advance(&s->ticker, 0);
}

static void wake_up(struct topic *t)
{
  if (!t->resting)
    return;
  t->resting = 0;
  list_remove(&t->todo);
}

void subscriber_ask(struct subscriber *s, struct topic *t)
{
  int wanted = is_wanted(t);

  /* Who waits until nobody is subscribed any more waits in vain when somebody is again, or until it
   * is so: also with an error. */
  if ((wanted && t->state != TOPIC_LEAVING) || t->state == TOPIC_ABSENT)
    end_waits(s, t, 0, NULL);
  if (list_linked(&t->awaited.node))
    return; /* the answer comes first */
  wake_up(t);
  if (wanted == (t->state == TOPIC_HELD)) {
    list_remove(&t->todo);
    if (!wanted)
      forget(s, t);
    return;
  }
  if (!list_linked(&t->todo))
    list_push_back(&s->todo, &t->todo);
  subscriber_poke(s);
}

/* Not at once: a server that says no might be asked for ever. */
static void rest(struct subscriber *s, struct topic *t)
{
  list_remove(&t->todo);
  if (list_empty(&s->later))
    s->later_at = time_after(clock_ns(), REST_NS);
  t->resting = 1;
  list_push_back(&s->later, &t->todo);
  s->wake |= (uint8_t)ticker_advance(&s->ticker, s->later_at);
}

void subscriber_held(struct subscriber *s, struct topic *t)
{
  int lost = t->lost;

  t->state = TOPIC_HELD;
  t->lost = t->refused = 0;
  s->held++;
  s->resubscribes += lost && is_wanted(t);
  for (struct list *node = t->members.next; node != &t->members; node = node->next)
    member_held(s, container_of(node, struct member, of_topic), lost);
  end_waits(s, t, 1, NULL);
  subscriber_ask(s, t);
}

static void topic_lost(struct subscriber *s, struct topic *t)
{
  t->lost = 1;
  for (struct list *node = t->members.next; node != &t->members; node = node->next)
    member_lost(s, container_of(node, struct member, of_topic));
}

void subscriber_absent(struct subscriber *s, struct topic *t)
{
  int unasked = t->state == TOPIC_HELD;

  t->state = TOPIC_ABSENT;
  end_waits(s, t, 0, NULL);
  if (!unasked) {
    subscriber_ask(s, t);
    return;
  }
  s->held--;
  s->round++;
  topic_lost(s, t);
  if (is_wanted(t))
    rest(s, t);
  else
    subscriber_ask(s, t);
}

static void tell_refused(struct subscriber *s, const struct topic *t, const pmx_reply *reply)
{
  char buf[256];
  struct text text;

  text_init(&text, buf, sizeof buf);
  text_add(&text, "the server refused to restore the subscription to \"");
  text_add_quoted(&text, t->name, t->len, 64);
  text_add(&text, "\": %s", pmx_reply_error_code(reply)); /* the rest may name the user */
  notice_log(s->env->notices, PMX_LOG_WARN, "sub", "%s: %s; it is asked again from time to time",
             s->name, buf);
}

void subscriber_refused(struct subscriber *s, struct topic *t, const pmx_reply *reply)
{
  t->state = TOPIC_ABSENT;
  end_waits(s, t, 1, reply);
  end_waits(s, t, 0, NULL);
  drop_unconfirmed(s, t);
  for (struct list *node = t->members.next; node != &t->members; node = node->next)
    member_answered(s, container_of(node, struct member, of_topic));
  if (!is_wanted(t)) {
    subscriber_ask(s, t);
    return;
  }
  if (!t->refused)
    tell_refused(s, t, reply);
  t->refused = 1;
  rest(s, t);
}

/* ---- all of them ---- */

static void for_all(struct subscriber *s,
                    void (*fn)(struct subscriber *, struct topic *, const pmx_reply *),
                    const pmx_reply *reply)
{
  for (size_t i = 0; i < s->topics.size; i++) {
    for (struct topic *t = s->topics.buckets[i], *next; t; t = next) {
      next = t->next;
      fn(s, t, reply);
    }
  }
}

static void lose(struct subscriber *s, struct topic *t, const pmx_reply *unused)
{
  (void)unused;
  if (t->state == TOPIC_HELD)
    t->lost = 1;
  t->state = TOPIC_ABSENT;
  list_remove(&t->awaited.node);
  end_waits(s, t, 0, NULL);
  if (t->lost)
    topic_lost(s, t);
  subscriber_ask(s, t);
}

void subscriber_lost(struct subscriber *s)
{
  s->round++;
  s->held = 0;
  s->wants_ping = 0;
  for_all(s, lose, NULL);
  list_remove(&s->ping.node);
}

static void fail_adds(struct subscriber *s, struct topic *t, const pmx_reply *failure)
{
  end_waits(s, t, 1, failure);
  drop_unconfirmed(s, t);
  subscriber_ask(s, t);
}

void subscriber_fail_adds(struct subscriber *s, pmx_reply *failure)
{
  for_all(s, fail_adds, failure);
}
