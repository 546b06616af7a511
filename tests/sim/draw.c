/* SPDX-License-Identifier: BSD-3-Clause */
/* draw.c - what a seed draws before anything happens: the strategy, its options, and how badly
 * network and server behave. */
#include "sim/caller.h"
#include "sim/secure.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTROLS = 1 }; /* to a pool belongs one connection more, to end what waits at the server */

/* ---- options ---- */

static void set(pmx_options *o, const char *name, const char *value)
{
  trace("%s=%s", name, value);
  if (pmx_options_set(o, name, value) != PMX_OK)
    fail("option %s=%s: %s", name, value, pmx_options_error(o));
}

static void set_number(pmx_options *o, const char *name, int64_t value, const char *unit)
{
  char text[32];

  snprintf(text, sizeof text, "%lld%s", (long long)value, unit);
  set(o, name, text);
}

static const char *one_of(const char *a, const char *b, const char *c)
{
  const char *all[] = {a, b, c};

  return all[choose(3)];
}

static void draw_pool_timers(pmx_options *o)
{
  if (chance(300))
    set_number(o, "pool.idle_timeout", between(1, 200), "ms");
  if (chance(200))
    set_number(o, "pool.max_lifetime", between(5, 500), "ms");
  if (chance(300))
    set_number(o, "pool.keepalive", between(5, 200), "ms");
  if (chance(300))
    set_number(o, "pool.ping_after_idle", between(1, 50), "ms");
  if (chance(300))
    set_number(o, "pool.check_timeout", between(5, 500), "ms");
  if (chance(300))
    set_number(o, "pool.leak_warn", between(1, 50), "ms");
  world_of_seed.reclaims = chance(150);
  if (world_of_seed.reclaims)
    set_number(o, "pool.leak_reclaim", between(1, 50), "ms");
}

static void draw_pool(pmx_options *o)
{
  struct world *w = &world_of_seed;

  w->pool = rest_limits.pooled = 1;
  w->max_size = between(1, 4);
  w->wait_timeout = SIM_S;
  set_number(o, "pool.max_size", w->max_size, "");
  set_number(o, "pool.min_idle", between(0, 2) % (w->max_size + 1), "");
  set(o, "pool.prefill", one_of("none", chance(300) ? "sync" : "none", "async"));
  set(o, "pool.check_on_borrow", one_of("peek", "peek", "ping"));
  set(o, "pool.reset", one_of("tracked", "tracked", chance(500) ? "close" : "always"));
  set(o, "pool.order", one_of("lifo", "lifo", "fifo"));
  if (chance(300)) {
    w->wait_timeout = between(0, 100) * SIM_MS;
    set_number(o, "pool.wait_timeout", w->wait_timeout / SIM_MS, "ms");
  }
  w->few_waiters = chance(200);
  if (w->few_waiters)
    set_number(o, "pool.max_waiters", between(0, 2), "");
  w->grace = 500 * SIM_MS;
  if (chance(400)) {
    w->grace = chance(300) ? 0 : between(1, 300) * SIM_MS;
    set_number(o, "cancel_grace", w->grace / SIM_MS, "ms");
  }
  if (chance(300))
    set_number(o, "pool.connect_concurrency", between(1, 2), "");
  draw_pool_timers(o);
}

/* With a gentle network no lane may be taken for stalled. */
static void draw_mux_timers(pmx_options *o)
{
  struct world *w = &world_of_seed;

  rest_limits.stall = 10 * SIM_S;
  if (chance(500)) {
    rest_limits.stall = between(w->gentle ? 300 : 20, w->gentle ? 1000 : 500) * SIM_MS;
    set_number(o, "mux.stall_timeout", rest_limits.stall / SIM_MS, "ms");
  } else if (chance(200)) {
    rest_limits.stall = SIM_FOREVER;
    set(o, "mux.stall_timeout", "off");
  }
  w->keepalive = 1;
  rest_limits.keepalive = 15 * SIM_S;
  if (chance(400)) {
    rest_limits.keepalive = between(5, 200) * SIM_MS;
    set_number(o, "mux.keepalive", rest_limits.keepalive / SIM_MS, "ms");
  } else if (chance(300)) {
    w->keepalive = 0;
    rest_limits.keepalive = SIM_FOREVER;
    set(o, "mux.keepalive", "off");
  }
}

static void draw_mux_limits(pmx_options *o)
{
  struct rest_limits *l = &rest_limits;
  struct world *w = &world_of_seed;
  int64_t queued = chance(300) ? between(1024, 4096) : 64 * 1024 * 1024;

  l->lanes = chance(400) ? (unsigned)between(2, 3) : 1;
  l->in_flight = chance(300) ? (unsigned)between(1, 4) : 16384;
  l->abandoned = chance(300) ? (unsigned)between(1, 3) : 1024;
  set_number(o, "mux.lanes", l->lanes, "");
  set_number(o, "mux.max_inflight", l->in_flight, "");
  set_number(o, "mux.max_abandoned", l->abandoned, "");
  set_number(o, "mux.max_queued", queued, "");
  w->narrow = l->in_flight < 10 || queued < 10000;
  w->may_be_full = w->always_full = chance(300);
  if (w->may_be_full)
    set(o, "mux.full", "fail");
  if (w->may_be_full && w->gentle) /* what a lost lane gives back was let in before */
    l->queued = queued;
}

static void draw_mux(pmx_options *o)
{
  world_of_seed.lanes = rest_limits.shared = 1;
  draw_mux_limits(o);
  draw_mux_timers(o);
}

static void draw_hybrid(pmx_options *o)
{
  world_of_seed.bulk = 64 * 1024;
  if (!chance(500))
    return;
  world_of_seed.bulk = between(1024, 4096);
  set_number(o, "hybrid.bulk_request", world_of_seed.bulk, "");
}

/* How many connections there may be. */
static void allow_streams(void)
{
  struct world *w = &world_of_seed;

  rest_limits.pool_size = (unsigned)w->max_size;
  streams_allowed = rest_limits.pool_size + rest_limits.lanes + (w->pool ? CONTROLS : 0);
}

static void draw_strategy(pmx_options *o)
{
  static const char *const names[] = {
      [PMX_STRATEGY_HYBRID] = "hybrid", [PMX_STRATEGY_POOL] = "pool", [PMX_STRATEGY_MUX] = "mux"};
  int drawn = (int)choose(3), strategy = sim_strategy == DRAWN ? drawn : sim_strategy;

  set(o, "strategy", names[strategy]);
  if (strategy != PMX_STRATEGY_MUX)
    draw_pool(o);
  if (strategy != PMX_STRATEGY_POOL)
    draw_mux(o);
  if (strategy == PMX_STRATEGY_HYBRID)
    draw_hybrid(o);
  allow_streams();
}

/* The certificate is for both of the names. */
static void draw_tls(pmx_options *o)
{
  struct world *w = &world_of_seed;

  set(o, "tls", "yes");
  w->retire = between(0, 1000) * SIM_MS;
  set_number(o, "tls.retire", w->retire / SIM_MS, "ms");
  if (pmx_options_set(o, "tls.ca_pem", secure_ca()) != PMX_OK)
    fail("tls.ca_pem: %s", pmx_options_error(o));
}

void draw_options(pmx_options *o)
{
  struct world *w = &world_of_seed;

  rest_reset();
  draw_strategy(o);
  set(o, "connect", one_of("lazy", "lazy", "eager"));
  w->loop = chance(200);
  set(o, "io", w->loop ? "loop" : "thread");
  w->offline_fail = chance(400);
  rest_limits.fails_offline = w->offline_fail;
  set(o, "offline", w->offline_fail ? "fail" : "wait");
  if (chance(300)) {
    w->base_db = 3;
    set(o, "db", "3");
  }
  if (chance(300))
    set(o, "retry.reads", "no");
  if (chance(200))
    set(o, "retry.max", "0");
  if (chance(300))
    set_number(o, "connect_timeout", between(w->gentle ? 1000 : 20, 5000), "ms");
  if (chance(300))
    set_number(o, "breaker.failures", between(1, 4), "");
  set(o, "host", chance(300) ? "sim.test" : "127.0.0.1");
  if (faults.secure)
    draw_tls(o);
}

/* ---- live options ---- */

static int draw_live_mux(const char **name, char *value, size_t size)
{
  static const char *const fixed[] = {"mux.lanes", "mux.max_inflight", "mux.max_abandoned"};

  switch (choose(5)) {
  case 0:
    *name = "mux.stall_timeout";
    if (chance(200))
      snprintf(value, size, "off");
    else
      snprintf(value, size, "%lldms", (long long)between(world_of_seed.gentle ? 300 : 20, 1000));
    return 1;
  case 1:
    *name = "mux.keepalive";
    snprintf(value, size, "%lldms", (long long)between(5, 200));
    return 1;
  case 2:
    *name = "mux.full";
    snprintf(value, size, "%s", chance(500) ? "fail" : "wait");
    world_of_seed.may_be_full = 1; /* from the moment it is asked for */
    world_of_seed.always_full = 0;
    rest_limits.queued = SIM_FOREVER;
    return 1;
  case 3:
    *name = "mux.max_queued";
    world_of_seed.narrow = 1;
    snprintf(value, size, "%lld", (long long)between(1024, 4096));
    rest_limits.queued = SIM_FOREVER;
    return 1;
  }
  *name = fixed[choose(3)];
  snprintf(value, size, "2");
  return -1;
}

/* The largest pool.max_size so far is what counts; a small one may be less than pool.min_idle. */
int draw_live_option(const char **name, char *value, size_t size)
{
  struct world *w = &world_of_seed;
  int64_t n = between(1, 4);

  if (w->lanes && (!w->pool || chance(500)))
    return draw_live_mux(name, value, size);
  w->max_size = n > w->max_size ? n : w->max_size;
  allow_streams();
  *name = "pool.max_size";
  snprintf(value, size, "%lld", (long long)n);
  return n > 2;
}

/* From now on the clock goes by it. */
void draw_live_option_set(const char *name, const char *value)
{
  int64_t ms = strtoll(value, NULL, 10), limit = ms ? ms * SIM_MS : SIM_FOREVER;

  rest_limits.changed_at = sim_now();
  if (strcmp(name, "mux.stall_timeout") == 0) {
    rest_limits.stall = limit;
  } else if (strcmp(name, "mux.keepalive") == 0) {
    rest_limits.keepalive = limit;
    world_of_seed.keepalive = 1;
  }
}

/* ---- faults ---- */

unsigned sim_crowd; /* of callers, who give way: none in half of the seeds */

static unsigned some_rate(unsigned most)
{
  return chance(400) ? 0 : (unsigned)choose(most + 1);
}

/* Not by the generator: so the others stay what they were. */
static uint64_t seed_bits(void)
{
  return sim_seed * UINT64_C(0x9e3779b97f4a7c15);
}

static int has_tls(void)
{
  return sim_tls == DRAWN ? seed_bits() >> 62 == 0 : sim_tls;
}

static void draw_tls_nature(void)
{
  faults.secure = 1;
  faults.tls_flags = (chance(250) ? SECURE_1_2 : 0) | (chance(300) ? SECURE_NO_TICKETS : 0);
  faults.renew = chance(400) ? some_rate(200) : 0;
  faults.rude = chance(300) ? 1000 : some_rate(1000);
}

static void draw_tls_faults(void)
{
  faults.spoil = chance(500) ? some_rate(40) : 0;
  faults.clog = chance(500) ? some_rate(300) : 0;
}

/* What does not heal: it is no fault, and belongs to any network. */
static void draw_nature(void)
{
  static const size_t windows[] = {48 * 1024, 48 * 1024, 4096, 200};

  faults.instant = chance(400) ? (unsigned)between(50, 1000) : 0;
  faults.window = windows[choose(4)];
  if (chance(300))
    faults.backlog = (size_t)between(1, chance(500) ? 20 : 4000);
  world_of_seed.big = faults.window > 1000 && chance(250);
}

void draw_faults(void)
{
  struct world *w = &world_of_seed;

  draw_nature();
  sim_crowd = seed_bits() >> 61 & 1 ? 1 + (unsigned)(seed_bits() >> 59 & 3) : UINT_MAX;
  if (has_tls())
    draw_tls_nature();
  faults.on = 1;
  faults.slices = chance(500);
  w->gentle = chance(200);
  w->chatty = chance(100);
  if (w->gentle) {
    faults.latency = SIM_MS / 2;
    faults.readonly = chance(300) ? some_rate(100) : 0;
    return;
  }
  if (faults.secure)
    draw_tls_faults();
  faults.latency = chance(500) ? SIM_MS / 2 : between(SIM_MS, 20 * SIM_MS);
  faults.rogue = 35;
  faults.refuse = some_rate(400);
  faults.hang = some_rate(100);
  faults.reset = some_rate(60);
  faults.silent = some_rate(30);
  faults.slow = some_rate(60);
  faults.paused = some_rate(400);
  faults.slowness = between(SIM_MS, chance(300) ? 3 * SIM_S : 100 * SIM_MS);
  faults.cut = some_rate(60);
  faults.readonly = some_rate(20);
  faults.stray = chance(300) ? some_rate(20) : 0;
  faults.protest = w->big ? some_rate(200) : 0;
  faults.idle_reset = some_rate(100);
  faults.jam = some_rate(100);
  faults.punctual = chance(150);
  if (faults.punctual || w->chatty)
    faults.idle_reset = (unsigned)between(50, 300);
  faults.at_once = w->chatty ? 900 : 100;
  faults.restart = some_rate(20);
  faults.name = some_rate(200);
  faults.shortage = chance(200) ? some_rate(100) : 0;
  w->shortage = faults.shortage > 0;
}
