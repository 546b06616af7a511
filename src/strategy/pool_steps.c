/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_steps.c - what the pool says on a connection around a request's own command, as if that were
 * the request's: whose number it has at the server and which process that is, before a command that
 * may have to be unblocked. Why, is told in pool_unblock.c. */
#include <string.h>
#include "call/reply.h"
#include "strategy/pool.h"

enum { FORGIVEN_AFTER_S = 60 };

struct words {
  const char *bytes;
  uint8_t shape;
};

static const struct words words[] = {
    [STEP_ID] = {"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n", SHAPE_INTEGER},
    [STEP_RUN] = {"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n", SHAPE_TEXT},
    [STEP_FENCE] = {"*1\r\n$4\r\nPING\r\n", 0},
};

/* ---- steps ---- */

void step_take(struct slot *slot, struct request *req, enum step step)
{
  struct unblock *u = &slot->unblock;

  if (u->step == STEP_OWN) {
    u->bytes = req->bytes;
    u->size = req->size;
    u->shape = req->route.shape;
  }
  u->step = step;
  req->bytes = words[step].bytes;
  req->size = strlen(words[step].bytes);
  req->replies = 1;
  req->route.shape = words[step].shape;
}

void step_restore(struct slot *slot, struct request *req)
{
  struct unblock *u = &slot->unblock;

  if (u->step == STEP_OWN)
    return;
  u->step = STEP_OWN;
  req->bytes = u->bytes;
  req->size = u->size;
  req->route.shape = u->shape;
}

int step_may_help(const struct pool *p, int64_t now)
{
  return p->control && atomic_load(&p->cancel_grace) > 0 && now >= atomic_load(&p->refused_until);
}

static int is_elsewhere(const struct slot *slot, const struct request *req)
{
  return req->run_id && strcmp(req->run_id, slot->unblock.run_id) != 0;
}

/* Inside MULTI nothing waits, and whatever is said is queued. */
int step_waits_for_key(const struct slot *slot, const struct request *req)
{
  return (req->route.flags & ROUTE_KEYWAIT) && !(slot->link.conn.session.bits & SESSION_BIT_MULTI);
}

static enum step first_step(const struct slot *slot, const struct request *req, int helps)
{
  const struct unblock *u = &slot->unblock;

  if (helps && !u->client_id && !(u->asked & 1 << STEP_ID))
    return STEP_ID;
  if (is_elsewhere(slot, req) || (helps && !u->run_id[0] && !(u->asked & 1 << STEP_RUN)))
    return STEP_RUN;
  return STEP_OWN;
}

static enum step next_step(struct slot *slot, const struct request *req, int64_t now)
{
  struct unblock *u = &slot->unblock;

  if (!u->client_id)
    u->client_id = slot->link.conn.client_id;
  return first_step(slot, req, step_waits_for_key(slot, req) && step_may_help(slot->pool, now));
}

void step_prepare(struct slot *slot, struct request *req)
{
  enum step step;

  if (!(req->route.flags & ROUTE_KEYWAIT) && !req->run_id)
    return;
  step = next_step(slot, req, clock_ns());
  if (step != STEP_OWN)
    step_take(slot, req, step);
}

/* ---- learning ---- */

static void learn_run_id(struct unblock *u, const pmx_reply *reply)
{
  static const char label[] = "\nrun_id:";
  const char *text = pmx_reply_str(reply, NULL);
  const char *at = text ? strstr(text, label) : NULL;
  size_t len;

  if (!at)
    return;
  at += sizeof label - 1;
  len = strcspn(at, "\r\n");
  if (len == 0 || len >= sizeof u->run_id)
    return;
  memcpy(u->run_id, at, len);
  u->run_id[len] = '\0';
}

/* It will not change its mind for a while: other connections need not ask. */
int step_is_refusal(const pmx_reply *reply)
{
  return reply_is_code(reply, "NOPERM") || reply_is_code(reply, "ERR");
}

void step_remember_refusal(struct pool *p, const pmx_reply *reply)
{
  atomic_store(&p->refused_until, time_after(clock_ns(), FORGIVEN_AFTER_S * NS_PER_S));
  notice_log(p->env->notices, PMX_LOG_WARN, "pool",
             "%s: blocked commands that are given up cost their connection, for a minute at least: "
             "%s",
             p->label, pmx_reply_error_code(reply));
}

static void learn(struct slot *slot, const pmx_reply *reply)
{
  struct unblock *u = &slot->unblock;

  if (pmx_reply_type(reply) == PMX_TYPE_INTEGER)
    u->client_id = pmx_reply_int(reply, NULL);
  else if (pmx_reply_type(reply) != PMX_TYPE_ERROR)
    learn_run_id(u, reply);
  else if (step_is_refusal(reply))
    step_remember_refusal(slot->pool, reply);
  u->asked |= 1 << u->step;
}

void step_replace_reply(struct request *req, pmx_status status, pmx_cause cause)
{
  pmx_reply *old = req->reply;

  req->reply = reply_failure_text(status, cause, pmx_reply_error(old));
  pmx_reply_free(old);
}

int step_failed(const struct request *req)
{
  return pmx_reply_type(req->reply) == PMX_TYPE_FAILURE;
}

/* 0: it ends without its own command having been sent. */
int step_learnt(struct slot *slot, struct request *req)
{
  enum step next;

  if (step_failed(req)) {
    if (pmx_reply_status(req->reply) == PMX_UNKNOWN)
      step_replace_reply(req, PMX_NOT_RUN, pmx_reply_cause(req->reply));
    return 0;
  }
  learn(slot, req->reply);
  pmx_reply_free(req->reply);
  req->reply = NULL;
  if (is_elsewhere(slot, req)) {
    req->reply = reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_UNSUPPORTED,
                                    "the control connection leads to another server process");
    return 0;
  }
  next = next_step(slot, req, clock_ns());
  if (next != STEP_OWN)
    step_take(slot, req, next);
  else
    step_restore(slot, req);
  return 1;
}
