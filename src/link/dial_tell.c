/* SPDX-License-Identifier: BSD-3-Clause */
/* dial_tell.c - what is told of connecting: to the log while it goes on, and in the texts of how it
 * ended. Changes nothing about it. */
#include "link/dial_tell.h"
#include <errno.h>
#include "base/clock.h"
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

/* ---- what is kept of several addresses ---- */

/* That an address leads nowhere from here says nothing when another one did: "localhost" is ::1 as
 * well, also where there is no IPv6. A shortage of ours tells more, and what a server did most. */
enum { NO_WAY = 1, SHORTAGE, ANSWER };

static int is_shortage(int err)
{
  return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS;
}

static int weight_of(int err)
{
  if (err == EADDRNOTAVAIL || err == ENETUNREACH || err == EAFNOSUPPORT)
    return NO_WAY;
  return is_shortage(err) ? SHORTAGE : ANSWER;
}

static void tell_next(const struct link *l, const char *error)
{
  const struct dial *d = &l->dial;

  if (d->next < d->lookup.count && clock_ns() < d->deadline)
    notice_log(l->env->notices, PMX_LOG_DEBUG, "connection",
               "%s: %s; the next of its addresses is tried", l->env->name, error);
}

/* It is our own when all that tells as much is. */
static void keep(struct dial *d, const char *error, int err)
{
  int weight = weight_of(err), first = weight > d->weight;
  int local = is_shortage(err) || err == EADDRNOTAVAIL;
  struct text text;

  if (weight < d->weight)
    return;
  d->weight = weight;
  d->local_error = local && (first || d->local_error);
  if (weight == NO_WAY && !first)
    return;
  d->silent = err == ETIMEDOUT;
  text_init(&text, d->error, sizeof d->error);
  text_add(&text, "%s", error);
}

void dial_note_error(struct link *l, const struct address *address, int err)
{
  char where[160], reason[80], buf[sizeof l->dial.error];
  struct text text;

  text_init(&text, buf, sizeof buf);
  text_add(&text, "cannot connect to %s: ", address_text(address, where, sizeof where));
  if (l->dial.securing && err == ETIMEDOUT) /* a plain server waits for the rest of the line */
    text_add(&text, "TLS handshake: no answer in time; is this the server's TLS port?");
  else
    text_add(&text, "%s", transport_error_text(err, reason, sizeof reason));
  keep(&l->dial, buf, err);
  tell_next(l, buf);
}

/* The server's doing, whatever was behind it. */
void dial_note_text(struct link *l, const char *error)
{
  keep(&l->dial, error, EPROTO);
  tell_next(l, error);
}

/* ---- the log ---- */

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
