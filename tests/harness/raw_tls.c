/* SPDX-License-Identifier: BSD-3-Clause */
/* raw_tls.c - the handshake of the blocking client. */
#include "certs.h"
#include "raw_impl.h"
#include "tls_end.h"
#include "util.h"

#include <errno.h>
#include <string.h>

static SSL_CTX *make_context(const struct raw_tls *o)
{
  SSL_CTX *x = SSL_CTX_new(TLS_client_method());
  bool weak = o->max_version && o->max_version < TLS1_2_VERSION;

  tls_must(x != NULL, "SSL_CTX_new");
  if (weak)
    SSL_CTX_set_security_level(x, 0);
  SSL_CTX_set_min_proto_version(x, weak ? TLS1_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(x, o->max_version);
  tls_must(SSL_CTX_load_verify_locations(x, o->ca ? o->ca : cert_file(certs_default()->ca), NULL) ==
               1,
           "authorities");
  SSL_CTX_set_verify(x, SSL_VERIFY_PEER, NULL);
  tls_use(x, o->cert, o->key);
  return x;
}

static void set_peer(SSL *ssl, const char *host)
{
  if (host) {
    SSL_set_tlsext_host_name(ssl, host);
    SSL_set1_host(ssl, host);
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), "127.0.0.1");
  }
}

static bool shake_hands(struct raw *r, int64_t end_ms)
{
  struct wire_buf raw = {0};
  int done, got = 1;

  while ((done = tls_end_handshake(r->tls)) < 0 && errno == EAGAIN && got > 0) {
    raw.len = 0;
    got = raw_flush(r) ? raw_read(r, &raw, end_ms) : -1;
    if (got > 0)
      tls_end_feed(r->tls, raw.data, raw.len);
  }
  wire_buf_free(&raw);
  raw_flush(r); /* an alert, or the end of the handshake */
  return done == 1;
}

struct raw *raw_open_tls(const char *url, const struct raw_tls *options, int timeout_ms)
{
  struct raw_tls o = options ? *options : (struct raw_tls){0};
  int64_t end_ms = now_ms() + timeout_ms;
  struct sock_address at;
  SSL_CTX *context;
  struct raw *r;
  bool ok;

  if (!sock_parse(&at, url))
    harness_die("not an address: %s", url);
  r = raw_open_at(&at, timeout_ms);
  if (!r)
    return NULL;
  context = make_context(&o);
  r->tls = harness_alloc(sizeof(*r->tls));
  tls_end_open(r->tls, context, false);
  SSL_CTX_free(context); /* the stream has a reference */
  set_peer(r->tls->ssl, o.host);
  ok = shake_hands(r, end_ms);
  if (o.ret_why)
    memcpy(o.ret_why, r->tls->why, sizeof(r->tls->why));
  if (ok)
    return r;
  raw_close(r);
  errno = EPROTO;
  return NULL;
}

bool raw_key_update(struct raw *r)
{
  return SSL_key_update(r->tls->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 &&
         SSL_do_handshake(r->tls->ssl) == 1 && raw_flush(r);
}

bool raw_was_told(const struct raw *r)
{
  return r->tls->ended;
}
