/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.c - see trace.h. A call that is refused is not traced: nothing happens to it. */
#include "api/trace.h"
#include "route/router.h"

static pmx_trace_call describe(const pmx_client *c, const struct runtime *rt,
                               const struct order *order)
{
  pmx_trace_call call = {sizeof call, order->route.command, rt->node.name, NULL, NULL};

  /* On one, or a transaction, which takes one. */
  if (order->link || order->attempt != call_send) {
    call.place = call.reason = "lease";
  } else if (c->strategy->routes) {
    call.place = router_place_word(&order->route);
    call.reason = router_reason_word(&order->route);
  } else {
    call.place = c->strategy == &mux_ops ? "lane" : "dedicated";
    call.reason = "strategy";
  }
  return call;
}

void *trace_begin(const pmx_client *c, const struct runtime *rt, const struct order *order)
{
  pmx_trace_call call = describe(c, rt, order);

  return c->config.trace.begin(c->config.trace_ud, &call);
}

void trace_end(const pmx_client *c, const struct runtime *rt, const struct order *order, void *span,
               const pmx_reply *reply)
{
  pmx_trace_call call = describe(c, rt, order);

  c->config.trace.end(c->config.trace_ud, span, &call, reply);
}
