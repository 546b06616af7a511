/* SPDX-License-Identifier: BSD-3-Clause */
/* group.c - one execution of a batch: its bytes, what the answers of a try mean as a whole, and
 * what its caller is told. Knows neither connections nor the retry rule.
 *
 * A pipeline ends as a plain failure when nothing of it can have run because nothing was sent, else
 * as an array in which each command has a status of its own. Between MULTI and EXEC it is all or
 * nothing, and what may be concluded without EXEC's answer is:
 *   EXEC cannot have been read whole, and what stands before it was only queued (MULTI was
 *   accepted) or not read whole either: nothing ran;
 *   a command was refused while it was queued: EXEC will run nothing, whatever becomes of it;
 *   else it may have run. */
#include "api/batch.h"
#include <string.h>
#include "api/retry.h"
#include "base/mem.h"
#include "call/reply.h"

/* ---- before ---- */

static pmx_reply *no_memory(void)
{
  return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
}

/* Inside MULTI nothing waits, no script ends half way without EXEC having begun, and what would
 * hold up the connection holds up the whole server anyhow. */
static pmx_reply *set_route(struct group *g, const pmx_batch *b)
{
  struct route *route = &g->order.route;
  pmx_reply *failure;

  *route = b->route;
  if (g->parts.atomic) {
    if (route->flags & ROUTE_WAITS)
      return reply_failure(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                           "%s does not wait inside MULTI: use pmx_batch_exec()",
                           b->parts[b->count - 1].command);
    route->flags &= ~(uint32_t)(ROUTE_BLOCKING | ROUTE_SCRIPT | ROUTE_PARKS);
    route->block_ms = 0;
    route->batch = b->count + 2;
  }
  if (b->waiting)
    route->command = route->flags & ROUTE_WAITS ? b->parts[b->count - 1].command : b->waiting;
  failure = call_refuse(b->client, &g->order);
  route->command = g->parts.atomic ? "a transaction" : "a batch";
  return failure;
}

static pmx_reply *set_bytes(struct group *g, const pmx_batch *b)
{
  size_t before = g->parts.atomic ? PARTS_MULTI_SIZE : 0;
  size_t after = g->parts.atomic ? PARTS_EXEC_SIZE : 0;
  size_t max = (size_t)b->client->config.request_max_size;
  struct encoded *e = &g->order.encoded;

  if (before + b->size + after > max)
    return reply_failure(PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                         "with MULTI and EXEC the batch has %zu bytes; the limit "
                         "(request.max_size) is %zu",
                         before + b->size + after, max);
  e->heap = mem_alloc(before + b->size + after);
  if (!e->heap)
    return no_memory();
  e->bytes = e->heap;
  e->size = before + b->size + after;
  memcpy(e->bytes, PARTS_MULTI, before);
  if (b->size)
    memcpy(e->bytes + before, b->bytes, b->size);
  memcpy(e->bytes + before + b->size, PARTS_EXEC, after);
  return NULL;
}

pmx_reply *group_open(struct group *g, const pmx_batch *b, int atomic)
{
  pmx_reply *failure;

  memset(g, 0, sizeof *g);
  order_init(&g->order, NULL, 0);
  g->order.parts = &g->parts;
  g->parts.commands = b->parts;
  g->parts.count = b->count;
  g->parts.atomic = (uint8_t)atomic;
  failure = set_route(g, b);
  if (!failure)
    failure = set_bytes(g, b);
  if (failure)
    return failure;
  g->list = reply_list_new(parts_answers(&g->parts));
  if (!g->list)
    return no_memory();
  g->parts.replies = g->list->elems;
  return NULL;
}

const pmx_reply *group_list(const struct order *order)
{
  return order->parts ? container_of(order, struct group, order)->list : NULL;
}

void group_close(struct group *g)
{
  encoded_clear(&g->order.encoded);
  pmx_reply_free(g->list);
  g->list = NULL;
}

/* ---- after a try: a transaction ---- */

/* The first command that was refused instead of queued, or `count`. */
static uint32_t first_refused(const struct parts *p)
{
  for (uint32_t i = 0; i < p->count && i + 1 < p->got; i++) {
    if (pmx_reply_type(p->replies[i + 1]) == PMX_TYPE_ERROR)
      return i;
  }
  return p->count;
}

static const pmx_reply *answer_of_exec(const struct parts *p)
{
  return p->got == parts_answers(p) ? p->replies[p->got - 1] : NULL;
}

/* Without MULTI the rest was no transaction. */
static pmx_reply *not_opened(const struct parts *p)
{
  int all = 1;

  for (uint32_t i = 1; i + 1 < p->got; i++)
    all &= pmx_reply_type(p->replies[i]) == PMX_TYPE_ERROR;
  return reply_failure(PMX_SERVER_ERROR, PMX_CAUSE_NONE, "%sMULTI was refused: %s",
                       all ? "" : "the commands ran one by one, for ",
                       pmx_reply_error(p->replies[0]));
}

static pmx_reply *judge_exec(struct parts *p, const pmx_reply *exec)
{
  uint32_t refused = first_refused(p);

  if (!p->opened)
    return not_opened(p);
  if (pmx_reply_type(exec) == PMX_TYPE_NIL) {
    p->harmless = 1;
    return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CONFLICT,
                              "a watched key was changed meanwhile, so nothing ran");
  }
  p->harmless = reply_is_code(exec, "EXECABORT") != 0;
  if (p->harmless && refused < p->count)
    return pmx_reply_ref(p->replies[refused + 1]);
  return pmx_reply_ref(exec);
}

/* 1: the server has not all it would need to run a command of it. */
static int cannot_have_run(const struct parts *p)
{
  if (p->taken >= parts_end(p, parts_answers(p) - 1))
    return 0;
  return p->opened || p->taken < parts_end(p, 1);
}

static pmx_reply *judge_transaction(struct parts *p, pmx_reply *reply)
{
  const pmx_reply *exec = answer_of_exec(p);
  uint32_t refused = first_refused(p);
  pmx_reply *verdict;

  if (exec && !reply)
    return judge_exec(p, exec);
  if (pmx_reply_status(reply) != PMX_UNKNOWN)
    return reply;
  if (p->opened && refused < p->count)
    verdict = pmx_reply_ref(p->replies[refused + 1]);
  else if (cannot_have_run(p))
    verdict = reply_failure(PMX_NOT_RUN, pmx_reply_cause(reply), "EXEC was not sent: %s",
                            pmx_reply_error(reply));
  else
    return reply;
  p->harmless = 1;
  pmx_reply_free(reply);
  return verdict;
}

/* ---- after a try ---- */

/* When all were refused for now, the first such answer stands for the batch. */
static pmx_reply *judge_pipeline(const struct order *order)
{
  struct parts *p = order->parts;

  for (uint32_t i = 0; i < p->count; i++) {
    if (!retry_is_refusal(order, p->replies[i]))
      return NULL;
  }
  p->harmless = 1;
  return pmx_reply_ref(p->replies[0]);
}

pmx_reply *group_judge(const struct order *order, pmx_reply *reply)
{
  if (order->parts->atomic)
    return judge_transaction(order->parts, reply);
  return reply ? reply : judge_pipeline(order);
}

/* ---- the result ---- */

static pmx_reply *aborted(const struct parts *p, pmx_reply *verdict)
{
  uint32_t refused = first_refused(p);
  pmx_reply *result;

  if (p->earlier > 0)
    result = reply_failure(PMX_UNKNOWN, PMX_CAUSE_ABORTED,
                           "the last try ran nothing, an earlier one may have run: %s",
                           pmx_reply_error(verdict));
  else if (refused < p->count)
    result = reply_failure(PMX_SERVER_ERROR, PMX_CAUSE_ABORTED,
                           "nothing ran, for command %u (%s) was refused: %s", refused,
                           p->commands[refused].command, pmx_reply_error(verdict));
  else
    result = reply_failure(PMX_SERVER_ERROR, PMX_CAUSE_ABORTED, "nothing ran: %s",
                           pmx_reply_error(verdict));
  reply_set_safe(result, p->earlier == 0);
  pmx_reply_free(verdict);
  return result;
}

/* What is left of a broken answer, or too large a one, is the affair of its command alone. */
static pmx_reply *of_others(const pmx_reply *verdict, pmx_status status)
{
  pmx_cause cause = pmx_reply_cause(verdict);

  if (cause == PMX_CAUSE_PROTOCOL || cause == PMX_CAUSE_TOO_LARGE)
    cause = PMX_CAUSE_LOST;
  return reply_failure_text(status, cause, pmx_reply_error(verdict));
}

/* Commands without an answer: those of which a byte may have been sent, now or earlier, may have
 * run. One text for all. */
static void fill_in(struct group *g, const pmx_reply *verdict, uint32_t begun)
{
  struct parts *p = &g->parts;
  pmx_reply *unknown = of_others(verdict, PMX_UNKNOWN);
  pmx_reply *not_run = of_others(verdict, PMX_NOT_RUN);

  for (uint32_t i = p->got; i < p->count; i++) {
    pmx_status status = i < begun ? PMX_UNKNOWN : PMX_NOT_RUN;

    if (i == p->got && pmx_reply_status(verdict) == status)
      p->replies[i] = pmx_reply_ref(verdict);
    else
      p->replies[i] = pmx_reply_ref(status == PMX_UNKNOWN ? unknown : not_run);
  }
  pmx_reply_free(unknown);
  pmx_reply_free(not_run);
}

static pmx_reply *take_list(struct group *g)
{
  pmx_reply *list = g->list;

  g->list = NULL;
  return list;
}

static pmx_reply *pipeline_result(struct group *g, pmx_reply *verdict)
{
  struct parts *p = &g->parts;
  uint32_t begun = p->harmless ? 0 : parts_begun(p);

  begun = begun > p->earlier ? begun : p->earlier;
  if (p->got < p->count) {
    if (begun == 0)
      return verdict;
    fill_in(g, verdict, begun);
  }
  for (uint32_t i = p->earlier; i < p->got; i++) {
    if (retry_is_refusal(&g->order, p->replies[i]))
      reply_set_safe(p->replies[i], 1);
  }
  pmx_reply_free(verdict);
  return take_list(g);
}

pmx_reply *group_result(struct group *g, pmx_reply *verdict)
{
  if (!g->list)
    return verdict; /* it never began */
  if (!g->parts.atomic)
    return pipeline_result(g, verdict);
  if (pmx_reply_type(verdict) == PMX_TYPE_ERROR && g->parts.harmless)
    return aborted(&g->parts, verdict);
  return verdict;
}
