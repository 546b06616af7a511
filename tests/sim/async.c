/* SPDX-License-Identifier: BSD-3-Clause */
/* async.c - random calls that nobody waits for: callbacks, each of which comes once, and futures,
 * which are asked later, in any order, or forgotten. */
#include "sim/attempt.h"
#include <stdlib.h>

enum { FUTURES_MAX = 6 };

/* Kept to the end of the seed: a callback that comes twice must find it. */
struct asked {
  struct attempt a;
  int accepted, called;
  int urgent; /* all is well: it must not take long */
  struct asked *next;
};

static struct asked *all_asked;

static struct asked *asked_new(int who)
{
  struct asked *q = calloc(1, sizeof *q);

  q->next = all_asked;
  all_asked = q;
  q->a.kind = attempt_kind();
  q->a.unattended = 1;
  attempt_name(&q->a);
  attempt_draw(&q->a, who);
  return q;
}

/* It may not wait for anything: time does not pass. */
static void check_did_not_wait(const struct asked *q, uint64_t rest)
{
  if (rest_number != rest)
    fail("call %u: it took time to begin it", q->a.call);
}

void async_check(void)
{
  while (all_asked) {
    struct asked *q = all_asked;

    if (q->called != q->accepted)
      fail("call %u was called back %d times", q->a.call, q->called);
    all_asked = q->next;
    free(q);
  }
}

/* ---- callbacks ---- */

static void begin_callback(struct asked *);

static void call_back_in(void)
{
  struct world *w = &world_of_seed;

  /* Each may take seconds, and begin the next. */
  if (w->stop || w->chain == 0 || !world_hold())
    return;
  w->chain--;
  if (w->chatty && chance(700))
    begin_callback(asked_new(NESTED));
  else if (chance(200))
    async_step(NESTED);
  if (w->callback_calls && chance(100))
    caller_step(NESTED);
  if (w->loop && chance(50) && pmx_dispatch(w->client, 5) != 0)
    fail("pmx_dispatch inside a callback ran one");
  if (chance(5))
    role_close(between(0, 100));
  world_drop();
}

static void on_reply(void *ud, const pmx_reply *reply)
{
  struct world *w = &world_of_seed;
  struct asked *q = ud;

  role_callback_begins();
  if (++q->called > 1)
    fail("call %u is called back once more", q->a.call);
  oracle_waits_no_more(q->a.call);
  attempt_check(&q->a, reply, 0);
  if (q->urgent && sim_now() > q->a.started + 1250 * SIM_MS + sim_frozen() - q->a.frozen)
    fail("P7: call %u took %.3f s, and all was well", q->a.call,
         (double)(sim_now() - q->a.started) / 1e9);
  call_back_in();
  role_callback_ends();
  w->callbacks--;
  w->running--;
  changed();
}

static void refused(struct asked *q, pmx_status status)
{
  struct world *w = &world_of_seed;
  int excused = w->closed || w->offline_fail || w->narrow || w->few_waiters ||
                sim_now() >= q->a.deadline || (q->a.token && q->a.token->fired_at != SIM_FOREVER);

  trace("%s is refused: %s", q->a.key, pmx_status_str(status));
  if (q->called)
    fail("call %u was refused, and called back", q->a.call);
  if (status != (w->memory ? status : PMX_NOT_RUN) || (status == PMX_NOT_RUN && !excused))
    fail("call %u was refused: %s", q->a.call, pmx_status_str(status));
  oracle_waits_no_more(q->a.call);
  oracle_judge(&(struct verdict){.call = q->a.call, .excluded = 1, .unsent = 1});
  w->callbacks--;
  w->running--;
}

static void begin_callback(struct asked *q)
{
  struct world *w = &world_of_seed;
  struct words words;
  uint64_t rest = rest_number;
  pmx_status status;

  attempt_words(&q->a, &words);
  attempt_begin(&q->a);
  trace("%s %s begins, to be called back, %lld ms", words.argv[0], q->a.key,
        (long long)q->a.options.timeout_ms);
  attempt_waits(&q->a, &words, CALLED_BACK);
  w->callbacks++;
  w->running++;
  q->accepted = 1;
  status = pmx_async_argv(w->client, &q->a.options, on_reply, q, words.argc, words.argv, words.len);
  check_did_not_wait(q, rest);
  q->accepted = status == PMX_OK;
  if (!q->accepted)
    refused(q, status);
  words_free(&words);
}

void async_urgent(void)
{
  struct asked *q = asked_new(0);

  q->urgent = 1;
  q->a.options = (pmx_call)PMX_CALL_INIT;
  attempt_draw_place(&q->a);
  q->a.token = NULL;
  begin_callback(q);
}

/* ---- futures ---- */

struct futures {
  struct asked *asked[FUTURES_MAX];
  pmx_future *future[FUTURES_MAX];
  size_t count;
};

static void begin_future(struct futures *f, int who)
{
  struct asked *q = asked_new(who);
  struct words words;
  uint64_t rest = rest_number;

  attempt_words(&q->a, &words);
  attempt_begin(&q->a);
  trace("%s %s begins, a future, %lld ms", words.argv[0], q->a.key,
        (long long)q->a.options.timeout_ms);
  attempt_waits(&q->a, &words, ASKED_LATER);
  f->asked[f->count] = q;
  f->future[f->count] =
      pmx_submit_argv(world_of_seed.client, &q->a.options, words.argc, words.argv, words.len);
  check_did_not_wait(q, rest);
  if (f->future[f->count])
    f->count++;
  else if (!world_of_seed.memory)
    fail("call %u: no future", q->a.call);
  else
    oracle_waits_no_more(q->a.call);
  words_free(&words);
}

static void take(struct asked *q, pmx_future *future)
{
  pmx_reply *reply;

  q->a.asked = sim_now();
  oracle_waits_so(q->a.call, SLEEPS);
  reply = pmx_future_take(future);
  oracle_waits_no_more(q->a.call);
  attempt_check(&q->a, reply, 0);
  pmx_reply_free(reply);
}

/* It goes on without us. */
static void forget(struct asked *q, pmx_future *future)
{
  trace("forgets %s", q->a.key);
  oracle_waits_so(q->a.call, FORGOTTEN);
  oracle_judge(&(struct verdict){
      .call = q->a.call, .may_repeat = attempt_may_repeat(&q->a), .forgotten = 1});
  pmx_future_free(future);
}

static int wait_for_any(const struct futures *f)
{
  static const int64_t timeouts[] = {0, 1, 20, 200};
  int64_t timeout = timeouts[choose(4)], begun = sim_now(), frozen = sim_frozen();
  int i = pmx_future_wait_any(f->future, f->count, timeout);

  if (i >= (int)f->count || (i >= 0 && !pmx_future_wait(f->future[i], 0)))
    fail("future %d of %zu is not ready", i, f->count);
  if (sim_now() > begun + (timeout + 1) * SIM_MS + sim_frozen() - frozen)
    fail("P4: waiting %lld ms for futures took %.3f ms", (long long)timeout,
         (double)(sim_now() - begun) / 1e6);
  return i;
}

static void collect_one(struct futures *f)
{
  int i = chance(400) ? wait_for_any(f) : (int)choose(f->count);

  if (i < 0)
    i = (int)choose(f->count);
  if (chance(150))
    forget(f->asked[i], f->future[i]);
  else
    take(f->asked[i], f->future[i]);
  f->count--;
  f->asked[i] = f->asked[f->count];
  f->future[i] = f->future[f->count];
}

static void some_futures(int who)
{
  struct futures f = {.count = 0};

  for (int64_t n = between(1, FUTURES_MAX); n > 0; n--)
    begin_future(&f, who);
  if (chance(200))
    caller_step(who);
  while (f.count > 0)
    collect_one(&f);
}

void async_step(int who)
{
  /* Who is called back waits for a future only where callbacks may wait at all. */
  if (chance(500) && (!rest_limits.in_callback || world_of_seed.callback_calls)) {
    some_futures(who);
    return;
  }
  for (int64_t n = between(1, 6); n > 0; n--)
    begin_callback(asked_new(who));
}
