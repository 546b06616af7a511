/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_pipeline.c - a pipeline written by hand, over one connection that blocks. One thread: all
 * commands that wait are sent, then all their answers read; calls that are begun meanwhile are the
 * next batch. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "measure.h"
#include "worker_blocking.h"

struct batch {
  struct part **parts;
  size_t n, size;
};

struct pipeline {
  const struct blocking *how;
  const char *url;
  void *connection; /* NULL: it broke */
  struct batch waiting, sent;
  struct reader *readers;
};

/* A subscriber's own thread. */
struct reader {
  struct pipeline *pipeline;
  struct listener *listener;
  pthread_t thread;
  struct reader *next;
};

struct pipeline *pipeline_open(const struct blocking *how, const char *url, char why[WHY_SIZE])
{
  struct pipeline *p = calloc(1, sizeof *p);

  snprintf(why, WHY_SIZE, "out of memory");
  if (!p)
    return NULL;
  p->how = how;
  p->url = url;
  p->connection = how->open(url, why);
  if (p->connection)
    return p;
  free(p);
  return NULL;
}

void pipeline_close(void *self)
{
  struct pipeline *p = self;
  struct reader *reader;

  while ((reader = p->readers)) {
    p->readers = reader->next;
    pthread_join(reader->thread, NULL);
    free(reader);
  }
  if (p->connection)
    p->how->close(p->connection);
  free(p->waiting.parts);
  free(p->sent.parts);
  free(p);
}

static int add(struct batch *batch, struct part *part)
{
  struct part **parts = batch->parts;

  if (batch->n == batch->size) {
    parts = realloc(parts, (2 * batch->size + 64) * sizeof *parts);
    if (!parts)
      return -1;
    batch->parts = parts;
    batch->size = 2 * batch->size + 64;
  }
  parts[batch->n++] = part;
  return 0;
}

void pipeline_issue(void *self, struct call *call)
{
  struct pipeline *p = self;

  for (int i = 0, n = call->task.n; i < n; i++) {
    if (add(&p->waiting, &call->part[i]) != 0)
      call_failed(call, i, "out of memory");
  }
}

void pause_until(int64_t until_ns)
{
  int64_t most = now_ns() + 100000000;
  struct timespec when;

  until_ns = until_ns < most ? until_ns : most;
  when = (struct timespec){until_ns / 1000000000, until_ns % 1000000000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

/* Returns how many were answered. With its last answer a call is over, and begun again. */
static size_t send_all(struct pipeline *p)
{
  const struct command *c;
  struct answer got;
  struct part *part;
  void *reply;

  for (size_t i = 0; i < p->sent.n; i++) {
    part = p->sent.parts[i];
    c = &part->call->task.commands[part->i];
    p->how->append(p->connection, c->argc, c->argv, c->len);
  }
  for (size_t i = 0; i < p->sent.n; i++) {
    reply = p->how->reply(p->connection);
    if (!reply)
      return i;
    p->how->read(reply, &got);
    call_answer(p->sent.parts[i]->call, p->sent.parts[i]->i, &got);
    p->how->free_reply(reply);
  }
  return p->sent.n;
}

static void fail_rest(struct pipeline *p, size_t answered, const char *why)
{
  for (; answered < p->sent.n; answered++)
    call_failed(p->sent.parts[answered]->call, p->sent.parts[answered]->i, why);
}

void pipeline_turn(void *self, int64_t until_ns)
{
  struct pipeline *p = self;
  struct batch batch = p->sent;
  char why[WHY_SIZE];
  size_t answered = 0;

  if (p->waiting.n == 0) {
    pause_until(until_ns);
    return;
  }
  p->sent = p->waiting;
  p->waiting = batch;
  p->waiting.n = 0;
  if (!p->connection)
    p->connection = p->how->open(p->url, why);
  if (p->connection) {
    answered = send_all(p);
    if (answered == p->sent.n)
      return;
    snprintf(why, sizeof why, "%s", p->how->error(p->connection));
    p->how->close(p->connection);
    p->connection = NULL;
  }
  fail_rest(p, answered, why);
}

/* ---- messages ---- */

static void *read_messages(void *arg)
{
  struct reader *reader = arg;

  blocking_listen(reader->pipeline->how, reader->pipeline->url, reader->listener);
  return NULL;
}

void pipeline_listen(void *self, struct listener *listener)
{
  struct pipeline *p = self;
  struct reader *reader = malloc(sizeof *reader);

  if (reader) {
    *reader = (struct reader){.pipeline = p, .listener = listener, .next = p->readers};
    if (pthread_create(&reader->thread, NULL, read_messages, reader) == 0) {
      p->readers = reader;
      return;
    }
    free(reader);
  }
  listener_failed(listener, "no thread for it");
}
