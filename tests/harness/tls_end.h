/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_end.h - one end of a TLS stream, server or client, over memory: what came from a socket goes
 * in, what is to leave is taken out. The fake server and the raw client stand on it, neither of
 * which may be ended by SIGPIPE, as OpenSSL's own sockets would. No sockets, no library. */
#ifndef HARNESS_TLS_END_H
#define HARNESS_TLS_END_H
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

#include "wire.h"

struct tls_end {
  SSL *ssl;
  BIO *in, *out; /* the SSL's */
  bool ready;    /* the handshake is done */
  bool ended;    /* the other side closed the stream, with close_notify */
  bool failed;
  char why[200]; /* it failed */
};

void tls_end_open(struct tls_end *, SSL_CTX *, bool server);
void tls_end_free(struct tls_end *); /* what is known of it stays */
void tls_end_feed(struct tls_end *, const void *raw, size_t len);
void tls_end_drain(struct tls_end *, struct wire_buf *raw); /* appends what is to leave */
/* The next three: -1 and EAGAIN: more has to be fed; -1 and EPROTO: it failed. */
int tls_end_handshake(struct tls_end *);                    /* 1 = done */
ssize_t tls_end_read(struct tls_end *, void *, size_t len); /* 0 = ended */
ssize_t tls_end_write(struct tls_end *, const void *, size_t len);
void tls_end_notify(struct tls_end *); /* close_notify, if that is possible */

/* Ends the program, with what OpenSSL says, unless ok. */
void tls_must(bool ok, const char *what);
/* Files; the chain may be NULL: none is presented. */
void tls_use(SSL_CTX *, const char *chain, const char *key);

#endif
