/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_acts.c - what a thread of the soak test does beside sending commands: it opens, closes
 * and replaces clients, fires tokens, changes options, reads replies that others have got; and
 * which of all these things it does next. */
#include "behaviour/soaking_acts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "harness/balance.h"

static unsigned below(struct caller *w, unsigned n)
{
  return (unsigned)rng_below(&w->rng, n);
}

/* ---- clients come and go ---- */

/* NULL leaves the slot empty for a while. */
static void replace(struct caller *w, struct opened *by)
{
  struct opened *old;

  client_put(&w->s->slots[below(w, SOAK_SLOTS)], by, &old);
  if (!old)
    return;
  mark_begin(&w->mark, "pmx_unref of a client that is replaced");
  client_drop(old);
  in_time(w, "pmx_unref", 0);
}

static void act_open(struct caller *w, struct opened *at, struct order *o)
{
  (void)at;
  (void)o;
  replace(w, client_open(w));
}

static void act_close(struct caller *w, struct opened *at, struct order *o)
{
  static const int64_t times[] = {0, 1, 20, 100, PMX_DEFAULT, -1};
  int64_t ms = times[below(w, sizeof times / sizeof times[0])];

  (void)o;
  mark_begin(&w->mark, "pmx_close");
  CALL(pmx_close)(at->client, ms);
  in_time(w, "pmx_close", SOAK_DEFAULT_MS + 1000);
  if (below(w, 4))
    replace(w, client_open(w));
}

/* ---- small things ---- */

static void act_cancel(struct caller *w, struct opened *at, struct order *o)
{
  struct token *t = &w->s->tokens[below(w, SOAK_TOKENS)];
  pmx_cancel *cancel;

  (void)at;
  (void)o;
  pthread_mutex_lock(&t->lock);
  cancel = t->cancel;
  t->users++;
  t->fired = t->fired || cancel;
  pthread_mutex_unlock(&t->lock);
  if (cancel)
    CALL(pmx_cancel_fire)(cancel);
  pthread_mutex_lock(&t->lock);
  t->users--;
  pthread_mutex_unlock(&t->lock);
}

static void act_set(struct caller *w, struct opened *at, struct order *o)
{
  (void)o;
  client_set_some(&w->rng, at->client);
  if (CALL(pmx_client_strategy)(at->client) != pmx_client_strategy(at->client))
    soak_wrong(w->s, "the strategy of a client has changed");
}

static void act_stats(struct caller *w, struct opened *at, struct order *o)
{
  pmx_stats st = PMX_STATS_INIT;
  char what[128];

  (void)o;
  CALL(pmx_stats_get)(at->client, &st);
  if (balance_broken(&st, what, sizeof what))
    soak_wrong(w->s, "%s", what);
  for (unsigned i = 0; CALL(pmx_stats_lane)(at->client, i, &st); i++) {
    if (balance_broken(&st, what, sizeof what))
      soak_wrong(w->s, "lane %u: %s", i, what);
  }
}

/* A text that has room, one that has not, and times that are in order. */
static void act_measure(struct caller *w, struct opened *at, struct order *o)
{
  static const char *const formats[] = {"text", "json", "prometheus"};
  pmx_histogram h = PMX_HISTOGRAM_INIT;
  char text[8192];
  size_t len = CALL(pmx_stats_text)(at->client, formats[rng_below(&w->rng, 3)], text, sizeof text);

  (void)o;
  if (len == 0 || strlen(text) != (len < sizeof text ? len : 0))
    soak_wrong(w->s, "%zu bytes of text, %zu of them there", len, strlen(text));
  CALL(pmx_stats_histogram)(at->client, (pmx_histogram_kind)rng_below(&w->rng, 5), &h);
  if (CALL(pmx_histogram_percentile)(&h, 10) > CALL(pmx_histogram_percentile)(&h, 90))
    soak_wrong(w->s, "the tenth percentile is above the ninetieth");
  if (h.count && h.max_ns > CALL(pmx_histogram_bound)(PMX_HISTOGRAM_BUCKETS - 1))
    soak_wrong(w->s, "a time without a bucket");
}

/* One sentence, however little room there is. */
static void act_explain(struct caller *w, struct opened *at, struct order *o)
{
  char text[200];
  size_t size = 1 + below(w, sizeof text - 1), n;

  order_make(w, o);
  n = CALL(pmx_explain)(at->client, o->argc, o->argv, o->len, text, size);
  order_done(o);
  if (n == 0 || strlen(text) != (n < size ? n : size - 1))
    soak_wrong(w->s, "pmx_explain says %zu, and \"%s\" in %zu bytes", n, text, size);
}

static void act_reload(struct caller *w, struct opened *at, struct order *o)
{
  pmx_reply *reply = CALL(pmx_reload_tls)(at->client);
  pmx_status status = CALL(pmx_reply_status)(reply);

  (void)o;
  if (status != (at->tls ? PMX_OK : PMX_INVALID) && pmx_reply_cause(reply) != PMX_CAUSE_CLOSED)
    soak_wrong(w->s, "pmx_reload_tls: %s", pmx_reply_error(reply));
  CALL(pmx_reply_free)(reply);
}

static void act_names(struct caller *w, struct opened *at, struct order *o)
{
  pmx_status status = (pmx_status)below(w, PMX_NOMEM + 1);
  pmx_cause cause = (pmx_cause)below(w, PMX_CAUSE_ABORTED + 1);

  (void)at;
  (void)o;
  if (!*CALL(pmx_status_str)(status) || !*CALL(pmx_cause_str)(cause) || !*CALL(pmx_version)() ||
      !*CALL(pmx_build_info)())
    soak_wrong(w->s, "a name is empty");
}

static void act_options(struct caller *w, struct opened *at, struct order *o)
{
  pmx_options *options = CALL(pmx_options_new)();

  (void)at;
  (void)o;
  options_fill(&w->rng, options);
  if (*CALL(pmx_options_error)(options))
    soak_wrong(w->s, "%s", pmx_options_error(options));
  CALL(pmx_options_set)(options, "pool.max_size", "none");
  if (!*CALL(pmx_options_error)(options) || !CALL(pmx_options_get)(options, "pool.max_size"))
    soak_wrong(w->s, "a bad option went unnoticed");
  CALL(pmx_options_free)(options);
}

/* A reply that another thread has got, read while others read it. */
static void act_reply(struct caller *w, struct opened *at, struct order *o)
{
  struct shelf *shelf = &w->s->replies;
  struct item *item = &shelf->items[below(w, SOAK_SHELF)];
  struct expect expect;
  pmx_reply *reply;

  (void)at;
  (void)o;
  pthread_mutex_lock(&shelf->lock);
  reply = item->thing ? CALL(pmx_reply_ref)(item->thing) : NULL;
  expect = item->expect;
  pthread_mutex_unlock(&shelf->lock);
  if (!reply)
    return;
  reply_judge(w->s, "a reply that is shared", reply, &expect);
  CALL(pmx_reply_free)(reply);
}

static void act_forget(struct caller *w, struct opened *at, struct order *o)
{
  struct item item;

  (void)at;
  (void)o;
  if (shelf_take(&w->s->replies, &w->rng, &item))
    CALL(pmx_reply_free)(item.thing);
}

/* ---- which of them ---- */

static const struct {
  act *fn;
  unsigned weight;
} acts[] = {
    {act_call, 400},       {act_async, 250},    {act_submit, 150}, {act_future, 150},
    {act_any, 60},         {act_dispatch, 150}, {act_lease, 120},  {act_open, 4},
    {act_close, 3},        {act_cancel, 15},    {act_set, 20},     {act_stats, 20},
    {act_names, 3},        {act_options, 3},    {act_reply, 40},   {act_forget, 20},
    {act_explain, 20},     {act_script, 60},    {act_scan, 60},    {act_batch, 60},
    {act_transaction, 20}, {act_sub, 40},       {act_orphan, 20},  {act_reload, 5},
    {act_measure, 10},
};

static act *any_act(struct caller *w)
{
  unsigned sum = 0, at;
  size_t i = 0;

  for (size_t k = 0; k < sizeof acts / sizeof acts[0]; k++)
    sum += acts[k].weight;
  at = below(w, sum);
  while (at >= acts[i].weight)
    at -= acts[i++].weight;
  return acts[i].fn;
}

void soak_act(struct caller *w)
{
  struct opened *at = client_take(w);
  struct order *o;

  if (!at) {
    replace(w, client_open(w));
    return;
  }
  o = harness_alloc(sizeof *o);
  any_act(w)(w, at, o);
  free(o);
  mark_begin(&w->mark, "pmx_unref");
  client_drop(at);
  in_time(w, "pmx_unref", 0);
}
