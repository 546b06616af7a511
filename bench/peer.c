/* SPDX-License-Identifier: BSD-3-Clause */
/* peer.c - see peer.h. */
#include "peer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- URLs ---- */

/* Undoes %41. 0, or -1: too long, or no such escape. */
static int decode(const char *from, size_t len, char *ret, size_t size)
{
  char hex[3] = {0}, *end;
  size_t out = 0;

  for (size_t i = 0; i < len; i++) {
    if (out + 1 >= size)
      return -1;
    ret[out] = from[i];
    if (from[i] == '%') {
      if (i + 2 >= len)
        return -1;
      memcpy(hex, from + i + 1, 2);
      ret[out] = (char)strtol(hex, &end, 16);
      if (*end)
        return -1;
      i += 2;
    }
    out++;
  }
  ret[out] = '\0';
  return 0;
}

/* 0, or -1. */
static int parse_option(struct peer_address *a, const char *text, size_t len)
{
  const struct option {
    const char *name;
    char *ret;
    size_t size;
  } options[] = {
      {"user=", a->user, sizeof a->user},
      {"password=", a->password, sizeof a->password},
      {"tls.ca_file=", a->ca_file, sizeof a->ca_file},
      {"tls.ca_dir=", a->ca_dir, sizeof a->ca_dir},
      {"tls.cert_file=", a->cert_file, sizeof a->cert_file},
      {"tls.key_file=", a->key_file, sizeof a->key_file},
      {"tls.key_passphrase=", a->key_passphrase, sizeof a->key_passphrase},
      {"tls.server_name=", a->server_name, sizeof a->server_name},
  };

  if (strncmp(text, "db=", 3) == 0)
    a->db = atoi(text + 3);
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    size_t name = strlen(options[i].name);

    if (len >= name && strncmp(text, options[i].name, name) == 0)
      return decode(text + name, len - name, options[i].ret, options[i].size);
  }
  return 0;
}

static int parse_query(struct peer_address *a, const char *text)
{
  while (*text) {
    size_t len = strcspn(text, "&");

    if (parse_option(a, text, len) != 0)
      return -1;
    text += len + (text[len] == '&');
  }
  return 0;
}

/* Returns what is behind the '@', or NULL. */
static const char *parse_login(struct peer_address *a, const char *text)
{
  const char *at = NULL, *colon;
  size_t end = strcspn(text, "/?");

  for (size_t i = 0; i < end; i++)
    at = text[i] == '@' ? text + i : at;
  if (!at)
    return text;
  colon = memchr(text, ':', (size_t)(at - text));
  if (decode(text, (size_t)((colon ? colon : at) - text), a->user, sizeof a->user) != 0)
    return NULL;
  if (colon && decode(colon + 1, (size_t)(at - colon - 1), a->password, sizeof a->password) != 0)
    return NULL;
  return at + 1;
}

/* HOST[:PORT][/DB], up to the '?' or the end. */
static int parse_host(struct peer_address *a, const char *text)
{
  int bracket = *text == '[';
  size_t len = strcspn(text + bracket, bracket ? "]" : ":/?");
  const char *rest = text + bracket + len;

  if (decode(text + bracket, len, a->host, sizeof a->host) != 0 || !len)
    return -1;
  rest += bracket && *rest == ']';
  if (*rest == ':')
    a->port = atoi(rest + 1);
  rest += strcspn(rest, "/?");
  if (*rest == '/' && rest[1] >= '0' && rest[1] <= '9')
    a->db = atoi(rest + 1);
  return a->port > 0 && a->port < 65536 ? 0 : -1;
}

int peer_parse(const char *url, struct peer_address *ret)
{
  static const struct scheme {
    const char *name;
    int tls, local;
  } schemes[] = {{"redis://", 0, 0},
                 {"valkey://", 0, 0},
                 {"rediss://", 1, 0},
                 {"valkeys://", 1, 0},
                 {"unix://", 0, 1}};
  const char *text = NULL, *query = strchr(url, '?');
  int local = 0;

  memset(ret, 0, sizeof *ret);
  ret->port = 6379;
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    if (strncmp(url, schemes[i].name, strlen(schemes[i].name)) != 0)
      continue;
    text = parse_login(ret, url + strlen(schemes[i].name));
    ret->tls = schemes[i].tls;
    local = schemes[i].local;
  }
  if (!text || (query && parse_query(ret, query + 1) != 0))
    return -1;
  if (!local)
    return parse_host(ret, text);
  ret->path = ret->path_text;
  return decode(text, strcspn(text, "?"), ret->path_text, sizeof ret->path_text);
}

/* ---- options of URLs ---- */

int peer_has_word(const char *words, const char *word)
{
  size_t len = strlen(word);

  if (len == 0) /* is found everywhere, also behind the end */
    return 0;
  for (const char *at = strstr(words, word); at; at = strstr(at + 1, word)) {
    if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
      return 1;
  }
  return 0;
}

/* The next option of a query, without its value. 0: there is none. */
static int next_option(const char **query, char ret[PEER_OPTION])
{
  size_t len;

  if (!*query || !**query)
    return 0;
  len = strcspn(*query, "=&");
  snprintf(ret, PEER_OPTION, "%.*s", (int)len, *query);
  *query += strcspn(*query, "&");
  *query += **query == '&';
  return 1;
}

static const char *query_of(const char *url)
{
  const char *sign = strchr(url, '?');

  return sign ? sign + 1 : NULL;
}

int peer_other_option(const char *url, const char *words, char ret[PEER_OPTION])
{
  const char *query = query_of(url);

  while (next_option(&query, ret)) {
    if (ret[0] && !peer_has_word(words, ret))
      return 1;
  }
  return 0;
}

int peer_lost_option(const char *url, char ret[PEER_OPTION])
{
  static const char where[] = "host port socket tls address_family";
  const char *query = query_of(url);

  while (next_option(&query, ret)) {
    if (peer_has_word(where, ret) ||
        (strncmp(ret, "tls.", 4) == 0 && strcmp(ret, "tls.retire") != 0 &&
         !peer_has_word(PEER_TLS_OPTIONS, ret)))
      return 1;
  }
  return 0;
}

int peer_each_file(const char *dir, int (*each)(void *arg, const char *path), void *arg)
{
  DIR *files = opendir(dir);
  const struct dirent *entry;
  char path[2048];
  int n = 0;

  if (!files)
    return -1;
  while ((entry = readdir(files))) {
    if (entry->d_name[0] != '.' &&
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) < (int)sizeof path)
      n += each(arg, path);
  }
  closedir(files);
  return n;
}

/* ---- connections ---- */

static int said_ok(redisContext *context, redisReply *reply, char why[PEER_WHY])
{
  int good = reply && reply->type == REDIS_REPLY_STATUS;

  if (!good)
    snprintf(why, PEER_WHY, "%s", reply && reply->str ? reply->str : context->errstr);
  freeReplyObject(reply);
  return good;
}

static int log_in(redisContext *context, const struct peer_address *a, char why[PEER_WHY])
{
  redisReply *reply;

  if (a->password[0]) {
    reply = a->user[0] ? redisCommand(context, "AUTH %s %s", a->user, a->password)
                       : redisCommand(context, "AUTH %s", a->password);
    if (!said_ok(context, reply, why))
      return 0;
  }
  return a->db == 0 || said_ok(context, redisCommand(context, "SELECT %d", a->db), why);
}

redisContext *peer_open(const char *url, char why[PEER_WHY])
{
  struct peer_address address;
  redisContext *context;

  if (peer_parse(url, &address) != 0) {
    snprintf(why, PEER_WHY, "only redis://HOST:PORT and unix:///PATH will do here");
    return NULL;
  }
  context =
      address.path ? redisConnectUnix(address.path) : redisConnect(address.host, address.port);
  if (!context || context->err)
    snprintf(why, PEER_WHY, "%s", context ? context->errstr : "out of memory");
  else if (address.tls || log_in(context, &address, why))
    return context;
  if (context)
    redisFree(context);
  return NULL;
}
