/* SPDX-License-Identifier: BSD-3-Clause */
/* future.c - the outcome of a call that was only begun: published once by whoever completes the
 * call, waited for by one thread, alone or with others. Knows nothing of how calls are carried out.
 *
 * Two references: the user's and the call's. A waiter and its parker are on the stack of their
 * thread: they are touched under the future's lock only, which the thread takes before it leaves.
 */
#include "api/async.h"
#include "base/clock.h"
#include "base/mem.h"
#include "call/reply.h"

enum { AT_ONCE = 32, SLICE_NS = 2 * 1000 * 1000 };

struct waiting {
  struct list node;
  struct parker *parker;
  struct reactor *nested; /* it may be running this one meanwhile */
};

struct pmx_future {
  _Atomic unsigned refs;
  pmx_client *client; /* a reference, the user's */
  struct reactor *reactor;
  uint32_t fork_generation;
  struct lock lock; /* of all below */
  struct list waiting;
  int ready, freed; /* freed: by its user */
  pmx_reply *reply;
  struct async *call; /* whose reply must not be lost; or NULL */
};

static void unref(pmx_future *f)
{
  if (atomic_fetch_sub(&f->refs, 1) != 1)
    return;
  pmx_reply_free(f->reply);
  if (f->call)
    async_unref(f->call);
  lock_destroy(&f->lock);
  mem_free(f);
}

void future_has_call(pmx_future *f, struct async *call)
{
  f->call = call;
}

void future_publish(pmx_future *f, pmx_reply *reply)
{
  int freed;

  lock_acquire(&f->lock);
  f->reply = reply;
  f->ready = 1;
  freed = f->freed;
  for (struct list *node = f->waiting.next; node != &f->waiting; node = node->next) {
    struct waiting *w = container_of(node, struct waiting, node);

    parker_wake(w->parker);
    reactor_wake_nested(w->nested);
  }
  lock_release(&f->lock);
  if (freed && f->call)
    async_orphan(f->call, reply);
  unref(f);
}

/* ---- making one ---- */

static pmx_future *make(pmx_client *c)
{
  pmx_future *f = mem_zalloc(sizeof *f);

  if (!f)
    return NULL;
  atomic_init(&f->refs, 2);
  lock_init(&f->lock);
  list_init(&f->waiting);
  f->fork_generation = fork_generation();
  f->client = pmx_ref(c);
  return f;
}

static pmx_future *submit(pmx_client *c, const pmx_call *call, struct args *args,
                          pmx_reply *bad_args)
{
  int cancel_state = thread_cancel_disable();
  pmx_future *f = make(c);
  struct async_target target = {.future = f};
  pmx_reply *failure = NULL;

  if (!f)
    pmx_reply_free(bad_args);
  else if (!c)
    failure =
        bad_args ? bad_args : reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the client is NULL");
  else
    failure = async_start(c, call, args, bad_args, &target);
  if (f && !failure)
    f->reactor = &atomic_load(&c->runtime)->reactor;
  if (failure)
    future_publish(f, failure);
  args_clear(args);
  thread_cancel_restore(cancel_state);
  return f;
}

pmx_future *pmx_submit(pmx_client *c, const pmx_call *call, const char *format, ...)
{
  struct args args;
  pmx_reply *bad_args;
  va_list list;

  args_init(&args);
  va_start(list, format);
  bad_args = args_from_format(&args, format, list);
  va_end(list);
  return submit(c, call, &args, bad_args);
}

pmx_future *pmx_submit_argv(pmx_client *c, const pmx_call *call, int argc, const char *const *argv,
                            const size_t *len)
{
  struct args args;

  args_init(&args);
  return submit(c, call, &args, args_from_argv(&args, argc, argv, len));
}

/* ---- waiting ---- */

static int is_lost(const pmx_future *f)
{
  return f->fork_generation != fork_generation();
}

/* 1: there is something to take: also when it was begun before a fork, which nobody will end. */
static int is_ready(pmx_future *f)
{
  int ready;

  if (!f || is_lost(f))
    return 1;
  lock_acquire(&f->lock);
  ready = f->ready;
  lock_release(&f->lock);
  return ready;
}

static int first_ready(pmx_future *const *futures, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (is_ready(futures[i]))
      return (int)i;
  }
  return -1;
}

static void join_all(pmx_future *const *futures, size_t n, struct waiting *nodes,
                     const struct waiting *as)
{
  for (size_t i = 0; i < n; i++) {
    nodes[i] = *as;
    lock_acquire(&futures[i]->lock);
    list_push_back(&futures[i]->waiting, &nodes[i].node);
    lock_release(&futures[i]->lock);
  }
}

static void leave_all(pmx_future *const *futures, size_t n, struct waiting *nodes)
{
  for (size_t i = 0; i < n; i++) {
    lock_acquire(&futures[i]->lock);
    list_remove(&nodes[i].node);
    lock_release(&futures[i]->lock);
  }
}

/* From `at` on, the next future whose reactor stands still without us, and is not the one of `at`;
 * n: there is none. */
static size_t next_to_run(pmx_future *const *futures, size_t n, size_t at)
{
  for (size_t i = 1; i <= n; i++) {
    size_t next = (at + i) % n;
    struct reactor *r = futures[next]->reactor;

    if (r != futures[at]->reactor && (r->loop || reactor_is_me(r)))
      return next;
  }
  return n;
}

static int64_t earlier(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* nodes NULL: there was no memory for them, and nobody wakes us. */
static int wait_any(pmx_future *const *futures, size_t n, int64_t deadline, struct waiting *nodes)
{
  size_t at = next_to_run(futures, n, 0), joined = nodes ? n : 0, next;
  struct parker parker;
  struct waiting as = {.parker = &parker};
  int found;

  at = at < n ? at : 0;
  as.nested = futures[at]->reactor;
  parker_init(&parker);
  join_all(futures, joined, nodes, &as);
  for (;;) {
    uint32_t ticket = parker_ticket(&parker);
    int64_t now = clock_ns(), until = deadline;

    found = first_ready(futures, n);
    if (found >= 0 || now >= deadline)
      break;
    next = next_to_run(futures, n, at);
    if (next < n || !nodes)
      until = earlier(deadline, now + SLICE_NS);
    reactor_wait(futures[at]->reactor, &parker, ticket, until);
    at = next < n ? next : at;
  }
  if (is_lost(futures[0])) /* in the child of a fork meanwhile they may be locked by nobody */
    return found;
  leave_all(futures, joined, nodes);
  parker_destroy(&parker);
  return found;
}

int pmx_future_wait_any(pmx_future *const *futures, size_t n, int64_t timeout_ms)
{
  int cancel_state = thread_cancel_disable();
  int found = futures ? first_ready(futures, n) : -1;
  struct waiting few[AT_ONCE], *nodes = few;
  int64_t deadline;

  if (found < 0 && futures && n > 0 && timeout_ms > 0) {
    deadline = time_after(clock_ns(), time_from_ms(timeout_ms));
    if (n > AT_ONCE)
      nodes = mem_alloc(n * sizeof *nodes);
    found = wait_any(futures, n, deadline, nodes);
    if (nodes != few)
      mem_free(nodes);
  }
  thread_cancel_restore(cancel_state);
  return found;
}

int pmx_future_wait(pmx_future *f, int64_t timeout_ms)
{
  return pmx_future_wait_any(&f, 1, timeout_ms) == 0;
}

/* ---- the end ---- */

static void drop(pmx_future *f)
{
  pmx_client *c = f->client;

  unref(f);
  pmx_unref(c);
}

pmx_reply *pmx_future_take(pmx_future *f)
{
  pmx_reply *reply;

  if (!f)
    return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory: there is no future");
  pmx_future_wait(f, PMX_FOREVER);
  if (is_lost(f) && !f->ready)
    reply = reply_failure_text(PMX_UNKNOWN, PMX_CAUSE_FORKED,
                               "begun before fork(): its outcome is the parent's");
  else
    reply = pmx_reply_ref(f->reply);
  drop(f);
  return reply;
}

/* What a blocking command takes, or has taken, must not vanish unseen. */
static void abandon(pmx_future *f)
{
  int ready;

  lock_acquire(&f->lock);
  ready = f->ready;
  f->freed = 1;
  lock_release(&f->lock);
  if (ready)
    async_orphan(f->call, f->reply);
  else
    async_abandon(f->call);
}

void pmx_future_free(pmx_future *f)
{
  int cancel_state;

  if (!f)
    return;
  cancel_state = thread_cancel_disable();
  if (f->call && !is_lost(f))
    abandon(f);
  drop(f);
  thread_cancel_restore(cancel_state);
}
