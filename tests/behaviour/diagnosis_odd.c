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

int main(void)
{
  TCase *tc = checks_case("diagnosis_odd");

  server_require("diagnosis_odd");
  tcase_add_test(tc, quotes_mean_nothing_in_client_info);
  tcase_add_test(tc, name_of_a_client_may_be_a_quote);
  return checks_run("diagnosis_odd", tc);
}
