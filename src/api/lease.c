/* SPDX-License-Identifier: BSD-3-Clause */
/* lease.c - connections lent to callers. A lease is {link, ticket}: the strategy refuses a stale
 * ticket, so a connection that was lost, taken back or closed cannot be used through an old lease.
 *
 * Returned leases rest in a queue before their memory is used again: returning one twice is an
 * error code, not a crash, until LEASES_RESTING others have come back after it. */
#include "api/lease.h"
#include "api/call.h"
#include "base/mem.h"
#include "call/reply.h"
#include "call/timing.h"

enum { LEASES_RESTING = 1024 };

enum lease_state { LEASE_OUT, LEASE_RETURNING, LEASE_RETURNED };

struct pmx_lease {
  struct list node, block;
  pmx_client *client; /* a reference while it is out */
  struct runtime *runtime;
  struct link *link;
  uint64_t ticket;
  _Atomic int state;
  uint32_t fork_generation;
};

/* ---- memory ---- */

void lease_slab_init(struct lease_slab *slab)
{
  lock_init(&slab->lock);
  list_init(&slab->returned);
  list_init(&slab->blocks);
  slab->resting = 0;
}

void lease_slab_destroy(struct lease_slab *slab)
{
  struct list *node;

  while ((node = list_first(&slab->blocks))) {
    list_remove(node);
    mem_free(container_of(node, struct pmx_lease, block));
  }
  lock_destroy(&slab->lock);
}

static pmx_lease *lease_new(struct lease_slab *slab)
{
  pmx_lease *lease = NULL;

  lock_acquire(&slab->lock);
  if (slab->resting > LEASES_RESTING) {
    lease = container_of(list_first(&slab->returned), struct pmx_lease, node);
    list_remove(&lease->node);
    slab->resting--;
  }
  lock_release(&slab->lock);
  if (lease)
    return lease;
  lease = mem_zalloc(sizeof *lease);
  if (!lease)
    return NULL;
  list_init(&lease->node);
  lock_acquire(&slab->lock);
  list_push_back(&slab->blocks, &lease->block);
  lock_release(&slab->lock);
  return lease;
}

static void lease_rest(struct lease_slab *slab, pmx_lease *lease)
{
  lock_acquire(&slab->lock);
  list_push_back(&slab->returned, &lease->node);
  slab->resting++;
  lock_release(&slab->lock);
}

/* ---- acquire ---- */

pmx_reply *lease_take(pmx_client *c, struct runtime *rt, const struct call *call, int64_t now,
                      pmx_lease **ret)
{
  pmx_lease *lease = lease_new(&rt->leases);
  pmx_reply *failure;
  struct request req;

  if (!lease)
    return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
  request_init(&req, REQUEST_LEASE);
  req.route.command = "pmx_acquire";
  req.queued_at = now;
  req.deadline = call->deadline;
  if (call->timing)
    timing_begin(call->timing, now);
  failure = call_wait(runtime_node(rt, &req), &req, call->cancel);
  if (call->timing)
    timing_end(call->timing, failure);
  lease->runtime = rt;
  lease->fork_generation = rt->fork_generation;
  if (failure) {
    atomic_store(&lease->state, LEASE_RETURNED);
    lease_rest(&rt->leases, lease);
    return failure;
  }
  lease->client = pmx_ref(c);
  lease->link = atomic_load(&req.link);
  lease->ticket = req.ticket;
  atomic_store(&lease->state, LEASE_OUT);
  *ret = lease;
  return NULL;
}

static pmx_reply *acquire(pmx_client *c, const pmx_call *in, pmx_lease **ret)
{
  struct runtime *rt = NULL;
  struct call call;
  pmx_reply *failure = call_read(c, in, &call);

  if (failure)
    return failure;
  call_hold(&call);
  /* Without time it takes what is idle, or says that nothing is. */
  if (call.started < call.deadline)
    failure = call_may_begin(&call);
  if (!failure)
    rt = client_runtime(c, &failure);
  if (rt)
    failure = lease_take(c, rt, &call, call.started, ret);
  call_let_go(&call);
  return failure;
}

pmx_lease *pmx_acquire(pmx_client *c, const pmx_call *call, pmx_reply **err)
{
  int cancel_state = thread_cancel_disable();
  pmx_lease *lease = NULL;
  pmx_reply *failure;

  failure = c ? acquire(c, call, &lease)
              : reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the client is NULL");
  if (err)
    *err = failure;
  else
    pmx_reply_free(failure);
  thread_cancel_restore(cancel_state);
  return lease;
}

/* ---- use ---- */

static pmx_reply *check_lease(const pmx_lease *lease)
{
  if (!lease)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the lease is NULL");
  if (lease->fork_generation != fork_generation())
    return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_FORKED,
                              "the lease was taken before fork(): take one in this process");
  if (atomic_load(&lease->state) != LEASE_OUT)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the lease was returned already");
  return NULL;
}

pmx_reply *lease_pin(const pmx_lease *lease, struct order *order)
{
  pmx_reply *failure = check_lease(lease);

  if (failure)
    return failure;
  order->link = lease->link;
  order->ticket = lease->ticket;
  return NULL;
}

/* Takes over bad_args. */
static pmx_reply *lease_execute(pmx_lease *lease, const pmx_call *call, struct args *args,
                                pmx_reply *bad_args)
{
  pmx_reply *failure = check_lease(lease);

  if (failure) {
    pmx_reply_free(bad_args);
    return failure;
  }
  return call_execute(lease->client, call, args, bad_args, lease->link, lease->ticket);
}

pmx_reply *pmx_lease_argv(pmx_lease *lease, const pmx_call *call, int argc, const char *const *argv,
                          const size_t *len)
{
  struct args args;
  pmx_reply *reply;

  args_init(&args);
  reply = lease_execute(lease, call, &args, args_from_argv(&args, argc, argv, len));
  args_clear(&args);
  return reply;
}

pmx_reply *pmx_lease_command(pmx_lease *lease, const pmx_call *call, const char *format, ...)
{
  struct args args;
  pmx_reply *reply;
  va_list list;

  args_init(&args);
  va_start(list, format);
  reply = args_from_format(&args, format, list);
  va_end(list);
  reply = lease_execute(lease, call, &args, reply);
  args_clear(&args);
  return reply;
}

/* ---- release ---- */

static enum release_result give_back(pmx_lease *lease)
{
  struct strategy *strategy = lease->runtime->node.strategy;

  if (lease->fork_generation != fork_generation())
    return RELEASE_GONE; /* with the process that took it */
  return strategy->ops->release(strategy, lease->link, lease->ticket);
}

static pmx_status bad_return(pmx_lease *lease)
{
  atomic_fetch_add_explicit(&lease->runtime->bad_returns, 1, memory_order_relaxed);
  return PMX_INVALID;
}

static void end_lease(pmx_lease *lease)
{
  pmx_client *client = lease->client;

  atomic_store(&lease->state, LEASE_RETURNED);
  if (lease->fork_generation == fork_generation())
    lease_rest(&lease->runtime->leases, lease);
  pmx_unref(client); /* the last one takes the lease's memory with it */
}

static pmx_status release(pmx_lease *lease)
{
  int state = LEASE_OUT;
  pmx_status status = PMX_OK;

  if (!atomic_compare_exchange_strong(&lease->state, &state, LEASE_RETURNING))
    return bad_return(lease);
  switch (give_back(lease)) {
  case RELEASE_BUSY:
    atomic_store(&lease->state, LEASE_OUT);
    return bad_return(lease);
  case RELEASE_RECLAIMED:
    status = bad_return(lease);
    break;
  case RELEASE_DONE:
  case RELEASE_GONE:
    break;
  }
  end_lease(lease);
  return status;
}

pmx_status pmx_release(pmx_lease *lease)
{
  int cancel_state;
  pmx_status status;

  if (!lease)
    return PMX_INVALID;
  cancel_state = thread_cancel_disable();
  status = release(lease);
  thread_cancel_restore(cancel_state);
  return status;
}
