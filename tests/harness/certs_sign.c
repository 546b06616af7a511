/* SPDX-License-Identifier: BSD-3-Clause */
/* certs_sign.c - one certificate: its names, extensions and signature. Knows nothing of files. */
#include "certs_impl.h"

#include <openssl/asn1.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

static void set_serial(X509 *x)
{
  uint64_t serial = 0;

  certs_must(RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1, "RAND_bytes");
  certs_must(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial | 1) == 1, "serial number");
}

static void set_times(X509 *x, const struct cert_spec *spec)
{
  bool usual = spec->from_s == 0 && spec->until_s == 0;
  time_t now = time(NULL);

  X509_time_adj_ex(X509_getm_notBefore(x), 0, usual ? -HOUR_S : (long)spec->from_s, &now);
  X509_time_adj_ex(X509_getm_notAfter(x), 0, usual ? DAY_S : (long)spec->until_s, &now);
}

static void add_name(X509_NAME *name, const char *field, const char *text)
{
  certs_must(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)text, -1,
                                        -1, 0) == 1,
             "X509_NAME_add_entry_by_txt");
}

static void set_names(X509 *x, const struct cert_spec *spec)
{
  X509_NAME *subject = X509_get_subject_name(x);

  add_name(subject, "O", "poolmux tests");
  if (spec->name)
    add_name(subject, "CN", spec->name);
  certs_must(X509_set_issuer_name(x, spec->issuer ? X509_get_subject_name(spec->issuer->x509)
                                                  : subject) == 1,
             "X509_set_issuer_name");
}

static void extend(X509 *x, X509V3_CTX *context, int nid, const char *value)
{
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);

  certs_must(extension && X509_add_ext(x, extension, -1) == 1, value);
  X509_EXTENSION_free(extension);
}

/* The names go in as they are: the text form of OpenSSL's configuration could carry no NUL. */
static void add_alternative(GENERAL_NAMES *names, int type, const void *bytes, size_t len)
{
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_STRING *text =
      ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);

  certs_must(name && text && ASN1_STRING_set(text, bytes, (int)len) == 1, "alternative name");
  GENERAL_NAME_set0_value(name, type, text);
  certs_must(sk_GENERAL_NAME_push(names, name) > 0, "alternative name");
}

static void add_alternatives(X509 *x, const struct cert_spec *spec)
{
  GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();

  for (int i = 0; i < CERT_MAX_NAMES && spec->dns[i]; i++)
    add_alternative(names, GEN_DNS, spec->dns[i],
                    spec->dns_len[i] ? spec->dns_len[i] : strlen(spec->dns[i]));
  for (int i = 0; i < CERT_MAX_NAMES && spec->ip[i]; i++) {
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(spec->ip[i]);

    certs_must(address != NULL, spec->ip[i]);
    add_alternative(names, GEN_IPADD, ASN1_STRING_get0_data(address),
                    (size_t)ASN1_STRING_length(address));
    ASN1_OCTET_STRING_free(address);
  }
  if (sk_GENERAL_NAME_num(names) > 0)
    certs_must(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1,
               "subjectAltName");
  GENERAL_NAMES_free(names);
}

static void add_extensions(X509 *x, const struct cert_spec *spec)
{
  static const char *const usages[] = {[CERT_SERVER] = "serverAuth",
                                       [CERT_CLIENT] = "clientAuth",
                                       [CERT_BOTH] = "serverAuth,clientAuth",
                                       [CERT_OTHER] = "codeSigning"};
  X509V3_CTX context;

  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, spec->issuer ? spec->issuer->x509 : x, x, NULL, NULL, 0);
  extend(x, &context, NID_basic_constraints, spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  extend(x, &context, NID_key_usage,
         spec->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  extend(x, &context, NID_subject_key_identifier, "hash");
  extend(x, &context, NID_authority_key_identifier, "keyid");
  if (spec->ca)
    return;
  if (spec->purpose != CERT_ANY)
    extend(x, &context, NID_ext_key_usage, usages[spec->purpose]);
  add_alternatives(x, spec);
}

X509 *certs_sign(const struct cert_spec *spec, EVP_PKEY *key)
{
  X509 *x = X509_new();

  certs_must(x && X509_set_version(x, 2) == 1, "X509_set_version");
  set_serial(x);
  set_times(x, spec);
  set_names(x, spec);
  certs_must(X509_set_pubkey(x, key) == 1, "X509_set_pubkey");
  add_extensions(x, spec);
  certs_must(X509_sign(x, spec->issuer ? spec->issuer->key : key, EVP_sha256()) > 0, "X509_sign");
  return x;
}
