/* SPDX-License-Identifier: BSD-3-Clause */
/* load_work.c - what the callers of poolmux-load ask for. All texts are made beforehand, so that
 * making a command costs next to nothing. */
#include "load_parts.h"

#include <stdio.h>
#include <string.h>

enum { KEY_SIZE = 24, FILL_BATCH = 500 };

static char keys[WORK_KEYS][KEY_SIZE];
static size_t key_len;
static char value[WORK_VALUE_BYTES + 1];

void work_init(void)
{
  for (int i = 0; i < WORK_KEYS; i++)
    key_len = (size_t)snprintf(keys[i], sizeof keys[i], "poolmux:load:%05d", i);
  memset(value, 'v', WORK_VALUE_BYTES);
}

static void make(const char *verb, size_t key, int argc, struct command *ret)
{
  ret->argc = argc;
  ret->argv[0] = verb;
  ret->len[0] = 3;
  ret->argv[1] = keys[key];
  ret->len[1] = key_len;
  ret->argv[2] = value;
  ret->len[2] = WORK_VALUE_BYTES;
}

void work_next(uint64_t *dice, struct command *ret)
{
  uint64_t x = *dice;
  int set;

  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  *dice = x;
  set = (int)(x >> 63);
  make(set ? "SET" : "GET", (size_t)(x >> 20) % WORK_KEYS, set ? 3 : 2, ret);
}

int work_fits(const struct command *command, const redisReply *reply)
{
  if (!reply)
    return 0;
  if (command->argc == 2)
    return reply->type == REDIS_REPLY_STRING && (size_t)reply->len == WORK_VALUE_BYTES;
  return reply->type == REDIS_REPLY_STATUS;
}

/* Few commands with many keys each: so they cost nearly as many instructions in every run, and
 * count-instructions can take them off. */
static int for_all(redisContext *context, const char *verb, int with_values)
{
  const char *argv[1 + 2 * FILL_BATCH] = {verb};
  size_t len[1 + 2 * FILL_BATCH] = {strlen(verb)};
  redisReply *reply;
  int good = 1, argc;

  for (int key = 0; good && key < WORK_KEYS; key += FILL_BATCH) {
    argc = 1;
    for (int i = key; i < key + FILL_BATCH; i++) {
      argv[argc] = keys[i];
      len[argc++] = key_len;
      argv[argc] = value;
      len[argc] = WORK_VALUE_BYTES;
      argc += with_values;
    }
    reply = redisCommandArgv(context, argc, argv, len);
    good = reply && reply->type != REDIS_REPLY_ERROR;
    freeReplyObject(reply);
  }
  return good ? 0 : -1;
}

int work_fill(redisContext *context)
{
  return for_all(context, "MSET", 1);
}

int work_clear(redisContext *context)
{
  return for_all(context, "DEL", 0);
}
