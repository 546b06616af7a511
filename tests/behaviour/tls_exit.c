/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_exit.c - tests that a program may end while its clients are still at work: exit() takes
 * nothing away that they use. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "harness/certs.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { THREADS = 4 };

struct job {
  const char *url, *strategy, *ca_file, *ms;
};

static void *keep_opening(void *arg)
{
  const struct job *job = arg;

  for (;;) {
    pmx_options *options = pmx_options_new(); /* nothing of the tests' own: this is no test */
    pmx_client *client;

    pmx_options_set(options, "strategy", job->strategy);
    pmx_options_set(options, "tls.ca_file", job->ca_file);
    client = pmx_open(job->url, options, NULL);
    pmx_options_free(options);
    pmx_reply_free(pmx_command(client, "PING"));
    pmx_unref(client);
  }
  return NULL;
}

/* A process of its own, where nobody has asked for anything of OpenSSL before: what holds there is
 * decided by who does so first, and the tests' certificates are made with it. */
static int work_and_exit(const struct job *job)
{
  for (int i = 0; i < THREADS; i++) {
    pthread_t thread;

    pthread_create(&thread, NULL, keep_opening, (void *)job);
  }
  sleep_ms(atoi(job->ms));
  return EXIT_SUCCESS;
}

static void become(const struct job *job)
{
  /* Threads that nobody has joined yet are the very thing here. */
  setenv("TSAN_OPTIONS", "report_thread_leaks=0", 1);
  execl("/proc/self/exe", "tls_exit", job->url, job->strategy, job->ca_file, job->ms, (char *)NULL);
  _exit(127);
}

START_TEST(a_program_may_end_while_hands_are_shaken)
{
  struct server *server = server_start(NULL);
  char ms[16];
  struct job job = {server_url(server, SERVER_TLS), strategies[_i], cert_file(certs_default()->ca),
                    ms};

  for (int round = 0; round < (soak() ? 500 : 6); round++) {
    pid_t pid;
    int status;

    snprintf(ms, sizeof ms, "%d", 5 + round % 20);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
      become(&job);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "round %d: status %#x", round,
                  (unsigned)status);
  }
  server_stop(server);
}
END_TEST

int main(int argc, char **argv)
{
  TCase *tc;

  if (argc == 5) {
    static struct job job; /* its threads outlive main() */

    job = (struct job){argv[1], argv[2], argv[3], argv[4]};
    return work_and_exit(&job);
  }
  tc = checks_case("tls_exit");
  server_require("tls_exit");
  if (soak())
    tcase_set_timeout(tc, 300);
  add_for_strategies(tc, a_program_may_end_while_hands_are_shaken);
  return checks_run("tls_exit", tc);
}
