/* SPDX-License-Identifier: BSD-3-Clause */
/* connect.c - poolmux-connect: what one more connection costs, as a worker of poolmux-bench that is
 * no contestant. A call connects, shakes hands, makes its command, and closes. How the library does
 * that is in connect_wire.c, which uses its inside, so that nothing else is measured. "tls-full"
 * forgets sessions before each handshake, "tls-resumed" keeps the last one, as a client does. */
#include <stdlib.h>
#include <string.h>

#include "connect_parts.h"
#include "worker.h"
#include "worker_replies.h"

struct self {
  const struct plan *plan;
  struct dialer **dialers; /* of each caller */
};

static void close_self(void *me)
{
  struct self *self = me;

  for (int i = 0; self->dialers && i < self->plan->callers; i++)
    dialer_free(self->dialers[i]);
  free(self->dialers);
  free(self);
}

static enum session session_of(const struct way *way)
{
  return strcmp(way->name, "tls-resumed") == 0 ? SESSION_RESUMED : SESSION_FORGOTTEN;
}

static void *open_self(const struct plan *plan, char why[WHY_SIZE])
{
  struct self *self = calloc(1, sizeof *self);

  snprintf(why, WHY_SIZE, "out of memory");
  if (!self)
    return NULL;
  self->plan = plan;
  self->dialers = calloc((size_t)plan->callers, sizeof(struct dialer *));
  for (int i = 0; self->dialers && i < plan->callers; i++) {
    self->dialers[i] = dialer_new(plan->url, session_of(plan->way), why, WHY_SIZE);
    if (!self->dialers[i]) {
      close_self(self);
      return NULL;
    }
  }
  if (self->dialers)
    return self;
  free(self);
  return NULL;
}

static void call_once(void *me, struct call *call)
{
  struct self *self = me;
  const struct command *c = call->task.commands;
  struct answer answer;
  char why[WHY_SIZE];
  redisReply *reply =
      dialer_call(self->dialers[call->place], c->argc, c->argv, c->len, why, sizeof why);

  if (!reply) {
    call_failed(call, 0, why);
    return;
  }
  reply_answer(reply, &answer);
  call_answer(call, 0, &answer);
  freeReplyObject(reply);
}

static const char *cannot(const struct plan *plan)
{
  return plan->workload.big_readers > 0 ? "only calls of callers" : dialer_cannot(plan->url);
}

#define COMMON .cannot = cannot, .open = open_self, .close = close_self, .call = call_once

static const struct way ways[] = {
    {.name = "plain",
     .what = "a connection for each call: connect, call, close",
     .can = "threads open-loop tcp unix",
     COMMON},
    {.name = "tls-full",
     .what = "a connection for each call, with a full handshake",
     .can = "threads open-loop tls",
     COMMON},
    {.name = "tls-resumed",
     .what = "a connection for each call, with a handshake that resumes the last session",
     .can = "threads open-loop tls",
     COMMON},
};

static void versions(FILE *out)
{
  fprintf(out, "version connect 1\n");
}

int main(int argc, char **argv)
{
  static const struct worker worker = {
      .name = "poolmux-connect",
      .ways = ways,
      .n = sizeof ways / sizeof *ways,
      .versions = versions,
  };

  return worker_main(&worker, argc, argv);
}
