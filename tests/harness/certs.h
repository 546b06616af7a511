/* SPDX-License-Identifier: BSD-3-Clause */
/* certs.h - certificates made while a test runs: authorities, what they sign, what they revoke. As
 * PEM files in a directory of their own and as PEM text. Keys are ECDSA on P-256: one takes less
 * than a millisecond. Knows nothing of the library and opens no socket.
 *
 * Whatever is returned here lives until certs_free. A set belongs to one thread at a time. */
#ifndef HARNESS_CERTS_H
#define HARNESS_CERTS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct certs;
struct cert; /* a certificate and its key */

enum { CERT_MAX_NAMES = 4 };
/* What an extended key usage allows. */
enum cert_purpose {
  CERT_SERVER,
  CERT_CLIENT,
  CERT_BOTH,
  CERT_ANY,  /* has no such extension */
  CERT_OTHER /* signing programs: neither server nor client */
};
/* Zero is what a test that does not care wants. Texts and the issuer are borrowed. */
struct cert_spec {
  const char *name;          /* the common name; NULL: the subject has none, only O=poolmux tests */
  const struct cert *issuer; /* NULL: signed with its own key */
  bool ca;                   /* an authority: no names, no purpose */
  const char *dns[CERT_MAX_NAMES]; /* alternative names, put in as they are, until the first NULL */
  size_t dns_len[CERT_MAX_NAMES]; /* of that name; 0 = strlen: otherwise there may be a NUL in it */
  const char *ip[CERT_MAX_NAMES]; /* "127.0.0.1", "::1" */
  int64_t from_s,
      until_s; /* valid from now + from_s to now + until_s; 0, 0: since an hour, for a day */
  enum cert_purpose purpose;
  const char *passphrase; /* the key's file and text are encrypted with it */
};

struct certs *certs_new(void);
void certs_free(struct certs *); /* with the directory; NULL is ignored */
const char *certs_dir(const struct certs *);

const struct cert *certs_make(struct certs *, const struct cert_spec *);
/* Shorthands: an authority that signed itself, one signed by `above`, and for a server with that
 * one DNS name, which is its common name as well. */
const struct cert *certs_ca(struct certs *, const char *name);
const struct cert *certs_intermediate(struct certs *, const char *name, const struct cert *above);
const struct cert *certs_server(struct certs *, const char *dns, const struct cert *issuer);

const char *cert_file(const struct cert *); /* the certificate alone */
const char *cert_pem(const struct cert *);
/* What a server has to present: the certificate, then its issuers without the one at the top. */
const char *cert_chain_file(const struct cert *);
const char *cert_chain_pem(const struct cert *);
const char *cert_key_file(const struct cert *);
const char *cert_key_pem(const struct cert *);
const char *cert_subject(const struct cert *); /* "O = poolmux tests, CN = localhost" */

/* Files with several in them: certificates, then NULL; files of PEM text, then NULL. */
const char *certs_bundle(struct certs *, const struct cert *, ...) __attribute__((sentinel));
const char *certs_join(struct certs *, const char *file, ...) __attribute__((sentinel));
/* A list of what this authority revoked: certificates, then NULL. Its next update is at now +
 * until_s, 0: in a day; less than 0: the list has expired. */
const char *certs_crl(struct certs *, const struct cert *ca, int64_t until_s, ...)
    __attribute__((sentinel));
/* A directory with these certificates under the names by which OpenSSL looks for them there. */
const char *certs_hashed_dir(struct certs *, const struct cert *, ...) __attribute__((sentinel));

/* ---- made once in a process, removed when that ends: what a test that does not care uses ---- */
struct cert_set {
  const struct cert *ca;
  const struct cert *server; /* localhost, 127.0.0.1, ::1 */
  const struct cert *client; /* common name "client" */
};
const struct cert_set *certs_default(void); /* any thread; a forked child uses its parent's */

#endif
