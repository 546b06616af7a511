/* SPDX-License-Identifier: BSD-3-Clause */
/* watchers.c - see watchers.h. A watcher is published under the lock: its issuer, who may be giving
 * it up just now, finds it either on the list or ended. One with completed() is never given up, and
 * what it does then, such as closing connections, is not done under a lock. */
#include "strategy/watchers.h"
#include "call/reply.h"

void watchers_init(struct watchers *w)
{
  lock_init(&w->lock);
  list_init(&w->list);
}

void watchers_destroy(struct watchers *w)
{
  lock_destroy(&w->lock);
}

pmx_reply *watchers_add(struct watchers *w, struct link_env *env, struct request *req)
{
  if (!req->completed) {
    atomic_store(&req->parker, parker_get(env->parkers));
    if (!atomic_load(&req->parker))
      return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
  }
  lock_acquire(&w->lock);
  request_set_state(req, REQUEST_QUEUED);
  list_push_back(&w->list, &req->node);
  lock_release(&w->lock);
  return NULL;
}

void watchers_cancel(struct watchers *w, struct request *req, pmx_cause cause, const char *name)
{
  int linked;

  lock_acquire(&w->lock);
  linked = list_linked(&req->node);
  list_remove(&req->node);
  lock_release(&w->lock);
  if (linked)
    request_end(req, reply_failure(PMX_NOT_RUN, cause, "%s: not done in time", name));
}

void watchers_end(struct watchers *w, struct link_env *env)
{
  struct list called;
  struct list *node;

  list_init(&called);
  lock_acquire(&w->lock);
  while ((node = list_first(&w->list))) {
    struct request *req = container_of(node, struct request, node);

    list_remove(node);
    if (req->completed)
      list_push_back(&called, node);
    else
      request_publish(req);
  }
  lock_release(&w->lock);
  reactor_wake_nested(env->reactor);
  while ((node = list_first(&called))) {
    list_remove(node);
    request_publish(container_of(node, struct request, node));
  }
}
