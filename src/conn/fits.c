/* SPDX-License-Identifier: BSD-3-Clause */
/* fits.c - whether a reply can be the answer to the request whose turn it is: asked for, not too
 * early, and of a kind that its command gets. What does not fit poisons the connection. That finds
 * most of the cases in which the replies are out of step, at no cost on the wire; that two GETs were
 * exchanged it cannot see. */
#include "base/text.h"
#include "conn/conn.h"

static unsigned shape(const pmx_reply *reply)
{
  switch (pmx_reply_type(reply)) {
  case PMX_TYPE_STRING:
  case PMX_TYPE_SIMPLE:
  case PMX_TYPE_VERBATIM:
    return SHAPE_TEXT;
  case PMX_TYPE_NIL:
    return SHAPE_NIL;
  case PMX_TYPE_INTEGER:
    return SHAPE_INTEGER;
  case PMX_TYPE_ARRAY:
  case PMX_TYPE_MAP:
  case PMX_TYPE_SET:
    return SHAPE_LIST;
  case PMX_TYPE_FAILURE:
  case PMX_TYPE_ERROR:
  case PMX_TYPE_DOUBLE:
  case PMX_TYPE_BOOL:
  case PMX_TYPE_BIGNUM:
  case PMX_TYPE_PUSH:
    break;
  }
  return 0;
}

/* Errors are of every kind; inside MULTI all commands are answered "QUEUED". */
static int is_of_its_kind(const struct conn *c, const struct request *req, const pmx_reply *reply)
{
  if (req->parts)
    return parts_expect(req->parts, reply, shape(reply));
  return !req->route.shape || pmx_reply_type(reply) == PMX_TYPE_ERROR ||
         (c->session.bits & SESSION_BIT_MULTI) || (req->route.shape & shape(reply));
}

static void poison_unsolicited(struct conn *c, const char *str, size_t len)
{
  char buf[sizeof c->text];
  struct text text;

  c->unsolicited = 1;
  text_init(&text, buf, sizeof buf);
  text_add(&text, "unexpected answer from the server: \"");
  text_add_quoted(&text, str ? str : "?", str ? len : 1, 80);
  text_add(&text, "\"");
  conn_poison(c, PMX_CAUSE_PROTOCOL, buf);
}

static void poison_out_of_step(struct conn *c, const struct request *req)
{
  char buf[sizeof c->text];
  struct text text;

  text_init(&text, buf, sizeof buf);
  text_add(&text, "%s got an answer of the wrong kind: the replies are out of step",
           req->parts ? parts_name(req->parts) : req->route.command);
  conn_poison(c, PMX_CAUSE_PROTOCOL, buf);
}

/* A group may be answered while its end is still being written, a single command may not: servers
 * do that only to say that they will not read on. */
static int answered_early(const struct conn *c, const struct place *p)
{
  const struct parts *parts = p->request ? p->request->parts : NULL;

  if (parts)
    return c->sent < p->begin + parts_end(parts, parts->got);
  return c->sent <= p->begin || (p->replies == 1 && c->sent < p->end);
}

int conn_fits(struct conn *c, const struct place *first, const pmx_reply *reply)
{
  if (!first || answered_early(c, first)) {
    size_t len = 0;
    const char *str = pmx_reply_str(reply, &len);

    poison_unsolicited(c, str, len);
  } else if (first->request && !is_of_its_kind(c, first->request, reply)) {
    poison_out_of_step(c, first->request);
  }
  return !c->poisoned;
}

/* A request that is sent later would be given what began before it. */
void conn_decoded(struct conn *c)
{
  const struct place *first = ring_first(&c->ring);
  size_t len = 0;
  const char *begun = decoder_begun(c->decoder, &len);

  if (c->phase == CONN_READY && begun && begun[0] != '>' && (!first || answered_early(c, first)))
    poison_unsolicited(c, begun, len);
}
