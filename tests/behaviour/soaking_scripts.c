/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_scripts.c - the scripts that a thread of the soak test runs, while server and network
 * fail and the client is replaced. */
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
