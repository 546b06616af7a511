/* SPDX-License-Identifier: BSD-3-Clause */
/* explaining.c - poolmux-explain, run as a program: it says what the library says, connects for no
 * command that the library knows, asks for one that it does not, and comes to the same conclusion
 * as a client does at its first call. */
#include "behaviour/diagnosing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "harness/checks.h"
#include "harness/process.h"

#define explain(told, ...) run_tool((told), "poolmux-explain", __VA_ARGS__)

/* Commands under names that nobody knows stand for those of modules. */
static struct server *server_with_strangers(void)
{
  static const char *const config[] = {
      "--rename-command", "GET", "STRANGER.GET", "--rename-command", "BLPOP", "STRANGER.POP", NULL};
  struct server *server = server_start(&(struct server_options){.config = config});

  ck_assert_ptr_nonnull(server);
  return server;
}

START_TEST(what_is_known_connects_nowhere)
{
  struct server *server = server_start(NULL);
  const char *url = server_url(server, SERVER_TCP);
  int64_t before = server_connections(server);
  char line[256], said[200];
  struct told told;

  explain(&told, url, "BLPOP", "jobs", "5", NULL);
  ck_assert_int_eq(told.status, 0);
  ck_assert_int_eq(server_connections(server), before);
  for (int i = 0; i < strategy_count; i++) {
    pmx_client *client = open_client(strategies[i], url, "connect", "lazy", NULL);
    const char *const argv[] = {"BLPOP", "jobs", "5"};
    char *reason;

    pmx_explain(client, 3, argv, NULL, said, sizeof said);
    reason = strstr(said, ": ");
    ck_assert_ptr_nonnull(reason);
    *reason = '\0';
    snprintf(line, sizeof line, "%-10s %-10s %s\n", strategies[i], said, reason + 2);
    check_tells(told.text, line, NULL);
    close_client(client);
  }
  server_stop(server);
}
END_TEST

START_TEST(strategy_of_the_url_is_marked_and_leaves_the_others_as_they_are)
{
  struct told told;

  explain(&told, "redis://127.0.0.1:1/3?strategy=mux&pool.max_size=3", "GET", "k", NULL);
  ck_assert_int_eq(told.status, 0);
  check_tells(told.text, "\n  hybrid     lane ", "\n  pool       dedicated ",
              "\n* mux        lane ", NULL);
  explain(&told, "--offline", "redis://127.0.0.1:1?hybrid.bulk_request=1KiB", "-j", NULL);
  ck_assert_int_eq(told.status, 0); /* a command that begins with a dash */
  check_tells(told.text, "-j\n* hybrid ", NULL);
}
END_TEST

/* After one call. */
static void check_client_says(struct server *server, int argc, const char *const *argv,
                              const char *place)
{
  pmx_client *client = open_client("hybrid", server_url(server, SERVER_TCP), NULL);
  char said[200];
  bool same = false;
  int64_t until = now_ms() + SOON_MS;

  pmx_reply_free(pmx_argv(client, NULL, argc, argv, NULL));
  while (!same && now_ms() < until) { /* the answer comes when it comes */
    pmx_explain(client, argc, argv, NULL, said, sizeof said);
    same = strncmp(said, place, strlen(place)) == 0;
    pmx_reply_free(pmx_command(client, "PING"));
  }
  ck_assert_msg(same, "%s, and not %s", said, place);
  close_client(client);
}

START_TEST(unknown_command_is_asked_about_and_judged_as_a_client_does)
{
  struct server *server = server_with_strangers();
  const char *url = server_url(server, SERVER_TCP);
  const char *const get[] = {"STRANGER.GET", "k"}, *const pop[] = {"STRANGER.POP", "jobs", "0.01"};
  struct told told;

  explain(&told, url, get[0], get[1], NULL);
  ck_assert_int_eq(told.status, 0);
  check_tells(told.text, "* hybrid     dedicated  STRANGER.GET is not known here",
              "was asked with COMMAND INFO: ", "readonly", "and then: lane", NULL);
  check_client_says(server, 2, get, "lane: ");
  explain(&told, url, pop[0], pop[1], pop[2], NULL);
  ck_assert_int_eq(told.status, 0);
  check_tells(told.text, "was asked with COMMAND INFO: ", "blocking", "So it stays dedicated",
              NULL);
  check_client_says(server, 3, pop, "dedicated: ");
  explain(&told, "-j", url, get[0], get[1], NULL);
  check_tells(told.text, "{\"command\":[\"STRANGER.GET\",\"k\"],\"strategy\":\"hybrid\",",
              "\"routes\":{\"hybrid\":{\"place\":\"dedicated\",\"reason\":\"STRANGER.GET is not",
              "\"server\":{\"known\":true,\"flags\":\"readonly fast\",\"shares\":true}}\n", NULL);
  explain(&told, "-j", url, "NOBODY", NULL);
  check_tells(told.text, "\"server\":{\"known\":false}}\n", NULL);
  server_stop(server);
}
END_TEST

/* It cannot write, so that it is there to be looked at. */
static int full_pipe(int *ret_reader)
{
  static const char bytes[4096];
  int ends[2];

  ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  while (write(ends[1], bytes, sizeof bytes) > 0)
    ;
  ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
  *ret_reader = ends[0];
  return ends[1];
}

/* Its arguments, with blanks between them. */
static void read_arguments(pid_t pid, char *text, size_t size)
{
  char path[64];
  FILE *file;
  size_t len;

  snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
  file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  len = fread(text, 1, size - 1, file);
  fclose(file);
  for (size_t i = 0; i < len; i++)
    text[i] = text[i] ? text[i] : ' ';
  text[len] = '\0';
}

START_TEST(arguments_that_may_be_secrets_are_not_seen_by_ps)
{
  const char *build = getenv("POOLMUX_BUILD");
  char path[4096], seen[8192];
  const char *argv[] = {path, "redis://127.0.0.1:1", "auth", "ada", CANARY, NULL};
  struct process process = {.path = path, .argv = (char *const *)argv};
  int64_t until = now_ms() + SOON_MS;
  int reader;

  snprintf(path, sizeof path, "%s/tools/poolmux-explain", build ? build : ".");
  process.out_fd = full_pipe(&reader);
  ck_assert_int_eq(process_start(&process), 0);
  do {
    ck_assert_msg(now_ms() < until, "ps shows: %s", seen);
    read_arguments(process.pid, seen, sizeof seen);
  } while (!strstr(seen, " auth xxx xxxx"));
  ck_assert_msg(!strstr(seen, CANARY), "ps shows: %s", seen);
  process_kill(&process);
  close(process.out_fd);
  close(reader);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("explaining");

  server_require("explaining");
  tcase_add_test(tc, what_is_known_connects_nowhere);
  tcase_add_test(tc, strategy_of_the_url_is_marked_and_leaves_the_others_as_they_are);
  tcase_add_test(tc, unknown_command_is_asked_about_and_judged_as_a_client_does);
  tcase_add_test(tc, arguments_that_may_be_secrets_are_not_seen_by_ps);
  return checks_run("explaining", tc);
}
