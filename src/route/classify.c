/* SPDX-License-Identifier: BSD-3-Clause */
/* classify.c - joins what the command table, the rules and the arguments say about one command into
 * a route. Knows no strategy: what to do about a route is decided elsewhere. */
#include "route/classify.h"
#include <stdatomic.h>
#include "call/commands.h"
#include "route/arguments.h"
#include "route/numbers.h"
#include "route/rules.h"
#include "route/shapes.h"

static void forbid(struct route *ret, const char *hint)
{
  ret->flags |= ROUTE_FORBIDDEN;
  ret->effect = SESSION_OTHER;
  ret->hint = hint;
}

/* 1: one of the two words stands among the arguments from the third on. It may be a value there,
 * not an option; then the command passes for a write, which harms nobody. */
static bool has_word(const struct arguments *args, const char *one, const char *other)
{
  for (int i = 2; i < args->count; i++)
    if (argument_is_either(args, i, one, other))
      return true;
  return false;
}

static int32_t database(const struct arguments *args)
{
  int64_t db;

  if (args->count != 2 || !number_whole(args->text[1], argument_len(args, 1), &db))
    return -1;
  return db < 0 || db > INT32_MAX ? -1 : (int32_t)db;
}

static void apply_detail(const struct arguments *args, const struct rule *rule, struct route *ret)
{
  switch (rule->detail) {
  case DETAIL_NONE:
    break;
  case DETAIL_SWITCH:
    if (args->count > 2 && argument_is(args, 2, "OFF"))
      ret->effect = rule->effect_off;
    break;
  case DETAIL_DATABASE:
    ret->effect_arg = database(args);
    break;
  case DETAIL_STORE:
    if (!has_word(args, "STORE", "STOREDIST"))
      ret->flags |= ROUTE_READONLY;
    break;
  case DETAIL_BITFIELD:
    if (!has_word(args, "SET", "INCRBY"))
      ret->flags |= ROUTE_READONLY;
    break;
  case DETAIL_STREAM:
    /* Sent again, it would start behind entries whose reply was lost. */
    if ((ret->flags & ROUTE_BLOCKING) && has_word(args, "$", "+"))
      ret->flags &= ~(uint32_t)ROUTE_READONLY;
    break;
  case DETAIL_FLUSH:
    if (args->count > 1 && argument_is(args, 1, "ASYNC"))
      ret->flags &= ~(uint32_t)ROUTE_PARKS;
    break;
  }
}

static void apply_rule(const struct arguments *args, const struct rule *rule, struct route *ret)
{
  int64_t block = rule->block ? rule->block(args) : BLOCK_NEVER;

  ret->flags |= rule->flags;
  ret->effect = rule->effect;
  ret->hint = rule->hint;
  if (block != BLOCK_NEVER) {
    ret->flags |= ROUTE_BLOCKING;
    ret->block_ms = block;
  } else {
    ret->flags &= ~(uint32_t)ROUTE_KEYWAIT;
  }
  apply_detail(args, rule, ret);
}

/* Modules whose commands park the connection while a thread of theirs works. */
static bool is_of_parking_module(const char *name, size_t len)
{
  static const char *const prefixes[] = {"AI.", "FT.", "GRAPH.", "RG."};

  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
    size_t n = strlen(prefixes[i]);

    if (len > n && names_word_is(name, n, prefixes[i]))
      return true;
  }
  return false;
}

static void apply_command(const struct command *command, struct route *ret)
{
  ret->flags |= ROUTE_KNOWN;
  ret->command = command->name;
  ret->shape = shape_of(command);
  if (command->flags & COMMAND_READONLY)
    ret->flags |= ROUTE_READONLY;
}

/* Names that servers compare as C strings, before they look for a command: the first two make them
 * hang up on a supposed browser. */
static void apply_special_name(const struct arguments *args, struct route *ret)
{
  if (argument_is_either(args, 0, "POST", "HOST:"))
    forbid(ret,
           "the server takes POST and HOST: for a web browser and hangs up: they are no commands");
  else if (argument_is(args, 0, "QUIT"))
    apply_rule(args, rule_find("QUIT", 4, NULL, 0), ret);
}

/* Most commands have no rule, whatever their arguments: that is looked up once for each, and
 * whoever does it stores the same. */
static const struct rule *find_rule(const struct command *command, const char *name, size_t len,
                                    const char *sub, size_t sub_len)
{
  enum { COMMANDS_MAX = 1024 };
  static _Atomic bool has_none[COMMANDS_MAX];
  size_t i = command ? (size_t)(command - command_at(0)) : COMMANDS_MAX;
  const struct rule *rule;

  if (i < COMMANDS_MAX && atomic_load_explicit(&has_none[i], memory_order_relaxed))
    return NULL;
  rule = rule_find(name, len, sub, sub_len);
  if (!rule && i < COMMANDS_MAX)
    atomic_store_explicit(&has_none[i], true, memory_order_relaxed);
  return rule;
}

void classify(int argc, const char *const *argv, const size_t *len, struct route *ret)
{
  const struct arguments args = {argv ? argc : 0, argv, len};
  const char *sub = NULL;
  size_t name_len, sub_len = 0;
  const struct command *command;
  const struct rule *rule;

  *ret = (struct route){.effect = SESSION_NONE, .command = "?"};
  if (args.count <= 0) {
    forbid(ret, "a command without arguments is never answered: give at least its name");
    return;
  }
  name_len = argument_len(&args, 0);
  if (args.count > 1) {
    sub = argv[1];
    sub_len = argument_len(&args, 1);
  }
  command = command_find(argv[0], name_len, sub, sub_len);
  rule = find_rule(command, argv[0], name_len, sub, sub_len);
  if (command)
    apply_command(command, ret);
  if (rule)
    apply_rule(&args, rule, ret);
  if (!command && !rule) {
    apply_special_name(&args, ret);
    if (is_of_parking_module(argv[0], name_len))
      ret->flags |= ROUTE_PARKS;
    return;
  }
  /* The longer one knows the subcommand. */
  if (rule && (!command || strlen(rule->name) > strlen(command->name)))
    ret->command = rule->name;
}
