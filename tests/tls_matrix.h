/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_matrix.h - a server and a client that meet, and the sentence that is said about it. */
#ifndef TLS_MATRIX_H
#define TLS_MATRIX_H
#include "harness/checks.h"
#include "tls_tools.h"

static struct certs *s;
static const struct cert *ca, *other_ca, *good;
static char told[TLS_ERROR_SIZE];

static inline void setup(void)
{
  s = certs_new();
  ca = certs_ca(s, "top");
  other_ca = certs_ca(s, "other");
  good = certs_make(s, &(struct cert_spec){.name = "cn.test",
                                           .issuer = ca,
                                           .dns = {"a.test", "*.b.test", "p*.c.test"},
                                           .ip = {"127.0.0.1", "::1"}});
}

static inline void teardown(void)
{
  certs_free(s);
}

static inline void tell(struct talk *t)
{
  told[0] = '\0';
  if (t->failed)
    tls_context_explain(t->context, t->client, told, sizeof told);
  else
    ck_assert_int_eq(SSL_is_init_finished(t->client), 1);
  ck_assert_uint_eq(ERR_peek_error(), 0);
}

/* The sentence begins with this; with nothing: it connects. */
static inline void expect(const char *text)
{
  ck_assert_msg(*text ? strncmp(told, text, strlen(text)) == 0 : !*told, "\"%s\", not \"%s\"", told,
                text);
  ck_assert_uint_lt(strlen(told), sizeof told - 1);
}

static inline void expect_more(const char *text)
{
  ck_assert_msg(strstr(told, text) != NULL, "\"%s\" lacks \"%s\"", told, text);
}

static inline void meet(struct server_spec spec, const char *const *settings, const char *text)
{
  struct tls_context *context = context_with(settings);
  SSL_CTX *server = server_with(&spec);
  struct talk t = talk_begin(context, server);

  talk_run(&t);
  tell(&t);
  talk_end(&t);
  SSL_CTX_free(server);
  tls_context_unref(context);
  expect(text);
}

#endif
