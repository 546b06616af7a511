/* SPDX-License-Identifier: BSD-3-Clause */
/* ping_look.c - what can be found out about a connection and its server: from the library's events
 * and log, and from what the server answers. A server that is old, or does not let us ask, leaves
 * gaps. Thread of the callbacks: the client's; all else is main's. */
#include "ping.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;

enum { TOLD_WITHIN_MS = 2000 }; /* it was ready before pmx_open returned */

static void event(void *ud, const pmx_event *e)
{
  struct ping *p = ud;

  if (e->type != PMX_EVENT_CONNECTED)
    return;
  pthread_mutex_lock(&mutex);
  if (!*p->about) {
    snprintf(p->about, sizeof p->about, "%s", e->detail ? e->detail : "");
    snprintf(p->endpoint, sizeof p->endpoint, "%s", e->endpoint ? e->endpoint : "");
    pthread_cond_signal(&told);
  }
  pthread_mutex_unlock(&mutex);
}

static void log_line(void *ud, pmx_log_level level, const char *component, const char *message)
{
  static const char *const names[] = {"error", "warn", "info", "debug"};
  struct ping *p = ud;
  const char *certificate = strstr(message, " from=");

  if (p->tool.verbose) {
    people_print(stderr, "%s %s: %s", names[level], component, message);
    fputc('\n', stderr);
  }
  if (strcmp(component, "tls") != 0 || !certificate)
    return;
  pthread_mutex_lock(&mutex);
  snprintf(p->certificate, sizeof p->certificate, "%s", certificate);
  pthread_mutex_unlock(&mutex);
}

void look_prepare(struct ping *p)
{
  pmx_options_set_events(p->tool.options, event, p);
  pmx_options_set_log(p->tool.options, log_line, p->tool.verbose ? PMX_LOG_DEBUG : PMX_LOG_INFO, p);
}

/* With io=loop nobody else runs callbacks. */
static int dispatch(struct ping *p)
{
  int64_t until = pmx_now_ms() + TOLD_WITHIN_MS;

  if (pmx_client_fd(p->client) < 0)
    return 0;
  while (!*p->about && pmx_now_ms() < until)
    pmx_dispatch(p->client, TOLD_WITHIN_MS);
  return 1;
}

void look_connected(struct ping *p)
{
  struct timespec until;

  if (dispatch(p))
    return;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += TOLD_WITHIN_MS / 1000;
  pthread_mutex_lock(&mutex);
  while (!*p->about && pthread_cond_timedwait(&told, &mutex, &until) == 0)
    ;
  pthread_mutex_unlock(&mutex);
}

/* ---- words ---- */

/* Of the value that begins here; *ret_size is its length. What is cut off has no closing quote. */
static const char *behind_value(const char **value, int quotes, size_t *ret_size)
{
  int quoted = quotes && **value == '"';

  *value += quoted;
  *ret_size = strcspn(*value, quoted ? "\"" : " ");
  return *value + *ret_size + (quoted && (*value)[*ret_size] == '"');
}

static const char *find_word(const char *words, const char *name, int quotes, char buf[WORD_SIZE])
{
  size_t len = strlen(name), size;
  const char *at = words, *value;

  *buf = '\0';
  while (*at) {
    size_t word = strcspn(at, " =");
    int is_it = word == len && memcmp(at, name, len) == 0;

    if (at[word] == '=') {
      value = at + word + 1;
      at = behind_value(&value, quotes, &size);
      if (is_it) {
        snprintf(buf, WORD_SIZE, "%.*s", (int)size, value);
        return buf;
      }
    } else {
      at += word;
    }
    at += strspn(at, " ");
  }
  return buf;
}

const char *word_of(const char *words, const char *name, char buf[WORD_SIZE])
{
  return find_word(words, name, 1, buf);
}

/* ---- the server ---- */

/* Of "name:value\r\n" lines. */
static void field(const char *info, const char *name, char buf[WORD_SIZE])
{
  size_t len = strlen(name);

  for (const char *line = info; line && *line; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, name, len) == 0 && line[len] == ':') {
      snprintf(buf, WORD_SIZE, "%.*s", (int)strcspn(line + len + 1, "\r\n"), line + len + 1);
      return;
    }
  }
}

static void read_info(struct server_facts *s, const char *info)
{
  strcpy(s->kind, strstr(info, "valkey_version:") ? "Valkey" : "Redis");
  field(info, strcmp(s->kind, "Valkey") == 0 ? "valkey_version" : "redis_version", s->version);
  field(info, "redis_mode", s->mode);
  field(info, "server_mode", s->mode);
  field(info, "role", s->role);
  field(info, "master_link_status", s->link);
  field(info, "uptime_in_seconds", s->uptime);
  field(info, "connected_clients", s->clients);
  field(info, "maxclients", s->max_clients);
  field(info, "loading", s->loading);
  field(info, "loading_loaded_perc", s->loaded);
  field(info, "loading_eta_seconds", s->eta);
}

/* Not sent again, and not for long: it may be the reason why one looks. */
static pmx_reply *ask(struct ping *p, const char *command, const char *argument)
{
  pmx_call call = PMX_CALL_INIT;

  call.flags = PMX_CALL_NO_RETRY;
  call.timeout_ms = 1000;
  call.cancel = p->token;
  return pmx_do(p->client, &call, command, argument, (char *)NULL);
}

/* 1: there is an answer, be it that it is not allowed. */
static int is_answered(struct ping *p, const pmx_reply *reply)
{
  if (pmx_reply_cause(reply) == PMX_CAUSE_CANCELED)
    p->interrupted = 1;
  return pmx_ok(reply) || pmx_reply_status(reply) == PMX_SERVER_ERROR;
}

static int look_info(struct ping *p)
{
  struct server_facts *s = &p->server;
  pmx_reply *info = ask(p, "INFO", "default");
  const char *text = pmx_reply_str(info, NULL);
  int answered = is_answered(p, info);

  if (pmx_ok(info) && text)
    read_info(s, text);
  else if (!p->interrupted)
    snprintf(answered ? s->refused : s->unanswered, WORD_SIZE, "%s", pmx_reply_error(info));
  pmx_reply_free(info);
  return answered;
}

static void look_client(struct ping *p)
{
  struct server_facts *s = &p->server;
  pmx_reply *me = ask(p, "CLIENT", "INFO");
  const char *text = pmx_reply_str(me, NULL);

  is_answered(p, me);
  if (pmx_ok(me) && text) { /* a quote means nothing in it */
    find_word(text, "user", 0, s->user);
    find_word(text, "db", 0, s->db);
    find_word(text, "id", 0, s->id);
  }
  pmx_reply_free(me);
}

void look_server(struct ping *p)
{
  if (p->failed && pmx_reply_status(p->error) != PMX_SERVER_ERROR)
    return; /* it does not answer */
  if (look_info(p))
    look_client(p);
}
