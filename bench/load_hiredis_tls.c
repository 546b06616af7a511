/* SPDX-License-Identifier: BSD-3-Clause */
/* load_hiredis_tls.c - contestant of poolmux-load: each thread has a hiredis context of its own,
 * and OpenSSL on the context's blocking socket, written by hand. hiredis connects, formats and
 * parses; the bytes between go through SSL_write and SSL_read. The server's certificate is verified
 * against the CA and the host of the URL. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load_parts.h"

enum { READ_SIZE = 16 * 1024, PATH_SIZE = 4096 };

struct secure {
  redisContext *context;
  SSL *ssl;
};

struct all {
  SSL_CTX *ssl_ctx;
  int n;
  struct secure secure[];
};

static const char ca_option[] = "tls.ca_file=";

static void close_one(struct secure *s)
{
  SSL_free(s->ssl);
  if (s->context)
    redisFree(s->context);
}

static void close_all(void *self)
{
  struct all *all = self;

  for (int i = 0; i < all->n; i++)
    close_one(&all->secure[i]);
  SSL_CTX_free(all->ssl_ctx);
  free(all);
}

/* NULL: no such file. */
static SSL_CTX *new_ssl_ctx(const char *url)
{
  const char *found = strstr(url, ca_option);
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  char path[PATH_SIZE];
  int good;

  if (!ctx)
    return NULL;
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  if (found) {
    snprintf(path, sizeof path, "%s", found + sizeof ca_option - 1);
    path[strcspn(path, "&")] = '\0';
    good = SSL_CTX_load_verify_locations(ctx, path, NULL);
  } else {
    good = SSL_CTX_set_default_verify_paths(ctx);
  }
  if (good)
    return ctx;
  SSL_CTX_free(ctx);
  return NULL;
}

static int expect_name(SSL *ssl, const char *host)
{
  unsigned char ip[sizeof(struct in6_addr)];

  if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
  return SSL_set1_host(ssl, host) && SSL_set_tlsext_host_name(ssl, host);
}

static int shake_hands(struct secure *s, const char *host, char why[LOAD_WHY])
{
  if (s->ssl && expect_name(s->ssl, host) && SSL_set_fd(s->ssl, s->context->fd) &&
      SSL_connect(s->ssl) == 1)
    return 0;
  snprintf(why, LOAD_WHY, "handshake: %s", ERR_reason_error_string(ERR_peek_error()));
  ERR_clear_error();
  return -1;
}

static int open_one(struct all *all, const char *url, char why[LOAD_WHY])
{
  struct secure *s = &all->secure[all->n++];
  struct peer_address address;

  *s = (struct secure){NULL, NULL};
  s->context = peer_open(url, why);
  if (!s->context || peer_parse(url, &address) != 0)
    return -1;
  s->ssl = SSL_new(all->ssl_ctx);
  return shake_hands(s, address.host, why);
}

static void *open_all(const char *url, int callers, char why[LOAD_WHY])
{
  struct all *all = malloc(sizeof *all + (size_t)callers * sizeof *all->secure);

  snprintf(why, LOAD_WHY, "out of memory");
  if (!all)
    return NULL;
  all->n = 0;
  all->ssl_ctx = new_ssl_ctx(url);
  if (!all->ssl_ctx)
    snprintf(why, LOAD_WHY, "the file of tls.ca_file cannot be read");
  while (all->ssl_ctx && all->n < callers) {
    if (open_one(all, url, why) != 0)
      break;
    if (all->n == callers)
      return all;
  }
  close_all(all);
  return NULL;
}

static int write_all(SSL *ssl, const struct command *command)
{
  char *text = NULL;
  long long len =
      redisFormatCommandArgv(&text, command->argc, (const char **)command->argv, command->len);
  int good = len > 0 && SSL_write(ssl, text, (int)len) == (int)len; /* all, or an error */

  redisFreeCommand(text);
  return good;
}

/* NULL: the connection is broken. */
static redisReply *read_reply(const struct secure *s)
{
  void *reply = NULL;
  char bytes[READ_SIZE];
  int n;

  while (redisReaderGetReply(s->context->reader, &reply) == REDIS_OK && !reply) {
    n = SSL_read(s->ssl, bytes, sizeof bytes);
    if (n <= 0 || redisReaderFeed(s->context->reader, bytes, (size_t)n) != REDIS_OK)
      return NULL;
  }
  return reply;
}

static int call(void *self, struct caller *caller, struct command *command)
{
  const struct secure *s = &((struct all *)self)->secure[caller->place];
  redisReply *reply = write_all(s->ssl, command) ? read_reply(s) : NULL;
  int good = work_fits(command, reply);

  if (!good)
    snprintf(caller->why, sizeof caller->why, "%s: %s", command->argv[0],
             reply ? "a strange answer" : "the connection is broken");
  freeReplyObject(reply);
  return good ? 0 : -1;
}

static int run(void *self, struct lap *lap)
{
  return crew_run(lap, call, self);
}

const struct contestant load_hiredis_tls = {
    .name = "hiredis-tls",
    .what = "N threads, each with a hiredis context whose socket OpenSSL reads and writes",
    .tls = 1,
    .open = open_all,
    .run = run,
    .close = close_all,
};
