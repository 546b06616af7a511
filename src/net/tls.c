/* SPDX-License-Identifier: BSD-3-Clause */
/* tls.c - see tls.h. OpenSSL reads from the bytes that are being opened, and writes to one buffer
 * of fixed size: what is sealed in one go always fits, with room to spare for what OpenSSL itself
 * says (the answer to a key update, an alert). Who does not take that ends the connection. */
#include "net/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/sync.h"

enum {
  SEAL_MAX = 2 * SSL3_RT_MAX_PLAIN_LENGTH, /* two records */
  SPARE = 8 * 1024,                        /* for what OpenSSL says by itself */
  OUT_MAX = SEAL_MAX + 2 * 256 + SPARE, /* also of our certificates in a handshake */
  WHY_SIZE = 640
};

struct tls {
  struct tls_context *context;
  struct lock lock;
  SSL *ssl;
  BIO_METHOD *method;
  /* what is being opened: the reader's, while it holds the lock */
  char *rest; /* raw bytes that came too early: before `raw` */
  size_t rest_len, rest_used;
  const char *raw;
  size_t raw_len;
  int raw_ended, amid;
  int no_room;        /* OpenSSL had more to say than there is room for */
  _Atomic int end;     /* 0, NET_EOF, NET_ERROR; what came before it was given out */
  _Atomic int refused; /* one side did not accept the other */
  _Atomic int held;
  size_t out_sent, out_len; /* the writer sends [sent, len); len grows under the lock */
  char why_open[WHY_SIZE], why_seal[WHY_SIZE];
  char out[OUT_MAX];
};

/* ---- OpenSSL's view of the wire ---- */

static int wire_read(BIO *bio, char *buf, size_t size, size_t *ret_read)
{
  struct tls *t = BIO_get_data(bio);
  size_t rest = t->rest_len - t->rest_used;

  BIO_clear_retry_flags(bio);
  if (rest > 0) {
    *ret_read = size < rest ? size : rest;
    memcpy(buf, t->rest + t->rest_used, *ret_read);
    t->rest_used += *ret_read;
    return 1;
  }
  *ret_read = size < t->raw_len ? size : t->raw_len;
  if (*ret_read == 0) {
    if (!t->raw_ended)
      BIO_set_retry_read(bio);
    return 0;
  }
  memcpy(buf, t->raw, *ret_read);
  t->raw += *ret_read;
  t->raw_len -= *ret_read;
  return 1;
}

static int wire_write(BIO *bio, const char *bytes, size_t len, size_t *ret_written)
{
  struct tls *t = BIO_get_data(bio);

  BIO_clear_retry_flags(bio);
  *ret_written = 0;
  if (len > OUT_MAX - t->out_len) {
    t->no_room = 1;
    return 0;
  }
  memcpy(t->out + t->out_len, bytes, len);
  t->out_len += len;
  atomic_store(&t->held, 1);
  *ret_written = len;
  return 1;
}

static long wire_ctrl(BIO *bio, int command, long number, void *arg)
{
  const struct tls *t = BIO_get_data(bio);

  (void)number;
  (void)arg;
  if (command == BIO_CTRL_EOF)
    return t->raw_ended && t->raw_len == 0;
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

/* 0, or -1: no memory. */
static int attach(struct tls *t)
{
  BIO *bio;

  t->method = wire_method();
  bio = t->method ? BIO_new(t->method) : NULL;
  if (!bio)
    return -1;
  BIO_set_data(bio, t);
  SSL_set_bio(t->ssl, bio, bio);
  return 0;
}

/* ---- life ---- */

struct tls *tls_new(struct tls_context *context)
{
  struct tls *t = mem_alloc(sizeof *t);

  if (!t)
    return NULL;
  memset(t, 0, offsetof(struct tls, out));
  lock_init(&t->lock);
  t->context = tls_context_ref(context);
  t->ssl = tls_context_connect(context);
  if (t->ssl && attach(t) == 0)
    return t;
  ERR_clear_error();
  tls_free(t);
  return NULL;
}

void tls_free(struct tls *t)
{
  if (!t)
    return;
  SSL_free(t->ssl);
  BIO_meth_free(t->method);
  tls_context_unref(t->context);
  lock_destroy(&t->lock);
  mem_free(t->rest);
  mem_free(t);
}

const struct tls_context *tls_settings(const struct tls *t)
{
  return t->context;
}

/* ---- in ---- */

static void begin_raw(struct tls *t, const char *raw, size_t len)
{
  t->raw = raw;
  t->raw_len = len;
  t->raw_ended = raw == NULL;
}

/* Nobody will see again what is left: keeps it. 0, or -1: no memory. */
static int end_raw(struct tls *t)
{
  size_t rest = t->rest_len - t->rest_used;
  char *kept;

  if (t->raw_len == 0 && rest > 0)
    return 0;
  kept = t->raw_len > 0 ? mem_alloc(rest + t->raw_len) : NULL;
  if (!kept && t->raw_len > 0)
    return -1;
  if (rest > 0)
    memcpy(kept, t->rest + t->rest_used, rest);
  if (kept)
    memcpy(kept + rest, t->raw, t->raw_len);
  mem_free(t->rest);
  t->rest = kept;
  t->rest_len = rest + t->raw_len;
  t->rest_used = t->raw_len = 0;
  return 0;
}

static int over(struct tls *t, int end)
{
  t->end = end;
  return end;
}

static int no_memory(struct tls *t)
{
  snprintf(t->why_open, WHY_SIZE, "out of memory");
  return over(t, NET_ERROR);
}

/* What others left in this thread's queue would be taken for ours. Looking costs a tenth of
 * emptying, and there is nearly never anything. */
static void forget_errors(void)
{
  if (ERR_peek_error() != 0)
    ERR_clear_error();
}

/* The stream is over. What the writer finds out the reader tells as well. */
static int fail(struct tls *t, char *why)
{
  int no_memory = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;

  tls_context_explain(t->context, t->ssl, why, WHY_SIZE);
  if (t->no_room)
    snprintf(why, WHY_SIZE,
             "there is no room for what is to be said: is the chain in tls.cert_file that long?");
  if (why != t->why_open && !*t->why_open)
    snprintf(t->why_open, WHY_SIZE, "%s", why);
  t->refused = !t->raw_ended && !no_memory && !t->no_room;
  return over(t, NET_ERROR);
}

/* What SSL_* on it returned, when that was not success. */
static int failed(struct tls *t, char *why)
{
  switch (SSL_get_error(t->ssl, 0)) {
  case SSL_ERROR_WANT_READ:
    return NET_AGAIN;
  case SSL_ERROR_ZERO_RETURN:
    return over(t, NET_EOF);
  default:
    return fail(t, why);
  }
}

/* Whatever was agreed upon: where certificates are verified there has to be one. A session that is
 * resumed has that of its first handshake. */
static int prove(struct tls *t)
{
  X509 *peer = SSL_get_peer_certificate(t->ssl);
  int proven = peer || !(SSL_get_verify_mode(t->ssl) & SSL_VERIFY_PEER);

  X509_free(peer);
  if (proven)
    return 0;
  snprintf(t->why_open, WHY_SIZE, "%s",
           "the server showed no certificate: is a cipher without allowed in openssl.cnf?");
  t->refused = 1;
  return over(t, NET_ERROR);
}

int tls_handshake(struct tls *t, const char *raw, size_t len)
{
  int result;

  lock_acquire(&t->lock);
  begin_raw(t, raw, len);
  forget_errors();
  result = SSL_do_handshake(t->ssl) == 1 ? prove(t) : failed(t, t->why_open);
  if (result == NET_EOF) {
    snprintf(t->why_open, WHY_SIZE, "the server ended it in the middle of the handshake");
    result = over(t, NET_ERROR);
  }
  if (end_raw(t) != 0)
    result = no_memory(t);
  lock_release(&t->lock);
  return result;
}

/* One record: 0, or why there is none. */
static int open_one(struct tls *t, char *buf, size_t size, size_t *ret_n)
{
  int result = t->end;

  if (result)
    return result;
  forget_errors();
  return SSL_read_ex(t->ssl, buf, size, ret_n) == 1 ? 0 : failed(t, t->why_open);
}

/* 1: nothing is left that could become a record. OpenSSL, asked for one, would say the same, but
 * that costs as much as a tenth of opening one. */
static int used_up(const struct tls *t)
{
  return t->raw_len == 0 && !t->raw_ended && t->rest_used == t->rest_len &&
         SSL_pending(t->ssl) == 0 && !SSL_has_pending(t->ssl);
}

/* Of a record whose head alone has come OpenSSL says that nothing is pending, and that it reads the
 * body ("RB") of one. */
static int is_amid(const struct tls *t)
{
  return t->rest_used < t->rest_len || SSL_has_pending(t->ssl) ||
         SSL_rstate_string(t->ssl)[1] == 'B';
}

ssize_t tls_open(struct tls *t, const char *raw, size_t len, char *buf, size_t size)
{
  size_t got = 0, n = 0;
  int result = 0;

  lock_acquire(&t->lock);
  begin_raw(t, raw, len);
  while (got < size && (result = open_one(t, buf + got, size - got, &n)) == 0) {
    got += n;
    if (used_up(t))
      break;
    lock_release(&t->lock); /* a record at a time: others have something to say */
    lock_acquire(&t->lock);
  }
  if (end_raw(t) != 0)
    result = no_memory(t);
  t->amid = is_amid(t);
  lock_release(&t->lock);
  return got > 0 ? (ssize_t)got : result;
}

int tls_refused(const struct tls *t)
{
  return t->refused;
}

int tls_amid(const struct tls *t)
{
  return t->amid;
}

int tls_over(const struct tls *t)
{
  return t->end != 0;
}

/* ---- out ---- */

static int seal_one(struct tls *t, const char *bytes, size_t len, size_t *ret_n)
{
  if (t->end) { /* the reader found out */
    snprintf(t->why_seal, WHY_SIZE, "%s",
             t->end == NET_EOF ? "the server has closed it" : t->why_open);
    return NET_ERROR;
  }
  forget_errors();
  return SSL_write_ex(t->ssl, bytes, len, ret_n) == 1 ? 0 : failed(t, t->why_seal);
}

ssize_t tls_seal(struct tls *t, const char *bytes, size_t len)
{
  size_t taken = 0, n = 0;
  int result = 0;

  if (len > SEAL_MAX)
    len = SEAL_MAX;
  while (taken < len && result == 0) {
    size_t part = len - taken < SSL3_RT_MAX_PLAIN_LENGTH ? len - taken : SSL3_RT_MAX_PLAIN_LENGTH;

    lock_acquire(&t->lock);
    result = t->out_len > SPARE && taken == 0 ? NET_AGAIN : seal_one(t, bytes + taken, part, &n);
    lock_release(&t->lock);
    taken += result == 0 ? n : 0;
  }
  return taken > 0 ? (ssize_t)taken : result;
}

void tls_seal_end(struct tls *t)
{
  lock_acquire(&t->lock);
  ERR_clear_error();
  if (t->end != NET_ERROR && SSL_is_init_finished(t->ssl) && OUT_MAX - t->out_len > SPARE / 2)
    (void)SSL_shutdown(t->ssl);
  ERR_clear_error();
  lock_release(&t->lock);
}

const char *tls_output(struct tls *t, size_t *ret_len)
{
  lock_acquire(&t->lock);
  *ret_len = t->out_len - t->out_sent;
  lock_release(&t->lock);
  return t->out + t->out_sent;
}

void tls_sent(struct tls *t, size_t n)
{
  lock_acquire(&t->lock);
  t->out_sent += n;
  if (t->out_sent == t->out_len) {
    t->out_sent = t->out_len = 0;
    atomic_store(&t->held, 0);
  }
  lock_release(&t->lock);
}

int tls_held(const struct tls *t)
{
  return atomic_load(&t->held);
}

const char *tls_why(const struct tls *t, int sealing)
{
  return sealing ? t->why_seal : t->why_open;
}
