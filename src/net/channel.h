/* SPDX-License-Identifier: BSD-3-Clause */
/* channel.h - the bytes of one connection, plain or through TLS. Belongs to a transport, which does
 * everything that is not about bytes: connecting, waiting, kicking.
 *
 * With TLS, bytes that were accepted may still be here when the kernel takes no more: they are
 * *held*, and whoever owns the channel sees to it that room is waited for and channel_send called
 * again, with nothing more if there is nothing. One thread may receive while another one sends. */
#ifndef PMX_NET_CHANNEL_H
#define PMX_NET_CHANNEL_H
#include "net/tls.h"
#include "net/transport.h"

enum {
  CHANNEL_BUFFER = 16 * 1024,      /* what a reader brings: callers' stacks may be small */
  CHANNEL_RECV_MAX = TLS_PLAIN_MAX /* the most that comes at once */
};

struct channel_room; /* of TLS: a reader's */

struct channel {
  struct transport *transport;
  struct tls *tls; /* NULL: plain, or not secured yet */
  struct channel_room *room;
  int full; /* TLS: the kernel filled all the room it was given */
};

void channel_init(struct channel *, struct transport *);
/* Connected, and not yet open: starts TLS. 0, or -1: no memory. */
int channel_secure(struct channel *, struct tls_context *);
/* 0 = open. NET_AGAIN: *ret_want is what to wait for. NET_EOF, NET_ERROR: channel_why. */
int channel_handshake(struct channel *, unsigned *ret_want);
/* Bytes that were accepted, 0 if none were offered; NET_AGAIN, NET_ERROR. */
ssize_t channel_send(struct channel *, const void *, size_t);
/* As transport_recv; the bytes are in the buffer, or with TLS in the channel until the next call.
 * What the kernel has given is never left here, so poll knows what is to come; NET_EOF is an end in
 * order, when there is TLS. */
ssize_t channel_recv(struct channel *, char buf[CHANNEL_BUFFER], const char **ret_bytes);
void channel_close(
    struct channel *); /* the transport, too; says so if that is possible; idempotent */

/* 1: the kernel filled the room: there may be more without waiting. */
static inline int channel_more(const struct channel *c, ssize_t received)
{
  return c->tls ? c->full : received == CHANNEL_BUFFER;
}

static inline int channel_held(const struct channel *c)
{
  return c->tls && tls_held(c->tls);
}

/* 1: what was received last ends in the middle of a record. The reader's. */
static inline int channel_amid(const struct channel *c)
{
  return c->tls && tls_amid(c->tls);
}

/* 1: TLS, not the network, is why it failed: the peer, or what it showed, is not accepted. */
int channel_refused(const struct channel *);
/* Of TLS, what tls_describe says; of a plain one nothing. The reader's. */
void channel_describe(const struct channel *, struct text *);
/* What the last NET_ERROR of receiving, or of sending, was. */
const char *channel_why(const struct channel *, int sending, char *buf, size_t size);

#endif
