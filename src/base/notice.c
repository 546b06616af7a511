/* SPDX-License-Identifier: BSD-3-Clause */
/* notice.c - owns log lines and events between the thread that has something to say and the thread
 * that may run user code. Knows nothing of their meaning. Nothing here waits, and nothing is
 * allocated or formatted for a callback that is not set. */
#include "base/notice.h"
#include "base/mem.h"
#include "base/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NOTICES_MAX = 1024, LINE_SIZE = 1024, NONE = -1 };

struct notice {
  struct list node;
  int level; /* NONE: an event */
  const char *component;
  pmx_event event;
  pmx_reply *reply; /* or NULL; of the event */
  void (*drop)(pmx_reply *);
  char text[]; /* the line; or endpoint, NUL, detail */
};

void notices_init(struct notices *n, pmx_log_fn log, pmx_log_level max, void *log_ud,
                  pmx_event_fn event, void *event_ud)
{
  memset(n, 0, sizeof *n);
  lock_init(&n->lock);
  list_init(&n->queue);
  n->log = log;
  n->log_max = max;
  n->log_ud = log_ud;
  n->event = event;
  n->event_ud = event_ud;
}

static void drop(struct notice *it)
{
  if (it && it->level == NONE && it->reply)
    it->drop(it->reply);
  mem_free(it);
}

void notices_destroy(struct notices *n)
{
  struct list *node;

  while ((node = list_first(&n->queue)) != NULL) {
    list_remove(node);
    drop(container_of(node, struct notice, node));
  }
  lock_destroy(&n->lock);
}

/* 1: there is no room for it. What a reply is of is nowhere else: it goes in. */
static int is_full(const struct notices *n, const struct notice *it)
{
  if (it->level == NONE)
    return n->queued.events >= NOTICES_MAX && !it->reply;
  return n->queued.lines >= NOTICES_MAX;
}

/* Takes `it` over; NULL: there was no memory for it. */
static void enqueue(struct notices *n, struct notice *it, int is_event)
{
  int dropped;

  lock_acquire(&n->lock);
  dropped = !it || is_full(n, it);
  if (dropped) {
    n->dropped.events += (uint64_t)is_event;
    n->dropped.lines += (uint64_t)!is_event;
  } else {
    list_push_back(&n->queue, &it->node);
    n->queued.events += (uint64_t)is_event;
    n->queued.lines += (uint64_t)!is_event;
  }
  atomic_store(&n->waiting, 1);
  lock_release(&n->lock);
  if (dropped)
    mem_free(it);
  if (n->wake)
    n->wake(n->wake_arg);
}

/* One line of printable bytes, whatever a server or a host name put into it. */
static void make_printable(char *line)
{
  for (; *line; line++)
    if ((unsigned char)*line < ' ' || (unsigned char)*line > '~')
      *line = '?';
}

void notice_log(struct notices *n, pmx_log_level level, const char *component, const char *format,
                ...)
{
  char line[LINE_SIZE];
  struct notice *it;
  struct text text;
  va_list args;

  if (!n->log || level > n->log_max)
    return;
  text_init(&text, line, sizeof line);
  va_start(args, format);
  text_vadd(&text, format, args);
  va_end(args);
  make_printable(line);
  it = mem_alloc(sizeof *it + text.len + 1);
  if (it) {
    list_init(&it->node);
    it->level = (int)level;
    it->component = component;
    memcpy(it->text, line, text.len + 1);
  }
  enqueue(n, it, 0);
}

static struct notice *make_event(pmx_event_type type, pmx_cause cause, uint64_t conn_id,
                                 const char *endpoint, const char *detail)
{
  size_t endpoint_size = endpoint ? strlen(endpoint) + 1 : 0;
  size_t detail_size = detail ? strlen(detail) + 1 : 0;
  struct notice *it = mem_zalloc(sizeof *it + endpoint_size + detail_size);

  if (!it)
    return NULL;
  list_init(&it->node);
  it->level = NONE;
  it->event.size = sizeof it->event;
  it->event.type = type;
  it->event.cause = cause;
  it->event.conn_id = conn_id;
  if (endpoint)
    it->event.endpoint = memcpy(it->text, endpoint, endpoint_size);
  if (detail)
    it->event.detail = memcpy(it->text + endpoint_size, detail, detail_size);
  return it;
}

void notice_event(struct notices *n, pmx_event_type type, pmx_cause cause, uint64_t conn_id,
                  const char *endpoint, const char *detail)
{
  if (n->event)
    enqueue(n, make_event(type, cause, conn_id, endpoint, detail), 1);
}

void notice_event_reply(struct notices *n, pmx_event_type type, const char *endpoint,
                        const char *detail, pmx_reply *reply, void (*drop_reply)(pmx_reply *))
{
  struct notice *it = n->event ? make_event(type, PMX_CAUSE_NONE, 0, endpoint, detail) : NULL;

  if (it) {
    it->event.reply = it->reply = reply;
    it->drop = drop_reply;
  } else {
    drop_reply(reply);
  }
  if (n->event)
    enqueue(n, it, 1);
}

static void deliver(struct notices *n, struct notice *it)
{
  if (it->level == NONE)
    n->event(n->event_ud, &it->event);
  else
    n->log(n->log_ud, (pmx_log_level)it->level, it->component, it->text);
  drop(it);
}

/* In order: they came after what was delivered before this. A callback may fork. */
static int deliver_dropped(struct notices *n, const struct notice_count *dropped)
{
  uint32_t generation = fork_generation();
  char text[96];
  pmx_event event = {.size = sizeof event, .type = PMX_EVENT_DROPPED, .detail = text};
  int told = 0;

  if (!dropped->events && !dropped->lines)
    return 0;
  snprintf(text, sizeof text, "dropped: %" PRIu64 " events and %" PRIu64 " lines of the log",
           dropped->events, dropped->lines);
  if (dropped->events) {
    n->event(n->event_ud, &event);
    told++;
  }
  if (n->log && n->log_max >= PMX_LOG_WARN && generation == fork_generation()) {
    n->log(n->log_ud, PMX_LOG_WARN, "notice", text);
    told++;
  }
  return told;
}

/* A callback may fork: in the child the rest is the parent's. */
int notices_deliver(struct notices *n)
{
  uint32_t generation = fork_generation();
  struct list ready, *node;
  struct notice_count dropped;
  int delivered = 0;

  if (!notices_pending(n))
    return 0;
  lock_acquire(&n->lock);
  list_take(&ready, &n->queue);
  dropped = n->dropped;
  n->queued = n->dropped = (struct notice_count){0, 0};
  atomic_store(&n->waiting, 0);
  lock_release(&n->lock);
  while ((node = list_first(&ready)) != NULL && generation == fork_generation()) {
    list_remove(node);
    deliver(n, container_of(node, struct notice, node));
    delivered++;
  }
  return generation == fork_generation() ? delivered + deliver_dropped(n, &dropped) : delivered;
}

int notices_pending(struct notices *n)
{
  return atomic_load_explicit(&n->waiting, memory_order_acquire);
}
