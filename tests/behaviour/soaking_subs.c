/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_subs.c - consumers of messages in the soak test: made, used and freed while others close
 * and replace their client. Every message says which channel it was published to. */
#include <stdio.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/soaking_acts.h"

enum { CHANNELS = 4 };

static unsigned below(struct caller *w, unsigned n)
{
  return (unsigned)rng_below(&w->rng, n);
}

static const char *channel_name(struct caller *w, char buf[32])
{
  snprintf(buf, 32, "soak:channel:%u", below(w, CHANNELS));
  return buf;
}

static void judge(struct soaking *s, const pmx_message *m)
{
  if (m->type == PMX_MESSAGE_DATA &&
      (!m->data || m->data_len != m->channel_len || strcmp(m->data, m->channel) != 0))
    soak_wrong(s, "a message of %s says \"%.40s\"", m->channel, m->data ? m->data : "(none)");
}

static void on_message(void *ud, const pmx_message *m)
{
  struct opened *at = ud;

  inside_begin(at, "a message");
  judge(at->s, m);
  inside_end(at);
}

/* What may become of a call: it is done, or it is not and says so. */
static void finish(struct caller *w, const char *what, pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);

  if (status != PMX_OK && status != PMX_NOT_RUN && status != PMX_UNKNOWN && status != PMX_NOMEM)
    soak_wrong(w->s, "%s ended %s: %s", what, pmx_status_str(status), pmx_reply_error(reply));
  pmx_reply_free(reply);
}

static void pull(struct caller *w, pmx_sub *sub, const pmx_call *call)
{
  pmx_reply *reply = CALL(pmx_sub_next)(sub, call);
  pmx_message m = PMX_MESSAGE_INIT;
  int got = CALL(pmx_message_get)(reply, &m);

  if (got != pmx_ok(reply))
    soak_wrong(w->s, "what pmx_sub_next returned is no message");
  if (got)
    judge(w->s, &m);
  finish(w, "pmx_sub_next", reply);
}

static void use(struct caller *w, struct opened *at, pmx_sub *sub, bool pulls, struct order *o)
{
  char name[32];
  pmx_sub_kind kind = below(w, 3) ? PMX_SUB_CHANNEL : PMX_SUB_PATTERN;

  channel_name(w, name);
  switch (below(w, 6)) {
  case 0:
  case 1:
    finish(w, "pmx_sub_add", CALL(pmx_sub_add)(sub, &o->call, kind, name, strlen(name)));
    break;
  case 2:
    finish(w, "pmx_sub_remove", CALL(pmx_sub_remove)(sub, &o->call, kind, name, strlen(name)));
    break;
  case 3:
    if (pulls)
      pull(w, sub, &o->call);
    break;
  default:
    o->call.flags &= ~(uint64_t)(PMX_CALL_DEDICATED | PMX_CALL_SHARED); /* judged by act_call */
    finish(w, "PUBLISH", pmx_do(at->client, &o->call, "PUBLISH", name, name, (char *)NULL));
    break;
  }
}

void act_sub(struct caller *w, struct opened *at, struct order *o)
{
  bool pulls = below(w, 2);
  pmx_sub *sub = CALL(pmx_sub_new)(at->client, pulls ? NULL : on_message, at);

  for (unsigned n = below(w, 8); sub && n > 0; n--) {
    order_make(w, o);
    mark_begin(&w->mark, "a call on a subscription");
    use(w, at, sub, pulls, o);
    in_time(w, "a call on a subscription", SOAK_DEFAULT_MS + 1020);
    order_done(o);
  }
  mark_begin(&w->mark, "pmx_sub_free");
  CALL(pmx_sub_free)(sub);
  in_time(w, "pmx_sub_free", 0);
}
