/* SPDX-License-Identifier: BSD-3-Clause */
/* proxy_flow.c - the bytes of one direction that wait to be forwarded, and the dropping, doubling
 * and swapping of replies among them. Knows nothing of sockets. */
#include "proxy_impl.h"

#include <stdlib.h>
#include <string.h>

void proxy_flow_init(struct proxy_flow *flow, const struct proxy_fault *fault)
{
  memset(flow, 0, sizeof(*flow));
  flow->last = &flow->first;
  flow->cut_left = fault->cut_at;
}

void proxy_flow_clear(struct proxy_flow *flow)
{
  while (flow->first) {
    struct proxy_chunk *chunk = flow->first;

    flow->first = chunk->next;
    free(chunk);
  }
  flow->last = &flow->first;
  flow->queued = 0;
  wire_buf_free(&flow->raw);
  wire_buf_free(&flow->held);
}

void proxy_flow_queue(struct proxy *p, struct proxy_flow *flow, enum proxy_way way,
                      const char *bytes, size_t len)
{
  const struct proxy_fault *fault = &p->fault[way];
  struct proxy_chunk *chunk;

  if (len == 0)
    return;
  chunk = harness_alloc(sizeof(*chunk) + len);
  memcpy(chunk->bytes, bytes, len);
  chunk->len = len;
  if (fault->delay_ms > 0 || fault->jitter_ms > 0) {
    int64_t jitter_us = (int64_t)rng_below(&p->rng, (uint64_t)fault->jitter_ms * 1000 + 1);

    chunk->due_us = now_us() + (int64_t)fault->delay_ms * 1000 + jitter_us;
  }
  if (chunk->due_us < flow->last_due_us)
    chunk->due_us = flow->last_due_us;
  flow->last_due_us = chunk->due_us;
  *flow->last = chunk;
  flow->last = &chunk->next;
  flow->queued += len;
}

void proxy_flow_release(struct proxy *p, struct proxy_flow *flow)
{
  proxy_flow_queue(p, flow, PROXY_TO_CLIENT, flow->held.data, flow->held.len);
  wire_buf_free(&flow->held);
}

void proxy_flow_heal(struct proxy_flow *flow)
{
  for (struct proxy_chunk *chunk = flow->first; chunk; chunk = chunk->next)
    chunk->due_us = 0;
  flow->last_due_us = 0;
  flow->next_us = 0;
  flow->cut_left = PROXY_NO_CUT;
}

/* One whole reply of which nothing was forwarded yet. */
static void mangle(struct proxy *p, struct proxy_flow *flow, const char *reply, size_t size)
{
  if (flow->held.len > 0) {
    proxy_flow_queue(p, flow, PROXY_TO_CLIENT, reply, size);
    proxy_flow_release(p, flow);
    p->counts.mangled++;
    return;
  }
  if (p->mangle_skip > 0) {
    p->mangle_skip--;
    proxy_flow_queue(p, flow, PROXY_TO_CLIENT, reply, size);
    return;
  }
  p->mangle_armed = false;
  if (p->mangle == PROXY_SWAP) {
    wire_buf_add(&flow->held, reply, size);
    return;
  }
  p->counts.mangled++;
  for (int copies = p->mangle == PROXY_DUPLICATE ? 2 : 0; copies > 0; copies--)
    proxy_flow_queue(p, flow, PROXY_TO_CLIENT, reply, size);
}

/* Forwards the raw bytes up to `end` that were not forwarded before. */
static void pass(struct proxy *p, struct proxy_flow *flow, size_t end)
{
  proxy_flow_queue(p, flow, PROXY_TO_CLIENT, flow->raw.data + flow->passed, end - flow->passed);
  flow->passed = end;
}

/* Whole replies, one by one; without a fault in sight their parts pass as they come. */
static void feed_replies(struct proxy *p, struct proxy_flow *flow)
{
  while (flow->raw.len > 0 && !flow->opaque) {
    bool wanted = p->mangle_armed || flow->held.len > 0;
    bool hold = wanted && flow->passed == 0 && flow->raw.data[0] != '>';
    enum wire_result result = wire_scan(&flow->scan, flow->raw.data, flow->raw.len);

    if (result == WIRE_BROKEN)
      flow->opaque = true;
    if (result != WIRE_DONE) {
      if (!hold || result == WIRE_BROKEN)
        pass(p, flow, flow->raw.len);
      return;
    }
    if (hold)
      mangle(p, flow, flow->raw.data, flow->scan.pos);
    else
      pass(p, flow, flow->scan.pos);
    wire_buf_take(&flow->raw, flow->scan.pos);
    memset(&flow->scan, 0, sizeof(flow->scan));
    flow->passed = 0;
  }
}

void proxy_flow_feed(struct proxy *p, struct proxy_flow *flow, enum proxy_way way,
                     const char *bytes, size_t len)
{
  if (way == PROXY_TO_SERVER || flow->opaque) {
    proxy_flow_queue(p, flow, way, bytes, len);
    return;
  }
  wire_buf_add(&flow->raw, bytes, len);
  feed_replies(p, flow);
}
