/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_tls.c - what stands between a connection of the fake server and its socket when that speaks
 * TLS. To the rest it looks like a socket: fake_tls_recv and fake_tls_send keep errno as recv() and
 * send() do. Knows nothing of RESP and scripts. */
#include "certs.h"
#include "fake_impl.h"
#include "fake_tls.h"
#include "tls_end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16384, DRAIN_BLOCKS = 16 };

struct fake_tls_conn {
  struct tls_end end;
  struct wire_buf raw; /* to leave */
  size_t segment, next_pause;
  int64_t pause_us, due_us; /* no byte leaves before; INT64_MAX: never again */
  bool blocked;             /* the socket is full */
  bool truncate;
  bool held; /* nothing is read from the socket */
  struct fake_tls_seen seen;
};

/* ---- settings ---- */

static void set_versions(SSL_CTX *x, const struct fake_tls *o)
{
  bool weak = o->max_version && o->max_version < TLS1_2_VERSION;

  if (weak) {
    SSL_CTX_set_security_level(x, 0);
    tls_must(SSL_CTX_set_cipher_list(x, "ALL:@SECLEVEL=0") == 1, "ciphers");
  }
  SSL_CTX_set_min_proto_version(x, weak && !o->min_version ? TLS1_VERSION : o->min_version);
  SSL_CTX_set_max_proto_version(x, o->max_version);
}

struct ssl_ctx_st *fake_tls_context(const struct fake_tls *o)
{
  static const unsigned char name[] = "fake";
  SSL_CTX *x = SSL_CTX_new(TLS_server_method());
  bool usual = !o->cert;

  tls_must(x != NULL, "SSL_CTX_new");
  set_versions(x, o);
  tls_use(x, usual ? cert_chain_file(certs_default()->server) : o->cert,
          usual ? cert_key_file(certs_default()->server) : o->key);
  tls_must(SSL_CTX_set_session_id_context(x, name, sizeof(name) - 1) == 1, "session context");
  if (o->ca) {
    tls_must(SSL_CTX_load_verify_locations(x, o->ca, NULL) == 1, o->ca);
    SSL_CTX_set_client_CA_list(x, SSL_load_client_CA_file(o->ca));
    SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  }
  if (o->no_tickets) {
    SSL_CTX_set_options(x, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(x, 0);
    SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
  }
  return x;
}

/* ---- out ---- */

static void set_pauses(struct fake_tls_conn *t, size_t first, size_t segment, int64_t pause_us)
{
  size_t next = first ? first : segment;

  t->segment = segment;
  t->pause_us = pause_us;
  t->next_pause = next ? t->seen.raw_sent + next : SIZE_MAX;
}

static void count_sent(struct fake_tls_conn *t, size_t n)
{
  t->seen.raw_sent += n;
  wire_buf_take(&t->raw, n);
  if (t->seen.raw_sent < t->next_pause)
    return;
  t->next_pause = t->segment ? t->next_pause + t->segment : SIZE_MAX;
  t->due_us = t->pause_us < 0 ? INT64_MAX : now_us() + t->pause_us;
}

int fake_tls_flush(struct fake_conn *c)
{
  struct fake_tls_conn *t = c->tls;

  t->blocked = false;
  tls_end_drain(&t->end, &t->raw);
  if (c->fake->tls.silent)
    wire_buf_take(&t->raw, t->raw.len);
  while (t->raw.len > 0 && t->due_us <= now_us()) {
    size_t left = t->next_pause - t->seen.raw_sent;
    ssize_t n = send(c->fd, t->raw.data, left < t->raw.len ? left : t->raw.len, MSG_NOSIGNAL);

    if (n < 0 && errno == EAGAIN) {
      t->blocked = true;
      return 0;
    }
    if (n < 0 && errno != EINTR)
      return -1;
    if (n > 0)
      count_sent(t, (size_t)n);
  }
  return t->raw.len == 0;
}

bool fake_tls_blocked(const struct fake_conn *c)
{
  return c->tls->blocked;
}

int64_t fake_tls_due_us(const struct fake_conn *c)
{
  return c->tls->raw.len > 0 && !c->tls->blocked ? c->tls->due_us : INT64_MAX;
}

static bool paused_for_good(const struct fake_tls_conn *t)
{
  return t->due_us == INT64_MAX;
}

bool fake_tls_pending(const struct fake_conn *c)
{
  return c->tls->raw.len > 0 && !paused_for_good(c->tls);
}

static void rekey(struct fake_conn *c)
{
  struct tls_end *e = &c->tls->end;

  if (e->ready && SSL_version(e->ssl) == TLS1_3_VERSION)
    tls_must(SSL_key_update(e->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(e->ssl) == 1,
             "SSL_key_update");
}

ssize_t fake_tls_send(struct fake_conn *c, const void *bytes, size_t len)
{
  struct fake_tls_conn *t = c->tls;
  unsigned every = c->fake->tls.key_update_every;
  int flushed = fake_tls_flush(c);
  ssize_t n;

  if (flushed <= 0) {
    errno = flushed < 0 ? EPIPE : EAGAIN;
    return -1;
  }
  n = tls_end_write(&t->end, bytes, len < BLOCK ? len : BLOCK);
  if (n > 0 && every && ++t->seen.records % every == 0)
    rekey(c);
  else if (n > 0 && !every)
    t->seen.records++;
  return fake_tls_flush(c) < 0 ? -1 : n;
}

/* ---- in ---- */

static void note_peer(struct fake_conn *c)
{
  struct fake_tls_seen *seen = &c->tls->seen;
  SSL *ssl = c->tls->end.ssl;
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  X509 *peer = SSL_get_peer_certificate(ssl);

  seen->handshaken = true;
  seen->resumed = SSL_session_reused(ssl);
  seen->version = SSL_version(ssl);
  if (name)
    strncpy(seen->server_name, name, sizeof(seen->server_name) - 1);
  if (peer)
    X509_NAME_oneline(X509_get_subject_name(peer), seen->subject, sizeof(seen->subject));
  X509_free(peer);
  c->fake->counts.handshakes++;
}

/* As read(): what can be had of what was fed. */
static ssize_t take(struct fake_conn *c, void *buf, size_t size)
{
  struct tls_end *e = &c->tls->end;

  if (!e->ready && tls_end_handshake(e) != 1)
    return -1;
  if (!c->tls->seen.handshaken)
    note_peer(c);
  return tls_end_read(e, buf, size);
}

ssize_t fake_tls_recv(struct fake_conn *c, void *buf, size_t size)
{
  struct fake_tls_conn *t = c->tls;
  char raw[BLOCK];
  ssize_t n;

  while ((n = take(c, buf, size)) < 0 && errno == EAGAIN && !t->held) {
    n = recv(c->fd, raw, sizeof(raw), 0);
    if (n <= 0)
      break;
    t->seen.raw_received += (size_t)n;
    tls_end_feed(&t->end, raw, (size_t)n);
  }
  return n;
}

bool fake_tls_hold(struct fake_conn *c, bool on)
{
  c->tls->held = on;
  return true;
}

/* ---- life ---- */

void fake_tls_opened(struct fake_conn *c)
{
  const struct fake_tls *o = &c->fake->tls;

  if (!c->fake->tls_context)
    return;
  c->tls = harness_alloc(sizeof(*c->tls));
  tls_end_open(&c->tls->end, c->fake->tls_context, true);
  set_pauses(c->tls, o->first, o->segment, o->pause_us);
}

void fake_tls_closing(struct fake_conn *c)
{
  struct fake_tls_conn *t = c->tls;
  char raw[BLOCK];
  ssize_t n = 1;

  if (!t->truncate && !t->end.failed)
    tls_end_notify(&t->end);
  fake_tls_flush(c);
  /* Unread input would turn the FIN into an RST, before the other side has read an alert. */
  for (int i = 0; i < DRAIN_BLOCKS && n > 0 && !c->silent && !c->stalled; i++) {
    n = recv(c->fd, raw, sizeof(raw), 0);
    t->seen.raw_received += n > 0 ? (size_t)n : 0;
  }
}

void fake_tls_closed(struct fake_conn *c)
{
  tls_end_free(&c->tls->end);
  wire_buf_free(&c->tls->raw);
}

void fake_tls_free(struct fake_conn *c)
{
  if (!c->tls)
    return;
  fake_tls_closed(c);
  free(c->tls);
}

/* ---- the queue ---- */

static void do_ticket(struct fake_tls_conn *t)
{
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
  if (SSL_version(t->end.ssl) == TLS1_3_VERSION)
    tls_must(SSL_new_session_ticket(t->end.ssl) == 1 && SSL_do_handshake(t->end.ssl) == 1,
             "SSL_new_session_ticket");
#else
  (void)t;
#endif
}

int fake_tls_may(struct fake_conn *c, enum fake_op op)
{
  struct fake_tls_conn *t = c->tls;
  bool ends = op == FAKE_OP_CLOSE || op == FAKE_OP_RESET || op == FAKE_OP_TRUNCATE;
  int flushed = fake_tls_flush(c);

  if (flushed < 0 || t->end.failed || (c->input_ended && !t->end.ready && !ends))
    return -1;
  if (ends)
    return flushed || paused_for_good(t);
  if (op == FAKE_OP_DELAY || op == FAKE_OP_STALL || op == FAKE_OP_RESUME || op == FAKE_OP_RAW)
    return 1;
  return flushed && t->end.ready;
}

int fake_tls_perform(struct fake_conn *c, const struct fake_action *a)
{
  struct fake_tls_conn *t = c->tls;

  if (a->op == FAKE_OP_RAW)
    wire_buf_add(&t->raw, a->bytes, a->len);
  else if (a->op == FAKE_OP_KEY_UPDATE)
    rekey(c);
  else if (a->op == FAKE_OP_TICKET)
    do_ticket(t);
  else if (a->op == FAKE_OP_NOTIFY || a->op == FAKE_OP_HALF_CLOSE)
    tls_end_notify(&t->end);
  else if (a->op == FAKE_OP_TRUNCATE)
    t->truncate = true;
  return a->op == FAKE_OP_TRUNCATE ? -1 : fake_tls_flush(c) < 0 ? -1 : 1;
}

static void queue(struct fake_conn *c, enum fake_op op)
{
  fake_queue_step(c, &(struct fake_step){.op = op});
}

void fake_tls_key_update(struct fake_conn *c)
{
  queue(c, FAKE_OP_KEY_UPDATE);
}

void fake_tls_ticket(struct fake_conn *c)
{
  queue(c, FAKE_OP_TICKET);
}

void fake_tls_raw(struct fake_conn *c, const void *bytes, size_t len)
{
  fake_queue_step(c, &(struct fake_step){.op = FAKE_OP_RAW, .bytes = bytes, .len = len});
}

void fake_tls_notify(struct fake_conn *c)
{
  queue(c, FAKE_OP_NOTIFY);
}

void fake_tls_truncate(struct fake_conn *c)
{
  queue(c, FAKE_OP_TRUNCATE);
}

void fake_tls_pauses(struct fake_conn *c, size_t first, size_t segment, int64_t pause_us)
{
  pthread_mutex_lock(&c->fake->mutex);
  if (c->tls) {
    set_pauses(c->tls, first, segment, pause_us);
    c->tls->due_us = 0;
  }
  pthread_mutex_unlock(&c->fake->mutex);
  fake_wake(c->fake);
}

struct fake_tls_seen fake_tls_seen(struct fake_conn *c)
{
  struct fake_tls_seen seen = {0};

  pthread_mutex_lock(&c->fake->mutex);
  if (c->tls) {
    seen = c->tls->seen;
    seen.ended = c->tls->end.ended;
    seen.failed = c->tls->end.failed;
    memcpy(seen.why, c->tls->end.why, sizeof(seen.why));
  }
  pthread_mutex_unlock(&c->fake->mutex);
  return seen;
}
