/* SPDX-License-Identifier: BSD-3-Clause */
/* dial_tell.c - what is told of connecting: to the log while it goes on, and in the texts of how it
 * ended. Changes nothing about it. */
#include "link/dial_tell.h"
#include <errno.h>
#include "base/text.h"

/* For whoever tells that there is a connection: said now, while no lock is held. */
void dial_describe(struct link *l)
{
  const struct dial *d = &l->dial;
  char where[160];
  struct text text;

  text_init(&text, l->about, sizeof l->about);
  text_add(&text, "%s address=%s", l->conn.resp3 ? "RESP3" : "RESP2",
           address_text(&d->lookup.addresses[d->next - 1], where, sizeof where));
  channel_describe(&l->channel, &text);
}

/* What may be behind a server that lets itself be connected to and does not log us in. */
const char *dial_guess(const struct link *l)
{
  const struct conn *c = &l->conn;

  if (c->cause == PMX_CAUSE_TIMEOUT)
    return " (connect_timeout): it accepts connections, so is it stopped, or busy with one "
           "command?";
  if (c->cause == PMX_CAUSE_LOST && !l->env->tls && !decoder_heard(c->decoder))
    return ", without a word: is this a port for TLS (rediss://), or a proxy that has no server?";
  return "";
}

static int is_local(int err)
{
  return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS || err == EADDRNOTAVAIL;
}

void dial_note_error(struct link *l, const struct address *address, int err)
{
  char where[160], reason[80];
  struct text text;

  l->dial.local_error = is_local(err);
  l->dial.silent = err == ETIMEDOUT;
  text_init(&text, l->dial.error, sizeof l->dial.error);
  text_add(&text, "cannot connect to %s: ", address_text(address, where, sizeof where));
  if (l->dial.securing && err == ETIMEDOUT) /* a plain server waits for the rest of the line */
    text_add(&text, "TLS handshake: no answer in time; is this the server's TLS port?");
  else
    text_add(&text, "%s", transport_error_text(err, reason, sizeof reason));
}

/* For people who look closely; what becomes of it is told by the strategy. */
void dial_tell_connecting(struct link *l)
{
  char where[160];

  notice_log(l->env->notices, PMX_LOG_DEBUG, "connection", "%s: connecting to %s", l->env->name,
             address_text(&l->dial.lookup.addresses[l->dial.next - 1], where, sizeof where));
}

void dial_tell_connected(struct link *l, const char *next)
{
  notice_log(l->env->notices, PMX_LOG_DEBUG, "connection", "%s: connection %llu is connected, %s",
             l->env->name, (unsigned long long)l->id, next);
}

void dial_tell_next(const struct link *l)
{
  const struct dial *d = &l->dial;

  if (d->next < d->lookup.count && d->error[0])
    notice_log(l->env->notices, PMX_LOG_DEBUG, "connection",
               "%s: %s; the next of its addresses is tried", l->env->name, d->error);
}

/* The failure says which check it was and names what is wrong; this is the whole certificate. */
void dial_log_certificate(struct link *l, const char *where)
{
  char buf[768];
  struct text text;

  text_init(&text, buf, sizeof buf);
  channel_describe(&l->channel, &text);
  if (text.len > 0)
    notice_log(l->env->notices, PMX_LOG_INFO, "tls", "the certificate of %s:%s", where, buf);
}
