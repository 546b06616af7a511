/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_ciphers.c - tls.ciphers, tls.ciphersuites and tls.groups. OpenSSL leaves out names that it
 * does not know and takes the rest of a list; here a word that means nothing is an error, for it
 * may have been the one that mattered. What stands behind "!", "-", "+" or "@" is not looked at: a
 * word that takes nothing away is not an error for OpenSSL, and cannot be told from one that does.
 */
#include <string.h>
#include <openssl/err.h>
#include "base/mem.h"
#include "net/tls_context_impl.h"

/* Sets a list of one word on a context that is thrown away: 1, or 0. */
typedef int (*try_fn)(SSL_CTX *, const char *word);

struct list {
  const char *option, *value, *separators;
  try_fn try;
  const char *valid;
};

static int try_cipher(SSL_CTX *ctx, const char *word)
{
  return strchr("!-+@", *word) || SSL_CTX_set_cipher_list(ctx, word);
}

static int try_suite(SSL_CTX *ctx, const char *word)
{
  const STACK_OF(SSL_CIPHER) * all;
  int found = 0;

  if (!SSL_CTX_set_ciphersuites(ctx, word))
    return 0;
  all = SSL_CTX_get_ciphers(ctx);
  for (int i = 0; i < sk_SSL_CIPHER_num(all) && !found; i++)
    found = strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)), word) == 0;
  return found;
}

static int try_group(SSL_CTX *ctx, const char *word)
{
  return (int)SSL_CTX_set1_groups_list(ctx, word);
}

static int bad_word(struct tls_load *load, const struct list *list, const char *word)
{
  ERR_clear_error();
  tls_load_blame(load, list->option, list->value);
  if (*word) {
    text_add(&load->error, "has \"");
    text_add_quoted(&load->error, word, strlen(word), TLS_QUOTE_MAX);
    text_add(&load->error, "\", which OpenSSL does not know or allow");
  } else {
    text_add(&load->error, "has an empty word");
  }
  text_add(&load->error, "; valid: %s", list->valid);
  return -1;
}

static int bad_list(struct tls_load *load, const struct list *list, const char *why)
{
  if (ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
    return tls_load_no_memory(load);
  ERR_clear_error();
  tls_load_blame(load, list->option, list->value);
  text_add(&load->error, "%s; valid: %s", why, list->valid);
  return -1;
}

/* Cuts `words` up. */
static int check_words(struct tls_load *load, const struct list *list, char *words,
                       SSL_CTX *scratch)
{
  char *next;

  for (char *word = words; word; word = next) {
    next = strpbrk(word, list->separators);
    if (next)
      *next++ = '\0';
    if (!*word || !list->try(scratch, word))
      return bad_word(load, list, word);
  }
  ERR_clear_error();
  return 0;
}

static int check(struct tls_load *load, const struct list *list)
{
  char *words = mem_strdup(list->value);
  SSL_CTX *scratch = SSL_CTX_new(TLS_client_method());
  int result;

  if (words && scratch)
    result = check_words(load, list, words, scratch);
  else
    result = tls_load_no_memory(load);
  SSL_CTX_free(scratch);
  mem_free(words);
  return result;
}

/* Ciphers without a certificate would not be verified, those without encryption are none. */
static int set_ciphers(struct tls_load *load, const struct list *list)
{
  static const char never[] = ":!aNULL:!eNULL";
  size_t len = strlen(list->value);
  char *all = mem_alloc(len + sizeof never);
  int done;

  if (!all)
    return tls_load_no_memory(load);
  memcpy(all, list->value, len);
  memcpy(all + len, never, sizeof never);
  done = SSL_CTX_set_cipher_list(load->ssl_ctx, all);
  mem_free(all);
  return done ? 0 : bad_list(load, list, "leaves no cipher");
}

static int is_safe(const SSL_CIPHER *cipher)
{
  return SSL_CIPHER_get_auth_nid(cipher) != NID_auth_null &&
         SSL_CIPHER_get_cipher_nid(cipher) != NID_undef && SSL_CIPHER_get_bits(cipher, NULL) > 0;
}

static int are_safe(const STACK_OF(SSL_CIPHER) * all)
{
  int safe = 1;

  for (int i = 0; i < sk_SSL_CIPHER_num(all) && safe; i++)
    safe = is_safe(sk_SSL_CIPHER_value(all, i));
  return safe;
}

/* The names of what is safe in `all`; those of TLS 1.3 are not in this list. NULL: no memory. */
static char *safe_names(const STACK_OF(SSL_CIPHER) * all)
{
  enum { NAME_MAX_BYTES = 80 };
  size_t size = (size_t)sk_SSL_CIPHER_num(all) * NAME_MAX_BYTES + 1;
  char *names = mem_alloc(size);
  struct text text;

  if (!names)
    return NULL;
  text_init(&text, names, size);
  for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
    const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);

    if (is_safe(cipher) && strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") != 0)
      text_add(&text, "%s%s", *names ? ":" : "", SSL_CIPHER_get_name(cipher));
  }
  return names;
}

/* The list is OpenSSL's own, or what openssl.cnf makes of it. That may be "ALL". */
static int keep_safe(struct tls_load *load, const struct list *list)
{
  const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(load->ssl_ctx);
  char *names;
  int done;

  if (are_safe(all))
    return 0;
  names = safe_names(all);
  if (!names)
    return tls_load_no_memory(load);
  done = SSL_CTX_set_cipher_list(load->ssl_ctx, names);
  mem_free(names);
  return done ? 0
              : bad_list(load, list,
                         "leaves what openssl.cnf says, and that allows only ciphers without a "
                         "certificate or without encryption");
}

static int load_ciphers(struct tls_load *load)
{
  const struct list list = {
      "tls.ciphers", load->config->tls_ciphers, ":;, ", try_cipher,
      "OpenSSL's names with \":\" between, such as ECDHE-RSA-AES128-GCM-SHA256:HIGH:!kRSA"};

  if (!*list.value)
    return keep_safe(load, &list);
  return check(load, &list) ? -1 : set_ciphers(load, &list);
}

static int load_suites(struct tls_load *load)
{
  const struct list list = {
      "tls.ciphersuites", load->config->tls_ciphersuites, ":", try_suite,
      "TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256, with \":\" "
      "between"};

  if (!*list.value)
    return 0;
  if (check(load, &list))
    return -1;
  if (!SSL_CTX_set_ciphersuites(load->ssl_ctx, list.value))
    return bad_list(load, &list, "leaves no cipher");
  return 0;
}

static int load_groups(struct tls_load *load)
{
  const struct list list = {"tls.groups", load->config->tls_groups, ":", try_group,
                            "OpenSSL's names with \":\" between, such as X25519:P-256:P-384"};

  if (!*list.value)
    return 0;
  if (check(load, &list))
    return -1;
  if (!SSL_CTX_set1_groups_list(load->ssl_ctx, list.value))
    return bad_list(load, &list, "is not a list of groups");
  return 0;
}

int tls_load_ciphers(struct tls_load *load)
{
  return load_ciphers(load) || load_suites(load) || load_groups(load) ? -1 : 0;
}
