/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_tickets.c - asynchronous calls of the soak test, and user code that calls the library
 * inside callbacks: of replies, of the log, of events. Here nothing waits for long, and nobody
 * gives up the last reference to a client other than the callback's own, as that would wait for it.
 */
#include <stdlib.h>

#include "behaviour/behaviour.h"
#include "behaviour/soaking.h"

enum { QUICK_MS = 4 };

/* ---- tickets ---- */

struct ticket *ticket_new(struct opened *at, struct order *o)
{
  struct ticket *t = harness_alloc(sizeof *t);

  t->at = at;
  t->expect = o->expect;
  return t;
}

static const char *const formats[] = {"%s", "%s %s", "%s %s %s"};

bool ticket_begin(struct ticket *t, struct order *o, bool argv)
{
  pmx_client *client = t->at->client;
  pmx_status status;

  if (t->holds)
    CALL(pmx_ref)(client);
  if (argv)
    status = CALL(pmx_async_argv)(client, &o->call, ticket_told, t, o->argc, o->argv, o->len);
  else
    status = CALL(pmx_async)(client, &o->call, ticket_told, t, formats[o->argc - 1], o->argv[0],
                             o->argv[1], o->argv[2]);
  if (status != PMX_OK && t->holds)
    CALL(pmx_unref)(client);
  t->accepted = status == PMX_OK;
  return t->accepted;
}

void ticket_told(void *ticket, const pmx_reply *reply)
{
  struct ticket *t = ticket;
  struct opened *at = t->at;

  inside_begin(at, "reply");
  reply_judge(at->s, "callback", reply, &t->expect);
  inside_act(at, t->salt);
  if (t->holds)
    CALL(pmx_unref)(at->client);
  /* The release: whoever sees it may free the ticket. */
  atomic_fetch_add_explicit(&t->told, 1, memory_order_release);
  inside_end(at);
}

static bool is_told(void *arg)
{
  struct ticket *t = arg;

  return atomic_load_explicit(&t->told, memory_order_acquire) > 0;
}

void tickets_end(struct soaking *s, struct ticket *t)
{
  while (t) {
    struct ticket *next = t->next;

    if (t->accepted)
      wait_for(is_told, t, s->wrong ? 0 : SOAK_SLACK_MS);
    if (t->told != (t->accepted ? 1 : 0))
      soak_wrong(s, "a callback came %d times, accepted %d", (int)t->told, (int)t->accepted);
    free(t);
    t = next;
  }
}

/* ---- inside callbacks ---- */

void inside_begin(struct opened *o, const char *what)
{
  if (atomic_fetch_add_explicit(&o->inside, 1, memory_order_relaxed) != 0)
    soak_wrong(o->s, "two callbacks of one client at a time, one of them of %s", what);
  mark_begin(&o->mark, what);
}

void inside_end(struct opened *o)
{
  mark_end(&o->mark);
  atomic_fetch_sub_explicit(&o->inside, 1, memory_order_release);
}

/* A caller that exists in this callback only. */
static void inside_caller(struct caller *w, struct opened *o, uint64_t salt)
{
  *w = (struct caller){.s = o->s, .index = SOAK_THREADS + 1, .texts = salt << 8};
  rng_seed(&w->rng, salt);
}

static void quick(struct order *o)
{
  o->call.timeout_ms = QUICK_MS;
}

static void chain(struct opened *o, struct caller *w, struct order *order)
{
  struct ticket *t = ticket_new(o, order);

  ticket_begin(t, order, rng_below(&w->rng, 2));
  t->next = atomic_load_explicit(&o->tickets, memory_order_relaxed);
  atomic_store_explicit(&o->tickets, t, memory_order_release);
}

static void call_now(struct opened *o, struct order *order)
{
  pmx_reply *reply = CALL(pmx_argv)(o->client, &order->call, order->argc, order->argv, order->len);

  reply_judge(o->s, "a call inside a callback", reply, &order->expect);
  CALL(pmx_reply_free)(reply);
}

static void call_elsewhere(struct caller *w, struct order *order)
{
  struct slot *slot = &w->s->slots[rng_below(&w->rng, SOAK_SLOTS)];
  pmx_reply *reply;

  /* Under the lock of the slot: a reference might become the last one. */
  if (pthread_mutex_trylock(&slot->lock) != 0)
    return;
  if (slot->opened) {
    reply = CALL(pmx_do)(slot->opened->client, &order->call, "PING", (char *)NULL);
    CALL(pmx_reply_free)(reply);
  }
  pthread_mutex_unlock(&slot->lock);
}

static void wait_for_own(struct opened *o, struct caller *w, struct order *order)
{
  pmx_future *future =
      CALL(pmx_submit_argv)(o->client, &order->call, order->argc, order->argv, order->len);
  pmx_reply *reply;

  CALL(pmx_future_wait)(future, QUICK_MS);
  if (rng_below(&w->rng, 2)) {
    CALL(pmx_future_free)(future);
    return;
  }
  reply = CALL(pmx_future_take)(future);
  reply_judge(o->s, "a future inside a callback", reply, &order->expect);
  CALL(pmx_reply_free)(reply);
}

static void lend(struct opened *o, struct order *order)
{
  pmx_lease *lease = CALL(pmx_acquire)(o->client, &order->call, NULL);

  if (!lease)
    return;
  CALL(pmx_reply_free)(CALL(pmx_lease_command)(lease, &order->call, "PING"));
  CALL(pmx_release)(lease);
}

static void look_around(struct opened *o, struct caller *w)
{
  pmx_stats stats = PMX_STATS_INIT;

  CALL(pmx_stats_get)(o->client, &stats);
  if (CALL(pmx_dispatch)(o->client, QUICK_MS) > 0)
    soak_wrong(o->s, "pmx_dispatch ran callbacks inside a callback");
  client_set_some(&w->rng, o->client);
  CALL(pmx_unref)(CALL(pmx_ref)(o->client));
}

void inside_act(struct opened *o, uint64_t salt)
{
  struct caller w;
  struct order *order;
  unsigned what;

  inside_caller(&w, o, salt);
  what = (unsigned)rng_below(&w.rng, 200);
  if (what > 40 || !atomic_load(&o->client) || atomic_load(&o->s->stop))
    return;
  order = harness_alloc(sizeof *order);
  order_make(&w, order);
  quick(order);
  if (what < 20)
    chain(o, &w, order);
  else if (what < 24)
    call_now(o, order);
  else if (what < 28)
    call_elsewhere(&w, order);
  else if (what < 32)
    wait_for_own(o, &w, order);
  else if (what < 35)
    lend(o, order);
  else if (what < 40)
    look_around(o, &w);
  else
    CALL(pmx_close)(o->client, rng_below(&w.rng, 2) ? 0 : 50);
  order_done(order);
  free(order);
}
