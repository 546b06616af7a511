/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.c - see wire.h. */
#include "wire.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_SIZE = 16 * 1024 };

struct wire {
  redisContext *context;
  SSL_CTX *ssl_ctx;
  SSL *ssl;  /* NULL: plain */
  char *out; /* not yet sent through TLS */
  size_t out_len, out_size;
};

void wire_close(struct wire *w)
{
  if (!w)
    return;
  SSL_free(w->ssl);
  SSL_CTX_free(w->ssl_ctx);
  if (w->context)
    redisFree(w->context);
  free(w->out);
  free(w);
}

/* ---- TLS ---- */

static int tls_failed(const char *what, char why[PEER_WHY])
{
  const char *reason = ERR_reason_error_string(ERR_peek_error());

  snprintf(why, PEER_WHY, "TLS: %s: %s", what, reason ? reason : "the connection was closed");
  ERR_clear_error();
  return 0;
}

/* Never asks at a terminal. */
static int passphrase(char *buf, int size, int writing, void *text)
{
  size_t len = strlen(text);

  (void)writing;
  if (len > (size_t)size)
    return -1;
  memcpy(buf, text, len);
  return (int)len;
}

/* Files that hold something else are none of our business. */
static int trust_file(void *ssl_ctx, const char *path)
{
  int good = SSL_CTX_load_verify_locations(ssl_ctx, path, NULL) == 1;

  ERR_clear_error();
  return good;
}

static int trust(SSL_CTX *ssl_ctx, const struct peer_address *a)
{
  if (!a->ca_file[0] && !a->ca_dir[0])
    return SSL_CTX_set_default_verify_paths(ssl_ctx);
  if (a->ca_dir[0] && peer_each_file(a->ca_dir, trust_file, ssl_ctx) < 1)
    return 0;
  return !a->ca_file[0] || SSL_CTX_load_verify_locations(ssl_ctx, a->ca_file, NULL) == 1;
}

static int make_ssl_ctx(struct wire *w, const struct peer_address *a, char why[PEER_WHY])
{
  int good;

  w->ssl_ctx = SSL_CTX_new(TLS_client_method());
  if (!w->ssl_ctx)
    return tls_failed("setting up", why);
  SSL_CTX_set_verify(w->ssl_ctx, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_default_passwd_cb(w->ssl_ctx, passphrase);
  SSL_CTX_set_default_passwd_cb_userdata(w->ssl_ctx, (void *)(uintptr_t)a->key_passphrase);
  good = trust(w->ssl_ctx, a);
  if (good && a->cert_file[0])
    good = SSL_CTX_use_certificate_chain_file(w->ssl_ctx, a->cert_file) == 1 &&
           SSL_CTX_use_PrivateKey_file(w->ssl_ctx, a->key_file, SSL_FILETYPE_PEM) == 1;
  return good ? 1 : tls_failed("the files of tls.*", why);
}

static int expect_name(SSL *ssl, const char *host)
{
  unsigned char ip[sizeof(struct in6_addr)];

  if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
  return SSL_set1_host(ssl, host) && SSL_set_tlsext_host_name(ssl, host);
}

static int shake_hands(struct wire *w, const struct peer_address *a, char why[PEER_WHY])
{
  if (!make_ssl_ctx(w, a, why))
    return 0;
  w->ssl = SSL_new(w->ssl_ctx);
  if (w->ssl && expect_name(w->ssl, a->server_name[0] ? a->server_name : a->host) &&
      SSL_set_fd(w->ssl, w->context->fd) && SSL_connect(w->ssl) == 1)
    return 1;
  return tls_failed("handshake", why);
}

/* hiredis' own functions would write past TLS. */
static int log_in(struct wire *w, const struct peer_address *a, char why[PEER_WHY])
{
  const char *auth[] = {"AUTH", a->user[0] ? a->user : a->password, a->password};
  char db[16];
  const char *select[] = {"SELECT", db};
  redisReply *reply = NULL;
  int good = 1;

  snprintf(db, sizeof db, "%d", a->db);
  if (a->password[0])
    reply = wire_command(w, a->user[0] ? 3 : 2, auth, NULL);
  good = !a->password[0] || (reply && reply->type == REDIS_REPLY_STATUS);
  if (good && a->db) {
    freeReplyObject(reply);
    reply = wire_command(w, 2, select, NULL);
    good = reply && reply->type == REDIS_REPLY_STATUS;
  }
  if (!good)
    snprintf(why, PEER_WHY, "%s", reply && reply->str ? reply->str : wire_error(w));
  freeReplyObject(reply);
  return good;
}

struct wire *wire_open(const char *url, char why[PEER_WHY])
{
  struct wire *w = calloc(1, sizeof *w);
  struct peer_address *a = malloc(sizeof *a);
  int good = 0;

  snprintf(why, PEER_WHY, "out of memory");
  if (w && a) {
    w->context = peer_open(url, why);
    good = w->context && peer_parse(url, a) == 0 &&
           (!a->tls || (shake_hands(w, a, why) && log_in(w, a, why)));
  }
  free(a);
  if (good)
    return w;
  wire_close(w);
  return NULL;
}

/* ---- commands ---- */

static int keep(struct wire *w, const char *text, size_t len)
{
  size_t size = w->out_size ? w->out_size : READ_SIZE;
  char *out;

  while (size < w->out_len + len)
    size *= 2;
  if (size > w->out_size) {
    out = realloc(w->out, size);
    if (!out)
      return -1;
    w->out = out;
    w->out_size = size;
  }
  memcpy(w->out + w->out_len, text, len);
  w->out_len += len;
  return 0;
}

int wire_append(struct wire *w, int argc, const char *const *argv, const size_t *len)
{
  char *text = NULL;
  long long n;
  int failed;

  if (!w->ssl)
    return redisAppendCommandArgv(w->context, argc, (const char **)argv, len) == REDIS_OK ? 0 : -1;
  n = redisFormatCommandArgv(&text, argc, (const char **)argv, len);
  failed = n <= 0 || keep(w, text, (size_t)n) != 0;
  redisFreeCommand(text);
  return failed ? -1 : 0;
}

/* SSL_write takes all, or fails; but not more than an int says. */
static int flush(struct wire *w)
{
  size_t done = 0, part;

  while (done < w->out_len) {
    part = w->out_len - done < (1 << 30) ? w->out_len - done : 1 << 30;
    if (SSL_write(w->ssl, w->out + done, (int)part) != (int)part)
      return -1;
    done += part;
  }
  w->out_len = 0;
  return 0;
}

redisReply *wire_reply(struct wire *w)
{
  void *reply = NULL;
  char bytes[READ_SIZE];
  int n;

  if (!w->ssl)
    return redisGetReply(w->context, &reply) == REDIS_OK ? reply : NULL;
  if (flush(w) != 0)
    return NULL;
  while (redisReaderGetReply(w->context->reader, &reply) == REDIS_OK && !reply) {
    n = SSL_read(w->ssl, bytes, sizeof bytes);
    if (n <= 0 || redisReaderFeed(w->context->reader, bytes, (size_t)n) != REDIS_OK)
      return NULL;
  }
  return reply;
}

redisReply *wire_command(struct wire *w, int argc, const char *const *argv, const size_t *len)
{
  return wire_append(w, argc, argv, len) == 0 ? wire_reply(w) : NULL;
}

const char *wire_error(const struct wire *w)
{
  return w->context->errstr[0] ? w->context->errstr : "the connection broke";
}

int wire_fd(const struct wire *w)
{
  return w->context->fd;
}
