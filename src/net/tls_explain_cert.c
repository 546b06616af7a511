/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_explain_cert.c - what was wrong with the server's certificate: which check failed, for which
 * name, against which subject, and what to do about it. What certificates say comes from the
 * network: it is bounded, and its control characters are escaped. */
#include <arpa/inet.h>
#include <string.h>
#include <time.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include "net/tls_context_impl.h"

enum { SUBJECT_MAX = 100, NAME_SHOWN_MAX = 64, NAMES_SHOWN = 8 };

/* ---- parts ---- */

void tls_add_x509_name(struct text *t, const X509_NAME *name)
{
  const unsigned long flags =
      XN_FLAG_ONELINE &
      ~(unsigned long)(ASN1_STRFLGS_ESC_QUOTE | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB);
  BIO *bio = BIO_new(BIO_s_mem());
  char *bytes = NULL;
  long len = 0;

  /* Control characters are left to text_add_quoted. */
  if (bio && X509_NAME_print_ex(bio, name, 0, flags) > 0)
    len = BIO_get_mem_data(bio, &bytes);
  text_add(t, "\"");
  if (len > 0)
    text_add_quoted(t, bytes, (size_t)len, SUBJECT_MAX);
  text_add(t, "\"");
  BIO_free(bio);
}

static void add_subject(struct text *t, const struct tls_verdict *v)
{
  if (v->cert) {
    text_add(t, " (subject ");
    tls_add_x509_name(t, X509_get_subject_name(v->cert));
    text_add(t, ")");
  }
}

static void add_issuer(struct text *t, const struct tls_verdict *v)
{
  if (v->cert) {
    text_add(t, " (issuer ");
    tls_add_x509_name(t, X509_get_issuer_name(v->cert));
    text_add(t, ")");
  }
}

static const char *whose(const struct tls_verdict *v)
{
  return v->depth == 0 ? "the server's certificate"
                       : "the certificate of an issuer of the server's";
}

static void add_date(struct text *t, const struct tm *tm)
{
  text_add(t, "%04d-%02d-%02d %02d:%02d:%02d UTC", tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday,
           tm->tm_hour, tm->tm_min, tm->tm_sec);
}

static void add_time(struct text *t, const ASN1_TIME *time)
{
  struct tm tm;

  if (time && ASN1_TIME_to_tm(time, &tm))
    add_date(t, &tm);
  else
    text_add(t, "a date that cannot be read");
}

static void add_now(struct text *t)
{
  time_t now = time(NULL);
  struct tm tm;

  text_add(t, "; this machine's clock says ");
  if (gmtime_r(&now, &tm))
    add_date(t, &tm);
  text_add(t, ": is it right?");
}

/* ---- names ---- */

static void add_ip(struct text *t, const ASN1_OCTET_STRING *ip)
{
  char buf[INET6_ADDRSTRLEN] = "?";
  int len = ASN1_STRING_length(ip);

  if (len == 4 || len == 16)
    inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), buf, sizeof buf);
  text_add(t, "%s", buf);
}

/* 0: it is neither a host name nor an address. */
static int add_name(struct text *t, const GENERAL_NAME *name, int first)
{
  int type;
  const void *value = GENERAL_NAME_get0_value(name, &type);

  if (type != GEN_DNS && type != GEN_IPADD)
    return 0;
  if (!first)
    text_add(t, ", ");
  if (type == GEN_IPADD) {
    add_ip(t, value);
  } else {
    text_add(t, "\"");
    text_add_quoted(t, (const char *)ASN1_STRING_get0_data(value),
                    (size_t)ASN1_STRING_length(value), NAME_SHOWN_MAX);
    text_add(t, "\"");
  }
  return 1;
}

/* Returns how many there are. */
static int add_names(struct text *t, const X509 *cert)
{
  GENERAL_NAMES *names = cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;
  int shown = 0, more = 0;

  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

    if (shown < NAMES_SHOWN)
      shown += add_name(t, name, shown == 0);
    else
      more++;
  }
  if (more)
    text_add(t, " and %d more", more);
  GENERAL_NAMES_free(names);
  return shown;
}

static void explain_name(const struct tls_context *context, const struct tls_verdict *v,
                         struct text *t)
{
  const struct tls_name *name = &context->name;
  char buf[240]; /* leaves room for what is to be done */
  struct text names;
  int n;

  text_init(&names, buf, sizeof buf);
  n = add_names(&names, v->leaf);
  text_add(t, "the server's certificate is not for %s \"%s\"", name->ip_len ? "address" : "name",
           name->text);
  if (n > 0)
    text_add(t, " but for %s", buf);
  add_subject(t, v);
  if (n > 0)
    text_add(t, "; if that is the right server, set tls.server_name to a name it has");
  else
    text_add(t, "; it lists no names (subjectAltName), and needs %s:%s there",
             name->ip_len ? "IP" : "DNS", name->text);
  if (n == 0 && !name->ip_len && !context->common_name)
    text_add(t, "; with tls.common_name=yes the subject's common name counts");
}

/* ---- trust ---- */

static void add_ca_hint(const struct tls_context *context, struct text *t)
{
  if (context->has_own_ca)
    text_add(t, "add its CA's certificate to tls.ca_file, tls.ca_dir or tls.ca_pem");
  else
    text_add(t, "set tls.ca_file to its CA's certificate, which the system does not have");
}

static void explain_unknown(const struct tls_context *context, const struct tls_verdict *v,
                            struct text *t)
{
  text_add(t, "the issuer of %s is not trusted here", whose(v));
  add_issuer(t, v);
  text_add(t, "; ");
  add_ca_hint(context, t);
  text_add(t, "; if that is there, the server does not send its intermediate certificates");
}

static void explain_self_signed(const struct tls_context *context, const struct tls_verdict *v,
                                struct text *t)
{
  if (v->error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT) {
    text_add(t, "the server's certificate is signed by itself and not trusted here");
    add_subject(t, v);
    text_add(t, "; if it is the right one, set tls.ca_file to a copy of it");
    return;
  }
  text_add(t, "the CA of the server's certificate is not trusted here");
  add_issuer(t, v);
  text_add(t, "; if it is the right one, ");
  add_ca_hint(context, t);
}

static void explain_top_missing(const struct tls_context *context, const struct tls_verdict *v,
                                struct text *t)
{
  (void)context;
  text_add(t, "the certificates in tls.ca_* do not go up to a CA that signed itself");
  add_issuer(t, v);
  text_add(t, "; add that one to them");
}

static void explain_signature(const struct tls_context *context, const struct tls_verdict *v,
                              struct text *t)
{
  (void)context;
  text_add(t, "%s is not signed by the CA that is trusted under that name", whose(v));
  add_issuer(t, v);
  text_add(t, ": has the CA's key been replaced, and is tls.ca_file of the old one?");
}

static void explain_purpose(const struct tls_context *context, const struct tls_verdict *v,
                            struct text *t)
{
  (void)context;
  if (v->error == X509_V_ERR_INVALID_CA || v->error == X509_V_ERR_PATH_LENGTH_EXCEEDED) {
    text_add(t, "%s was issued by one that may not issue any",
             v->depth <= 1 ? "the server's certificate" : whose(v));
    add_subject(t, v);
    text_add(t, "; the issuer needs basicConstraints=CA:TRUE and a path length that allows it");
    return;
  }
  text_add(t, "%s is not made for servers", whose(v));
  add_subject(t, v);
  text_add(t, "; it needs extendedKeyUsage=serverAuth, or none at all");
}

/* ---- times ---- */

static void explain_expired(const struct tls_context *context, const struct tls_verdict *v,
                            struct text *t)
{
  (void)context;
  text_add(t, "%s expired on ", whose(v));
  add_time(t, v->cert ? X509_get0_notAfter(v->cert) : NULL);
  add_now(t);
  add_subject(t, v);
}

static void explain_early(const struct tls_context *context, const struct tls_verdict *v,
                          struct text *t)
{
  (void)context;
  text_add(t, "%s is not valid before ", whose(v));
  add_time(t, v->cert ? X509_get0_notBefore(v->cert) : NULL);
  add_now(t);
  add_subject(t, v);
}

/* ---- revocation, strength ---- */

static void explain_revoked(const struct tls_context *context, const struct tls_verdict *v,
                            struct text *t)
{
  (void)context;
  text_add(t, "%s has been revoked, says tls.crl_file", whose(v));
  add_subject(t, v);
  text_add(t, "; the server needs a new one");
}

static void explain_crl(const struct tls_context *context, const struct tls_verdict *v,
                        struct text *t)
{
  (void)context;
  switch (v->error) {
  case X509_V_ERR_UNABLE_TO_GET_CRL:
    text_add(t, "tls.crl_file has no list of the CA that issued the server's certificate");
    break;
  case X509_V_ERR_CRL_HAS_EXPIRED:
    text_add(t,
             "in tls.crl_file the list of the CA that issued the server's certificate is too old: "
             "its next update was due; get the new one");
    break;
  case X509_V_ERR_CRL_NOT_YET_VALID:
    text_add(t,
             "in tls.crl_file the list of the CA that issued the server's certificate is from the "
             "future; is this machine's clock right?");
    break;
  default:
    text_add(t,
             "in tls.crl_file the list of the CA that issued the server's certificate cannot be "
             "used: %s",
             X509_verify_cert_error_string(v->error));
    break;
  }
  add_issuer(t, v);
}

static void explain_weak(const struct tls_context *context, const struct tls_verdict *v,
                         struct text *t)
{
  (void)context;
  text_add(t, "%s is too weak for this machine's OpenSSL: %s", whose(v),
           X509_verify_cert_error_string(v->error));
  add_subject(t, v);
  text_add(t, "; it needs a longer key or a newer hash");
}

static const struct row {
  int error;
  void (*explain)(const struct tls_context *, const struct tls_verdict *, struct text *);
} rows[] = {
    {X509_V_ERR_HOSTNAME_MISMATCH, explain_name},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, explain_name},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, explain_unknown},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, explain_unknown},
    {X509_V_ERR_CERT_UNTRUSTED, explain_unknown},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, explain_self_signed},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, explain_self_signed},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, explain_top_missing},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, explain_signature},
    {X509_V_ERR_AKID_SKID_MISMATCH, explain_signature},
    {X509_V_ERR_INVALID_PURPOSE, explain_purpose},
    {X509_V_ERR_INVALID_CA, explain_purpose},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, explain_purpose},
    {X509_V_ERR_KEYUSAGE_NO_CERTSIGN, explain_purpose},
    {X509_V_ERR_CERT_HAS_EXPIRED, explain_expired},
    {X509_V_ERR_CERT_NOT_YET_VALID, explain_early},
    {X509_V_ERR_CERT_REVOKED, explain_revoked},
    {X509_V_ERR_UNABLE_TO_GET_CRL, explain_crl},
    {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, explain_crl},
    {X509_V_ERR_CRL_HAS_EXPIRED, explain_crl},
    {X509_V_ERR_CRL_NOT_YET_VALID, explain_crl},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, explain_crl},
    {X509_V_ERR_DIFFERENT_CRL_SCOPE, explain_crl},
    {X509_V_ERR_EE_KEY_TOO_SMALL, explain_weak},
    {X509_V_ERR_CA_KEY_TOO_SMALL, explain_weak},
    {X509_V_ERR_CA_MD_TOO_WEAK, explain_weak},
};

void tls_explain_verdict(const struct tls_context *context, const struct tls_verdict *v,
                         struct text *t)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (rows[i].error == v->error) {
      rows[i].explain(context, v, t);
      return;
    }
  }
  text_add(t, "%s cannot be verified: %s", whose(v), X509_verify_cert_error_string(v->error));
  add_subject(t, v);
}
