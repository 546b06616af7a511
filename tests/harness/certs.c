/* SPDX-License-Identifier: BSD-3-Clause */
/* certs.c - sets of certificates: keys, files, what belongs together. What stands in a certificate
 * is certs_sign.c's, what is made of several certs_files.c's. */
#include "certs_impl.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void certs_must(bool ok, const char *what)
{
  char text[256];

  if (ok)
    return;
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  harness_die("certificates: %s: %s", what, text);
}

void certs_write(const char *path, const char *text)
{
  FILE *f = fopen(path, "we");

  if (!f || fputs(text, f) < 0 || fclose(f) != 0)
    harness_die("certificates: cannot write %s", path);
}

char *certs_text(BIO *bio)
{
  char *bytes, *text;
  long len = BIO_get_mem_data(bio, &bytes);

  text = harness_alloc((size_t)len + 1);
  memcpy(text, bytes, (size_t)len);
  BIO_free(bio);
  return text;
}

struct certs *certs_new(void)
{
  struct certs *s = harness_alloc(sizeof(*s));

  /* First of all: a test's child may end with connections open, which exit() must leave alone. */
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
  temp_dir_make(s->dir);
  return s;
}

static void free_cert(struct cert *c)
{
  X509_free(c->x509);
  EVP_PKEY_free(c->key);
  free(c->pem);
  free(c->key_pem);
  free(c->chain_pem);
  free(c->subject);
  free(c);
}

void certs_free(struct certs *s)
{
  if (!s)
    return;
  while (s->first) {
    struct cert *c = s->first;

    s->first = c->next;
    free_cert(c);
  }
  while (s->paths) {
    struct certs_path *p = s->paths;

    s->paths = p->next;
    free(p);
  }
  temp_dir_remove(s->dir);
  free(s);
}

const char *certs_dir(const struct certs *s)
{
  return s->dir;
}

/* ---- making one ---- */

static EVP_PKEY *make_key(void)
{
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
  EVP_PKEY *key = NULL;

  certs_must(context && EVP_PKEY_keygen_init(context) == 1 &&
                 EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1 &&
                 EVP_PKEY_CTX_set_ec_param_enc(context, OPENSSL_EC_NAMED_CURVE) == 1 &&
                 EVP_PKEY_keygen(context, &key) == 1,
             "a key");
  EVP_PKEY_CTX_free(context);
  return key;
}

static char *text_of_cert(X509 *x)
{
  BIO *bio = BIO_new(BIO_s_mem());

  certs_must(bio && PEM_write_bio_X509(bio, x) == 1, "PEM_write_bio_X509");
  return certs_text(bio);
}

static char *text_of_key(EVP_PKEY *key, const char *passphrase)
{
  BIO *bio = BIO_new(BIO_s_mem());
  int len = passphrase ? (int)strlen(passphrase) : 0;

  certs_must(bio && PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase ? EVP_aes_128_cbc() : NULL,
                                                  passphrase, len, NULL, NULL) == 1,
             "PEM_write_bio_PKCS8PrivateKey");
  return certs_text(bio);
}

static char *text_of_subject(X509 *x)
{
  BIO *bio = BIO_new(BIO_s_mem());

  certs_must(bio && X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_ONELINE) >= 0,
             "X509_NAME_print_ex");
  return certs_text(bio);
}

/* Whoever verifies has the one at the top already. */
static char *text_of_chain(const struct cert *c)
{
  struct wire_buf out = {0};

  wire_buf_add(&out, c->pem, strlen(c->pem));
  for (const struct cert *up = c->issuer; up && up->issuer; up = up->issuer)
    wire_buf_add(&out, up->pem, strlen(up->pem));
  wire_buf_add(&out, "", 1);
  return out.data;
}

const struct cert *certs_make(struct certs *s, const struct cert_spec *spec)
{
  struct cert *c = harness_alloc(sizeof(*c));
  unsigned n = s->count++;

  c->issuer = spec->issuer;
  c->key = make_key();
  c->x509 = certs_sign(spec, c->key);
  c->pem = text_of_cert(c->x509);
  c->key_pem = text_of_key(c->key, spec->passphrase);
  c->chain_pem = text_of_chain(c);
  c->subject = text_of_subject(c->x509);
  snprintf(c->file, sizeof(c->file), "%s/%u.crt", s->dir, n);
  snprintf(c->key_file, sizeof(c->key_file), "%s/%u.key", s->dir, n);
  snprintf(c->chain_file, sizeof(c->chain_file), "%s/%u.chain", s->dir, n);
  certs_write(c->file, c->pem);
  certs_write(c->key_file, c->key_pem);
  certs_write(c->chain_file, c->chain_pem);
  c->next = s->first;
  s->first = c;
  return c;
}

const struct cert *certs_ca(struct certs *s, const char *name)
{
  return certs_intermediate(s, name, NULL);
}

const struct cert *certs_intermediate(struct certs *s, const char *name, const struct cert *above)
{
  return certs_make(s, &(struct cert_spec){.name = name, .ca = true, .issuer = above});
}

const struct cert *certs_server(struct certs *s, const char *dns, const struct cert *issuer)
{
  return certs_make(s, &(struct cert_spec){.name = dns, .dns = {dns}, .issuer = issuer});
}

/* ---- what it is ---- */

const char *cert_file(const struct cert *c)
{
  return c->file;
}

const char *cert_pem(const struct cert *c)
{
  return c->pem;
}

const char *cert_chain_file(const struct cert *c)
{
  return c->chain_file;
}

const char *cert_chain_pem(const struct cert *c)
{
  return c->chain_pem;
}

const char *cert_key_file(const struct cert *c)
{
  return c->key_file;
}

const char *cert_key_pem(const struct cert *c)
{
  return c->key_pem;
}

const char *cert_subject(const struct cert *c)
{
  return c->subject;
}

/* ---- the set of the process ---- */

static struct certs *usual;
static struct cert_set usual_set;
static pid_t usual_owner;

static void remove_usual(void)
{
  if (getpid() == usual_owner) /* a forked child must leave its parent the files */
    certs_free(usual);
}

static void make_usual(void)
{
  usual = certs_new();
  usual_owner = getpid();
  usual_set.ca = certs_ca(usual, "poolmux test authority");
  usual_set.server = certs_make(usual, &(struct cert_spec){.name = "localhost",
                                                           .issuer = usual_set.ca,
                                                           .dns = {"localhost"},
                                                           .ip = {"127.0.0.1", "::1"}});
  usual_set.client = certs_make(
      usual, &(struct cert_spec){.name = "client", .issuer = usual_set.ca, .purpose = CERT_CLIENT});
  if (atexit(remove_usual) != 0)
    harness_die("atexit");
}

const struct cert_set *certs_default(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;

  pthread_once(&once, make_usual);
  return &usual_set;
}
