/* SPDX-License-Identifier: BSD-3-Clause */
/* leasing.c - random leases: state changes and transactions, left behind in any state. */
#include "sim/attempt.h"
#include "sim/caller.h"
#include <stdio.h>

static pmx_reply *on_lease(struct attempt *a, const char *command, int who)
{
  attempt_draw(a, who);
  a->kind = ECHO_KEY;
  a->options.flags = 0;
  attempt_begin(a);
  trace("%s on lease %u", command, a->lease);
  return pmx_lease_command(a->on, &a->options, command);
}

/* Plain state changes; 1: the server said yes. */
static int change(struct attempt *a, const char *command, int who)
{
  pmx_reply *reply;
  int ok;

  a->call = oracle_new_call();
  reply = on_lease(a, command, who);
  ok = pmx_ok(reply);
  attempt_check_time(a);
  attempt_check_cause(a, reply);
  pmx_reply_free(reply);
  return ok;
}

static int exec(struct attempt *a, int queued, int who)
{
  pmx_reply *reply = on_lease(a, "EXEC", who);
  int ok = pmx_ok(reply);

  attempt_check_time(a);
  if (ok && pmx_reply_type(reply) != PMX_TYPE_NIL &&
      (pmx_reply_type(reply) != PMX_TYPE_ARRAY || pmx_reply_len(reply) != (size_t)queued))
    fail("P1: EXEC of lease %u answered %zu of %d", a->lease, pmx_reply_len(reply), queued);
  pmx_reply_free(reply);
  return ok;
}

static int keyed(struct attempt *a, int who, int in_multi)
{
  pmx_reply *reply;
  int ok;

  a->kind = (enum kind)choose(in_multi ? BLPOP : KINDS);
  attempt_name(a);
  attempt_draw(a, who);
  a->options.flags = 0;
  reply = attempt_send(a);
  attempt_check(a, reply, in_multi);
  ok = pmx_ok(reply);
  pmx_reply_free(reply);
  return ok;
}

static int watch(struct attempt *a, int who)
{
  char command[64];

  attempt_name(a);
  snprintf(command, sizeof command, "WATCH %s", a->key);
  return change(a, command, who);
}

static int transact(struct attempt *a, int who)
{
  int queued = 0;

  if (!change(a, "MULTI", who))
    return 0;
  while (queued < 12 && chance(600)) {
    if (!keyed(a, who, 1))
      return 0;
    queued++;
  }
  if (chance(300))
    return chance(500) ? change(a, "DISCARD", who) : 0;
  return exec(a, queued, who);
}

static void use_lease(struct attempt *a, int who)
{
  int ok = keyed(a, who, 0); /* first of all: the server looks whether it is untouched */

  while (ok && chance(600)) {
    switch (choose(5)) {
    case 0:
      ok = keyed(a, who, 0);
      break;
    case 1:
      ok = watch(a, who);
      break;
    case 2:
      ok = change(a, chance(500) ? "SELECT 5" : "SELECT 0", who);
      break;
    case 3:
      ok = transact(a, who);
      break;
    case 4:
      sleep_until(sim_now() + between(0, 30 * SIM_MS));
      break;
    }
  }
}

void caller_lease(int who)
{
  struct attempt a = {.kind = ECHO_KEY, .lane = LANE_NONE};
  pmx_reply *err = NULL;
  pmx_status status;

  a.call = oracle_new_call();
  attempt_draw(&a, who);
  a.options.flags = 0;
  attempt_begin(&a);
  trace("acquire %u begins", a.call);
  a.on = pmx_acquire(world_of_seed.client, &a.options, &err);
  attempt_check_time(&a);
  if (!world_of_seed.pool && (a.on || pmx_reply_status(err) == PMX_OK))
    fail("a lease of a shared connection");
  if (!a.on) {
    trace("acquire %u: %s", a.call, pmx_reply_error(err));
    if (world_of_seed.pool || pmx_reply_cause(err) != PMX_CAUSE_UNSUPPORTED)
      attempt_check_cause(&a, err);
    pmx_reply_free(err);
    return;
  }
  a.lease = ++world_of_seed.next_lease;
  use_lease(&a, who);
  status = pmx_release(a.on);
  if (status != PMX_OK && (status != PMX_INVALID || !world_of_seed.reclaims))
    fail("lease %u: released, %s", a.lease, pmx_status_str(status));
  if (chance(100) && pmx_release(a.on) != PMX_INVALID)
    fail("lease %u: released twice, and nobody minded", a.lease);
}
