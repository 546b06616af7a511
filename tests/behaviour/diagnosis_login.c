/* SPDX-License-Identifier: BSD-3-Clause */
/* diagnosis_login.c - the same of servers that are reached and do not let in, or do not serve. */
#include "behaviour/diagnosing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "harness/checks.h"

enum { URL_SIZE = 256 };

/* ---- who ---- */

static const char wrong[] = "redis://ada@127.0.0.1:%u", right[] = "redis://127.0.0.1:%u";

static void log_in(struct told *told, const char *format, const char *password)
{
  struct server *server =
      server_start(&(struct server_options){.listen = SERVER_TCP, .password = "the right one"});
  char url[URL_SIZE];

  ck_assert_ptr_nonnull(server);
  snprintf(url, sizeof url, format, server_port(server));
  setenv("POOLMUX_PASSWORD", password, 1);
  ping(told, url, NULL);
  server_stop(server);
}

START_TEST(wrong_password)
{
  struct told told;

  log_in(&told, right, CANARY);
  check_fails_at(&told, "wrong password", 6, "login",
                 "login refused, user \"default\" (options user, password): the server said \"",
                 "Check user and password", NULL);
}
END_TEST

START_TEST(wrong_user)
{
  struct told told;

  log_in(&told, wrong, CANARY);
  check_fails_at(&told, "wrong user", 6, "login",
                 "login refused, user \"ada\" (options user, password): the server said \"",
                 "Check user and password", NULL);
}
END_TEST

START_TEST(no_password)
{
  struct told told;

  log_in(&told, right, "");
  check_fails_at(&told, "no password", 6, "login",
                 "the server wants a password (options user, password): the server said \"NOAUTH",
                 "Set POOLMUX_PASSWORD", NULL);
}
END_TEST

START_TEST(right_password_from_the_environment_and_from_a_file)
{
  struct server *server =
      server_start(&(struct server_options){.listen = SERVER_TCP, .password = CANARY});
  char path[URL_SIZE];
  struct told told;
  FILE *file;

  ck_assert_ptr_nonnull(server);
  setenv("POOLMUX_PASSWORD", CANARY, 1);
  ping(&told, "-v", server_url(server, SERVER_TCP), NULL);
  ck_assert_msg(told.status == 0, "%s", told.text);
  unsetenv("POOLMUX_PASSWORD");
  snprintf(path, sizeof path, "%s/password", server_dir(server));
  file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fprintf(file, "%s\nanother line\n", CANARY);
  fclose(file);
  ping(&told, "-v", "--password-file", path, server_url(server, SERVER_TCP), NULL);
  ck_assert_msg(told.status == 0, "%s", told.text);
  server_stop(server);
}
END_TEST

START_TEST(password_to_a_server_without_one)
{
  struct server *server = server_start(NULL);
  struct told told;

  setenv("POOLMUX_PASSWORD", CANARY, 1);
  /* HELLO, with RESP3, takes any password then. */
  ping(&told, "-o", "protocol=resp2", server_url(server, SERVER_TCP), NULL);
  check_fails_at(&told, "password, and the server has none", 6, "login",
                 "without any password configured", "unset POOLMUX_PASSWORD", NULL);
  server_stop(server);
}
END_TEST

START_TEST(wrong_database)
{
  struct server *server = server_start(NULL);
  struct told told;
  char url[URL_SIZE];

  snprintf(url, sizeof url, "%s/99", server_url(server, SERVER_TCP));
  ping(&told, url, NULL);
  check_fails_at(&told, "wrong database", 7, "select",
                 "database 99 refused (option db): the server said \"", "CONFIG GET databases",
                 NULL);
  server_stop(server);
}
END_TEST

/* ---- servers that do not serve ---- */

static void reload(void *server)
{
  free(server_command(server, "DEBUG", "RELOAD", NULL));
}

/* Loads its data again, slowly, and answers meanwhile: this is what a start looks like. */
START_TEST(loading)
{
  static const char *const allowed[] = {"--enable-debug-command", "yes", NULL};
  const char *const *config = server_program_major() >= 7 ? allowed : NULL; /* before, it is */
  struct server *server = server_start(&(struct server_options){.config = config});
  struct background *thread;
  struct told told;
  int64_t until = now_ms() + SOON_MS;

  ck_assert_ptr_nonnull(server);
  free(server_command(server, "DEBUG", "POPULATE", "1000", NULL));
  free(server_command(server, "CONFIG", "SET", "key-load-delay", "2000", NULL));
  free(server_command(server, "CONFIG", "SET", "loading-process-events-interval-bytes", "1024",
                      NULL));
  thread = background_start(reload, server);
  do {
    ping(&told, "-n1", server_url(server, SERVER_TCP), NULL);
  } while (told.status == 0 && now_ms() < until);
  check_fails_at(&told, "server is loading", 8, "ping", "LOADING ",
                 "The server reads its data from disk", "\n  loading     ", " % of its data", NULL);
  server_kill(server);
  background_join(thread);
  server_stop(server);
}
END_TEST

START_TEST(maxclients_reached)
{
  static const char *const config[] = {"--maxclients", "2", NULL};
  struct server *server = server_start(&(struct server_options){.config = config});
  const char *url = server_url(server, SERVER_TCP);
  pmx_client *clients[2];
  struct told told;

  ck_assert_ptr_nonnull(server);
  for (int i = 0; i < 2; i++)
    clients[i] = pmx_open(url, NULL, NULL);
  ping(&told, url, NULL);
  check_fails_at(&told, "maxclients reached", 6, "login",
                 "connection refused, no room for another (its maxclients): the server said \"ERR "
                 "max number of clients reached\"",
                 "CLIENT LIST", "pool.max_size", NULL);
  for (int i = 0; i < 2; i++)
    pmx_unref(clients[i]);
  server_stop(server);
}
END_TEST

static void serve(const struct fake_step *script, struct told *told)
{
  struct fake *fake = fake_start(&(struct fake_options){.script = script, .manual = true});

  ping(told, "-t", "5s", fake_url(fake), NULL);
  ck_assert(fake_stop(fake));
}

/* Protected mode lets in whoever comes from this machine, as a test does. */
START_TEST(protected_mode)
{
  static const struct fake_step script[] = {
      FAKE_SEND("-DENIED Redis is running in protected mode because protected mode is enabled and "
                "no password is set for the default user.\r\n"),
      FAKE_CLOSE, FAKE_END};
  struct told told;

  serve(script, &told);
  check_fails_at(&told, "protected mode", 6, "login",
                 "connection refused, it is in protected mode: the server said \"DENIED ",
                 "requirepass", NULL);
}
END_TEST

START_TEST(web_server)
{
  static const struct fake_step script[] = {
      FAKE_EXPECT_ANY, FAKE_SEND("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
      FAKE_CLOSE, FAKE_END};
  struct told told;

  serve(script, &told);
  check_fails_at(&told, "a web server", 6, "login", "begins with \"HTTP/1.1 400 Bad Request",
                 "that is a web server, check host and port", NULL);
}
END_TEST

START_TEST(proxy_without_a_server)
{
  struct fake *fake = fake_start(&(struct fake_options){.accept = FAKE_ACCEPT_CLOSE});
  struct told told;

  ping(&told, fake_url(fake), NULL);
  check_fails_at(&told, "a proxy without its server", 6, "login",
                 " lost: closed by the server, without a word", "or a proxy that has no server?",
                 "the log of the server", NULL);
  ck_assert(fake_stop(fake));
}
END_TEST

/* What it does when it tries to reach its server first, and has not read the login by then. */
START_TEST(proxy_that_cannot_reach_its_server)
{
  static const struct fake_step script[] = {FAKE_EXPECT_ANY, FAKE_RESET, FAKE_END};
  struct told told;

  serve(script, &told);
  check_fails_at(&told, "a proxy without its server", 6, "login",
                 " lost: receiving failed: Connection reset by peer, without a word",
                 "or a proxy that has no server?", "the log of the server", NULL);
}
END_TEST

START_TEST(stopped)
{
  struct server *server = server_start(NULL);
  struct told told;

  server_pause(server);
  ping(&told, "-t", "1s", server_url(server, SERVER_TCP), NULL);
  check_fails_at(&told, "server stopped", 6, "login",
                 "no answer in time (connect_timeout): it accepts connections, so is it stopped",
                 "look at its process and its log", NULL);
  server_resume(server);
  server_stop(server);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("diagnosis_login");

  server_require("diagnosis_login");
  tcase_add_test(tc, wrong_password);
  tcase_add_test(tc, wrong_user);
  tcase_add_test(tc, no_password);
  tcase_add_test(tc, right_password_from_the_environment_and_from_a_file);
  tcase_add_test(tc, password_to_a_server_without_one);
  tcase_add_test(tc, wrong_database);
  tcase_add_test(tc, loading);
  tcase_add_test(tc, maxclients_reached);
  tcase_add_test(tc, protected_mode);
  tcase_add_test(tc, web_server);
  tcase_add_test(tc, proxy_without_a_server);
  tcase_add_test(tc, proxy_that_cannot_reach_its_server);
  tcase_add_test(tc, stopped);
  return checks_run("diagnosis_login", tc);
}
