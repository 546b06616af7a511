/* SPDX-License-Identifier: BSD-3-Clause */
/* channel.c - see channel.h. Joins a TLS stream, which knows no socket, and a socket, which knows
 * no TLS. Nothing here waits. */
#include "net/channel.h"
#include "base/mem.h"

struct channel_room {
  char raw[TLS_RAW_MAX], plain[TLS_PLAIN_MAX];
};

enum {
  SEND_MAX = 256 * 1024,
  RECORDS_AT_ONCE = 64 /* reads that may bring no plaintext: tickets, key updates, pieces */
};

void channel_init(struct channel *c, struct transport *transport)
{
  c->transport = transport;
  c->tls = NULL;
  c->room = NULL;
  c->full = 0;
}

static void forget_tls(struct channel *c)
{
  tls_free(c->tls);
  mem_free(c->room);
  c->tls = NULL;
  c->room = NULL;
}

int channel_secure(struct channel *c, struct tls_context *context)
{
  c->room = mem_alloc(sizeof *c->room);
  c->tls = c->room ? tls_new(context) : NULL;
  if (c->tls)
    return 0;
  forget_tls(c);
  return -1;
}

/* Sends what is held: 0 = all of it is gone, NET_AGAIN, NET_ERROR. */
static int push(struct channel *c)
{
  const char *bytes;
  size_t len;

  while (tls_held(c->tls)) {
    ssize_t n;

    bytes = tls_output(c->tls, &len);
    n = transport_send(c->transport, bytes, len);
    if (n < 0)
      return (int)n;
    tls_sent(c->tls, (size_t)n);
    if ((size_t)n < len)
      return NET_AGAIN;
  }
  return 0;
}

/* ---- the handshake ---- */

int channel_handshake(struct channel *c, unsigned *ret_want)
{
  char *raw = c->room->raw;
  int done = tls_handshake(c->tls, "", 0), sent = push(c);

  while (done == NET_AGAIN) {
    ssize_t n = transport_recv(c->transport, raw, TLS_RAW_MAX);

    if (n == NET_AGAIN && sent != NET_ERROR) {
      *ret_want = NET_IN | (tls_held(c->tls) ? (unsigned)NET_OUT : 0);
      return NET_AGAIN;
    }
    if (n == NET_AGAIN) /* no alert says why it could not be sent */
      c->transport->err = c->transport->send_err;
    if (n == NET_AGAIN || n == NET_ERROR)
      return NET_ERROR;
    done = tls_handshake(c->tls, n == NET_EOF ? NULL : raw, n == NET_EOF ? 0 : (size_t)n);
    sent = push(c); /* also the alert that says why not */
  }
  *ret_want = NET_OUT;
  if (sent == NET_ERROR)
    c->transport->err = c->transport->send_err;
  return done == 0 ? sent : NET_ERROR;
}

/* ---- bytes ---- */

static ssize_t send_sealed(struct channel *c, const char *bytes, size_t size)
{
  size_t taken = 0;

  for (;;) {
    ssize_t n = push(c);

    if (n == 0 && (taken == size || taken >= SEND_MAX)) /* as much as a socket may take at once */
      return (ssize_t)taken;
    if (n == 0)
      n = tls_seal(c->tls, bytes + taken, size - taken);
    if (n < 0)
      return taken > 0 ? (ssize_t)taken : n;
    taken += (size_t)n;
  }
}

ssize_t channel_send(struct channel *c, const void *bytes, size_t size)
{
  if (c->tls)
    return send_sealed(c, bytes, size);
  return transport_send(c->transport, bytes, size);
}

/* One read of the socket, unless it has ended for TLS. *ret_again: it was the socket that had
 * nothing, not the record that is not whole yet. */
static ssize_t recv_once(struct channel *c, int *ret_again)
{
  struct channel_room *room = c->room;
  ssize_t n = NET_EOF;
  const char *raw;

  c->full = 0;
  if (!tls_over(c->tls)) {
    n = transport_recv(c->transport, room->raw, sizeof room->raw);
    *ret_again = n == NET_AGAIN;
    if (n == NET_AGAIN || n == NET_ERROR)
      return n;
    c->full = n == sizeof room->raw;
  }
  raw = n == NET_EOF ? NULL : room->raw;
  return tls_open(c->tls, raw, raw ? (size_t)n : 0, room->plain, sizeof room->plain);
}

static ssize_t recv_sealed(struct channel *c)
{
  ssize_t n = NET_AGAIN;
  int again = 0;

  for (int i = 0; i < RECORDS_AT_ONCE && n == NET_AGAIN && !again; i++)
    n = recv_once(c, &again);
  if (n > 0 && tls_over(c->tls))
    transport_hang_up(c->transport); /* who waits is told, and asks for the rest of the story */
  return n;
}

ssize_t channel_recv(struct channel *c, char buf[CHANNEL_BUFFER], const char **ret_bytes)
{
  *ret_bytes = c->tls ? c->room->plain : buf;
  return c->tls ? recv_sealed(c) : transport_recv(c->transport, buf, CHANNEL_BUFFER);
}

/* ---- the end ---- */

void channel_close(struct channel *c)
{
  if (c->tls && c->transport->fd >= 0) {
    tls_seal_end(c->tls);
    (void)push(c);
  }
  transport_close(c->transport);
  forget_tls(c);
}

int channel_refused(const struct channel *c)
{
  return c->tls && tls_refused(c->tls);
}

void channel_describe(const struct channel *c, struct text *text)
{
  if (c->tls)
    tls_describe(c->tls, text);
}

const char *channel_why(const struct channel *c, int sending, char *buf, size_t size)
{
  int err = sending ? c->transport->send_err : c->transport->err;

  if (c->tls && *tls_why(c->tls, sending))
    return tls_why(c->tls, sending);
  return transport_error_text(err, buf, size);
}
