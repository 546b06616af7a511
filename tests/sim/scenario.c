/* SPDX-License-Identifier: BSD-3-Clause */
/* scenario.c - the course of one seed: open, calls from several coroutines while everything goes
 * wrong, healing, calls that must succeed, closing, and nothing left behind. */
#include "sim/caller.h"
#include "sim/doors.h"
#include "base/mem.h"
#include <string.h>

struct world world_of_seed;

int world_hold(void)
{
  struct world *w = &world_of_seed;

  if (!w->client || w->refs == 0)
    return 0;
  w->refs++;
  pmx_ref(w->client);
  return 1;
}

void world_drop(void)
{
  struct world *w = &world_of_seed;

  if (--w->refs == 0) {
    w->closed = 1;
    rest_closes(sim_now());
  }
  pmx_unref(w->client);
}

static void heal(void)
{
  mem_fail_at(0, 0);
  network_heal();
  world_of_seed.healed = 1;
}

static pmx_stats stats_now(void)
{
  pmx_stats s = PMX_STATS_INIT;

  pmx_stats_get(world_of_seed.client, &s);
  return s;
}

/* Out of the statistics, from when all was well. What was swallowed before is never answered. */
static void note_stalls(void)
{
  world_of_seed.stalls = stats_now().stalls + network_owing();
}

static int open_client(void)
{
  struct world *w = &world_of_seed;
  pmx_options *o = pmx_options_new();
  pmx_reply *err = NULL;
  int64_t begun, frozen = sim_frozen();

  draw_faults();
  draw_options(o);
  w->leaves_first = chance(200);
  w->callback_calls = !w->leaves_first && chance(300);
  w->told = chance(500) || w->callback_calls;
  if (w->told)
    pmx_options_set_events(o, role_event, NULL);
  tracing_set(o);
  server_reset(w->base_db);
  w->memory = chance(150);
  if (w->memory)
    mem_fail_at(1 + choose(300), chance(200));
  begun = sim_now();
  w->refs = 1;
  w->chain = w->chatty ? 40 : 12;
  w->client = pmx_open(NULL, o, &err);
  trace("open: %s", w->client ? "done" : pmx_reply_error(err));
  if (!w->client != (err != NULL))
    fail("pmx_open: both or neither");
  if (sim_now() > begun + 6 * SIM_S + sim_frozen() - frozen)
    fail("pmx_open took %.3f s", (double)(sim_now() - begun) / 1e9);
  if (!w->client && w->gentle && !w->memory)
    fail("pmx_open failed, and nothing broke: %s", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(o);
  return w->client != NULL;
}

static void make_tokens(void)
{
  for (int i = 0; i <= CALLERS_MAX; i++) {
    int has_some = chance(500);

    for (int k = 0; k < TOKENS_EACH; k++)
      world_of_seed.tokens[i][k] = (struct token){has_some ? pmx_cancel_new() : NULL, SIM_FOREVER};
  }
}

static void free_tokens(void)
{
  for (int i = 0; i <= CALLERS_MAX; i++)
    for (int k = 0; k < TOKENS_EACH; k++)
      pmx_cancel_free(world_of_seed.tokens[i][k].cancel);
}

/* Healing comes while they call, or after they have stopped. */
static void live_through(void)
{
  struct world *w = &world_of_seed;
  int early = chance(500);

  w->forever_allowed = early;
  roles_start();
  if (w->leaves_first) {
    w->callback_ref = chance(500);
    if (!w->callback_ref)
      world_drop();
  }
  if (early) {
    sleep_until(sim_now() + between(0, 500 * SIM_MS));
    heal();
    roles_wait("after healing");
  } else {
    roles_wait("in trouble");
    heal();
  }
}

static void close_at_last(void)
{
  struct world *w = &world_of_seed;
  int64_t begun = sim_now(), frozen = sim_frozen();
  int again = w->closed;

  w->closed = 1;
  rest_closes(sim_now() + SIM_S);
  if (pmx_close(w->client, 1000) != 1 && !again && !oracle_has_forgotten())
    fail("pmx_close cut something off, and nothing was running");
  if (sim_now() > begun + SIM_S + sim_frozen() - frozen)
    fail("pmx_close took %.3f s", (double)(sim_now() - begun) / 1e9);
  caller_step(0);
  caller_check_stats(1);
}

/* The server ends all connections while nobody calls: lanes are there again by themselves, unless
 * the first connect fails. */
static void be_idle(void)
{
  pmx_stats before, after;

  sleep_until(sim_now() + between(0, chance(300) ? 5 * SIM_S : 300 * SIM_MS));
  if (chance(300))
    roles_tune();
  sleep_until(sim_now() + between(0, SIM_S));
  before = stats_now();
  if (chance(700)) {
    world_of_seed.gentle = 0;
    network_end_all(chance(500));
  }
  sleep_until(sim_now() + between(1500, 1700) * SIM_MS);
  after = stats_now();
  if (after.lanes_live < before.lanes_live &&
      after.lanes_dial_failures == before.lanes_dial_failures)
    fail("P7: %llu lanes of %llu", (unsigned long long)after.lanes_live,
         (unsigned long long)before.lanes_live);
  caller_must_succeed();
}

static void last_calls(void)
{
  struct world *w = &world_of_seed;

  if (!w->closed)
    caller_must_succeed();
  note_stalls();
  if (!w->closed)
    roles_burst();
  caller_check_stats(1);
  if (!w->closed && caller_is_hybrid() && chance(300))
    blockade();
  if (!w->closed && chance(300))
    be_idle();
  caller_check_stats(1);
  if (chance(500))
    close_at_last();
  else if (!w->closed && chance(500))
    async_step(0); /* their callbacks come when the last reference goes */
}

static void live(void)
{
  struct world *w = &world_of_seed;

  if (w->loop)
    loop_start();
  live_through();
  if (!w->leaves_first)
    last_calls();
  if (w->loop)
    loop_stop();
  if (!w->leaves_first || w->callback_ref) {
    w->callback_ref = 0;
    world_drop();
  }
}

void scenario_main(void *arg)
{
  struct world *w = &world_of_seed;

  (void)arg;
  memset(w, 0, sizeof *w);
  make_tokens();
  if (open_client()) {
    live();
    if (w->callbacks && !w->leaves_first)
      fail("%d callbacks are yet to come, and the client is gone", w->callbacks);
  }
  heal();
  free_tokens();
  /* A lookup that hangs outlives its client, by a moment now. */
  sleep_until(sim_now() + SIM_S);
  async_check();
  tracing_check();
  if (w->told && w->gentle && !w->memory && !w->reclaims && w->grace >= 100 * SIM_MS)
    oracle_check_orphans(rest_limits.closing_since);
  if (doors_descriptors() != 0)
    fail("%d descriptors are left open", doors_descriptors());
}
