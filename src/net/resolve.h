/* SPDX-License-Identifier: BSD-3-Clause */
/* resolve.h - host names to addresses, with a deadline that getaddrinfo lacks. IP literals and Unix
 * sockets need no thread; names are looked up by at most 2 threads per resolver, which own their
 * data: a lookup that hangs holds up nobody. */
#ifndef PMX_NET_RESOLVE_H
#define PMX_NET_RESOLVE_H
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include "base/list.h"

struct address {
  socklen_t len;
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
  } u;
};

enum { RESOLVE_MAX = 16 }; /* addresses kept of one name */

enum address_family { FAMILY_ANY = 0, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

struct endpoint {
  const char *host;   /* name, IPv4 or IPv6 literal; NULL with a socket */
  const char *socket; /* path of a Unix socket, or NULL */
  uint16_t port;
  enum address_family family;
};

struct resolver;

/* One lookup. Embedded in its issuer; the issuer keeps it alive until it is done or cancelled. */
struct lookup {
  struct address addresses[RESOLVE_MAX];
  size_t count; /* 0 = failed: error says why */
  char error[160];
  /* Called once, from a resolver thread with the resolver's lock held: it may only wake somebody.
   * Not called when lookup_start returned 1, or after lookup_cancel or resolver_close. */
  void (*ready)(struct lookup *);
  struct lookup_job *job; /* NULL: nothing is under way; set it so before the first lookup_cancel */
  struct list node;       /* in the job */
  uint16_t port;
};

/* None of these may be called with a lock held that `ready` takes. */
int resolver_open(struct resolver **ret); /* 0, or errno */
void resolver_close(struct resolver *);   /* at once, even when a lookup hangs; NULL is ignored */
/* 1 = the answer is there (ready was not called), 0 = ready will be called, unless cancelled. */
int lookup_start(struct resolver *, struct lookup *, const struct endpoint *,
                 void (*ready)(struct lookup *));
void lookup_cancel(struct resolver *, struct lookup *); /* afterwards ready is never called */
const char *address_text(const struct address *, char *buf, size_t size); /* "[::1]:6379" */

#endif
