/* SPDX-License-Identifier: BSD-3-Clause */
/* secretive.c - see secretive.h. */
#include "behaviour/secretive.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

_Atomic int lines_seen, events_seen;

/* ---- what is looked at ---- */

/* Also a part of it is too much. */
void look_at(const char *what, const char *text)
{
  ck_assert_msg(!text || !strcasestr(text, "f00d"), "%s shows a secret: %s", what, text);
}

static void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  (void)ud, (void)level;
  atomic_fetch_add(&lines_seen, 1);
  look_at("the log", component);
  look_at("the log", message);
}

static void on_event(void *ud, const pmx_event *e)
{
  (void)ud;
  atomic_fetch_add(&events_seen, 1);
  look_at("an event", e->endpoint);
  look_at("an event", e->detail);
}

static void *on_begin(void *ud, const pmx_trace_call *call)
{
  (void)ud;
  look_at("a trace", call->command);
  look_at("a trace", call->endpoint);
  look_at("a trace", call->place);
  look_at("a trace", call->reason);
  return NULL;
}

/* What we say ourselves; the rest is the server's. */
void look(const pmx_reply *reply)
{
  char text[2048], *said;

  if (pmx_reply_type(reply) == PMX_TYPE_FAILURE) {
    snprintf(text, sizeof text, "%s", pmx_reply_error(reply));
    said = strstr(text, " refused: "); /* by the server, in its words */
    if (said && strncmp(said, " refused: the server said", 25) != 0)
      *said = '\0';
    look_at("an error", text);
  }
  for (size_t i = 0; i < pmx_reply_len(reply); i++)
    look(pmx_reply_at(reply, i));
}

static void on_end(void *ud, void *span, const pmx_trace_call *call, const pmx_reply *reply)
{
  (void)span;
  on_begin(ud, call);
  look(reply);
}

void looked(pmx_reply *reply)
{
  look(reply);
  pmx_reply_free(reply);
}

/* ---- a client with secrets ---- */

pmx_options *secret_options(int i)
{
  const pmx_trace trace = {sizeof trace, on_begin, on_end};
  pmx_options *options = options_for(strategies[i]);

  pmx_options_set_log(options, on_log, PMX_LOG_DEBUG, NULL);
  pmx_options_set_events(options, on_event, NULL);
  pmx_options_set_trace(options, &trace, NULL);
  pmx_options_set(options, "user", USER);
  pmx_options_set(options, "password", PASSWORD);
  pmx_options_set(options, "connect_timeout", "200ms");
  pmx_options_set(options, "command_timeout", "300ms");
  ck_assert_str_eq(pmx_options_error(options), "");
  ck_assert_ptr_null(pmx_options_get(options, "password"));
  return options;
}

/* Frees the options. NULL when it could not be opened, and nothing was shown. */
pmx_client *open_secret(const char *url, pmx_options *options)
{
  pmx_reply *err = NULL;
  pmx_client *client = pmx_open(url, options, &err);

  look_at("pmx_options_error", pmx_options_error(options));
  looked(err);
  pmx_options_free(options);
  return client;
}

void close_secret(pmx_client *client)
{
  static const char *const formats[] = {"text", "json", "prometheus"};
  static char text[65536];

  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    size_t len = pmx_stats_text(client, formats[i], text, sizeof text);

    ck_assert(len > 0 && len < sizeof text);
    look_at(formats[i], text);
  }
  pmx_unref(client);
}

/* ---- servers ---- */

/* Repeats what it is told, in an error. */
static int repeat(struct fake_conn *conn, int argc, char **argv)
{
  char text[2048] = "ERR cannot do";

  for (int i = 0; i < argc; i++) {
    strncat(text, " ", sizeof text - strlen(text) - 1);
    strncat(text, argv[i], sizeof text - strlen(text) - 1);
  }
  fake_reply_error(conn, text);
  return 0;
}

/* As an error, and as no reply at all. */
static int repeat_as_garbage(struct fake_conn *conn, int argc, char **argv)
{
  for (int i = 0; i < argc; i++)
    fake_send(conn, argv[i], strlen(argv[i]));
  fake_send(conn, "\r\n", 2);
  return 0;
}

/* Refuses, with the user's name, as servers do. */
int refuse(struct fake_conn *conn, const char *command)
{
  char text[256];

  snprintf(text, sizeof text, "NOPERM User %s has no permissions to run the '%s' command", PASSWORD,
           command);
  fake_reply_error(conn, text);
  return 0;
}

static int misbehave(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  const struct bad *bad = ud;
  bool now =
      bad->from ? strcasecmp(argv[0], bad->from) == 0 : fake_handshake(conn, argc, argv, len) != 0;

  if (!now)
    return bad->from ? fake_handshake(conn, argc, argv, len) : 0;
  switch (bad->manner) {
  case REPEATS:
    return repeat(conn, argc, argv);
  case GARBAGE:
    return repeat_as_garbage(conn, argc, argv);
  case REFUSES_US:
    return refuse(conn, argv[0]);
  case CLOSES:
    return -1;
  case LOADS:
    fake_reply_error(conn, "LOADING Redis is loading " ARGUMENT);
    return 0;
  case SAYS_OK:
    fake_reply_simple(conn, "OK");
    return 0;
  case SILENT:
  case MANNERS:
    break;
  }
  return 0;
}

struct fake *bad_server(struct bad *bad)
{
  struct fake_options options = {
      .handler = misbehave, .ud = bad, .manual = true, .user = USER, .password = PASSWORD};

  return fake_start(&options);
}
