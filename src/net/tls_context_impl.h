/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_context_impl.h - inside a generation of TLS settings, for net/tls_*.c only. */
#ifndef PMX_NET_TLS_CONTEXT_IMPL_H
#define PMX_NET_TLS_CONTEXT_IMPL_H
#include <openssl/ssl.h>
#include <stdatomic.h>
#include "base/text.h"
#include "call/config.h"
#include "net/tls_sessions.h"

enum { TLS_NAME_SIZE = 256, TLS_QUOTE_MAX = 200 };

/* Whom the certificate must be for. */
struct tls_name {
  char text[TLS_NAME_SIZE]; /* without the dot at the end and without the zone; "" = none */
  size_t ip_len;            /* 0: a host name */
  unsigned char ip[16];
};

struct tls_context {
  _Atomic unsigned refs;
  SSL_CTX *ssl_ctx;
  struct tls_name name;
  int has_own_ca; /* tls.ca_* was set: the system's are not trusted */
  int has_cert;
  int common_name;
  enum tls_version { TLS_MIN_1_2, TLS_MIN_1_3 } min_version;
  struct tls_sessions sessions;
};

/* What the check of the certificate of one connection found first; goes with its SSL. */
struct tls_verdict {
  int error; /* X509_V_*; X509_V_OK: nothing */
  int depth;
  X509 *cert; /* the one that is wrong */
  X509 *leaf; /* the server's */
};
struct tls_verdict *tls_verdict_of(const SSL *); /* NULL: nothing is verified */

/* One attempt to make a context. */
struct tls_load {
  const struct config *config;
  SSL_CTX *ssl_ctx;
  struct text error;
  int no_memory;
};

/* 0, or -1 with the reason in load->error, or load->no_memory set. */
int tls_name_read(struct tls_load *, struct tls_name *ret);
int tls_load_trust(struct tls_load *);    /* tls.ca_*, tls.crl_file */
int tls_load_identity(struct tls_load *); /* tls.cert_file, tls.key_file */
int tls_load_ciphers(struct tls_load *);  /* tls.ciphers, tls.ciphersuites, tls.groups */

/* tls_file.c. A whole file, into memory that tls_file_drop() wipes. */
struct tls_file {
  char *bytes;
  size_t size;
};
int tls_file_read(struct tls_load *, const char *option, const char *path, struct tls_file *ret);
void tls_file_drop(struct tls_file *);

/* "OPTION: " and, quoted, the value; what follows is the caller's. */
void tls_load_blame(struct tls_load *, const char *option, const char *value);
/* The failure of an OpenSSL call: "OPTION: "value" WHAT: reason". Empties the error queue; -1. */
int tls_load_failed(struct tls_load *, const char *option, const char *value, const char *what);
int tls_load_no_memory(struct tls_load *); /* -1 */

/* tls_explain_cert.c */
void tls_explain_verdict(const struct tls_context *, const struct tls_verdict *, struct text *);
void tls_add_x509_name(struct text *, const X509_NAME *); /* quoted, at most 100 bytes of it */

#endif
