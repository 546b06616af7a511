/* SPDX-License-Identifier: BSD-3-Clause */
/* subscriber_calls.c - what the public functions want of a subscriber, from any thread: memory
 * first, then the lock, then the reactor is poked. Only it writes. */
#include <errno.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"
#include "strategy/subscriber.h"

static pmx_reply *no_memory(void)
{
  return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
}

static pmx_reply *explain_closed(const struct listener *l)
{
  return reply_failure(PMX_NOT_RUN, PMX_CAUSE_CLOSED, "%s: %s", l->subscriber->name,
                       l->ended ? "this subscription was freed" : "the client is closed");
}

/* ---- listeners ---- */

int listener_open(struct listener *l, struct subscriber *s, int has_callback)
{
  /* FIXED options: nobody writes them. */
  const struct config *config = s->env->config;

  if (inbox_init(&l->inbox, (uint64_t)config->sub_max_messages, (size_t)config->sub_max_queued))
    return ENOMEM;
  l->subscriber = s;
  atomic_init(&l->refs, 1);
  l->has_callback = (uint8_t)has_callback;
  list_init(&l->members);
  list_init(&l->nexts);
  list_init(&l->calling);
  subscriber_enter(s);
  list_push_back(&s->listeners, &l->node);
  subscriber_leave(s);
  return 0;
}

void listener_ref(struct listener *l)
{
  atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
}

void listener_unref(struct listener *l)
{
  if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1)
    l->destroy(l);
}

/* What is there is still handed out. */
void listener_tell_end(struct listener *l, const pmx_reply *failure)
{
  struct list *node;

  inbox_let_go(&l->inbox);
  subscriber_serve(l->subscriber, l);
  while ((node = list_first(&l->nexts)))
    subscriber_end_request(l->subscriber, container_of(node, struct request, node),
                           pmx_reply_ref(failure));
}

static void end_adds(struct subscriber *s, struct member *m, const pmx_reply *failure)
{
  struct list *waits = &m->topic->waits;

  for (struct list *node = waits->next, *next; node != waits; node = next) {
    struct wait *w = container_of(node, struct wait, request.node);

    next = node->next;
    if (w->member == m)
      subscriber_end_request(s, &w->request, pmx_reply_ref(failure));
  }
}

static void remove_member(struct subscriber *s, struct member *m, const pmx_reply *failure)
{
  struct topic *t = m->topic;

  end_adds(s, m, failure);
  subscriber_drop(s, m);
  subscriber_ask(s, t);
}

void listener_end(struct listener *l)
{
  struct subscriber *s = l->subscriber;
  pmx_reply *failure =
      reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CLOSED, "this subscription was freed");
  struct list *node;

  subscriber_enter(s);
  l->ended = 1;
  while ((node = list_first(&l->members)))
    remove_member(s, container_of(node, struct member, mine), failure);
  listener_tell_end(l, failure);
  list_remove(&l->node);
  subscriber_leave(s);
  pmx_reply_free(failure);
}

/* ---- adding ---- */

/* Room in the table before the lock is taken for good. 0, or -1: out of memory. */
static int make_room(struct subscriber *s)
{
  struct topic **buckets;
  size_t want, have;

  subscriber_enter(s);
  want = topics_want(&s->topics);
  have = s->topics.size;
  subscriber_leave(s);
  if (want == 0)
    return 0;
  buckets = mem_zalloc(want * sizeof(*buckets));
  if (!buckets)
    return have ? 0 : -1; /* chains may be longer than one likes */
  subscriber_enter(s);
  buckets = topics_grow(&s->topics, buckets, want);
  subscriber_leave(s);
  mem_free(buckets);
  return 0;
}

static pmx_reply *turned_away(const struct listener *l)
{
  const struct subscriber *s = l->subscriber;
  char buf[1280];
  struct text text;

  if (l->ended || s->closing)
    return explain_closed(l);
  if (s->state == SUBSCRIBER_OPEN || !s->backoff.open)
    return NULL;
  text_init(&text, buf, sizeof buf);
  text_add(&text, "%s: ", s->name);
  backoff_explain(&s->backoff, &text, PMX_CAUSE_CIRCUIT_OPEN, clock_ns());
  return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CIRCUIT_OPEN, buf);
}

static struct member *find_member(const struct topic *t, const struct listener *l)
{
  for (struct list *node = t->members.next; node != &t->members; node = node->next) {
    struct member *m = container_of(node, struct member, of_topic);

    if (m->listener == l)
      return m;
  }
  return NULL;
}

static void join(struct member *m, struct topic *t, struct listener *l)
{
  m->topic = t;
  m->listener = l;
  list_push_back(&t->members, &m->of_topic);
  list_push_back(&l->members, &m->mine);
}

static void wait_for(struct topic *t, struct wait *w, struct member *m)
{
  w->topic = t;
  w->member = m;
  request_set_state(&w->request, REQUEST_QUEUED);
  list_push_back(&t->waits, &w->request.node);
}

static void add_member(struct listener *l, struct wait *w, struct topic *t, struct member *m)
{
  if (t->state == TOPIC_HELD) {
    m->confirmed = 1;
    request_set_state(&w->request, REQUEST_ENDED);
    subscriber_ask(l->subscriber, t); /* it was about to be given up, perhaps */
    return;
  }
  m->adding++;
  wait_for(t, w, m);
  subscriber_ask(l->subscriber, t);
}

pmx_reply *listener_add(struct listener *l, struct wait *w, pmx_sub_kind kind, const char *name,
                        size_t len)
{
  struct subscriber *s = l->subscriber;
  struct topic *fresh = topic_new(kind, name, len), *t;
  struct member *fresh_member = mem_zalloc(sizeof *fresh_member), *m;
  pmx_reply *failure = fresh && fresh_member && make_room(s) == 0 ? NULL : no_memory();

  subscriber_enter(s);
  if (!failure)
    failure = turned_away(l);
  if (!failure) {
    t = topics_find(&s->topics, kind, name, len);
    if (!t) {
      t = fresh;
      fresh = NULL;
      topics_add(&s->topics, t);
    }
    m = find_member(t, l);
    if (!m) {
      m = fresh_member;
      fresh_member = NULL;
      join(m, t, l);
    }
    add_member(l, w, t, m);
  }
  subscriber_leave(s);
  mem_free(fresh);
  mem_free(fresh_member);
  return failure;
}

/* ---- removing ---- */

/* 1: the server has yet to stop sending it. */
static int is_leaving(const struct topic *t)
{
  return t && list_empty(&t->members) && t->state != TOPIC_ABSENT;
}

pmx_reply *listener_remove(struct listener *l, struct wait *w, pmx_sub_kind kind, const char *name,
                           size_t len)
{
  struct subscriber *s = l->subscriber;
  pmx_reply *failure =
      reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CANCELED, "another call removed it meanwhile");
  struct topic *t;
  struct member *m;

  subscriber_enter(s);
  t = topics_find(&s->topics, kind, name, len);
  m = t ? find_member(t, l) : NULL;
  if (m) {
    remove_member(s, m, failure);
    t = topics_find(&s->topics, kind, name, len);
  }
  if (m && is_leaving(t) && !s->closing)
    wait_for(t, w, NULL);
  else
    request_set_state(&w->request, REQUEST_ENDED);
  subscriber_leave(s);
  pmx_reply_free(failure);
  return NULL;
}

/* ---- giving up ---- */

static pmx_cause explain(const struct subscriber *s, const struct wait *w, pmx_cause cause,
                         int64_t now, struct text *text)
{
  text_add(text, "%s: \"", s->name);
  text_add_quoted(text, w->topic->name, w->topic->len, 64);
  text_add(text, "\" %s ",
           cause == PMX_CAUSE_CANCELED ? "was given up after" : "was not confirmed in");
  text_add_ms(text, now - w->request.queued_at);
  text_add(text, s->state == SUBSCRIBER_OPEN ? ", connected" : ", not connected");
  if (backoff_is_failing(&s->backoff))
    text_add(text, "; last connect error: %s", s->backoff.error);
  /* What its user can act on is why there is no connection. */
  if (cause == PMX_CAUSE_TIMEOUT && s->state != SUBSCRIBER_OPEN && backoff_is_failing(&s->backoff))
    cause = s->backoff.cause;
  return cause;
}

/* Its member, when nobody else waits for it and it was not there before, goes with it. */
static void unwait(struct subscriber *s, struct wait *w)
{
  struct member *m = w->member;

  list_remove(&w->request.node);
  if (!m)
    return;
  m->adding--;
  if (m->confirmed || m->adding)
    return;
  subscriber_drop(s, m);
  subscriber_ask(s, w->topic);
}

void listener_give_up(struct listener *l, struct wait *w, pmx_cause cause, int64_t now)
{
  struct subscriber *s = l->subscriber;
  pmx_status status = w->member ? PMX_NOT_RUN : PMX_UNKNOWN;
  char buf[1280];
  struct text text;
  int waits;

  text_init(&text, buf, sizeof buf);
  subscriber_enter(s);
  waits = request_state(&w->request) == REQUEST_QUEUED;
  if (waits) {
    cause = explain(s, w, cause, now, &text);
    unwait(s, w);
  }
  subscriber_leave(s);
  if (waits)
    request_end(&w->request, reply_failure_text(status, cause, buf));
}

/* ---- the pull form ---- */

pmx_reply *listener_next(struct listener *l, struct request *req, int may_wait)
{
  struct subscriber *s = l->subscriber;
  pmx_reply *reply;

  subscriber_enter(s);
  reply = l->ended ? NULL : inbox_take(&l->inbox);
  if (!reply && (l->ended || s->closing)) {
    reply = explain_closed(l);
  } else if (!reply && may_wait) {
    request_set_state(req, REQUEST_QUEUED);
    list_push_back(&l->nexts, &req->node);
  } else if (!reply) {
    reply = reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_TIMEOUT, "no message is there");
  }
  subscriber_leave(s);
  return reply;
}

void listener_give_up_next(struct listener *l, struct request *req, pmx_cause cause, int64_t now)
{
  struct subscriber *s = l->subscriber;
  char buf[1280];
  struct text text;
  int waits;

  text_init(&text, buf, sizeof buf);
  subscriber_enter(s);
  waits = request_state(req) == REQUEST_QUEUED;
  if (waits) {
    list_remove(&req->node);
    text_add(&text, "%s: no message in ", s->name);
    text_add_ms(&text, now - req->queued_at);
    text_add(&text, s->state == SUBSCRIBER_OPEN ? ", connected" : ", not connected");
    if (s->state != SUBSCRIBER_OPEN && backoff_is_failing(&s->backoff))
      text_add(&text, "; last connect error: %s", s->backoff.error);
  }
  subscriber_leave(s);
  if (waits)
    request_end(req, reply_failure_text(PMX_NOT_RUN, cause, buf));
}
