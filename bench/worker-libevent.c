/* SPDX-License-Identifier: BSD-3-Clause */
/* worker-libevent.c - worker for hiredis' asynchronous interface under libevent: one thread, one
 * context for all callers, and each answer's callback makes the next call. What occupies a
 * connection has one of its own: a consumer that blocks, a subscriber, and, as WATCH is the
 * connection's, a caller's transactions. A context that is lost ends the lap: it cannot be used
 * again, and all its calls with it. */
#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "peer.h"
#include "worker_replies.h"
#include "worker.h"

enum { LONGEST_TURN_NS = 100000000 };

struct loop {
  struct event_base *base;
  struct event *tick, *alarm; /* one ends each turn in time, one earlier */
  struct peer_address address;
  redisAsyncContext *shared;
  redisAsyncContext **own; /* of each place; NULL: not needed */
  redisAsyncContext **subscriber;
  int places, callers, readers, subscribers;
  int done; /* what is waited for while connecting has come */
  int closing;
  char *why; /* of open */
};

static void lost(const redisAsyncContext *context, const char *what)
{
  if (((struct loop *)context->data)->closing)
    return;
  fprintf(stderr, "poolmux-bench-libevent: %s: %s\n", what,
          context->err ? context->errstr : "the server closed the connection");
  exit(EXIT_FAILURE);
}

/* ---- connecting ---- */

static void connected(const redisAsyncContext *context, int status)
{
  struct loop *loop = context->data;

  if (status != REDIS_OK)
    snprintf(loop->why, WHY_SIZE, "%s", context->errstr);
  loop->done = 1;
}

static void disconnected(const redisAsyncContext *context, int status)
{
  (void)status;
  lost(context, "connection lost");
}

static void logged_in(redisAsyncContext *context, void *reply, void *data)
{
  struct loop *loop = context->data;
  const redisReply *r = reply;

  (void)data;
  if (!r || r->type == REDIS_REPLY_ERROR)
    snprintf(loop->why, WHY_SIZE, "login: %s", r ? r->str : context->errstr);
  loop->done = 1;
}

/* 0, or -1 with loop->why. */
static int wait_done(struct loop *loop)
{
  loop->why[0] = '\0';
  for (loop->done = 0; !loop->done;)
    event_base_loop(loop->base, EVLOOP_ONCE);
  return loop->why[0] ? -1 : 0;
}

static int log_in(struct loop *loop, redisAsyncContext *context)
{
  const struct peer_address *a = &loop->address;
  const char *argv[] = {"AUTH", a->user, a->password};

  if (!a->user[0])
    argv[1] = a->password;
  if (a->password[0]) {
    redisAsyncCommandArgv(context, logged_in, NULL, a->user[0] ? 3 : 2, argv, NULL);
    if (wait_done(loop) != 0)
      return -1;
  }
  if (!a->db)
    return 0;
  redisAsyncCommand(context, logged_in, NULL, "SELECT %d", a->db);
  return wait_done(loop);
}

/* NULL, and loop->why. When connecting fails the context frees itself. */
static redisAsyncContext *open_context(struct loop *loop)
{
  const struct peer_address *a = &loop->address;
  redisAsyncContext *context =
      a->path ? redisAsyncConnectUnix(a->path) : redisAsyncConnect(a->host, a->port);

  if (!context || context->err || redisLibeventAttach(context, loop->base) != REDIS_OK) {
    snprintf(loop->why, WHY_SIZE, "%s", context ? context->errstr : "out of memory");
    if (context)
      redisAsyncFree(context);
    return NULL;
  }
  context->data = loop;
  redisAsyncSetConnectCallback(context, connected);
  if (wait_done(loop) != 0)
    return NULL;
  if (log_in(loop, context) != 0) {
    redisAsyncFree(context);
    return NULL;
  }
  redisAsyncSetDisconnectCallback(context, disconnected);
  return context;
}

static int open_some(struct loop *loop, redisAsyncContext **contexts, int from, int to)
{
  for (int i = from; i < to; i++) {
    contexts[i] = open_context(loop);
    if (!contexts[i])
      return -1;
  }
  return 0;
}

static int open_contexts(struct loop *loop, const struct workload *w)
{
  if (open_some(loop, &loop->shared, 0, 1) != 0)
    return -1;
  if (w->transactions > 0 && open_some(loop, loop->own, 0, loop->callers) != 0)
    return -1;
  if (open_some(loop, loop->own, loop->callers, loop->readers) != 0)
    return -1;
  return open_some(loop, loop->subscriber, 0, loop->subscribers);
}

static void close_some(redisAsyncContext **contexts, int n)
{
  for (int i = 0; contexts && i < n; i++) {
    if (contexts[i])
      redisAsyncFree(contexts[i]);
  }
}

static void close_loop(void *self)
{
  struct loop *loop = self;

  loop->closing = 1;
  close_some(&loop->shared, 1);
  close_some(loop->own, loop->places);
  close_some(loop->subscriber, loop->subscribers);
  if (loop->tick)
    event_free(loop->tick);
  if (loop->alarm)
    event_free(loop->alarm);
  if (loop->base)
    event_base_free(loop->base);
  free(loop->own);
  free(loop->subscriber);
  free(loop);
}

/* ---- turns ---- */

static void timed_out(evutil_socket_t fd, short what, void *arg)
{
  (void)fd;
  (void)what;
  (void)arg;
}

static struct timeval interval(int64_t ns)
{
  ns = ns > 0 ? ns : 0;
  return (struct timeval){ns / 1000000000, (ns % 1000000000 + 999) / 1000};
}

/* Timers to the microsecond, where libevent's are to the millisecond else: calls at a rate are
 * begun between turns. 0, or -1. */
static int open_base(struct loop *loop)
{
  struct event_config *config = event_config_new();
  struct timeval often = interval(LONGEST_TURN_NS);

  if (!config)
    return -1;
  event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
  loop->base = event_base_new_with_config(config);
  event_config_free(config);
  if (!loop->base)
    return -1;
  loop->tick = event_new(loop->base, -1, EV_PERSIST, timed_out, NULL);
  loop->alarm = event_new(loop->base, -1, 0, timed_out, NULL);
  if (!loop->tick || !loop->alarm)
    return -1;
  event_add(loop->tick, &often);
  return 0;
}

static void turn(void *self, int64_t until_ns)
{
  struct loop *loop = self;
  int64_t left = until_ns - now_ns();
  struct timeval soon;

  if (left < LONGEST_TURN_NS) {
    soon = interval(left);
    event_add(loop->alarm, &soon);
  }
  event_base_loop(loop->base, EVLOOP_ONCE);
}

static void *open_loop(const struct plan *plan, char why[WHY_SIZE])
{
  struct loop *loop = calloc(1, sizeof *loop);

  snprintf(why, WHY_SIZE, "out of memory");
  if (!loop)
    return NULL;
  loop->why = why;
  loop->callers = plan->callers;
  loop->places = plan_places(plan);
  loop->readers = plan_readers(plan);
  loop->subscribers = (int)plan->workload.subscribers;
  loop->own = calloc((size_t)loop->places, sizeof *loop->own);
  loop->subscriber = calloc((size_t)loop->subscribers + 1, sizeof *loop->subscriber);
  if (loop->own && loop->subscriber && open_base(loop) == 0) {
    if (peer_parse(plan->url, &loop->address) != 0)
      snprintf(why, WHY_SIZE, "not a URL that is understood here");
    else if (open_contexts(loop, &plan->workload) == 0)
      return loop;
  }
  close_loop(loop);
  return NULL;
}

/* ---- calls ---- */

static void answered(redisAsyncContext *context, void *reply, void *data)
{
  struct part *part = data;
  struct answer answer;

  if (!reply) {
    lost(context, "call without an answer");
    return;
  }
  reply_answer(reply, &answer);
  call_answer(part->call, part->i, &answer);
}

static void submit(redisAsyncContext *context, redisCallbackFn *fn, struct part *part)
{
  struct command *c = &part->call->task.commands[part->i];

  if (redisAsyncCommandArgv(context, fn, part, c->argc, (const char **)c->argv, c->len) != REDIS_OK)
    lost(context, "a call was refused");
}

static void executed(redisAsyncContext *context, void *reply, void *data)
{
  const redisReply *element = reply ? reply_element(reply, 0) : NULL;

  answered(context, element ? (void *)element : reply, data);
}

/* The second half of a transaction. */
static void read_own(redisAsyncContext *context, void *reply, void *data)
{
  struct part *part = data, *write = &part->call->part[1];

  if (reply) {
    redisAsyncCommand(context, NULL, NULL, "MULTI");
    submit(context, NULL, write);
    redisAsyncCommand(context, executed, write, "EXEC");
  }
  answered(context, reply, part);
}

/* A connection whose WATCH is refused has no transactions to compare. */
static void watched(redisAsyncContext *context, void *reply, void *data)
{
  const redisReply *r = reply;

  (void)data;
  if (!r || r->type == REDIS_REPLY_ERROR)
    lost(context, r ? r->str : "WATCH");
}

static void issue(void *self, struct call *call)
{
  struct loop *loop = self;
  struct part *part = call->part;
  redisAsyncContext *own = loop->own[call->place];

  if (call->task.kind == KIND_TRANSACTION) {
    redisAsyncCommand(own, watched, NULL, "WATCH %b", part->call->task.commands[0].argv[1],
                      part->call->task.commands[0].len[1]);
    submit(own, read_own, part);
    return;
  }
  for (int i = 0, n = call->task.n; i < n; i++)
    submit(call->task.kind == KIND_POP ? own : loop->shared, answered, &part[i]);
}

/* ---- messages ---- */

static void came(redisAsyncContext *context, void *reply, void *data)
{
  struct listener *listener = data;
  const redisReply *type = reply ? reply_element(reply, 0) : NULL;
  const redisReply *text = reply ? reply_element(reply, 2) : NULL;

  if (!type || !text || type->type != REDIS_REPLY_STRING) {
    lost(context, "a message that is none");
  } else if (!listener->own && strcmp(type->str, "subscribe") == 0) {
    listener_ready(listener);
  } else if (!listener->own && !listener_message(listener, text->str, (size_t)text->len)) {
    listener->own = context; /* the last one */
  }
}

static void listen_to(void *self, struct listener *listener)
{
  struct loop *loop = self;

  listener->own = NULL;
  if (redisAsyncCommand(loop->subscriber[listener->place], came, listener, "SUBSCRIBE %b",
                        listener->channel, listener->len) != REDIS_OK)
    lost(loop->subscriber[listener->place], "SUBSCRIBE");
}

static const struct way ways[] = {{
    .name = "async",
    .what = "one thread, one asynchronous context under libevent",
    .can = "callbacks open-loop batches transactions blocking pubsub tcp unix",
    .open = open_loop,
    .close = close_loop,
    .issue = issue,
    .turn = turn,
    .listen = listen_to,
}};

static void versions(FILE *out)
{
  fprintf(out, "version hiredis %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
  fprintf(out, "version libevent %s\n", event_get_version());
}

int main(int argc, char **argv)
{
  static const struct worker worker = {
      .name = "poolmux-bench-libevent",
      .ways = ways,
      .n = sizeof ways / sizeof *ways,
      .versions = versions,
      .options = PEER_LOGIN_OPTIONS,
  };

  return worker_main(&worker, argc, argv);
}
