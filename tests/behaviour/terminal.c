/* SPDX-License-Identifier: BSD-3-Clause */
/* terminal.c - poolmux-ping as who sits before it has it. Ctrl-C: at once while it connects; while
 * a PING is under way, even to a server that answers no more, with what was found out by then. And
 * colour: on a terminal that has it, unless NO_COLOR says no. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "harness/checks.h"
#include "harness/process.h"

struct run {
  char dir[TEMP_DIR_SIZE], out[TEMP_DIR_SIZE + 16], path[4096];
  struct process process;
  _Atomic int pid; /* for other threads */
  int pings;
};

static void run_start(struct run *r, int out_fd, const char *count, const char *url)
{
  const char *build = getenv("POOLMUX_BUILD");
  const char *argv[] = {"", "-t", "60s", "-n", count, url, NULL};

  snprintf(r->path, sizeof r->path, "%s/tools/poolmux-ping", build ? build : ".");
  argv[0] = r->path;
  r->process = (struct process){.path = r->path, .argv = (char *const *)argv, .out_fd = out_fd};
  ck_assert_int_ge(out_fd, 0);
  ck_assert_int_eq(process_start(&r->process), 0);
  atomic_store(&r->pid, r->process.pid);
  close(out_fd);
}

#define MANY "10000000"

static void run_begin(struct run *r, const char *count, const char *url)
{
  temp_dir_make(r->dir);
  snprintf(r->out, sizeof r->out, "%s/out", r->dir);
  run_start(r, open(r->out, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), count, url);
}

/* Its exit status; -1: a signal ended it. */
static int run_status(struct run *r)
{
  siginfo_t info = {0};

  ck_assert_int_eq(waitid(P_PID, (id_t)r->process.pid, &info, WEXITED | WNOWAIT), 0);
  return info.si_code == CLD_EXITED ? info.si_status : -1;
}

/* It ends soon; what it said. Its exit status. */
static int run_end(struct run *r, char *text, size_t size)
{
  FILE *file;
  size_t len;
  int status;

  ck_assert_msg(process_ended(&r->process, SOON_MS), "it goes on after an interrupt");
  status = run_status(r);
  process_kill(&r->process);
  file = fopen(r->out, "r");
  ck_assert_ptr_nonnull(file);
  len = fread(text, 1, size - 1, file);
  text[len] = '\0';
  fclose(file);
  temp_dir_remove(r->dir);
  return status;
}

static int run_interrupt(struct run *r, char *text, size_t size)
{
  ck_assert_int_eq(kill(r->process.pid, SIGINT), 0);
  return run_end(r, text, size);
}

START_TEST(connect_that_gets_no_answer_is_ended)
{
  struct fake *fake = fake_start(&(struct fake_options){.accept = FAKE_ACCEPT_SILENT});
  struct run run;
  char text[4096];

  run_begin(&run, MANY, fake_url(fake));
  ck_assert(fake_wait_accepted(fake, 1, SOON_MS));
  ck_assert_int_eq(run_interrupt(&run, text, sizeof text), -1);
  ck_assert_str_eq(text, "");
  ck_assert(fake_stop(fake));
}
END_TEST

static bool many_pings(void *server)
{
  return server_commands(server) > 1000;
}

START_TEST(ping_that_gets_no_answer_is_given_up_and_the_others_are_counted)
{
  struct server *server = server_start(NULL);
  struct run run;
  char text[4096];

  run_begin(&run, MANY, server_url(server, SERVER_TCP));
  ck_assert(wait_for(many_pings, server, SOON_MS));
  server_pause(server);
  ck_assert_int_eq(run_interrupt(&run, text, sizeof text), 130);
  ck_assert_msg(strncmp(text, "interrupted redis://127.0.0.1:", 30) == 0, "%s", text);
  ck_assert_msg(strstr(text, "\n  round trip  min ") != NULL, "%s", text);
  server_resume(server);
  server_stop(server);
}
END_TEST

/* The PING after that of the handshake is answered by the test, once it knows whom to interrupt;
 * INFO, which follows, by that. */
static int interrupt_at_info(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct run *run = ud;

  if (strcasecmp(argv[0], "PING") == 0 && run->pings++ > 0)
    return 0;
  if (strcasecmp(argv[0], "INFO") == 0)
    return kill(atomic_load(&run->pid), SIGINT);
  return fake_handshake(conn, argc, argv, len);
}

START_TEST(info_that_gets_no_answer_is_given_up_and_nothing_was_refused)
{
  struct run run = {.pings = 0};
  struct fake *fake =
      fake_start(&(struct fake_options){.handler = interrupt_at_info, .ud = &run, .manual = true});
  char text[4096];

  run_begin(&run, "1", fake_url(fake));
  ck_assert(fake_wait_seen(fake, "PING", 2, SOON_MS));
  fake_reply_simple(fake_conn_at(fake, 0), "PONG");
  ck_assert_int_eq(run_end(&run, text, sizeof text), 130);
  ck_assert_msg(strncmp(text, "interrupted redis://127.0.0.1:", 30) == 0, "%s", text);
  ck_assert_msg(strstr(text, "\n  round trip  min ") != NULL, "%s", text);
  ck_assert_msg(!strstr(text, "INFO"), "%s", text);
  ck_assert(fake_stop(fake));
}
END_TEST

/* As nohup does, and a shell with what it starts in the background of a script. */
START_TEST(signals_that_are_ignored_stay_so)
{
  struct server *server = server_start(NULL);
  struct run run;
  char text[4096];
  int64_t seen;

  ck_assert(signal(SIGINT, SIG_IGN) != SIG_ERR && signal(SIGHUP, SIG_IGN) != SIG_ERR);
  run_begin(&run, MANY, server_url(server, SERVER_TCP));
  ck_assert(wait_for(many_pings, server, SOON_MS));
  ck_assert(kill(run.process.pid, SIGINT) == 0 && kill(run.process.pid, SIGHUP) == 0);
  seen = server_commands(server);
  while (server_commands(server) < seen + 1000)
    ck_assert_msg(!process_ended(&run.process, 1), "it ended");
  ck_assert_int_eq(kill(run.process.pid, SIGTERM), 0);
  ck_assert_int_eq(run_end(&run, text, sizeof text), 130);
  ck_assert_msg(strncmp(text, "interrupted ", 12) == 0, "%s", text);
  server_stop(server);
}
END_TEST

/* What it says is less than a terminal holds. */
static bool is_coloured(const char *url)
{
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  char text[4096];
  ssize_t len;
  struct run run;

  ck_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  run_start(&run, open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC), "1", url);
  ck_assert(process_ended(&run.process, SOON_MS));
  process_kill(&run.process);
  len = read(master, text, sizeof text - 1);
  ck_assert_int_gt(len, 0);
  text[len] = '\0';
  ck_assert_msg(strstr(text, "ok") != NULL, "%s", text);
  close(master);
  return strchr(text, '\033') != NULL;
}

START_TEST(colour_is_for_terminals_that_have_it_and_not_with_no_color)
{
  struct server *server = server_start(NULL);
  const char *url = server_url(server, SERVER_TCP);

  unsetenv("NO_COLOR");
  setenv("TERM", "xterm", 1);
  ck_assert(is_coloured(url));
  setenv("TERM", "dumb", 1);
  ck_assert(!is_coloured(url));
  setenv("TERM", "xterm", 1);
  setenv("NO_COLOR", "1", 1);
  ck_assert(!is_coloured(url));
  server_stop(server);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("terminal");

  server_require("terminal");
  tcase_add_test(tc, connect_that_gets_no_answer_is_ended);
  tcase_add_test(tc, ping_that_gets_no_answer_is_given_up_and_the_others_are_counted);
  tcase_add_test(tc, info_that_gets_no_answer_is_given_up_and_nothing_was_refused);
  tcase_add_test(tc, signals_that_are_ignored_stay_so);
  tcase_add_test(tc, colour_is_for_terminals_that_have_it_and_not_with_no_color);
  return checks_run("terminal", tc);
}
