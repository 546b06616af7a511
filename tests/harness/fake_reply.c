/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_reply.c - what the fake server says: replies in RESP2 and RESP3, and the handshake it does
 * by itself. Knows nothing of scripts and sockets. */
#include "fake_impl.h"

#include <stdio.h>
#include <string.h>

static void send_line(struct fake_conn *c, char type, const char *text)
{
  struct wire_buf b = {0};

  wire_buf_add(&b, &type, 1);
  wire_buf_add(&b, text, strlen(text));
  wire_buf_add(&b, "\r\n", 2);
  fake_send(c, b.data, b.len);
  wire_buf_free(&b);
}

static void send_number(struct fake_conn *c, char type, int64_t n)
{
  char text[24];

  snprintf(text, sizeof(text), "%lld", (long long)n);
  send_line(c, type, text);
}

void fake_reply_simple(struct fake_conn *c, const char *text)
{
  send_line(c, '+', text);
}

void fake_reply_error(struct fake_conn *c, const char *text)
{
  send_line(c, '-', text);
}

void fake_reply_int(struct fake_conn *c, int64_t n)
{
  send_number(c, ':', n);
}

void fake_reply_bulk(struct fake_conn *c, const void *bytes, size_t len)
{
  struct wire_buf b = {0};

  wire_bulk_add(&b, bytes, len);
  fake_send(c, b.data, b.len);
  wire_buf_free(&b);
}

void fake_reply_text(struct fake_conn *c, const char *text)
{
  fake_reply_bulk(c, text, strlen(text));
}

void fake_reply_null(struct fake_conn *c)
{
  if (fake_conn_proto(c) == 3)
    send_line(c, '_', "");
  else
    send_line(c, '$', "-1");
}

void fake_reply_array(struct fake_conn *c, size_t n)
{
  send_number(c, '*', (int64_t)n);
}

void fake_reply_push(struct fake_conn *c, size_t n)
{
  send_number(c, fake_conn_proto(c) == 3 ? '>' : '*', (int64_t)n);
}

/* ---- a connection's properties ---- */

size_t fake_conn_index(const struct fake_conn *c)
{
  return c->index;
}

bool fake_conn_is_open(const struct fake_conn *c)
{
  bool open;

  pthread_mutex_lock(&c->fake->mutex);
  open = c->fd >= 0;
  pthread_mutex_unlock(&c->fake->mutex);
  return open;
}

int fake_conn_proto(const struct fake_conn *c)
{
  int proto;

  pthread_mutex_lock(&c->fake->mutex);
  proto = c->proto;
  pthread_mutex_unlock(&c->fake->mutex);
  return proto;
}

static void set_stalled(struct fake_conn *c, bool stalled)
{
  pthread_mutex_lock(&c->fake->mutex);
  c->stalled = stalled;
  pthread_mutex_unlock(&c->fake->mutex);
  fake_wake(c->fake);
}

void fake_stall(struct fake_conn *c)
{
  set_stalled(c, true);
}

void fake_resume(struct fake_conn *c)
{
  set_stalled(c, false);
}

size_t fake_received(struct fake_conn *c)
{
  size_t n;

  pthread_mutex_lock(&c->fake->mutex);
  n = c->received;
  pthread_mutex_unlock(&c->fake->mutex);
  return n;
}

size_t fake_bytes_before_auth(struct fake_conn *c)
{
  size_t n;

  pthread_mutex_lock(&c->fake->mutex);
  n = c->auth_seen ? c->before_auth : c->received;
  pthread_mutex_unlock(&c->fake->mutex);
  return n;
}

/* ---- the handshake ---- */

struct call {
  int argc;
  char **argv;
  size_t *len;
};

static bool arg_is(const struct call *call, int i, const char *word)
{
  return i < call->argc && wire_arg_is(call->argv[i], call->len[i], word);
}

static bool same(const struct call *call, int i, const char *text)
{
  return call->len[i] == strlen(text) && memcmp(call->argv[i], text, call->len[i]) == 0;
}

static bool log_in(struct fake_conn *c, const struct call *call, int user, int password)
{
  const struct fake_options *o = &c->fake->options;
  bool user_ok = user < 0 ? !o->user : same(call, user, o->user ? o->user : "default");

  if (user_ok && same(call, password, o->password)) {
    c->logged_in = true;
    return true;
  }
  fake_reply_error(c, "WRONGPASS invalid username-password pair or user is disabled.");
  return false;
}

static void do_auth(struct fake_conn *c, const struct call *call)
{
  if (call->argc != 2 && call->argc != 3)
    fake_reply_error(c, "ERR wrong number of arguments for 'auth' command");
  else if (!c->fake->options.password)
    fake_reply_error(c,
                     "ERR AUTH <password> called without any password configured for the default "
                     "user. Are you sure your configuration is correct?");
  else if (log_in(c, call, call->argc == 3 ? 1 : -1, call->argc - 1))
    fake_reply_simple(c, "OK");
}

static void describe_server(struct fake_conn *c)
{
  send_number(c, c->proto == 3 ? '%' : '*', c->proto == 3 ? 7 : 14);
  fake_reply_text(c, "server");
  fake_reply_text(c, "redis");
  fake_reply_text(c, "version");
  fake_reply_text(c, "7.0.0");
  fake_reply_text(c, "proto");
  fake_reply_int(c, c->proto);
  fake_reply_text(c, "id");
  fake_reply_int(c, (int64_t)c->index + 1);
  fake_reply_text(c, "mode");
  fake_reply_text(c, "standalone");
  fake_reply_text(c, "role");
  fake_reply_text(c, "master");
  fake_reply_text(c, "modules");
  fake_reply_array(c, 0);
}

static void do_hello(struct fake_conn *c, const struct call *call)
{
  const struct fake_options *o = &c->fake->options;
  bool v3 = arg_is(call, 1, "3");

  if (o->hello == FAKE_HELLO_UNKNOWN) {
    fake_reply_error(c, "ERR unknown command 'HELLO'");
    return;
  }
  if (o->hello == FAKE_HELLO_NOPROTO || (call->argc > 1 && !v3 && !arg_is(call, 1, "2"))) {
    fake_reply_error(c, "NOPROTO unsupported protocol version");
    return;
  }
  for (int i = 2; i + 2 < call->argc && o->password; i++)
    if (arg_is(call, i, "AUTH") && !log_in(c, call, i + 1, i + 2))
      return;
  if (o->password && !c->logged_in) {
    fake_reply_error(c, "NOAUTH HELLO must be called with the client already authenticated");
    return;
  }
  if (call->argc > 1)
    c->proto = v3 ? 3 : 2;
  describe_server(c);
}

static int do_client(struct fake_conn *c, const struct call *call)
{
  if (arg_is(call, 1, "ID"))
    fake_reply_int(c, (int64_t)c->index + 1);
  else if (arg_is(call, 1, "SETINFO") || arg_is(call, 1, "SETNAME"))
    fake_reply_simple(c, "OK");
  else
    return 1;
  return 0;
}

static void do_ping(struct fake_conn *c, const struct call *call)
{
  if (call->argc > 1)
    fake_reply_bulk(c, call->argv[1], call->len[1]);
  else
    fake_reply_simple(c, "PONG");
}

int fake_handshake(struct fake_conn *c, int argc, char **argv, size_t *len)
{
  struct call call = {argc, argv, len};

  if (arg_is(&call, 0, "AUTH")) {
    do_auth(c, &call);
  } else if (arg_is(&call, 0, "HELLO")) {
    do_hello(c, &call);
  } else if (arg_is(&call, 0, "QUIT")) {
    fake_reply_simple(c, "OK");
    fake_close(c);
  } else if (c->fake->options.password && !c->logged_in) {
    fake_reply_error(c, "NOAUTH Authentication required.");
  } else if (arg_is(&call, 0, "PING")) {
    do_ping(c, &call);
  } else if (arg_is(&call, 0, "SELECT")) {
    fake_reply_simple(c, "OK");
  } else if (arg_is(&call, 0, "CLIENT")) {
    return do_client(c, &call);
  } else {
    return 1;
  }
  return 0;
}
