/* SPDX-License-Identifier: BSD-3-Clause */
/* conn.c - the order of requests, what was sent of them, and how all of it ends; replies are
 * matched in match.c. Knows neither how bytes travel nor who waits for them. */
#include "conn/conn.h"
#include <string.h>
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"

static struct decode_limits limits_of(const struct config *config)
{
  return (struct decode_limits){.max_bytes = (size_t)config->reply_max_size,
                                .max_elements = (size_t)config->reply_max_elements,
                                .max_depth = (unsigned)config->reply_max_depth};
}

int conn_init(struct conn *c, const struct config *config, uint32_t places)
{
  struct decode_limits limits = limits_of(config);

  memset(c, 0, sizeof *c);
  c->config = config;
  list_init(&c->ended);
  session_init(&c->session, config->db);
  if (ring_init(&c->ring, places) != 0)
    return -1;
  if (decoder_open(&c->decoder, &limits) == 0)
    return 0;
  ring_destroy(&c->ring);
  return -1;
}

static void drop_rest(struct conn *c)
{
  mem_free(c->rest);
  c->rest = NULL;
}

void conn_destroy(struct conn *c)
{
  handshake_clear(&c->handshake);
  drop_rest(c);
  decoder_close(c->decoder);
  ring_destroy(&c->ring);
  c->decoder = NULL;
}

static char *copy_or_null(const char *text)
{
  return text && text[0] ? mem_strdup(text) : NULL;
}

int conn_start(struct conn *c, const char *user, const char *password, int reset)
{
  struct decode_limits limits = limits_of(c->config);
  struct handshake *h = &c->handshake;

  handshake_clear(h);
  c->poisoned = c->retire = c->unsolicited = 0;
  c->resp3 = reset ? c->resp3 : 0;
  c->client_id = reset ? c->client_id : 0;
  c->cause = PMX_CAUSE_NONE;
  c->text[0] = '\0';
  c->taken = c->sent = 0;
  decoder_reset(c->decoder, &limits);
  session_init(&c->session, c->config->db);
  h->user = copy_or_null(user);
  h->password = copy_or_null(password);
  c->phase = CONN_HANDSHAKE;
  if ((user && user[0] && !h->user) || (password && password[0] && !h->password))
    return -1;
  return handshake_begin(c, reset);
}

/* ---- out ---- */

const char *conn_output(const struct conn *c, size_t *ret_len)
{
  const struct handshake *h = &c->handshake;
  const struct place *p;

  *ret_len = 0;
  if (c->poisoned)
    return NULL;
  if (c->phase == CONN_HANDSHAKE) {
    *ret_len = h->len - h->sent;
    return h->out + h->sent;
  }
  if (c->unwritten == c->ring.count)
    return NULL;
  p = ring_at(&c->ring, c->unwritten);
  *ret_len = (size_t)(p->end - c->taken);
  return p->request ? p->request->bytes + p->request->sent : c->rest_at;
}

/* n bytes of what conn_output() gave are on their way. */
static void take(struct conn *c, size_t n)
{
  struct place *p = ring_at(&c->ring, c->unwritten);

  c->taken += n;
  if (p->request)
    p->request->sent += n;
  else
    c->rest_at += n;
  if (c->taken < p->end)
    return;
  if (p->request)
    request_set_state(p->request, REQUEST_SENT);
  else
    drop_rest(c);
  c->unwritten++;
}

void conn_sent(struct conn *c, size_t n)
{
  struct handshake *h = &c->handshake;

  if (c->phase == CONN_HANDSHAKE) {
    mem_wipe(h->out + h->sent, n);
    h->sent += n;
    return;
  }
  if (c->unwritten < c->ring.count)
    take(c, n);
  c->sent = c->taken;
}

size_t conn_copy(struct conn *c, char *buf, size_t size)
{
  size_t used = 0, len;
  const char *bytes;

  while (c->unwritten < c->ring.count && (bytes = conn_output(c, &len)) && len > 0) {
    size_t n = len < size - used ? len : size - used;

    if (n < len && used > 0)
      break;
    memcpy(buf + used, bytes, n);
    used += n;
    take(c, n);
    if (n < len)
      break;
  }
  return used;
}

void conn_offered(struct conn *c, size_t less)
{
  c->sent = c->taken - less;
}

/* ---- requests ---- */

uint32_t conn_room(const struct conn *c)
{
  return c->ring.cap - c->ring.count;
}

void conn_submit(struct conn *c, struct request *req)
{
  const struct place *last = c->ring.count ? ring_at(&c->ring, c->ring.count - 1) : NULL;
  struct place *p;

  req->sent = 0;
  request_set_state(req, REQUEST_WRITING);
  p = ring_push(&c->ring, req);
  p->begin = last ? last->end : c->taken;
  p->end = p->begin + req->size;
}

int conn_withdraw(struct conn *c, struct request *req)
{
  uint32_t i = ring_index(&c->ring, req);

  if (req->sent > 0 || i >= c->ring.count || ring_at(&c->ring, i)->request != req)
    return 0;
  ring_remove(&c->ring, i);
  return 1;
}

void conn_abandon(struct conn *c, struct request *req)
{
  uint32_t i = ring_index(&c->ring, req);

  if (req->parts)
    req->parts->taken = req->size; /* what is not sent yet will be */
  if (i == c->unwritten) {
    c->rest = req->heap;
    c->rest_at = req->bytes + req->sent;
    req->heap = NULL;
  }
  ring_at(&c->ring, i)->request = NULL;
  c->abandoned++;
}

void conn_end_request(struct conn *c, struct request *req, pmx_reply *reply)
{
  req->reply = reply;
  list_push_back(&c->ended, &req->node);
}

/* 1: what was wrong was the answer to the first request; those behind it only lose their
 * connection. */
static int is_of_one_answer(pmx_cause cause)
{
  return cause == PMX_CAUSE_PROTOCOL || cause == PMX_CAUSE_TOO_LARGE;
}

static void note_taken(const struct conn *c, const struct place *p)
{
  uint64_t taken = c->sent > p->begin ? c->sent - p->begin : 0;

  if (p->request->parts)
    p->request->parts->taken = taken < p->request->size ? (size_t)taken : p->request->size;
}

/* One text for all, made once: there may be thousands. */
static void end_all(struct conn *c, pmx_cause cause)
{
  pmx_cause others = is_of_one_answer(cause) ? PMX_CAUSE_LOST : cause;
  pmx_reply *unknown = reply_failure_text(PMX_UNKNOWN, others, c->text);
  pmx_reply *not_run = reply_failure_text(PMX_NOT_RUN, others, c->text);
  int first = 1;

  for (const struct place *p; (p = ring_first(&c->ring)); ring_pop(&c->ring), first = 0) {
    pmx_status status = p->begin < c->sent ? PMX_UNKNOWN : PMX_NOT_RUN;

    if (!p->request)
      continue;
    note_taken(c, p);
    pmx_reply_free(p->request->reply); /* of a group that was half answered */
    if (first)
      conn_end_request(c, p->request, reply_failure_text(status, cause, c->text));
    else
      conn_end_request(c, p->request, pmx_reply_ref(status == PMX_UNKNOWN ? unknown : not_run));
  }
  pmx_reply_free(unknown);
  pmx_reply_free(not_run);
}

void conn_poison(struct conn *c, pmx_cause cause, const char *text)
{
  struct text why;

  if (c->poisoned)
    return;
  c->poisoned = 1;
  c->phase = CONN_DEAD;
  c->cause = cause;
  text_init(&why, c->text, sizeof c->text);
  text_add(&why, "%s", text);
  /* Nothing is written when nothing is in flight: while it is dialled, a lane's statistics are
   * read. */
  if (c->ring.count) {
    c->unwritten = c->abandoned = 0;
    end_all(c, cause);
  }
  drop_rest(c);
  handshake_clear(&c->handshake);
}

/* ---- in ---- */

static void take_reply(struct conn *c, pmx_reply *reply)
{
  if (c->phase != CONN_HANDSHAKE || pmx_reply_type(reply) == PMX_TYPE_PUSH) {
    conn_reply(c, reply);
    return;
  }
  handshake_reply(c, reply);
  pmx_reply_free(reply);
}

void conn_decode_failed(struct conn *c)
{
  const char *why;
  pmx_cause cause = decoder_error(c->decoder, &why);

  conn_poison(c, cause, why);
}

void conn_feed(struct conn *c, const char *bytes, size_t n)
{
  enum decode_result result = DECODE_ERROR;
  pmx_reply *reply;

  if (c->poisoned)
    return;
  if (decoder_feed(c->decoder, bytes, n) == 0) {
    while (!c->poisoned && (result = decoder_next(c->decoder, &reply)) == DECODE_REPLY)
      take_reply(c, reply);
  }
  if (!c->poisoned && result == DECODE_MORE)
    conn_decoded(c);
  else if (!c->poisoned)
    conn_decode_failed(c);
}

struct request *conn_take_ended(struct conn *c)
{
  struct list *node = list_first(&c->ended);

  if (node)
    list_remove(node);
  return node ? container_of(node, struct request, node) : NULL;
}

int conn_waits(const struct conn *c)
{
  return c->ring.count > 0 || c->phase == CONN_HANDSHAKE;
}

int conn_idle(const struct conn *c)
{
  return c->phase == CONN_READY && c->ring.count == 0 && decoder_idle(c->decoder);
}
