/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_blocking.c - callers that are threads, over connections that block. A connection that
 * broke is replaced by the next call that needs it, as a careful program would do. */
#include "worker_blocking.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
  void *connection; /* NULL: it broke */
  struct place *next;
};

struct crowd {
  const struct blocking *how;
  const char *url;
  pthread_mutex_t mutex;
  pthread_cond_t returned;
  struct place *idle; /* behind the mutex; the one that was used last comes first */
  int n;
  struct place place[];
};

int pool_size(const struct plan *plan)
{
  cpu_set_t set;
  long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;

  if (n < 1)
    n = sysconf(_SC_NPROCESSORS_ONLN);
  n *= 4;
  n = n < 8 ? 8 : n > 64 ? 64 : n;
  if (plan->workload.connections)
    n = plan->workload.connections;
  return (int)n + plan_places(plan) - plan->callers;
}

struct crowd *crowd_open(const struct blocking *how, const char *url, int connections,
                         char why[WHY_SIZE])
{
  struct crowd *crowd = calloc(1, sizeof *crowd + (size_t)connections * sizeof *crowd->place);
  struct place *place;

  snprintf(why, WHY_SIZE, "out of memory");
  if (!crowd)
    return NULL;
  crowd->how = how;
  crowd->url = url;
  pthread_mutex_init(&crowd->mutex, NULL);
  pthread_cond_init(&crowd->returned, NULL);
  while (crowd->n < connections) {
    place = &crowd->place[crowd->n++];
    place->connection = how->open(url, why);
    if (!place->connection) {
      crowd_close(crowd);
      return NULL;
    }
    place->next = crowd->idle;
    crowd->idle = place;
  }
  return crowd;
}

void crowd_close(void *self)
{
  struct crowd *crowd = self;

  for (int i = 0; i < crowd->n; i++) {
    if (crowd->place[i].connection)
      crowd->how->close(crowd->place[i].connection);
  }
  pthread_cond_destroy(&crowd->returned);
  pthread_mutex_destroy(&crowd->mutex);
  free(crowd);
}

/* ---- calls ---- */

/* One reply, which is the answer to the i-th command. 0, or -1: the connection is broken. */
static int answer(const struct blocking *how, void *connection, struct call *call, int i)
{
  void *reply = how->reply(connection);
  struct answer got;

  if (!reply)
    return -1;
  how->read(reply, &got);
  call_answer(call, i, &got);
  how->free_reply(reply);
  return 0;
}

/* One reply that only has to be none of an error; why: what the error was, else as it is. */
static int skip(const struct blocking *how, void *connection, char why[WHY_SIZE])
{
  void *reply = how->reply(connection);
  struct answer got;

  if (!reply)
    return -1;
  how->read(reply, &got);
  if (got.type == ANSWER_FAILURE)
    snprintf(why, WHY_SIZE, "%.*s", (int)(got.len < WHY_SIZE ? got.len : WHY_SIZE - 1), got.text);
  how->free_reply(reply);
  return 0;
}

static void append_word(const struct blocking *how, void *connection, const char *word,
                        const struct command *key)
{
  const char *argv[] = {word, key ? key->argv[1] : NULL};
  size_t len[] = {strlen(word), key ? key->len[1] : 0};

  how->append(connection, key ? 2 : 1, argv, len);
}

static void append(const struct blocking *how, void *connection, const struct command *c)
{
  how->append(connection, c->argc, c->argv, c->len);
}

/* The answer to what was between MULTI and EXEC; why: of what went before. */
static int answer_exec(const struct blocking *how, void *connection, struct call *call,
                       char why[WHY_SIZE])
{
  void *reply = how->reply(connection);
  const void *element;
  struct answer got;

  if (!reply)
    return -1;
  element = how->element(reply, 0);
  how->read(element ? element : reply, &got);
  if (why[0])
    call_failed(call, 1, why);
  else
    call_answer(call, 1, &got);
  how->free_reply(reply);
  return 0;
}

/* WATCH and GET in one go, then MULTI, SET and EXEC. Returns how many commands are answered. */
static int transact(const struct blocking *how, void *connection, struct call *call)
{
  char why[WHY_SIZE] = "";

  append_word(how, connection, "WATCH", &call->task.commands[0]);
  append(how, connection, &call->task.commands[0]);
  if (skip(how, connection, why) != 0 || answer(how, connection, call, 0) != 0)
    return 0;
  append_word(how, connection, "MULTI", NULL);
  append(how, connection, &call->task.commands[1]);
  append_word(how, connection, "EXEC", NULL);
  if (skip(how, connection, why) != 0 || skip(how, connection, why) != 0)
    return 1;
  return answer_exec(how, connection, call, why) == 0 ? 2 : 1;
}

/* All commands at once. Returns how many are answered. */
static int call_all(const struct blocking *how, void *connection, struct call *call, int n)
{
  for (int i = 0; i < n; i++)
    append(how, connection, &call->task.commands[i]);
  for (int i = 0; i < n; i++) {
    if (answer(how, connection, call, i) != 0)
      return i;
  }
  return n;
}

static void fail(struct call *call, int from, int n, const char *why)
{
  for (int i = from; i < n; i++)
    call_failed(call, i, why);
}

static void call_by(struct crowd *crowd, struct place *place, struct call *call)
{
  const struct blocking *how = crowd->how;
  char why[WHY_SIZE];
  int n = call->task.n, answered;

  if (!place->connection)
    place->connection = how->open(crowd->url, why);
  if (!place->connection) {
    fail(call, 0, n, why);
    return;
  }
  answered = call->task.kind == KIND_TRANSACTION ? transact(how, place->connection, call)
                                                 : call_all(how, place->connection, call, n);
  if (answered == n)
    return;
  snprintf(why, sizeof why, "%s", how->error(place->connection));
  how->close(place->connection);
  place->connection = NULL;
  fail(call, answered, n, why);
}

void crowd_call_own(void *self, struct call *call)
{
  struct crowd *crowd = self;

  call_by(crowd, &crowd->place[call->place], call);
}

void crowd_call_pooled(void *self, struct call *call)
{
  struct crowd *crowd = self;
  struct place *place;

  pthread_mutex_lock(&crowd->mutex);
  while (!crowd->idle)
    pthread_cond_wait(&crowd->returned, &crowd->mutex);
  place = crowd->idle;
  crowd->idle = place->next;
  pthread_mutex_unlock(&crowd->mutex);
  call_by(crowd, place, call);
  pthread_mutex_lock(&crowd->mutex);
  place->next = crowd->idle;
  crowd->idle = place;
  pthread_mutex_unlock(&crowd->mutex);
  pthread_cond_signal(&crowd->returned);
}

/* ---- messages ---- */

/* Of an array of three: "message", the channel, and its bytes. */
static int take_message(const struct blocking *how, const void *reply, struct listener *listener)
{
  const void *type = how->element(reply, 0), *data = how->element(reply, 2);
  struct answer got;

  how->read(type ? type : reply, &got);
  if (got.type == ANSWER_TEXT && got.len == 9 && memcmp(got.text, "subscribe", 9) == 0) {
    listener_ready(listener);
    return 1;
  }
  if (!type || !data) {
    listener_failed(listener, got.type == ANSWER_FAILURE ? got.text : "not a message");
    return 0;
  }
  how->read(data, &got);
  return listener_message(listener, got.text, got.len);
}

void blocking_listen(const struct blocking *how, const char *url, struct listener *listener)
{
  const char *argv[] = {"SUBSCRIBE", listener->channel};
  size_t len[] = {9, listener->len};
  char why[WHY_SIZE];
  void *connection = how->open(url, why), *reply;
  int more = 1;

  if (!connection) {
    listener_failed(listener, why);
    return;
  }
  how->append(connection, 2, argv, len);
  while (more) {
    reply = how->reply(connection);
    if (reply) {
      more = take_message(how, reply, listener);
      how->free_reply(reply);
    } else {
      listener_failed(listener, how->error(connection));
      more = 0;
    }
  }
  how->close(connection);
}

void crowd_listen(void *self, struct listener *listener)
{
  struct crowd *crowd = self;

  blocking_listen(crowd->how, crowd->url, listener);
}
