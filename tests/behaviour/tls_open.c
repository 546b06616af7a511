/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_open.c - what pmx_open makes of settings of TLS before it connects: what is wrong with them
 * is INVALID/TLS, in the child of a fork as well; the passphrase function is asked inside; no
 * verification is told in the log. Nothing listens here. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "behaviour.h"
#include "behaviour/forking.h"
#include "harness/certs.h"
#include "harness/checks.h"

static pmx_options *options;

static void setup(void)
{
  options = pmx_options_new();
  pmx_options_set(options, "connect", "lazy");
  pmx_options_set(options, "offline", "fail");
  pmx_options_set(options, "retry.max", "0");
}

static void teardown(void)
{
  pmx_options_free(options);
}

static pmx_client *opened(const char *url)
{
  pmx_reply *err;
  pmx_client *client = pmx_open(url, options, &err);

  ck_assert_msg(client != NULL, "%s", pmx_reply_error(err));
  return client;
}

static void refused(const char *url, pmx_cause cause, const char *text)
{
  pmx_reply *err;
  pmx_client *client = pmx_open(url, options, &err);

  ck_assert_ptr_null(client);
  ck_assert_int_eq(pmx_reply_status(err), PMX_INVALID);
  ck_assert_int_eq(pmx_reply_cause(err), cause);
  ck_assert_msg(strstr(pmx_reply_error(err), text) != NULL, "%s", pmx_reply_error(err));
  pmx_reply_free(err);
}

START_TEST(settings_that_cannot_be_used_are_named)
{
  refused("rediss://127.0.0.1:1?tls.ca_file=/nonexistent", PMX_CAUSE_TLS,
          "tls.ca_file: \"/nonexistent\" cannot be read: ");
  refused("rediss://a..b:1", PMX_CAUSE_TLS, "host: \"a..b\" has an empty part; ");
  refused("unix:///run/x?tls=yes", PMX_CAUSE_NONE, "tls.server_name is empty, ");
  refused("redis://127.0.0.1:1?tls.server_name=x", PMX_CAUSE_NONE,
          "tls.server_name is set, but tls=no");
  refused("rediss://127.0.0.1:1?tls.insecure_skip_verify=yes", PMX_CAUSE_NONE, "weaken TLS");
  pmx_unref(opened("rediss://127.0.0.1:1"));
  pmx_unref(opened("unix:///run/x?tls=yes&tls.server_name=redis.test"));
}
END_TEST

/* ---- the passphrase ---- */

struct asked {
  pthread_t thread;
  int times;
};

static int on_passphrase(void *ud, char *passphrase, size_t size)
{
  struct asked *a = ud;

  a->thread = pthread_self();
  a->times++;
  snprintf(passphrase, size, "open");
  return 0;
}

START_TEST(the_passphrase_function_is_asked_inside_pmx_open)
{
  struct asked a = {.times = 0};
  struct certs *s = certs_new();
  const struct cert *c = certs_make(s, &(struct cert_spec){.name = "me", .passphrase = "open"});

  pmx_options_set(options, "tls", "yes");
  pmx_options_set(options, "tls.cert_file", cert_file(c));
  pmx_options_set(options, "tls.key_file", cert_key_file(c));
  refused("redis://127.0.0.1:1", PMX_CAUSE_TLS, "is encrypted; set tls.key_passphrase, or call ");
  pmx_options_set_passphrase(options, on_passphrase, &a);
  pmx_unref(opened("redis://127.0.0.1:1"));
  ck_assert_int_eq(a.times, 1);
  ck_assert(pthread_equal(a.thread, pthread_self()));
  pmx_options_set_passphrase(NULL, on_passphrase, &a);
  certs_free(s);
}
END_TEST

/* ---- no verification ---- */

static void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  int *warnings = ud;

  if (!strstr(message, ": tls.insecure_skip_verify=yes: "))
    return;
  ck_assert_int_eq(level, PMX_LOG_WARN);
  ck_assert_str_eq(component, "tls");
  ++*warnings;
}

START_TEST(no_verification_is_told_in_the_log_once)
{
  static const char *const values[] = {"no", "yes"};

  for (int i = 0; i < 2; i++) {
    pmx_client *client;
    int warnings = 0;

    pmx_options_set(options, "io", "loop");
    pmx_options_set(options, "tls", "yes");
    pmx_options_set(options, "tls.insecure_skip_verify", values[i]);
    pmx_options_set_log(options, on_log, PMX_LOG_WARN, &warnings);
    client = opened("redis://127.0.0.1:1");
    pmx_dispatch(client, 0);
    pmx_reply_free(pmx_command(client, "PING"));
    pmx_reply_free(pmx_command(client, "PING"));
    pmx_dispatch(client, 0);
    ck_assert_int_eq(warnings, i);
    pmx_unref(client);
  }
}
END_TEST

/* ---- fork ---- */

/* Bit 1: the first call did not say that the file is missing; 2: the second one still does. */
static int child(pmx_client *client, const char *away, const char *file)
{
  pmx_reply *reply = pmx_command(client, "PING");
  int wrong = pmx_reply_status(reply) != PMX_INVALID || pmx_reply_cause(reply) != PMX_CAUSE_TLS ||
              !strstr(pmx_reply_error(reply), "tls.ca_file: ");

  pmx_reply_free(reply);
  rename(away, file);
  reply = pmx_command(client, "PING");
  if (pmx_reply_status(reply) != PMX_NOT_RUN || pmx_reply_cause(reply) != PMX_CAUSE_CONNECT)
    wrong |= 2;
  pmx_reply_free(reply);
  pmx_unref(client);
  return wrong;
}

START_TEST(the_child_of_a_fork_reads_the_files_again)
{
  struct certs *s = certs_new();
  const char *file = cert_file(certs_ca(s, "top"));
  pmx_client *client;
  char away[300];
  int status;
  pid_t pid;

  snprintf(away, sizeof away, "%s/away", certs_dir(s));
  pmx_options_set(options, "tls", "yes");
  pmx_options_set(options, "tls.ca_file", file);
  client = opened("redis://127.0.0.1:1");
  ck_assert_int_eq(rename(file, away), 0);
  pid = fork_asleep();
  if (pid == 0)
    _exit(child(client, away, file));
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  pmx_unref(client);
  certs_free(s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_open");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, settings_that_cannot_be_used_are_named);
  tcase_add_test(tc, the_passphrase_function_is_asked_inside_pmx_open);
  tcase_add_test(tc, no_verification_is_told_in_the_log_once);
  tcase_add_test(tc, the_child_of_a_fork_reads_the_files_again);
  return checks_run("tls_open", tc);
}
