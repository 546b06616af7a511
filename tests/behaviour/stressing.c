/* SPDX-License-Identifier: BSD-3-Clause */
/* stressing.c - see stressing.h. libcheck's assertions are for the test's own thread: what is wrong
 * is noted here. */
#include "stressing.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"

enum { KEYS = 50, TEXT_MAX = 40000 };
static const int64_t usual_us = STRESS_COMMAND_TIMEOUT_MS * 1000, grace_us = 1000000;

void stress_wrong(struct faults *faults, const char *format, ...)
{
  va_list args;

  pthread_mutex_lock(&faults->lock);
  if (faults->count++ == 0) {
    va_start(args, format);
    vsnprintf(faults->first, sizeof faults->first, format, args);
    va_end(args);
  }
  pthread_mutex_unlock(&faults->lock);
}

/* ---- one call: its deadline, its token, its end ---- */

struct order {
  pmx_call call;
  int64_t deadline_us;
};

static int one_in(struct worker *w, unsigned n)
{
  return rng_below(&w->rng, n) == 0;
}

static void set_deadline(struct worker *w, struct order *o, int64_t us)
{
  int64_t now = now_us(), ms = (int64_t)rng_below(&w->rng, 40);

  o->deadline_us = now + us;
  if (one_in(w, 2)) {
    o->call.timeout_ms = ms;
    o->deadline_us = now + ms * 1000;
  }
  if (one_in(w, 6)) {
    o->call.deadline_ms = pmx_now_ms() + ms / 2;
    if (o->call.deadline_ms * 1000 < o->deadline_us)
      o->deadline_us = o->call.deadline_ms * 1000;
  }
}

/* us: how long the call may take by itself. */
static void order_begin(struct worker *w, struct order *o, int64_t us)
{
  pmx_cancel *token = one_in(w, 3) ? pmx_cancel_new() : NULL;

  *o = (struct order){.call = PMX_CALL_INIT};
  o->call.cancel = token;
  pthread_mutex_lock(&w->lock);
  w->token = token;
  w->fired_us = 0;
  pthread_mutex_unlock(&w->lock);
  set_deadline(w, o, us);
}

static void later(int64_t *latest, int64_t us)
{
  if (us > *latest)
    *latest = us;
}

static void order_end(struct worker *w, struct order *o)
{
  int64_t now = now_us();

  later(&w->latest_us, now - o->deadline_us);
  pthread_mutex_lock(&w->lock);
  w->token = NULL;
  if (w->fired_us)
    later(&w->cancel_latest_us, now - w->fired_us);
  pthread_mutex_unlock(&w->lock);
  pmx_cancel_free(o->call.cancel);
}

/* 1: it was answered. A call may fail, but only in the ways that this test provokes. */
static int answered(struct worker *w, const char *what, const pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);
  pmx_cause cause = pmx_reply_cause(reply);

  if (status == PMX_OK)
    return 1;
  if ((status != PMX_NOT_RUN && status != PMX_UNKNOWN) || cause == PMX_CAUSE_PROTOCOL ||
      cause == PMX_CAUSE_AUTH || cause == PMX_CAUSE_NONE)
    stress_wrong(w->faults, "%s: %s %s: %s", what, pmx_status_str(status), pmx_cause_str(cause),
                 pmx_reply_error(reply));
  return 0;
}

/* Over the lease, or over the client when there is none. The reply is the caller's. */
static pmx_reply *ask(struct worker *w, pmx_lease *lease, int64_t us, int argc,
                      const char *const *argv)
{
  struct order o;
  pmx_reply *reply;

  order_begin(w, &o, us);
  if (!lease && one_in(w, 4))
    o.call.flags |= flags_alone(w->client);
  reply = lease ? pmx_lease_argv(lease, &o.call, argc, argv, NULL)
                : pmx_argv(w->client, &o.call, argc, argv, NULL);
  order_end(w, &o);
  w->calls++;
  w->ended[pmx_reply_status(reply)]++;
  return reply;
}

#define ASK(w, lease, ...)                                                                         \
  ask((w), (lease), usual_us, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),              \
      (const char *[]){__VA_ARGS__})

/* ---- what is asked; 1: answered, and well ---- */

static const char *a_key(struct worker *w, char ret[32])
{
  snprintf(ret, 32, "stress:%d", (int)rng_below(&w->rng, KEYS));
  return ret;
}

/* Nil as well: keys go with the server that is killed. */
static int check_own(struct worker *w, const pmx_reply *reply, const char *of)
{
  const char *got = pmx_reply_str(reply, NULL);
  char value[VALUE_SIZE];

  if (!answered(w, of, reply))
    return 0;
  if (pmx_reply_type(reply) != PMX_TYPE_NIL && (!got || strcmp(got, value_of(of, value)) != 0))
    stress_wrong(w->faults, "asked for the value of %s, got type %d \"%.200s\"", of,
                 (int)pmx_reply_type(reply), got ? got : "");
  return 1;
}

static int check_text(struct worker *w, const pmx_reply *reply, const char *text)
{
  const char *got = pmx_reply_str(reply, NULL);

  if (!answered(w, text, reply))
    return 0;
  if (!got || strcmp(got, text) != 0)
    stress_wrong(w->faults, "asked for \"%.60s\", got type %d \"%.200s\"", text,
                 (int)pmx_reply_type(reply), got ? got : "");
  return 1;
}

/* Takes over the reply. */
static int done(struct worker *w, pmx_reply *reply, const char *text)
{
  int good = check_text(w, reply, text);

  pmx_reply_free(reply);
  return good;
}

static void do_set(struct worker *w)
{
  char key[32], value[VALUE_SIZE];

  a_key(w, key);
  done(w, ASK(w, NULL, "SET", key, value_of(key, value)), "OK");
}

static void do_get(struct worker *w)
{
  char key[32];
  pmx_reply *reply = ASK(w, NULL, "GET", a_key(w, key));

  check_own(w, reply, key);
  pmx_reply_free(reply);
}

static void do_mget(struct worker *w)
{
  char keys[3][32];
  pmx_reply *reply = ASK(w, NULL, "MGET", a_key(w, keys[0]), a_key(w, keys[1]), a_key(w, keys[2]));

  if (answered(w, "MGET", reply)) {
    if (pmx_reply_len(reply) != 3)
      stress_wrong(w->faults, "MGET of 3 keys got %zu", pmx_reply_len(reply));
    for (size_t i = 0; i < 3; i++)
      check_own(w, pmx_reply_at(reply, i), keys[i]);
  }
  pmx_reply_free(reply);
}

/* A text that nobody else ever sends, in all sizes. */
static const char *own_text(struct worker *w)
{
  size_t size = one_in(w, 8) ? rng_below(&w->rng, TEXT_MAX) : rng_below(&w->rng, 100);
  int len = snprintf(w->text, TEXT_MAX, "%d:%" PRIu64 ":", w->index, w->texts++);

  if (size < (size_t)len)
    size = (size_t)len;
  memset(w->text + len, 'x', size - (size_t)len);
  w->text[size] = '\0';
  return w->text;
}

static void do_echo(struct worker *w)
{
  const char *text = own_text(w);

  done(w, ASK(w, NULL, "ECHO", text), text);
}

/* Only this worker uses its list. */
static void do_pop(struct worker *w)
{
  char value[VALUE_SIZE];
  const char *const pop[] = {"BLPOP", w->list, one_in(w, 2) ? "0.003" : "0.02"};
  pmx_reply *reply;

  value_of(w->list, value);
  if (one_in(w, 2))
    pmx_reply_free(ASK(w, NULL, "RPUSH", w->list, value));
  reply = ask(w, NULL, grace_us + (pop[2][3] == '3' ? 3000 : 20000), 3, pop);
  if (answered(w, "BLPOP", reply) && pmx_reply_type(reply) != PMX_TYPE_NIL) {
    check_text(w, pmx_reply_at(reply, 0), w->list);
    check_own(w, pmx_reply_at(reply, 1), w->list);
  }
  pmx_reply_free(reply);
}

/* ---- leases ---- */

/* Nil, the answer of an EXEC whose watched key was changed, only when this lease has watched one.
 */
static void check_exec(struct worker *w, const pmx_reply *reply, int watched)
{
  if (!answered(w, "EXEC", reply))
    return;
  if (pmx_reply_type(reply) == PMX_TYPE_NIL) {
    if (!watched)
      stress_wrong(w->faults, "EXEC met a WATCH of somebody else");
    return;
  }
  check_text(w, pmx_reply_at(reply, 0), "OK");
  check_text(w, pmx_reply_at(reply, 1), w->text);
}

static void lease_transaction(struct worker *w, pmx_lease *lease)
{
  int watched = one_in(w, 2);
  char key[32], value[VALUE_SIZE];
  pmx_reply *reply;

  value_of(a_key(w, key), value);
  if (watched && !done(w, ASK(w, lease, "WATCH", key), "OK"))
    return;
  if (watched && one_in(w, 3))
    return; /* the pool has to take the WATCH off */
  if (!done(w, ASK(w, lease, "MULTI"), "OK") ||
      !done(w, ASK(w, lease, "SET", key, value), "QUEUED") ||
      !done(w, ASK(w, lease, "ECHO", own_text(w)), "QUEUED"))
    return;
  if (one_in(w, 4))
    return; /* and the MULTI */
  reply = ASK(w, lease, "EXEC");
  check_exec(w, reply, watched);
  pmx_reply_free(reply);
}

/* The same keys have other values in another database: one that was not selected back is seen. */
static void lease_select(struct worker *w, pmx_lease *lease)
{
  const char *const db = one_in(w, 2) ? "5" : "9";
  char key[32], there[48], value[VALUE_SIZE];
  pmx_reply *reply;

  snprintf(there, sizeof there, "db%s:%s", db, a_key(w, key));
  value_of(there, value);
  if (!done(w, ASK(w, lease, "SELECT", db), "OK") ||
      !done(w, ASK(w, lease, "SET", key, value), "OK"))
    return;
  reply = ASK(w, lease, "GET", key);
  check_own(w, reply, there);
  pmx_reply_free(reply);
}

static void do_lease(struct worker *w)
{
  struct order o;
  pmx_reply *err;
  pmx_lease *lease;

  order_begin(w, &o, usual_us);
  lease = pmx_acquire(w->client, &o.call, &err);
  order_end(w, &o);
  if (!lease) {
    if (answered(w, "pmx_acquire", err))
      stress_wrong(w->faults, "pmx_acquire gave neither a lease nor a failure");
    pmx_reply_free(err);
    return;
  }
  if (one_in(w, 10))
    sleep_ms(1);
  else if (one_in(w, 2))
    lease_select(w, lease);
  else
    lease_transaction(w, lease);
  if (pmx_release(lease) != PMX_OK)
    stress_wrong(w->faults, "pmx_release was refused");
}

void stress_act(struct worker *w)
{
  static void (*const acts[])(struct worker *) = {do_set,  do_set, do_get,   do_get,  do_mget,
                                                  do_echo, do_pop, do_lease, do_lease};
  enum { ACTS = sizeof acts / sizeof *acts, WITHOUT_LEASES = ACTS - 3 };

  acts[rng_below(&w->rng, w->leases ? ACTS : WITHOUT_LEASES)](w);
}

int stress_cancel(struct worker *w)
{
  int fires;

  pthread_mutex_lock(&w->lock);
  fires = w->token && !w->fired_us;
  if (fires) {
    w->fired_us = now_us();
    pmx_cancel_fire(w->token);
  }
  pthread_mutex_unlock(&w->lock);
  return fires;
}

void stress_worker_init(struct worker *w, int index, uint64_t seed)
{
  memset(w, 0, sizeof *w);
  w->index = index;
  w->text = harness_alloc(TEXT_MAX + 1);
  snprintf(w->list, sizeof w->list, "stress:list:%d", index);
  rng_seed(&w->rng, seed + (uint64_t)index);
  pthread_mutex_init(&w->lock, NULL);
}

void stress_worker_clear(struct worker *w)
{
  pthread_mutex_destroy(&w->lock);
  free(w->text);
}
