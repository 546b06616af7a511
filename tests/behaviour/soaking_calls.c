/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_calls.c - the commands that a thread of the soak test sends, in every way there is:
 * calls, callbacks, futures, leases. Others use, close and replace the client meanwhile. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/soaking.h"
#include "behaviour/soaking_acts.h"

static const char *const formats[] = {"%s", "%s %s", "%s %s %s"};

static unsigned below(struct caller *w, unsigned n)
{
  return (unsigned)rng_below(&w->rng, n);
}

/* limit_ms: how long it may take by itself. */
void in_time(struct caller *w, const char *what, int64_t limit_ms)
{
  int64_t over = mark_end(&w->mark) - limit_ms;

  if (over > w->latest_ms)
    w->latest_ms = over;
  if (over > SOAK_SLACK_MS)
    soak_wrong(w->s, "%s ended %lld ms after its time", what, (long long)over);
}

/* ---- synchronous calls ---- */

static pmx_reply *vcommand(struct opened *o, const pmx_call *call, const char *format, ...)
{
  pmx_reply *reply;
  va_list args;

  va_start(args, format);
  reply = CALL(pmx_vcommand)(o->client, call, format, args);
  va_end(args);
  return reply;
}

static pmx_reply *call_somehow(struct caller *w, struct opened *at, struct order *o)
{
  const char *format = formats[o->argc - 1];

  switch (below(w, 5)) {
  case 0:
    return CALL(pmx_argv)(at->client, &o->call, o->argc, o->argv, below(w, 2) ? o->len : NULL);
  case 1:
    return CALL(pmx_do)(at->client, &o->call, o->argv[0], o->argv[1],
                        o->argc > 2 ? o->argv[2] : (char *)NULL, (char *)NULL);
  case 2:
    /* Without a call of its own: the client's command_timeout. */
    if (o->expect.kind != EXPECT_POP && o->limit_ms < SOAK_DEFAULT_MS)
      o->limit_ms = SOAK_DEFAULT_MS;
    else if (o->expect.kind == EXPECT_POP)
      o->limit_ms = SOAK_DEFAULT_MS + 1020;
    return CALL(pmx_command)(at->client, format, o->argv[0], o->argv[1], o->argv[2]);
  case 3:
    return vcommand(at, &o->call, format, o->argv[0], o->argv[1], o->argv[2]);
  default:
    return CALL(pmx_command_call)(at->client, &o->call, format, o->argv[0], o->argv[1], o->argv[2]);
  }
}

static void end_reply(struct caller *w, pmx_reply *reply, const struct expect *e)
{
  struct item item = {reply, *e};

  w->calls++;
  w->answered += reply_judge(w->s, "a call", reply, e);
  if (below(w, 8) == 0 && shelf_put(&w->s->replies, &item))
    return;
  if (below(w, 8) == 0)
    CALL(pmx_reply_finish)(reply);
  else
    CALL(pmx_reply_free)(reply);
}

void act_call(struct caller *w, struct opened *at, struct order *o)
{
  pmx_reply *reply;

  order_make(w, o);
  mark_begin(&w->mark, o->argv[0][0] == 'B' ? "a blocking call" : "a call");
  reply = call_somehow(w, at, o);
  in_time(w, "a call", o->limit_ms);
  order_done(o);
  end_reply(w, reply, &o->expect);
}

/* ---- callbacks and futures ---- */

void act_async(struct caller *w, struct opened *at, struct order *o)
{
  struct ticket *t;

  order_make(w, o);
  t = ticket_new(at, o);
  t->salt = rng_next(&w->rng);
  /* Not in a loop: when all others have gone, nobody would dispatch for it. */
  t->holds = below(w, 3) == 0 && CALL(pmx_client_fd)(at->client) < 0;
  mark_begin(&w->mark, "pmx_async");
  ticket_begin(t, o, below(w, 2));
  in_time(w, "pmx_async", 0);
  order_done(o);
  t->next = w->tickets;
  w->tickets = t;
}

void soak_future_end(struct caller *w, struct item *item)
{
  pmx_reply *reply;

  mark_begin(&w->mark, "pmx_future_take");
  reply = CALL(pmx_future_take)(item->thing);
  in_time(w, "pmx_future_take", SOAK_DEFAULT_MS + 1020);
  end_reply(w, reply, &item->expect);
}

void act_submit(struct caller *w, struct opened *at, struct order *o)
{
  struct item item;

  order_make(w, o);
  item.expect = o->expect;
  mark_begin(&w->mark, "pmx_submit");
  if (below(w, 2))
    item.thing = CALL(pmx_submit_argv)(at->client, &o->call, o->argc, o->argv, o->len);
  else
    item.thing = CALL(pmx_submit)(at->client, &o->call, formats[o->argc - 1], o->argv[0],
                                  o->argv[1], o->argv[2]);
  in_time(w, "pmx_submit", 0);
  order_done(o);
  if (!shelf_put(&w->s->futures, &item))
    soak_future_end(w, &item);
}

/* Somebody's future: looked at, waited for, taken or thrown away. */
void act_future(struct caller *w, struct opened *at, struct order *o)
{
  struct item item;

  (void)at;
  (void)o;
  if (!shelf_take(&w->s->futures, &w->rng, &item))
    return;
  mark_begin(&w->mark, "pmx_future_wait");
  CALL(pmx_future_wait)(item.thing, below(w, 4) ? (int64_t)below(w, 20) : PMX_FOREVER);
  in_time(w, "pmx_future_wait", SOAK_DEFAULT_MS + 1020);
  if (below(w, 8) == 0) {
    mark_begin(&w->mark, "pmx_future_free");
    CALL(pmx_future_free)(item.thing);
    in_time(w, "pmx_future_free", 0);
  } else if (below(w, 4) || !shelf_put(&w->s->futures, &item)) {
    soak_future_end(w, &item);
  }
}

void act_any(struct caller *w, struct opened *at, struct order *o)
{
  enum { MANY = 4 };
  pmx_future *futures[MANY];
  struct item items[MANY];
  int n = 0, found;

  (void)at;
  (void)o;
  while (n < MANY && shelf_take(&w->s->futures, &w->rng, &items[n])) {
    futures[n] = items[n].thing;
    n++;
  }
  mark_begin(&w->mark, "pmx_future_wait_any");
  found = CALL(pmx_future_wait_any)(futures, (size_t)n, (int64_t)below(w, 20));
  in_time(w, "pmx_future_wait_any", 20);
  if (found >= n)
    soak_wrong(w->s, "pmx_future_wait_any found %d of %d", found, n);
  if (found >= 0 && found < n && CALL(pmx_future_wait)(futures[found], 0) != 1)
    soak_wrong(w->s, "a future that pmx_future_wait_any found is not ready");
  for (int i = 0; i < n; i++) {
    if (i == found || !shelf_put(&w->s->futures, &items[i]))
      soak_future_end(w, &items[i]);
  }
}

/* A pop that nobody will be told of, and what it may take. */
void act_orphan(struct caller *w, struct opened *at, struct order *o)
{
  struct expect any = {.kind = EXPECT_INT};
  pmx_future *future;
  char list[64];

  (void)o;
  snprintf(list, sizeof list, "soak:l:%d", w->index);
  mark_begin(&w->mark, "pmx_submit");
  future = CALL(pmx_submit)(at->client, NULL, "BLPOP %s 0.02", list);
  in_time(w, "pmx_submit", 0);
  mark_begin(&w->mark, "pmx_future_free");
  CALL(pmx_future_free)(future);
  in_time(w, "pmx_future_free", 0);
  mark_begin(&w->mark, "a call");
  end_reply(w, CALL(pmx_command)(at->client, "RPUSH %s %s", list, list), &any);
  in_time(w, "a call", SOAK_DEFAULT_MS);
}

void act_dispatch(struct caller *w, struct opened *at, struct order *o)
{
  struct pollfd ready = {CALL(pmx_client_fd)(at->client), POLLIN, 0};
  int64_t ms = (int64_t)below(w, 8);
  int n;

  (void)o;
  if (ready.fd >= 0)
    poll(&ready, 1, (int)below(w, 5));
  mark_begin(&w->mark, "pmx_dispatch");
  n = CALL(pmx_dispatch)(at->client, ms);
  in_time(w, "pmx_dispatch", ms);
  if ((n < 0) != (ready.fd < 0))
    soak_wrong(w->s, "pmx_dispatch says %d, the descriptor is %d", n, ready.fd);
}

/* ---- leases ---- */

static pmx_reply *lease_say(struct caller *w, pmx_lease *lease, struct order *o)
{
  pmx_reply *reply;

  mark_begin(&w->mark, "a call on a lease");
  if (below(w, 2))
    reply = CALL(pmx_lease_argv)(lease, &o->call, o->argc, o->argv, o->len);
  else
    reply = CALL(pmx_lease_command)(lease, &o->call, formats[o->argc - 1], o->argv[0], o->argv[1],
                                    o->argv[2]);
  in_time(w, "a call on a lease", o->limit_ms);
  return reply;
}

/* The reply is the caller's. */
static pmx_reply *lease_word(struct caller *w, pmx_lease *lease, const char *words)
{
  pmx_reply *reply;

  mark_begin(&w->mark, "a word on a lease");
  reply = CALL(pmx_lease_command)(lease, NULL, words);
  in_time(w, "a word on a lease", SOAK_DEFAULT_MS);
  return reply;
}

/* MULTI, one command, EXEC: one element, which is the command's own. */
static void transact(struct caller *w, pmx_lease *lease, struct order *o)
{
  pmx_reply *reply;

  order_make(w, o);
  CALL(pmx_reply_free)(lease_word(w, lease, "MULTI"));
  CALL(pmx_reply_free)(lease_say(w, lease, o));
  order_done(o);
  reply = lease_word(w, lease, "EXEC");
  if (CALL(pmx_ok)(reply) && CALL(pmx_reply_len)(reply) == 1)
    reply_judge(w->s, "EXEC", CALL(pmx_reply_at)(reply, 0), &o->expect);
  CALL(pmx_reply_free)(reply);
}

void soak_lease_end(struct caller *w, pmx_lease *lease)
{
  pmx_status status;

  mark_begin(&w->mark, "pmx_release");
  status = CALL(pmx_release)(lease);
  in_time(w, "pmx_release", 0);
  if (status != PMX_OK && status != PMX_INVALID) /* INVALID: it was reclaimed */
    soak_wrong(w->s, "pmx_release: %s", pmx_status_str(status));
}

/* True: it was not changed, and somebody else may have it. */
static bool lease_use(struct caller *w, pmx_lease *lease, struct order *o)
{
  static const char *const words[] = {"WATCH soak:text", "MULTI", "CLIENT SETNAME lent",
                                      "SELECT 1"};
  unsigned what = below(w, 10);
  pmx_reply *reply;

  if (what == 4) {
    transact(w, lease, o);
  } else if (what < 4) {
    CALL(pmx_reply_free)(lease_word(w, lease, words[what]));
  } else {
    order_make(w, o);
    reply = lease_say(w, lease, o);
    order_done(o);
    end_reply(w, reply, &o->expect);
  }
  return what > 4;
}

/* Either a lease of somebody else, or a new one. A changed one is returned at once: what it answers
 * is no longer what an order expects. */
void act_lease(struct caller *w, struct opened *at, struct order *o)
{
  struct item item = {0};
  pmx_call call = call_in((int64_t)below(w, 30));
  unsigned fresh = below(w, 2);
  pmx_reply *err = NULL;

  if (fresh) {
    mark_begin(&w->mark, "pmx_acquire");
    item.thing = CALL(pmx_acquire)(at->client, &call, &err);
    in_time(w, "pmx_acquire", 30);
    if ((item.thing == NULL) != (err != NULL))
      soak_wrong(w->s, "pmx_acquire: a lease and a failure, or neither");
    CALL(pmx_reply_free)(err);
  } else {
    shelf_take(&w->s->leases, &w->rng, &item);
  }
  if (!item.thing)
    return;
  if (!lease_use(w, item.thing, o) || below(w, 3) || !shelf_put(&w->s->leases, &item))
    soak_lease_end(w, item.thing);
}
