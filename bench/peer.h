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
 * what is not there. Other options of the query are the library's own, and not looked at. */
struct peer_address {
  char host[256];
  int port;
  const char *path; /* into path_text; NULL: over TCP */
  int tls, db;
  char user[128], password[512];
  char path_text[512], ca_file[1024], ca_dir[1024], cert_file[1024], key_file[1024];
  char key_passphrase[1024], server_name[256];
};
#define PEER_LOGIN_OPTIONS "user password db"
#define PEER_TLS_OPTIONS                                                                           \
  "tls.ca_file tls.ca_dir tls.cert_file tls.key_file tls.key_passphrase tls.server_name"

enum { PEER_WHY = 512 };
int peer_parse(const char *url, struct peer_address *ret); /* 0, or -1: another URL */
enum { PEER_OPTION = 48 };
/* 1, and the first option in the URL's query that is none of these words; 0: there is none. */
int peer_other_option(const char *url, const char *words, char ret[PEER_OPTION]);
/* The same of those that say who is talked to, or how it is known, but peer_parse does not know. */
int peer_lost_option(const char *url, char ret[PEER_OPTION]);
/* Calls it for each file of a directory, as tls.ca_dir has them; how many of the calls returned 1,
 * or -1: it cannot be read. */
int peer_each_file(const char *dir, int (*each)(void *arg, const char *path), void *arg);
int peer_has_word(const char *words, const char *word); /* words with a blank between them */
/* Connected and logged in, without TLS; NULL, and why not. */
redisContext *peer_open(const char *url, char why[PEER_WHY]);

#ifdef __cplusplus
}
#endif
#endif
