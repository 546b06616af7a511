/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.c - see trace.h. A call that is refused is not traced: nothing happens to it. */
#include "api/trace.h"
#include "api/retry.h"
#include "base/clock.h"
#include "call/timing.h"
#include "route/router.h"

static pmx_trace_call describe(const pmx_client *c, const struct runtime *rt,
                               const struct order *order)
{
  pmx_trace_call call = {
      .size = sizeof call, .command = order->route.command, .endpoint = rt->node.name};

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

void *trace_begin(const pmx_client *c, const struct runtime *rt, const struct order *order,
                  struct call *call, const struct attempts *attempts, struct timing *timing)
{
  pmx_trace_call what = describe(c, rt, order);

  *timing = (struct timing){
      .started = call->started, .retries = &attempts->tries, .retries_before = attempts->tries};
  call->timing = timing;
  return c->config.trace.begin(c->config.trace_ud, &what);
}

void trace_end(const pmx_client *c, const struct runtime *rt, const struct order *order,
               const struct call *call, void *span, const pmx_reply *reply)
{
  pmx_trace_call what = describe(c, rt, order);
  const struct timing *t = call->timing;

  what.total_ns = clock_ns() - t->started;
  what.queued_ns = t->queued;
  what.wire_ns = t->wire;
  what.conn_id = t->conn;
  what.attempts = *t->retries - t->retries_before + 1;
  c->config.trace.end(c->config.trace_ud, span, &what, reply);
}
