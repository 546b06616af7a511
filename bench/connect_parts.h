/* SPDX-License-Identifier: BSD-3-Clause */
/* connect_parts.h - calls that have a connection each. Beside worker.h there is no room for the
 * inside of the library, so it is behind this. */
#ifndef BENCH_CONNECT_PARTS_H
#define BENCH_CONNECT_PARTS_H
#include <hiredis/hiredis.h>
#include <stddef.h>

enum session { SESSION_FORGOTTEN, SESSION_RESUMED };

/* What of a good URL is not done here; NULL: all is, or it is wrong, which dialer_new says. */
const char *dialer_cannot(const char *url);

struct dialer; /* one thread at a time */

/* NULL, and why not. SESSION_RESUMED: there is a session to resume. */
struct dialer *dialer_new(const char *url, enum session, char *why, size_t size);
void dialer_free(struct dialer *); /* NULL is ignored */
/* Connects, shakes hands, logs in, sends, receives one reply, closes. NULL, and why not: among
 * other things, a session that was not resumed, or one that was and should not have been. */
redisReply *dialer_call(struct dialer *, int argc, const char *const *argv, const size_t *len,
                        char *why, size_t size);

#endif
