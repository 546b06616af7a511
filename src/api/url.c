/* SPDX-License-Identifier: BSD-3-Clause */
/* url.c - URLs into settings: splitting, percent-decoding, and what a URL may not say. Values are
 * checked by table.c. No message holds any part of a login, not even of one that is malformed or
 * cut off: what could be such a part (a port that is no number, a path after "user:") is not shown
 * either, so messages say less than they could. */
#include "api/options.h"
#include "api/table.h"
#include "api/tls_options.h"
#include "base/mem.h"
#include <string.h>
#include <strings.h>

struct scheme {
  const char *name;
  int tls, unix_socket;
};

static const struct scheme schemes[] = {
    {"redis", 0, 0},   {"rediss", 1, 0}, {"valkey", 0, 0},
    {"valkeys", 1, 0}, {"unix", 0, 1},   {NULL, 0, 0},
};

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static const char valid_schemes[] = "redis://, rediss://, valkey://, valkeys:// and unix://";

/* The parts point into one scratch copy that is cut up in place. NULL = the URL has no such part.
 */
struct url {
  const struct scheme *scheme;
  char *user, *password, *host, *port, *path, *query;
  int bracketed; /* host is between [ and ] */
  int show;      /* path and query may appear in messages */
  char given[OPTION_COUNT];
  struct config *config;
  const struct config *before; /* what the program has set */
  struct text *error;
};

static const char bad_ipv6[] = "bad IPv6 address; valid: [address] or [address]:port";

static int fail(struct url *u, const char *why)
{
  text_add(u->error, "%s", why);
  return SET_INVALID;
}

static char *cut(char *at)
{
  *at = '\0';
  return at + 1;
}

/* ---- characters ---- */

static int hex_digit(char c)
{
  static const char digits[] = "0123456789abcdef";
  const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;

  return at ? (int)(at - digits) : -1;
}

static int decode(struct url *u, const char *part, char *s)
{
  char *to = s;

  for (; *s; s++, to++) {
    int high, low;

    *to = *s;
    if (*s != '%')
      continue;
    high = hex_digit(s[1]);
    low = high < 0 ? -1 : hex_digit(s[2]);
    if (low < 0 || (high == 0 && low == 0)) {
      text_add(u->error, "%s in the %s; valid: %% and two hexadecimal digits, not %%00",
               low < 0 ? "bad percent escape" : "%00", part);
      return SET_INVALID;
    }
    *to = (char)(high * 16 + low);
    s += 2;
  }
  *to = '\0';
  return SET_OK;
}

static int check_raw(struct url *u, const char *part, const char *s)
{
  for (; s && *s; s++) {
    if ((unsigned char)*s > ' ' && *s != 127)
      continue;
    text_add(u->error,
             "blank or control character in the %s; write it as %% and two hexadecimal "
             "digits",
             part);
    return SET_INVALID;
  }
  return SET_OK;
}

/* ---- splitting ---- */

static int is_scheme_name(const char *s, size_t len)
{
  return len > 0 && len <= 16 && strspn(s, LETTERS) > 0 && strspn(s, LETTERS DIGITS "+-.") == len;
}

/* Returns what follows "://". */
static char *split_scheme(struct url *u, char *s)
{
  char *end = strstr(s, "://");
  size_t len = end ? (size_t)(end - s) : 0;

  for (u->scheme = schemes; u->scheme->name; u->scheme++)
    if (strlen(u->scheme->name) == len && strncasecmp(u->scheme->name, s, len) == 0)
      return end + 3;
  if (is_scheme_name(s, len))
    text_add(u->error, "unknown scheme \"%.*s\"; valid: %s", (int)len, s, valid_schemes);
  else
    text_add(u->error, "does not start with a scheme; valid: %s", valid_schemes);
  return NULL;
}

/* With an @ out of place nobody knows where the login ends, so nothing is shown. */
static int split_login(struct url *u, char *s, char **ret)
{
  char *end = s + strcspn(s, "/?"), *at = strchr(s, '@');

  *ret = s;
  if (!at)
    return SET_OK;
  if (at > end || strchr(at + 1, '@'))
    return fail(u, "\"@\" out of place; in a user, password, path or query write %40 for \"@\", "
                   "%2F for \"/\", %3F for \"?\"");
  *ret = cut(at);
  if (check_raw(u, "login", s))
    return SET_INVALID;
  u->user = s;
  u->password = strchr(s, ':');
  if (u->password)
    u->password = cut(u->password);
  return SET_OK;
}

static int split_host(struct url *u, char *s)
{
  char *end;

  if (check_raw(u, "host or port", s))
    return SET_INVALID;
  u->bracketed = *s == '[';
  u->host = s + u->bracketed;
  end = strchr(s, u->bracketed ? ']' : ':');
  if (u->bracketed) {
    if (!end || (end[1] && end[1] != ':'))
      return fail(u, bad_ipv6);
    end = *cut(end) ? end + 1 : NULL;
  }
  if (end)
    u->port = cut(end);
  if (u->port && strchr(u->port, ':'))
    return fail(u, "more than one \":\" in host and port; an IPv6 address is written in brackets, "
                   "and a login ends with \"@\"");
  return SET_OK;
}

static int split(struct url *u, char *s)
{
  char *slash;

  s = split_scheme(u, s);
  if (!s)
    return SET_INVALID;
  if (strchr(s, '#'))
    return fail(u, "a fragment (\"#\" and what follows) is not possible; write %23 for \"#\"");
  if (split_login(u, s, &s))
    return SET_INVALID;
  u->query = strchr(s, '?');
  if (u->query)
    u->query = cut(u->query);
  slash = strchr(s, '/');
  if (check_raw(u, "path", slash) || check_raw(u, "query", u->query))
    return SET_INVALID;
  u->show = !(u->query && strcasestr(u->query, "pass")) &&
            (u->user || !((slash && strchr(slash, ':')) || (u->query && strchr(u->query, ':'))));
  u->path = slash;
  if (u->scheme->unix_socket)
    return slash == s ? SET_OK
                      : fail(u, "unix:// needs an absolute path: unix:///path or "
                                "unix://user:password@/path");
  if (slash)
    u->path = cut(slash);
  return split_host(u, s);
}

/* ---- applying ---- */

static int give(struct url *u, enum option_id id, const char *value, int show)
{
  if (u->given[id]) {
    text_add(u->error, "option %s in the query repeats or contradicts what the URL says before it",
             option_at(id)->name);
    return SET_INVALID;
  }
  u->given[id] = 1;
  return option_apply(u->config, id, value, show, u->error);
}

static int apply_login(struct url *u)
{
  int result = SET_OK;

  if (u->user && *u->user) {
    result = decode(u, "user", u->user);
    if (result == SET_OK)
      result = give(u, OPTION_ID_user, u->user, 0);
  }
  if (result == SET_OK && u->password) {
    result = decode(u, "password", u->password);
    if (result == SET_OK)
      result = give(u, OPTION_ID_password, u->password, 0);
  }
  return result;
}

static int check_host(struct url *u)
{
  static const char name[] = LETTERS DIGITS "-._";
  const char *at = u->host;

  if (!u->bracketed) {
    if (!at[strspn(at, name)])
      return SET_OK;
    return fail(u, "bad character in the host; valid: letters, digits, \"-\", \".\" and \"_\"");
  }
  at += strspn(at, DIGITS "abcdefABCDEF:.");
  if (at[0] == '%' && at[1]) /* a zone: [fe80::1%25eth0] */
    at += 1 + strspn(at + 1, name);
  if (*at || !strchr(u->host, ':'))
    return fail(u, bad_ipv6);
  return SET_OK;
}

/* A port or database that is no number may be a piece of a login that was cut off or that lacks its
 * percent escapes, and is not shown. */
static int give_number(struct url *u, enum option_id id, const char *value, int show)
{
  return give(u, id, value, show && *value && !value[strspn(value, DIGITS)]);
}

static int apply_host(struct url *u)
{
  int result = SET_OK;

  if (*u->host || u->bracketed) {
    result = u->bracketed ? decode(u, "host", u->host) : SET_OK;
    if (result == SET_OK)
      result = check_host(u);
    if (result == SET_OK)
      result = give(u, OPTION_ID_host, u->host, 0);
  }
  if (result == SET_OK && u->port)
    result = give_number(u, OPTION_ID_port, u->port, u->user != NULL);
  if (result == SET_OK && (*u->host || u->port))
    result = give(u, OPTION_ID_socket, "", 0);
  if (result == SET_OK && u->path && *u->path)
    result = give_number(u, OPTION_ID_db, u->path, u->show);
  return result;
}

static int apply_socket(struct url *u)
{
  int result = decode(u, "path", u->path);

  if (result == SET_OK)
    result = give(u, OPTION_ID_socket, u->path, u->show);
  u->given[OPTION_ID_host] = u->given[OPTION_ID_port] = 1;
  return result;
}

static int apply_option(struct url *u, char *name)
{
  char *value = strchr(name, '=');
  enum option_id id;
  int result;

  if (!value)
    return fail(u, "the query is not name=value, or name=value&name=value and so on");
  value = cut(value);
  id = option_find(name);
  if (id == OPTION_COUNT) {
    option_add_unknown(u->error, name, u->show);
    return SET_INVALID;
  }
  result = decode(u, option_at(id)->name, value);
  if (result == SET_OK)
    result = give(u, id, value, u->show);
  if (result == SET_OK && tls_options_check_url(u->before, u->config, id, u->error))
    return SET_INVALID;
  if (result == SET_OK && u->scheme->tls && !u->config->tls)
    return fail(u,
                "tls=no contradicts the scheme; use redis:// or valkey:// to connect without TLS");
  return result;
}

static int apply(struct url *u)
{
  int result = apply_login(u);
  char *next;

  if (result == SET_OK)
    result = u->scheme->unix_socket ? apply_socket(u) : apply_host(u);
  if (u->scheme->tls)
    u->config->tls = 1;
  for (char *name = u->query; name && *u->query && result == SET_OK; name = next) {
    next = strchr(name, '&');
    if (next)
      next = cut(next);
    result = apply_option(u, name);
  }
  return result;
}

static int apply_copy(struct config *config, char *scratch, struct text *error)
{
  struct config changed;
  struct url u = {.config = &changed, .before = config, .error = error};
  int result;

  if (config_copy(&changed, config)) {
    text_add(error, "out of memory");
    return SET_NOMEM;
  }
  result = split(&u, scratch);
  if (result == SET_OK)
    result = apply(&u);
  if (result == SET_OK) {
    config_clear(config);
    *config = changed;
  } else {
    config_clear(&changed);
  }
  return result;
}

int config_set_url(struct config *config, const char *url, char *error, size_t error_size)
{
  size_t len = url ? strlen(url) : 0;
  struct text text;
  char *scratch;
  int result;

  text_init(&text, error, error_size);
  text_add(&text, "URL: ");
  if (!url) {
    text_add(&text, "missing (NULL)");
    return SET_INVALID;
  }
  scratch = mem_strndup(url, len);
  if (!scratch) {
    text_add(&text, "out of memory");
    return SET_NOMEM;
  }
  result = apply_copy(config, scratch, &text);
  if (result == SET_OK)
    text_init(&text, error, error_size);
  mem_wipe(scratch, len);
  mem_free(scratch);
  return result;
}
