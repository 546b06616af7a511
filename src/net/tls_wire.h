/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_wire.h - what OpenSSL takes for the wire of one TLS stream: it reads from the bytes that are
 * being opened, and writes to one buffer of fixed size. Inside net/tls*.c; all under the stream's
 * lock but for what the writer sends, out[out_sent, out_len), which stays where it is. */
#ifndef PMX_NET_TLS_WIRE_H
#define PMX_NET_TLS_WIRE_H
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stddef.h>

enum {
  SEAL_MAX = 2 * SSL3_RT_MAX_PLAIN_LENGTH, /* two records */
  SPARE = 8 * 1024,                        /* for what OpenSSL says by itself */
  OUT_MAX = SEAL_MAX + 2 * 256 + SPARE     /* also of our certificates in a handshake */
};

struct tls_wire {
  BIO_METHOD *method;
  /* in: the reader's, while it holds the lock */
  char *rest; /* raw bytes that came too early: before `raw` */
  size_t rest_len, rest_used;
  const char *raw;
  size_t raw_len;
  int raw_ended;
  /* out */
  int no_room; /* OpenSSL had more to say than there is room for */
  _Atomic int held;
  size_t out_sent, out_len;
  char out[OUT_MAX];
};

int wire_attach(struct tls_wire *, SSL *); /* 0, or -1: no memory */
void wire_free(struct tls_wire *);         /* after SSL_free */
/* What is being opened; NULL: the wire has ended. */
void wire_begin(struct tls_wire *, const char *raw, size_t len);
/* Nobody will see again what is left: keeps it. 0, or -1: no memory. */
int wire_end(struct tls_wire *);
int wire_is_used_up(const struct tls_wire *); /* 1: nothing is left of what came */
const char *wire_output(const struct tls_wire *, size_t *ret_len);
void wire_sent(struct tls_wire *, size_t);

#endif
