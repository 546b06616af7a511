/* SPDX-License-Identifier: BSD-3-Clause */
/* demo_caller.c - see demo_caller.h. */
#include "demo_caller.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 2000 };

/* ---- names, values, dice ---- */

static uint64_t dice(struct caller *c, uint64_t sides)
{
  c->random ^= c->random << 13;
  c->random ^= c->random >> 7;
  c->random ^= c->random << 17;
  return c->random % sides;
}

const char *key_name(const char *prefix, const char *kind, uint64_t i, char buf[KEY_SIZE])
{
  snprintf(buf, KEY_SIZE, "%s%s:%" PRIu64, prefix, kind, i);
  return buf;
}

const char *value_of(const char *key, char buf[VALUE_SIZE])
{
  uint64_t hash = UINT64_C(14695981039346656037);

  for (const char *s = key; *s; s++)
    hash = (hash ^ (unsigned char)*s) * UINT64_C(1099511628211);
  snprintf(buf, VALUE_SIZE, "the value of %.100s is %016" PRIx64, key, hash);
  return buf;
}

/* ---- one call and its end ---- */

void tally_wrong(struct tally *t, const char *format, ...)
{
  va_list args;

  if (t->wrong++ > 0)
    return;
  va_start(args, format);
  vsnprintf(t->first_wrong, sizeof t->first_wrong, format, args);
  va_end(args);
}

void tally_join(struct tally *sum, const struct tally *t)
{
  sum->calls += t->calls;
  sum->not_run += t->not_run;
  sum->unknown += t->unknown;
  if (sum->wrong == 0)
    memcpy(sum->first_wrong, t->first_wrong, sizeof sum->first_wrong);
  sum->wrong += t->wrong;
  histogram_merge(&sum->times, &t->times);
}

void tally_check_counter(struct tally *t, const char *counter, int64_t value, int64_t low,
                         int64_t maybe)
{
  if (value < low || value > low + maybe)
    tally_wrong(t, "%s is %" PRId64 ", not %" PRId64 " to %" PRId64, counter, value, low,
                low + maybe);
}

int64_t pulse_age_ms(const struct pulse *pulse)
{
  return (now_ns() - pulse->begun) / 1000000;
}

static void note_answer(struct pulse *pulse)
{
  int64_t ms = pulse_age_ms(pulse);

  if (ms < PULSE_MS)
    atomic_fetch_add_explicit(&pulse->answers[ms], 1, memory_order_relaxed);
}

/* 1: it was answered, and not by an error. Calls that our own end has cut off are not counted. */
static int answered(struct caller *c, const pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);

  if (pmx_reply_cause(reply) == PMX_CAUSE_CANCELED)
    return 0;
  c->tally.calls++;
  atomic_fetch_add_explicit(&c->pulse->calls, 1, memory_order_relaxed);
  if (status == PMX_OK) {
    note_answer(c->pulse);
    return 1;
  }
  if (status == PMX_NOT_RUN)
    c->tally.not_run++;
  else if (status == PMX_UNKNOWN)
    c->tally.unknown++;
  else
    tally_wrong(&c->tally, "%s: %s", pmx_status_str(status), pmx_reply_error(reply));
  return 0;
}

static pmx_call limits(const struct caller *c)
{
  pmx_call call = PMX_CALL_INIT;

  call.timeout_ms = TIMEOUT_MS;
  call.cancel = c->stop;
  return call;
}

static pmx_reply *ask(struct caller *c, int argc, const char *const *argv)
{
  pmx_call call = limits(c);
  int64_t begun = now_ns();
  pmx_reply *reply = pmx_argv(c->client, &call, argc, argv, NULL);

  if (pmx_ok(reply) && strcmp(argv[0], "BLPOP") != 0)
    histogram_add(&c->tally.times, now_ns() - begun);
  return reply;
}

#define ASK(c, ...)                                                                                \
  ask((c), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void check_text(struct caller *c, const pmx_reply *reply, const char *text)
{
  const char *got = pmx_reply_str(reply, NULL);

  if (!got || strcmp(got, text) != 0)
    tally_wrong(&c->tally, "\"%.100s\" instead of \"%.100s\"", got ? got : "(no text)", text);
}

static void check_value(struct caller *c, const pmx_reply *reply, const char *key)
{
  char value[VALUE_SIZE];

  check_text(c, reply, value_of(key, value));
}

/* ---- what callers do ---- */

static void do_get(struct caller *c)
{
  char key[KEY_SIZE];
  pmx_reply *reply = ASK(c, "GET", key_name(c->prefix, "key", dice(c, CALLER_KEYS), key));

  if (answered(c, reply))
    check_value(c, reply, key);
  pmx_reply_free(reply);
}

static void do_set(struct caller *c)
{
  char key[KEY_SIZE], value[VALUE_SIZE];
  pmx_reply *reply;

  key_name(c->prefix, "key", dice(c, CALLER_KEYS), key);
  reply = ASK(c, "SET", key, value_of(key, value), "EX", "600");
  if (answered(c, reply))
    check_text(c, reply, "OK");
  pmx_reply_free(reply);
}

static void do_mget(struct caller *c)
{
  char keys[3][KEY_SIZE];
  pmx_reply *reply;

  for (int i = 0; i < 3; i++)
    key_name(c->prefix, "key", dice(c, CALLER_KEYS), keys[i]);
  reply = ASK(c, "MGET", keys[0], keys[1], keys[2]);
  for (size_t i = 0; i < 3 && (i > 0 || answered(c, reply)) && pmx_ok(reply); i++)
    check_value(c, pmx_reply_at(reply, i), keys[i]);
  pmx_reply_free(reply);
}

static void do_incr(struct caller *c)
{
  pmx_reply *reply = ASK(c, "INCR", c->counter);

  if (answered(c, reply))
    tally_check_counter(&c->tally, c->counter, pmx_reply_int(reply, NULL), ++c->counted, c->maybe);
  else if (pmx_reply_status(reply) == PMX_UNKNOWN)
    c->maybe++;
  pmx_reply_free(reply);
}

/* Half of the time there is something to pop; else the server waits a little and says nil. */
static void do_pop(struct caller *c)
{
  char value[VALUE_SIZE];
  pmx_reply *reply;

  if (dice(c, 2)) {
    reply = ASK(c, "RPUSH", c->list, value_of(c->list, value));
    c->pushed += answered(c, reply);
    pmx_reply_free(reply);
  }
  reply = ASK(c, "BLPOP", c->list, "0.005");
  if (!answered(c, reply)) {
    c->pushed = 0; /* an element may have gone with the connection */
  } else if (pmx_reply_type(reply) != PMX_TYPE_NIL) {
    check_text(c, pmx_reply_at(reply, 0), c->list);
    check_value(c, pmx_reply_at(reply, 1), c->list);
    c->pushed -= c->pushed > 0;
  } else if (c->pushed > 0) {
    tally_wrong(&c->tally, "%s was empty, but something had been pushed", c->list);
    c->pushed = 0;
  }
  pmx_reply_free(reply);
}

/* ---- a transaction: money goes from one account to another, or stays ---- */

static pmx_reply *on_lease(struct caller *c, pmx_lease *lease, const char *format, const char *key,
                           int n)
{
  pmx_call call = limits(c);

  return pmx_lease_command(lease, &call, format, key, n);
}

/* NULL when it was not answered. */
static pmx_reply *step(struct caller *c, pmx_lease *lease, const char *format, const char *key,
                       int n)
{
  pmx_reply *reply = on_lease(c, lease, format, key, n);

  if (answered(c, reply))
    return reply;
  pmx_reply_free(reply);
  return NULL;
}

static int expect(struct caller *c, pmx_reply *reply, const char *text)
{
  if (!reply)
    return 0;
  check_text(c, reply, text);
  pmx_reply_free(reply);
  return 1;
}

static void transfer(struct caller *c, pmx_lease *lease, const char *from, const char *to)
{
  int amount = (int)dice(c, 50);
  pmx_reply *reply;
  int64_t had;

  if (!expect(c, step(c, lease, "WATCH %s", from, 0), "OK"))
    return;
  reply = step(c, lease, "GET %s", from, 0);
  if (!reply)
    return; /* the WATCH, and below the MULTI, are taken off when the lease is returned */
  had = pmx_reply_int(reply, NULL);
  pmx_reply_free(reply);
  if (!expect(c, step(c, lease, "MULTI", "", 0), "OK") ||
      !expect(c, step(c, lease, "DECRBY %s %d", from, amount), "QUEUED") ||
      !expect(c, step(c, lease, "INCRBY %s %d", to, amount), "QUEUED"))
    return;
  reply = step(c, lease, "EXEC", "", 0);
  if (!reply)
    return;
  if (pmx_reply_type(reply) != PMX_TYPE_NIL &&
      pmx_reply_int(pmx_reply_at(reply, 0), NULL) != had - amount)
    tally_wrong(&c->tally, "%s had %" PRId64 " less %d, and then %" PRId64, from, had, amount,
                pmx_reply_int(pmx_reply_at(reply, 0), NULL));
  pmx_reply_free(reply);
}

static void do_transfer(struct caller *c)
{
  pmx_call call = limits(c);
  char from[KEY_SIZE], to[KEY_SIZE];
  uint64_t i = dice(c, CALLER_ACCOUNTS);
  pmx_reply *err;
  pmx_lease *lease = pmx_acquire(c->client, &call, &err);

  if (!lease) {
    answered(c, err);
    pmx_reply_free(err);
    return;
  }
  key_name(c->prefix, "account", i, from);
  key_name(c->prefix, "account", (i + 1 + dice(c, CALLER_ACCOUNTS - 1)) % CALLER_ACCOUNTS, to);
  transfer(c, lease, from, to);
  pmx_release(lease);
}

void caller_init(struct caller *c, uint64_t i)
{
  c->random = (uint64_t)now_ns() * (2 * i + 1) | 1;
  key_name(c->prefix, "counter", i, c->counter);
  key_name(c->prefix, "list", i, c->list);
}

void caller_act(struct caller *c)
{
  static void (*const acts[])(struct caller *) = {do_get,  do_get, do_get,     do_get,  do_set,
                                                  do_set,  do_set, do_mget,    do_incr, do_incr,
                                                  do_incr, do_pop, do_transfer};

  acts[dice(c, sizeof acts / sizeof *acts)](c);
}
