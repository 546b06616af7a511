/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_orders.c - the commands of the soak test, drawn at random, and what their replies must
 * be: each tells by its text to whom it belongs. A call may fail, but only in the ways that the
 * test provokes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/soaking.h"

/* ---- tokens ---- */

static struct token *token_join(struct caller *w)
{
  struct token *t = &w->s->tokens[rng_below(&w->rng, SOAK_TOKENS)];

  pthread_mutex_lock(&t->lock);
  if (t->users == 0 && t->fired) {
    CALL(pmx_cancel_free)(t->cancel);
    t->cancel = NULL;
  }
  if (!t->cancel) {
    t->cancel = CALL(pmx_cancel_new)();
    t->fired = false;
  }
  t->users++;
  pthread_mutex_unlock(&t->lock);
  return t;
}

void order_done(struct order *o)
{
  if (!o->token)
    return;
  pthread_mutex_lock(&o->token->lock);
  o->token->users--;
  pthread_mutex_unlock(&o->token->lock);
  o->token = NULL;
}

/* ---- texts ---- */

/* Appends to o->text, which holds all words, and makes it the next argument. */
static void word(struct order *o, const char *text, size_t pad)
{
  char *at = o->text + o->used;
  size_t len = strlen(text);

  memcpy(at, text, len);
  memset(at + len, 'x', pad);
  at[len + pad] = '\0';
  o->argv[o->argc] = at;
  o->len[o->argc++] = len + pad;
  o->used += len + pad + 1;
}

static const char *any_key(struct caller *w, int of, char ret[64])
{
  snprintf(ret, 64, "soak:%d:%d", of, (int)rng_below(&w->rng, SOAK_KEYS));
  return ret;
}

static const char *own_key(const struct caller *w, const char *of, char ret[64])
{
  snprintf(ret, 64, "soak:%s:%d", of, w->index);
  return ret;
}

static int anybody(struct caller *w)
{
  return (int)rng_below(&w->rng, SOAK_THREADS);
}

/* Text that nobody else ever sends. */
static void echo(struct caller *w, struct order *o)
{
  struct expect *e = &o->expect;

  snprintf(e->text, sizeof e->text, "%" PRIx64 ":%d:%" PRIu64 ":", w->s->seed, w->index,
           w->texts++);
  e->pad = rng_below(&w->rng, 8) ? rng_below(&w->rng, 40) : rng_below(&w->rng, 5000);
  word(o, "ECHO", 0);
  word(o, e->text, e->pad);
}

static void set(struct caller *w, struct order *o)
{
  char key[64], value[128];

  o->expect.kind = EXPECT_OK;
  any_key(w, w->index, key);
  snprintf(value, sizeof value, "%s=%" PRIu64, key, w->texts++);
  word(o, "SET", 0);
  word(o, key, 0);
  word(o, value, 0);
}

static void get(struct caller *w, struct order *o)
{
  o->expect.kind = EXPECT_OWN;
  word(o, "GET", 0);
  word(o, any_key(w, anybody(w), o->expect.text), 0);
}

static void mget(struct caller *w, struct order *o)
{
  o->expect.kind = EXPECT_OWNS;
  word(o, "MGET", 0);
  word(o, any_key(w, anybody(w), o->expect.text), 0);
  word(o, any_key(w, anybody(w), o->expect.other), 0);
}

static void incr(struct caller *w, struct order *o)
{
  char key[64];

  o->expect.kind = EXPECT_INT;
  word(o, "INCR", 0);
  word(o, own_key(w, "n", key), 0);
}

static void echo_double(struct caller *w, struct order *o)
{
  char text[64];

  o->expect.kind = EXPECT_DOUBLE;
  o->expect.number = (double)(w->texts++ * SOAK_THREADS + (uint64_t)w->index) + 0.5;
  snprintf(text, sizeof text, "%.1f", o->expect.number);
  word(o, "ECHO", 0);
  word(o, text, 0);
}

static void hash(struct caller *w, struct order *o)
{
  o->expect.kind = EXPECT_HASH;
  snprintf(o->expect.text, sizeof o->expect.text, "soak:h:%d", anybody(w));
  word(o, "HGETALL", 0);
  word(o, o->expect.text, 0);
}

static void wrong_type(struct caller *w, struct order *o)
{
  (void)w;
  o->expect.kind = EXPECT_WRONGTYPE;
  word(o, "LPUSH", 0);
  word(o, "soak:text", 0);
  word(o, "no", 0);
}

static void pop(struct caller *w, struct order *o)
{
  o->expect.kind = EXPECT_POP;
  word(o, "BLPOP", 0);
  word(o, own_key(w, "l", o->expect.text), 0);
  word(o, rng_below(&w->rng, 2) ? "0.003" : "0.02", 0);
  o->limit_ms += 20 + 1000; /* blocking_grace */
}

static void push(struct caller *w, struct order *o)
{
  char key[64];

  o->expect.kind = EXPECT_INT;
  word(o, "RPUSH", 0);
  word(o, own_key(w, "l", key), 0);
  word(o, key, 0);
}

/* ---- deadline, flags, token ---- */

static int64_t smaller(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static void set_call(struct caller *w, struct order *o)
{
  int64_t ms = (int64_t)rng_below(&w->rng, 60);

  if (rng_below(&w->rng, 3) == 0) {
    o->call.timeout_ms = ms;
    o->limit_ms = ms;
  }
  if (rng_below(&w->rng, 6) == 0) {
    o->call.deadline_ms = CALL(pmx_now_ms)() + ms / 2;
    o->limit_ms = smaller(o->limit_ms, ms / 2);
  }
  if (rng_below(&w->rng, 4) == 0)
    o->call.flags = rng_below(&w->rng, 2) ? PMX_CALL_RETRY_SAFE : PMX_CALL_NO_RETRY;
  if (rng_below(&w->rng, 6) == 0)
    o->call.flags |= rng_below(&w->rng, 2) ? PMX_CALL_DEDICATED : PMX_CALL_SHARED;
  if (rng_below(&w->rng, 4) == 0) {
    o->token = token_join(w);
    o->call.cancel = o->token->cancel;
  }
}

void order_make(struct caller *w, struct order *o)
{
  static void (*const kinds[])(struct caller *, struct order *) = {
      echo, echo, echo, set,         set,  get,        get, get,
      mget, incr, incr, echo_double, hash, wrong_type, pop, push};

  o->argc = 0;
  o->used = 0;
  o->expect = (struct expect){.kind = EXPECT_TEXT};
  o->call = (pmx_call)PMX_CALL_INIT;
  o->token = NULL;
  o->limit_ms = SOAK_DEFAULT_MS;
  kinds[rng_below(&w->rng, sizeof kinds / sizeof kinds[0])](w, o);
  set_call(w, o);
  o->expect.placed = o->call.flags & (PMX_CALL_DEDICATED | PMX_CALL_SHARED);
}

/* ---- judging ---- */

static bool provoked(const pmx_reply *reply, const struct expect *e)
{
  pmx_status status = CALL(pmx_reply_status)(reply);
  pmx_cause cause = CALL(pmx_reply_cause)(reply);

  if (cause == PMX_CAUSE_TOO_LARGE)
    return e->pad > 500;
  switch (status) {
  case PMX_SERVER_ERROR:
    return e->kind == EXPECT_WRONGTYPE &&
           strcmp(CALL(pmx_reply_error_code)(reply), "WRONGTYPE") == 0;
  case PMX_INVALID: /* not with this strategy */
    return cause == PMX_CAUSE_UNSUPPORTED && (e->kind == EXPECT_POP || e->placed);
  case PMX_NOT_RUN:
  case PMX_UNKNOWN:
    break;
  case PMX_OK:
  case PMX_NOMEM:
    return false;
  }
  return cause == PMX_CAUSE_TIMEOUT || cause == PMX_CAUSE_CANCELED || cause == PMX_CAUSE_CONNECT ||
         cause == PMX_CAUSE_LOST || cause == PMX_CAUSE_CLOSED || cause == PMX_CAUSE_QUEUE_FULL ||
         cause == PMX_CAUSE_POOL_EXHAUSTED || cause == PMX_CAUSE_CIRCUIT_OPEN ||
         cause == PMX_CAUSE_AUTH;
}

static bool is_text(const pmx_reply *reply, const struct expect *e)
{
  size_t len = 0, head = strlen(e->text);
  const char *text = CALL(pmx_reply_str)(reply, &len);

  if (!text || len != head + e->pad || memcmp(text, e->text, head) != 0)
    return false;
  return strspn(text + head, "x") == e->pad;
}

/* Nil, or "key=number". */
static bool is_own(const pmx_reply *reply, const char *key)
{
  const char *text = CALL(pmx_reply_str)(reply, NULL);
  size_t len = strlen(key);

  if (CALL(pmx_reply_type)(reply) == PMX_TYPE_NIL)
    return true;
  return text && strncmp(text, key, len) == 0 && text[len] == '=';
}

static bool is_pop(const pmx_reply *reply, const char *list)
{
  const char *key = CALL(pmx_reply_str)(CALL(pmx_reply_at)(reply, 0), NULL);
  const char *value = CALL(pmx_reply_str)(CALL(pmx_reply_at)(reply, 1), NULL);

  if (CALL(pmx_reply_type)(reply) == PMX_TYPE_NIL)
    return true;
  return key && value && strcmp(key, list) == 0 && strcmp(value, list) == 0;
}

static bool is_hash(const pmx_reply *reply, const char *key)
{
  const char *own = CALL(pmx_reply_str)(CALL(pmx_reply_get)(reply, "own", 3), NULL);

  return CALL(pmx_reply_len)(reply) == 4 && own && strcmp(own, key) == 0;
}

static bool is_expected(const pmx_reply *reply, const struct expect *e)
{
  int ok = 0;

  switch (e->kind) {
  case EXPECT_TEXT:
    return is_text(reply, e);
  case EXPECT_OK:
    return strcmp(CALL(pmx_reply_str)(reply, NULL), "OK") == 0;
  case EXPECT_OWN:
    return is_own(reply, e->text);
  case EXPECT_OWNS:
    return CALL(pmx_reply_len)(reply) == 2 && is_own(CALL(pmx_reply_at)(reply, 0), e->text) &&
           is_own(CALL(pmx_reply_at)(reply, 1), e->other);
  case EXPECT_INT:
    return CALL(pmx_reply_int)(reply, &ok) > 0 && ok;
  case EXPECT_DOUBLE:
    return CALL(pmx_reply_double)(reply, &ok) == e->number && ok;
  case EXPECT_HASH:
    return is_hash(reply, e->text);
  case EXPECT_POP:
    return is_pop(reply, e->text);
  case EXPECT_WRONGTYPE:
    break;
  }
  return false;
}

bool reply_judge(struct soaking *s, const char *what, const pmx_reply *reply,
                 const struct expect *e)
{
  pmx_status status = CALL(pmx_reply_status)(reply);
  const char *text = pmx_reply_str(reply, NULL);
  bool good;

  if (CALL(pmx_ok)(reply)) {
    good = is_expected(reply, e) && CALL(pmx_reply_failed)(reply) == NULL;
  } else {
    good = provoked(reply, e) && *CALL(pmx_reply_error)(reply) &&
           CALL(pmx_reply_failed)(reply) == reply &&
           (status != PMX_NOT_RUN || CALL(pmx_reply_safe_to_retry)(reply));
  }
  if (!good)
    soak_wrong(s, "%s, expected kind %d \"%s\" and %zu more: %s/%s: %s; type %d \"%.100s\"", what,
               (int)e->kind, e->text, e->pad, pmx_status_str(status),
               pmx_cause_str(pmx_reply_cause(reply)), pmx_reply_error(reply),
               (int)pmx_reply_type(reply), text ? text : "");
  return status == PMX_OK || status == PMX_SERVER_ERROR;
}
