/* SPDX-License-Identifier: BSD-3-Clause */
/* load_poolmux.c - contestants of poolmux-load: calls through one client of the library. Threads
 * that wait for theirs, once for each strategy; and one thread that begins N calls, each of which
 * begins the next one in its callback. */
#include <poolmux/poolmux.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "load_parts.h"

/* option: one more, and its value; or NULL. */
static pmx_client *open_client(const char *url, const char *strategy, const char *option,
                               const char *value, int callers, char why[LOAD_WHY])
{
  pmx_options *options = pmx_options_new();
  char size[NUMBER_SIZE];
  pmx_client *client;
  pmx_reply *err;

  snprintf(size, sizeof size, "%d", callers);
  pmx_options_set(options, "strategy", strategy);
  if (option)
    pmx_options_set(options, option, value);
  pmx_options_set(options, "pool.max_size", size);
  client = pmx_open(url, options, &err);
  if (!client)
    snprintf(why, LOAD_WHY, "%s", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

static void *open_pool(const char *url, int callers, char why[LOAD_WHY])
{
  return open_client(url, "pool", NULL, NULL, callers, why);
}

static void *open_mux(const char *url, int callers, char why[LOAD_WHY])
{
  return open_client(url, "mux", NULL, NULL, callers, why);
}

static void *open_hybrid(const char *url, int callers, char why[LOAD_WHY])
{
  return open_client(url, "hybrid", NULL, NULL, callers, why);
}

static void *open_spin(const char *url, int callers, char why[LOAD_WHY])
{
  return open_client(url, "mux", "mux.spin", "50us", callers, why);
}

static int fits(const struct command *command, const pmx_reply *reply)
{
  size_t len = 0;

  if (command->argc == 2)
    return pmx_reply_str(reply, &len) != NULL && len == WORK_VALUE_BYTES;
  return pmx_ok(reply);
}

/* ---- threads ---- */

static int call(void *self, struct caller *caller, struct command *command)
{
  pmx_reply *reply = pmx_argv(self, NULL, command->argc, command->argv, command->len);
  int good = fits(command, reply);

  if (!good)
    snprintf(caller->why, sizeof caller->why, "%s: %s", command->argv[0], pmx_reply_error(reply));
  pmx_reply_free(reply);
  return good ? 0 : -1;
}

static int run(void *self, struct lap *lap)
{
  return crew_run(lap, call, self);
}

static void close_client(void *self)
{
  pmx_unref(self);
}

/* ---- callbacks ---- */

/* One of the N calls under way. Callbacks come one at a time, but the first of them may come while
 * the last calls are still being begun: so each has its own dice and counts its own calls. */
struct slot {
  struct flight *flight;
  struct caller *caller;
  struct command command;
  int64_t since_ns;
  long left; /* calls still to be begun */
};

struct flight {
  pmx_client *client;
  struct lap *lap;
  struct slot *slots;
  _Atomic int under_way;
  sem_t landed; /* no call is under way any more */
};

static void close_flight(void *self)
{
  struct flight *f = self;

  if (f->client)
    pmx_unref(f->client);
  sem_destroy(&f->landed);
  free(f->slots);
  free(f);
}

static void *open_flight(const char *url, const char *io, int callers, char why[LOAD_WHY])
{
  struct flight *f = calloc(1, sizeof *f);

  snprintf(why, LOAD_WHY, "out of memory");
  if (!f)
    return NULL;
  sem_init(&f->landed, 0, 0);
  f->slots = calloc((size_t)callers, sizeof *f->slots);
  f->client = f->slots ? open_client(url, "mux", "io", io, callers, why) : NULL;
  if (f->client)
    return f;
  close_flight(f);
  return NULL;
}

static void *open_callback(const char *url, int callers, char why[LOAD_WHY])
{
  return open_flight(url, "thread", callers, why);
}

static void *open_loop(const char *url, int callers, char why[LOAD_WHY])
{
  return open_flight(url, "loop", callers, why);
}

static void land(struct flight *f)
{
  if (atomic_fetch_sub(&f->under_way, 1) == 1)
    sem_post(&f->landed);
}

static void answered(void *ud, const pmx_reply *reply);

static void begin(struct slot *slot, int64_t now)
{
  struct command *c = &slot->command;
  pmx_status status;

  slot->since_ns = now;
  slot->left--;
  work_next(&slot->caller->dice, c);
  status = pmx_async_argv(slot->flight->client, NULL, answered, slot, c->argc, c->argv, c->len);
  if (status != PMX_OK) {
    snprintf(slot->caller->why, LOAD_WHY, "%s was refused: %s", c->argv[0], pmx_status_str(status));
    land(slot->flight);
  }
}

/* One histogram for all, as they do not overlap. */
static void answered(void *ud, const pmx_reply *reply)
{
  struct slot *slot = ud;
  struct flight *f = slot->flight;
  int64_t now = now_ns();
  int good = fits(&slot->command, reply);

  histogram_add(&f->lap->caller[0].times, now - slot->since_ns);
  if (!good)
    snprintf(slot->caller->why, LOAD_WHY, "%s: %s", slot->command.argv[0], pmx_reply_error(reply));
  if (good && slot->left > 0 && now < f->lap->until_ns)
    begin(slot, now);
  else
    land(f);
}

static void wait_for_thread(struct flight *f)
{
  while (sem_wait(&f->landed) != 0)
    continue;
}

/* Here it is us who drive the client, and run the callbacks. */
static void dispatch(struct flight *f)
{
  while (sem_trywait(&f->landed) != 0)
    pmx_dispatch(f->client, 100);
}

static int run_flight(struct flight *f, struct lap *lap, void (*wait)(struct flight *))
{
  int failed = 0;

  f->lap = lap;
  atomic_store(&f->under_way, lap->callers);
  lap_begin(lap);
  for (int i = 0; i < lap->callers; i++) {
    f->slots[i] = (struct slot){.flight = f, .caller = &lap->caller[i], .left = LONG_MAX};
    if (lap->calls != LONG_MAX)
      f->slots[i].left = lap->calls / lap->callers;
    begin(&f->slots[i], now_ns());
  }
  wait(f);
  lap_end(lap);
  for (int i = 0; i < lap->callers; i++) {
    if (lap->caller[i].why[0])
      failed = lap_failed(lap, lap->caller[i].why);
  }
  return failed;
}

static int run_callback(void *self, struct lap *lap)
{
  return run_flight(self, lap, wait_for_thread);
}

static int run_loop(void *self, struct lap *lap)
{
  return run_flight(self, lap, dispatch);
}

/* ---- the list ---- */

static const char pool_text[] = "N threads, one client with strategy=pool and N connections";
static const char mux_text[] = "N threads, one client with strategy=mux";
static const char hybrid_text[] = "N threads, one client with strategy=hybrid";
static const char spin_text[] =
    "the same with mux.spin=50us: who reads for the others looks for so long before it sleeps";
static const char callback_text[] =
    "one thread, strategy=mux, N calls under way; io=thread: callbacks on the client's own";
static const char loop_text[] =
    "the same with io=loop: callbacks on the one thread, in pmx_dispatch";

#define THREADS(title, text, opener)                                                               \
  .name = title, .what = text, .open = opener, .run = run, .close = close_client
#define FLIGHT(title, text, opener, runner)                                                        \
  .name = title, .what = text, .open = opener, .run = runner, .close = close_flight

const struct contestant load_pool = {THREADS("poolmux-pool", pool_text, open_pool)};
const struct contestant load_mux = {THREADS("poolmux-mux", mux_text, open_mux)};
const struct contestant load_hybrid = {THREADS("poolmux-hybrid", hybrid_text, open_hybrid)};
const struct contestant load_spin = {THREADS("poolmux-spin", spin_text, open_spin)};
const struct contestant load_callback = {
    FLIGHT("poolmux-callback", callback_text, open_callback, run_callback)};
const struct contestant load_loop = {FLIGHT("poolmux-loop", loop_text, open_loop, run_loop)};

const struct contestant load_pool_tls = {THREADS("poolmux-pool-tls", pool_text, open_pool),
                                         .tls = 1};
const struct contestant load_mux_tls = {THREADS("poolmux-mux-tls", mux_text, open_mux), .tls = 1};
const struct contestant load_hybrid_tls = {THREADS("poolmux-hybrid-tls", hybrid_text, open_hybrid),
                                           .tls = 1};
const struct contestant load_callback_tls = {
    FLIGHT("poolmux-callback-tls", callback_text, open_callback, run_callback), .tls = 1};
const struct contestant load_loop_tls = {FLIGHT("poolmux-loop-tls", loop_text, open_loop, run_loop),
                                         .tls = 1};
