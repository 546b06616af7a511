/* SPDX-License-Identifier: BSD-3-Clause */
/* leasing.c - see leasing.h. Ends the running test when what must work does not; its assertions
 * belong to the thread that runs the test. */
#include "behaviour/leasing.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"

enum { WORDS_MAX = 16, LINE_SIZE = 512 };

/* ---- leases ---- */

pmx_lease *take(pmx_client *client)
{
  pmx_reply *failure;
  pmx_lease *lease = pmx_acquire(client, NULL, &failure);

  ck_assert_msg(lease != NULL, "no lease: %s", pmx_reply_error(failure));
  return lease;
}

void give_back(pmx_lease *lease)
{
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
}

static int64_t take_int(pmx_reply *reply)
{
  int64_t value;
  int ok;

  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  value = pmx_reply_int(reply, &ok);
  ck_assert(ok);
  pmx_reply_free(reply);
  return value;
}

int64_t lease_id(pmx_lease *lease)
{
  return take_int(pmx_lease_command(lease, NULL, "CLIENT ID"));
}

int64_t client_id(pmx_client *client)
{
  return take_int(pmx_command(client, "CLIENT ID"));
}

int64_t client_id_alone(pmx_client *client)
{
  pmx_call call = call_alone(client, PMX_DEFAULT);

  return take_int(pmx_command_call(client, &call, "CLIENT ID"));
}

/* All others count time, bytes and commands, or number the connection. */
static bool is_session_field(const char *field)
{
  static const char *const names[] = {
      "name=",  "flags=", "db=",    "sub=",  "psub=",     "ssub=",   "multi=",
      "watch=", "user=",  "redir=", "resp=", "lib-name=", "lib-ver="};

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strncmp(field, names[i], strlen(names[i])) == 0)
      return true;
  }
  return false;
}

char *session_of(pmx_lease *lease)
{
  pmx_reply *reply = pmx_lease_command(lease, NULL, "CLIENT INFO");
  char *copy, *line = harness_alloc(LINE_SIZE), *rest = NULL;

  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  copy = strdup(pmx_reply_str(reply, NULL));
  ck_assert_ptr_nonnull(copy);
  for (char *field = strtok_r(copy, " \n", &rest); field; field = strtok_r(NULL, " \n", &rest)) {
    size_t len = strlen(line);
    if (is_session_field(field))
      snprintf(line + len, LINE_SIZE - len, "%s ", field);
  }
  free(copy);
  pmx_reply_free(reply);
  return line;
}

/* ---- a line of words as a command ---- */

struct words {
  char line[LINE_SIZE];
  const char *argv[WORDS_MAX];
  int argc;
};

static void split(struct words *w, const char *command)
{
  char *rest = NULL;

  w->argc = 0;
  snprintf(w->line, sizeof w->line, "%s", command);
  for (char *word = strtok_r(w->line, " ", &rest); word && w->argc < WORDS_MAX;
       word = strtok_r(NULL, " ", &rest))
    w->argv[w->argc++] = word;
}

pmx_reply *lease_words(pmx_lease *lease, const char *command)
{
  struct words w;

  split(&w, command);
  return pmx_lease_argv(lease, NULL, w.argc, w.argv, NULL);
}

pmx_reply *call_words(pmx_client *client, const char *command)
{
  struct words w;

  split(&w, command);
  return pmx_argv(client, NULL, w.argc, w.argv, NULL);
}

void lease_ok(pmx_lease *lease, const char *command)
{
  pmx_reply *reply = lease_words(lease, command);

  ck_assert_msg(pmx_ok(reply), "%s: %s", command, pmx_reply_error(reply));
  pmx_reply_free(reply);
}

/* ---- events ---- */

void seen_init(struct seen *s)
{
  memset(s, 0, sizeof *s);
  pthread_mutex_init(&s->mutex, NULL);
}

void seen_event(void *seen, const pmx_event *event)
{
  struct seen *s = seen;

  pthread_mutex_lock(&s->mutex);
  s->count[event->type]++;
  snprintf(s->detail[event->type], sizeof s->detail[0], "%s", event->detail ? event->detail : "");
  pthread_mutex_unlock(&s->mutex);
}

unsigned seen_count(struct seen *s, pmx_event_type type)
{
  unsigned count;

  pthread_mutex_lock(&s->mutex);
  count = s->count[type];
  pthread_mutex_unlock(&s->mutex);
  return count;
}

struct expected_count {
  struct seen *seen;
  pmx_event_type type;
  unsigned count;
};

static bool has_count(void *arg)
{
  const struct expected_count *e = arg;

  return seen_count(e->seen, e->type) >= e->count;
}

bool seen_reaches(struct seen *s, pmx_event_type type, unsigned count, int64_t timeout_ms)
{
  struct expected_count expected = {s, type, count};

  return wait_for(has_count, &expected, timeout_ms);
}

/* ---- in the background ---- */

static pmx_reply *acquire_once(struct waiting *w)
{
  pmx_reply *failure;
  pmx_lease *lease = pmx_acquire(w->client, &w->call, &failure);

  if (lease)
    pmx_release(lease);
  return failure;
}

static void run_waiting(void *arg)
{
  struct waiting *w = arg;
  struct words words;

  if (w->command)
    split(&words, w->command);
  if (!w->command)
    w->reply = acquire_once(w);
  else if (w->lease)
    w->reply = pmx_lease_argv(w->lease, &w->call, words.argc, words.argv, NULL);
  else
    w->reply = pmx_argv(w->client, &w->call, words.argc, words.argv, NULL);
  w->ended_ms = now_ms();
}

void waiting_start(struct waiting *w)
{
  if (w->call.size == 0)
    w->call = (pmx_call)PMX_CALL_INIT;
  w->thread = background_start(run_waiting, w);
}

pmx_reply *waiting_end(struct waiting *w)
{
  background_join(w->thread);
  w->thread = NULL;
  return w->reply;
}

/* ---- the server ---- */

struct expected_clients {
  struct server *server;
  int64_t count;
};

static bool has_clients(void *arg)
{
  const struct expected_clients *e = arg;

  return server_clients(e->server) == e->count;
}

void check_clients(struct server *server, int64_t count)
{
  struct expected_clients expected = {server, count};

  ck_assert_msg(wait_for(has_clients, &expected, 10000), "the server has %d clients, not %d",
                (int)server_clients(server), (int)count);
}

struct expected_info {
  struct server *server;
  const char *field;
  int64_t value;
};

static bool has_info(void *arg)
{
  const struct expected_info *e = arg;

  return server_info(e->server, e->field) == e->value;
}

bool server_has(struct server *server, const char *info_field, int64_t value, int64_t timeout_ms)
{
  struct expected_info expected = {server, info_field, value};

  return wait_for(has_info, &expected, timeout_ms);
}

void server_ask(struct server *server, const char *command)
{
  struct words w;
  char *text;

  split(&w, command);
  ck_assert_int_le(w.argc, 7);
  for (int i = w.argc; i < 7; i++)
    w.argv[i] = NULL;
  text = server_command(server, w.argv[0], w.argv[1], w.argv[2], w.argv[3], w.argv[4], w.argv[5],
                        w.argv[6], NULL);
  ck_assert_msg(text && text[0] != '-', "%s: %s", command, text ? text : "no answer");
  free(text);
}
