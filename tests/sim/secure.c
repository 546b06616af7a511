/* SPDX-License-Identifier: BSD-3-Clause */
/* secure.c - see secure.h. The process has one certificate and one SSL_CTX. The clock that OpenSSL
 * looks at is the simulator's, and its random numbers follow from the seed, so that each signature
 * has its length again. */
#define OPENSSL_API_COMPAT 0x10100000L /* RAND_set_rand_method */
#include "sim/secure.h"
#include "sim/sim.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { BEGINNING_S = 1800000000, YEAR_S = 365 * 24 * 3600 };

struct secure {
  SSL *ssl;
  BIO *in, *out;
  int open; /* or was, before something broke it */
};

static SSL_CTX *context;
static char *ca;
static uint64_t random_state;

static void must(int condition, const char *what)
{
  if (!condition)
    fail("OpenSSL: %s", what);
}

/* ---- what is not OpenSSL's to decide ---- */

/* Instead of the C library's, for OpenSSL as well. */
time_t time(time_t *ret)
{
  time_t now = BEGINNING_S + (time_t)(sim_now() / SIM_S);

  if (ret)
    *ret = now;
  return now;
}

static int random_bytes(unsigned char *buf, int n)
{
  for (int i = 0; i < n; i++) {
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    buf[i] = (unsigned char)(z >> 56);
  }
  return 1;
}

static int random_status(void)
{
  return 1;
}

void secure_seed(uint64_t seed)
{
  random_state = seed * UINT64_C(0x2545f4914f6cdd1d) + 7;
}

int secure_is_amid(void)
{
  return faults.secure && ERR_peek_error() != 0;
}

/* ---- a certificate that signs itself ---- */

static void extend(X509 *x, int nid, const char *value)
{
  X509_EXTENSION *extension;
  X509V3_CTX v3;

  X509V3_set_ctx_nodb(&v3);
  X509V3_set_ctx(&v3, x, x, NULL, NULL, 0);
  extension = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
  must(extension && X509_add_ext(x, extension, -1), value);
  X509_EXTENSION_free(extension);
}

static X509 *make_cert(EVP_PKEY *key)
{
  X509 *x = X509_new();
  X509_NAME *name = X509_get_subject_name(x);

  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -YEAR_S);
  X509_gmtime_adj(X509_getm_notAfter(x), YEAR_S);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"sim", -1, -1, 0);
  X509_set_issuer_name(x, name);
  X509_set_pubkey(x, key);
  extend(x, NID_basic_constraints, "critical,CA:TRUE");
  extend(x, NID_subject_alt_name, "DNS:sim.test,IP:127.0.0.1");
  must(X509_sign(x, key, EVP_sha256()) > 0, "a certificate");
  return x;
}

static char *pem_of(X509 *x)
{
  BIO *bio = BIO_new(BIO_s_mem());
  char *bytes, *text;
  long len;

  PEM_write_bio_X509(bio, x);
  len = BIO_get_mem_data(bio, &bytes);
  text = strndup(bytes, (size_t)len);
  BIO_free(bio);
  return text;
}

void secure_begin(void)
{
  static const RAND_METHOD method = {
      .bytes = random_bytes, .pseudorand = random_bytes, .status = random_status};
  EVP_PKEY *key;
  X509 *x;

  must(RAND_set_rand_method(&method), "random numbers");
  secure_seed(0);
  key = EVP_EC_gen("P-256");
  must(key != NULL, "a key");
  x = make_cert(key);
  ca = pem_of(x);
  context = SSL_CTX_new(TLS_server_method());
  must(SSL_CTX_use_certificate(context, x) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1,
       "a context");
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  X509_free(x);
  EVP_PKEY_free(key);
  ERR_clear_error();
}

const char *secure_ca(void)
{
  return ca;
}

/* ---- one connection ---- */

struct secure *secure_new(int flags)
{
  struct secure *s = calloc(1, sizeof *s);

  s->ssl = SSL_new(context);
  s->in = BIO_new(BIO_s_mem());
  s->out = BIO_new(BIO_s_mem());
  must(s->ssl && s->in && s->out, "a connection");
  SSL_set_bio(s->ssl, s->in, s->out);
  SSL_set_accept_state(s->ssl);
  if (flags & SECURE_1_2)
    SSL_set_max_proto_version(s->ssl, TLS1_2_VERSION);
  if (flags & SECURE_NO_TICKETS) {
    SSL_set_options(s->ssl, SSL_OP_NO_TICKET);
    SSL_set_num_tickets(s->ssl, 0);
  }
  return s;
}

void secure_free(struct secure *s)
{
  if (!s)
    return;
  SSL_free(s->ssl);
  free(s);
}

int secure_is_open(const struct secure *s)
{
  return s->open;
}

void secure_take(struct secure *s, const char *raw, size_t len)
{
  must(BIO_write(s->in, raw, (int)len) == (int)len, "memory");
}

int secure_open(struct secure *s, char *buf)
{
  int n, err = SSL_ERROR_NONE;

  ERR_clear_error();
  n = SSL_read(s->ssl, buf, SECURE_MAX);
  s->open |= SSL_is_init_finished(s->ssl);
  if (n <= 0)
    err = SSL_get_error(s->ssl, n);
  ERR_clear_error();
  if (err == SSL_ERROR_WANT_READ || err == SSL_ERROR_ZERO_RETURN)
    return 0;
  return err ? -1 : n;
}

void secure_seal(struct secure *s, const char *bytes, size_t len)
{
  ERR_clear_error();
  if (len > 0)
    (void)SSL_write(s->ssl, bytes, (int)len); /* not after an error: it is never sent */
  ERR_clear_error();
}

void secure_renew(struct secure *s, int both)
{
  ERR_clear_error();
  if (SSL_key_update(s->ssl, both ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED))
    (void)SSL_do_handshake(s->ssl);
  ERR_clear_error();
}

void secure_end(struct secure *s)
{
  ERR_clear_error();
  if (SSL_is_init_finished(s->ssl))
    (void)SSL_shutdown(s->ssl);
  ERR_clear_error();
}

const char *secure_output(struct secure *s, size_t *ret_len)
{
  char *bytes;
  long len = BIO_get_mem_data(s->out, &bytes);

  *ret_len = (size_t)len;
  return bytes;
}

void secure_taken(struct secure *s)
{
  (void)BIO_reset(s->out);
}
