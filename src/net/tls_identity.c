/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_identity.c - who we are: the client's certificate with its intermediate ones, its key, and
 * the passphrase of that. Never asks on the terminal. What was read of the files, and the
 * passphrase, are wiped here; the key itself is OpenSSL's, which wipes it when the last connection
 * with it ends. A file that both options name is read once: one that is put in its place meanwhile
 * does not mix with it. */
#include <string.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include "base/mem.h"
#include "net/tls_context_impl.h"

static const char cert_option[] = "tls.cert_file", key_option[] = "tls.key_file";

/* ---- the passphrase ---- */

enum passphrase_state {
  PASSPHRASE_NOT_ASKED,
  PASSPHRASE_GIVEN,
  PASSPHRASE_MISSING, /* there is none to ask for */
  PASSPHRASE_REFUSED, /* the user's function failed */
  PASSPHRASE_TOO_LONG
};

struct passphrase {
  const struct config *config;
  enum passphrase_state state;
  char text[1024];
};

/* The user's function may take its time, and fork. */
static int ask_user(struct passphrase *p)
{
  int result;

  fork_let();
  result = p->config->passphrase(p->config->passphrase_ud, p->text, sizeof p->text);
  fork_hold();
  return result;
}

static enum passphrase_state ask(struct passphrase *p)
{
  const struct config *config = p->config;

  if (!config->passphrase) {
    strncpy(p->text, config->tls_key_passphrase, sizeof p->text - 1);
    return *p->text ? PASSPHRASE_GIVEN : PASSPHRASE_MISSING;
  }
  if (ask_user(p) != 0)
    return PASSPHRASE_REFUSED;
  return memchr(p->text, '\0', sizeof p->text) ? PASSPHRASE_GIVEN : PASSPHRASE_TOO_LONG;
}

/* OpenSSL may ask more than once for one key; the user's function is not. */
static int on_passphrase(char *buf, int size, int rwflag, void *ud)
{
  struct passphrase *p = ud;
  size_t len;

  (void)rwflag;
  if (p->state == PASSPHRASE_NOT_ASKED)
    p->state = ask(p);
  if (p->state != PASSPHRASE_GIVEN)
    return -1;
  len = strlen(p->text);
  if (len > (size_t)size) {
    p->state = PASSPHRASE_TOO_LONG;
    return -1;
  }
  memcpy(buf, p->text, len);
  return (int)len;
}

/* ---- the key ---- */

static const char *why_no_key(const struct passphrase *p)
{
  switch (p->state) {
  case PASSPHRASE_NOT_ASKED:
    break;
  case PASSPHRASE_GIVEN:
    return p->config->passphrase
               ? "cannot be decrypted with what the function of pmx_options_set_passphrase gave"
               : "cannot be decrypted with tls.key_passphrase";
  case PASSPHRASE_MISSING:
    return "is encrypted; set tls.key_passphrase, or call pmx_options_set_passphrase";
  case PASSPHRASE_REFUSED:
    return "is encrypted, and the function of pmx_options_set_passphrase failed";
  case PASSPHRASE_TOO_LONG:
    return "is encrypted, and its passphrase is too long; valid: at most 1023 bytes";
  }
  return "holds no private key in PEM; valid: text with -----BEGIN PRIVATE KEY-----";
}

static EVP_PKEY *parse_key(struct tls_load *load, const struct tls_file *file, const char *path)
{
  struct passphrase p = {.config = load->config};
  BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->size);
  EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &p) : NULL;

  BIO_free(bio);
  if (!bio) {
    tls_load_no_memory(load);
  } else if (!key) {
    const char *why = why_no_key(&p);

    if (p.state != PASSPHRASE_NOT_ASKED && p.state != PASSPHRASE_GIVEN)
      ERR_clear_error(); /* it says less than we do */
    tls_load_failed(load, key_option, path, why);
  }
  mem_wipe(&p, sizeof p);
  return key;
}

/* ---- the certificate ---- */

static int at_end(void)
{
  unsigned long e = ERR_peek_last_error();

  return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

static int never(char *buf, int size, int rwflag, void *ud)
{
  (void)buf, (void)size, (void)rwflag, (void)ud;
  return -1;
}

/* The first is ours, the others are its issuers. */
static int use_certs(struct tls_load *load, BIO *bio, const char *path)
{
  X509 *cert;
  int n = 0, used;

  ERR_clear_error();
  for (; (cert = PEM_read_bio_X509(bio, NULL, never, NULL)); n++) {
    used = n ? (int)SSL_CTX_add1_chain_cert(load->ssl_ctx, cert)
             : SSL_CTX_use_certificate(load->ssl_ctx, cert);
    X509_free(cert);
    if (!used)
      return tls_load_failed(load, cert_option, path, "holds a certificate that cannot be used");
  }
  if (!at_end())
    return tls_load_failed(load, cert_option, path, "holds a broken certificate");
  ERR_clear_error();
  if (n > 0)
    return 0;
  return tls_load_failed(
      load, cert_option, path,
      "holds no certificate in PEM; valid: text with -----BEGIN CERTIFICATE-----");
}

static int load_certs(struct tls_load *load, const struct tls_file *file)
{
  BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->size);
  int result = bio ? use_certs(load, bio, load->config->tls_cert_file) : tls_load_no_memory(load);

  BIO_free(bio);
  return result;
}

static int use_key(struct tls_load *load, EVP_PKEY *key)
{
  const char *path = load->config->tls_key_file;

  if (!X509_check_private_key(SSL_CTX_get0_certificate(load->ssl_ctx), key)) {
    ERR_clear_error();
    tls_load_blame(load, key_option, path);
    text_add(&load->error, "is not the key of the first certificate in tls.cert_file=\"");
    text_add_quoted(&load->error, load->config->tls_cert_file, strlen(load->config->tls_cert_file),
                    TLS_QUOTE_MAX);
    text_add(&load->error, "\"; valid: the two that were made together");
    return -1;
  }
  if (!SSL_CTX_use_PrivateKey(load->ssl_ctx, key))
    return tls_load_failed(load, key_option, path, "holds a key that cannot be used");
  return 0;
}

static int load_key(struct tls_load *load, const struct tls_file *file)
{
  EVP_PKEY *key = parse_key(load, file, load->config->tls_key_file);
  int result = key ? use_key(load, key) : -1;

  EVP_PKEY_free(key);
  return result;
}

static int load_other_key(struct tls_load *load)
{
  struct tls_file file;
  int result;

  if (tls_file_read(load, key_option, load->config->tls_key_file, &file))
    return -1;
  result = load_key(load, &file);
  tls_file_drop(&file);
  return result;
}

int tls_load_identity(struct tls_load *load)
{
  const char *cert_path = load->config->tls_cert_file, *key_path = load->config->tls_key_file;
  struct tls_file file;
  int result;

  if (!*cert_path || !*key_path)
    return 0; /* one without the other: api/tls_options.c */
  if (tls_file_read(load, cert_option, cert_path, &file))
    return -1;
  result = load_certs(load, &file);
  if (result == 0)
    result = strcmp(cert_path, key_path) == 0 ? load_key(load, &file) : load_other_key(load);
  tls_file_drop(&file);
  return result;
}
