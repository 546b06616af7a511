/* SPDX-License-Identifier: BSD-3-Clause */
/* diagnosis_odd.c - the tools and servers that say odd things of themselves: what they say is shown
 * as text that does nothing to a terminal, nothing is read that they did not say, and one that does
 * not answer has not refused. */
#include "behaviour/diagnosing.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "behaviour/behaviour.h"
#include "harness/checks.h"

/* What a server answers, as it is on the wire; NULL: nothing, "": as a server in order does. */
struct odd {
  const char *info, *client_info, *ping, *command_info;
};

static int say(struct fake_conn *conn, const char *answer, int argc, char **argv, size_t *len)
{
  if (answer && !*answer)
    return fake_handshake(conn, argc, argv, len);
  if (answer)
    fake_send(conn, answer, strlen(answer));
  return 0;
}

static int answer(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  const struct odd *odd = ud;

  if (strcasecmp(argv[0], "INFO") == 0)
    return say(conn, odd->info, argc, argv, len);
  if (argc > 1 && strcasecmp(argv[0], "CLIENT") == 0 && strcasecmp(argv[1], "INFO") == 0)
    return say(conn, odd->client_info, argc, argv, len);
  if (strcasecmp(argv[0], "PING") == 0)
    return say(conn, odd->ping, argc, argv, len);
  if (strcasecmp(argv[0], "COMMAND") == 0)
    return say(conn, odd->command_info, argc, argv, len);
  return fake_handshake(conn, argc, argv, len);
}

static struct fake *odd_server(struct odd *odd)
{
  struct fake *fake =
      fake_start(&(struct fake_options){.handler = answer, .ud = odd, .manual = true});

  ck_assert_ptr_nonnull(fake);
  return fake;
}

#define ANSWERS_INFO "+redis_version:7.0.0\r\n"

/* ---- quotes ---- */

START_TEST(quotes_mean_nothing_in_client_info)
{
  struct odd odd = {.info = ANSWERS_INFO,
                    .ping = "",
                    .client_info = "+id=7 name=\" addr=127.0.0.1:1 db=5 user=\"ada\r\n"};
  struct fake *fake = odd_server(&odd);
  struct told told;

  ping(&told, "-n1", fake_url(fake), NULL);
  ck_assert_int_eq(told.status, 0);
  check_tells(told.text, "\n  user        \"ada\n", "\n  db          5\n", NULL);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(name_of_a_client_may_be_a_quote)
{
  struct server *server = server_start(NULL);
  struct told told;

  ping(&told, "-n1", "-o", "client_name=\"", server_url(server, SERVER_TCP), NULL);
  ck_assert_int_eq(told.status, 0);
  check_tells(told.text, "\n  user        default\n", "\n  db          0\n", NULL);
  server_stop(server);
}
END_TEST

/* ---- terminals ---- */

static void check_is_harmless(const char *text)
{
  for (const char *c = text; *c; c++)
    ck_assert_msg(*c == '\n' || (*c >= ' ' && *c < 127), "byte %02x is in: %s", (unsigned char)*c,
                  text);
}

#define RESET_IN_ALL_WORDS                                                                         \
  "$85\r\nredis_version:\033[2J\r\nredis_mode:\177\r\nrole:\233c\r\n"                              \
  "uptime_in_seconds:\a\r\nconnected_clients:\b\r\n\r\n"

START_TEST(what_a_server_says_does_nothing_to_a_terminal)
{
  struct odd odd = {.info = RESET_IN_ALL_WORDS,
                    .client_info = "+id=7 user=\033]0;x\007 db=\033c\r\n",
                    .ping = "-ERR \033]0;x\007\r\n"};
  struct fake *fake = odd_server(&odd);
  struct told told;

  ping(&told, "-v", fake_url(fake), NULL);
  check_is_harmless(told.text);
  ck_assert_int_eq(told.status, 8);
  check_tells(told.text, "\n  failure     ", "ERR \\x1b]0;x\\x07\n",
              "\n  server      Redis \\x1b[2J, \\x7f, \\x9bc\n", "\n  uptime      \\x07 s\n",
              "\n  clients     \\x08\n", "\n  user        \\x1b]0;x\\x07\n",
              "\n  db          \\x1bc\n", NULL);
  odd.ping = "";
  odd.info = "-ERR \033[2J\r\n";
  ping(&told, "-n1", fake_url(fake), NULL);
  check_is_harmless(told.text);
  check_tells(told.text, "\n  server      INFO is refused: ", "ERR \\x1b[2J\n", NULL);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(so_it_is_with_what_is_explained)
{
  struct odd odd = {.ping = "", .command_info = "-ERR \033]0;x\007\r\n"};
  struct fake *fake = odd_server(&odd);
  struct told told;

  run_tool(&told, "poolmux-explain", fake_url(fake), "NO\033[2JSUCH", "\302\233c", NULL);
  check_is_harmless(told.text);
  ck_assert_int_eq(told.status, 1);
  check_tells(told.text, "\"NO\\x1b[2JSUCH\" \"\\xc2\\x9bc\"\n",
              "in vain: ", "ERR \\x1b]0;x\\x07\n", NULL);
  odd.command_info = "*1\r\n*3\r\n$4\r\nnone\r\n:1\r\n*1\r\n+\033[2J\r\n";
  run_tool(&told, "poolmux-explain", fake_url(fake), "NOSUCH", NULL);
  check_is_harmless(told.text);
  check_tells(told.text, "was asked with COMMAND INFO: \\x1b[2J. ", NULL);
  odd.command_info = "*1\r\n*3\r\n$4\r\nnone\r\n:1\r\n*2\r\n+blocking\r\n+\033[2J\r\n";
  run_tool(&told, "poolmux-explain", fake_url(fake), "NOSUCH", NULL);
  check_is_harmless(told.text);
  check_tells(told.text, "was asked with COMMAND INFO: blocking \\x1b[2J. ", NULL);
  run_tool(&told, "poolmux-explain", "-j", fake_url(fake), "NO\033\177SUCH", "\302\233c", NULL);
  check_is_harmless(told.text);
  check_tells(told.text, "[\"NO\\u001b\\u007fSUCH\",\"\\u009bc\"]", "blocking \\u001b[2J\"", NULL);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- silence ---- */

START_TEST(info_without_an_answer_is_not_refused)
{
  struct odd odd = {.ping = ""};
  struct fake *fake = odd_server(&odd);
  struct told told;

  ping(&told, "-n1", fake_url(fake), NULL);
  ck_assert_int_eq(told.status, 0);
  check_tells(told.text, "\n  server      INFO is not answered: ", "no answer in time, after 1.0 s",
              NULL);
  ck_assert_msg(!strstr(told.text, "refused"), "%s", told.text);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("diagnosis_odd");

  server_require("diagnosis_odd");
  tcase_add_test(tc, quotes_mean_nothing_in_client_info);
  tcase_add_test(tc, name_of_a_client_may_be_a_quote);
  tcase_add_test(tc, what_a_server_says_does_nothing_to_a_terminal);
  tcase_add_test(tc, so_it_is_with_what_is_explained);
  tcase_add_test(tc, info_without_an_answer_is_not_refused);
  return checks_run("diagnosis_odd", tc);
}
