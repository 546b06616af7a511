/* SPDX-License-Identifier: BSD-3-Clause */
/* blockade.c - with strategy=hybrid, and all well: every connection of the pool is blocked, and
 * calls wait for one. What shares the lanes must not notice; and all that is pushed then arrives.
 */
#include "sim/attempt.h"
#include <stdio.h>

/* In a warm-up, whatever connects failed before, the pool has a connection again:
 * reconnect.max_delay and what a connect takes. */
enum { BLOCKERS_MAX = 6, WARM_UP_MS = 1000, USUAL_MS = 10 };

struct blocker {
  struct attempt a;
  pmx_future *future;
};

static void begin(struct blocker *b)
{
  struct words words;

  b->a = (struct attempt){.kind = BLPOP, .unattended = 1, .options = PMX_CALL_INIT};
  attempt_name(&b->a);
  b->a.block_ms = 0;
  snprintf(b->a.key, sizeof b->a.key, "q%u:%u", (unsigned)LIST_HELD, b->a.call);
  attempt_words(&b->a, &words);
  attempt_begin(&b->a);
  trace("BLPOP %s begins, for as long as it takes", b->a.key);
  attempt_waits(&b->a, &words, ASKED_LATER);
  b->future =
      pmx_submit_argv(world_of_seed.client, &b->a.options, words.argc, words.argv, words.len);
  if (!b->future)
    fail("call %u: no future", b->a.call);
  words_free(&words);
}

/* 1: it was given an element. */
static int end(struct blocker *b)
{
  pmx_reply *reply;
  int served;

  b->a.asked = sim_now();
  oracle_waits_so(b->a.call, SLEEPS);
  reply = pmx_future_take(b->future);
  oracle_waits_no_more(b->a.call);
  attempt_check(&b->a, reply, 0);
  served = pmx_reply_type(reply) == PMX_TYPE_ARRAY;
  pmx_reply_free(reply);
  return served;
}

/* 1: it succeeded. */
static int get(int64_t limit)
{
  struct attempt a = {.kind = GET, .options = PMX_CALL_INIT};
  pmx_reply *reply;
  int ok;

  attempt_name(&a);
  snprintf(a.key, sizeof a.key, "o:%u", a.call);
  reply = attempt_send(&a);
  attempt_check(&a, reply, 0);
  ok = pmx_ok(reply);
  pmx_reply_free(reply);
  if (sim_now() > a.started + limit + sim_frozen() - a.frozen)
    fail("call %u, on a lane, took %.3f ms while the pool was blocked", a.call,
         (double)(sim_now() - a.started) / 1e6);
  return ok;
}

static void check_lanes(void)
{
  for (int64_t n = between(1, 4); n > 0; n--) {
    if (!get(USUAL_MS * SIM_MS) && !world_of_seed.closed && !world_of_seed.may_be_full)
      fail("a lane failed while the pool was blocked");
    if (chance(500))
      sleep_until(sim_now() + between(0, 5 * SIM_MS));
  }
}

void blockade(void)
{
  struct blocker blockers[BLOCKERS_MAX];
  int64_t count = world_of_seed.max_size + between(0, BLOCKERS_MAX - 4);
  unsigned blocked;
  int served = 0;

  caller_must_succeed_there(PMX_CALL_DEDICATED);
  caller_must_succeed_there(PMX_CALL_SHARED);
  for (int64_t i = 0; i < count; i++)
    begin(&blockers[i]);
  sleep_until(sim_now() + WARM_UP_MS * SIM_MS);
  blocked = lists_blocked(LIST_HELD);
  if (blocked > 0) /* else a name is being looked up, or nothing can be connected to */
    check_lanes();
  if (lists_blocked(LIST_HELD) < blocked)
    fail("%u of %u are blocked yet", lists_blocked(LIST_HELD), blocked);
  for (int64_t i = 0; i < count; i++)
    lists_feed(LIST_HELD);
  for (int64_t i = 0; i < count; i++)
    served += end(&blockers[i]);
  if (served < (int)blocked)
    fail("%u were blocked, and %d were served", blocked, served);
}
