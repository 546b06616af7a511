/* SPDX-License-Identifier: BSD-3-Clause */
/* series.c - see series.h. Knows nothing of what the commands are. */
#include "api/series.h"
#include "base/clock.h"
#include "call/reply.h"

pmx_reply *series_begin(struct series *s, pmx_client *c, const pmx_call *in, pmx_reply *bad_args)
{
  pmx_reply *failure = bad_args;

  s->client = c;
  s->rt = NULL;
  s->attempts = (struct attempts){0};
  s->began = 0;
  s->held = 0;
  s->sent = 0;
  if (!failure)
    failure = c ? call_read(c, in, &s->call)
                : reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the client is NULL");
  if (failure)
    return failure;
  s->began = s->call.started;
  call_hold(&s->call);
  s->held = 1;
  failure = call_may_begin(&s->call);
  if (!failure)
    s->rt = client_runtime(c, &failure);
  return failure;
}

pmx_reply *series_send(struct series *s, const struct args *args)
{
  char small[ENCODED_SMALL];
  struct order order;
  pmx_reply *reply;

  order_init(&order, NULL, 0);
  reply = call_make_order(s->client, &s->call, args, small, sizeof small, &order);
  if (!reply && s->sent++) {
    s->call.started = clock_ns();
    reply = call_may_begin(&s->call);
  }
  reply = reply ? retry_sum_up(&order, &s->attempts, reply)
                : call_perform(s->client, s->rt, args, &order, &s->call, &s->attempts);
  encoded_clear(&order.encoded);
  return reply;
}

void series_end(struct series *s, const pmx_reply *outcome)
{
  if (s->held)
    call_let_go(&s->call);
  if (s->client)
    call_count(s->client, outcome, s->began, 0);
}
