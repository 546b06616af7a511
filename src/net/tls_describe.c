/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_describe.c - what a stream of TLS is, for people and for programs: words of the form
 * name=value, those that come from the network quoted, bounded, and without control characters. The longest come last: what does not fit is lost.
 */
#include <time.h>
#include <openssl/x509.h>
#include "net/tls_context.h"
#include "net/tls_context_impl.h"

static void add_time(struct text *t, const char *name, const ASN1_TIME *time)
{
  struct tm tm;

  if (time && ASN1_TIME_to_tm(time, &tm))
    text_add(t, " %s=%04d-%02d-%02dT%02d:%02d:%02dZ", name, tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void add_certificate(struct text *t, const X509 *cert)
{
  add_time(t, "from", X509_get0_notBefore(cert));
  add_time(t, "until", X509_get0_notAfter(cert));
  text_add(t, " subject=");
  tls_add_x509_name(t, X509_get_subject_name(cert));
  text_add(t, " issuer=");
  tls_add_x509_name(t, X509_get_issuer_name(cert));
}

/* After a handshake that failed OpenSSL may not give the certificate out any more. */
static X509 *certificate_of(const SSL *ssl)
{
  const struct tls_verdict *v = tls_verdict_of(ssl);
  X509 *cert = SSL_get_peer_certificate(ssl);

  if (!cert && v && v->leaf && X509_up_ref(v->leaf))
    cert = v->leaf;
  return cert;
}

void tls_context_describe(const struct tls_context *context, const SSL *ssl, struct text *t)
{
  X509 *cert = certificate_of(ssl);

  if (SSL_get_state(ssl) == TLS_ST_OK) {
    text_add(t, " tls=%s cipher=%s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
    if (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER)
      text_add(t, " verified=\"%s\"", context->name.text);
    else
      text_add(t, " verified=no");
  }
  if (cert)
    add_certificate(t, cert);
  X509_free(cert);
}
