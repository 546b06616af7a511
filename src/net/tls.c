/* SPDX-License-Identifier: BSD-3-Clause */
/* tls.c - see tls.h. What is sealed in one go always fits into the wire's buffer, with room to
 * spare for what OpenSSL itself says (the answer to a key update, an alert). Who does not take that
 * ends the connection. */
#include "net/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/sync.h"
#include "net/tls_wire.h"

enum { WHY_SIZE = 640 };

struct tls {
  struct tls_context *context;
  struct lock lock;
  SSL *ssl;
  int amid;
  _Atomic int end;     /* 0, NET_EOF, NET_ERROR; what came before it was given out */
  _Atomic int refused; /* one side did not accept the other */
  char why_open[WHY_SIZE], why_seal[WHY_SIZE];
  struct tls_wire wire; /* last: its buffer needs no clearing */
};

static void enter(struct tls *t)
{
  fork_hold();
  lock_acquire(&t->lock);
}

static void leave(struct tls *t)
{
  lock_release(&t->lock);
  fork_let();
}

/* ---- life ---- */

struct tls *tls_new(struct tls_context *context)
{
  struct tls *t = mem_alloc(sizeof *t);
  int attached;

  if (!t)
    return NULL;
  memset(t, 0, offsetof(struct tls, wire.out));
  lock_init(&t->lock);
  t->context = tls_context_ref(context);
  fork_hold();
  t->ssl = tls_context_connect(context);
  attached = t->ssl && wire_attach(&t->wire, t->ssl) == 0;
  ERR_clear_error();
  fork_let();
  if (attached)
    return t;
  tls_free(t);
  return NULL;
}

void tls_free(struct tls *t)
{
  if (!t)
    return;
  fork_hold();
  SSL_free(t->ssl);
  fork_let();
  wire_free(&t->wire);
  tls_context_unref(t->context);
  lock_destroy(&t->lock);
  mem_free(t);
}

const struct tls_context *tls_settings(const struct tls *t)
{
  return t->context;
}

/* ---- in ---- */

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
  if (t->wire.no_room)
    snprintf(why, WHY_SIZE,
             "there is no room for what is to be said: is the chain in tls.cert_file that long?");
  if (why != t->why_open && !*t->why_open)
    snprintf(t->why_open, WHY_SIZE, "%s", why);
  t->refused = !t->wire.raw_ended && !no_memory && !t->wire.no_room;
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

  enter(t);
  wire_begin(&t->wire, raw, len);
  forget_errors();
  result = SSL_do_handshake(t->ssl) == 1 ? prove(t) : failed(t, t->why_open);
  if (result == NET_EOF) {
    snprintf(t->why_open, WHY_SIZE, "the server ended it in the middle of the handshake");
    result = over(t, NET_ERROR);
  }
  if (wire_end(&t->wire) != 0)
    result = no_memory(t);
  leave(t);
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
  return wire_is_used_up(&t->wire) && !t->wire.raw_ended && SSL_pending(t->ssl) == 0 &&
         !SSL_has_pending(t->ssl);
}

/* Of a record whose head alone has come OpenSSL says that nothing is pending, and that it reads the
 * body ("RB") of one. */
static int is_amid(const struct tls *t)
{
  return !wire_is_used_up(&t->wire) || SSL_has_pending(t->ssl) ||
         SSL_rstate_string(t->ssl)[1] == 'B';
}

ssize_t tls_open(struct tls *t, const char *raw, size_t len, char *buf, size_t size)
{
  size_t got = 0, n = 0;
  int result = 0;

  enter(t);
  wire_begin(&t->wire, raw, len);
  while (got < size && (result = open_one(t, buf + got, size - got, &n)) == 0) {
    got += n;
    if (used_up(t))
      break;
    lock_release(&t->lock); /* a record at a time: others have something to say */
    lock_acquire(&t->lock);
  }
  if (wire_end(&t->wire) != 0)
    result = no_memory(t);
  t->amid = is_amid(t);
  leave(t);
  return got > 0 ? (ssize_t)got : result;
}

void tls_describe(struct tls *t, struct text *text)
{
  enter(t);
  tls_context_describe(t->context, t->ssl, text);
  leave(t);
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

    enter(t);
    result =
        t->wire.out_len > SPARE && taken == 0 ? NET_AGAIN : seal_one(t, bytes + taken, part, &n);
    leave(t);
    taken += result == 0 ? n : 0;
  }
  return taken > 0 ? (ssize_t)taken : result;
}

void tls_seal_end(struct tls *t)
{
  enter(t);
  ERR_clear_error();
  if (t->end != NET_ERROR && SSL_is_init_finished(t->ssl) && OUT_MAX - t->wire.out_len > SPARE / 2)
    (void)SSL_shutdown(t->ssl);
  ERR_clear_error();
  leave(t);
}

const char *tls_output(struct tls *t, size_t *ret_len)
{
  const char *bytes;

  lock_acquire(&t->lock);
  bytes = wire_output(&t->wire, ret_len);
  lock_release(&t->lock);
  return bytes;
}

void tls_sent(struct tls *t, size_t n)
{
  lock_acquire(&t->lock);
  wire_sent(&t->wire, n);
  lock_release(&t->lock);
}

int tls_held(const struct tls *t)
{
  return atomic_load(&t->wire.held);
}

const char *tls_why(const struct tls *t, int sealing)
{
  return sealing ? t->why_seal : t->why_open;
}
