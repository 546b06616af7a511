/* SPDX-License-Identifier: BSD-3-Clause */
/* tls.h - one TLS stream without I/O: bytes from the wire go in, bytes for the wire come out. The
 * OpenSSL object never sees a socket, so reading goes on while writing is stuck, and nothing here
 * ever waits.
 *
 * States: handshaking → open → ended (the peer said so, or an error: nothing goes in or out any
 * more). One thread may open while another one seals; the lock inside is around the OpenSSL object,
 * a leaf, and held for one record at a time. Output belongs to whoever seals. */
#ifndef PMX_NET_TLS_H
#define PMX_NET_TLS_H
#include <stddef.h>
#include <sys/types.h>
#include "net/tls_context.h"
#include "net/transport.h"

enum {
  TLS_RECORD_MAX = 16 * 1024 + 256 + 5,         /* the longest record on the wire */
  TLS_RAW_MAX = 16 * 1024,                      /* the most that is opened at once */
  TLS_PLAIN_MAX = TLS_RAW_MAX + TLS_RECORD_MAX, /* room that tls_open wants: all it can give */
};

/* Results below zero are transport.h's: NET_AGAIN: more from the wire is needed, or output has to
 * go first; NET_EOF: the peer closed the stream in order; NET_ERROR: tls_why says what happened. */

struct tls;

struct tls *tls_new(struct tls_context *); /* takes a reference of it; NULL: no memory */
void tls_free(struct tls *);               /* NULL is ignored */
const struct tls_context *tls_settings(const struct tls *);

/* ---- in: the reader's. raw: what was received, at most TLS_RAW_MAX; NULL: the wire ended ---- */
int tls_handshake(struct tls *, const char *raw, size_t len); /* 0 = open, NET_AGAIN, NET_ERROR */
/* Decrypts all that is complete, into at least TLS_PLAIN_MAX bytes. Bytes that came before an end
 * are given first: then tls_over. */
ssize_t tls_open(struct tls *, const char *raw, size_t len, char *buf, size_t size);
int tls_amid(const struct tls *); /* 1: of what was opened last, a part of a record is left */
int tls_over(const struct tls *); /* 1: the next tls_open says NET_EOF or NET_ERROR */

/* ---- out: the writer's ---- */
/* Encrypts as many as fit; they count as sent. */
ssize_t tls_seal(struct tls *, const char *bytes, size_t len);
void tls_seal_end(struct tls *);                       /* "close notify", if that is possible */
const char *tls_output(struct tls *, size_t *ret_len); /* stays where it is */
void tls_sent(struct tls *, size_t);                   /* so many bytes of the output are gone */
int tls_held(const struct tls *);                      /* 1: there is output. Thread: any */

/* Why it failed; the reader and the writer each have their own. "" = it did not. */
const char *tls_why(const struct tls *, int sealing);
void tls_describe(struct tls *, struct text *); /* tls_context_describe. The reader's */
/* 1: one side did not accept the other; 0: the wire ended, or nothing happened. The reader's. */
int tls_refused(const struct tls *);

#endif
