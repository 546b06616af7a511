/* SPDX-License-Identifier: BSD-3-Clause */
/* worker-poolmux_threads.c - callers that are threads: each waits for its call. */
#include "worker-poolmux_parts.h"

static void call_one(struct self *self, struct call *call)
{
  const struct command *c = call->task.commands;
  pmx_reply *reply = pmx_argv(self->client, NULL, c->argc, c->argv, c->len);

  answer_with(call, 0, reply);
  pmx_reply_free(reply);
}

static void call_batch(struct self *self, struct call *call)
{
  pmx_batch *batch = pmx_batch_new(self->client);
  const pmx_reply *one;
  pmx_reply *reply;
  int n = call->task.n;

  for (int i = 0; i < n; i++) {
    const struct command *c = &call->task.commands[i];

    pmx_batch_add_argv(batch, c->argc, c->argv, c->len);
  }
  reply = pmx_batch_exec(batch, NULL);
  for (int i = 0; i < n; i++) {
    one = pmx_reply_at(reply, (size_t)i);
    answer_with(call, i, one ? one : reply);
  }
  pmx_reply_free(reply);
  pmx_batch_free(batch);
}

/* ---- transactions ---- */

struct attempt {
  struct call *call;
  int looked; /* the answer to GET was judged: nobody else changes the key, so there is one try */
};

static int decide(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  struct attempt *attempt = ud;
  const struct command *get = &attempt->call->task.commands[0], *set = get + 1;
  pmx_reply *reply = pmx_lease_argv(lease, NULL, get->argc, get->argv, get->len);

  if (!attempt->looked)
    answer_with(attempt->call, 0, reply);
  attempt->looked = 1;
  pmx_reply_free(reply);
  return pmx_batch_add_argv(batch, set->argc, set->argv, set->len) == PMX_OK ? 0 : -1;
}

static void call_transaction(struct self *self, struct call *call)
{
  const struct command *c = call->task.commands;
  struct attempt attempt = {.call = call, .looked = 0};
  const pmx_reply *one;
  pmx_reply *reply =
      pmx_transaction(self->client, NULL, 1, &c->argv[1], &c->len[1], 0, decide, &attempt);

  if (!attempt.looked)
    answer_with(call, 0, reply);
  one = pmx_reply_at(reply, 0);
  answer_with(call, 1, one ? one : reply);
  pmx_reply_free(reply);
}

void threads_call(void *me, struct call *call)
{
  switch (call->task.kind) {
  case KIND_BATCH:
    call_batch(me, call);
    break;
  case KIND_TRANSACTION:
    call_transaction(me, call);
    break;
  default:
    call_one(me, call);
  }
}

/* ---- subscribers ---- */

/* 1: go on. */
static int take_message(struct listener *listener, const pmx_reply *reply)
{
  pmx_message message = PMX_MESSAGE_INIT;

  if (!pmx_message_get(reply, &message))
    listener_failed(listener, pmx_reply_error(reply));
  if (message.type == PMX_MESSAGE_GAP)
    listener_failed(listener, "messages were lost");
  return listener_message(listener, message.data, message.data_len);
}

void threads_listen(void *me, struct listener *listener)
{
  struct self *self = me;
  pmx_sub *sub = pmx_sub_new(self->client, NULL, NULL);
  pmx_call forever = PMX_CALL_INIT;
  pmx_reply *reply = pmx_sub_add(sub, NULL, PMX_SUB_CHANNEL, listener->channel, listener->len);
  int more = 1;

  forever.timeout_ms = PMX_FOREVER;
  if (!pmx_ok(reply))
    listener_failed(listener, pmx_reply_error(reply));
  pmx_reply_free(reply);
  listener_ready(listener);
  while (more) {
    reply = pmx_sub_next(sub, &forever);
    more = take_message(listener, reply);
    pmx_reply_free(reply);
  }
  pmx_sub_free(sub);
}
