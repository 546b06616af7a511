/* SPDX-License-Identifier: BSD-3-Clause */
/* check_harness_server.c - the claims of harness/server.h about the real servers it starts: they
 * are private, ready, countable, killable, and never outlive the test. */
#include "harness/certs.h"
#include "harness/checks.h"
#include "harness/raw.h"
#include "harness/server.h"
#include "harness/util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server *start(const struct server_options *options)
{
  struct server *s = server_start(options);

  ck_assert_ptr_nonnull(s);
  return s;
}

static struct raw *open_raw(const char *url)
{
  struct raw *r = raw_open(url);

  ck_assert_msg(r != NULL, "%s: %s", url, strerror(errno));
  return r;
}

START_TEST(server_answers_on_tcp_and_unix_socket)
{
  struct server *s = start(NULL);
  struct raw *tcp = open_raw(server_url(s, SERVER_TCP));
  struct raw *local = open_raw(server_url(s, SERVER_UNIX));

  ck_assert_uint_ne(server_port(s), 6379);
  check_text(raw_ask(tcp, "SET", "k", "v", NULL), "OK");
  check_text(raw_ask(local, "GET", "k", NULL), "v");
  ck_assert_ptr_nonnull(server_url(s, SERVER_TLS));
  raw_close(tcp);
  raw_close(local);
  ck_assert(server_stop(s));
}
END_TEST

START_TEST(server_on_unix_socket_alone_has_no_port)
{
  struct server *s = start(&(struct server_options){.listen = SERVER_UNIX});

  ck_assert_uint_eq(server_port(s), 0);
  ck_assert_ptr_null(server_url(s, SERVER_TCP));
  ck_assert_int_eq(server_integer(s, "INCR", "n", NULL), 1);
  ck_assert(server_stop(s));
}
END_TEST

START_TEST(server_speaks_tls_with_certificates_of_its_own)
{
  struct certs *own = certs_new();
  const struct cert *ca = certs_ca(own, "own authority");
  const struct cert *cert = certs_server(own, "own.test", ca);
  struct server *s = start(&(struct server_options){.listen = SERVER_TLS,
                                                    .tls_cert = cert_chain_file(cert),
                                                    .tls_key = cert_key_file(cert),
                                                    .tls_ca = cert_file(ca)});
  struct raw_tls tls = {.ca = cert_file(ca), .host = "own.test"};
  struct raw *r = raw_open_tls(server_url(s, SERVER_TLS), &tls, 10000);

  ck_assert_uint_eq(server_port(s), 0);
  ck_assert_ptr_null(server_url(s, SERVER_TCP));
  ck_assert_int_eq(strncmp(server_url(s, SERVER_TLS), "rediss://127.0.0.1:", 19), 0);
  check_text(raw_ask(r, "PING", NULL), "PONG");
  ck_assert_ptr_null(raw_open(server_url(s, SERVER_TLS))); /* the usual authority did not sign */
  raw_close(r);
  ck_assert(server_stop(s));
  certs_free(own);
}
END_TEST

START_TEST(stop_removes_the_directory)
{
  struct server *s = start(NULL);
  char dir[128];
  struct stat st;

  snprintf(dir, sizeof(dir), "%s", server_dir(s));
  ck_assert_int_eq(stat(dir, &st), 0);
  ck_assert(server_stop(s));
  ck_assert_int_ne(stat(dir, &st), 0);
}
END_TEST

START_TEST(extra_configuration_and_password_reach_the_server)
{
  static const char *const config[] = {"--maxclients", "17", "--maxmemory-policy", "allkeys-lru",
                                       NULL};
  struct server *s = start(&(struct server_options){.password = "se cret", .config = config});
  struct raw *r = open_raw(server_url(s, SERVER_TCP));

  check_text(raw_ask(r, "PING", NULL), "-NOAUTH Authentication required.");
  check_text(raw_ask(r, "AUTH", "se cret", NULL), "OK");
  check_text(server_command(s, "CONFIG", "GET", "maxclients", NULL), "maxclients\n17");
  raw_close(r);
  ck_assert(server_stop(s));
}
END_TEST

START_TEST(harness_logs_in_as_a_user_of_an_aclfile)
{
  char dir[TEMP_DIR_SIZE], path[TEMP_DIR_SIZE + 16];
  const char *config[] = {"--aclfile", path, NULL};
  struct server *s;
  FILE *f;

  temp_dir_make(dir);
  snprintf(path, sizeof(path), "%s/users.acl", dir);
  f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  fputs("user default off\nuser boss on >pw ~* &* +@all\n", f);
  fclose(f);
  s = start(&(struct server_options){.user = "boss", .password = "pw", .config = config});
  check_text(server_command(s, "ACL", "WHOAMI", NULL), "boss");
  ck_assert(server_stop(s));
  temp_dir_remove(dir);
}
END_TEST

START_TEST(server_that_cannot_start_is_reported_not_waited_for)
{
  static const char *const config[] = {"--no-such-option", "1", NULL};
  int64_t begun = now_ms();

  ck_assert_ptr_null(server_start(&(struct server_options){.config = config}));
  ck_assert_int_lt(now_ms() - begun, 10000);
}
END_TEST

START_TEST(counters_leave_the_harness_out)
{
  struct server *s = start(NULL);
  int64_t connections = server_connections(s), commands = server_commands(s);
  struct raw *r[2] = {open_raw(server_url(s, SERVER_TCP)), open_raw(server_url(s, SERVER_UNIX))};

  for (int i = 0; i < 5; i++)
    check_text(raw_ask(r[i % 2], "PING", NULL), "PONG");
  check_text(server_command(s, "PING", NULL), "PONG");
  ck_assert_int_eq(server_connections(s) - connections, 2);
  ck_assert_int_eq(server_commands(s) - commands, 5);
  ck_assert_int_eq(server_clients(s), 2);
  raw_close(r[0]);
  raw_close(r[1]);
  ck_assert(server_stop(s));
}
END_TEST

START_TEST(kill_clients_spares_only_the_harness)
{
  struct server *s = start(NULL);
  struct raw *normal = open_raw(server_url(s, SERVER_TCP));
  struct raw *subscribed = open_raw(server_url(s, SERVER_UNIX));
  int64_t connections;

  check_text(raw_ask(normal, "PING", NULL), "PONG");
  check_text(raw_ask(subscribed, "SUBSCRIBE", "c", NULL), "subscribe\nc\n1");
  connections = server_connections(s);
  ck_assert_int_eq(server_kill_clients(s), 2);
  ck_assert_int_eq(raw_wait_end(normal, 5000), RAW_ENDED);
  ck_assert_int_eq(raw_wait_end(subscribed, 5000), RAW_ENDED);
  ck_assert_int_eq(server_clients(s), 0);
  ck_assert_int_eq(server_connections(s), connections);
  raw_close(normal);
  raw_close(subscribed);
  ck_assert(server_stop(s));
}
END_TEST

START_TEST(killed_server_refuses_and_comes_back_at_the_same_addresses)
{
  struct server *s = start(NULL);
  uint16_t port = server_port(s);
  pid_t pid = server_pid(s);
  struct raw *r = open_raw(server_url(s, SERVER_TCP));

  check_text(raw_ask(r, "SET", "k", "v", NULL), "OK");
  server_kill(s);
  ck_assert(!server_running(s));
  ck_assert_int_ne(raw_wait_end(r, 5000), RAW_OPEN);
  raw_close(r);
  ck_assert_ptr_null(raw_open(server_url(s, SERVER_TCP)));
  ck_assert_int_eq(errno, ECONNREFUSED);
  ck_assert_ptr_null(server_command(s, "PING", NULL));
  ck_assert(server_restart(s));
  ck_assert_uint_eq(server_port(s), port);
  ck_assert_int_ne(server_pid(s), pid);
  check_text(server_command(s, "GET", "k", NULL), "(nil)");
  ck_assert(server_restart(s)); /* of a running one */
  check_text(server_command(s, "PING", NULL), "PONG");
  ck_assert(server_stop(s));
}
END_TEST

START_TEST(paused_server_accepts_but_does_not_answer)
{
  struct server *s = start(NULL);
  struct raw *r;
  char *text;

  server_pause(s);
  r = open_raw(server_url(s, SERVER_TCP));
  ck_assert(raw_command(r, "PING", NULL));
  ck_assert_ptr_null(raw_reply(r, 50));
  server_resume(s);
  text = raw_reply(r, 10000);
  check_text(text, "PONG");
  raw_close(r);
  server_pause(s);
  ck_assert(server_stop(s)); /* stops a paused one as well */
}
END_TEST

/* ---- no server outlives its test ---- */

static void restart_it(void *arg)
{
  ck_assert(server_restart(arg));
}

START_TEST(server_survives_the_thread_that_restarted_it)
{
  struct server *s = start(NULL);

  background_join(background_start(restart_it, s));
  sleep_ms(20); /* the kernel's signal, if there were one, is not immediate */
  check_text(server_command(s, "PING", NULL), "PONG");
  ck_assert(server_stop(s));
}
END_TEST

START_TEST(server_dies_with_a_test_that_is_killed)
{
  struct {
    pid_t pid;
    char dir[128];
  } server = {0};
  bool in_thread = _i;
  int fds[2];
  pid_t test;

  /* Orphans become children of this process, so that their end can be seen. */
  ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  ck_assert_int_eq(pipe(fds), 0);
  test = fork();
  if (test == 0) {
    struct server *s = server_start(NULL);

    if (in_thread)
      background_join(background_start(restart_it, s));
    server.pid = server_pid(s);
    snprintf(server.dir, sizeof(server.dir), "%s", server_dir(s));
    if (write(fds[1], &server, sizeof(server)) != sizeof(server))
      _exit(1);
    raise(SIGKILL);
  }
  close(fds[1]);
  ck_assert_int_eq(read(fds[0], &server, sizeof(server)), (ssize_t)sizeof(server));
  close(fds[0]);
  ck_assert_int_eq(waitpid(test, NULL, 0), test);
  ck_assert_int_eq(waitpid(server.pid, NULL, 0), server.pid);
  temp_dir_remove(server.dir); /* which nobody was left to do */
}
END_TEST

START_TEST(forked_child_can_ask_and_leaves_the_server_alone)
{
  struct server *s = start(NULL);
  int status;
  pid_t pid;

  check_text(server_command(s, "SET", "k", "1", NULL), "OK");
  pid = fork();
  if (pid == 0) {
    bool ok = server_integer(s, "INCR", "k", NULL) == 2;

    server_stop(s);
    _exit(ok ? 0 : 1);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(server_integer(s, "GET", "k", NULL), 2);
  ck_assert(server_stop(s));
}
END_TEST

static void start_and_stop(int i, void *arg)
{
  struct server *s = server_start(NULL);

  if (s && server_integer(s, "INCR", "n", NULL) == 1)
    ((int *)arg)[i] = 1;
  server_stop(s);
}

START_TEST(servers_start_side_by_side)
{
  int ok[4] = {0};

  run_threads(4, start_and_stop, ok);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(ok[i], 1);
}
END_TEST

static const char *this_program;

START_TEST(missing_server_skips_loudly)
{
  int fds[2], status;
  char text[256] = "";
  pid_t pid;

  ck_assert_int_eq(pipe(fds), 0);
  pid = fork();
  if (pid == 0) {
    char test[] = "some_test", *argv[] = {test, NULL};

    dup2(fds[1], STDERR_FILENO);
    setenv("POOLMUX_SERVER", "/nonexistent/server", 1);
    execv(this_program, argv);
    _exit(1);
  }
  close(fds[1]);
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_gt(read(fds[0], text, sizeof(text) - 1), 0);
  close(fds[0]);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), EXIT_SKIP);
  ck_assert_ptr_nonnull(strstr(text, "SKIP"));
  ck_assert_ptr_nonnull(strstr(text, "/nonexistent/server"));
}
END_TEST

int main(int argc, char **argv)
{
  TCase *tc = checks_case("server");

  (void)argc;
  this_program = argv[0];
  server_require("check_harness_server");
  server_list_versions(stdout);
  tcase_add_test(tc, server_answers_on_tcp_and_unix_socket);
  tcase_add_test(tc, server_on_unix_socket_alone_has_no_port);
  tcase_add_test(tc, server_speaks_tls_with_certificates_of_its_own);
  tcase_add_test(tc, stop_removes_the_directory);
  tcase_add_test(tc, extra_configuration_and_password_reach_the_server);
  tcase_add_test(tc, harness_logs_in_as_a_user_of_an_aclfile);
  tcase_add_test(tc, server_that_cannot_start_is_reported_not_waited_for);
  tcase_add_test(tc, counters_leave_the_harness_out);
  tcase_add_test(tc, kill_clients_spares_only_the_harness);
  tcase_add_test(tc, killed_server_refuses_and_comes_back_at_the_same_addresses);
  tcase_add_test(tc, paused_server_accepts_but_does_not_answer);
  tcase_add_test(tc, server_survives_the_thread_that_restarted_it);
  tcase_add_loop_test(tc, server_dies_with_a_test_that_is_killed, 0, 2);
  tcase_add_test(tc, forked_child_can_ask_and_leaves_the_server_alone);
  tcase_add_test(tc, servers_start_side_by_side);
  tcase_add_test(tc, missing_server_skips_loudly);
  return checks_run("harness_server", tc);
}
