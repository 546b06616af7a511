/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_tools.h - for tests of net/tls_context: a configuration from pairs of texts, and a client's
 * SSL of the library that talks to a server's SSL of the test in memory, one step after the other.
 */
#ifndef TLS_TOOLS_H
#define TLS_TOOLS_H
#include <check.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>

#include "api/options.h"
#include "harness/certs.h"
#include "net/tls_context.h"
#include "net/tls_context_impl.h"

/* ---- settings: "name", "value", …, NULL; tls=yes stands already ---- */

static inline void configure(struct config *config, const char *const *settings)
{
  char error[TLS_ERROR_SIZE];

  ck_assert_int_eq(config_init(config), 0);
  ck_assert_int_eq(config_set(config, "tls", "yes", 0, error, sizeof error), 0);
  for (; *settings; settings += 2)
    ck_assert_msg(config_set(config, settings[0], settings[1], 0, error, sizeof error) == 0, "%s",
                  error);
}

#define SETTINGS(...)                                                                              \
  (const char *const[])                                                                            \
  {                                                                                                \
    __VA_ARGS__, NULL                                                                              \
  }

static inline struct tls_context *context_with(const char *const *settings)
{
  char error[TLS_ERROR_SIZE] = "?";
  struct config config;
  struct tls_context *context;

  configure(&config, settings);
  context = tls_context_new(&config, error, sizeof error);
  ck_assert_msg(context != NULL, "%s", error);
  ck_assert_uint_eq(ERR_peek_error(), 0);
  config_clear(&config);
  return context;
}

/* ---- the server ---- */

struct server_spec {
  const struct cert *cert;
  const char *chain_file; /* what it presents instead of its whole chain */
  const struct cert *ca;  /* who may sign a client's certificate; NULL: it wants none */
  int max_version;        /* 0: any */
  const char *ciphers;    /* of TLS 1.2, with @SECLEVEL if need be */
  const char *groups;
  int no_tickets;
};

static inline void use_key(SSL_CTX *ctx, const char *pem)
{
  BIO *bio = BIO_new_mem_buf(pem, -1);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

  ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
  EVP_PKEY_free(key);
  BIO_free(bio);
}

static inline SSL_CTX *server_with(const struct server_spec *spec)
{
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

  SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
  if (spec->ciphers)
    ck_assert_int_eq(SSL_CTX_set_cipher_list(ctx, spec->ciphers), 1);
  if (spec->groups)
    ck_assert_int_eq((int)SSL_CTX_set1_groups_list(ctx, spec->groups), 1);
  ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(
                       ctx, spec->chain_file ? spec->chain_file : cert_chain_file(spec->cert)),
                   1);
  use_key(ctx, cert_key_pem(spec->cert));
  if (spec->max_version) {
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, spec->max_version);
  }
  if (spec->ca) {
    ck_assert_int_eq(SSL_CTX_load_verify_locations(ctx, cert_file(spec->ca), NULL), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  }
  if (spec->no_tickets)
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
  ERR_clear_error();
  return ctx;
}

/* ---- both ---- */

struct talk {
  struct tls_context *context;
  SSL *client, *server;
  BIO *wire;  /* the client's end of it, for tests that play the server by hand */
  int failed; /* the client's SSL_* call */
};

static inline struct talk talk_begin(struct tls_context *context, SSL_CTX *server)
{
  struct talk t = {.context = context, .client = tls_context_connect(context)};
  BIO *client_end, *server_end;

  ck_assert_ptr_nonnull(t.client);
  ck_assert_uint_eq(ERR_peek_error(), 0);
  ck_assert_int_eq(BIO_new_bio_pair(&client_end, 65536, &server_end, 65536), 1);
  SSL_set_bio(t.client, client_end, client_end);
  t.wire = server_end;
  if (server) {
    t.server = SSL_new(server);
    SSL_set_accept_state(t.server);
    SSL_set_bio(t.server, server_end, server_end);
  }
  return t;
}

static inline void talk_end(struct talk *t)
{
  SSL_free(t->client);
  if (t->server)
    SSL_free(t->server);
  else
    BIO_free(t->wire);
}

static inline int is_over(const SSL *ssl, int result)
{
  int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, result);

  return error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
}

/* One step of the client: its handshake, then reading what is there. */
static inline void talk_client(struct talk *t)
{
  char buf[64];
  int n;

  if (t->failed)
    return;
  ERR_clear_error();
  n = SSL_is_init_finished(t->client) ? SSL_read(t->client, buf, sizeof buf)
                                      : SSL_do_handshake(t->client);
  t->failed = is_over(t->client, n);
}

static inline void talk_server(struct talk *t)
{
  char buf[64];

  if (SSL_is_init_finished(t->server))
    SSL_read(t->server, buf, sizeof buf);
  else
    SSL_do_handshake(t->server);
  ERR_clear_error();
}

/* Until nothing moves any more: the client is told whether the server took it. */
static inline void talk_run(struct talk *t)
{
  for (int i = 0; i < 8 && !t->failed; i++) {
    talk_client(t);
    if (!t->failed)
      talk_server(t);
  }
}

#endif
