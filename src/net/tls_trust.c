/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_trust.c - whom to trust: the authorities of tls.ca_file, tls.ca_dir and tls.ca_pem together,
 * or the system's when none is set, and the lists of what they revoked. All of it is read now: what
 * a generation trusts does not change while it lives, and no handshake waits for a disk. (The
 * system's directory alone is looked at by OpenSSL when it needs to.) */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include "base/mem.h"
#include "net/tls_context_impl.h"
#include "net/transport.h"

/* Where PEM text comes from. */
struct source {
  struct tls_load *load;
  const char *option;
  const char *value; /* shown: a path; of tls.ca_pem its beginning */
  size_t found;
};

/* Adds the next object of a BIO to the store: 1; 0 with the reason in the error queue. */
typedef int (*add_fn)(X509_STORE *, BIO *);

static int never(char *buf, int size, int rwflag, void *ud)
{
  (void)buf, (void)size, (void)rwflag, (void)ud;
  return -1; /* the default would ask on the terminal */
}

static int add_cert(X509_STORE *store, BIO *bio)
{
  X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, never, NULL);
  int done = cert && X509_STORE_add_cert(store, cert);

  X509_free(cert);
  return done;
}

static int add_crl(X509_STORE *store, BIO *bio)
{
  X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, never, NULL);
  int done = crl && X509_STORE_add_crl(store, crl);

  X509_CRL_free(crl);
  return done;
}

static int at_end(void)
{
  unsigned long e = ERR_peek_last_error();

  return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

static int add_all(struct source *from, const char *bytes, size_t size, add_fn add)
{
  BIO *bio = BIO_new_mem_buf(bytes, (int)size);
  X509_STORE *store = SSL_CTX_get_cert_store(from->load->ssl_ctx);
  int ended;

  if (!bio)
    return tls_load_no_memory(from->load);
  ERR_clear_error();
  while (add(store, bio))
    from->found++;
  ended = at_end();
  BIO_free(bio);
  if (!ended)
    return tls_load_failed(from->load, from->option, from->value,
                           add == add_cert ? "holds a broken certificate"
                                           : "holds a broken revocation list");
  ERR_clear_error();
  return 0;
}

static int nothing_found(struct source *from, const char *what)
{
  tls_load_blame(from->load, from->option, from->value);
  text_add(&from->load->error, "holds no %s", what);
  return -1;
}

#define PEM_CERT "certificate in PEM; valid: text with -----BEGIN CERTIFICATE-----"
#define PEM_CRL "revocation list in PEM; valid: text with -----BEGIN X509 CRL-----"

static int add_file(struct source *from, const char *path, add_fn add)
{
  struct tls_file file;
  int result;

  if (tls_file_read(from->load, from->option, path, &file))
    return -1;
  from->value = path;
  result = add_all(from, file.bytes, file.size, add);
  tls_file_drop(&file);
  return result;
}

static int load_file(struct tls_load *load, const char *option, const char *path, add_fn add)
{
  struct source from = {load, option, path, 0};

  if (!*path)
    return 0;
  if (add_file(&from, path, add))
    return -1;
  return from.found ? 0 : nothing_found(&from, add == add_cert ? PEM_CERT : PEM_CRL);
}

static int load_text(struct tls_load *load, const char *option, const char *pem)
{
  static const char shown[] = "(its text)";
  struct source from = {load, option, shown, 0};

  if (!*pem)
    return 0;
  if (add_all(&from, pem, strlen(pem), add_cert))
    return -1;
  return from.found ? 0 : nothing_found(&from, PEM_CERT);
}

/* ---- directories ---- */

/* Not so: a directory, also behind a link; what vanished meanwhile, and a link to nothing. */
static int is_file(const char *path)
{
  struct stat st;

  if (stat(path, &st) != 0)
    return errno != ENOENT;
  return !S_ISDIR(st.st_mode);
}

/* Files that hold something else are none of our business; sub-directories are not entered. */
static int add_entry(struct source *from, const char *name)
{
  const char *dir = from->value;
  size_t dir_len = strlen(dir), name_len = strlen(name);
  char *path = mem_alloc(dir_len + name_len + 2);
  int result;

  if (!path)
    return tls_load_no_memory(from->load);
  memcpy(path, dir, dir_len);
  path[dir_len] = '/';
  memcpy(path + dir_len + 1, name, name_len + 1);
  result = is_file(path) ? add_file(from, path, add_cert) : 0;
  from->value = dir;
  mem_free(path);
  return result;
}

static int cannot_read_dir(struct tls_load *load, const char *option, const char *path, int err)
{
  char reason[80];

  tls_load_blame(load, option, path);
  text_add(&load->error, "cannot be read: %s; valid: a directory with files in PEM",
           transport_error_text(err, reason, sizeof reason));
  return -1;
}

static int add_entries(struct source *from, DIR *dir)
{
  const struct dirent *entry;
  int result = 0;

  while (result == 0) {
    errno = 0; /* the end is told from an error by it */
    entry = readdir(dir);
    if (!entry)
      return errno ? cannot_read_dir(from->load, from->option, from->value, errno) : 0;
    if (entry->d_name[0] != '.')
      result = add_entry(from, entry->d_name);
  }
  return result;
}

static int load_dir(struct tls_load *load, const char *option, const char *path)
{
  struct source from = {load, option, path, 0};
  DIR *dir;
  int result;

  if (!*path)
    return 0;
  dir = opendir(path);
  if (!dir)
    return cannot_read_dir(load, option, path, errno);
  result = add_entries(&from, dir);
  closedir(dir);
  if (result == 0 && !from.found)
    result = nothing_found(&from, "file with a " PEM_CERT);
  return result;
}

static int load_system(struct tls_load *load)
{
  if (SSL_CTX_set_default_verify_paths(load->ssl_ctx))
    return 0;
  return tls_load_failed(load, "tls.ca_file", "", "is empty, and the system's CAs cannot be read");
}

/* The lists have to be of the issuer of the server's own certificate; those of its issuers are not
 * asked for. */
static int load_revoked(struct tls_load *load)
{
  if (!*load->config->tls_crl_file)
    return 0;
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(load->ssl_ctx), X509_V_FLAG_CRL_CHECK);
  return load_file(load, "tls.crl_file", load->config->tls_crl_file, add_crl);
}

int tls_load_trust(struct tls_load *load)
{
  const struct config *config = load->config;

  if (!*config->tls_ca_file && !*config->tls_ca_dir && !*config->tls_ca_pem) {
    if (load_system(load))
      return -1;
  } else if (load_file(load, "tls.ca_file", config->tls_ca_file, add_cert) ||
             load_dir(load, "tls.ca_dir", config->tls_ca_dir) ||
             load_text(load, "tls.ca_pem", config->tls_ca_pem)) {
    return -1;
  }
  return load_revoked(load);
}
