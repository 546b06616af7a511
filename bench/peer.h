/* SPDX-License-Identifier: BSD-3-Clause */
/* peer.h - connections of hiredis itself, with which the library is compared. Knows nothing of the
 * library. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H
#include <hiredis/hiredis.h>

struct peer_address {
  char host[256];
  int port;
  const char *path; /* into the URL; NULL: over TCP */
};

enum { PEER_WHY = 512 };
/* Of redis://HOST:PORT or unix:///PATH. 0, or -1: another URL. */
int peer_parse(const char *url, struct peer_address *ret);
redisContext *peer_open(const char *url, char why[PEER_WHY]); /* NULL, and why not */

#endif
