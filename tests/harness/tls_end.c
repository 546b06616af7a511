/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_end.c - see tls_end.h. */
#include "tls_end.h"
#include "util.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

void tls_must(bool ok, const char *what)
{
  char text[200];

  if (ok)
    return;
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  harness_die("TLS: %s: %s", what, text);
}

void tls_use(SSL_CTX *context, const char *chain, const char *key)
{
  if (!chain)
    return;
  tls_must(SSL_CTX_use_certificate_chain_file(context, chain) == 1, chain);
  tls_must(SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1, key);
}

void tls_end_open(struct tls_end *e, SSL_CTX *context, bool server)
{
  e->ssl = SSL_new(context);
  e->in = BIO_new(BIO_s_mem());
  e->out = BIO_new(BIO_s_mem());
  tls_must(e->ssl && e->in && e->out, "SSL_new");
  SSL_set_bio(e->ssl, e->in, e->out);
  if (server)
    SSL_set_accept_state(e->ssl);
  else
    SSL_set_connect_state(e->ssl);
}

void tls_end_free(struct tls_end *e)
{
  SSL_free(e->ssl);
  e->ssl = NULL;
  e->in = e->out = NULL;
}

void tls_end_feed(struct tls_end *e, const void *raw, size_t len)
{
  tls_must(BIO_write(e->in, raw, (int)len) == (int)len, "BIO_write");
}

void tls_end_drain(struct tls_end *e, struct wire_buf *raw)
{
  char block[16384];
  int n;

  while (e->out && (n = BIO_read(e->out, block, sizeof(block))) > 0)
    wire_buf_add(raw, block, (size_t)n);
}

/* What a call that gave no bytes means. */
static int outcome(struct tls_end *e, int result)
{
  int error = SSL_get_error(e->ssl, result);

  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    errno = EAGAIN;
    return -1;
  }
  if (error == SSL_ERROR_ZERO_RETURN) {
    e->ended = true;
    return 0;
  }
  e->failed = true;
  e->ready = false;
  ERR_error_string_n(ERR_peek_error(), e->why, sizeof(e->why));
  errno = EPROTO;
  return -1;
}

static bool may(const struct tls_end *e)
{
  errno = EPROTO;
  if (!e->ssl || e->failed)
    return false;
  ERR_clear_error();
  return true;
}

int tls_end_handshake(struct tls_end *e)
{
  int result;

  if (!may(e))
    return -1;
  result = SSL_do_handshake(e->ssl);
  if (result != 1)
    return outcome(e, result);
  e->ready = true;
  return 1;
}

ssize_t tls_end_read(struct tls_end *e, void *buf, size_t len)
{
  int result;

  if (!may(e))
    return -1;
  result = SSL_read(e->ssl, buf, (int)len);
  return result > 0 ? result : outcome(e, result);
}

ssize_t tls_end_write(struct tls_end *e, const void *bytes, size_t len)
{
  int result;

  if (!may(e))
    return -1;
  result = SSL_write(e->ssl, bytes, (int)len);
  return result > 0 ? result : outcome(e, result);
}

void tls_end_notify(struct tls_end *e)
{
  if (e->ready && may(e))
    SSL_shutdown(e->ssl);
}
