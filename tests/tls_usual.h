/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_usual.h - for tests of net/tls_context that take certificates as they come: both sides with
 * the usual ones. */
#ifndef TLS_USUAL_H
#define TLS_USUAL_H
#include "harness/certs.h"
#include "tls_tools.h"

static const struct cert_set *set;

static inline void setup(void)
{
  set = certs_default();
}

static inline struct tls_context *trusting(const char *host)
{
  return context_with(SETTINGS("host", host, "tls.ca_file", cert_file(set->ca)));
}

static inline SSL_CTX *server_of(int version)
{
  return server_with(&(struct server_spec){.cert = set->server, .max_version = version});
}

/* A connection that came about; with the tickets that came with it. */
static inline struct talk connected(struct tls_context *context, SSL_CTX *server)
{
  struct talk t = talk_begin(context, server);

  talk_run(&t);
  ck_assert_msg(!t.failed && SSL_is_init_finished(t.client), "%s",
                ERR_reason_error_string(ERR_peek_error()));
  return t;
}

#endif
