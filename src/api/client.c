/* SPDX-License-Identifier: BSD-3-Clause */
/* client.c - the client's life: open, references, live options, close, and the new runtime in the
 * child of a fork. */
#include "api/client.h"
#include <string.h>
#include "api/lease.h"
#include "api/options.h"
#include "api/table.h"
#include "base/clock.h"
#include "base/mem.h"
#include "call/reply.h"
#include "resp/decode.h"
#include "strategy/control.h"

enum { GRACE_NS = 250 * 1000 * 1000 };

/* ---- opening ---- */

static pmx_reply *invalid(const char *text)
{
  return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, text);
}

static pmx_reply *no_memory(void)
{
  return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
}

static pmx_reply *unsupported(const char *text)
{
  return reply_failure_text(PMX_INVALID, PMX_CAUSE_UNSUPPORTED, text);
}

static pmx_reply *check_support(const struct config *config)
{
  if (config->protocol == PROTOCOL_RESP3 && !decoder_resp3())
    return unsupported("protocol=resp3 needs a library built with hiredis 1.0 or later: use "
                       "protocol=auto");
  return NULL;
}

static pmx_reply *make_config(struct config *config, const char *url, const pmx_options *options)
{
  char error[512];
  pmx_reply *failure;
  int bad;

  if (options && options->error[0])
    return invalid(options->error);
  if (options ? config_copy(config, &options->config) : config_init(config))
    return no_memory();
  bad = url ? config_set_url(config, url, error, sizeof error) : 0;
  if (!bad)
    bad = config_check(config, error, sizeof error);
  if (bad)
    failure = bad == SET_NOMEM ? no_memory() : invalid(error);
  else
    failure = check_support(config);
  if (failure)
    config_clear(config);
  return failure;
}

static int fills_first(const struct config *config)
{
  return config->pool_prefill == PREFILL_SYNC && config->pool_min_idle > 0;
}

/* One connection, or pool.min_idle of them, before pmx_open says yes. */
static pmx_reply *connect_once(pmx_client *c, struct runtime *rt)
{
  int fill = fills_first(&c->config);
  struct request req;

  /* A command without bytes: it ends as soon as it has a connection. */
  request_init(&req, fill ? REQUEST_FILL : REQUEST_COMMAND);
  req.route.command = "pmx_open";
  req.fail_fast = 1;
  req.thread = thread_number();
  req.queued_at = clock_ns();
  /* The connect has a limit of its own and can say why it failed: it must come first. */
  req.deadline = time_after(req.queued_at, fill ? c->config.pool_prefill_timeout
                                                : c->config.connect_timeout + GRACE_NS);
  return call_wait(runtime_node(rt, &req), &req, NULL);
}

static void set_live(pmx_client *c, const struct config *live)
{
  atomic_store_explicit(&c->command_timeout, live->command_timeout, memory_order_relaxed);
  atomic_store_explicit(&c->blocking_grace, live->blocking_grace, memory_order_relaxed);
  atomic_store_explicit(&c->retry_max, live->retry_max, memory_order_relaxed);
  atomic_store_explicit(&c->retry_reads, live->retry_reads, memory_order_relaxed);
}

/* Of the references one is the runtime's, until it is destroyed. */
enum { RUNTIME_REF = 1 };
#define ENDING (1U << 31) /* once the last user's has gone */

static pmx_client *open_client(struct config *config, pmx_reply **ret_error)
{
  pmx_client *c = mem_zalloc(sizeof *c);
  struct runtime *rt;

  if (!c) {
    *ret_error = no_memory();
    config_clear(config);
    return NULL;
  }
  c->config = *config;
  c->strategy = strategy_ops_of((pmx_strategy)config->strategy);
  atomic_init(&c->refs, 1 + RUNTIME_REF);
  set_live(c, config);
  rt = runtime_open(&c->config, &c->config, ret_error);
  if (!rt) {
    config_clear(&c->config);
    mem_free(c);
    return NULL;
  }
  atomic_init(&c->runtime, rt);
  if (config->connect == CONNECT_EAGER || fills_first(config))
    *ret_error = connect_once(c, rt);
  if (!*ret_error)
    return c;
  pmx_unref(c);
  return NULL;
}

pmx_client *pmx_open(const char *url, const pmx_options *options, pmx_reply **err)
{
  int cancel_state = thread_cancel_disable();
  struct config config;
  pmx_client *c = NULL;
  pmx_reply *failure = make_config(&config, url, options);

  if (!failure)
    c = open_client(&config, &failure);
  if (err)
    *err = failure;
  else
    pmx_reply_free(failure);
  thread_cancel_restore(cancel_state);
  return c;
}

/* ---- the runtime of this process ---- */

static struct runtime *replace_runtime(pmx_client *c, struct runtime *old, pmx_reply **ret_error)
{
  /* Nobody changes the old one any more: its threads were not forked with us. */
  struct runtime *rt = runtime_open(&c->config, &old->live, ret_error);

  if (!rt)
    return NULL;
  if (atomic_load(&c->closed))
    runtime_drain(rt, 0);
  if (atomic_compare_exchange_strong(&c->runtime, &old, rt))
    return rt;
  runtime_close(rt);
  return old; /* another thread of the child was faster */
}

struct runtime *client_runtime(pmx_client *c, pmx_reply **ret_error)
{
  struct runtime *rt = atomic_load_explicit(&c->runtime, memory_order_acquire);

  if (rt->fork_generation == fork_generation())
    return rt;
  return replace_runtime(c, rt, ret_error);
}

/* ---- references and closing ---- */

pmx_client *pmx_ref(pmx_client *c)
{
  if (c)
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

static int is_ours(const struct runtime *rt)
{
  return rt->fork_generation == fork_generation();
}

static void client_free(pmx_client *c)
{
  config_clear(&c->config);
  mem_free(c);
}

/* Runs on the reactor's thread when that one closed the client: what was promised a callback has it
 * yet to come. */
static void end_client(pmx_client *c)
{
  int cancel_state = thread_cancel_disable();
  struct runtime *rt = atomic_load(&c->runtime);

  if (is_ours(rt)) {
    pmx_close(c, 0);
    rt->owned = c;
    runtime_close(rt);
  } else {
    client_free(c);
  }
  thread_cancel_restore(cancel_state);
}

/* The callbacks that run while the client ends may take references, as futures do, and drop them:
 * only the first time that no user's is left ends it. What is left then is the runtime's. */
void pmx_unref(pmx_client *c)
{
  unsigned old, left;

  if (!c)
    return;
  old = atomic_load_explicit(&c->refs, memory_order_relaxed);
  do
    left = old == 1 + RUNTIME_REF ? ENDING | RUNTIME_REF : old - 1;
  while (!atomic_compare_exchange_weak_explicit(&c->refs, &old, left, memory_order_acq_rel,
                                                memory_order_relaxed));
  if (old == 1 + RUNTIME_REF)
    end_client(c);
  else if (left == ENDING)
    client_free(c);
}

static int wait_empty(struct runtime *rt, struct strategy *strategy, int64_t deadline)
{
  struct request req;
  pmx_reply *failure;
  int empty;

  request_init(&req, REQUEST_DRAIN);
  req.queued_at = clock_ns();
  /* What was cut off at the deadline needs a moment to come out. */
  req.deadline = time_after(deadline, NS_PER_S);
  failure = call_wait_on(strategy, &rt->node.env, &req, NULL);
  empty = !failure;
  pmx_reply_free(failure);
  return empty;
}

static int wait_drained(struct runtime *rt, int64_t deadline)
{
  struct node *node = &rt->node;
  int drained = wait_empty(rt, node->strategy, deadline);

  runtime_wait_unsubscribed(rt, time_after(deadline, NS_PER_S));
  node->control->ops->drain(node->control, deadline);
  drained &= wait_empty(rt, node->control, deadline);
  return drained && !node->strategy->ops->aborted(node->strategy);
}

int pmx_close(pmx_client *c, int64_t timeout_ms)
{
  int cancel_state = thread_cancel_disable();
  int64_t now = clock_ns(), deadline;
  struct runtime *rt;
  pmx_stats stats = PMX_STATS_INIT;
  int drained = 1;

  if (!c) {
    thread_cancel_restore(cancel_state);
    return 1;
  }
  rt = atomic_load(&c->runtime);
  atomic_store(&c->closed, 1);
  if (timeout_ms == PMX_DEFAULT)
    deadline = time_after(now, atomic_load(&c->command_timeout));
  else
    deadline = time_after(now, time_from_ms(timeout_ms));
  if (is_ours(rt)) {
    runtime_drain(rt, deadline);
    if (reactor_is_me(&rt->reactor)) {
      pmx_stats_get(c, &stats);
      drained = stats.live + stats.connecting == 0;
    } else {
      drained = wait_drained(rt, deadline);
    }
  }
  thread_cancel_restore(cancel_state);
  return drained;
}

/* ---- io=loop ---- */

int pmx_client_fd(pmx_client *c)
{
  int cancel_state = thread_cancel_disable();
  pmx_reply *failure = NULL;
  struct runtime *rt = c ? client_runtime(c, &failure) : NULL;

  pmx_reply_free(failure);
  thread_cancel_restore(cancel_state);
  return rt ? reactor_fd(&rt->reactor) : -1;
}

int pmx_dispatch(pmx_client *c, int64_t timeout_ms)
{
  int cancel_state = thread_cancel_disable();
  pmx_reply *failure = NULL;
  struct runtime *rt = c ? client_runtime(c, &failure) : NULL;
  int64_t now = clock_ns();
  int n = -1;

  pmx_reply_free(failure);
  if (rt && rt->reactor.loop)
    n = reactor_dispatch(
        &rt->reactor, timeout_ms == PMX_DEFAULT ? now : time_after(now, time_from_ms(timeout_ms)));
  thread_cancel_restore(cancel_state);
  return n;
}

/* ---- the rest ---- */

pmx_strategy pmx_client_strategy(const pmx_client *c)
{
  return c ? (pmx_strategy)c->config.strategy : PMX_STRATEGY_POOL;
}

static pmx_status change_live(pmx_client *c, struct runtime *rt, const char *name,
                              const char *value)
{
  char error[512];
  struct config changed;
  pmx_status status = PMX_OK;

  lock_acquire(&rt->lock);
  changed = rt->live;
  if (config_set(&changed, name, value, 1, error, sizeof error) ||
      config_check(&changed, error, sizeof error)) {
    notice_log(&rt->notices, PMX_LOG_WARN, "client", "%s: pmx_client_set: %s; nothing is changed",
               rt->node.name, error);
    status = PMX_INVALID;
  } else {
    rt->live = changed;
    set_live(c, &changed);
    rt->node.strategy->ops->configure(rt->node.strategy, &changed);
    control_configure(rt->node.control, &changed);
    subscriber_configure(rt->node.subscriber, &changed);
    notice_log(&rt->notices, PMX_LOG_INFO, "client", "%s: %s was changed", rt->node.name, name);
  }
  lock_release(&rt->lock);
  return status;
}

pmx_status pmx_client_set(pmx_client *c, const char *name, const char *value)
{
  int cancel_state = thread_cancel_disable();
  pmx_reply *failure = NULL;
  struct runtime *rt = c ? client_runtime(c, &failure) : NULL;
  pmx_status status = rt ? change_live(c, rt, name, value) : PMX_INVALID;

  if (failure)
    status = pmx_reply_finish(failure);
  thread_cancel_restore(cancel_state);
  return status;
}
