/* SPDX-License-Identifier: BSD-3-Clause */
/* load_crew.c - callers of poolmux-load that are threads: each waits for its call. Starting and
 * ending them is outside of what is measured. */
#include "load_parts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct crew {
  struct lap *lap;
  crew_call call;
  void *self;
  long each;                 /* calls of one caller at most */
  pthread_barrier_t barrier; /* the callers and who measures: ready, go, done */
};

struct member {
  struct crew *crew;
  struct caller *caller;
  pthread_t thread;
};

static void loop(const struct crew *crew, struct caller *caller)
{
  int64_t before = now_ns(), after;
  struct command command;

  for (long i = 0; i < crew->each && before < crew->lap->until_ns; i++) {
    work_next(&caller->dice, &command);
    if (crew->call(crew->self, caller, &command) != 0)
      return;
    after = now_ns();
    histogram_add(&caller->times, after - before);
    before = after;
  }
}

static void *run(void *arg)
{
  struct member *member = arg;
  struct crew *crew = member->crew;

  pthread_barrier_wait(&crew->barrier);
  pthread_barrier_wait(&crew->barrier);
  loop(crew, member->caller);
  pthread_barrier_wait(&crew->barrier);
  return NULL;
}

static void start(struct crew *crew, struct member *members)
{
  for (int i = 0; i < crew->lap->callers; i++) {
    members[i] = (struct member){.crew = crew, .caller = &crew->lap->caller[i]};
    if (pthread_create(&members[i].thread, NULL, run, &members[i]) != 0) {
      perror("pthread_create");
      exit(EXIT_FAILURE);
    }
  }
}

int crew_run(struct lap *lap, crew_call call, void *self)
{
  struct crew crew = {.lap = lap, .call = call, .self = self, .each = LONG_MAX};
  struct member *members = calloc((size_t)lap->callers, sizeof *members);
  int failed = 0;

  if (!members)
    return lap_failed(lap, "out of memory");
  if (lap->calls != LONG_MAX)
    crew.each = lap->calls / lap->callers;
  pthread_barrier_init(&crew.barrier, NULL, (unsigned)lap->callers + 1);
  start(&crew, members);
  pthread_barrier_wait(&crew.barrier);
  lap_begin(lap);
  pthread_barrier_wait(&crew.barrier);
  pthread_barrier_wait(&crew.barrier);
  lap_end(lap);
  for (int i = 0; i < lap->callers; i++) {
    pthread_join(members[i].thread, NULL);
    if (lap->caller[i].why[0])
      failed = lap_failed(lap, lap->caller[i].why);
  }
  pthread_barrier_destroy(&crew.barrier);
  free(members);
  return failed;
}

/* ---- what the generator itself costs: threads that call nothing ---- */

static void *open_nothing(const char *url, int callers, char why[LOAD_WHY])
{
  static int nothing;

  (void)url;
  (void)callers;
  (void)why;
  return &nothing;
}

static int call_nothing(void *self, struct caller *caller, struct command *command)
{
  (void)self;
  (void)caller;
  return command->argc == 0 ? -1 : 0;
}

static int run_nothing(void *self, struct lap *lap)
{
  return crew_run(lap, call_nothing, self);
}

static void close_nothing(void *self)
{
  (void)self;
}

const struct contestant load_generator = {
    .name = "generator",
    .what = "N threads that call nothing: what measuring costs",
    .no_server = 1,
    .aside = 1,
    .open = open_nothing,
    .run = run_nothing,
    .close = close_nothing,
};
