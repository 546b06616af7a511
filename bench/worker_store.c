/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_store.c - the keys of a workload, on the server: written before the first lap, removed
 * after the last. Everything is found by its prefix. */
#include "worker_parts.h"

#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 64, BYTES_AT_ONCE = 1 << 20 };

static redisReply *ask(struct wire *control, int argc, const char *const *argv, const size_t *len)
{
  redisReply *reply = wire_command(control, argc, argv, len);

  if (!reply || reply->type == REDIS_REPLY_ERROR)
    die("%s: %s", argv[0], reply ? reply->str : wire_error(control));
  return reply;
}

/* ---- filling: MSET, of some keys and not too many bytes ---- */

struct fill {
  const struct workload *w;
  struct wire *control;
  uint64_t dice;
  int argc;
  size_t bytes;
  const char *argv[1 + 2 * AT_ONCE];
  size_t len[1 + 2 * AT_ONCE];
  char name[AT_ONCE][KEY_SIZE];
};

static void write_all(struct fill *f)
{
  if (f->argc > 1)
    freeReplyObject(ask(f->control, f->argc, f->argv, f->len));
  f->argc = 1;
  f->bytes = 0;
}

static void fill_one(struct fill *f, enum family family, long index)
{
  char *name = f->name[f->argc / 2];

  f->argv[f->argc] = name;
  f->len[f->argc++] = workload_name(f->w, family, index, name);
  f->argv[f->argc] = workload_value(f->w, family, index);
  f->len[f->argc] =
      (size_t)sizes_draw(family == FAMILY_BIG ? &f->w->big_value : &f->w->value, &f->dice);
  f->bytes += f->len[f->argc++];
  if (f->argc == 1 + 2 * AT_ONCE || f->bytes >= BYTES_AT_ONCE)
    write_all(f);
}

static void fill_family(const struct plan *plan, struct wire *control, enum family family, long n)
{
  static struct fill f;

  f = (struct fill){.w = &plan->workload, .control = control, .argc = 1};
  f.dice = dice_of(plan->seed, -1 - (int)family);
  f.argv[0] = "MSET";
  f.len[0] = 4;
  for (long i = 0; i < n; i++)
    fill_one(&f, family, i);
  write_all(&f);
}

static long least(long a, long b)
{
  return a < b ? a : b;
}

/* A reader of big values has one of its own, as far as they go. */
void store_fill(const struct plan *plan, struct wire *control)
{
  fill_family(plan, control, FAMILY_KEY, plan->workload.keys);
  if (plan->workload.big > 0)
    fill_family(plan, control, FAMILY_BIG, BIG_KEYS);
  else
    fill_family(plan, control, FAMILY_BIG, least(plan->workload.big_readers, BIG_KEYS));
}

/* ---- what one lap needs: the callers' own keys, and empty lists ---- */

void store_prepare(const struct plan *plan, struct wire *control)
{
  char name[KEY_SIZE];
  const char *argv[] = {"UNLINK", name}; /* as in the end: no other command has to be allowed */

  if (plan->workload.transactions > 0)
    fill_family(plan, control, FAMILY_OWN, plan->callers);
  for (long i = 0; i < plan->workload.blocked; i++) {
    workload_name(&plan->workload, FAMILY_LIST, i, name);
    freeReplyObject(ask(control, 2, argv, NULL));
  }
}

static void send_ends(const struct plan *plan, struct wire *control, const char *verb,
                      enum family family, long n)
{
  char name[KEY_SIZE];
  const char *argv[] = {verb, name, "end"};

  for (long i = 0; i < n; i++) {
    workload_name(&plan->workload, family, i, name);
    freeReplyObject(ask(control, 3, argv, NULL));
  }
}

void store_send_ends(const struct plan *plan, struct wire *control)
{
  long subscribers = plan->workload.subscribers;

  send_ends(plan, control, "RPUSH", FAMILY_LIST, plan->workload.blocked);
  send_ends(plan, control, "PUBLISH", FAMILY_CHANNEL,
            subscribers < CHANNELS ? subscribers : CHANNELS);
}

/* ---- removing ---- */

/* The prefix and what may come behind it, as SCAN wants it. */
static void make_pattern(const char *prefix, char ret[2 * PREFIX_SIZE + 2])
{
  size_t out = 0;

  for (; *prefix; prefix++) {
    if (strchr("*?[]\\^", *prefix))
      ret[out++] = '\\';
    ret[out++] = *prefix;
  }
  ret[out++] = '*';
  ret[out] = '\0';
}

static void remove_all(struct wire *control, const redisReply *keys)
{
  const char *argv[] = {"UNLINK", NULL};
  size_t len[] = {6, 0};

  for (size_t i = 0; i < keys->elements; i++) {
    argv[1] = keys->element[i]->str;
    len[1] = (size_t)keys->element[i]->len;
    if (wire_append(control, 2, argv, len) != 0)
      die("out of memory");
  }
  for (size_t i = 0; i < keys->elements; i++) {
    redisReply *reply = wire_reply(control);

    if (!reply || reply->type != REDIS_REPLY_INTEGER)
      die("UNLINK: %s", reply && reply->str ? reply->str : wire_error(control));
    freeReplyObject(reply);
  }
}

void store_clean(const struct plan *plan, struct wire *control)
{
  char pattern[2 * PREFIX_SIZE + 2], cursor[NUMBER_SIZE] = "0";
  const char *argv[] = {"SCAN", cursor, "MATCH", pattern, "COUNT", "500"};
  redisReply *reply;

  make_pattern(plan->workload.prefix, pattern);
  do {
    reply = ask(control, 6, argv, NULL);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
      die("SCAN: a strange answer");
    snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
    remove_all(control, reply->element[1]);
    freeReplyObject(reply);
  } while (strcmp(cursor, "0") != 0);
}
