/* SPDX-License-Identifier: BSD-3-Clause */
/* cancel.c - owns cancel tokens and who hangs on them. A token lives until its owner has freed it
 * and the last hook is off. Knows nothing of calls: a hook only wakes its waiter.
 *
 * In the child of a fork the lock may belong to a thread that is gone, and the hooks lie on stacks
 * that are gone. The first use there starts both afresh; a hook from before is never followed. */
#include "call/cancel.h"
#include "base/mem.h"
#include "base/sync.h"
#include <stdatomic.h>

struct pmx_cancel {
  atomic_int fired;
  _Atomic uint64_t era; /* twice the fork generation; odd: somebody starts it afresh right now */
  struct lock lock;
  struct list hooks;
  int freed; /* by its owner */
};

static void start_afresh(pmx_cancel *token)
{
  lock_init(&token->lock);
  list_init(&token->hooks);
}

static void token_lock(pmx_cancel *token)
{
  uint64_t now = (uint64_t)fork_generation() * 2;
  uint64_t era = atomic_load_explicit(&token->era, memory_order_acquire);

  while (era != now) {
    if (era != now + 1 && atomic_compare_exchange_strong(&token->era, &era, now + 1)) {
      start_afresh(token);
      atomic_store_explicit(&token->era, now, memory_order_release);
    }
    era = atomic_load_explicit(&token->era, memory_order_acquire);
  }
  lock_acquire(&token->lock);
}

/* Frees the token when nobody is left. */
static void token_unlock(pmx_cancel *token)
{
  int last = token->freed && list_empty(&token->hooks);

  lock_release(&token->lock);
  if (!last)
    return;
  lock_destroy(&token->lock);
  mem_free(token);
}

pmx_cancel *pmx_cancel_new(void)
{
  pmx_cancel *token = mem_alloc(sizeof *token);

  if (!token)
    return NULL;
  atomic_init(&token->fired, 0);
  atomic_init(&token->era, (uint64_t)fork_generation() * 2);
  token->freed = 0;
  start_afresh(token);
  return token;
}

void pmx_cancel_fire(pmx_cancel *token)
{
  int cancel_state;

  if (!token)
    return;
  cancel_state = thread_cancel_disable(); /* a wake may be a write() */
  token_lock(token);
  atomic_store_explicit(&token->fired, 1, memory_order_release);
  for (struct list *node = token->hooks.next; node != &token->hooks; node = node->next) {
    struct cancel_hook *hook = container_of(node, struct cancel_hook, node);

    hook->wake(hook);
  }
  token_unlock(token);
  thread_cancel_restore(cancel_state);
}

void pmx_cancel_free(pmx_cancel *token)
{
  if (!token)
    return;
  token_lock(token);
  token->freed = 1;
  token_unlock(token);
}

int cancel_fired(const pmx_cancel *token)
{
  return token && atomic_load_explicit(&token->fired, memory_order_acquire);
}

void cancel_attach(pmx_cancel *token, struct cancel_hook *hook, void (*wake)(struct cancel_hook *))
{
  list_init(&hook->node);
  hook->token = token;
  hook->wake = wake;
  hook->generation = fork_generation();
  if (!token)
    return;
  token_lock(token);
  list_push_back(&token->hooks, &hook->node);
  if (cancel_fired(token))
    wake(hook);
  token_unlock(token);
}

void cancel_detach(struct cancel_hook *hook)
{
  pmx_cancel *token = hook->token;

  if (!token)
    return;
  hook->token = NULL;
  if (hook->generation != fork_generation()) {
    list_init(&hook->node);
    return;
  }
  token_lock(token);
  list_remove(&hook->node);
  token_unlock(token);
}
