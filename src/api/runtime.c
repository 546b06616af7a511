/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime.c - what a client owns in one process: the reactor, the resolver and the node. */
#include <errno.h>
#include <stdio.h>
#include "api/async.h"
#include "api/client.h"
#include "api/lease.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"
#include "link/wait.h"
#include "net/tls_context.h"
#include "strategy/control.h"

static void name_node(struct node *node, const struct config *config)
{
  const char *format = "%s:%lld";

  for (const char *c = config->host; *c; c++) {
    if (*c == ':')
      format = "[%s]:%lld";
  }
  if (config->socket[0])
    snprintf(node->name, sizeof node->name, "%s", config->socket);
  else
    snprintf(node->name, sizeof node->name, format, config->host, (long long)config->port);
}

static enum address_family family_of(const struct config *config)
{
  static const enum address_family families[] = {FAMILY_ANY, FAMILY_IPV4, FAMILY_IPV6};

  return families[config->address_family];
}

pmx_reply *runtime_explain_tls(const char *error)
{
  if (!*error)
    return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
  return reply_failure_text(PMX_INVALID, PMX_CAUSE_TLS, error);
}

/* Before anything of the runtime runs: files are read, and the user's passphrase function may be
 * asked. NULL, or why not. */
static pmx_reply *open_tls(struct runtime *rt)
{
  struct tls_context *context;
  char error[TLS_ERROR_SIZE];

  if (!rt->fixed.tls)
    return NULL;
  tls_begin();
  context = tls_context_new(&rt->fixed, error, sizeof error);
  if (!context)
    return runtime_explain_tls(error);
  tls_source_init(&rt->node.tls, context);
  rt->node.env.tls = &rt->node.tls;
  if (rt->fixed.tls_insecure_skip_verify)
    notice_log(&rt->notices, PMX_LOG_WARN, "tls",
               "%s: tls.insecure_skip_verify=yes: the server's certificate is not verified, anybody "
               "in between can read and change everything",
               rt->node.name);
  return NULL;
}

static int open_node(struct runtime *rt)
{
  struct node *node = &rt->node;
  struct link_env *env = &node->env;
  const struct strategy_ops *ops;
  int err;

  env->reactor = &rt->reactor;
  env->resolver = rt->resolver;
  env->notices = &rt->notices;
  env->parkers = &rt->parkers;
  env->config = &rt->fixed;
  env->name = node->name;
  env->endpoint.host = rt->fixed.host;
  env->endpoint.socket = rt->fixed.socket[0] ? rt->fixed.socket : NULL;
  env->endpoint.port = (uint16_t)rt->fixed.port;
  env->endpoint.family = family_of(&rt->fixed);
  ops = strategy_ops_of((pmx_strategy)rt->fixed.strategy);
  err = control_open(env, &rt->live, &node->control);
  if (!err)
    err = subscriber_open(env, &rt->live, &node->subscriber);
  return err ? err : ops->open(env, &rt->live, node->control, &node->strategy);
}

/* Accepts one that is half open: what is NULL was not opened. */
static void destroy(struct runtime *rt)
{
  subscriber_close(rt->node.subscriber);
  if (rt->node.strategy)
    rt->node.strategy->ops->close(rt->node.strategy);
  if (rt->node.control)
    rt->node.control->ops->close(rt->node.control);
  if (rt->node.env.tls)
    tls_source_destroy(&rt->node.tls);
  resolver_close(rt->resolver);
  if (rt->reactor.poller)
    reactor_destroy(&rt->reactor);
  notices_destroy(&rt->notices);
  parker_slab_destroy(&rt->parkers);
  lease_slab_destroy(&rt->leases);
  unknowns_destroy(&rt->unknowns);
  lock_destroy(&rt->lock);
  if (rt->owned)
    pmx_unref(rt->owned);
  mem_free(rt);
}

static void destroy_arg(void *arg)
{
  destroy(arg);
}

static pmx_reply *cannot_start(int err)
{
  char reason[80];

  if (err == ENOMEM)
    return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory");
  return reply_failure(PMX_NOT_RUN, PMX_CAUSE_CONNECT, "cannot start the client: %s",
                       transport_error_text(err, reason, sizeof reason));
}

static void end_paused(struct job *job)
{
  async_end_paused(container_of(job, struct runtime, end_paused));
}

static uint64_t connections_of(struct strategy *strategy)
{
  struct account account = {.times = NULL};
  uint64_t connections = 0;

  for (unsigned i = 0; strategy->ops->account(strategy, i, &account); i++)
    connections += account.stats.live + account.stats.connecting;
  return connections;
}

static int wind_up(struct reactor *reactor)
{
  struct runtime *rt = container_of(reactor, struct runtime, reactor);
  int64_t now = clock_ns();

  if (rt->wind_up_until == 0)
    rt->wind_up_until = now + NS_PER_S;
  if (connections_of(rt->node.strategy) + connections_of(rt->node.control) > 0 &&
      now < rt->wind_up_until)
    return 0;
  async_end_paused(rt);
  return 1;
}

static void tell_begin(struct runtime *rt)
{
  static const char *const strategies[] = {[PMX_STRATEGY_HYBRID] = "hybrid",
                                           [PMX_STRATEGY_POOL] = "pool",
                                           [PMX_STRATEGY_MUX] = "mux"};

  notice_log(&rt->notices, PMX_LOG_INFO, "client", "%s: a client begins: strategy=%s, io=%s, tls=%s",
             rt->node.name, strategies[rt->fixed.strategy],
             rt->fixed.io == IO_LOOP ? "loop" : "thread", rt->fixed.tls ? "yes" : "no");
}

/* NULL, or why not. */
static pmx_reply *start(struct runtime *rt)
{
  pmx_reply *failure;
  int err;

  name_node(&rt->node, &rt->fixed);
  failure = open_tls(rt);
  if (failure)
    return failure;
  err = resolver_open(&rt->resolver);
  if (!err)
    err = reactor_open(&rt->reactor, &rt->notices, rt->fixed.io == IO_LOOP);
  rt->reactor.wind_up = wind_up;
  if (!err)
    err = open_node(rt);
  /* The thread comes last: all that it looks at is there. */
  if (!err)
    err = reactor_start(&rt->reactor);
  if (!err)
    tell_begin(rt);
  return err ? cannot_start(err) : NULL;
}

struct runtime *runtime_open(const struct config *fixed, const struct config *live,
                             pmx_reply **ret_error)
{
  struct runtime *rt = mem_zalloc(sizeof *rt);

  if (!rt) {
    *ret_error = cannot_start(ENOMEM);
    return NULL;
  }
  rt->fork_generation = fork_generation();
  rt->fixed = *fixed;
  rt->live = *live;
  lock_init(&rt->lock);
  parker_slab_init(&rt->parkers);
  lease_slab_init(&rt->leases);
  list_init(&rt->paused);
  atomic_init(&rt->close_at, TIME_FOREVER);
  job_init(&rt->end_paused, end_paused);
  notices_init(&rt->notices, fixed->log, fixed->log_max, fixed->log_ud, fixed->event,
               fixed->event_ud);
  *ret_error = start(rt);
  if (!*ret_error)
    return rt;
  destroy(rt);
  return NULL;
}

void runtime_close(struct runtime *rt)
{
  reactor_close(&rt->reactor, destroy_arg, rt);
}

struct node *runtime_node(struct runtime *rt, const struct request *req)
{
  (void)req; /* a cluster will look at its keys */
  return &rt->node;
}

/* ---- closing ---- */

/* It comes last, for what still runs may have to be unblocked. */
static void drain_control(struct runtime *rt)
{
  rt->node.control->ops->drain(rt->node.control, atomic_load(&rt->close_at));
}

/* Thread: any. Locks: none. */
static void drained(struct request *req)
{
  struct runtime *rt = container_of(req, struct runtime, drained);
  struct parker *parker = atomic_load(&req->parker);

  if (parker)
    parker_put(&rt->parkers, parker);
  pmx_reply_free(req->reply);
  notice_log(&rt->notices, PMX_LOG_INFO, "client",
             "%s: closed: all calls have ended, and so have their connections", rt->node.name);
  drain_control(rt);
}

static void tell_closing(struct runtime *rt, int64_t deadline)
{
  char left[32];
  struct text text;

  text_init(&text, left, sizeof left);
  text_add_ms(&text, deadline > clock_ns() ? deadline - clock_ns() : 0);
  notice_log(&rt->notices, PMX_LOG_INFO, "client",
             "%s: closing: nothing new is taken, and what runs is cut off in %s", rt->node.name,
             left);
}

static void watch_drain(struct runtime *rt)
{
  pmx_reply *failure;

  request_init(&rt->drained, REQUEST_DRAIN);
  rt->drained.completed = drained;
  failure = rt->node.strategy->ops->submit(rt->node.strategy, &rt->drained);
  if (failure)
    drain_control(rt);
  pmx_reply_free(failure);
}

/* No try is taken any more. */
void runtime_drain(struct runtime *rt, int64_t deadline)
{
  int64_t before = atomic_load(&rt->close_at);
  int first = !atomic_exchange(&rt->draining, 1);

  if (first)
    tell_closing(rt, deadline);
  while (deadline < before && !atomic_compare_exchange_weak(&rt->close_at, &before, deadline))
    ;
  subscriber_drain(rt->node.subscriber);
  rt->node.strategy->ops->drain(rt->node.strategy, deadline);
  if (first)
    watch_drain(rt);
  reactor_post(&rt->reactor, &rt->end_paused);
  reactor_wake(&rt->reactor);
}

/* Its connection is closed at once, but by the reactor. */
void runtime_wait_unsubscribed(struct runtime *rt, int64_t deadline)
{
  struct subscriber *s = rt->node.subscriber;
  struct parker *parker = parker_get(&rt->parkers);
  struct request req;

  if (!parker)
    return;
  request_init(&req, REQUEST_DRAIN);
  req.deadline = deadline;
  atomic_store(&req.parker, parker);
  if (subscriber_wait_closed(s, &req)) {
    while (wait_until(&req, &rt->node.env, NULL) != WAIT_ENDED)
      subscriber_give_up_wait(s, &req);
  }
  parker_put(&rt->parkers, parker);
}
