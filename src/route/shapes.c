/* SPDX-License-Identifier: BSD-3-Clause */
/* shapes.c - see shapes.h. Commands whose answer depends on their arguments, on the version of the
 * server or on the protocol are not here, nor are those that nobody sends often.
 *
 * Facts: "RESP2/RESP3 Reply" on the commands' pages at redis.io/commands and valkey.io/commands. */
#include "route/shapes.h"
#include <stdatomic.h>
#include <string.h>
#include "call/names.h"
#include "call/route.h"

#define NUMBER(name) {name, SHAPE_INTEGER},
#define TEXT(name) {name, SHAPE_TEXT},
#define MAYBE(name) {name, SHAPE_TEXT | SHAPE_NIL},
#define LIST(name) {name, SHAPE_LIST},

/* clang-format off */
static const struct shape shapes[] = {
  NUMBER("APPEND")
  NUMBER("BITCOUNT")
  NUMBER("DBSIZE")
  NUMBER("DECR")
  NUMBER("DECRBY")
  NUMBER("DEL")
  TEXT("ECHO")
  NUMBER("EXISTS")
  NUMBER("EXPIRE")
  NUMBER("EXPIREAT")
  MAYBE("GET")
  MAYBE("GETDEL")
  MAYBE("GETEX")
  TEXT("GETRANGE")
  MAYBE("GETSET")
  NUMBER("HDEL")
  NUMBER("HEXISTS")
  MAYBE("HGET")
  LIST("HGETALL")
  NUMBER("HINCRBY")
  LIST("HKEYS")
  NUMBER("HLEN")
  LIST("HMGET")
  NUMBER("HSET")
  NUMBER("HSETNX")
  LIST("HVALS")
  NUMBER("INCR")
  NUMBER("INCRBY")
  LIST("KEYS")
  MAYBE("LINDEX")
  NUMBER("LLEN")
  NUMBER("LPUSH")
  LIST("LRANGE")
  LIST("MGET")
  NUMBER("PERSIST")
  NUMBER("PEXPIRE")
  NUMBER("PTTL")
  NUMBER("PUBLISH")
  NUMBER("RPUSH")
  NUMBER("SADD")
  NUMBER("SCARD")
  MAYBE("SET")
  NUMBER("SETNX")
  NUMBER("SISMEMBER")
  LIST("SMEMBERS")
  NUMBER("SREM")
  NUMBER("STRLEN")
  NUMBER("TTL")
  TEXT("TYPE")
  NUMBER("UNLINK")
  NUMBER("ZCARD")
  NUMBER("ZREM")
};
/* clang-format on */

enum { COUNT = sizeof shapes / sizeof shapes[0], COMMANDS_MAX = 1024, LOOKED_UP = 0x80 };

static uint8_t find(const struct command *command)
{
  static struct names_index index;
  static const struct names names = {shapes, COUNT, sizeof shapes[0], &index};
  const struct shape *shape = names_find(&names, command->name, strlen(command->name), NULL, 0);

  return shape ? shape->mask : 0;
}

/* Each is looked up once; whoever does it stores the same. */
uint8_t shape_of(const struct command *command)
{
  static _Atomic uint8_t known[COMMANDS_MAX];
  size_t i = (size_t)(command - command_at(0));
  uint8_t mask;

  if (i >= COMMANDS_MAX)
    return find(command);
  mask = atomic_load_explicit(&known[i], memory_order_relaxed);
  if (!(mask & LOOKED_UP)) {
    mask = find(command) | LOOKED_UP;
    atomic_store_explicit(&known[i], mask, memory_order_relaxed);
  }
  return mask & (uint8_t)~LOOKED_UP;
}

size_t shape_count(void)
{
  return COUNT;
}

const struct shape *shape_at(size_t i)
{
  return i < COUNT ? &shapes[i] : NULL;
}
