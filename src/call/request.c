/* SPDX-License-Identifier: BSD-3-Clause */
/* request.c - owns how a request begins and how its end becomes visible. Knows nothing of queues,
 * links or retries. */
#include "call/request.h"
#include "base/clock.h"
#include "base/mem.h"

void request_init(struct request *r, enum request_kind kind)
{
  mem_zero(r, sizeof *r);
  list_init(&r->node);
  list_init(&r->parked);
  r->kind = kind;
  r->deadline = TIME_FOREVER;
  r->queue_until = TIME_FOREVER;
  /* Zero is REQUEST_NEW, and no link, parker or lane. */
}

enum request_state request_state(const struct request *r)
{
  return (enum request_state)atomic_load(&r->state);
}

void request_set_state(struct request *r, enum request_state state)
{
  atomic_store_explicit(&r->state, (int)state, memory_order_release);
}

void request_end(struct request *r, pmx_reply *reply)
{
  r->reply = reply;
  if (r->done)
    r->done(r);
  else
    request_publish(r);
}

void request_publish(struct request *r)
{
  /* A synchronous issuer may return, and its stack vanish, as soon as it sees ENDED. */
  struct parker *parker = atomic_load(&r->parker);
  void (*completed)(struct request *) = r->completed;

  request_set_state(r, REQUEST_ENDED);
  if (completed)
    completed(r);
  else if (parker)
    parker_wake(parker);
}
