/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_context.h - one generation of TLS settings: what is trusted, who we are, which name is
 * checked, and the sessions that may be resumed. Immutable but for the sessions, which have a lock
 * of their own (a leaf); shared by all connections that were made with it, and gone with the last
 * one. A reload makes a new one. */
#ifndef PMX_NET_TLS_CONTEXT_H
#define PMX_NET_TLS_CONTEXT_H
#include <stddef.h>
#include "base/sync.h"
#include "call/config.h"

struct ssl_st; /* OpenSSL's SSL */
struct text;
struct tls_context;

enum { TLS_ERROR_SIZE = 512 }; /* room for everything that is said here */

/* Before anything of OpenSSL is used: what is in memory stays there until the process is gone. */
void tls_begin(void);
/* What OpenSSL keeps for this thread of ours, which ends. */
void tls_end_thread(void);
/* Reads and checks the files that tls.* name. NULL: `error` says which option, which file, what is
 * wrong and what is valid; or it is "": out of memory. Reads files, and may ask the user's
 * passphrase function: not for the reactor's thread, and with no lock held. Thread: any */
struct tls_context *tls_context_new(const struct config *, char *error, size_t size);
struct tls_context *tls_context_ref(struct tls_context *); /* NULL stays NULL */
void tls_context_unref(struct tls_context *);              /* NULL is ignored */

/* A client's SSL for one more connection: the name to check, SNI, a session to resume if there is
 * one. NULL: no memory. It keeps no reference: its owner does, until after SSL_free. Thread: any */
struct ssl_st *tls_context_connect(struct tls_context *);
/* Why the last SSL_* call on it failed, for a person: which check, for which name, against which
 * subject, what to set. Takes what is in the thread's OpenSSL error queue and leaves that empty.
 * After a failed handshake no old session is offered any more. */
void tls_context_explain(struct tls_context *, struct ssl_st *, char *buf, size_t size);

/* Adds what it is and whom it is with: " tls=TLSv1.3 cipher=... verified="name" from=... until=...
 * subject=... issuer=...". Of one that failed: its certificate, if one came. */
void tls_context_describe(const struct tls_context *, const struct ssl_st *, struct text *);

/* No old session is offered any more: for a handshake that ended in another way. Thread: any */
void tls_context_forget(struct tls_context *);

/* Which generation new connections are made with. Thread of both: any. */
struct tls_source {
  struct lock lock; /* a leaf */
  struct tls_context *current;
};

void tls_source_init(struct tls_source *, struct tls_context *); /* takes over the reference */
void tls_source_destroy(struct tls_source *);
struct tls_context *tls_source_get(struct tls_source *);            /* a reference of one's own */
int tls_source_is(struct tls_source *, const struct tls_context *); /* 1: it is the one of now */
void tls_source_set(struct tls_source *, struct tls_context *);     /* takes over the reference */

#endif
