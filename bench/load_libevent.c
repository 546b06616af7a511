/* SPDX-License-Identifier: BSD-3-Clause */
/* load_libevent.c - contestant of poolmux-load: hiredis' own asynchronous API under libevent. One
 * thread, one connection, N calls under way; each callback makes the next call. Without libevent it
 * only says so. */
#include "load_parts.h"

#include <stdio.h>

#if BENCH_LIBEVENT
#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <stdlib.h>

struct slot {
  struct events *events;
  struct command command;
  int64_t since_ns;
};

struct events {
  struct event_base *base;
  redisAsyncContext *context; /* NULL: it has freed itself */
  struct slot *slots;
  struct lap *lap;
  long left; /* calls to be made */
  int under_way;
  char why[LOAD_WHY];
};

/* ---- connecting ---- */

static void connected(const redisAsyncContext *context, int status)
{
  struct events *e = context->data;

  if (status != REDIS_OK) {
    snprintf(e->why, sizeof e->why, "%s", context->errstr);
    e->context = NULL;
  }
  event_base_loopbreak(e->base);
}

static void disconnected(const redisAsyncContext *context, int status)
{
  struct events *e = context->data;

  if (status != REDIS_OK)
    snprintf(e->why, sizeof e->why, "%s", context->errstr);
  e->context = NULL;
}

/* The context then belongs to the event loop: 0, or -1 with events->why. */
static int connect_to(struct events *e, const struct peer_address *address)
{
  redisAsyncContext *context = address->path ? redisAsyncConnectUnix(address->path)
                                             : redisAsyncConnect(address->host, address->port);

  if (!context || context->err || redisLibeventAttach(context, e->base) != REDIS_OK) {
    snprintf(e->why, sizeof e->why, "%s", context ? context->errstr : "out of memory");
    if (context)
      redisAsyncFree(context);
    return -1;
  }
  e->context = context;
  context->data = e;
  redisAsyncSetConnectCallback(context, connected);
  redisAsyncSetDisconnectCallback(context, disconnected);
  event_base_dispatch(e->base);
  return e->context ? 0 : -1;
}

static void close_events(void *self)
{
  struct events *e = self;

  if (e->context)
    redisAsyncFree(e->context);
  if (e->base)
    event_base_free(e->base);
  free(e->slots);
  free(e);
}

static void *open_events(const char *url, int callers, char why[LOAD_WHY])
{
  struct events *e = calloc(1, sizeof *e);
  struct peer_address address;

  snprintf(why, LOAD_WHY, "out of memory");
  if (!e)
    return NULL;
  e->slots = calloc((size_t)callers, sizeof *e->slots);
  e->base = e->slots ? event_base_new() : NULL;
  if (e->base && peer_parse(url, &address) == 0 && connect_to(e, &address) == 0)
    return e;
  if (e->base)
    snprintf(why, LOAD_WHY, "%s", e->why[0] ? e->why : "not such a URL");
  close_events(e);
  return NULL;
}

/* ---- calls ---- */

static void answered(redisAsyncContext *context, void *reply, void *data);

static int submit(struct slot *slot, int64_t now)
{
  struct events *e = slot->events;
  struct command *c = &slot->command;

  slot->since_ns = now;
  work_next(&e->lap->caller[0].dice, c);
  e->left--;
  e->under_way++;
  return redisAsyncCommandArgv(e->context, answered, slot, c->argc, c->argv, c->len);
}

static void answered(redisAsyncContext *context, void *reply, void *data)
{
  struct slot *slot = data;
  struct events *e = slot->events;
  int64_t now = now_ns();

  (void)context;
  e->under_way--;
  if (!work_fits(&slot->command, reply))
    snprintf(e->why, sizeof e->why, "%s: a strange answer, or none", slot->command.argv[0]);
  histogram_add(&e->lap->caller[0].times, now - slot->since_ns);
  if (e->left > 0 && now < e->lap->until_ns && !e->why[0] && submit(slot, now) != REDIS_OK)
    snprintf(e->why, sizeof e->why, "a call was refused");
  if (e->under_way == 0)
    event_base_loopbreak(e->base);
}

static int run(void *self, struct lap *lap)
{
  struct events *e = self;

  e->lap = lap;
  e->left = lap->calls;
  e->under_way = 0;
  lap_begin(lap);
  for (int i = 0; i < lap->callers && e->left > 0 && !e->why[0]; i++) {
    e->slots[i].events = e;
    if (submit(&e->slots[i], now_ns()) != REDIS_OK)
      snprintf(e->why, sizeof e->why, "a call was refused");
  }
  if (!e->why[0])
    event_base_dispatch(e->base);
  lap_end(lap);
  return e->why[0] ? lap_failed(lap, e->why) : 0;
}

#else

static void *open_events(const char *url, int callers, char why[LOAD_WHY])
{
  (void)url;
  (void)callers;
  snprintf(why, LOAD_WHY, "libevent was not found by configure");
  return NULL;
}

static int run(void *self, struct lap *lap)
{
  (void)self;
  return lap_failed(lap, "libevent is missing");
}

static void close_events(void *self)
{
  (void)self;
}

#endif

const struct contestant load_libevent = {
    .name = "libevent",
    .what = "one thread, hiredis' asynchronous API under libevent, N calls under way",
    .open = open_events,
    .run = run,
    .close = close_events,
};
