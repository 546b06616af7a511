/* SPDX-License-Identifier: BSD-3-Clause */
/* caller.c - random calls. What must be true of their outcomes is in judge.c. */
#include "sim/attempt.h"
#include "sim/value.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* About as large as a lane's buffer, or much larger, or not. */
static size_t some_size(void)
{
  switch (choose(3)) {
  case 0:
    return (size_t)between(200, 3000);
  case 1:
    return (size_t)between(65000, 66000);
  }
  return (size_t)between(66000, 200000);
}

static void draw_list(struct attempt *a, char list[8])
{
  static const int64_t blocks[] = {20, 100, 100, 300, 2000, 0};

  a->list = (unsigned)choose(LIST_HELD);
  a->block_ms = blocks[choose(sizeof blocks / sizeof blocks[0])];
  snprintf(list, 8, "q%u", a->list);
}

void attempt_name(struct attempt *a)
{
  char list[8] = "";

  a->call = oracle_new_call();
  if (a->kind == LPUSH || a->kind == BLPOP)
    draw_list(a, list);
  if (a->lease)
    snprintf(a->key, sizeof a->key, "l%u%s:%u", a->lease, list, a->call);
  else if (list[0])
    snprintf(a->key, sizeof a->key, "%s:%u", list, a->call);
  else if (world_of_seed.big && chance(150))
    snprintf(a->key, sizeof a->key, "o%zu:%u", some_size(), a->call);
  else
    snprintf(a->key, sizeof a->key, "o:%u", a->call);
}

static int64_t some_timeout(void)
{
  static const int64_t timeouts[] = {
      0, 1, 5, 20, 100, 500, 1000, 5000, PMX_DEFAULT, PMX_DEFAULT, PMX_DEFAULT, PMX_FOREVER};
  int64_t t = timeouts[choose(sizeof timeouts / sizeof timeouts[0])];

  return t == PMX_FOREVER && !world_of_seed.forever_allowed ? 5000 : t;
}

struct token *caller_token(int who)
{
  return &world_of_seed.tokens[who][world_of_seed.token_now[who]];
}

int caller_is_hybrid(void)
{
  return world_of_seed.lanes && world_of_seed.pool;
}

enum kind attempt_kind(void)
{
  return (enum kind)choose(world_of_seed.pool ? KINDS : BLPOP);
}

void attempt_draw_place(struct attempt *a)
{
  const struct world *w = &world_of_seed;

  if (a->lease || !chance(200))
    return;
  if (w->pool && (!w->lanes || a->kind == BLPOP || chance(500)))
    a->options.flags |= PMX_CALL_DEDICATED;
  else
    a->options.flags |= PMX_CALL_SHARED;
}

void attempt_draw(struct attempt *a, int who)
{
  struct token *token = caller_token(who);

  a->options = (pmx_call)PMX_CALL_INIT;
  a->options.timeout_ms = some_timeout();
  if (chance(100))
    a->options.deadline_ms = pmx_now_ms() + between(0, 1000);
  if (chance(200))
    a->options.flags = chance(500) ? PMX_CALL_RETRY_SAFE : PMX_CALL_NO_RETRY;
  attempt_draw_place(a);
  if (a->kind == BLPOP && a->block_ms == 0 && a->options.timeout_ms == PMX_DEFAULT &&
      !world_of_seed.forever_allowed)
    a->block_ms = 100;
  a->token = NULL;
  if (token->cancel && chance(500)) {
    a->token = token;
    a->options.cancel = token->cancel;
  }
}

static int64_t own_timeout(const struct attempt *a)
{
  return a->kind == BLPOP && a->block_ms ? a->block_ms + 1000 : PMX_FOREVER;
}

/* As the manual says: default 5 s, and a blocking command's own timeout and its grace. */
void attempt_begin(struct attempt *a)
{
  int64_t timeout = a->options.timeout_ms, cap = a->options.deadline_ms;

  a->started = sim_now();
  a->frozen = sim_frozen();
  a->deadline = SIM_FOREVER;
  if (timeout == PMX_DEFAULT)
    timeout = a->kind == BLPOP ? PMX_FOREVER : 5000;
  if (own_timeout(a) != PMX_FOREVER && (timeout == PMX_FOREVER || own_timeout(a) < timeout))
    timeout = own_timeout(a);
  if (timeout != PMX_FOREVER)
    a->deadline = a->started + timeout * SIM_MS;
  if (cap != PMX_FOREVER && cap * SIM_MS < a->deadline)
    a->deadline = cap * SIM_MS;
}

void attempt_words(const struct attempt *a, struct words *ret)
{
  static const char *const names[] = {"GET", "SET", "INCR", "ECHO", "LPUSH", "BLPOP"};
  int long_form = a->kind == SET || a->kind == LPUSH || a->kind == BLPOP;

  *ret = (struct words){.argc = long_form ? 3 : 2,
                        .argv = {names[a->kind], a->key},
                        .len = {strlen(names[a->kind]), strlen(a->key)}};
  if (a->kind == BLPOP) {
    snprintf(ret->block, sizeof ret->block, "%g", (double)a->block_ms / 1000);
    ret->argv[2] = ret->block;
    ret->len[2] = strlen(ret->block);
  }
  if (!long_form || a->kind == BLPOP)
    return;
  ret->len[2] = value_size(a->key);
  ret->argv[2] = ret->value = malloc(ret->len[2]);
  value_write(a->key, ret->value);
}

void words_free(struct words *words)
{
  free(words->value);
}

static size_t decimal(size_t n)
{
  return (size_t)snprintf(NULL, 0, "%zu", n);
}

static int64_t encoded_size(const struct words *words)
{
  size_t size = 3 + decimal((size_t)words->argc);

  for (int i = 0; i < words->argc; i++)
    size += 5 + decimal(words->len[i]) + words->len[i];
  return (int64_t)size;
}

/* As the manual says. */
static int is_for_lane(const struct attempt *a, const struct words *words)
{
  const struct world *w = &world_of_seed;

  if (!caller_is_hybrid())
    return w->lanes;
  if (a->lease || (a->options.flags & PMX_CALL_DEDICATED))
    return 0;
  return (a->options.flags & PMX_CALL_SHARED) ||
         (a->kind != BLPOP && encoded_size(words) <= w->bulk);
}

/* What waits at the server is ended there first. */
int64_t attempt_grace(const struct attempt *a)
{
  return a->kind == BLPOP && oracle_sent_on(a->call) ? world_of_seed.grace : 0;
}

void attempt_waits(struct attempt *a, const struct words *words, int how)
{
  struct waiting waiting = {.call = a->call,
                            .until = a->deadline,
                            .how = how,
                            .unattended = how != SLEEPS,
                            .task = how == SLEEPS ? task_self() : NULL};

  tracing_begins(a->call);
  a->lane = LANE_NONE;
  if (is_for_lane(a, words))
    a->lane = (int)(task_number(task_self()) % rest_limits.lanes);
  waiting.lane = a->lane;
  waiting.grace = a->kind == BLPOP ? world_of_seed.grace : 0;
  for (int i = 0; i < words->argc; i++)
    waiting.size += words->len[i];
  if (a->token)
    waiting.fired_at = &a->token->fired_at;
  oracle_waits(&waiting);
}

pmx_reply *attempt_send(struct attempt *a)
{
  struct words words;
  pmx_reply *reply;

  attempt_words(a, &words);
  attempt_begin(a);
  trace("%s %s begins, %lld ms", words.argv[0], a->key, (long long)a->options.timeout_ms);
  attempt_waits(a, &words, SLEEPS);
  if (a->on)
    reply = pmx_lease_argv(a->on, &a->options, words.argc, words.argv, words.len);
  else
    reply = pmx_argv(world_of_seed.client, &a->options, words.argc, words.argv, words.len);
  oracle_waits_no_more(a->call);
  words_free(&words);
  return reply;
}

/* ---- calls ---- */

void caller_step(int who)
{
  struct attempt a = {.kind = attempt_kind()};
  pmx_reply *reply;

  attempt_name(&a);
  attempt_draw(&a, who);
  reply = attempt_send(&a);
  attempt_check(&a, reply, 0);
  pmx_reply_free(reply);
}

/* 1: it succeeded. */
static int try_echo(struct attempt *a)
{
  pmx_reply *reply;
  int ok;

  a->options.timeout_ms = 5000;
  attempt_name(a);
  reply = attempt_send(a);
  attempt_check(a, reply, 0);
  ok = pmx_ok(reply);
  pmx_reply_free(reply);
  return ok;
}

void caller_must_succeed_there(uint64_t place)
{
  const struct world *w = &world_of_seed;
  int64_t begun = sim_now(), limit = SIM_S + 250 * SIM_MS, frozen = sim_frozen();

  for (;;) {
    struct attempt a = {.kind = ECHO_KEY, .options = PMX_CALL_INIT};
    int ok;

    a.options.flags = place;
    ok = try_echo(&a);

    if (!w->closed && sim_now() > begun + limit + sim_frozen() - frozen)
      fail("P7: %s %.3f s", ok ? "success only after" : "no success in",
           (double)(sim_now() - begun) / 1e9);
    if (ok || w->closed)
      return;
    sleep_until(sim_now() + 5 * SIM_MS);
  }
}

void caller_must_succeed(void)
{
  caller_must_succeed_there(caller_is_hybrid() && chance(400) ? PMX_CALL_DEDICATED : 0);
}

void caller_burst_step(void)
{
  struct attempt a = {.kind = (enum kind)choose(BLPOP), .options = PMX_CALL_INIT};
  pmx_reply *reply;

  attempt_name(&a);
  attempt_draw_place(&a);
  a.options.timeout_ms = 5000;
  reply = attempt_send(&a);
  attempt_check(&a, reply, 0);
  pmx_reply_free(reply);
  if (sim_now() > a.started + SIM_S + 250 * SIM_MS + sim_frozen() - a.frozen)
    fail("P7: call %u took %.3f s, and all was well", a.call,
         (double)(sim_now() - a.started) / 1e9);
}

/* Those that block last. */
void caller_refused(int who)
{
  static const char *const commands[] = {"MULTI",       "WATCH k",     "SELECT 5",
                                         "SUBSCRIBE k", "BLPOP k 0.1", "XREAD BLOCK 1 STREAMS k 0"};
  size_t all = sizeof commands / sizeof commands[0];
  const char *command = commands[choose(world_of_seed.lanes ? all : all - 2)];
  struct attempt a = {.kind = ECHO_KEY};
  pmx_reply *reply;

  a.call = oracle_new_call();
  attempt_draw(&a, who);
  if (caller_is_hybrid() && strchr(command, '1'))
    a.options.flags = PMX_CALL_SHARED;
  attempt_begin(&a);
  trace("%s must be refused", command);
  reply = pmx_command_call(world_of_seed.client, &a.options, command);
  if (pmx_reply_status(reply) != PMX_INVALID && !world_of_seed.memory)
    fail("%s was not refused: %s", command, pmx_reply_error(reply));
  attempt_check_time(&a);
  pmx_reply_free(reply);
}
