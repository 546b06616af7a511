/* SPDX-License-Identifier: BSD-3-Clause */
/* transaction.c - WATCH, a function that reads, MULTI…EXEC with what it has queued, and all that
 * again when somebody else was faster. One try is an order's `attempt`, so that call.c's loop and
 * retry.c's rule are those of every call.
 *
 * A try takes a lease and returns it. Whatever fails before EXEC was sent has changed nothing: it
 * ends NOT_RUN, and when the connection was lost it is begun anew within the deadline; also when
 * the function gave up after that, for it could not read. When EXEC was sent and not answered, the
 * transaction ends UNKNOWN, and is never repeated: the function would decide by other values. */
#include "api/batch.h"
#include <string.h>
#include "api/lease.h"
#include "api/retry.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "call/reply.h"
#include "route/classify.h"

enum { TRIES_DEFAULT = 16 };

struct transaction {
  struct order order; /* the whole; without bytes of its own */
  struct order watch;
  pmx_client *client;
  pmx_batch *batch;
  pmx_tx_fn fn;
  void *ud;
  int conflicts;
};

/* ---- one try ---- */

/* Of what came before EXEC: it may have run, the transaction has not. */
static pmx_reply *not_run(pmx_reply *reply)
{
  pmx_reply *result;

  if (pmx_reply_status(reply) != PMX_UNKNOWN)
    return reply;
  result = reply_failure_text(PMX_NOT_RUN, pmx_reply_cause(reply), pmx_reply_error(reply));
  pmx_reply_free(reply);
  return result;
}

/* NULL: the keys are watched. */
static pmx_reply *watch(struct transaction *t, struct runtime *rt, pmx_lease *lease,
                        const struct call *call, int64_t now)
{
  pmx_reply *reply = lease_pin(lease, &t->watch);

  if (reply)
    return reply;
  /* The wait for the lease has been noted. */
  reply = call_send(rt, &t->watch, call, call->timing ? clock_ns() : now);
  if (pmx_reply_status(reply) != PMX_OK)
    return not_run(reply);
  pmx_reply_free(reply);
  return NULL;
}

/* NULL: it is still connected, as far as anybody can tell. */
static pmx_reply *check_connection(struct runtime *rt, pmx_lease *lease, const struct call *call)
{
  struct order nothing;
  pmx_reply *failure;

  order_init(&nothing, NULL, 0);
  nothing.route = (struct route){.command = "pmx_transaction"};
  failure = lease_pin(lease, &nothing);
  return failure ? failure : call_send(rt, &nothing, call, clock_ns());
}

static pmx_reply *gave_up(struct runtime *rt, pmx_lease *lease, const struct call *call, int result)
{
  pmx_reply *failure = check_connection(rt, lease, call);

  if (failure && pmx_reply_cause(failure) == PMX_CAUSE_LOST)
    return failure;
  pmx_reply_free(failure);
  return reply_failure(PMX_NOT_RUN, PMX_CAUSE_CANCELED,
                       "the function of the transaction gave up: it returned %d", result);
}

/* NULL, or why nothing more is sent. */
static pmx_reply *check_time(const struct call *call)
{
  if (cancel_fired(call->cancel))
    return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CANCELED, "cancelled before EXEC was sent");
  if (clock_ns() >= call->deadline)
    return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_TIMEOUT,
                              "no time was left when the function of the transaction returned");
  return NULL;
}

static pmx_reply *commit(struct transaction *t, struct runtime *rt, pmx_lease *lease,
                         const struct call *call)
{
  struct group g;
  pmx_reply *reply = batch_check(t->batch, 1);

  if (reply)
    return reply;
  reply = group_open(&g, t->batch, 1);
  if (!reply)
    reply = lease_pin(lease, &g.order);
  if (!reply)
    reply = check_time(call);
  if (!reply)
    reply = call_send(rt, &g.order, call, clock_ns());
  if (!retry_is_refusal(&g.order, reply))
    reply = group_result(&g, reply);
  group_close(&g);
  return reply;
}

static pmx_reply *explain_conflict(struct transaction *t, pmx_reply *reply)
{
  t->conflicts++;
  pmx_reply_free(reply);
  return reply_failure(PMX_NOT_RUN, PMX_CAUSE_CONFLICT,
                       "a watched key was changed in each of %d tries, so nothing ran",
                       t->conflicts);
}

static pmx_reply *on_lease(struct transaction *t, struct runtime *rt, pmx_lease *lease,
                           const struct call *call, int64_t now)
{
  pmx_reply *reply = watch(t, rt, lease, call, now);
  int result;

  if (reply)
    return reply;
  batch_clear(t->batch);
  result = t->fn(t->ud, lease, t->batch);
  if (result != 0)
    return gave_up(rt, lease, call, result);
  reply = commit(t, rt, lease, call);
  return pmx_reply_cause(reply) == PMX_CAUSE_CONFLICT ? explain_conflict(t, reply) : reply;
}

static pmx_reply *try_once(struct runtime *rt, struct order *order, const struct call *call,
                           int64_t now)
{
  struct transaction *t = container_of(order, struct transaction, order);
  pmx_lease *lease = NULL;
  pmx_reply *reply = lease_take(t->client, rt, call, now, &lease);

  if (reply)
    return reply;
  reply = on_lease(t, rt, lease, call, now);
  pmx_release(lease); /* INVALID: the function has returned it */
  return reply;
}

/* ---- the whole ---- */

static pmx_reply *check(const pmx_call *call, int nkeys, const char *const *keys, int max_tries,
                        pmx_tx_fn fn)
{
  if (!fn)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the function is NULL");
  if (nkeys < 1 || nkeys == INT32_MAX || !keys)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE,
                         "a transaction watches at least one key, not %d: without any, "
                         "pmx_batch_exec_atomic() does it",
                         keys ? nkeys : 0);
  if (max_tries < 0)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "max_tries is %d", max_tries);
  if (call && call->size >= offsetof(pmx_call, deadline_ms) && (call->flags & PMX_CALL_RETRY_SAFE))
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                              "PMX_CALL_RETRY_SAFE is not for transactions: one that may have run "
                              "would be decided anew, by what it has changed itself");
  if (call && call->size >= offsetof(pmx_call, deadline_ms) && (call->flags & PMX_CALL_SHARED))
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED,
                              "a transaction that watches keys has a connection of its own: leave "
                              "PMX_CALL_SHARED out");
  return NULL;
}

static pmx_reply *encode_watch(struct order *watch, const pmx_client *c, const struct args *args,
                               char small[ENCODED_SMALL])
{
  classify(args->argc, args->argv, args->len, &watch->route);
  return encode_args(&watch->encoded, args, (size_t)c->config.request_max_size, small,
                     ENCODED_SMALL);
}

static pmx_reply *make_watch(struct order *watch, const pmx_client *c, int nkeys,
                             const char *const *keys, const size_t *lens, char small[ENCODED_SMALL])
{
  size_t n = (size_t)nkeys + 1;
  const char **argv = mem_alloc(n * sizeof *argv);
  size_t *len = lens ? mem_alloc(n * sizeof *len) : NULL;
  pmx_reply *failure = NULL;
  struct args args;

  args_init(&args);
  if (!argv || (lens && !len))
    failure = reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
  if (!failure) {
    argv[0] = "WATCH";
    memcpy(argv + 1, keys, (n - 1) * sizeof *argv);
    if (len) {
      len[0] = strlen("WATCH");
      memcpy(len + 1, lens, (n - 1) * sizeof *len);
    }
    failure = args_from_argv(&args, nkeys + 1, argv, len);
  }
  if (!failure)
    failure = encode_watch(watch, c, &args, small);
  args_clear(&args);
  mem_free(len);
  mem_free(argv);
  return failure;
}

static pmx_reply *run(struct transaction *t, const pmx_call *call)
{
  pmx_reply *reply;

  t->batch = pmx_batch_new(t->client);
  if (!t->batch)
    return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
  t->batch->lent = 1;
  reply = call_carry_out(t->client, call, NULL, &t->order);
  t->batch->lent = 0;
  pmx_batch_free(t->batch);
  return reply;
}

pmx_reply *pmx_transaction(pmx_client *c, const pmx_call *call, int nkeys, const char *const *keys,
                           const size_t *lens, int max_tries, pmx_tx_fn fn, void *ud)
{
  struct transaction t = {.client = c, .fn = fn, .ud = ud};
  char small[ENCODED_SMALL];
  pmx_reply *reply;
  int cancel_state;

  if (!c)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the client is NULL");
  cancel_state = thread_cancel_disable();
  order_init(&t.order, NULL, 0);
  order_init(&t.watch, NULL, 0);
  t.order.route.command = "pmx_transaction";
  t.order.attempt = try_once;
  t.order.max_tries = max_tries ? max_tries : TRIES_DEFAULT;
  reply = check(call, nkeys, keys, max_tries, fn);
  if (!reply)
    reply = make_watch(&t.watch, c, nkeys, keys, lens, small);
  if (!reply)
    reply = run(&t, call);
  call_count(c, reply, t.order.started, 0);
  encoded_clear(&t.watch.encoded);
  thread_cancel_restore(cancel_state);
  return reply;
}
