/* SPDX-License-Identifier: BSD-3-Clause */
/* subscribe.c - pmx_sub: messages by callback or pulled, names added and removed. Knows neither
 * connections nor commands: those are the node's subscriber's.
 *
 * Callbacks run between the reactor's steps, one posted job for each pmx_sub that has something, so
 * that no pmx_sub and no asynchronous call waits for more than what another has at that moment.
 * `running` is set under the subscriber's lock; pmx_sub_free waits until it is not, unless it runs
 * on the reactor's own thread: there it is inside that callback, or none is running. */
#include <string.h>
#include "api/client.h"
#include "base/clock.h"
#include "base/mem.h"
#include "call/reply.h"
#include "link/wait.h"
#include "strategy/subscriber.h"

struct pmx_sub {
  struct listener listener;
  pmx_client *client; /* a reference, the user's */
  struct runtime *runtime;
  uint32_t fork_generation;
  pmx_message_fn fn; /* or NULL */
  void *ud;
  int running;         /* the callback; under the subscriber's lock */
  struct list leaving; /* who waits for its end, the same */
};

struct leaver {
  struct list node;
  struct parker *parker;
};

static const pmx_cause cause_of[] = {[WAIT_TIMEOUT] = PMX_CAUSE_TIMEOUT,
                                     [WAIT_CANCELED] = PMX_CAUSE_CANCELED,
                                     [WAIT_NOMEM] = PMX_CAUSE_NOMEM};

static int is_ours(const pmx_sub *sub)
{
  return sub->fork_generation == fork_generation();
}

static pmx_reply *invalid(const char *text)
{
  return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, text);
}

static pmx_reply *no_memory(void)
{
  return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
}

/* ---- callbacks ---- */

/* Locked. Who frees it elsewhere looks again. */
static void stop_running(pmx_sub *sub)
{
  sub->running = 0;
  for (struct list *node = sub->leaving.next; node != &sub->leaving; node = node->next)
    parker_wake(container_of(node, struct leaver, node)->parker);
}

/* 1: there was one, and it has run. */
static int run_next(pmx_sub *sub)
{
  struct subscriber *s = sub->listener.subscriber;
  pmx_message message = PMX_MESSAGE_INIT;
  pmx_reply *reply;

  subscriber_enter(s);
  stop_running(sub);
  reply = sub->listener.ended ? NULL : inbox_take(&sub->listener.inbox);
  sub->running = reply != NULL;
  subscriber_leave(s);
  if (!reply)
    return 0;
  pmx_message_get(reply, &message);
  sub->fn(sub->ud, &message);
  pmx_reply_free(reply);
  return 1;
}

static uint64_t how_many(pmx_sub *sub)
{
  struct subscriber *s = sub->listener.subscriber;
  uint64_t n;

  subscriber_enter(s);
  n = 1 + sub->listener.inbox.put - sub->listener.inbox.taken;
  subscriber_leave(s);
  return n;
}

/* Those that are there now; what comes meanwhile waits for its turn. One may fork: in the child the
 * rest is the parent's. */
static void run_callbacks(struct job *job)
{
  pmx_sub *sub = container_of(job, struct pmx_sub, listener.call);
  struct subscriber *s = sub->listener.subscriber;
  uint64_t n = how_many(sub);

  while (n-- > 0 && run_next(sub)) {
    if (!is_ours(sub))
      return;
  }
  subscriber_enter(s);
  stop_running(sub);
  sub->listener.called = 0;
  subscriber_serve(s, &sub->listener); /* posted again, if there is more */
  subscriber_leave(s);
  listener_unref(&sub->listener);
}

/* ---- life ---- */

static void destroy(struct listener *l)
{
  pmx_sub *sub = container_of(l, struct pmx_sub, listener);

  inbox_destroy(&l->inbox);
  mem_free(sub);
}

static pmx_sub *make(pmx_client *c, struct runtime *rt, pmx_message_fn fn, void *ud)
{
  pmx_sub *sub = mem_zalloc(sizeof *sub);

  if (!sub)
    return NULL;
  sub->runtime = rt;
  sub->fork_generation = fork_generation();
  sub->fn = fn;
  sub->ud = ud;
  list_init(&sub->leaving);
  sub->listener.destroy = destroy;
  job_init(&sub->listener.call, run_callbacks);
  if (listener_open(&sub->listener, rt->node.subscriber, fn != NULL)) {
    mem_free(sub);
    return NULL;
  }
  sub->client = pmx_ref(c);
  return sub;
}

pmx_sub *pmx_sub_new(pmx_client *c, pmx_message_fn fn, void *ud)
{
  int cancel_state = thread_cancel_disable();
  pmx_reply *failure = NULL;
  struct runtime *rt = c ? client_runtime(c, &failure) : NULL;
  pmx_sub *sub = rt ? make(c, rt, fn, ud) : NULL;

  pmx_reply_free(failure);
  thread_cancel_restore(cancel_state);
  return sub;
}

static int is_running(pmx_sub *sub, struct leaver *leaver)
{
  struct subscriber *s = sub->listener.subscriber;
  int running;

  subscriber_enter(s);
  running = sub->running;
  if (!running)
    list_remove(&leaver->node);
  else if (!list_linked(&leaver->node))
    list_push_back(&sub->leaving, &leaver->node);
  subscriber_leave(s);
  return running;
}

/* The parker is touched under the lock only, which is_running takes before we leave. */
static void wait_until_idle(pmx_sub *sub)
{
  struct reactor *reactor = &sub->runtime->reactor;
  struct parker parker;
  struct leaver leaver = {.parker = &parker};
  uint32_t ticket;

  if (reactor_is_me(reactor))
    return;
  parker_init(&parker);
  list_init(&leaver.node);
  for (;;) {
    ticket = parker_ticket(&parker);
    if (!is_running(sub, &leaver))
      break;
    reactor_wait(reactor, &parker, ticket, TIME_FOREVER);
  }
  parker_destroy(&parker);
}

void pmx_sub_free(pmx_sub *sub)
{
  int cancel_state;
  pmx_client *c;

  if (!sub)
    return;
  cancel_state = thread_cancel_disable();
  c = sub->client;
  if (is_ours(sub)) { /* else its locks may be held by threads that do not exist here */
    listener_end(&sub->listener);
    wait_until_idle(sub);
    listener_unref(&sub->listener);
  }
  pmx_unref(c);
  thread_cancel_restore(cancel_state);
}

/* ---- names ---- */

typedef pmx_reply *(*change_fn)(struct listener *, struct wait *, pmx_sub_kind, const char *,
                                size_t);

struct change {
  change_fn fn;
  pmx_sub_kind kind;
  const char *name;
  size_t len;
};

static pmx_reply *check_sub(const pmx_sub *sub)
{
  if (!sub)
    return invalid("the subscription is NULL");
  if (!is_ours(sub))
    return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_FORKED,
                              "the subscription was made before fork(): make one in this process");
  return NULL;
}

static pmx_reply *check_change(const struct change *change)
{
  if ((unsigned)change->kind > PMX_SUB_SHARD)
    return invalid("no such pmx_sub_kind");
  if (!change->name)
    return invalid("the name is NULL");
  if (change->len > TOPIC_NAME_MAX)
    return reply_failure(PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                         "a name of %zu bytes: at most %d are possible", change->len,
                         TOPIC_NAME_MAX);
  return NULL;
}

static int prepare(struct request *req, struct link_env *env, const struct call *call)
{
  struct parker *parker = parker_get(env->parkers);

  request_init(req, REQUEST_COMMAND);
  req->queued_at = call->started;
  req->deadline = call->deadline;
  atomic_store(&req->parker, parker);
  return parker ? 0 : -1;
}

static pmx_reply *change_and_wait(pmx_sub *sub, const struct change *change,
                                  const struct call *call)
{
  struct link_env *env = &sub->runtime->node.env;
  struct wait w;
  pmx_reply *reply;
  enum wait_result result;

  if (prepare(&w.request, env, call))
    return no_memory();
  reply = change->fn(&sub->listener, &w, change->kind, change->name, change->len);
  if (!reply) {
    while ((result = wait_until(&w.request, env, call->cancel)) != WAIT_ENDED)
      listener_give_up(&sub->listener, &w, cause_of[result], clock_ns());
    reply = w.request.reply ? w.request.reply : reply_ok();
  }
  parker_put(env->parkers, atomic_load(&w.request.parker));
  return reply;
}

static pmx_reply *change_names(pmx_sub *sub, const pmx_call *in, const struct change *change)
{
  struct call call;
  pmx_client *c;
  pmx_reply *failure = check_sub(sub);

  if (!failure)
    failure = check_change(change);
  if (!failure)
    failure = call_read(sub->client, in, &call);
  if (failure)
    return failure;
  c = pmx_ref(sub->client); /* pmx_sub_free() ends this call, and may end the client */
  listener_ref(&sub->listener);
  call_hold(&call);
  failure = call_may_begin(&call);
  if (!failure)
    failure = change_and_wait(sub, change, &call);
  call_let_go(&call);
  listener_unref(&sub->listener);
  pmx_unref(c);
  return failure;
}

static pmx_reply *change(pmx_sub *sub, const pmx_call *call, const struct change *change)
{
  int cancel_state = thread_cancel_disable();
  pmx_reply *reply = change_names(sub, call, change);

  thread_cancel_restore(cancel_state);
  return reply;
}

pmx_reply *pmx_sub_add(pmx_sub *sub, const pmx_call *call, pmx_sub_kind kind, const char *name,
                       size_t len)
{
  return change(sub, call, &(struct change){listener_add, kind, name, len});
}

pmx_reply *pmx_sub_remove(pmx_sub *sub, const pmx_call *call, pmx_sub_kind kind, const char *name,
                          size_t len)
{
  return change(sub, call, &(struct change){listener_remove, kind, name, len});
}

/* ---- the pull form ---- */

static pmx_reply *pull(pmx_sub *sub, const struct call *call)
{
  struct link_env *env = &sub->runtime->node.env;
  struct request req;
  pmx_reply *reply;
  enum wait_result result;

  if (prepare(&req, env, call))
    return no_memory();
  reply = listener_next(&sub->listener, &req, call->started < call->deadline);
  if (!reply) {
    while ((result = wait_until(&req, env, call->cancel)) != WAIT_ENDED)
      listener_give_up_next(&sub->listener, &req, cause_of[result], clock_ns());
    reply = req.reply;
  }
  parker_put(env->parkers, atomic_load(&req.parker));
  return reply;
}

static pmx_reply *next(pmx_sub *sub, const pmx_call *in)
{
  struct call call;
  pmx_client *c;
  pmx_reply *reply = check_sub(sub);

  if (!reply && sub->fn)
    reply = invalid("this subscription has a callback, which gets its messages");
  if (!reply)
    reply = call_read(sub->client, in, &call);
  if (reply)
    return reply;
  c = pmx_ref(sub->client);
  listener_ref(&sub->listener);
  call_hold(&call);
  if (cancel_fired(call.cancel))
    reply = reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CANCELED, "cancelled before it began");
  else
    reply = pull(sub, &call);
  call_let_go(&call);
  listener_unref(&sub->listener);
  pmx_unref(c);
  return reply;
}

pmx_reply *pmx_sub_next(pmx_sub *sub, const pmx_call *call)
{
  int cancel_state = thread_cancel_disable();
  pmx_reply *reply = next(sub, call);

  thread_cancel_restore(cancel_state);
  return reply;
}
