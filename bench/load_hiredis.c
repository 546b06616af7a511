/* SPDX-License-Identifier: BSD-3-Clause */
/* load_hiredis.c - contestant of poolmux-load: each thread has a hiredis context of its own. */
#include "load_parts.h"

#include <stdio.h>
#include <stdlib.h>

struct contexts {
  int n;
  redisContext *context[];
};

static void close_all(void *self)
{
  struct contexts *all = self;

  for (int i = 0; i < all->n; i++)
    redisFree(all->context[i]);
  free(all);
}

static void *open_all(const char *url, int callers, char why[LOAD_WHY])
{
  struct contexts *all = malloc(sizeof *all + (size_t)callers * sizeof *all->context);

  snprintf(why, LOAD_WHY, "out of memory");
  if (!all)
    return NULL;
  for (all->n = 0; all->n < callers; all->n++) {
    all->context[all->n] = peer_open(url, why);
    if (!all->context[all->n]) {
      close_all(all);
      return NULL;
    }
  }
  return all;
}

static int call(void *self, struct caller *caller, struct command *command)
{
  redisContext *context = ((struct contexts *)self)->context[caller->place];
  redisReply *reply = redisCommandArgv(context, command->argc, command->argv, command->len);
  int good = work_fits(command, reply);

  if (!good)
    snprintf(caller->why, sizeof caller->why, "%s: %s", command->argv[0],
             reply ? "a strange answer" : context->errstr);
  freeReplyObject(reply);
  return good ? 0 : -1;
}

static int run(void *self, struct lap *lap)
{
  return crew_run(lap, call, self);
}

const struct contestant load_hiredis = {
    .name = "hiredis",
    .what = "N threads, each with a hiredis context of its own",
    .open = open_all,
    .run = run,
    .close = close_all,
};
