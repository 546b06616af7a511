/* SPDX-License-Identifier: BSD-3-Clause */
/* server_admin.c - the harness's own connection to a server: commands, counters, killing clients.
 * Knows nothing of starting servers. */
#include "server_impl.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_BOUND_MS = 10000, MAX_ARGS = 32 };

static const char own_name[] = "poolmux-harness";

void admin_init(struct server *s)
{
  pthread_mutex_init(&s->admin.mutex, NULL);
}

static void drop(struct admin *a)
{
  raw_close(a->raw);
  a->raw = NULL;
}

void admin_close(struct server *s)
{
  pthread_mutex_lock(&s->admin.mutex);
  drop(&s->admin);
  s->admin.connections = 0;
  s->admin.commands = 0;
  pthread_mutex_unlock(&s->admin.mutex);
}

void admin_destroy(struct server *s)
{
  drop(&s->admin);
  pthread_mutex_destroy(&s->admin.mutex);
}

/* One command and its reply as text, or NULL; the connection is dropped on any failure. */
static char *ask(struct admin *a, int argc, const char *const *argv, int timeout_ms)
{
  struct wire_buf out = {0};
  char *text = NULL;

  wire_command_add(&out, argc, argv);
  if (raw_send(a->raw, out.data, out.len))
    text = raw_reply(a->raw, timeout_ms);
  if (!text)
    drop(a);
  else if (text[0] != '-')
    a->commands++;
  wire_buf_free(&out);
  return text;
}

static bool introduce(struct server *s, int timeout_ms)
{
  const char *const name[] = {"CLIENT", "SETNAME", own_name};
  const char *login[3] = {"AUTH"};
  int n = 1;

  if (s->options.user)
    login[n++] = s->options.user;
  if (s->options.password)
    login[n++] = s->options.password;
  if (n > 1) {
    char *answer = ask(&s->admin, n, login, timeout_ms);

    s->admin.refused = answer && answer[0] == '-';
    free(answer);
  }
  if (s->admin.refused)
    drop(&s->admin);
  if (s->admin.raw)
    free(ask(&s->admin, 3, name, timeout_ms)); /* may be forbidden */
  return s->admin.raw != NULL;
}

static bool is_usable(const struct admin *a)
{
  return a->raw && a->opened_by == getpid() && !sock_has(a->raw->fd, POLLIN, 0);
}

/* Locks: admin. */
static bool connect_locked(struct server *s, int timeout_ms)
{
  struct sock_address at;

  if (is_usable(&s->admin))
    return true;
  drop(&s->admin);
  sock_unix(&at, s->path);
  s->admin.raw = raw_open_at(&at, timeout_ms);
  if (!s->admin.raw)
    return false;
  s->admin.opened_by = getpid();
  s->admin.connections++;
  return introduce(s, timeout_ms);
}

static char *command(struct server *s, int argc, const char *const *argv)
{
  char *text = NULL;

  pthread_mutex_lock(&s->admin.mutex);
  if (connect_locked(s, ANSWER_BOUND_MS))
    text = ask(&s->admin, argc, argv, ANSWER_BOUND_MS);
  pthread_mutex_unlock(&s->admin.mutex);
  return text;
}

static char *command_list(struct server *s, const char *arg0, va_list more)
{
  const char *argv[MAX_ARGS] = {arg0};
  int argc = 1;

  for (const char *arg = va_arg(more, const char *); arg; arg = va_arg(more, const char *)) {
    if (argc == MAX_ARGS)
      harness_die("server_command: more than %d arguments", MAX_ARGS);
    argv[argc++] = arg;
  }
  return command(s, argc, argv);
}

char *server_command(struct server *s, const char *arg0, ...)
{
  va_list more;
  char *text;

  va_start(more, arg0);
  text = command_list(s, arg0, more);
  va_end(more);
  return text;
}

static int64_t integer_of(char *text)
{
  int64_t n = SERVER_NO_INTEGER;

  if (text && *text) {
    char *end;
    long long value = strtoll(text, &end, 10);

    if (*end == '\0')
      n = value;
  }
  free(text);
  return n;
}

int64_t server_integer(struct server *s, const char *arg0, ...)
{
  va_list more;
  char *text;

  va_start(more, arg0);
  text = command_list(s, arg0, more);
  va_end(more);
  return integer_of(text);
}

static int64_t info_field(const char *info, const char *field)
{
  size_t len = strlen(field);

  for (const char *line = info; line && *line; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, field, len) == 0 && line[len] == ':')
      return strtoll(line + len + 1, NULL, 10);
  }
  return SERVER_NO_INTEGER;
}

int64_t server_info(struct server *s, const char *field)
{
  char *info = server_command(s, "INFO", NULL);
  int64_t value = info_field(info, field);

  free(info);
  return value;
}

int64_t server_clients(struct server *s)
{
  char *list = server_command(s, "CLIENT", "LIST", NULL), *rest = list;
  int64_t n = 0;

  if (!list || list[0] == '-') {
    free(list);
    return SERVER_NO_INTEGER;
  }
  for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
    if (strncmp(line, "id=", 3) == 0 && !strstr(line, " name=poolmux-harness "))
      n++;
  free(list);
  return n;
}

/* A counter of INFO without the harness's own share, read under the same lock. */
static int64_t foreign_count(struct server *s, const char *field, const int64_t *own)
{
  const char *const argv[] = {"INFO", "STATS"};
  int64_t n = SERVER_NO_INTEGER, before;
  char *info = NULL;

  pthread_mutex_lock(&s->admin.mutex);
  if (connect_locked(s, ANSWER_BOUND_MS)) {
    before = *own; /* this INFO itself is counted after it answered */
    info = ask(&s->admin, 2, argv, ANSWER_BOUND_MS);
    n = info_field(info, field);
    if (n != SERVER_NO_INTEGER)
      n -= before;
  }
  pthread_mutex_unlock(&s->admin.mutex);
  free(info);
  return n;
}

int64_t server_connections(struct server *s)
{
  return foreign_count(s, "total_connections_received", &s->admin.connections);
}

int64_t server_commands(struct server *s)
{
  return foreign_count(s, "total_commands_processed", &s->admin.commands);
}

int64_t server_kill_clients(struct server *s)
{
  int64_t normal = server_integer(s, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  int64_t pubsub = server_integer(s, "CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes", NULL);

  if (normal == SERVER_NO_INTEGER || pubsub == SERVER_NO_INTEGER)
    return SERVER_NO_INTEGER;
  return normal + pubsub;
}

int admin_ready(struct server *s)
{
  enum { STARTING_MS = 1000 };
  const char *const ping[] = {"PING"};
  char *answer = NULL;
  int ready = 0;

  pthread_mutex_lock(&s->admin.mutex);
  if (connect_locked(s, STARTING_MS))
    answer = ask(&s->admin, 1, ping, STARTING_MS);
  if (s->admin.refused || (answer && strncmp(answer, "-NO", 3) == 0)) /* -NOAUTH, -NOPERM */
    ready = -1;
  else if (answer && answer[0] != '-') /* not -LOADING */
    ready = 1;
  free(answer);
  pthread_mutex_unlock(&s->admin.mutex);
  return ready;
}
