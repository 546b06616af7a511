/* SPDX-License-Identifier: BSD-3-Clause */
/* peer.h - connections of hiredis itself, with which the library is compared. Knows nothing of the
 * library. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H
#include <hiredis/hiredis.h>
#ifdef __cplusplus
extern "C" {
#endif

/* Of redis[s]://[USER[:PASSWORD]@]HOST[:PORT][/DB][?tls.ca_file=…], unix://[…@]/PATH[?db=…]. "" is
 * what is not there. Other options of the query are the library's own. */
struct peer_address {
  char host[256];
  int port;
  const char *path; /* into path_text; NULL: over TCP */
  int tls, db;
  char user[128], password[512];
  char path_text[512], ca_file[1024], cert_file[1024], key_file[1024], server_name[256];
};

enum { PEER_WHY = 512 };
int peer_parse(const char *url, struct peer_address *ret); /* 0, or -1: another URL */
/* Connected and logged in, without TLS; NULL, and why not. */
redisContext *peer_open(const char *url, char why[PEER_WHY]);

#ifdef __cplusplus
}
#endif
#endif
