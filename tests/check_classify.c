/* SPDX-License-Identifier: BSD-3-Clause */
/* check_classify.c - what the classifier says, row by row, and that it survives any arguments. No
 * server: check_classify_server.c holds the same claims against a real one. */
#include <check.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "call/commands.h"
#include "classify_rows.h"
#include "harness/util.h"
#include "route/classify.h"
#include "route/rules.h"

static struct route route_of(const char *text, int variant)
{
  struct line l = {.argc = 0};
  struct route route;

  line_set(&l, text);
  line_turn(&l, variant);
  classify(l.argc, l.argv, l.len, &route);
  return route;
}

enum { R = ROUTE_READONLY, S = ROUTE_SCRIPT, B = ROUTE_BLOCKING, O = ROUTE_SESSION };
enum { F = ROUTE_FORBIDDEN, K = ROUTE_KNOWN, W = ROUTE_KEYWAIT, N = ROUTE_WAITS };
enum { P = ROUTE_PARKS, C = ROUTE_CONTROL, U = ROUTE_BULK };

static const struct {
  const char *text;
  unsigned flags;
  int effect, arg;
  const char *command;
} class_rows[] = {
    {"get k", R | K, 0, 0, "GET"},
    {"set k v", K, 0, 0, "SET"},
    {"getex k", K, 0, 0, "GETEX"},
    {"ping", R | K, 0, 0, "PING"},
    {"echo x", R | K, 0, 0, "ECHO"},
    {"time", R | K, 0, 0, "TIME"},
    {"randomkey", R | K, 0, 0, "RANDOMKEY"},
    {"pfcount k", R | K, 0, 0, "PFCOUNT"},
    {"publish c m", K, 0, 0, "PUBLISH"},
    {"command docs", R | U | K, 0, 0, "COMMAND DOCS"},
    {"command", R | U | K, 0, 0, "COMMAND"},
    {"command count", R | K, 0, 0, "COMMAND COUNT"},
    {"object encoding k", R | K, 0, 0, "OBJECT ENCODING"},
    {"memory usage k", R | K, 0, 0, "MEMORY USAGE"},
    {"memory purge", K, 0, 0, "MEMORY PURGE"},
    {"config get x", R | K, 0, 0, "CONFIG GET"},
    {"config set x y", K, 0, 0, "CONFIG SET"},
    {"slowlog reset", K, 0, 0, "SLOWLOG RESET"},
    {"acl log reset", K, 0, 0, "ACL LOG"},
    {"script load x", K, 0, 0, "SCRIPT LOAD"},
    {"script kill", C | K, 0, 0, "SCRIPT KILL"},
    {"xinfo stream s", R | K, 0, 0, "XINFO STREAM"},
    {"sort k", R | K, 0, 0, "SORT"},
    {"sort k by x get y limit 0 1 desc", R | K, 0, 0, "SORT"},
    {"sort k store d", K, 0, 0, "SORT"},
    {"sort k get # store d", K, 0, 0, "SORT"},
    {"sort k store^x d", K, 0, 0, "SORT"},
    {"sort_ro k", R | K, 0, 0, "SORT_RO"},
    {"sort store", R | K, 0, 0, "SORT"},
    {"georadius k 1 2 3 m", R | K, 0, 0, "GEORADIUS"},
    {"georadius k 1 2 3 m store d", K, 0, 0, "GEORADIUS"},
    {"georadiusbymember k m 3 m storedist d", K, 0, 0, "GEORADIUSBYMEMBER"},
    {"georadius_ro k 1 2 3 m", R | K, 0, 0, "GEORADIUS_RO"},
    {"bitfield k get u8 0", R | K, 0, 0, "BITFIELD"},
    {"bitfield k get u8 0 set u8 0 1", K, 0, 0, "BITFIELD"},
    {"bitfield k incrby u8 0 1", K, 0, 0, "BITFIELD"},
    {"xread streams s 0", R | K, 0, 0, "XREAD"},
    {"xread streams s $", R | K, 0, 0, "XREAD"},
    {"xread block 5 streams s 5-1", R | B | W | K, 0, 0, "XREAD"},
    {"xread block 5 streams s $", B | W | K, 0, 0, "XREAD"},
    {"xreadgroup group g c streams s >", K, 0, 0, "XREADGROUP"},
    {"blpop k 1", B | W | K, 0, 0, "BLPOP"},
    {"blmovem a b left left 1", B | W, 0, 0, "BLMOVEM"},
    {"ts.read k 0 block 1 1", B, 0, 0, "TS.READ"},
    {"eval s 0", S | K, 0, 0, "EVAL"},
    {"evalsha s 0", S | K, 0, 0, "EVALSHA"},
    {"eval_ro s 0", R | S | K, 0, 0, "EVAL_RO"},
    {"evalsha_ro s 0", R | S | K, 0, 0, "EVALSHA_RO"},
    {"fcall f 0", S | K, 0, 0, "FCALL"},
    {"fcall_ro f 0", R | S | K, 0, 0, "FCALL_RO"},
    {"tfcall l f 0", S | P, 0, 0, "TFCALL"},
    {"debug reload", S | K, 0, 0, "DEBUG"},
    {"migrate h 1 k 0 5", S | B | P | K, 0, 0, "MIGRATE"},
    {"exec", O | S | K, SESSION_EXEC, 0, "EXEC"},
    {"multi", O | K, SESSION_MULTI, 0, "MULTI"},
    {"discard", O | K, SESSION_DISCARD, 0, "DISCARD"},
    {"watch a b", O | K, SESSION_WATCH, 0, "WATCH"},
    {"unwatch", O | K, SESSION_UNWATCH, 0, "UNWATCH"},
    {"select 7", O | K, SESSION_SELECT, 7, "SELECT"},
    {"select 0", O | K, SESSION_SELECT, 0, "SELECT"},
    {"select 07", O | K, SESSION_SELECT, -1, "SELECT"},
    {"select -3", O | K, SESSION_SELECT, -1, "SELECT"},
    {"select x", O | K, SESSION_SELECT, -1, "SELECT"},
    {"select 2147483648", O | K, SESSION_SELECT, -1, "SELECT"},
    {"select", O | K, SESSION_SELECT, -1, "SELECT"},
    {"select 1 2", O | K, SESSION_SELECT, -1, "SELECT"},
    {"auth u p", O | K, SESSION_OTHER, 0, "AUTH"},
    {"hello 3", O | K, SESSION_OTHER, 0, "HELLO"},
    {"reset", O | K, SESSION_RESET, 0, "RESET"},
    {"quit", O | K, SESSION_QUIT, 0, "QUIT"},
    {"quit^now", O, SESSION_QUIT, 0, "?"},
    {"readonly", O | K, SESSION_READONLY, 0, "READONLY"},
    {"readwrite", O | K, SESSION_READWRITE, 0, "READWRITE"},
    {"asking", O | K, SESSION_OTHER, 0, "ASKING"},
    {"wait 1 5", O | N | B | K, 0, 0, "WAIT"},
    {"wait", O | N | K, 0, 0, "WAIT"},
    {"waitaof 1 1 5", O | N | B | K, 0, 0, "WAITAOF"},
    {"himport prepare x", O, SESSION_OTHER, 0, "HIMPORT"},
    {"himport discardall", O, SESSION_OTHER, 0, "HIMPORT"},
    {"client id", R | K, 0, 0, "CLIENT ID"},
    {"client info", R | K, 0, 0, "CLIENT INFO"},
    {"client list", R | K, 0, 0, "CLIENT LIST"},
    {"client getname", R | K, 0, 0, "CLIENT GETNAME"},
    {"client getredir", R | K, 0, 0, "CLIENT GETREDIR"},
    {"client trackinginfo", R | K, 0, 0, "CLIENT TRACKINGINFO"},
    {"client kill id 5", C | K, 0, 0, "CLIENT KILL"},
    {"client unblock 5", C | K, 0, 0, "CLIENT UNBLOCK"},
    {"client unpause", C | K, 0, 0, "CLIENT UNPAUSE"},
    {"client pause 5", K, 0, 0, "CLIENT PAUSE"},
    {"function kill", C | K, 0, 0, "FUNCTION KILL"},
    {"failover abort", C | K, 0, 0, "FAILOVER ABORT"},
    {"failover", K, 0, 0, "FAILOVER"},
    {"shutdown", P | K, 0, 0, "SHUTDOWN"},
    {"shutdown nosave", P | K, 0, 0, "SHUTDOWN"},
    {"shutdown abort", C | K, 0, 0, "SHUTDOWN ABORT"},
    {"flushall", P | K, 0, 0, "FLUSHALL"},
    {"flushdb sync", P | K, 0, 0, "FLUSHDB"},
    {"flushdb async", K, 0, 0, "FLUSHDB"},
    {"ft.search i q", P, 0, 0, "?"},
    {"graph.query g q", P, 0, 0, "?"},
    {"ft.", 0, 0, 0, "?"},
    {"rg.trigger x", S | P, 0, 0, "RG.TRIGGER"},
    {"ts.add k 1 2 on_duplicate block", 0, 0, 0, "?"},
    {"blpop k x", K, 0, 0, "BLPOP"},
    {"client setname n", O | K, SESSION_NAME, 0, "CLIENT SETNAME"},
    {"client setinfo lib-name n", O | K, SESSION_OTHER, 0, "CLIENT SETINFO"},
    {"client capa redirect", O | K, SESSION_OTHER, 0, "CLIENT CAPA"},
    {"client import-source on", O | K, SESSION_OTHER, 0, "CLIENT IMPORT-SOURCE"},
    {"client caching yes", O | K, SESSION_TRACKING_ON, 0, "CLIENT CACHING"},
    {"client tracking on", O | K, SESSION_TRACKING_ON, 0, "CLIENT TRACKING"},
    {"client tracking on bcast", O | K, SESSION_TRACKING_ON, 0, "CLIENT TRACKING"},
    {"client tracking off", O | K, SESSION_TRACKING_OFF, 0, "CLIENT TRACKING"},
    {"client tracking off^x", O | K, SESSION_TRACKING_OFF, 0, "CLIENT TRACKING"},
    {"client tracking", O | K, SESSION_TRACKING_ON, 0, "CLIENT TRACKING"},
    {"client no-evict on", O | K, SESSION_NO_EVICT_ON, 0, "CLIENT NO-EVICT"},
    {"client no-evict off", O | K, SESSION_NO_EVICT_OFF, 0, "CLIENT NO-EVICT"},
    {"client no-touch on", O | K, SESSION_NO_TOUCH_ON, 0, "CLIENT NO-TOUCH"},
    {"client no-touch off", O | K, SESSION_NO_TOUCH_OFF, 0, "CLIENT NO-TOUCH"},
    {"client newthing", O | K, SESSION_OTHER, 0, "CLIENT"},
    {"client reply off", F | K, SESSION_OTHER, 0, "CLIENT REPLY"},
    {"client reply skip", F | K, SESSION_OTHER, 0, "CLIENT REPLY"},
    {"client maint_notifications on", F | K, SESSION_OTHER, 0, "CLIENT MAINT_NOTIFICATIONS"},
    {"monitor", F | K, SESSION_OTHER, 0, "MONITOR"},
    {"sync", F | K, SESSION_OTHER, 0, "SYNC"},
    {"psync ? -1", F | K, SESSION_OTHER, 0, "PSYNC"},
    {"replconf ack 5", F | K, SESSION_OTHER, 0, "REPLCONF"},
    {"subscribe c", F | K, SESSION_OTHER, 0, "SUBSCRIBE"},
    {"unsubscribe", F | K, SESSION_OTHER, 0, "UNSUBSCRIBE"},
    {"psubscribe c", F | K, SESSION_OTHER, 0, "PSUBSCRIBE"},
    {"punsubscribe", F | K, SESSION_OTHER, 0, "PUNSUBSCRIBE"},
    {"ssubscribe c", F | K, SESSION_OTHER, 0, "SSUBSCRIBE"},
    {"sunsubscribe", F | K, SESSION_OTHER, 0, "SUNSUBSCRIBE"},
    {"debug protocol push", F | K, SESSION_OTHER, 0, "DEBUG PROTOCOL"},
    {"cluster syncslots x", F | K, SESSION_OTHER, 0, "CLUSTER SYNCSLOTS"},
    {"cluster info", R | K, 0, 0, "CLUSTER INFO"},
    {"cluster meet h 1", K, 0, 0, "CLUSTER MEET"},
    {"script debug yes", F | K, SESSION_OTHER, 0, "SCRIPT DEBUG"},
    {"post /", F, SESSION_OTHER, 0, "?"},
    {"host: x", F, SESSION_OTHER, 0, "?"},
    {"post^x", F, SESSION_OTHER, 0, "?"},
    {"posts", 0, 0, 0, "?"},
    {"", F, SESSION_OTHER, 0, "?"},
    {"~", 0, 0, 0, "?"},
    {"~ ~", 0, 0, 0, "?"},
    {"nosuch x", 0, 0, 0, "?"},
    {"client|reply off", 0, 0, 0, "?"},
    {"client reply^", O | K, SESSION_OTHER, 0, "CLIENT"},
};

START_TEST(waiting_is_found_as_the_server_parses_it)
{
  for (size_t i = 0; i < sizeof block_rows / sizeof *block_rows; i++) {
    const char *text = block_rows[i].text;
    struct route route = route_of(text, _i);
    int64_t ms = route.flags & ROUTE_BLOCKING ? route.block_ms : NEVER;

    ck_assert_msg(ms == block_rows[i].ms, "%s: %lld, not %lld", text, (long long)ms,
                  (long long)block_rows[i].ms);
  }
}
END_TEST

START_TEST(class_effect_and_name_are_right)
{
  for (size_t i = 0; i < sizeof class_rows / sizeof *class_rows; i++) {
    const char *text = class_rows[i].text;
    struct route route = route_of(text, _i);

    ck_assert_msg(route.flags == class_rows[i].flags, "%s: flags %#x, not %#x", text, route.flags,
                  class_rows[i].flags);
    ck_assert_msg(route.effect == class_rows[i].effect, "%s: effect %d", text, route.effect);
    ck_assert_msg(route.effect_arg == class_rows[i].arg, "%s: arg %d", text, route.effect_arg);
    ck_assert_str_eq(route.command, class_rows[i].command);
  }
}
END_TEST

/* What no route may be; NULL: all is well. Check's own assertions are slow in the loops below. */
static const char *nonsense(const struct route *route)
{
  const unsigned all = R | S | B | O | F | K | W | P | C | U | N;
  unsigned flags = route->flags;

  if (!route->command)
    return "no name";
  if (flags & ~all)
    return "an unknown flag";
  if (((flags & B) != 0) != (route->block_ms > 0))
    return "waiting and time differ";
  if (((flags & (O | F)) != 0) != (route->hint != NULL))
    return "a refusal and its hint differ";
  if ((flags & W) && !(flags & B))
    return "waits for a key, and does not wait";
  if ((flags & C) && (flags & (B | P | O | F)))
    return "control that is held up";
  if ((flags & R) && (flags & (O | F)))
    return "read-only, yet refused";
  if (route->effect != SESSION_NONE && !(flags & (O | F)))
    return "an effect on a shared connection";
  return NULL;
}

static void check_sense(const struct route *route)
{
  const char *fault = nonsense(route);

  if (fault)
    ck_abort_msg("%s: %s", route->command ? route->command : "?", fault);
}

START_TEST(rules_are_sorted_and_agree_with_the_table)
{
  for (size_t i = 0; i < rule_count(); i++) {
    const struct rule *rule = rule_at(i);
    const char *blank = strchr(rule->name, ' ');
    size_t len = blank ? (size_t)(blank - rule->name) : strlen(rule->name);
    const struct command *command =
        command_find(rule->name, len, blank ? blank + 1 : NULL, blank ? strlen(blank + 1) : 0);

    if (i > 0)
      ck_assert_str_lt(rule_at(i - 1)->name, rule->name);
    if (blank)
      ck_assert_ptr_nonnull(rule_find(rule->name, len, NULL, 0));
    if (command && (rule->flags & ROUTE_READONLY))
      ck_assert_msg(!(command->flags & COMMAND_WRITE), "%s writes", rule->name);
    if (rule->flags & ROUTE_SESSION)
      ck_assert_msg(strstr(rule->hint, "pmx_acquire()"), "%s: no way out", rule->name);
  }
}
END_TEST

/* Every command of the table, with every kind of argument behind it. */
START_TEST(whole_table_makes_sense)
{
  static const char *const rest[] = {"",     " k",         " k 0",
                                     " 0 k", " k k k k 0", " block 0 streams k $"};

  for (size_t i = 0; i < command_count(); i++) {
    const struct command *command = command_at(i);

    for (size_t j = 0; j < sizeof rest / sizeof *rest; j++) {
      char text[128];
      struct route route;

      snprintf(text, sizeof text, "%s%s", command->name, rest[j]);
      route = route_of(text, 0);
      check_sense(&route);
      ck_assert_uint_ne(route.flags & ROUTE_KNOWN, 0);
      ck_assert_int_eq(strncmp(route.command, command->name, strlen(route.command)), 0);
      if ((command->flags & COMMAND_PUBSUB) && strstr(command->name, "SUBSCRIBE"))
        ck_assert_uint_ne(route.flags & ROUTE_FORBIDDEN, 0);
    }
    if (command->flags & COMMAND_BLOCKING)
      ck_assert_msg(rule_find(command->name, strlen(command->name), NULL, 0), "%s", command->name);
  }
}
END_TEST

START_TEST(c_strings_and_odd_counts_are_accepted)
{
  static const char *const argv[] = {"BLPOP", "k", "0.5", NULL};
  struct route route;

  classify(3, argv, NULL, &route);
  ck_assert_int_eq(route.block_ms, 500);
  classify(4, argv, NULL, &route); /* an empty last argument */
  ck_assert_uint_eq(route.flags & ROUTE_BLOCKING, 0);
  classify(-1, argv, NULL, &route);
  ck_assert_uint_ne(route.flags & ROUTE_FORBIDDEN, 0);
  classify(3, NULL, NULL, &route);
  ck_assert_uint_ne(route.flags & ROUTE_FORBIDDEN, 0);
}
END_TEST

/* Exactly as many bytes as the argument has, so that a sanitizer sees one read too many. */
static char *copy_exact(const char *bytes, size_t len)
{
  char *copy = malloc(len ? len : 1);

  if (!copy)
    ck_abort_msg("out of memory");
  if (len)
    memcpy(copy, bytes, len);
  return copy;
}

static char *random_argument(struct rng *rng, size_t *ret_len)
{
  static const char *const words[] = {"BLOCK", "streams", "GROUP", "count", "LEFT",  "min",
                                      "0",     "1",       "-1",    "0.05",  "5",     ">",
                                      "$",     "off",     "STORE", "noack", "reply", "2",
                                      "1e5",   "0x1p",    "",      "s",     "keys",  "protocol"};
  char bytes[24];

  if (rng_below(rng, 4) > 0) {
    const char *word = words[rng_below(rng, sizeof words / sizeof *words)];

    *ret_len = strlen(word);
    return copy_exact(word, *ret_len);
  }
  *ret_len = rng_below(rng, sizeof bytes);
  for (size_t i = 0; i < *ret_len; i++)
    bytes[i] = (char)rng_next(rng);
  return copy_exact(bytes, *ret_len);
}

static char *random_name(struct rng *rng, size_t *ret_len)
{
  size_t rules = rule_count(), pick = rng_below(rng, rules + command_count() + 50);
  const char *name;

  if (pick >= rules + command_count())
    return random_argument(rng, ret_len);
  name = pick < rules ? rule_at(pick)->name : command_at(pick - rules)->name;
  *ret_len = strcspn(name, " ");
  return copy_exact(name, *ret_len);
}

START_TEST(any_arguments_give_a_sensible_route)
{
  struct rng rng;
  int rounds = getenv("POOLMUX_SOAK") ? 2000000 : 20000;

  rng_seed(&rng, test_seed("any_arguments_give_a_sensible_route"));
  for (int round = 0; round < rounds; round++) {
    char *argv[ARGS_MAX];
    size_t len[ARGS_MAX];
    int argc = (int)rng_below(&rng, ARGS_MAX);
    struct route route;

    for (int i = 0; i < argc; i++)
      argv[i] = i == 0 ? random_name(&rng, &len[i]) : random_argument(&rng, &len[i]);
    memset(&route, 0xa5, sizeof route);
    classify(argc, (const char *const *)argv, len, &route);
    check_sense(&route);
    for (int i = 0; i < argc; i++)
      free(argv[i]);
  }
}
END_TEST

enum { UNSURE = -2 }; /* too small for a long double that is a double */

/* What the server does with the last argument of BLPOP: strtold() and rounding up. */
static int64_t reference_ms(const char *text)
{
  char *end;
  long double value = strtold(text, &end);

  if (fabsl(value) < 1e-290L && strpbrk(text, "123456789"))
    return UNSURE;
  if (*text == '\0' || isspace((unsigned char)*text) || *end != '\0' || isnan(value))
    return NEVER;
  value = ceill(value * 1000.0L);
  if (value < 0 || value >= 9223372036854775807.0L)
    return NEVER;
  return value < 1 || value > 9223372036854.0L ? FOREVER : (int64_t)value;
}

START_TEST(seconds_are_read_as_strtold_reads_them)
{
  static const char alphabet[] = "0123456789012345678900..--+eExXpPaf n";
  struct rng rng;
  int rounds = getenv("POOLMUX_SOAK") ? 2000000 : 50000, numbers = 0;

  rng_seed(&rng, test_seed("seconds_are_read_as_strtold_reads_them"));
  for (int round = 0; round < rounds; round++) {
    char text[12] = "";
    const char *argv[] = {"BLPOP", "k", text};
    size_t n = rng_below(&rng, sizeof text);
    int64_t expected, ms;
    struct route route;

    for (size_t i = 0; i < n; i++)
      text[i] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
    expected = reference_ms(text);
    if (expected == UNSURE)
      continue;
    classify(3, argv, NULL, &route);
    ms = route.flags & ROUTE_BLOCKING ? route.block_ms : NEVER;
    numbers += expected != NEVER;
    if (ms != expected && (ms < 0 || expected < 0 || llabs(ms - expected) > 1))
      ck_abort_msg("'%s': %lld, not %lld", text, (long long)ms, (long long)expected);
  }
  ck_assert_int_gt(numbers, rounds / 20);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("classify");
  TCase *tc = tcase_create("classify");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, waiting_is_found_as_the_server_parses_it, 0, 4);
  tcase_add_loop_test(tc, class_effect_and_name_are_right, 0, 4);
  tcase_add_test(tc, rules_are_sorted_and_agree_with_the_table);
  tcase_add_test(tc, whole_table_makes_sense);
  tcase_add_test(tc, c_strings_and_odd_counts_are_accepted);
  tcase_add_test(tc, any_arguments_give_a_sensible_route);
  tcase_add_test(tc, seconds_are_read_as_strtold_reads_them);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
