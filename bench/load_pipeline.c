/* SPDX-License-Identifier: BSD-3-Clause */
/* load_pipeline.c - contestant of poolmux-load: one thread and one hiredis context; N commands are
 * written at once, then N answers are read. The time of a call is counted from the beginning of its
 * batch. */
#include "load_parts.h"

#include <stdio.h>
#include <stdlib.h>

struct pipeline {
  redisContext *context;
  struct command *commands; /* of the batch that is under way */
};

static void *open_pipeline(const char *url, int callers, char why[LOAD_WHY])
{
  struct pipeline *p = calloc(1, sizeof *p);

  snprintf(why, LOAD_WHY, "out of memory");
  if (!p)
    return NULL;
  p->commands = calloc((size_t)callers, sizeof *p->commands);
  p->context = p->commands ? peer_open(url, why) : NULL;
  if (p->context)
    return p;
  free(p->commands);
  free(p);
  return NULL;
}

static void close_pipeline(void *self)
{
  struct pipeline *p = self;

  redisFree(p->context);
  free(p->commands);
  free(p);
}

static int take_answer(struct pipeline *p, const struct command *command)
{
  void *reply = NULL;
  int good = redisGetReply(p->context, &reply) == REDIS_OK && work_fits(command, reply);

  freeReplyObject(reply);
  return good;
}

static int run_batch(struct pipeline *p, struct caller *caller, int n)
{
  int64_t before = now_ns();
  struct command *c;

  for (int i = 0; i < n; i++) {
    c = &p->commands[i];
    work_next(&caller->dice, c);
    redisAppendCommandArgv(p->context, c->argc, c->argv, c->len);
  }
  for (int i = 0; i < n; i++) {
    if (!take_answer(p, &p->commands[i]))
      return 0;
    histogram_add(&caller->times, now_ns() - before);
  }
  return 1;
}

static int run(void *self, struct lap *lap)
{
  struct pipeline *p = self;
  long left = lap->calls;
  int good = 1, n;

  lap_begin(lap);
  while (good && left > 0 && now_ns() < lap->until_ns) {
    n = left < lap->callers ? (int)left : lap->callers;
    good = run_batch(p, &lap->caller[0], n);
    left -= n;
  }
  lap_end(lap);
  if (good)
    return 0;
  return lap_failed(lap, p->context->err ? p->context->errstr : "a strange answer");
}

const struct contestant load_pipeline = {
    .name = "pipeline",
    .what = "one thread, one hiredis context: N commands written, then N answers read",
    .open = open_pipeline,
    .run = run,
    .close = close_pipeline,
};
