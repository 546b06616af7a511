/* SPDX-License-Identifier: BSD-3-Clause */
/* explain.c - where a command would go and why, told without sending anything. */
#include "api/call.h"
#include "base/sync.h"
#include "base/text.h"
#include "call/reply.h"
#include "route/classify.h"
#include "route/router.h"

static size_t refused(pmx_reply *failure, char *buf, size_t size)
{
  char whole[512];
  struct text text;

  text_init(&text, whole, sizeof whole);
  text_add(&text, "refused: %s", pmx_reply_error(failure));
  pmx_reply_free(failure);
  return text_copy(&text, buf, size);
}

static size_t always(const struct strategy_ops *ops, char *buf, size_t size)
{
  char whole[128];
  struct text text;

  text_init(&text, whole, sizeof whole);
  text_add(&text, "%s",
           ops == &pool_ops ? "dedicated: strategy=pool gives each call a connection of its own"
                            : "lane: with strategy=mux all calls share connections");
  return text_copy(&text, buf, size);
}

static void look_up(pmx_client *c, const struct args *args, struct route *route)
{
  struct runtime *rt = atomic_load_explicit(&c->runtime, memory_order_acquire);

  if (route->reason == REASON_UNKNOWN)
    unknown_look(&rt->unknowns, args->argv[0], args->len[0], route);
}

static size_t explain(pmx_client *c, const struct args *args, char *buf, size_t buf_size)
{
  struct order order;
  pmx_reply *failure;
  size_t size = 0;

  order_init(&order, NULL, 0);
  classify(args->argc, args->argv, args->len, &order.route);
  failure = call_refuse(c, &order);
  if (!failure)
    failure = args_measure(args, &size);
  if (failure)
    return refused(failure, buf, buf_size);
  if (!c->strategy->routes)
    return always(c->strategy, buf, buf_size);
  router_place(&order.route, size, &c->config);
  look_up(c, args, &order.route);
  return router_explain(&order.route, size, &c->config, buf, buf_size);
}

size_t pmx_explain(pmx_client *c, int argc, const char *const *argv, const size_t *len, char *buf,
                   size_t size)
{
  int cancel_state = thread_cancel_disable();
  struct args args;
  pmx_reply *failure;
  size_t n;

  args_init(&args);
  failure = c ? args_from_argv(&args, argc, argv, len)
              : reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the client is NULL");
  n = failure ? refused(failure, buf, size) : explain(c, &args, buf, size);
  args_clear(&args);
  thread_cancel_restore(cancel_state);
  return n;
}
