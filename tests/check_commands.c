/* SPDX-License-Identifier: BSD-3-Clause */
/* check_commands.c - the command table: finding names in it, and that it says what a running server
 * says. Where a newer server takes more, that must be a relaxation, never another meaning. */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "call/commands.h"
#include "harness/server.h"

static struct server *server;

static const struct command *find(const char *name, const char *sub)
{
  return command_find(name, strlen(name), sub, sub ? strlen(sub) : 0);
}

static const char *name_of(const struct command *command)
{
  return command ? command->name : "none";
}

/* "CLIENT ID" in two parts; *ret_sub is NULL when there is one part. Returns the first one's
 * length. */
static size_t split(const char *name, const char **ret_sub)
{
  const char *blank = strchr(name, ' ');

  *ret_sub = blank ? blank + 1 : NULL;
  return blank ? (size_t)(blank - name) : strlen(name);
}

static void turn_case(char *to, const char *from, int variant)
{
  size_t i = 0;

  for (; from[i]; i++) {
    int lower = variant == 1 || (variant == 2 && i % 2 == 1);

    to[i] = lower ? (char)tolower((unsigned char)from[i]) : from[i];
  }
  to[i] = '\0';
}

START_TEST(table_is_sorted_and_without_duplicates)
{
  ck_assert_uint_gt(command_count(), 350);
  for (size_t i = 1; i < command_count(); i++)
    ck_assert_str_lt(command_at(i - 1)->name, command_at(i)->name);
  ck_assert_ptr_null(command_at(command_count()));
  ck_assert_ptr_null(command_at((size_t)-1));
}
END_TEST

START_TEST(every_name_is_found_in_any_case)
{
  for (size_t i = 0; i < command_count(); i++) {
    const struct command *command = command_at(i);
    char name[64];
    const char *sub;
    size_t len;

    for (int variant = 0; variant < 3; variant++) {
      turn_case(name, command->name, variant);
      len = split(name, &sub);
      ck_assert_ptr_eq(command_find(name, len, sub, sub ? strlen(sub) : 0), command);
    }
  }
}
END_TEST

START_TEST(prefixes_extensions_and_joined_names_are_not_found)
{
  for (size_t i = 0; i < command_count(); i++) {
    const char *name = command_at(i)->name;
    char longer[64];
    const char *sub;
    size_t len = split(name, &sub);

    if (sub) {
      ck_assert_ptr_null(find(name, NULL));
      continue;
    }
    snprintf(longer, sizeof longer, "%s%c", name, '~');
    ck_assert_ptr_null(find(longer, NULL));
    longer[len] = '\0';
    ck_assert_ptr_null(command_find(longer, len + 1, NULL, 0));
    for (size_t cut = 0; cut < len; cut++) {
      const struct command *found = command_find(name, cut, NULL, 0);

      ck_assert(!found || strlen(found->name) == cut);
    }
  }
  ck_assert_ptr_null(command_find(NULL, 0, NULL, 0));
  ck_assert_ptr_null(find("", ""));
  ck_assert_ptr_null(find("client|id", NULL));
  ck_assert_ptr_null(find("\xff\xfe", NULL));
}
END_TEST

START_TEST(subcommand_wins_and_the_container_is_the_fallback)
{
  ck_assert_str_eq(name_of(find("client", "Reply")), "CLIENT REPLY");
  ck_assert_str_eq(name_of(find("CLIENT", NULL)), "CLIENT");
  ck_assert_str_eq(name_of(find("CLIENT", "")), "CLIENT");
  ck_assert_str_eq(name_of(find("CLIENT", "NOSUCH")), "CLIENT");
  ck_assert_str_eq(name_of(find("CLIENT", "REPLYX")), "CLIENT");
  ck_assert_str_eq(name_of(find("CLIENT", "REPL")), "CLIENT");
  ck_assert_str_eq(name_of(command_find("CLIENT", 6, "REPLY\0", 6)), "CLIENT");
  ck_assert_str_eq(name_of(find("XINFO", "STREAM")), "XINFO STREAM");
  ck_assert_str_eq(name_of(find("GET", "REPLY")), "GET");
  ck_assert(find("CLIENT", NULL)->flags & COMMAND_CONTAINER);
  ck_assert(!(find("CLIENT", "ID")->flags & COMMAND_CONTAINER));
}
END_TEST

/* What COMMAND INFO says about one command. */
struct answer {
  int arity, keys[3];
  unsigned flags;
};

static unsigned flag_of(const char *word)
{
  static const struct {
    const char *word;
    unsigned flag;
  } known[] = {
      {"readonly", COMMAND_READONLY},       {"write", COMMAND_WRITE},
      {"blocking", COMMAND_BLOCKING},       {"admin", COMMAND_ADMIN},
      {"pubsub", COMMAND_PUBSUB},           {"noscript", COMMAND_NOSCRIPT},
      {"movablekeys", COMMAND_MOVABLEKEYS},
  };

  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(word, known[i].word) == 0)
      return known[i].flag;
  return 0;
}

/* Name, arity, flags …, three key numbers, one a line. 0: the server does not know it. */
static int ask(const char *name, struct answer *ret)
{
  char asked[64], *text, *line, *rest;
  int keys = 0;

  turn_case(asked, name, 1);
  if (strchr(asked, ' '))
    *strchr(asked, ' ') = '|';
  text = server_command(server, "COMMAND", "INFO", asked, NULL);
  ck_assert_ptr_nonnull(text);
  line = strtok_r(text, "\n", &rest);
  if (!line || strcmp(line, "(nil)") == 0) {
    free(text);
    return 0;
  }
  ck_assert_int_eq(strcasecmp(line, asked), 0);
  *ret = (struct answer){.arity = atoi(strtok_r(NULL, "\n", &rest))};
  while (keys < 3 && (line = strtok_r(NULL, "\n", &rest))) {
    if (isalpha((unsigned char)*line))
      ret->flags |= flag_of(line);
    else
      ret->keys[keys++] = atoi(line);
  }
  ck_assert_int_eq(keys, 3);
  free(text);
  return 1;
}

static int arity_is_relaxed(int server_arity, int ours)
{
  return server_arity == ours || (server_arity < 0 && -server_arity <= abs(ours));
}

START_TEST(table_says_what_the_server_says)
{
  const unsigned meaning = COMMAND_READONLY | COMMAND_WRITE | COMMAND_PUBSUB | COMMAND_MOVABLEKEYS;
  int compared = 0;

  for (size_t i = 0; i < command_count(); i++) {
    const struct command *ours = command_at(i);
    struct answer theirs;

    if (!ask(ours->name, &theirs))
      continue;
    compared++;
    ck_assert_msg(arity_is_relaxed(theirs.arity, ours->arity), "%s: arity %d, table %d", ours->name,
                  theirs.arity, ours->arity);
    ck_assert_msg(((theirs.flags ^ ours->flags) & meaning) == 0, "%s: flags %#x, table %#x",
                  ours->name, theirs.flags, (unsigned)ours->flags);
    /* Servers since 7.2 call WAIT blocking as well; the classifier knows it by name. */
    ck_assert_msg(((theirs.flags ^ ours->flags) & COMMAND_BLOCKING) == 0 ||
                      strcmp(ours->name, "WAIT") == 0,
                  "%s: blocking differs", ours->name);
    ck_assert_msg(theirs.keys[0] == ours->first_key && theirs.keys[1] == ours->last_key &&
                      theirs.keys[2] == ours->key_step,
                  "%s: keys differ", ours->name);
  }
  printf("%d of %zu commands compared with %s\n", compared, command_count(),
         server_program_version());
  ck_assert_int_gt(compared, 200);
}
END_TEST

static int in_table(const char *name)
{
  const char *bar = strchr(name, '|');
  const struct command *found =
      bar ? command_find(name, (size_t)(bar - name), bar + 1, strlen(bar + 1)) : find(name, NULL);

  return found && strlen(found->name) == strlen(name);
}

START_TEST(no_command_of_these_servers_is_missing)
{
  char *text = server_command(server, "COMMAND", "LIST", NULL), *rest, *line;
  int missing = 0, all = 0;

  ck_assert_ptr_nonnull(text);
  for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    all++;
    if (*line != '-' && !in_table(line)) {
      missing++;
      printf("not in the table: %s\n", line);
    }
  }
  free(text);
  /* Later servers may well know more. */
  if (server_program_major() == 7) {
    ck_assert_int_gt(all, 200);
    ck_assert_int_eq(missing, 0);
  }
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("commands");
  TCase *pure = tcase_create("table"), *live = tcase_create("server");
  SRunner *runner = srunner_create(suite);
  int failed;

  server_require("check_commands");
  server = server_start(NULL);
  if (!server)
    return EXIT_FAILURE;
  tcase_set_timeout(pure, 60);
  tcase_set_timeout(live, 60);
  tcase_add_test(pure, table_is_sorted_and_without_duplicates);
  tcase_add_test(pure, every_name_is_found_in_any_case);
  tcase_add_test(pure, prefixes_extensions_and_joined_names_are_not_found);
  tcase_add_test(pure, subcommand_wins_and_the_container_is_the_fallback);
  tcase_add_test(live, table_says_what_the_server_says);
  tcase_add_test(live, no_command_of_these_servers_is_missing);
  suite_add_tcase(suite, pure);
  suite_add_tcase(suite, live);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  server_stop(server);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
