/* SPDX-License-Identifier: BSD-3-Clause */
/* batch.c - what may be added to a batch, and the public functions around it. How it is sent is
 * group.c's business. */
#include "api/batch.h"
#include <string.h>
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"
#include "route/classify.h"
#include "route/router.h"

enum { BYTES_FIRST = 256, COMMANDS_FIRST = 8, TEXT_MAX = 512 };

void batch_clear(pmx_batch *b)
{
  pmx_reply_free(b->failure);
  b->failure = NULL;
  b->size = 0;
  b->count = 0;
  b->route = (struct route){.flags = ROUTE_READONLY, .command = "a batch"};
  b->waiting = NULL;
}

pmx_reply *batch_check(const pmx_batch *b, int lent)
{
  if (!b)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE,
                              "the batch is NULL: there was no memory for it, or no client");
  if (b->lent && !lent)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                              "the batch of a transaction is executed when its function returns");
  return b->failure ? pmx_reply_ref(b->failure) : NULL;
}

/* ---- what may be added ---- */

static pmx_reply *no_memory(void)
{
  return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
}

static int is_of_transactions(const struct route *route)
{
  return route->effect == SESSION_MULTI || route->effect == SESSION_EXEC ||
         route->effect == SESSION_DISCARD || route->effect == SESSION_WATCH ||
         route->effect == SESSION_UNWATCH;
}

static pmx_reply *check_route(const pmx_batch *b, const struct route *route)
{
  if (route->flags & ROUTE_FORBIDDEN)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED, route->hint);
  if (b->route.flags & ROUTE_WAITS)
    return reply_failure(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                         "%s stands behind %s, which must be the last command of its batch",
                         route->command, b->parts[b->count - 1].command);
  if (!(route->flags & ROUTE_SESSION) || (route->flags & ROUTE_WAITS))
    return NULL;
  if (is_of_transactions(route))
    return reply_failure(
        PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
        "%s is not for batches: pmx_batch_exec_atomic() puts MULTI and EXEC around "
        "one, pmx_transaction() watches keys as well",
        route->command);
  return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED, route->hint);
}

static pmx_reply *check_size(const pmx_batch *b, const struct args *args, size_t *ret)
{
  size_t max = (size_t)b->client->config.request_max_size;
  pmx_reply *failure = encode_size(args, max, ret);

  if (failure)
    return failure;
  if (b->count == BATCH_MAX)
    return reply_failure(PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                         "a batch has at most %d commands: begin another", BATCH_MAX);
  if (*ret > max - b->size)
    return reply_failure(PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                         "with it the batch has %zu bytes; the limit (request.max_size) is %zu",
                         b->size + *ret, max);
  return NULL;
}

/* ---- adding ---- */

static int make_room(pmx_batch *b, size_t more)
{
  size_t cap = b->size_cap ? b->size_cap : BYTES_FIRST;
  void *grown;

  while (cap < b->size + more)
    cap *= 2;
  if (cap > b->size_cap) {
    grown = mem_realloc(b->bytes, cap);
    if (!grown)
      return -1;
    b->bytes = grown;
    b->size_cap = cap;
  }
  if (b->count < b->cap)
    return 0;
  cap = b->cap ? (size_t)b->cap * 2 : COMMANDS_FIRST;
  grown = mem_realloc(b->parts, cap * sizeof *b->parts);
  if (!grown)
    return -1;
  b->parts = grown;
  b->cap = (uint32_t)cap;
  return 0;
}

/* Only reads when all do; whatever else one of them does, the batch does. A wait for a key could be
 * ended from outside, but not this one of several, so that is not said of the batch. */
static void join(pmx_batch *b, const struct route *route)
{
  const uint32_t any =
      ROUTE_SCRIPT | ROUTE_BLOCKING | ROUTE_PARKS | ROUTE_CONTROL | ROUTE_WAITS | ROUTE_BULK;
  struct route *all = &b->route;

  if (!(route->flags & ROUTE_READONLY))
    all->flags &= ~(uint32_t)ROUTE_READONLY;
  all->flags |= route->flags & any;
  if (router_is_unknown(route))
    all->flags |= ROUTE_PARKS; /* for all that is known here */
  all->batch = b->count;
  if (!b->waiting && (route->flags & (ROUTE_BLOCKING | ROUTE_WAITS)))
    b->waiting = route->command;
  if (!(route->flags & ROUTE_BLOCKING))
    return;
  if (route->block_ms > ROUTE_BLOCK_FOREVER - all->block_ms)
    all->block_ms = ROUTE_BLOCK_FOREVER;
  else
    all->block_ms += route->block_ms;
}

static pmx_reply *append(pmx_batch *b, const struct args *args)
{
  struct route route;
  pmx_reply *failure;
  size_t size = 0;

  classify(args->argc, args->argv, args->len, &route);
  failure = check_route(b, &route);
  if (!failure)
    failure = check_size(b, args, &size);
  if (failure)
    return failure;
  if (make_room(b, size) != 0)
    return no_memory();
  encode_write(b->bytes + b->size, args);
  b->size += size;
  b->parts[b->count++] =
      (struct part){.end = b->size, .command = route.command, .shape = route.shape};
  join(b, &route);
  return NULL;
}

/* A batch with a command missing must not run: the first failure is kept, and told when it is
 * executed. Takes bad_args over. */
static pmx_status add(pmx_batch *b, const struct args *args, pmx_reply *bad_args)
{
  pmx_reply *failure = bad_args;
  char buf[TEXT_MAX];
  struct text text;

  if (!b || b->failure) {
    pmx_reply_free(bad_args);
    return b ? pmx_reply_status(b->failure) : PMX_INVALID;
  }
  if (!failure)
    failure = append(b, args);
  if (!failure)
    return PMX_OK;
  text_init(&text, buf, sizeof buf);
  text_add(&text, "command %u of the batch: %s", b->count, pmx_reply_error(failure));
  b->failure = reply_failure_text(pmx_reply_status(failure), pmx_reply_cause(failure), buf);
  pmx_reply_free(failure);
  return pmx_reply_status(b->failure);
}

pmx_status pmx_batch_add_argv(pmx_batch *b, int argc, const char *const *argv, const size_t *len)
{
  int cancel_state = thread_cancel_disable();
  struct args args;
  pmx_status status;

  args_init(&args);
  status = add(b, &args, args_from_argv(&args, argc, argv, len));
  args_clear(&args);
  thread_cancel_restore(cancel_state);
  return status;
}

pmx_status pmx_batch_add(pmx_batch *b, const char *format, ...)
{
  int cancel_state = thread_cancel_disable();
  struct args args;
  pmx_status status;
  pmx_reply *bad_args;
  va_list list;

  args_init(&args);
  va_start(list, format);
  bad_args = args_from_format(&args, format, list);
  va_end(list);
  status = add(b, &args, bad_args);
  args_clear(&args);
  thread_cancel_restore(cancel_state);
  return status;
}

/* ---- life ---- */

pmx_batch *pmx_batch_new(pmx_client *c)
{
  int cancel_state = thread_cancel_disable();
  pmx_batch *b = c ? mem_zalloc(sizeof *b) : NULL;

  if (b) {
    b->client = pmx_ref(c);
    batch_clear(b);
  }
  thread_cancel_restore(cancel_state);
  return b;
}

void pmx_batch_free(pmx_batch *b)
{
  int cancel_state;

  if (!b || b->lent)
    return;
  cancel_state = thread_cancel_disable();
  pmx_reply_free(b->failure);
  mem_free(b->bytes);
  mem_free(b->parts);
  pmx_unref(b->client);
  mem_free(b);
  thread_cancel_restore(cancel_state);
}

/* ---- executing ---- */

/* Nothing is sent; what is wrong with the call is told all the same. */
static pmx_reply *nothing(const pmx_batch *b, const pmx_call *in)
{
  struct call call;
  pmx_reply *reply = call_read(b->client, in, &call);

  if (!reply)
    reply = reply_list_new(0);
  return reply ? reply : no_memory();
}

/* As a whole it counts as one call. */
static pmx_reply *run_group(const pmx_batch *b, const pmx_call *in, int atomic)
{
  struct group g;
  pmx_reply *verdict = group_open(&g, b, atomic), *result;

  if (!verdict)
    verdict = call_carry_out(b->client, in, NULL, &g.order);
  result = group_result(&g, pmx_reply_ref(verdict));
  call_count(b->client, verdict ? verdict : result, g.order.started, g.order.ended);
  pmx_reply_free(verdict);
  group_close(&g);
  return result;
}

static pmx_reply *execute(const pmx_batch *b, const pmx_call *in, int atomic)
{
  int cancel_state = thread_cancel_disable();
  pmx_reply *reply = batch_check(b, 0);

  if (!reply && b->count > 0) {
    reply = run_group(b, in, atomic);
  } else if (b) {
    reply = reply ? reply : nothing(b, in);
    call_count(b->client, reply, 0, 0);
  }
  thread_cancel_restore(cancel_state);
  return reply;
}

pmx_reply *pmx_batch_exec(pmx_batch *b, const pmx_call *call)
{
  return execute(b, call, 0);
}

pmx_reply *pmx_batch_exec_atomic(pmx_batch *b, const pmx_call *call)
{
  return execute(b, call, 1);
}
