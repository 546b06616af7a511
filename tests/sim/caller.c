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

void attempt_name(struct attempt *a)
{
  a->call = oracle_new_call();
  if (a->lease)
    snprintf(a->key, sizeof a->key, "l%u:%u", a->lease, a->call);
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

void attempt_draw(struct attempt *a, int who)
{
  struct token *token = caller_token(who);

  a->options = (pmx_call)PMX_CALL_INIT;
  a->options.timeout_ms = some_timeout();
  if (chance(100))
    a->options.deadline_ms = pmx_now_ms() + between(0, 1000);
  if (chance(200))
    a->options.flags = chance(500) ? PMX_CALL_RETRY_SAFE : PMX_CALL_NO_RETRY;
  a->token = NULL;
  if (token->cancel && chance(500)) {
    a->token = token;
    a->options.cancel = token->cancel;
  }
}

/* As the manual says: default 5 s, and a blocking command's own timeout (0.1 s) and its grace. */
void attempt_begin(struct attempt *a)
{
  int64_t timeout = a->options.timeout_ms, cap = a->options.deadline_ms;

  a->started = sim_now();
  a->frozen = sim_frozen();
  a->deadline = SIM_FOREVER;
  if (timeout == PMX_DEFAULT)
    a->deadline = a->started + (a->kind == BLPOP ? BLPOP_MS * SIM_MS : 5 * SIM_S);
  else if (timeout != PMX_FOREVER)
    a->deadline = a->started + timeout * SIM_MS;
  if (a->kind == BLPOP && a->started + BLPOP_MS * SIM_MS < a->deadline)
    a->deadline = a->started + BLPOP_MS * SIM_MS;
  if (cap != PMX_FOREVER && cap * SIM_MS < a->deadline)
    a->deadline = cap * SIM_MS;
}

void attempt_words(const struct attempt *a, struct words *ret)
{
  static const char *const names[] = {"GET", "SET", "INCR", "ECHO", "BLPOP"};

  *ret = (struct words){.argc = a->kind == SET || a->kind == BLPOP ? 3 : 2,
                        .argv = {names[a->kind], a->key, "0.1"},
                        .len = {strlen(names[a->kind]), strlen(a->key), 3}};
  if (a->kind != SET)
    return;
  ret->len[2] = value_size(a->key);
  ret->argv[2] = ret->value = malloc(ret->len[2]);
  value_write(a->key, ret->value);
}

void words_free(struct words *words)
{
  free(words->value);
}

/* What waits at the server is ended there first. */
int64_t attempt_grace(const struct attempt *a)
{
  return a->kind == BLPOP ? CANCEL_GRACE_MS * SIM_MS : 0;
}

void attempt_waits(const struct attempt *a, const struct words *words, int how)
{
  struct waiting waiting = {.call = a->call,
                            .lane = LANE_NONE,
                            .until = a->deadline == SIM_FOREVER ? SIM_FOREVER
                                                                : a->deadline + attempt_grace(a),
                            .how = how,
                            .unattended = how != SLEEPS};

  if (world_of_seed.mux)
    waiting.lane = (int)(task_number(task_self()) % rest_limits.lanes);
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
  struct attempt a = {.kind = (enum kind)choose(world_of_seed.mux ? BLPOP : KINDS)};
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

void caller_must_succeed(void)
{
  const struct world *w = &world_of_seed;
  int64_t begun = sim_now(), limit = SIM_S + 250 * SIM_MS, frozen = sim_frozen();

  for (;;) {
    struct attempt a = {.kind = ECHO_KEY, .options = PMX_CALL_INIT};
    int ok = try_echo(&a);

    if (!w->closed && sim_now() > begun + limit + sim_frozen() - frozen)
      fail("P7: %s %.3f s", ok ? "success only after" : "no success in",
           (double)(sim_now() - begun) / 1e9);
    if (ok || w->closed)
      return;
    sleep_until(sim_now() + 5 * SIM_MS);
  }
}

void caller_burst_step(void)
{
  struct attempt a = {.kind = (enum kind)choose(BLPOP), .options = PMX_CALL_INIT};
  pmx_reply *reply;

  attempt_name(&a);
  a.options.timeout_ms = 5000;
  reply = attempt_send(&a);
  attempt_check(&a, reply, 0);
  pmx_reply_free(reply);
  if (sim_now() > a.started + SIM_S + 250 * SIM_MS + sim_frozen() - a.frozen)
    fail("P7: call %u took %.3f s, and all was well", a.call,
         (double)(sim_now() - a.started) / 1e9);
}

void caller_refused(int who)
{
  static const char *const commands[] = {"BLPOP k 0.1", "MULTI",       "WATCH k",
                                         "SELECT 5",    "SUBSCRIBE k", "XREAD BLOCK 1 STREAMS k 0"};
  const char *command = commands[choose(sizeof commands / sizeof commands[0])];
  struct attempt a = {.kind = ECHO_KEY};
  pmx_reply *reply;

  a.call = oracle_new_call();
  attempt_draw(&a, who);
  attempt_begin(&a);
  trace("%s must be refused", command);
  reply = pmx_command_call(world_of_seed.client, &a.options, command);
  if (pmx_reply_status(reply) != PMX_INVALID && !world_of_seed.memory)
    fail("%s was not refused: %s", command, pmx_reply_error(reply));
  attempt_check_time(&a);
  pmx_reply_free(reply);
}
