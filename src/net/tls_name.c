/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_name.c - which name the server's certificate must be for: tls.server_name, or else the host
 * as the user wrote it, never an address that it was looked up to. What could not be in a
 * certificate is refused here, and so is what OpenSSL takes for something else: a name that begins
 * with a dot stands for all names below it. */
#include <arpa/inet.h>
#include <string.h>
#include "net/tls_context_impl.h"

enum { LABEL_MAX = 63, HOST_NAME_MAX_BYTES = 253 };

static int bad_name(struct tls_load *load, const char *option, const char *name, const char *why)
{
  tls_load_blame(load, option, name);
  text_add(&load->error,
           "%s; a certificate can be for host names (letters, digits, \"-\", \"_\", "
           "parts of 1 to 63 with \".\" between; others in their form xn--...) and "
           "IP addresses",
           why);
  return -1;
}

static int read_ip(const char *text, struct tls_name *name)
{
  size_t len = strcspn(text, "%");

  memcpy(name->text, text, len);
  name->text[len] = '\0';
  if (inet_pton(AF_INET6, name->text, name->ip) == 1)
    name->ip_len = 16;
  else if (!text[len] && inet_pton(AF_INET, text, name->ip) == 1)
    name->ip_len = 4;
  return name->ip_len > 0;
}

static const char *why_no_host(const char *name)
{
  static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  size_t label;

  if (strlen(name) > HOST_NAME_MAX_BYTES)
    return "is longer than 253 bytes";
  for (;; name += label + 1) {
    label = strspn(name, good);
    if (name[label] && name[label] != '.')
      return "has a character that is not possible";
    if (label == 0)
      return "has an empty part";
    if (label > LABEL_MAX)
      return "has a part of more than 63 bytes";
    if (!name[label])
      return NULL;
  }
}

int tls_name_read(struct tls_load *load, struct tls_name *ret)
{
  const struct config *config = load->config;
  int is_own = *config->tls_server_name != '\0';
  const char *option = is_own ? "tls.server_name" : "host";
  const char *given = is_own ? config->tls_server_name : config->host, *why;
  struct tls_name name = {0};
  size_t len = strlen(given);

  if (!is_own && *config->socket) {
    *ret = name; /* what that means for the verification: api/tls_options.c */
    return 0;
  }
  if (len >= sizeof name.text)
    return bad_name(load, option, given, "is too long");
  if (!read_ip(given, &name)) {
    memcpy(name.text, given, len + 1);
    if (len > 1 && name.text[len - 1] == '.')
      name.text[len - 1] = '\0'; /* "host." is how resolvers are told that the name is complete */
    why = why_no_host(name.text);
    if (why)
      return bad_name(load, option, given, why);
  }
  *ret = name;
  return 0;
}
