/* SPDX-License-Identifier: BSD-3-Clause */
/* block.c - the parsers of commands that wait at the server. Knows their grammars, not their names.
 *
 * Facts: redis.io/commands; t_list.c, t_zset.c, t_stream.c and timeout.c of the servers. Timeouts
 * are seconds with a fraction or whole milliseconds, 0 = for ever; a bad one is an error at once.
 */
#include "route/block.h"
#include "call/route.h"
#include "route/numbers.h"

/* No clock counts further in nanoseconds. */
static int64_t limited(int64_t ms)
{
  return ms == 0 || ms > INT64_MAX / 1000000 ? ROUTE_BLOCK_FOREVER : ms;
}

static int64_t seconds_at(const struct arguments *args, int i)
{
  int64_t ms;

  if (!number_seconds(args->text[i], argument_len(args, i), &ms))
    return BLOCK_NEVER;
  return limited(ms);
}

static bool whole_at(const struct arguments *args, int i, int64_t *ret)
{
  return number_whole(args->text[i], argument_len(args, i), ret);
}

static int64_t ms_at(const struct arguments *args, int i)
{
  int64_t ms;

  if (!whole_at(args, i, &ms) || ms < 0)
    return BLOCK_NEVER;
  return limited(ms);
}

int64_t block_pop(const struct arguments *args)
{
  return args->count < 3 ? BLOCK_NEVER : seconds_at(args, args->count - 1);
}

int64_t block_rpoplpush(const struct arguments *args)
{
  return args->count != 4 ? BLOCK_NEVER : seconds_at(args, 3);
}

int64_t block_move_many(const struct arguments *args)
{
  if (args->count < 6 || !argument_is_either(args, 3, "LEFT", "RIGHT") ||
      !argument_is_either(args, 4, "LEFT", "RIGHT"))
    return BLOCK_NEVER;
  return seconds_at(args, 5);
}

int64_t block_move(const struct arguments *args)
{
  return args->count != 6 ? BLOCK_NEVER : block_move_many(args);
}

static int64_t pop_many(const struct arguments *args, const char *one, const char *other)
{
  int64_t keys, elements;
  int where;

  if (args->count < 5 || !whole_at(args, 2, &keys) || keys < 1 || keys > args->count - 4)
    return BLOCK_NEVER;
  where = (int)keys + 3;
  if (!argument_is_either(args, where, one, other))
    return BLOCK_NEVER;
  if (args->count != where + 1) {
    if (args->count != where + 3 || !argument_is(args, where + 1, "COUNT"))
      return BLOCK_NEVER;
    if (!whole_at(args, where + 2, &elements) || elements < 1)
      return BLOCK_NEVER;
  }
  return seconds_at(args, 1);
}

int64_t block_pop_list(const struct arguments *args)
{
  return pop_many(args, "LEFT", "RIGHT");
}

int64_t block_pop_sorted(const struct arguments *args)
{
  return pop_many(args, "MIN", "MAX");
}

struct read_options {
  bool grouped, named; /* the command takes a group; it was given */
  int64_t block;
  int streams; /* index of the first key; 0 = not yet */
};

/* How many arguments the option at i takes, itself included; 0: a syntax error. CLAIM, MAXCOUNT and
 * MAXSIZE are newer than the rest; to a server that does not know them they are an error. */
static int read_option(const struct arguments *args, int i, struct read_options *o)
{
  int more = args->count - i - 1;
  int64_t number;

  if (o->grouped && argument_is(args, i, "NOACK"))
    return 1;
  if (more < 1)
    return 0;
  if (argument_is(args, i, "STREAMS")) {
    o->streams = i + 1;
    return more + 1;
  }
  if (argument_is(args, i, "BLOCK")) {
    o->block = ms_at(args, i + 1);
    return o->block == BLOCK_NEVER ? 0 : 2;
  }
  if (argument_is(args, i, "COUNT"))
    return whole_at(args, i + 1, &number) ? 2 : 0;
  if (argument_is_either(args, i, "MAXCOUNT", "MAXSIZE") ||
      (o->grouped && argument_is(args, i, "CLAIM")))
    return 2;
  if (o->grouped && more >= 2 && argument_is(args, i, "GROUP")) {
    o->named = true;
    return 3;
  }
  return 0;
}

/* Options end at STREAMS, so a stream may be called BLOCK. A group's reader waits only for new
 * entries: with one id other than ">" it is answered from its history at once. Without a group ">"
 * is an error. */
static int64_t read_streams(const struct arguments *args, bool grouped)
{
  struct read_options o = {grouped, false, BLOCK_NEVER, 0};
  int taken, ids;

  for (int i = 1; i < args->count; i += taken) {
    taken = read_option(args, i, &o);
    if (taken == 0)
      return BLOCK_NEVER;
  }
  if (o.streams == 0 || (args->count - o.streams) % 2 != 0 || o.named != grouped)
    return BLOCK_NEVER;
  ids = o.streams + (args->count - o.streams) / 2;
  for (int i = ids; i < args->count; i++)
    if (argument_is(args, i, ">") != grouped)
      return BLOCK_NEVER;
  return o.block;
}

int64_t block_read(const struct arguments *args)
{
  return read_streams(args, false);
}

int64_t block_read_group(const struct arguments *args)
{
  return read_streams(args, true);
}

int64_t block_read_series(const struct arguments *args)
{
  int64_t block = BLOCK_NEVER;

  for (int i = 3; i < args->count; i++) {
    if (argument_is(args, i, "MAX_COUNT")) {
      i++;
    } else if (argument_is(args, i, "BLOCK")) {
      if (args->count - i < 3)
        return BLOCK_NEVER;
      block = ms_at(args, i + 1);
      if (block == BLOCK_NEVER)
        return BLOCK_NEVER;
      i += 2;
    }
  }
  return block;
}

int64_t block_wait(const struct arguments *args)
{
  int64_t replicas;

  if (args->count != 3 || !whole_at(args, 1, &replicas))
    return BLOCK_NEVER;
  return ms_at(args, 2);
}

int64_t block_wait_aof(const struct arguments *args)
{
  int64_t local, replicas;

  if (args->count != 4 || !whole_at(args, 1, &local) || !whole_at(args, 2, &replicas))
    return BLOCK_NEVER;
  if (local < 0 || local > 1 || replicas < 0)
    return BLOCK_NEVER;
  return ms_at(args, 3);
}

/* The timeout is for each step of the talk with the other server; 0 and less mean one second. */
int64_t block_migrate(const struct arguments *args)
{
  int64_t db, ms;

  if (args->count < 6 || !whole_at(args, 4, &db) || !whole_at(args, 5, &ms))
    return BLOCK_NEVER;
  return ms <= 0 ? 1000 : limited(ms);
}
