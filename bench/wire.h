/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.h - a connection of hiredis, blocking, and through OpenSSL on its socket where the URL is
 * rediss://: hiredis connects, formats and parses, the bytes between go through SSL_write and
 * SSL_read. The certificate is verified, against the CA and the host of the URL. Knows nothing of
 * the library. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H
#include "peer.h"
#ifdef __cplusplus
extern "C" {
#endif

struct wire;                                                 /* one thread at a time */
struct wire *wire_open(const char *url, char why[PEER_WHY]); /* logged in; NULL, and why not */
void wire_close(struct wire *);                              /* NULL is ignored */
/* Adds a command to what is sent next. 0, or -1. */
int wire_append(struct wire *, int argc, const char *const *argv, const size_t *len);
/* Sends what was added; returns the next reply, for freeReplyObject. NULL: the connection broke. */
redisReply *wire_reply(struct wire *);
redisReply *wire_command(struct wire *, int argc, const char *const *argv, const size_t *len);
const char *wire_error(const struct wire *); /* after NULL */
int wire_fd(const struct wire *);

#ifdef __cplusplus
}
#endif
#endif
