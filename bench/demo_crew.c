/* SPDX-License-Identifier: BSD-3-Clause */
/* demo_crew.c - see demo_crew.h. */
#include "demo_crew.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MONEY = 1000, PREFIX_SIZE = 64 };
enum { ALL_KEYS = CALLER_KEYS + CALLER_ACCOUNTS + 2 * CREW_CALLERS };

struct member {
  struct crew *crew;
  pthread_t thread;
  struct caller caller;
};

struct crew {
  pmx_client *client;
  pmx_cancel *stop;
  char prefix[PREFIX_SIZE];
  atomic_int ends;
  int started;
  struct member members[CREW_CALLERS];
  struct tally tally;
};

const struct tally *crew_tally(const struct crew *crew)
{
  return &crew->tally;
}

static int put(struct crew *crew, const char *key, const char *value)
{
  pmx_call call = PMX_CALL_INIT;
  pmx_reply *reply;
  int good;

  call.cancel = crew->stop;
  reply = pmx_do(crew->client, &call, "SET", key, value, "EX", "600", (char *)NULL);
  good = pmx_ok(reply);
  if (!good && pmx_reply_cause(reply) != PMX_CAUSE_CANCELED)
    fprintf(stderr, "SET %s: %s\n", key, pmx_reply_error(reply));
  pmx_reply_free(reply);
  return good;
}

static int write_keys(struct crew *crew)
{
  char key[KEY_SIZE], value[VALUE_SIZE], money[16];
  int good = 1;

  snprintf(money, sizeof money, "%d", (int)MONEY);
  for (uint64_t i = 0; good && i < CALLER_KEYS; i++) {
    key_name(crew->prefix, "key", i, key);
    good = put(crew, key, value_of(key, value));
  }
  for (uint64_t i = 0; good && i < CALLER_ACCOUNTS; i++)
    good = put(crew, key_name(crew->prefix, "account", i, key), money);
  for (uint64_t i = 0; good && i < CREW_CALLERS; i++)
    good = put(crew, crew->members[i].caller.counter, "0");
  return good;
}

static void *work(void *arg)
{
  struct member *m = arg;

  while (!atomic_load(&m->crew->ends))
    caller_act(&m->caller);
  return NULL;
}

struct crew *crew_start(pmx_client *client, pmx_cancel *stop, const char *prefix,
                        struct pulse *pulse)
{
  struct crew *crew = calloc(1, sizeof *crew);
  struct member *m;

  if (!crew)
    return NULL;
  crew->client = client;
  crew->stop = stop;
  snprintf(crew->prefix, sizeof crew->prefix, "%s", prefix);
  for (m = crew->members; m < crew->members + CREW_CALLERS; m++) {
    m->crew = crew;
    m->caller =
        (struct caller){.client = client, .stop = stop, .prefix = crew->prefix, .pulse = pulse};
    caller_init(&m->caller, (uint64_t)(m - crew->members));
  }
  if (!write_keys(crew)) {
    crew_free(crew);
    return NULL;
  }
  pulse->begun = now_ns();
  for (m = crew->members; crew->started < CREW_CALLERS; m++, crew->started++) {
    if (pthread_create(&m->thread, NULL, work, m) != 0)
      break;
  }
  return crew;
}

void crew_stop(struct crew *crew)
{
  atomic_store(&crew->ends, 1);
  for (int i = 0; i < crew->started; i++) {
    pthread_join(crew->members[i].thread, NULL);
    tally_join(&crew->tally, &crew->members[i].caller.tally);
  }
  if (crew->started < CREW_CALLERS)
    tally_wrong(&crew->tally, "only %d threads could be started", crew->started);
  crew->started = 0;
}

/* ---- afterwards ---- */

/* These are still asked when the callers were stopped, but not for long. */
static pmx_reply *ask_at_last(struct crew *crew, int argc, const char *const *argv)
{
  pmx_call call = PMX_CALL_INIT;

  call.timeout_ms = 500;
  return pmx_argv(crew->client, &call, argc, argv, NULL);
}

static int fetch(struct crew *crew, const char *key, int64_t *ret)
{
  pmx_reply *reply = ask_at_last(crew, 2, (const char *[]){"GET", key});
  int ok = 0;

  *ret = pmx_reply_int(reply, &ok);
  pmx_reply_free(reply);
  return ok;
}

int crew_audit(struct crew *crew)
{
  int64_t value, sum = 0;
  char key[KEY_SIZE];

  for (int i = 0; i < CREW_CALLERS; i++) {
    const struct caller *c = &crew->members[i].caller;

    if (!fetch(crew, c->counter, &value))
      return -1;
    tally_check_counter(&crew->tally, c->counter, value, c->counted, c->maybe);
  }
  for (uint64_t i = 0; i < CALLER_ACCOUNTS; i++) {
    if (!fetch(crew, key_name(crew->prefix, "account", i, key), &value))
      return -1;
    sum += value;
  }
  if (sum != CALLER_ACCOUNTS * MONEY)
    tally_wrong(&crew->tally, "the accounts hold %" PRId64 " instead of %d", sum,
                CALLER_ACCOUNTS * MONEY);
  return 0;
}

void crew_free(struct crew *crew)
{
  static const struct kind {
    const char *name;
    uint64_t count;
  } kinds[] = {{"key", CALLER_KEYS},
               {"account", CALLER_ACCOUNTS},
               {"counter", CREW_CALLERS},
               {"list", CREW_CALLERS}};
  char names[ALL_KEYS][KEY_SIZE];
  const char *argv[ALL_KEYS + 1] = {"DEL"};
  int n = 0;

  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    for (uint64_t i = 0; i < kinds[k].count; i++, n++)
      argv[n + 1] = key_name(crew->prefix, kinds[k].name, i, names[n]);
  }
  pmx_reply_free(ask_at_last(crew, n + 1, argv));
  free(crew);
}
