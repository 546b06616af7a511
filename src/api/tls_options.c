/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_options.c - the rules between options of TLS. Knows nothing of certificates and files: what
 * they hold is found out by net/tls_context.c. */
#include "api/tls_options.h"
#include "api/table.h"
#include <string.h>

/* Whom to trust: said by the program as a whole, or not at all. */
static const enum option_id trust[] = {
    OPTION_ID_tls_server_name, OPTION_ID_tls_ca_file,  OPTION_ID_tls_ca_dir,
    OPTION_ID_tls_ca_pem,      OPTION_ID_tls_crl_file,
};

enum { TRUST_COUNT = sizeof trust / sizeof *trust };

static int is_of_tls(enum option_id id)
{
  return strncmp(option_at(id)->name, "tls.", 4) == 0;
}

static int is_text(enum option_id id)
{
  const char *kind = option_at(id)->kind;

  return strcmp(kind, "STRING") == 0 || strcmp(kind, "SECRET") == 0;
}

static int is_default(const struct config *config, enum option_id id)
{
  char buf[OPTION_TEXT_SIZE];
  struct text text;

  if (is_text(id))
    return !*option_string(config, id);
  text_init(&text, buf, sizeof buf);
  option_print(&text, config, id);
  return strcmp(buf, option_at(id)->def) == 0;
}

/* A program that says whom to trust does not expect to send its password in the clear. */
static int check_wanted(const struct config *config, struct text *error)
{
  for (int i = 0; i < OPTION_COUNT && !config->tls; i++) {
    enum option_id id = (enum option_id)i;

    if (!is_of_tls(id) || is_default(config, id))
      continue;
    text_add(error,
             "%s is set, but tls=no, so that nothing would be encrypted; set tls=yes or connect "
             "with rediss:// or valkeys://, or leave it out",
             option_at(id)->name);
    return -1;
  }
  return 0;
}

/* A program that says whom to trust does not expect that anybody is. (A name is also what the
 * server is told.) */
static int check_skipped(const struct config *config, struct text *error)
{
  static const enum option_id useless[] = {OPTION_ID_tls_ca_file, OPTION_ID_tls_ca_dir,
                                           OPTION_ID_tls_ca_pem, OPTION_ID_tls_crl_file,
                                           OPTION_ID_tls_common_name};

  for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
    if (!config->tls_insecure_skip_verify || is_default(config, useless[i]))
      continue;
    text_add(
        error,
        "%s is set, but tls.insecure_skip_verify=yes, so that nothing would be verified; leave "
        "out one of them",
        option_at(useless[i])->name);
    return -1;
  }
  return 0;
}

int tls_options_check(const struct config *config, struct text *error)
{
  int has_cert = *config->tls_cert_file != '\0', has_key = *config->tls_key_file != '\0';

  if (check_wanted(config, error) || check_skipped(config, error))
    return -1;
  if (has_cert != has_key) {
    text_add(error,
             "%s is set, but %s is empty; a client certificate needs both (they may be the "
             "same file)",
             has_cert ? "tls.cert_file" : "tls.key_file",
             has_cert ? "tls.key_file" : "tls.cert_file");
    return -1;
  }
  if (config->tls && *config->socket && !*config->tls_server_name &&
      !config->tls_insecure_skip_verify) {
    text_add(error, "tls.server_name is empty, and with socket=\"");
    text_add_quoted(error, config->socket, strlen(config->socket), QUOTE_MAX);
    text_add(error, "\" there is no host to check the certificate for; set tls.server_name");
    return -1;
  }
  return 0;
}

/* ---- URLs ---- */

static int refuse(enum option_id id, const char *why, struct text *error)
{
  text_add(error, "%s cannot be set in a URL %s; use pmx_options_set", option_at(id)->name, why);
  return -1;
}

static int is_trust(enum option_id id)
{
  size_t i = 0;

  while (i < TRUST_COUNT && trust[i] != id)
    i++;
  return i < TRUST_COUNT;
}

static int check_trust(const struct config *before, enum option_id id, struct text *error)
{
  for (size_t i = 0; i < TRUST_COUNT; i++) {
    if (is_default(before, trust[i]))
      continue;
    text_add(error,
             "%s cannot be set in a URL, because the program has set %s: who may be trusted comes "
             "from one of them; use pmx_options_set",
             option_at(id)->name, option_at(trust[i])->name);
    return -1;
  }
  return 0;
}

static int is_loose(enum option_id id)
{
  return id == OPTION_ID_tls_insecure_skip_verify || id == OPTION_ID_tls_common_name;
}

int tls_options_check_url(const struct config *before, const struct config *after,
                          enum option_id id, struct text *error)
{
  if (id == OPTION_ID_tls && before->tls && !after->tls)
    return refuse(id, "to \"no\" when the program has set it to \"yes\"", error);
  if (is_loose(id) && option_number(after, id) && !option_number(before, id))
    return refuse(id, "to \"yes\", which would weaken TLS", error);
  if (id == OPTION_ID_tls_min_version && after->tls_min_version < before->tls_min_version)
    return refuse(id, "to less than the program has set, which would weaken TLS", error);
  if (id == OPTION_ID_tls_ciphers || id == OPTION_ID_tls_ciphersuites || id == OPTION_ID_tls_groups)
    return refuse(id, "because that could weaken TLS", error);
  return is_trust(id) ? check_trust(before, id, error) : 0;
}
