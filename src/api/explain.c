/* SPDX-License-Identifier: BSD-3-Clause */
/* explain.c - where a command would go and why, told without sending anything. */
#include "api/call.h"
#include "base/sync.h"
#include "base/text.h"
#include "call/reply.h"
#include "route/classify.h"
#include "route/router.h"

enum { NAME_SHOWN = 32 };

static void add_refusal(struct text *text, pmx_reply *failure)
{
  text_add(text, "refused: %s", pmx_reply_error(failure));
  pmx_reply_free(failure);
}

static void look_up(pmx_client *c, const struct args *args, struct route *route)
{
  struct runtime *rt = atomic_load_explicit(&c->runtime, memory_order_acquire);

  if (route->reason == REASON_UNKNOWN)
    unknown_look(&rt->unknowns, args->argv[0], args->len[0], route);
  if (route->reason == REASON_ORDINARY && c->config.hybrid_learn == LEARN_ON && args->argc > 1 &&
      learn_is_large(&c->learn, learn_key(route, args->argv[1], args->len[1]))) {
    route->place = PLACE_POOL;
    route->reason = REASON_LEARNED;
  }
}

/* What the library does not know is called as the caller calls it. */
static void add_route(struct text *text, const pmx_client *c, const struct args *args,
                      const struct route *route, size_t size)
{
  char buf[4 * NAME_SHOWN + 8];
  struct text name;

  text_init(&name, buf, sizeof buf);
  if (route->command[0] == '?')
    text_add_quoted(&name, args->argv[0], args->len[0], NAME_SHOWN);
  else
    text_add(&name, "%s", route->command);
  router_explain(route, buf, size, &c->config, text);
}

static void explain(pmx_client *c, const struct args *args, struct text *text)
{
  struct order order;
  pmx_reply *failure;
  size_t size = 0;

  order_init(&order, NULL, 0);
  classify(args->argc, args->argv, args->len, &order.route);
  failure = call_refuse(c, &order);
  if (!failure)
    failure = encode_size(args, (size_t)c->config.request_max_size, &size);
  if (failure) {
    add_refusal(text, failure);
  } else if (!c->strategy->routes) {
    text_add(text, c->strategy == &mux_ops
                       ? "lane: with strategy=mux all calls share connections"
                       : "dedicated: with strategy=pool each call has a connection of its own");
  } else {
    router_place(&order.route, size, &c->config);
    look_up(c, args, &order.route);
    add_route(text, c, args, &order.route, size);
  }
}

size_t pmx_explain(pmx_client *c, int argc, const char *const *argv, const size_t *len, char *buf,
                   size_t size)
{
  int cancel_state = thread_cancel_disable();
  struct args args;
  pmx_reply *failure;
  struct text text;
  char whole[640];

  text_init(&text, whole, sizeof whole);
  args_init(&args);
  failure = c ? args_from_argv(&args, argc, argv, len)
              : reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the client is NULL");
  if (failure)
    add_refusal(&text, failure);
  else
    explain(c, &args, &text);
  args_clear(&args);
  thread_cancel_restore(cancel_state);
  return text_copy(&text, buf, size);
}
