/* SPDX-License-Identifier: BSD-3-Clause */
/* dial.c - from an endpoint to a logged-in connection, on the reactor's thread, under one deadline:
 * name lookup → each address in turn, with a fair share of the time left → credentials → handshake.
 * A failed address goes on to the next, a failed login does not. */
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/notice.h"
#include "base/text.h"
#include "call/reply.h"
#include "link/dial_tell.h"

enum { USER_SIZE = 1024 + 1, PASSWORD_SIZE = 65536 + 1 };

static void fail(struct link *l, pmx_cause cause, const char *text)
{
  struct request *req = l->dial.request;

  if (!req)
    return;
  reactor_unwatch(l->env->reactor, &l->source);
  channel_close(&l->channel);
  conn_poison(&l->conn, cause, text);
  l->dial.request = NULL;
  request_end(req, reply_failure_text(PMX_NOT_RUN, cause, text));
}

void dial_give_up(struct link *l, pmx_cause cause, const char *text)
{
  if (l->dial.resolving)
    lookup_cancel(l->env->resolver, &l->dial.lookup);
  l->dial.resolving = 0;
  fail(l, cause, text);
}

void dial_end(struct link *l)
{
  struct request *req = l->dial.request;
  struct conn *c = &l->conn;
  pmx_cause cause = c->cause;
  char buf[896];
  struct text text;

  if (!c->poisoned) {
    dial_describe(l);
    l->dial.request = NULL;
    request_end(req, NULL);
    return;
  }
  l->dial.silent = cause == PMX_CAUSE_TIMEOUT;
  /* Until the login is through, a lost or silent connection is one that could not be made. */
  if (cause == PMX_CAUSE_LOST || cause == PMX_CAUSE_TIMEOUT)
    cause = l->refused ? PMX_CAUSE_TLS : PMX_CAUSE_CONNECT;
  text_init(&text, buf, sizeof buf);
  text_add(&text, "cannot log in to %s: %s%s", l->env->name, c->text, dial_guess(l));
  fail(l, cause, buf);
}

struct credentials {
  char user[USER_SIZE];
  char password[PASSWORD_SIZE];
};

static int no_memory(struct link *l)
{
  l->dial.local_error = 1;
  fail(l, PMX_CAUSE_NOMEM, "out of memory while connecting");
  return -1;
}

static int start_handshake(struct link *l, const char *user, const char *password, int reset)
{
  return conn_start(&l->conn, user, password, reset) == 0 ? 0 : no_memory(l);
}

/* The function is the user's: it runs here, on the client's own thread, with no lock held. */
static int start_with_callback(struct link *l, int reset)
{
  const struct config *config = l->env->config;
  struct credentials *c = mem_zalloc(sizeof *c);
  int result = -1;

  if (!c)
    return no_memory(l);
  if (config->credentials(config->credentials_ud, c->user, sizeof c->user, c->password,
                          sizeof c->password) != 0) {
    fail(l, PMX_CAUSE_AUTH, "the credentials function failed");
  } else if (l->dial.request) { /* the function may have closed the client */
    c->user[sizeof c->user - 1] = c->password[sizeof c->password - 1] = '\0';
    result = start_handshake(l, c->user, c->password, reset);
  }
  mem_wipe(c, sizeof *c);
  mem_free(c);
  return result;
}

static void login(struct link *l, int reset)
{
  const struct config *config = l->env->config;
  int result;

  /* Not watched meanwhile: a function that makes a call steps the reactor. */
  reactor_unwatch(l->env->reactor, &l->source);
  result = config->credentials ? start_with_callback(l, reset)
                               : start_handshake(l, config->user, config->password, reset);
  if (result != 0)
    return;
  l->source.deadline = l->dial.deadline;
  reactor_watch(l->env->reactor, &l->source, NET_IN | NET_OUT, l->dial.deadline);
}

/* It may have been the session that was offered: the next handshake is a full one. */
static void forget_sessions(struct link *l)
{
  struct tls_context *context = tls_source_get(l->env->tls);

  tls_context_forget(context);
  tls_context_unref(context);
}

static int64_t share_of_time(const struct dial *d, int64_t now)
{
  int64_t left = d->deadline - now;
  int64_t addresses = (int64_t)(d->lookup.count - d->next);

  return now + (addresses > 1 ? left / addresses : left);
}

/* Tries addresses until one is on its way. */
static void try_next(struct link *l)
{
  struct dial *d = &l->dial;
  struct net_options options = {.keepalive_ns = l->env->config->tcp_keepalive,
                                .user_timeout_ns = l->env->config->tcp_user_timeout,
                                .receive_buffer = l->env->config->tcp_receive_buffer};
  int64_t now = clock_ns();

  reactor_unwatch(l->env->reactor, &l->source);
  while (d->next < d->lookup.count && now < d->deadline) {
    const struct address *address = &d->lookup.addresses[d->next];
    int64_t until = share_of_time(d, now);
    int err;

    d->next++;
    d->securing = 0;
    channel_close(&l->channel);
    err = transport_connect(&l->transport, address, &options);
    if (err == 0) {
      dial_tell_connecting(l);
      l->source.deadline = until;
      reactor_watch(l->env->reactor, &l->source, NET_OUT, until);
      return;
    }
    dial_note_error(l, address, err);
  }
  d->silent |= !d->error[0];
  fail(l, PMX_CAUSE_CONNECT, d->error[0] ? d->error : "no time left to connect");
}

/* The wire broke: the next address may be better. Whoever does not accept the other will not the
 * next time, and nothing that is a secret has been sent. */
static void not_secured(struct link *l)
{
  struct dial *d = &l->dial;
  char where[160], reason[80], buf[896];
  struct text text;

  text_init(&text, buf, sizeof buf);
  dial_log_certificate(l, address_text(&d->lookup.addresses[d->next - 1], where, sizeof where));
  text_add(&text, "cannot connect to %s: TLS handshake: %s", where,
           channel_why(&l->channel, 0, reason, sizeof reason));
  if (channel_refused(&l->channel)) {
    fail(l, PMX_CAUSE_TLS, buf);
    return;
  }
  forget_sessions(l);
  dial_note_text(l, buf);
  try_next(l);
}

static void shake_hands(struct link *l)
{
  unsigned want = 0;

  switch (channel_handshake(&l->channel, &want)) {
  case 0:
    l->dial.securing = 0;
    dial_tell_connected(l, "TLS is done, logs in");
    login(l, 0);
    break;
  case NET_AGAIN:
    reactor_watch(l->env->reactor, &l->source, want, l->source.deadline);
    break;
  default:
    not_secured(l);
  }
}

/* 0, or -1: it failed. */
static int secure(struct link *l)
{
  struct tls_context *context = tls_source_get(l->env->tls);
  int result = channel_secure(&l->channel, context);

  tls_context_unref(context);
  if (result != 0)
    return no_memory(l);
  l->dial.securing = 1;
  return 0;
}

static void connected(struct link *l)
{
  l->id = 1 + atomic_fetch_add(&l->env->connections, 1);
  l->dial.local_error = l->dial.silent = 0; /* of other addresses */
  dial_tell_connected(l, l->env->tls ? "TLS shakes hands" : "logs in");
  if (!l->env->tls)
    login(l, 0);
  else if (secure(l) == 0)
    shake_hands(l);
}

static void lookup_expired(struct link *l)
{
  const char *host = l->env->endpoint.host;
  char buf[448];
  struct text text;

  text_init(&text, buf, sizeof buf);
  text_add(&text, "host \"");
  text_add_quoted(&text, host, strlen(host), 80);
  text_add(&text, "\": the name lookup gave no answer in time (connect_timeout)");
  dial_give_up(l, PMX_CAUSE_DNS, buf);
}

void dial_io(struct source *source, unsigned events)
{
  struct link *l = container_of(source, struct link, source);
  struct dial *d = &l->dial;
  int err = source->broken ? ENOMEM : ETIMEDOUT;

  if (d->resolving) {
    lookup_expired(l);
    return;
  }
  if (events && d->securing) {
    shake_hands(l);
    return;
  }
  if (events)
    err = transport_connected(&l->transport);
  if (err == EINPROGRESS)
    return;
  if (err == 0) {
    connected(l);
    return;
  }
  dial_note_error(l, &d->lookup.addresses[d->next - 1], err);
  if (d->securing)
    forget_sessions(l);
  try_next(l);
}

static void resolved(struct link *l)
{
  struct dial *d = &l->dial;

  if (!d->resolving)
    return;
  d->resolving = 0;
  reactor_unwatch(l->env->reactor, &l->source);
  if (d->lookup.count == 0) {
    fail(l, PMX_CAUSE_DNS, d->lookup.error);
    return;
  }
  try_next(l);
}

static void run_resolved(struct job *job)
{
  resolved(container_of(job, struct link, dial.resolved));
}

/* Thread: resolver, with its lock held: only wakes. */
static void lookup_ready(struct lookup *lookup)
{
  struct link *l = container_of(lookup, struct link, dial.lookup);
  struct reactor *reactor = l->env->reactor;

  reactor_post(reactor, &l->dial.resolved);
  /* Once it is posted the client may close and the link be gone; the reactor outlives the resolver.
   */
  reactor_wake(reactor);
}

void dial_init(struct link *l)
{
  l->dial.request = NULL;
  l->dial.resolving = l->dial.securing = 0;
  job_init(&l->dial.resolved, run_resolved);
}

void link_dial(struct link *l, struct request *req)
{
  struct dial *d = &l->dial;

  channel_close(&l->channel);
  atomic_store(&l->aborted, 0);
  l->conn.phase = CONN_NEW;
  l->conn.poisoned = 0;
  d->request = req;
  d->next = 0;
  d->deadline = req->deadline;
  d->started = clock_ns();
  d->error[0] = '\0';
  d->weight = d->local_error = d->silent = 0;
  d->lookup.count = 0;
  d->securing = l->refused = 0;
  d->resolving = 1;
  if (lookup_start(l->env->resolver, &d->lookup, &l->env->endpoint, lookup_ready)) {
    resolved(l);
    return;
  }
  reactor_watch(l->env->reactor, &l->source, 0, d->deadline);
}

enum dial_stage dial_stage_of(const struct link *l, pmx_cause cause)
{
  if (l->dial.local_error || cause == PMX_CAUSE_NOMEM)
    return DIAL_LOCAL;
  if (cause == PMX_CAUSE_DNS)
    return DIAL_DNS;
  if (cause == PMX_CAUSE_TLS)
    return DIAL_TLS;
  if (cause == PMX_CAUSE_AUTH)
    return DIAL_AUTH;
  if (cause == PMX_CAUSE_PROTOCOL)
    return DIAL_PROTOCOL;
  return l->dial.silent ? DIAL_TIMEOUT : DIAL_TCP;
}

void link_relogin(struct link *l, struct request *req)
{
  if (link_stale(l, req))
    return;
  l->dial.request = req;
  l->dial.deadline = req->deadline;
  l->dial.local_error = l->dial.silent = 0;
  login(l, 1);
}
