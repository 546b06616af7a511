/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_end.c - how a lane's connection ends: at once, or when it owes nothing any more; and where
 * its requests go then. All with the lane's lock held. */
#include "call/reply.h"
#include "link/lane_io.h"

/* What was never sent goes back to the head of the queue, in its order. */
void lane_sort_out_ended(struct lane *l, int may_wait_on)
{
  struct list *after = &l->queue;
  struct request *req;

  while ((req = conn_take_ended(&l->link.conn))) {
    pmx_reply *reply = req->reply;

    req->reply = NULL;
    if (may_wait_on && pmx_reply_status(reply) == PMX_NOT_RUN) {
      pmx_reply_free(reply);
      lane_requeue(l, after, req);
      after = &req->node;
    } else {
      lane_finish(l, req, reply);
    }
  }
}

void lane_kill_locked(struct lane *l, pmx_cause cause, const char *text)
{
  if (!l->up)
    return;
  conn_poison(&l->link.conn, cause, text);
  l->up = 0;
  l->dying = 1;
  l->kick |= l->blocked;
  /* On a lane that ends there is no other connection to wait for. */
  lane_sort_out_ended(l, cause != PMX_CAUSE_CLOSED && !l->last);
}

static void replace(struct lane *l)
{
  l->replaced = 1;
  lane_kill_locked(l, PMX_CAUSE_LOST, "its settings were replaced");
}

/* A connection that is to end, and owes nobody an answer. */
void lane_end_if_last(struct lane *l)
{
  const struct conn *c = &l->link.conn;

  if (!l->up || c->ring.count > c->abandoned)
    return;
  if (l->last && (list_empty(&l->queue) || c->retire))
    lane_kill_locked(l, PMX_CAUSE_CLOSED, "the client was closed");
  else if (l->renewed)
    replace(l);
  else if (c->retire)
    lane_kill_locked(l, PMX_CAUSE_LOST, "the server answered READONLY or NOAUTH");
}

void lane_renew_locked(struct lane *l)
{
  if (!l->up)
    return;
  l->renewed = 1;
  l->link.conn.retire = 1;
  lane_end_if_last(l);
}

void lane_last_locked(struct lane *l)
{
  l->last = 1;
  lane_end_if_last(l);
}
