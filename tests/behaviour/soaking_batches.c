/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_batches.c - several commands of the soak test as one call: batches, and transactions that
 * meet each other. */
#include <stdlib.h>

#include "behaviour/behaviour.h"
#include "behaviour/soaking_acts.h"

enum {
  COMMANDS = 6,
  COMMAND_MOST = 150, /* bytes of one beside what it is padded with */
  LIMIT_LEAST = 1024  /* of request.max_size */
};

static const char *const formats[] = {"%s", "%s %s", "%s %s %s"};

static unsigned below(struct caller *w, unsigned n)
{
  return (unsigned)rng_below(&w->rng, n);
}

static void add(struct caller *w, pmx_batch *batch, const struct order *o)
{
  if (below(w, 2))
    CALL(pmx_batch_add_argv)(batch, o->argc, o->argv, o->len);
  else
    CALL(pmx_batch_add)(batch, formats[o->argc - 1], o->argv[0], o->argv[1], o->argv[2]);
}

/* All or nothing: any of the commands may be why. */
static const struct expect *culprit(const struct expect *expects, int n)
{
  int pop = 0;

  for (int i = 0; i < n; i++)
    pop = expects[i].kind == EXPECT_POP ? i : pop;
  return &expects[pop];
}

/* For the smallest limit there is; each of them may be small enough. */
static bool may_be_too_large(const struct expect *expects, int n)
{
  size_t bytes = 0;

  for (int i = 0; i < n; i++)
    bytes += expects[i].pad + COMMAND_MOST;
  return bytes > LIMIT_LEAST;
}

static void judge(struct caller *w, const pmx_reply *reply, const struct expect *expects, int n,
                  bool atomic)
{
  w->calls++;
  if (CALL(pmx_reply_cause)(reply) == PMX_CAUSE_TOO_LARGE) {
    if (!atomic && !may_be_too_large(expects, n)) /* EXEC's answer may be what is too large */
      soak_wrong(w->s, "a batch of %d: %s", n, CALL(pmx_reply_error)(reply));
    return;
  }
  if (!CALL(pmx_ok)(reply)) {
    reply_judge(w->s, "a batch", reply, culprit(expects, n));
    return;
  }
  if (CALL(pmx_reply_len)(reply) != (size_t)n)
    soak_wrong(w->s, "a batch of %d has %zu answers", n, pmx_reply_len(reply));
  for (int i = 0; i < n; i++)
    w->answered += reply_judge(w->s, "a command of a batch", CALL(pmx_reply_at)(reply, (size_t)i),
                               &expects[i]);
}

void act_batch(struct caller *w, struct opened *at, struct order *o)
{
  pmx_batch *batch = CALL(pmx_batch_new)(at->client);
  int n = 1 + (int)below(w, COMMANDS);
  bool atomic = below(w, 2);
  struct expect expects[COMMANDS];
  pmx_reply *reply;

  for (int i = 0; i < n; i++) {
    if (i > 0)
      order_done(o);
    order_make(w, o);
    add(w, batch, o);
    expects[i] = o->expect;
  }
  for (int i = 0; i < n; i++)
    expects[i].placed = o->expect.placed; /* the last one's call is that of the batch */
  for (unsigned times = 1 + below(w, 2); times > 0; times--) {
    mark_begin(&w->mark, "a batch");
    if (atomic)
      reply = CALL(pmx_batch_exec_atomic)(batch, &o->call);
    else
      reply = CALL(pmx_batch_exec)(batch, &o->call);
    in_time(w, "a batch", SOAK_DEFAULT_MS + 1000 + 20 * COMMANDS);
    judge(w, reply, expects, n, atomic);
    CALL(pmx_reply_free)(reply);
  }
  order_done(o);
  mark_begin(&w->mark, "pmx_batch_free");
  CALL(pmx_batch_free)(batch);
  in_time(w, "pmx_batch_free", 0);
}

/* ---- transactions ---- */

struct meeting {
  int64_t value;
  int result;
};

static int read_and_add(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  struct meeting *m = ud;
  pmx_reply *reply = CALL(pmx_lease_command)(lease, NULL, "GET soak:meeting");
  int ok = CALL(pmx_ok)(reply);

  m->value = CALL(pmx_reply_int)(reply, NULL);
  CALL(pmx_reply_free)(reply);
  CALL(pmx_batch_add)(batch, "INCR soak:meeting");
  return ok ? m->result : -1;
}

void act_transaction(struct caller *w, struct opened *at, struct order *o)
{
  static const char *const keys[] = {"soak:meeting"};
  static const struct expect any = {.kind = EXPECT_POP}; /* INVALID where nothing is lent */
  struct meeting m = {.result = below(w, 8) == 0};
  pmx_reply *reply;
  pmx_cause cause;

  order_make(w, o);
  o->call.flags &= ~(uint64_t)PMX_CALL_RETRY_SAFE;
  mark_begin(&w->mark, "pmx_transaction");
  reply = CALL(pmx_transaction)(at->client, &o->call, 1, keys, NULL, (int)below(w, 4), read_and_add,
                                &m);
  in_time(w, "pmx_transaction", 2 * SOAK_DEFAULT_MS);
  order_done(o);
  cause = CALL(pmx_reply_cause)(reply);
  if (CALL(pmx_ok)(reply)) {
    if (m.result != 0 || CALL(pmx_reply_int)(CALL(pmx_reply_at)(reply, 0), NULL) != m.value + 1)
      soak_wrong(w->s, "a transaction that read %lld has written %lld", (long long)m.value,
                 (long long)pmx_reply_int(pmx_reply_at(reply, 0), NULL));
  } else if (cause != PMX_CAUSE_CONFLICT) {
    reply_judge(w->s, "a transaction", reply, &any);
  }
  CALL(pmx_reply_free)(reply);
}
