/* SPDX-License-Identifier: BSD-3-Clause */
/* subscriber_feed.c - the subscription connection's two directions: topics to commands, as many
 * names in one as the server answers one by one; and what comes, to topics. Thread: reactor.
 *
 * Answers are told by name, as servers give them one for each name. Only an error has none: it is
 * about the oldest command. So names that are asked for by different calls share a command only
 * when all are restored at once, and an error makes each be asked for by itself. */
#include <string.h>
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"
#include "conn/message.h"
#include "resp/encode.h"
#include "strategy/subscriber.h"

enum { BULK_MARGIN = 24, COMMAND_MARGIN = 64 };

struct feeding {
  struct feed feed;
  struct subscriber *subscriber;
  const char *argv[NAMES_AT_ONCE + 1];
  size_t len[NAMES_AT_ONCE + 1];
};

static struct feeding *of_feed(struct feed *f)
{
  return container_of(f, struct feeding, feed);
}

/* ---- out ---- */

static const char *const verbs[][2] = {
    [PMX_SUB_CHANNEL] = {"SUBSCRIBE", "UNSUBSCRIBE"},
    [PMX_SUB_PATTERN] = {"PSUBSCRIBE", "PUNSUBSCRIBE"},
    [PMX_SUB_SHARD] = {"SSUBSCRIBE", "SUNSUBSCRIBE"},
};

static struct topic *of_todo(struct list *node)
{
  return container_of(node, struct topic, todo);
}

static int leaves(const struct topic *t)
{
  return t->state == TOPIC_HELD;
}

static int go_together(const struct topic *a, const struct topic *b)
{
  return a->kind == b->kind && leaves(a) == leaves(b) && !a->alone && !b->alone;
}

/* From the head of the list the names for one command, behind its verb. How many. */
static int gather(struct feeding *fg, size_t room)
{
  struct list *todo = &fg->subscriber->todo;
  const struct topic *first = of_todo(todo->next);
  size_t used = COMMAND_MARGIN;
  int n = 0;

  for (struct list *node = todo->next; node != todo && n < NAMES_AT_ONCE; node = node->next) {
    const struct topic *t = of_todo(node);

    used += t->len + BULK_MARGIN;
    if (used > room || (n > 0 && !go_together(first, t)))
      break;
    n++;
    fg->argv[n] = t->name;
    fg->len[n] = t->len;
  }
  fg->argv[0] = verbs[first->kind][leaves(first)];
  fg->len[0] = strlen(fg->argv[0]);
  return n;
}

static void await(struct subscriber *s, struct awaited *a)
{
  a->command = s->command;
  list_push_back(&s->awaited, &a->node);
}

static size_t write_command(struct feeding *fg, char *buf, size_t room)
{
  struct subscriber *s = fg->subscriber;
  int n = list_empty(&s->todo) ? 0 : gather(fg, room);
  size_t written = n ? encode_small(buf, room, n + 1, fg->argv, fg->len) : 0;

  if (written == 0)
    return 0;
  s->command++;
  while (n-- > 0) {
    struct topic *t = of_todo(s->todo.next);

    list_remove(&t->todo);
    s->held -= (uint64_t)leaves(t);
    t->state = leaves(t) ? TOPIC_LEAVING : TOPIC_ASKED;
    await(s, &t->awaited);
  }
  return written;
}

static size_t write_ping(struct subscriber *s, char *buf, size_t room)
{
  static const char *const argv[] = {"PING"};
  size_t written;

  if (!s->wants_ping || list_linked(&s->ping.node))
    return 0;
  written = encode_small(buf, room, 1, argv, NULL);
  if (written == 0)
    return 0;
  s->wants_ping = 0;
  s->command++;
  await(s, &s->ping);
  return written;
}

static size_t fill(struct feed *f, char *buf, size_t size)
{
  struct feeding *fg = of_feed(f);
  struct subscriber *s = fg->subscriber;
  size_t used = 0, written;

  subscriber_enter(s);
  if (!s->closing) {
    while ((written = write_command(fg, buf + used, size - used)) > 0)
      used += written;
    used += write_ping(s, buf + used, size - used);
  }
  subscriber_leave(s);
  return used;
}

/* ---- in ---- */

static void confirmed(struct subscriber *s, const struct message *m)
{
  struct topic *t = m->name ? topics_find(&s->topics, m->kind, m->name, m->len) : NULL;
  int subscribed = m->what == MESSAGE_SUBSCRIBED;

  if (!t)
    return; /* of what is not wanted any more, or of nothing: "unsubscribe" without a name */
  if (t->state == (subscribed ? TOPIC_ASKED : TOPIC_LEAVING)) {
    list_remove(&t->awaited.node);
    if (subscribed)
      subscriber_held(s, t);
    else
      subscriber_absent(s, t);
  } else if (!subscribed && t->state == TOPIC_HELD) {
    subscriber_absent(s, t); /* unasked: its slot has moved, perhaps */
  }
}

static void answered_with_error(struct subscriber *s, struct topic *t, int several,
                                const pmx_reply *reply)
{
  list_remove(&t->awaited.node);
  if (t->state == TOPIC_LEAVING) {
    subscriber_absent(s, t); /* what it sends is nobody's */
  } else if (several) {
    t->state = TOPIC_ABSENT;
    t->alone = 1;
    subscriber_ask(s, t);
  } else {
    subscriber_refused(s, t, reply);
  }
}

/* 0: there is nothing that it could be about. */
static int fail_oldest(struct subscriber *s, const pmx_reply *reply)
{
  struct list *first = list_first(&s->awaited), *second;
  struct awaited *a;
  uint64_t command;
  int several;

  if (!first)
    return 0;
  a = container_of(first, struct awaited, node);
  command = a->command;
  second = first->next;
  several = second != &s->awaited && container_of(second, struct awaited, node)->command == command;
  while ((first = list_first(&s->awaited))) {
    a = container_of(first, struct awaited, node);
    if (a->command != command)
      break;
    if (a == &s->ping)
      list_remove(&a->node); /* it lives, and says so */
    else
      answered_with_error(s, container_of(a, struct topic, awaited), several, reply);
  }
  return 1;
}

static void count_push(struct feeding *fg, const pmx_reply *reply)
{
  struct link_env *env = fg->subscriber->env;
  size_t len = 0;
  const char *kind = pmx_reply_str(pmx_reply_at(reply, 0), &len);
  char buf[32];
  struct text text;

  text_init(&text, buf, sizeof buf);
  text_add_quoted(&text, kind ? kind : "?", kind ? len : 1, sizeof buf - 1);
  atomic_fetch_add_explicit(&env->pushes, 1, memory_order_relaxed);
  notice_event(env->notices, PMX_EVENT_PUSH, PMX_CAUSE_NONE, fg->feed.link.id, env->name, buf);
}

/* 0: the stream is out of step. */
static int handle(struct feeding *fg, const struct message *m, pmx_reply *reply)
{
  struct subscriber *s = fg->subscriber;
  struct topic *t;

  switch (m->what) {
  case MESSAGE_DATA:
    t = topics_find(&s->topics, m->kind, m->name, m->len);
    reply->type = PMX_TYPE_PUSH; /* whatever the protocol; nobody else has it yet */
    if (t)
      subscriber_deliver(s, t, reply);
    break;
  case MESSAGE_SUBSCRIBED:
  case MESSAGE_UNSUBSCRIBED:
    confirmed(s, m);
    break;
  case MESSAGE_PONG:
    list_remove(&s->ping.node);
    break;
  case MESSAGE_ERROR:
    return fail_oldest(s, reply);
  case MESSAGE_OTHER:
    count_push(fg, reply);
    break;
  case MESSAGE_BAD:
    return 0;
  }
  return 1;
}

static void poison(struct feed *f, const pmx_reply *reply)
{
  char buf[192];
  struct text text;
  size_t len = 0;
  const char *said = pmx_reply_str(reply, &len);

  text_init(&text, buf, sizeof buf);
  text_add(&text, "unexpected answer on the subscription connection: \"");
  text_add_quoted(&text, said ? said : "?", said ? len : 1, 80);
  text_add(&text, "\"");
  feed_poison(f, PMX_CAUSE_PROTOCOL, buf);
}

static void take(struct feed *f, pmx_reply *reply)
{
  struct feeding *fg = of_feed(f);
  struct message m;
  int in_step;

  message_read(reply, &m);
  subscriber_enter(fg->subscriber);
  in_step = handle(fg, &m, reply);
  subscriber_leave(fg->subscriber);
  if (!in_step)
    poison(f, reply);
  pmx_reply_free(reply);
}

static void lost(struct feed *f)
{
  subscriber_disconnected(of_feed(f)->subscriber);
}

/* ---- life ---- */

struct feeding *feeding_new(struct subscriber *s)
{
  struct feeding *fg = mem_zalloc(sizeof *fg);

  if (!fg)
    return NULL;
  if (feed_init(&fg->feed, s->env)) {
    mem_free(fg);
    return NULL;
  }
  fg->subscriber = s;
  fg->feed.take = take;
  fg->feed.fill = fill;
  fg->feed.lost = lost;
  return fg;
}

void feeding_free(struct feeding *fg)
{
  if (!fg)
    return;
  feed_destroy(&fg->feed);
  mem_free(fg);
}

struct feed *feeding_feed(struct feeding *fg)
{
  return &fg->feed;
}
