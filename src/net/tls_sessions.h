/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_sessions.h - the sessions of one generation of TLS settings that may be resumed. Since each
 * generation has its own, a session is never used under another name, certificate or authority than
 * it was verified with. */
#ifndef PMX_NET_TLS_SESSIONS_H
#define PMX_NET_TLS_SESSIONS_H
#include <openssl/ssl.h>
#include <stdint.h>
#include "base/sync.h"

enum { TLS_SESSIONS_MAX = 16 };
#define TLS_SESSIONS_EVER INT64_MAX /* until: nothing was verified that could end */
#define TLS_SESSIONS_SAME 0         /* until: of a handshake that resumed one of those here */

struct tls_sessions {
  struct lock lock;                    /* a leaf; OpenSSL is called outside of it */
  SSL_SESSION *kept[TLS_SESSIONS_MAX]; /* the newest last */
  size_t count;
  int64_t until; /* the earliest end of what was verified for any of them; 0 = there were none */
};

void tls_sessions_init(struct tls_sessions *);
void tls_sessions_destroy(struct tls_sessions *);
/* Takes it over; the oldest goes. until: in seconds as time() counts them, when something in the
 * chain that was verified ends; then no session is offered, for who resumes looks at no chain. */
void tls_sessions_put(struct tls_sessions *, SSL_SESSION *, int64_t until);
/* The newest that is still good, the caller's from now on; NULL: none. One of TLS 1.3 is taken out,
 * since a ticket that is shown twice links two connections; of one of TLS 1.2 it is a copy. */
SSL_SESSION *tls_sessions_take(struct tls_sessions *);
void tls_sessions_clear(struct tls_sessions *);

#endif
