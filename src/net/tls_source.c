/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_source.c - the TLS settings of now. Whoever dials takes a reference, so that a reload may
 * replace them at any time. */
#include "net/tls_context.h"
#include <openssl/crypto.h>

/* Else OpenSSL takes itself apart in exit(), while threads that nobody has joined still use it. It
 * asks whoever initialises it first; if that was the program, its answer stands. */
void tls_begin(void)
{
  fork_hold();
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
  fork_let();
}

/* Else OpenSSL does the same by itself, but when a fork may be going on. */
void tls_end_thread(void)
{
  fork_hold();
  OPENSSL_thread_stop();
  fork_let();
}

void tls_source_init(struct tls_source *s, struct tls_context *first)
{
  lock_init(&s->lock);
  s->current = first;
}

void tls_source_destroy(struct tls_source *s)
{
  tls_context_unref(s->current);
  lock_destroy(&s->lock);
}

struct tls_context *tls_source_get(struct tls_source *s)
{
  struct tls_context *context;

  lock_acquire(&s->lock);
  context = tls_context_ref(s->current);
  lock_release(&s->lock);
  return context;
}

int tls_source_is(struct tls_source *s, const struct tls_context *context)
{
  int result;

  lock_acquire(&s->lock);
  result = s->current == context;
  lock_release(&s->lock);
  return result;
}

void tls_source_set(struct tls_source *s, struct tls_context *next)
{
  struct tls_context *before;

  lock_acquire(&s->lock);
  before = s->current;
  s->current = next;
  lock_release(&s->lock);
  tls_context_unref(before);
}
