/* SPDX-License-Identifier: BSD-3-Clause */
/* roles.c - who lives in a seed: callers, who fires tokens, changes options, closes, and what the
 * client's callbacks do. */
#include "sim/caller.h"
#include <string.h>

enum { PATIENCE_S = 300 };

static int names[] = {0, 1, 2, 3, 4, 5, 6, 7};
static const char *const labels[] = {"caller0", "caller1", "caller2", "caller3",
                                     "caller4", "caller5", "caller6", "caller7"};

_Static_assert(sizeof names / sizeof names[0] == CALLERS_MAX, "each caller has a number");

static void ends(void)
{
  world_of_seed.running--;
  changed();
}

static void ends_and_unrefs(void)
{
  world_drop();
  ends();
}

void role_close(int64_t timeout_ms)
{
  world_of_seed.closed = 1;
  rest_closes(sim_now() + timeout_ms * SIM_MS);
  trace("closes, %lld ms", (long long)timeout_ms);
  pmx_close(world_of_seed.client, timeout_ms);
}

/* What the client's own thread does not see to while it is in a callback, waits. */
static void dawdle(void)
{
  freeze(between(SIM_MS, 200 * SIM_MS));
}

void role_callback_begins(void)
{
  if (*task_locks())
    fail("a callback runs with a lock held");
  if (rest_limits.in_callback++)
    fail("a callback runs inside another");
}

void role_callback_ends(void)
{
  rest_limits.in_callback--;
}

static void on_event(const pmx_event *e)
{
  struct world *w = &world_of_seed;

  if (e->type == PMX_EVENT_PUSH)
    fail("a push nobody sent");
  if (e->type == PMX_EVENT_ORPHAN && mutant != MUTANT_HUSHED_UP)
    caller_check_orphan(e->reply);
  if (e->type == PMX_EVENT_LOST && !w->pool && w->gentle && !faults.readonly && !w->memory &&
      !w->closed && !strstr(e->detail, "settings were replaced"))
    fail("a lane was lost, and nothing broke: %s", e->detail);
  /* No callback keeps the news waiting. */
  if (e->type == PMX_EVENT_RECONNECTING && rest_limits.lanes == 1 && !w->pool && !w->callback_calls)
    rest_limits.dial_failed = rest_number;
  if (w->client && w->callback_ref && chance(100)) {
    w->callback_ref = 0;
    trace("drops its reference in a callback");
    world_drop(); /* perhaps the last one */
    return;
  }
  if (!w->client || !w->callback_calls || w->stop || !chance(w->lanes ? 300 : 100))
    return;
  if (w->chain == 0)
    return;
  w->chain--;
  w->running++;
  if (chance(20))
    role_close(between(0, 100));
  if (!w->healed && chance(300))
    dawdle();
  caller_step(NESTED);
  ends();
}

void role_event(void *ud, const pmx_event *e)
{
  (void)ud;
  role_callback_begins();
  tracing_event(e);
  on_event(e);
  role_callback_ends();
}

int64_t next_beat(void)
{
  return (sim_now() / (5 * SIM_MS) + 1) * 5 * SIM_MS;
}

static void pause_a_while(void)
{
  if (world_of_seed.lanes && chance(faults.punctual ? 900 : 400))
    sleep_until(next_beat());
  else if (chance(400))
    sleep_until(sim_now() + between(0, chance(200) ? 300 * SIM_MS : 10 * SIM_MS));
}

static void call_once(int who)
{
  if (chance(world_of_seed.pool ? 300 : 30))
    caller_lease(who);
  else if (chance(30))
    caller_refused(who);
  else if (chance(250))
    async_step(who);
  else
    caller_step(who);
}

static void run_caller(void *arg)
{
  struct world *w = &world_of_seed;
  int who = *(int *)arg;

  for (int64_t left = between(1, 12); left > 0 && !w->stop; left--) {
    call_once(who);
    if (chance(200))
      caller_check_stats(0);
    pause_a_while();
  }
  if (w->healed && !w->closed && who % 2 == 0)
    caller_must_succeed();
  ends_and_unrefs();
}

static void run_burst(void *arg)
{
  (void)arg;
  for (int64_t left = between(1, 6); left > 0; left--)
    if (chance(300))
      async_urgent();
    else
      caller_burst_step();
  ends_and_unrefs();
}

void roles_tune(void)
{
  struct world *w = &world_of_seed;
  const char *name;
  char value[24];
  int valid = draw_live_option(&name, value, sizeof value);
  pmx_status status = pmx_client_set(w->client, name, value);

  trace("%s=%s: %s", name, value, pmx_status_str(status));
  if (status == PMX_OK)
    draw_live_option_set(name, value);
  if (valid > 0 && status != PMX_OK && !w->memory)
    fail("%s=%s was refused", name, value);
  if (valid < 0 && status == PMX_OK)
    fail("%s was changed, which is fixed", name);
}

static void run_tuner(void *arg)
{
  (void)arg;
  for (int64_t n = between(1, 3); n > 0; n--) {
    sleep_until(sim_now() + between(0, 200 * SIM_MS));
    roles_tune();
  }
  ends_and_unrefs();
}

static void reload(void)
{
  struct world *w = &world_of_seed;
  int64_t begun = sim_now(), frozen = sim_frozen();
  pmx_reply *reply;

  network_reloads(SIM_FOREVER);
  reply = pmx_reload_tls(w->client);

  trace("reloads: %s", pmx_reply_error(reply) ? pmx_reply_error(reply) : "OK");
  if (pmx_reply_status(reply) != PMX_OK && !w->memory && !w->closed)
    fail("pmx_reload_tls: %s", pmx_reply_error(reply));
  if (sim_now() > begun + SIM_MS + sim_frozen() - frozen)
    fail("pmx_reload_tls took %.3f s", (double)(sim_now() - begun) / 1e9);
  if (pmx_reply_status(reply) == PMX_OK)
    network_reloads(sim_now() + w->retire);
  pmx_reply_free(reply);
}

static void run_reloader(void *arg)
{
  (void)arg;
  for (int64_t n = between(1, 3); n > 0; n--) {
    sleep_until(sim_now() + between(0, 200 * SIM_MS));
    reload();
  }
  ends_and_unrefs();
}

/* Its caller gets another one now and then, and this one may go while calls still carry it. */
static void fire(int who)
{
  struct world *w = &world_of_seed;
  struct token *token = caller_token(who);

  if (!token->cancel || token->fired_at != SIM_FOREVER)
    return;
  if (w->token_now[who] + 1 < TOKENS_EACH && chance(700))
    w->token_now[who]++;
  token->fired_at = sim_now();
  trace("fires token %d of %d", (int)(token - w->tokens[who]), who);
  pmx_cancel_fire(token->cancel);
  token->fired_at = sim_now();
}

static void run_canceller(void *arg)
{
  struct world *w = &world_of_seed;

  (void)arg;
  for (int64_t n = between(1, 8); n > 0 && !w->healed; n--) {
    if (chance(500))
      sleep_until(next_beat());
    else
      sleep_until(sim_now() + between(0, 50 * SIM_MS));
    fire((int)choose(CALLERS_MAX + 1));
  }
  ends();
}

/* Another client of the server, who pushes something for those who wait. */
static void run_feeder(void *arg)
{
  (void)arg;
  for (int64_t n = between(1, 8); n > 0; n--) {
    if (chance(500))
      sleep_until(next_beat());
    else
      sleep_until(sim_now() + between(0, 100 * SIM_MS));
    lists_feed((unsigned)choose(LIST_HELD));
  }
  ends();
}

static void run_closer(void *arg)
{
  int64_t timeout = chance(300) ? 0 : between(0, 2000), end, frozen;

  (void)arg;
  sleep_until(sim_now() + between(0, 400 * SIM_MS));
  frozen = sim_frozen();
  end = sim_now() + timeout * SIM_MS;
  role_close(timeout);
  if (sim_now() > end + 11 * SIM_MS + sim_frozen() - frozen)
    fail("pmx_close took %.3f ms longer than allowed", (double)(sim_now() - end) / 1e6);
  ends_and_unrefs();
}

static void start(const char *name, void (*run)(void *), void *arg)
{
  world_of_seed.running++;
  task_start(name, run, arg);
}

/* With a reference of its own, which it drops. */
static void start_user(const char *name, void (*run)(void *), void *arg)
{
  world_hold();
  start(name, run, arg);
}

void roles_start(void)
{
  struct world *w = &world_of_seed;

  w->callers = (int)between(2, w->lanes ? CALLERS_MAX : 6);
  for (int i = 0; i < w->callers; i++)
    start_user(labels[i], run_caller, &names[i]);
  if (chance(600))
    start("canceller", run_canceller, NULL);
  if (w->pool && chance(600))
    start("feeder", run_feeder, NULL);
  if (chance(250))
    start_user("closer", run_closer, NULL);
  if (chance(150))
    start_user("tuner", run_tuner, NULL);
  if (faults.secure && chance(250))
    start_user("reloader", run_reloader, NULL);
}

static int nobody_runs(void *arg)
{
  (void)arg;
  return world_of_seed.running == 0;
}

void roles_wait(const char *until)
{
  int64_t patience = sim_now() + PATIENCE_S * SIM_S;

  while (world_of_seed.running) /* a callback may begin a call before we run */
    if (!block("waits for the callers", nobody_runs, NULL, patience))
      fail("calls that never end (%s)", until);
  world_of_seed.stop = 1;
}

void roles_burst(void)
{
  for (int64_t i = between(2, CALLERS_MAX); i > 0; i--)
    start_user(labels[i - 1], run_burst, NULL);
  roles_wait("when all was well");
}
