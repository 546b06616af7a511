/* SPDX-License-Identifier: BSD-3-Clause */
/* match.c - gives each reply to the request whose turn it is. What cannot be its answer, fits.c
 * finds out. */
#include "base/text.h"
#include "call/reply.h"
#include "conn/conn.h"

/* These answers mean that the connection, not the command, is in the wrong place. */
static int says_retire(const pmx_reply *reply)
{
  return reply_is_code(reply, "READONLY") || reply_is_code(reply, "NOAUTH") ||
         reply_is_code(reply, "UNBLOCKED");
}

static void finish_first(struct conn *c)
{
  ring_pop(&c->ring);
  c->unwritten--;
}

/* Servers before 7.0 may refuse EXEC itself, and then stay inside MULTI: whoever came next would be
 * queued. What else ends without EXECABORT is a MULTI that was refused, which `opened` tells. */
static void leave_multi(struct conn *c, const pmx_reply *reply, int opened)
{
  session_apply(&c->session, SESSION_EXEC, 0, reply);
  if (opened && pmx_reply_type(reply) == PMX_TYPE_ERROR && !reply_is_code(reply, "EXECABORT"))
    conn_poison(c, PMX_CAUSE_LOST, "the server refused EXEC, and did not leave the transaction");
}

static void match_abandoned(struct conn *c, struct place *p, const pmx_reply *reply)
{
  int exec = p->atomic && p->replies == 1;

  c->late++;
  if (--p->replies > 0)
    return;
  c->abandoned--;
  finish_first(c);
  if (exec)
    leave_multi(c, reply, 1); /* nobody knows how MULTI was answered */
}

static void match_part(struct conn *c, struct place *p, pmx_reply *reply)
{
  struct request *req = p->request;
  int exec = p->atomic && p->replies == 1;

  parts_answer(req->parts, reply);
  if (--p->replies > 0)
    return;
  req->parts->taken = req->size;
  finish_first(c);
  conn_end_request(c, req, NULL);
  if (exec)
    leave_multi(c, reply, req->parts->opened);
}

static void match(struct conn *c, struct place *p, pmx_reply *reply)
{
  struct request *req = p->request;
  pmx_reply *kept = req->reply;

  session_apply(&c->session, (enum session_effect)req->route.effect, req->route.effect_arg, reply);
  /* A group keeps its first error, else its last answer. */
  if (kept && pmx_reply_type(kept) == PMX_TYPE_ERROR) {
    pmx_reply_free(reply);
    reply = kept;
  } else {
    pmx_reply_free(kept);
  }
  req->reply = reply;
  if (--p->replies > 0)
    return;
  finish_first(c);
  conn_end_request(c, req, reply);
}

static void take_push(struct conn *c, const pmx_reply *reply)
{
  size_t len = 0;
  const char *kind = pmx_reply_str(pmx_reply_at(reply, 0), &len);
  struct text text;

  c->pushes++;
  text_init(&text, c->push_kind, sizeof c->push_kind);
  text_add_quoted(&text, kind ? kind : "?", kind ? len : 1, sizeof c->push_kind - 1);
}

void conn_reply(struct conn *c, pmx_reply *reply)
{
  struct place *first = ring_first(&c->ring);

  if (c->poisoned) {
    pmx_reply_free(reply);
    return;
  }
  if (pmx_reply_type(reply) == PMX_TYPE_PUSH) {
    take_push(c, reply);
  } else if (conn_fits(c, first, reply)) {
    if (pmx_reply_type(reply) == PMX_TYPE_ERROR)
      c->retire |= says_retire(reply);
    if (first->request) {
      if (first->request->parts)
        match_part(c, first, reply);
      else
        match(c, first, reply);
      return;
    }
    match_abandoned(c, first, reply);
  }
  pmx_reply_free(reply);
}
