/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_context.c - makes and shares generations of TLS settings: what is always so (versions, modes,
 * no renegotiation, no early data, verification unless that is off), the name, the sessions. What
 * comes from files stands in tls_trust.c and tls_identity.c; what is said about a failed handshake
 * in tls_explain*.c.
 *
 * Who owns what: connections hold a reference to their context for as long as their SSL lives,
 * since the SSL reaches the context through its SSL_CTX when a session arrives. A verdict belongs
 * to its SSL. Locks: only the sessions', a leaf; OpenSSL's own are inside OpenSSL. */
#include "net/tls_context.h"
#include <string.h>
#include <time.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include "base/mem.h"
#include "net/tls_context_impl.h"

/* ---- what is found wrong with a certificate ---- */

static void free_verdict(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long l, void *p)
{
  struct tls_verdict *v = ptr;

  (void)parent, (void)data, (void)index, (void)l, (void)p;
  if (!v)
    return;
  X509_free(v->cert);
  X509_free(v->leaf);
  mem_free(v);
}

/* Two threads that are the first at the same time get an index each: one is not used. */
static int verdict_index(void)
{
  static _Atomic int kept = -1;
  int index = atomic_load(&kept), made;

  if (index >= 0)
    return index;
  made = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_verdict);
  if (made < 0 || atomic_compare_exchange_strong(&kept, &index, made))
    return made;
  return index;
}

struct tls_verdict *tls_verdict_of(const SSL *ssl)
{
  return SSL_get_ex_data(ssl, verdict_index());
}

static X509 *keep(X509 *cert)
{
  if (cert)
    X509_up_ref(cert);
  return cert;
}

/* Changes nothing of what OpenSSL decides. Runs in the handshake, under the connection's lock. */
static int on_verify(int good, X509_STORE_CTX *store)
{
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct tls_verdict *v = good ? NULL : tls_verdict_of(ssl);

  if (v && v->error == X509_V_OK) {
    v->error = X509_STORE_CTX_get_error(store);
    v->depth = X509_STORE_CTX_get_error_depth(store);
    v->cert = keep(X509_STORE_CTX_get_current_cert(store));
    v->leaf = keep(X509_STORE_CTX_get0_cert(store));
  }
  return good;
}

/* ---- sessions ---- */

/* When the first of these ends; long ago, if that cannot be told. */
static int64_t chain_end(const STACK_OF(X509) * chain)
{
  int64_t now = time(NULL), end = chain ? TLS_SESSIONS_EVER : 1;

  for (int i = 0; i < sk_X509_num(chain); i++) {
    int days, seconds;

    if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(sk_X509_value(chain, i))))
      return 1;
    if (now + (int64_t)days * 86400 + seconds < end)
      end = now + (int64_t)days * 86400 + seconds;
  }
  return end;
}

/* What was verified for a new session, and is not looked at when it is resumed, is good until then.
 */
static int64_t verified_until(const SSL *ssl)
{
  if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
    return TLS_SESSIONS_EVER;
  return SSL_session_reused(ssl) ? TLS_SESSIONS_SAME : chain_end(SSL_get0_verified_chain(ssl));
}

/* Runs inside of an SSL_* call of the connection, which goes well even if nothing can be kept for
 * want of memory. Takes no reference to `session`. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
  struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  SSL_SESSION *copy;

  ERR_set_mark();
  copy = SSL_SESSION_is_resumable(session) ? SSL_SESSION_dup(session) : NULL;
  if (copy)
    tls_sessions_put(&context->sessions, copy, verified_until(ssl));
  ERR_pop_to_mark();
  return 0;
}

/* ---- making ---- */

/* What openssl.cnf asks for is raised, never lowered. */
static int set_version(struct tls_load *load)
{
  int is_1_3 = load->config->tls_min_version == TLS_1_3;
  int wanted = is_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

  if (SSL_CTX_get_min_proto_version(load->ssl_ctx) >= wanted ||
      SSL_CTX_set_min_proto_version(load->ssl_ctx, wanted))
    return 0;
  return tls_load_failed(load, "tls.min_version", is_1_3 ? "1.3" : "1.2",
                         "is not possible with this OpenSSL");
}

/* Who resumes looks at no list: with one, each handshake is a full one. */
static void set_sessions(struct tls_load *load)
{
  if (*load->config->tls_crl_file) {
    SSL_CTX_set_session_cache_mode(load->ssl_ctx, SSL_SESS_CACHE_OFF);
    return;
  }
  SSL_CTX_set_session_cache_mode(load->ssl_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(load->ssl_ctx, on_session);
}

/* OpenSSL's own configuration file may have set some of these the other way. */
static void set_modes(SSL_CTX *ctx)
{
  SSL_CTX_clear_options(ctx,
                        SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_LEGACY_SERVER_CONNECT);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
  SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
}

static int set_name(struct tls_load *load, const struct tls_name *name)
{
  X509_VERIFY_PARAM *param = SSL_CTX_get0_param(load->ssl_ctx);
  unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  int done;

  if (!*name->text) { /* for OpenSSL that would mean: any */
    text_add(&load->error, "tls.server_name: \"\" cannot be verified; valid: the name that the "
                           "server's certificate is for");
    return -1;
  }
  if (!load->config->tls_common_name)
    flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
  X509_VERIFY_PARAM_set_hostflags(param, flags);
  done = name->ip_len ? X509_VERIFY_PARAM_set1_ip(param, name->ip, name->ip_len)
                      : X509_VERIFY_PARAM_set1_host(param, name->text, strlen(name->text));
  return done ? 0 : tls_load_failed(load, "tls.server_name", name->text, "cannot be verified");
}

static int set_verification(struct tls_load *load, const struct tls_name *name)
{
  if (load->config->tls_insecure_skip_verify) {
    SSL_CTX_set_verify(load->ssl_ctx, SSL_VERIFY_NONE, NULL);
    return 0;
  }
  SSL_CTX_set_verify(load->ssl_ctx, SSL_VERIFY_PEER, on_verify);
  return set_name(load, name) || tls_load_trust(load) ? -1 : 0;
}

static int make_ssl_ctx(struct tls_context *context, struct tls_load *load)
{
  if (verdict_index() < 0)
    return tls_load_no_memory(load);
  context->ssl_ctx = load->ssl_ctx = SSL_CTX_new(TLS_client_method());
  if (!context->ssl_ctx)
    return tls_load_failed(load, "tls", "yes", "is not possible with this OpenSSL");
  SSL_CTX_set_app_data(context->ssl_ctx, context);
  return 0;
}

static int load_all(struct tls_context *context, struct tls_load *load)
{
  if (make_ssl_ctx(context, load))
    return -1;
  if (set_version(load))
    return -1;
  set_modes(load->ssl_ctx);
  set_sessions(load);
  return tls_name_read(load, &context->name) || set_verification(load, &context->name) ||
                 tls_load_identity(load) || tls_load_ciphers(load)
             ? -1
             : 0;
}

static struct tls_context *make(const struct config *config)
{
  struct tls_context *context = mem_zalloc(sizeof *context);

  if (!context)
    return NULL;
  atomic_init(&context->refs, 1);
  context->has_own_ca = *config->tls_ca_file || *config->tls_ca_dir || *config->tls_ca_pem;
  context->has_cert = *config->tls_cert_file != '\0';
  context->common_name = config->tls_common_name != 0;
  context->min_version = config->tls_min_version == TLS_1_3 ? TLS_MIN_1_3 : TLS_MIN_1_2;
  tls_sessions_init(&context->sessions);
  return context;
}

struct tls_context *tls_context_new(const struct config *config, char *error, size_t size)
{
  struct tls_load load = {.config = config};
  struct tls_context *context;
  int result = -1;

  text_init(&load.error, error, size);
  context = make(config);
  fork_hold();
  ERR_clear_error();
  if (context)
    result = load_all(context, &load);
  ERR_clear_error();
  fork_let();
  if (result == 0)
    return context;
  if (load.no_memory)
    text_init(&load.error, error, size);
  tls_context_unref(context);
  return NULL;
}

/* ---- sharing ---- */

struct tls_context *tls_context_ref(struct tls_context *context)
{
  if (context)
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
  return context;
}

void tls_context_unref(struct tls_context *context)
{
  if (!context || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
    return;
  fork_hold();
  tls_sessions_destroy(&context->sessions);
  SSL_CTX_free(context->ssl_ctx);
  fork_let();
  mem_free(context);
}

void tls_context_forget(struct tls_context *context)
{
  fork_hold();
  tls_sessions_clear(&context->sessions);
  fork_let();
}

/* ---- connecting ---- */

static int add_verdict(SSL *ssl)
{
  struct tls_verdict *v;

  if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
    return 0;
  v = mem_zalloc(sizeof *v);
  if (v && SSL_set_ex_data(ssl, verdict_index(), v))
    return 0;
  mem_free(v);
  return -1;
}

/* An address is not sent as a name: RFC 6066, section 3. */
static int announce_name(SSL *ssl, const struct tls_name *name)
{
  if (!*name->text || name->ip_len)
    return 0;
  return SSL_set_tlsext_host_name(ssl, name->text) ? 0 : -1;
}

static void offer_session(SSL *ssl, struct tls_sessions *sessions)
{
  SSL_SESSION *session = tls_sessions_take(sessions);

  if (session)
    SSL_set_session(ssl, session); /* if it cannot: a full handshake */
  SSL_SESSION_free(session);
}

SSL *tls_context_connect(struct tls_context *context)
{
  SSL *ssl;

  ERR_clear_error();
  ssl = SSL_new(context->ssl_ctx);
  if (ssl && (add_verdict(ssl) || announce_name(ssl, &context->name))) {
    SSL_free(ssl);
    ssl = NULL;
  }
  if (ssl) {
    SSL_set_connect_state(ssl);
    offer_session(ssl, &context->sessions);
  }
  ERR_clear_error();
  return ssl;
}
