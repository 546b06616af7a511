/* SPDX-License-Identifier: BSD-3-Clause */
/* costs_peers.c - paths of poolmux-costs that do not go through the library: hiredis by itself,
 * with OpenSSL by hand, and under libevent. They are what the others are compared with; nothing is
 * promised about them. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "costs_parts.h"
#include "peer.h"

#if BENCH_LIBEVENT
#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#endif

enum { READ_SIZE = 16 * 1024 };

static int fits(const struct command *command, const redisReply *reply)
{
  if (!reply)
    return 0;
  if (command->argc == 3)
    return reply->type == REDIS_REPLY_STATUS;
  return reply->type == REDIS_REPLY_STRING && reply->len == COSTS_VALUE;
}

/* const is dropped where hiredis before 1.0 forgets it. */
static const char **words(const struct command *c)
{
  return (const char **)(size_t)c->argv;
}

static redisContext *open_context(const struct path *path, const char *url)
{
  char why[PEER_WHY];
  redisContext *context = peer_open(url, why);

  if (!context)
    costs_failed(path->name, why);
  return context;
}

/* ---- one call after the other ---- */

int costs_run_hiredis(const struct path *path, const char *url, long calls)
{
  redisContext *context = open_context(path, url);
  const struct command *c;
  redisReply *reply;
  int failed = context ? 0 : -1;

  for (long i = 0; !failed && i < calls; i++) {
    c = costs_command(i);
    reply = redisCommandArgv(context, c->argc, words(c), c->len);
    failed = fits(c, reply) ? 0 : costs_failed(path->name, "a strange answer, or none");
    freeReplyObject(reply);
  }
  if (context)
    redisFree(context);
  return failed;
}

/* ---- so many written at once, then their answers read ---- */

static int run_wave(const struct path *path, redisContext *context)
{
  const struct command *c;
  void *reply;
  int good = 1;

  for (int i = 0; i < path->callers; i++) {
    c = costs_command(i);
    redisAppendCommandArgv(context, c->argc, words(c), c->len);
  }
  for (int i = 0; good && i < path->callers; i++) {
    reply = NULL;
    good = redisGetReply(context, &reply) == REDIS_OK && fits(costs_command(i), reply);
    freeReplyObject(reply);
  }
  return good ? 0 : costs_failed(path->name, "a strange answer, or none");
}

int costs_run_pipeline(const struct path *path, const char *url, long calls)
{
  redisContext *context = open_context(path, url);
  int failed = context ? 0 : -1;

  for (long wave = calls / path->callers; !failed && wave > 0; wave--)
    failed = run_wave(path, context);
  if (context)
    redisFree(context);
  return failed;
}

/* ---- hiredis connects, formats and parses; what is between goes through OpenSSL ---- */

static int write_all(SSL *ssl, const struct command *c)
{
  char *text = NULL;
  int len = (int)redisFormatCommandArgv(&text, c->argc, words(c), c->len);
  int good = len > 0 && SSL_write(ssl, text, len) == len;

  redisFreeCommand(text);
  return good;
}

static redisReply *read_reply(redisContext *context, SSL *ssl)
{
  char bytes[READ_SIZE];
  void *reply = NULL;
  int n;

  while (redisReaderGetReply(context->reader, &reply) == REDIS_OK && !reply) {
    n = SSL_read(ssl, bytes, sizeof bytes);
    if (n <= 0 || redisReaderFeed(context->reader, bytes, (size_t)n) != REDIS_OK)
      return NULL;
  }
  return reply;
}

static int call_secure(const struct path *path, redisContext *context, SSL *ssl, long calls)
{
  const struct command *c;
  redisReply *reply;
  int good = 1;

  for (long i = 0; good && i < calls; i++) {
    c = costs_command(i);
    reply = write_all(ssl, c) ? read_reply(context, ssl) : NULL;
    good = fits(c, reply);
    freeReplyObject(reply);
  }
  return good ? 0 : costs_failed(path->name, "a strange answer, or none");
}

/* Nothing is verified: the calls cost the same. */
int costs_run_hiredis_tls(const struct path *path, const char *url, long calls)
{
  redisContext *context = open_context(path, url);
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL *ssl = ctx ? SSL_new(ctx) : NULL;
  int failed = -1;

  if (!context || !ssl)
    ;
  else if (!SSL_set_fd(ssl, context->fd) || SSL_connect(ssl) != 1)
    costs_failed(path->name, "no handshake");
  else
    failed = call_secure(path, context, ssl, calls);
  SSL_free(ssl);
  SSL_CTX_free(ctx);
  if (context)
    redisFree(context);
  return failed;
}

/* ---- hiredis' own asynchronous interface ---- */

#if BENCH_LIBEVENT

struct events {
  const struct path *path;
  struct event_base *base;
  redisAsyncContext *context; /* NULL: it has freed itself */
  long begun, calls, ended;
  int failed;
};

static void disconnected(const redisAsyncContext *context, int status)
{
  struct events *e = context->data;

  (void)status;
  e->context = NULL;
}

static void answered(redisAsyncContext *context, void *reply, void *data);

static void begin(struct events *e)
{
  const struct command *c = costs_command(e->begun++);

  if (redisAsyncCommandArgv(e->context, answered, (void *)(size_t)c, c->argc, words(c), c->len) !=
      REDIS_OK)
    e->failed = costs_failed(e->path->name, "a call was refused");
}

static void answered(redisAsyncContext *context, void *reply, void *data)
{
  struct events *e = context->data;

  e->ended++;
  if (!fits(data, reply) && !e->failed)
    e->failed = costs_failed(e->path->name, "a strange answer, or none");
  if (!e->failed && e->begun < e->calls)
    begin(e);
  if (e->failed || e->ended == e->calls)
    event_base_loopbreak(e->base);
}

static int attach(struct events *e, const struct peer_address *address)
{
  e->context = address->path ? redisAsyncConnectUnix(address->path)
                             : redisAsyncConnect(address->host, address->port);
  if (!e->context || e->context->err || redisLibeventAttach(e->context, e->base) != REDIS_OK)
    return costs_failed(e->path->name, e->context ? e->context->errstr : "out of memory");
  e->context->data = e;
  redisAsyncSetDisconnectCallback(e->context, disconnected);
  return 0;
}

int costs_run_libevent(const struct path *path, const char *url, long calls)
{
  struct events e = {.path = path, .calls = calls, .base = event_base_new()};
  struct peer_address address;

  if (!e.base || peer_parse(url, &address) != 0)
    return costs_failed(path->name, "no event loop, or not such a URL");
  e.failed = attach(&e, &address);
  for (int i = 0; !e.failed && i < path->callers; i++)
    begin(&e);
  if (!e.failed)
    event_base_dispatch(e.base);
  if (e.context)
    redisAsyncFree(e.context);
  event_base_free(e.base);
  return e.failed;
}

#else

int costs_run_libevent(const struct path *path, const char *url, long calls)
{
  (void)url;
  (void)calls;
  return costs_failed(path->name, "libevent was not found by configure");
}

#endif
