/* SPDX-License-Identifier: BSD-3-Clause */
/* certs_impl.h - what the files of the certificate maker share. Not for tests. */
#ifndef HARNESS_CERTS_IMPL_H
#define HARNESS_CERTS_IMPL_H
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "certs.h"
#include "util.h"
#include "wire.h"

enum { CERT_PATH_SIZE = TEMP_DIR_SIZE + 32 };

struct cert {
  struct cert *next;
  const struct cert *issuer; /* NULL: itself */
  X509 *x509;
  EVP_PKEY *key;
  char *pem, *key_pem, *chain_pem, *subject;
  char file[CERT_PATH_SIZE], key_file[CERT_PATH_SIZE], chain_file[CERT_PATH_SIZE];
};

/* A path that was handed out. */
struct certs_path {
  struct certs_path *next;
  char path[CERT_PATH_SIZE];
};

struct certs {
  char dir[TEMP_DIR_SIZE];
  struct cert *first;
  struct certs_path *paths;
  unsigned count; /* of the files, which are numbered */
};

/* Ends the program, with what OpenSSL says, unless ok. */
void certs_must(bool ok, const char *what);
void certs_write(const char *path, const char *text);
/* Signed by whom the spec says; the key is the caller's. */
X509 *certs_sign(const struct cert_spec *, EVP_PKEY *key);
char *certs_text(BIO *); /* what was written into it, and frees it; free() the text */

#endif
