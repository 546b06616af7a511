/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_wire.c - see tls_wire.h. Knows bytes, not what they mean. */
#include "net/tls_wire.h"
#include <string.h>
#include "base/mem.h"

/* ---- OpenSSL's view ---- */

static int wire_read(BIO *bio, char *buf, size_t size, size_t *ret_read)
{
  struct tls_wire *w = BIO_get_data(bio);
  size_t rest = w->rest_len - w->rest_used;

  BIO_clear_retry_flags(bio);
  if (rest > 0) {
    *ret_read = size < rest ? size : rest;
    memcpy(buf, w->rest + w->rest_used, *ret_read);
    w->rest_used += *ret_read;
    return 1;
  }
  *ret_read = size < w->raw_len ? size : w->raw_len;
  if (*ret_read == 0) {
    if (!w->raw_ended)
      BIO_set_retry_read(bio);
    return 0;
  }
  memcpy(buf, w->raw, *ret_read);
  w->raw += *ret_read;
  w->raw_len -= *ret_read;
  return 1;
}

static int wire_write(BIO *bio, const char *bytes, size_t len, size_t *ret_written)
{
  struct tls_wire *w = BIO_get_data(bio);

  BIO_clear_retry_flags(bio);
  *ret_written = 0;
  if (len > OUT_MAX - w->out_len) {
    w->no_room = 1;
    return 0;
  }
  memcpy(w->out + w->out_len, bytes, len);
  w->out_len += len;
  atomic_store(&w->held, 1);
  *ret_written = len;
  return 1;
}

static long wire_ctrl(BIO *bio, int command, long number, void *arg)
{
  const struct tls_wire *w = BIO_get_data(bio);

  (void)number;
  (void)arg;
  if (command == BIO_CTRL_EOF)
    return w->raw_ended && w->raw_len == 0;
  return command == BIO_CTRL_FLUSH;
}

static int wire_create(BIO *bio)
{
  BIO_set_init(bio, 1);
  return 1;
}

/* The type is a memory's, as far as OpenSSL is concerned: numbers of one's own are few, and never
 * given back. */
static BIO_METHOD *wire_method(void)
{
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_MEM, "poolmux");

  if (!method)
    return NULL;
  BIO_meth_set_create(method, wire_create);
  BIO_meth_set_ctrl(method, wire_ctrl);
  BIO_meth_set_read_ex(method, wire_read);
  BIO_meth_set_write_ex(method, wire_write);
  return method;
}

int wire_attach(struct tls_wire *w, SSL *ssl)
{
  BIO *bio;

  w->method = wire_method();
  bio = w->method ? BIO_new(w->method) : NULL;
  if (!bio)
    return -1;
  BIO_set_data(bio, w);
  SSL_set_bio(ssl, bio, bio);
  return 0;
}

void wire_free(struct tls_wire *w)
{
  BIO_meth_free(w->method);
  mem_free(w->rest);
}

/* ---- in ---- */

void wire_begin(struct tls_wire *w, const char *raw, size_t len)
{
  w->raw = raw;
  w->raw_len = len;
  w->raw_ended = raw == NULL;
}

int wire_end(struct tls_wire *w)
{
  size_t rest = w->rest_len - w->rest_used;
  char *kept;

  if (w->raw_len == 0 && rest > 0)
    return 0;
  kept = w->raw_len > 0 ? mem_alloc(rest + w->raw_len) : NULL;
  if (!kept && w->raw_len > 0)
    return -1;
  if (rest > 0)
    memcpy(kept, w->rest + w->rest_used, rest);
  if (kept)
    memcpy(kept + rest, w->raw, w->raw_len);
  mem_free(w->rest);
  w->rest = kept;
  w->rest_len = rest + w->raw_len;
  w->rest_used = w->raw_len = 0;
  return 0;
}

int wire_is_used_up(const struct tls_wire *w)
{
  return w->raw_len == 0 && w->rest_used == w->rest_len;
}

/* ---- out ---- */

const char *wire_output(const struct tls_wire *w, size_t *ret_len)
{
  *ret_len = w->out_len - w->out_sent;
  return w->out + w->out_sent;
}

void wire_sent(struct tls_wire *w, size_t n)
{
  w->out_sent += n;
  if (w->out_sent < w->out_len)
    return;
  w->out_sent = w->out_len = 0;
  atomic_store(&w->held, 0);
}
