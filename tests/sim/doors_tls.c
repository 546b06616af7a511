/* SPDX-License-Identifier: BSD-3-Clause */
/* doors_tls.c - stands before the library's channel and its TLS, by the linker's --wrap: tells the
 * oracle what was sealed, which for the library is sent; and mutants. */
#include "net/channel.h"
#include "sim/doors.h"
#include "sim/sim.h"
#include "sim/stream.h"
#include <openssl/ssl.h>

enum { SENDERS_MAX = 128 };

struct inside {
  int in;                 /* a channel's function runs */
  struct stream *sealing; /* what it sends on */
};

static struct inside of_task[SENDERS_MAX];

static struct inside *mine(void)
{
  return &of_task[task_number(task_self()) % SENDERS_MAX];
}

ssize_t __real_channel_send(struct channel *, const void *, size_t);
ssize_t __wrap_channel_send(struct channel *, const void *, size_t);
int __real_channel_handshake(struct channel *, unsigned *);
int __wrap_channel_handshake(struct channel *, unsigned *);
void __real_channel_close(struct channel *);
void __wrap_channel_close(struct channel *);
ssize_t __real_tls_seal(struct tls *, const char *, size_t);
ssize_t __wrap_tls_seal(struct tls *, const char *, size_t);
int __real_tls_held(const struct tls *);
int __wrap_tls_held(const struct tls *);
int __real_SSL_write_ex(SSL *, const void *, size_t, size_t *);
int __wrap_SSL_write_ex(SSL *, const void *, size_t, size_t *);

ssize_t __wrap_channel_send(struct channel *c, const void *bytes, size_t size)
{
  struct inside *me = mine();
  ssize_t n;

  if (!c->tls)
    return __real_channel_send(c, bytes, size);
  *me = (struct inside){1, doors_stream(c->transport)};
  stream_offered(me->sealing);
  n = __real_channel_send(c, bytes, size);
  *me = (struct inside){0, NULL};
  return n;
}

int __wrap_channel_handshake(struct channel *c, unsigned *ret_want)
{
  int result;

  mine()->in = 1;
  result = __real_channel_handshake(c, ret_want);
  mine()->in = 0;
  return result;
}

int __wrap_SSL_write_ex(SSL *ssl, const void *bytes, size_t len, size_t *ret_n)
{
  int done = __real_SSL_write_ex(ssl, bytes, len, ret_n);

  if (done == 1)
    stream_sealed(mine()->sealing, bytes, *ret_n);
  return done;
}

/* What it says now is no call's. */
void __wrap_channel_close(struct channel *c)
{
  if (c->tls && c->transport->fd >= 0)
    stream_leaves(doors_stream(c->transport));
  mine()->in = 1;
  __real_channel_close(c);
  mine()->in = 0;
}

/* ---- mutants ---- */

ssize_t __wrap_tls_seal(struct tls *t, const char *bytes, size_t len)
{
  ssize_t n = __real_tls_seal(t, bytes, len);

  return n > 0 && mutates(MUTANT_NOT_SEALED) ? NET_AGAIN : n;
}

int __wrap_tls_held(const struct tls *t)
{
  return __real_tls_held(t) && (mine()->in || mutant != MUTANT_LET_GO);
}
