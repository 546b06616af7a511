/* SPDX-License-Identifier: BSD-3-Clause */
/* listening.c - see listening.h. */
#include "behaviour/listening.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/util.h"

/* ---- a client and its server ---- */

void scene_open(struct scene *s, int i, ...)
{
  pmx_options *options;
  const char *name, *value;
  va_list args;

  s->manner = &manners[i];
  s->server = server_start(NULL);
  ck_assert_ptr_nonnull(s->server);
  options = options_for(s->manner->strategy);
  ck_assert_int_eq(pmx_options_set(options, "io", s->manner->io), PMX_OK);
  ck_assert_int_eq(pmx_options_set(options, "command_timeout", "20s"), PMX_OK);
  va_start(args, i);
  while ((name = va_arg(args, const char *))) {
    value = va_arg(args, const char *);
    ck_assert_msg(pmx_options_set(options, name, value) == PMX_OK, "%s",
                  pmx_options_error(options));
  }
  va_end(args);
  s->client = open_client_with(manner_url(s->manner, s->server), options);
}

void scene_close(struct scene *s)
{
  close_client(s->client);
  ck_assert(server_stop(s->server));
}

/* ---- consumers ---- */

void ear_note(struct ear *ear, const pmx_message *m)
{
  size_t used;

  pthread_mutex_lock(&ear->lock);
  used = strlen(ear->heard);
  if (m->type == PMX_MESSAGE_GAP)
    snprintf(ear->heard + used, HEARD_SIZE - used, "GAP ");
  else if (m->kind == PMX_SUB_PATTERN)
    snprintf(ear->heard + used, HEARD_SIZE - used, "%.20s>%.20s=%.20s ", m->pattern, m->channel,
             m->data);
  else
    snprintf(ear->heard + used, HEARD_SIZE - used, "%s%.20s=%.20s ",
             m->kind == PMX_SUB_SHARD ? "shard:" : "", m->channel, m->data ? m->data : "(none)");
  pthread_mutex_unlock(&ear->lock);
  if (m->type == PMX_MESSAGE_GAP)
    atomic_fetch_add(&ear->gaps, 1);
  else
    atomic_fetch_add(&ear->messages, 1);
}

static void hear(void *ud, const pmx_message *m)
{
  struct ear *ear = ud;

  if (ear->inside)
    ear->inside(ear, m);
  ear_note(ear, m);
}

void ear_open(struct ear *ear, pmx_client *client, bool pulls)
{
  memset(ear, 0, sizeof *ear);
  pthread_mutex_init(&ear->lock, NULL);
  ear->client = client;
  ear->pulls = pulls;
  ear->sub = pmx_sub_new(client, pulls ? NULL : hear, ear);
  ck_assert_ptr_nonnull(ear->sub);
}

void ear_close(struct ear *ear)
{
  pmx_sub_free(ear->sub);
  pthread_mutex_destroy(&ear->lock);
}

void ear_pull(struct ear *ear, int64_t timeout_ms)
{
  pmx_call call = call_in(timeout_ms);
  pmx_reply *reply = pmx_sub_next(ear->sub, &call);
  pmx_message m = PMX_MESSAGE_INIT;

  if (pmx_ok(reply)) {
    ck_assert_int_eq(pmx_reply_type(reply), PMX_TYPE_PUSH);
    ck_assert_int_eq(pmx_message_get(reply, &m), 1);
    ear_note(ear, &m);
  } else {
    ck_assert_int_eq(pmx_reply_status(reply), PMX_NOT_RUN);
  }
  pmx_reply_free(reply);
}

struct expectation {
  struct ear *ear;
  int messages, gaps;
};

static bool is_heard(void *arg)
{
  struct expectation *e = arg;

  return atomic_load(&e->ear->messages) >= e->messages && atomic_load(&e->ear->gaps) >= e->gaps;
}

bool ear_has(struct ear *ear, int messages, int gaps, int64_t timeout_ms)
{
  struct expectation e = {ear, messages, gaps};
  int64_t end = pmx_now_ms() + timeout_ms;

  if (!ear->pulls)
    return until(ear->client, is_heard, &e, timeout_ms);
  while (!is_heard(&e) && pmx_now_ms() < end)
    ear_pull(ear, end - pmx_now_ms());
  return is_heard(&e);
}

static int count(const char *text, const char *what)
{
  int n = 0;

  for (; (text = strstr(text, what)); text++)
    n++;
  return n;
}

void ear_check(struct ear *ear, const char *expected)
{
  int gaps = count(expected, "GAP "), words = count(expected, " ");
  bool has = ear_has(ear, words - gaps, gaps, SOON_MS);

  if (ear->pulls)
    ear_pull(ear, 0); /* nothing more is there */
  pthread_mutex_lock(&ear->lock);
  ck_assert_msg(has && strcmp(ear->heard, expected) == 0, "heard \"%s\" instead of \"%s\"",
                ear->heard, expected);
  ear->heard[0] = '\0';
  atomic_store(&ear->messages, 0);
  atomic_store(&ear->gaps, 0);
  pthread_mutex_unlock(&ear->lock);
}

pmx_reply *ear_add(struct ear *ear, pmx_sub_kind kind, const char *name)
{
  return pmx_sub_add(ear->sub, NULL, kind, name, strlen(name));
}

pmx_reply *ear_remove(struct ear *ear, pmx_sub_kind kind, const char *name)
{
  return pmx_sub_remove(ear->sub, NULL, kind, name, strlen(name));
}

void add_ok(struct ear *ear, pmx_sub_kind kind, const char *name)
{
  check_is_ok(ear_add(ear, kind, name));
}

/* ---- the other side ---- */

int64_t publish(struct server *server, const char *channel, const char *data)
{
  return server_integer(server, "PUBLISH", channel, data, NULL);
}

int64_t subscribers(struct server *server, const char *channel)
{
  char *text = server_command(server, "PUBSUB", "NUMSUB", channel, NULL);
  const char *line = text ? strchr(text, '\n') : NULL;
  int64_t n = line ? strtoll(line + 1, NULL, 10) : -1;

  free(text);
  return n;
}

int64_t subscription_connections(struct server *server)
{
  char *text = server_command(server, "CLIENT", "LIST", "TYPE", "PUBSUB", NULL);
  int n = text ? count(text, "addr=") - count(text, "laddr=") : -1;

  free(text);
  return n;
}

void kill_subscribers(struct server *server)
{
  free(server_command(server, "CLIENT", "KILL", "TYPE", "PUBSUB", NULL));
}
