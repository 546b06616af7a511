/* SPDX-License-Identifier: BSD-3-Clause */
/* worker-poolmux.c - poolmux-bench-poolmux: the library itself, with each of its strategies. Here
 * are its ways, and callers that are threads. */
#include <poolmux/poolmux.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "worker.h"

struct self {
  pmx_client *client;
};

/* ---- answers ---- */

static void answer_of(const pmx_reply *reply, struct answer *ret)
{
  memset(ret, 0, sizeof *ret);
  ret->type = ANSWER_OTHER;
  if (!pmx_ok(reply)) {
    ret->type = ANSWER_FAILURE;
    ret->text = pmx_reply_error(reply);
    ret->len = strlen(ret->text);
    return;
  }
  switch (pmx_reply_type(reply)) {
  case PMX_TYPE_NIL:
    ret->type = ANSWER_NIL;
    break;
  case PMX_TYPE_SIMPLE:
    ret->type = ANSWER_STATUS;
    break;
  case PMX_TYPE_STRING:
    ret->type = ANSWER_TEXT;
    ret->text = pmx_reply_str(reply, &ret->len);
    break;
  case PMX_TYPE_INTEGER:
    ret->type = ANSWER_NUMBER;
    ret->number = pmx_reply_int(reply, NULL);
    break;
  case PMX_TYPE_ARRAY:
    ret->text = pmx_reply_str(pmx_reply_at(reply, 0), &ret->len);
    ret->second = pmx_reply_str(pmx_reply_at(reply, 1), &ret->second_len);
    if (pmx_reply_len(reply) == 2 && ret->text && ret->second)
      ret->type = ANSWER_PAIR;
    break;
  default:
    break;
  }
}

static void answer(struct call *call, int i, const pmx_reply *reply)
{
  struct answer a;

  answer_of(reply, &a);
  call_answer(call, i, &a);
}

/* ---- callers that are threads ---- */

static void call_one(struct self *self, struct call *call)
{
  const struct command *c = call->task.commands;
  pmx_reply *reply = pmx_argv(self->client, NULL, c->argc, c->argv, c->len);

  answer(call, 0, reply);
  pmx_reply_free(reply);
}

static void call_thread(void *me, struct call *call)
{
  call_one(me, call);
}

/* ---- clients ---- */

static pmx_client *open_client(const struct plan *plan, const char *strategy, char why[WHY_SIZE])
{
  pmx_options *options = pmx_options_new();
  char size[NUMBER_SIZE];
  pmx_client *client;
  pmx_reply *err;

  snprintf(size, sizeof size, "%d", plan_places(plan));
  pmx_options_set(options, "strategy", strategy);
  pmx_options_set(options, "pool.max_size", size);
  client = pmx_open(plan->url, options, &err);
  if (!client)
    snprintf(why, WHY_SIZE, "%s", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

static void *open_self(const struct plan *plan, char why[WHY_SIZE])
{
  struct self *self = calloc(1, sizeof *self);

  if (!self)
    return NULL;
  self->client = open_client(plan, plan->way->name, why);
  if (self->client)
    return self;
  free(self);
  return NULL;
}

static void close_self(void *me)
{
  struct self *self = me;

  pmx_unref(self->client);
  free(self);
}

static const struct way ways[] = {
    {.name = "pool",
     .what = "one client with strategy=pool, a connection for each caller",
     .can = "threads open-loop tcp unix tls blocking",
     .open = open_self,
     .close = close_self,
     .call = call_thread},
    {.name = "mux",
     .what = "one client with strategy=mux, one connection for all callers",
     .can = "threads open-loop tcp unix tls",
     .open = open_self,
     .close = close_self,
     .call = call_thread},
    {.name = "hybrid",
     .what = "one client with strategy=hybrid",
     .can = "threads open-loop tcp unix tls blocking",
     .open = open_self,
     .close = close_self,
     .call = call_thread},
};

static void versions(FILE *out)
{
  fprintf(out, "version poolmux %s (%s)\n", pmx_version(), pmx_build_info());
}

int main(int argc, char **argv)
{
  static const struct worker worker = {"poolmux-bench-poolmux", ways, sizeof ways / sizeof *ways,
                                       versions};

  return worker_main(&worker, argc, argv);
}
