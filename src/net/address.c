/* SPDX-License-Identifier: BSD-3-Clause */
/* address.c - owns the forms of socket addresses: literals, socket paths, text. Asks no name server
 * and must not wait. */
#include "net/address.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"

enum { SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

/* Field by field: padding and flow labels would make equal addresses differ. */
static int address_take(struct address *to, const struct sockaddr *from)
{
  memset(to, 0, sizeof *to);
  if (from->sa_family == AF_INET) {
    struct sockaddr_in in;

    memcpy(&in, from, sizeof in);
    to->len = sizeof in;
    to->u.in.sin_family = AF_INET;
    to->u.in.sin_addr = in.sin_addr;
    return 1;
  }
  if (from->sa_family == AF_INET6) {
    struct sockaddr_in6 in6;

    memcpy(&in6, from, sizeof in6);
    to->len = sizeof in6;
    to->u.in6.sin6_family = AF_INET6;
    to->u.in6.sin6_addr = in6.sin6_addr;
    to->u.in6.sin6_scope_id = in6.sin6_scope_id;
    return 1;
  }
  return 0;
}

static int wanted(int family, enum address_family want)
{
  return want == FAMILY_ANY || family == (want == FAMILY_IPV4 ? AF_INET : AF_INET6);
}

void address_set_add(struct address_set *set, const struct sockaddr *from, enum address_family want)
{
  struct address a;

  if (!from || set->count == RESOLVE_MAX || !wanted(from->sa_family, want) ||
      !address_take(&a, from))
    return;
  for (size_t i = 0; i < set->count; i++)
    if (set->items[i].len == a.len && memcmp(&set->items[i].u, &a.u, a.len) == 0)
      return;
  set->items[set->count++] = a;
}

static void set_port(struct address *a, uint16_t port)
{
  if (a->u.any.sa_family == AF_INET)
    a->u.in.sin_port = htons(port);
  else
    a->u.in6.sin6_port = htons(port);
}

size_t address_set_copy(const struct address_set *set, uint16_t port, struct address *to)
{
  for (size_t i = 0; i < set->count; i++) {
    to[i] = set->items[i];
    set_port(&to[i], port);
  }
  return set->count;
}

static void take_socket(struct lookup *l, const char *path)
{
  struct address *a = &l->addresses[0];
  size_t len = strlen(path);
  struct text text;

  if (len == 0 || len > SOCKET_PATH_MAX) {
    text_init(&text, l->error, sizeof l->error);
    text_add(&text, "socket path has %zu bytes, 1 to %d are possible", len, (int)SOCKET_PATH_MAX);
    return;
  }
  memset(a, 0, sizeof *a);
  a->u.un.sun_family = AF_UNIX;
  memcpy(a->u.un.sun_path, path, len + 1);
  a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
  l->count = 1;
}

/* "eth0" or "2"; 0: there is none. */
static uint32_t zone_index(const char *zone)
{
  unsigned index = if_nametoindex(zone);
  unsigned long number;
  char *end;

  if (index || *zone < '0' || *zone > '9')
    return index;
  number = strtoul(zone, &end, 10);
  return *end || number > UINT32_MAX ? 0 : (uint32_t)number;
}

/* 1: `host` is an IP literal, also when its zone is unknown (scope 0: connect will say so). */
static int parse_literal(struct address *a, const char *host)
{
  char bare[INET6_ADDRSTRLEN];
  const char *zone = strchr(host, '%');
  size_t len = zone ? (size_t)(zone - host) : strlen(host);

  memset(a, 0, sizeof *a);
  if (!zone && inet_pton(AF_INET, host, &a->u.in.sin_addr) == 1) {
    a->u.in.sin_family = AF_INET;
    a->len = sizeof a->u.in;
    return 1;
  }
  if (len >= sizeof bare)
    return 0;
  memcpy(bare, host, len);
  bare[len] = '\0';
  if (inet_pton(AF_INET6, bare, &a->u.in6.sin6_addr) != 1)
    return 0;
  a->u.in6.sin6_family = AF_INET6;
  a->u.in6.sin6_scope_id = zone ? zone_index(zone + 1) : 0;
  a->len = sizeof a->u.in6;
  return 1;
}

int address_immediate(struct lookup *l, const struct endpoint *e)
{
  struct address a;

  if (e->socket) {
    take_socket(l, e->socket);
    return 1;
  }
  if (!e->host || !*e->host) {
    snprintf(l->error, sizeof l->error, "the host is empty");
    return 1;
  }
  if (!parse_literal(&a, e->host))
    return 0;
  if (!wanted(a.u.any.sa_family, e->family)) {
    snprintf(l->error, sizeof l->error, "host \"%s\": not an IPv%d address", e->host,
             (int)e->family);
    return 1;
  }
  set_port(&a, e->port);
  l->addresses[0] = a;
  l->count = 1;
  return 1;
}

const char *address_text(const struct address *a, char *buf, size_t size)
{
  char ip[INET6_ADDRSTRLEN] = "?";
  struct text text;

  text_init(&text, buf, size);
  if (a->u.any.sa_family == AF_UNIX) {
    text_add(&text, "%s", a->u.un.sun_path);
  } else if (a->u.any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &a->u.in.sin_addr, ip, sizeof ip);
    text_add(&text, "%s:%d", ip, ntohs(a->u.in.sin_port));
  } else {
    inet_ntop(AF_INET6, &a->u.in6.sin6_addr, ip, sizeof ip);
    text_add(&text, "[%s", ip);
    if (a->u.in6.sin6_scope_id)
      text_add(&text, "%%%u", a->u.in6.sin6_scope_id);
    text_add(&text, "]:%d", ntohs(a->u.in6.sin6_port));
  }
  return buf;
}
