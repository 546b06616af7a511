/* SPDX-License-Identifier: BSD-3-Clause */
/* certs_files.c - what is made of several certificates: bundles, hashed directories, lists of what
 * was revoked. */
#include "certs_impl.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { DAY_S = 24 * 3600 };

/* A new name in the set's directory, or in one below it. */
static const char *new_path(struct certs *s, const char *kind)
{
  struct certs_path *p = harness_alloc(sizeof(*p));

  snprintf(p->path, sizeof(p->path), "%s/%u.%s", s->dir, s->count++, kind);
  p->next = s->paths;
  s->paths = p;
  return p->path;
}

static const char *write_buf(const char *path, struct wire_buf *text)
{
  wire_buf_add(text, "", 1);
  certs_write(path, text->data);
  wire_buf_free(text);
  return path;
}

const char *certs_bundle(struct certs *s, const struct cert *cert, ...)
{
  struct wire_buf out = {0};
  va_list more;

  va_start(more, cert);
  for (const struct cert *c = cert; c; c = va_arg(more, const struct cert *))
    wire_buf_add(&out, c->pem, strlen(c->pem));
  va_end(more);
  return write_buf(new_path(s, "bundle"), &out);
}

static void add_file(struct wire_buf *out, const char *path)
{
  FILE *f = fopen(path, "re");
  char block[4096];
  size_t n;

  if (!f)
    harness_die("certificates: %s: %s", path, strerror(errno));
  while ((n = fread(block, 1, sizeof(block), f)) > 0)
    wire_buf_add(out, block, n);
  fclose(f);
}

const char *certs_join(struct certs *s, const char *file, ...)
{
  struct wire_buf out = {0};
  va_list more;

  va_start(more, file);
  for (const char *path = file; path; path = va_arg(more, const char *))
    add_file(&out, path);
  va_end(more);
  return write_buf(new_path(s, "pem"), &out);
}

static void put_hashed(const char *dir, const struct cert *c)
{
  char path[2 * CERT_PATH_SIZE];
  struct stat there;
  int n = 0;

  do {
    snprintf(path, sizeof(path), "%s/%08lx.%d", dir, X509_subject_name_hash(c->x509), n++);
  } while (stat(path, &there) == 0);
  certs_write(path, c->pem);
}

const char *certs_hashed_dir(struct certs *s, const struct cert *cert, ...)
{
  const char *dir = new_path(s, "dir");
  va_list more;

  if (mkdir(dir, 0700) != 0)
    harness_die("certificates: %s: %s", dir, strerror(errno));
  va_start(more, cert);
  for (const struct cert *c = cert; c; c = va_arg(more, const struct cert *))
    put_hashed(dir, c);
  va_end(more);
  return dir;
}

/* ---- what was revoked ---- */

static void revoke(X509_CRL *crl, const struct cert *c, time_t at)
{
  X509_REVOKED *entry = X509_REVOKED_new();
  ASN1_TIME *when = ASN1_TIME_set(NULL, at);

  certs_must(entry && when &&
                 X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(c->x509)) == 1 &&
                 X509_REVOKED_set_revocationDate(entry, when) == 1 &&
                 X509_CRL_add0_revoked(crl, entry) == 1,
             "X509_CRL_add0_revoked");
  ASN1_TIME_free(when);
}

static void set_times(X509_CRL *crl, int64_t until_s)
{
  time_t now = time(NULL);
  time_t until = now + (time_t)(until_s ? until_s : DAY_S);
  ASN1_TIME *last = ASN1_TIME_set(NULL, (until < now ? until : now) - DAY_S);
  ASN1_TIME *next = ASN1_TIME_set(NULL, until);

  certs_must(last && next && X509_CRL_set1_lastUpdate(crl, last) == 1 &&
                 X509_CRL_set1_nextUpdate(crl, next) == 1,
             "times of a CRL");
  ASN1_TIME_free(last);
  ASN1_TIME_free(next);
}

static void sign(X509_CRL *crl, const struct cert *ca)
{
  X509V3_CTX context;
  X509_EXTENSION *extension;

  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, ca->x509, NULL, NULL, crl, 0);
  extension = X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid");
  certs_must(extension && X509_CRL_add_ext(crl, extension, -1) == 1, "extension of a CRL");
  X509_EXTENSION_free(extension);
  X509_CRL_sort(crl);
  certs_must(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0, "X509_CRL_sign");
}

const char *certs_crl(struct certs *s, const struct cert *ca, int64_t until_s, ...)
{
  X509_CRL *crl = X509_CRL_new();
  BIO *bio = BIO_new(BIO_s_mem());
  const char *path = new_path(s, "crl");
  va_list more;
  char *text;

  certs_must(crl && bio && X509_CRL_set_version(crl, 1) == 1 &&
                 X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x509)) == 1,
             "a CRL");
  set_times(crl, until_s);
  va_start(more, until_s);
  for (const struct cert *c = va_arg(more, const struct cert *); c;
       c = va_arg(more, const struct cert *))
    revoke(crl, c, time(NULL) - DAY_S);
  va_end(more);
  sign(crl, ca);
  certs_must(PEM_write_bio_X509_CRL(bio, crl) == 1, "PEM_write_bio_X509_CRL");
  text = certs_text(bio);
  certs_write(path, text);
  free(text);
  X509_CRL_free(crl);
  return path;
}
