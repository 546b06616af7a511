/* SPDX-License-Identifier: BSD-3-Clause */
/* async_end.c - how a call that nobody waits for is given up: its deadline, its token, a future
 * that was freed, a client that is closed. All of it happens on the reactor's thread; see async.c.
 */
#include "api/async_parts.h"
#include "api/orphan.h"

void async_end_pause(struct async *a)
{
  a->paused = 0;
  list_remove(&a->pause);
}

/* A request that is given a moment more, for its wait at the server is being ended, is on a link
 * that this thread drives: it cannot end between the two lines that look at it. */
static void cancel_request(struct async *a, pmx_cause cause)
{
  struct strategy *strategy = runtime_node(a->runtime, &a->request)->strategy;
  int64_t before = a->request.deadline;

  strategy->ops->cancel(strategy, &a->request, cause);
  if (!atomic_load(&a->over) && a->request.deadline != before)
    timer_set(&a->runtime->reactor, &a->timer, a->request.deadline);
}

static void give_up(struct async *a, pmx_cause cause)
{
  if (a->paused) {
    async_end_pause(a);
    a->order.ended = 0; /* not when its last try did */
    async_finish(a, a->reply);
  } else {
    cancel_request(a, cause);
  }
}

void async_hold(struct timer *timer)
{
  atomic_fetch_add(&container_of(timer, struct async, timer)->refs, 1);
}

void async_time_is_up(struct timer *timer)
{
  struct async *a = container_of(timer, struct async, timer);

  if (!atomic_load(&a->over)) {
    if (a->paused && !atomic_load(&a->client->closed)) { /* once it is, no try is taken */
      async_end_pause(a);
      async_try_again(a);
    } else {
      give_up(a, PMX_CAUSE_TIMEOUT);
    }
  }
  async_unref(a);
}

void async_run_cancel(struct job *job)
{
  struct async *a = container_of(job, struct async, cancel);

  if (!atomic_load(&a->over))
    give_up(a, PMX_CAUSE_CANCELED);
  async_unref(a);
}

void async_post_cancel(struct async *a)
{
  struct reactor *reactor = &a->runtime->reactor;

  if (atomic_exchange(&a->cancel_posted, 1))
    return;
  atomic_fetch_add(&a->refs, 1);
  reactor_post(reactor, &a->cancel);
  reactor_wake(reactor);
}

/* Thread: the one that fires, under the token's lock. What is not submitted yet finds out itself:
 * from its own flag, for the token may be gone by then. */
void async_token_fired(struct cancel_hook *hook)
{
  struct async *a = container_of(hook, struct async, call.hold);

  atomic_store(&a->fired, 1);
  if (atomic_load(&a->submitted))
    async_post_cancel(a);
}

void async_abandon(struct async *a)
{
  atomic_store(&a->abandoned, 1);
  async_post_cancel(a);
}

void async_orphan(struct async *a, const pmx_reply *reply)
{
  orphan_report(a->client, a->runtime, a->order.route.command, reply);
}

void async_end_paused(struct runtime *rt)
{
  struct list *node;

  while ((node = list_first(&rt->paused)))
    give_up(container_of(node, struct async, pause), PMX_CAUSE_CLOSED);
}
