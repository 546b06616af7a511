/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_sessions.c - a small stack of sessions: put by whoever finished a handshake or got a ticket,
 * taken by whoever connects. Under the lock pointers are moved and references counted, nothing
 * else: what is old is looked at, copied and freed outside.
 *
 * SSL_free() makes the session of a connection that was not shut down unusable; so what is kept
 * here is never the object that a connection works with. */
#include "net/tls_sessions.h"
#include <string.h>
#include <time.h>
#include <openssl/x509.h>

void tls_sessions_init(struct tls_sessions *s)
{
  memset(s, 0, sizeof *s);
  lock_init(&s->lock);
}

void tls_sessions_destroy(struct tls_sessions *s)
{
  tls_sessions_clear(s);
  lock_destroy(&s->lock);
}

/* What ends at `now` or before. */
static void clear_ended(struct tls_sessions *s, int64_t now)
{
  SSL_SESSION *old[TLS_SESSIONS_MAX];
  size_t n = 0;

  lock_acquire(&s->lock);
  if (s->until <= now) {
    n = s->count;
    memcpy(old, s->kept, n * sizeof *old);
    s->count = 0;
    s->until = 0;
  }
  lock_release(&s->lock);
  while (n > 0)
    SSL_SESSION_free(old[--n]);
}

void tls_sessions_clear(struct tls_sessions *s)
{
  clear_ended(s, TLS_SESSIONS_EVER);
}

static void remove_at(struct tls_sessions *s, size_t i)
{
  memmove(s->kept + i, s->kept + i + 1, (s->count - i - 1) * sizeof *s->kept);
  s->count--;
}

void tls_sessions_put(struct tls_sessions *s, SSL_SESSION *session, int64_t until)
{
  SSL_SESSION *oldest = NULL;

  lock_acquire(&s->lock);
  if (until != TLS_SESSIONS_SAME && (s->until == 0 || until < s->until))
    s->until = until;
  if (s->until == 0) { /* that which it resumed was over meanwhile */
    oldest = session;
  } else {
    if (s->count == TLS_SESSIONS_MAX) {
      oldest = s->kept[0];
      remove_at(s, 0);
    }
    s->kept[s->count++] = session;
  }
  lock_release(&s->lock);
  SSL_SESSION_free(oldest);
}

static int is_single_use(const SSL_SESSION *session)
{
  return SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
}

/* A reference to it is the caller's. */
static SSL_SESSION *newest(struct tls_sessions *s)
{
  SSL_SESSION *session = NULL;

  lock_acquire(&s->lock);
  if (s->count > 0) {
    session = s->kept[s->count - 1];
    if (is_single_use(session))
      s->count--;
    else
      SSL_SESSION_up_ref(session);
  }
  lock_release(&s->lock);
  return session;
}

/* It may have been taken out meanwhile. */
static void forget(struct tls_sessions *s, const SSL_SESSION *session)
{
  SSL_SESSION *found = NULL;

  lock_acquire(&s->lock);
  for (size_t i = 0; i < s->count && !found; i++) {
    if (s->kept[i] != session)
      continue;
    found = s->kept[i];
    remove_at(s, i);
  }
  lock_release(&s->lock);
  SSL_SESSION_free(found);
}

/* A resumed handshake looks at no certificate: the one that was looked at must still be valid. */
static int is_good(SSL_SESSION *session)
{
  const X509 *peer = SSL_SESSION_get0_peer(session);
  time_t now = time(NULL);

  if (!SSL_SESSION_is_resumable(session) || now < SSL_SESSION_get_time(session) ||
      now >= SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session))
    return 0;
  return !peer || X509_cmp_time(X509_get0_notAfter(peer), &now) > 0;
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *s)
{
  SSL_SESSION *session, *copy;

  clear_ended(s, time(NULL));
  while ((session = newest(s)) && !is_good(session)) {
    forget(s, session);
    SSL_SESSION_free(session);
  }
  if (!session || is_single_use(session))
    return session;
  copy = SSL_SESSION_dup(session);
  SSL_SESSION_free(session);
  return copy;
}
