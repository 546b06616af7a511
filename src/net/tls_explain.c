/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_explain.c - why a call of OpenSSL on a connection failed, as a sentence that says what to do.
 * What OpenSSL calls the failure is added only where no sentence of ours is known. Nothing here
 * comes from the application's data. */
#include <string.h>
#include <openssl/err.h>
#include "net/tls_context.h"
#include "net/tls_context_impl.h"

struct row {
  int reason; /* SSL_R_*, of ERR_LIB_SSL */
  const char *text;
};

static const char broken[] =
    "what arrived is not what the server sent: the connection was tampered "
    "with or broken";
/* But when it has spoken TLS before, broken. */
static const char plain_port[] = "the server does not speak TLS: is this its plain port?";

/* What we found out ourselves. */
static const struct row local[] = {
    {SSL_R_WRONG_VERSION_NUMBER, plain_port},
    {SSL_R_HTTP_REQUEST, plain_port},
    {SSL_R_HTTPS_PROXY_REQUEST, plain_port},
    {SSL_R_PACKET_LENGTH_TOO_LONG, plain_port},
    {SSL_R_UNEXPECTED_MESSAGE, "the server broke the TLS protocol: an unexpected message"},
    {SSL_R_BAD_RECORD_TYPE, plain_port},
    {SSL_R_NO_PROTOCOLS_AVAILABLE,
     "no version of TLS is left between tls.min_version and what this machine's OpenSSL allows"},
    {SSL_R_NO_CIPHERS_AVAILABLE,
     "no cipher is left: look at tls.ciphers, tls.ciphersuites and tls.min_version"},
    {SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED,
     "the server lacks secure renegotiation (RFC 5746); update it"},
    {SSL_R_DH_KEY_TOO_SMALL, "the server's key exchange is too weak (Diffie-Hellman); update it"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, broken},
};

/* What the server told us, in an alert. */
static const struct row alerts[] = {
    {SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY,
     "the server refused the handshake: it wants stronger ciphers than tls.ciphers, "
     "tls.ciphersuites and tls.groups allow"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, NULL}, /* explain_certificate */
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, NULL},
    {SSL_R_SSLV3_ALERT_NO_CERTIFICATE, NULL},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, NULL},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, NULL},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, NULL},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, NULL},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, NULL},
    {SSL_R_TLSV1_ALERT_ACCESS_DENIED, NULL},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME,
     "the server has no certificate for the name that was asked for; "
     "set tls.server_name to one it has"},
    {SSL_R_TLSV1_ALERT_DECRYPT_ERROR, "the server found a wrong signature or checksum in what was "
                                      "sent: it or something in between is broken"},
    {SSL_R_TLSV1_ALERT_INTERNAL_ERROR, "the server had an internal error in the TLS handshake"},
    {SSL_R_SSLV3_ALERT_BAD_RECORD_MAC,
     "what the server got is not what was sent: the connection was tampered with or broken"},
};

static const char no_cipher[] = "the server refused the handshake: no cipher, group or kind of "
                                "signature in common; look at tls.ciphers, tls.ciphersuites, "
                                "tls.groups";

static const struct row *find(const struct row *rows, size_t count, int reason)
{
  for (size_t i = 0; i < count; i++)
    if (rows[i].reason == reason)
      return &rows[i];
  return NULL;
}

static const char *certificate_fault(int reason)
{
  switch (reason) {
  case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    return "its CA is not one that the server trusts";
  case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    return "it has expired, or one of its issuers' has";
  case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    return "it has been revoked";
  case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    return "it is not made for clients; it needs extendedKeyUsage=clientAuth, or none at all";
  case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    return "its owner may not connect";
  default:
    return "the server does not say why; its log may";
  }
}

/* The server's word about our certificate, or about there being none. */
static void explain_certificate(const struct tls_context *context, int reason, struct text *t)
{
  if (context->has_cert)
    text_add(t, "the server refused the client certificate (tls.cert_file): %s",
             certificate_fault(reason));
  else
    text_add(t, "the server wants a client certificate; set tls.cert_file and tls.key_file");
}

/* SSL_is_init_finished() says no again after a fatal error. */
static int was_ready(const SSL *ssl)
{
  return SSL_get_state(ssl) == TLS_ST_OK;
}

static int was_answered(const SSL *ssl)
{
  OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);

  return state != TLS_ST_BEFORE && state != TLS_ST_CW_CLNT_HELLO;
}

/* TLS 1.2 has no word of its own for a missing certificate; but for want of a cipher a server ends
 * it at once. */
static void explain_handshake(const struct tls_context *context, const SSL *ssl, struct text *t)
{
  if (was_answered(ssl) && !context->has_cert)
    explain_certificate(context, 0, t);
  else
    text_add(t, "%s", no_cipher);
}

static void explain_version(const struct tls_context *context, struct text *t)
{
  if (context->min_version == TLS_MIN_1_2 &&
      SSL_CTX_get_min_proto_version(context->ssl_ctx) > TLS1_2_VERSION) {
    text_add(t,
             "the server speaks no version of TLS that MinProtocol in this machine's openssl.cnf "
             "allows; update it");
    return;
  }
  text_add(t, "the server speaks no version of TLS that tls.min_version=%s allows; update it",
           context->min_version == TLS_MIN_1_3 ? "1.3" : "1.2");
  if (context->min_version == TLS_MIN_1_3)
    text_add(t, ", or set tls.min_version=1.2");
}

static const char *end_text(const SSL *ssl)
{
  if (was_ready(ssl))
    return "the server closed the connection without saying so in TLS: what it sent may be cut off";
  if (!was_answered(ssl))
    return "the server closed the connection instead of answering in TLS: is this its plain port?";
  return "the server closed the connection in the middle of the TLS handshake; its log may say why";
}

static int is_end(unsigned long e)
{
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
  if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return 1;
#endif
  return e == 0;
}

static void explain_reason(const struct tls_context *context, const SSL *ssl, int reason,
                           const char *openssl, struct text *t)
{
  const struct row *row = find(local, sizeof local / sizeof *local, reason);

  if (!row)
    row = find(alerts, sizeof alerts / sizeof *alerts, reason);
  if (row && row->text == plain_port && was_answered(ssl))
    text_add(t, "%s", broken);
  else if (row && row->text)
    text_add(t, "%s", row->text);
  else if (row)
    explain_certificate(context, reason, t);
  else if (reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
    explain_handshake(context, ssl, t);
  else if (reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION || reason == SSL_R_UNSUPPORTED_PROTOCOL ||
           reason == SSL_R_WRONG_SSL_VERSION)
    explain_version(context, t);
  else
    text_add(t, "OpenSSL says: %s", openssl ? openssl : "an error that it has no words for");
}

static void explain_error(const struct tls_context *context, const SSL *ssl, unsigned long e,
                          struct text *t)
{
  int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;

  if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
    text_add(t, "out of memory");
  else if (is_end(e))
    text_add(t, "%s", end_text(ssl));
  else
    explain_reason(context, ssl, reason, ERR_reason_error_string(e), t);
}

/* The first error is the cause, those behind it are its consequences. */
void tls_context_explain(struct tls_context *context, SSL *ssl, char *buf, size_t size)
{
  const struct tls_verdict *v = tls_verdict_of(ssl);
  unsigned long e = ERR_peek_error();
  struct text t;

  text_init(&t, buf, size);
  if (v && v->error != X509_V_OK)
    tls_explain_verdict(context, v, &t);
  else
    explain_error(context, ssl, e, &t);
  if (!was_ready(ssl))
    tls_sessions_clear(&context->sessions); /* it may have been the session that was offered */
  ERR_clear_error();
}
