/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_scripts.c - the scripts that a thread of the soak test runs, and the hashes it scans,
 * while server and network fail and the client is replaced. */
#include <stdio.h>
#include <string.h>

#include "behaviour/soaking.h"
#include "behaviour/soaking_acts.h"

/* A script that gives back what it is given. */
void act_script(struct caller *w, struct opened *at, struct order *o)
{
  static const char lua[] = "return ARGV[1]";
  pmx_script *script = CALL(pmx_script_new)(lua, sizeof lua - 1);
  pmx_reply *reply;

  for (order_make(w, o); o->expect.kind != EXPECT_TEXT; order_make(w, o))
    order_done(o);
  mark_begin(&w->mark, "a script");
  reply = CALL(pmx_script_run)(at->client, &o->call, script, 0, 1, &o->argv[1], &o->len[1]);
  in_time(w, "a script", o->limit_ms);
  order_done(o);
  CALL(pmx_script_free)(script);
  w->calls++;
  w->answered += reply_judge(w->s, "a script", reply, &o->expect);
  CALL(pmx_reply_free)(reply);
}

static void judge_pair(struct caller *w, const pmx_reply *pair, const char *key)
{
  const char *field = CALL(pmx_reply_str)(CALL(pmx_reply_at)(pair, 0), NULL);
  const char *value = CALL(pmx_reply_str)(CALL(pmx_reply_at)(pair, 1), NULL);

  if (!field || !value || (strcmp(field, "own") != 0 && strcmp(field, "other") != 0) ||
      strcmp(value, strcmp(field, "own") == 0 ? key : "x") != 0)
    soak_wrong(w->s, "a scan of %s gave %s: %s", key, field ? field : "(none)",
               value ? value : "(none)");
}

/* A hash that every thread reads and nobody changes. */
void act_scan(struct caller *w, struct opened *at, struct order *o)
{
  struct expect expect = {.kind = EXPECT_HASH};
  const pmx_reply *pair;
  pmx_reply *err = NULL;
  pmx_scan *scan;
  char key[32];

  order_make(w, o);
  expect.placed = o->expect.placed;
  snprintf(key, sizeof key, "soak:h:%d", (int)rng_below(&w->rng, SOAK_THREADS));
  scan = CALL(pmx_scan_new)(at->client, "HSCAN", key, strlen(key), NULL, 0, 0);
  do {
    mark_begin(&w->mark, "a scan");
    pair = CALL(pmx_scan_next)(scan, &o->call, &err);
    in_time(w, "a scan", o->limit_ms);
    if (pair)
      judge_pair(w, pair, key);
  } while (pair && rng_below(&w->rng, 8));
  order_done(o);
  w->calls++;
  w->answered += err == NULL;
  if (err)
    reply_judge(w->s, "a scan", err, &expect);
  CALL(pmx_reply_free)(err);
  mark_begin(&w->mark, "pmx_scan_free");
  CALL(pmx_scan_free)(scan);
  in_time(w, "pmx_scan_free", 0);
}
