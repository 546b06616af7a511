/* SPDX-License-Identifier: BSD-3-Clause */
/* address.h - socket addresses: what needs no lookup, and sets without duplicates. Pure functions,
 * for resolve.c. */
#ifndef PMX_NET_ADDRESS_H
#define PMX_NET_ADDRESS_H
#include "net/resolve.h"

struct address_set {
  struct address items[RESOLVE_MAX]; /* port 0 */
  size_t count;
};

/* Adds an IPv4 or IPv6 address, unless it is there, is of another family, or the set is full. */
void address_set_add(struct address_set *, const struct sockaddr *, enum address_family);
size_t address_set_copy(const struct address_set *, uint16_t port, struct address *to);
/* 1: a Unix socket, an IP literal, or wrong; the lookup's addresses or error are filled. 0: a name,
 * which has to be looked up. */
int address_immediate(struct lookup *, const struct endpoint *);

#endif
