/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_trust.c - whom the client trusts: authorities from a file, a directory, a text, or the
 * system's; nobody's word at all; and what a URL may say of that. */
#include "behaviour/tls_tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"

/* ---- whom to trust ---- */

static void by_file(struct stage *s)
{
  (void)s;
}

static void by_dir(struct stage *s)
{
  set_option(s->options, "tls.ca_file", "");
  set_option(s->options, "tls.ca_dir",
             certs_hashed_dir(s->certs, certs_ca(s->certs, "another"), s->ca, NULL));
}

static void by_text(struct stage *s)
{
  set_option(s->options, "tls.ca_file", "");
  set_option(s->options, "tls.ca_pem", cert_pem(s->ca));
}

/* The system's, which for OpenSSL are where the environment says. */
static void by_system(struct stage *s)
{
  set_option(s->options, "tls.ca_file", "");
  ck_assert_int_eq(setenv("SSL_CERT_FILE", cert_file(s->ca), 1), 0);
}

static void by_nothing(struct stage *s)
{
  set_option(s->options, "tls.ca_file", "");
  ck_assert_int_eq(setenv("SSL_CERT_FILE", cert_file(certs_ca(s->certs, "another")), 1), 0);
}

/* One's own are instead of the system's, not beside them. */
static void by_another_and_system(struct stage *s)
{
  by_system(s);
  set_option(s->options, "tls.ca_file", cert_file(certs_ca(s->certs, "another")));
}

static const struct {
  void (*make)(struct stage *);
  const char *says; /* NULL: it is trusted */
} trusts[] = {
    {by_file, NULL},
    {by_dir, NULL},
    {by_text, NULL},
    {by_system, NULL},
    {by_nothing, "set tls.ca_file to its CA's certificate, which the system does not have"},
    {by_another_and_system, "add its CA's certificate to tls.ca_file"}};
enum { TRUSTS = sizeof trusts / sizeof trusts[0] };

START_TEST(trust_is_what_was_said_or_the_systems)
{
  struct stage s;
  struct server *server;

  stage_open_named(&s, 0);
  trusts[_i].make(&s);
  server = stage_server(&s, "no");
  if (trusts[_i].says) {
    pmx_reply *err = stage_refused(&s, server_url(server, SERVER_TLS));

    check_says(err, trusts[_i].says);
    check_fails(err, PMX_NOT_RUN, PMX_CAUSE_TLS);
  } else {
    close_client(stage_connect(&s, server_url(server, SERVER_TLS)));
  }
  stage_close_server(&s, server);
}
END_TEST

START_TEST(skipping_verification_works_and_is_warned_of_once)
{
  struct log_seen log = {0};
  struct stage s;
  struct server *server;
  pmx_client *client;

  stage_open(&s, strategies[_i]);
  stage_present(&s, certs_make(s.certs, &(struct cert_spec){
                                            .name = "anybody", .from_s = -7200, .until_s = -3600}));
  set_option(s.options, "tls.ca_file", "");
  set_option(s.options, "tls.insecure_skip_verify", "yes");
  watch_log(s.options, &log);
  server = stage_server(&s, "no");
  client = stage_connect(&s, server_url(server, SERVER_TLS));
  for (int i = 0; i < 5; i++) {
    check_is_ok(pmx_command(client, "PING"));
    server_kill_clients(server);
  }
  close_client(client);
  ck_assert_int_eq(atomic_load(&log.warnings), 1);
  ck_assert_ptr_nonnull(strstr(log.last_warning, "tls.insecure_skip_verify=yes"));
  ck_assert_ptr_nonnull(strstr(log.last_warning, "not verified"));
  ck_assert_int_eq(atomic_load(&log.leaks), 0);
  stage_close_server(&s, server);
}
END_TEST

/* ---- URLs ---- */

static const struct {
  const char *scheme, *query;
  const char *name, *value; /* set by the program */
  const char *refused;      /* NULL: TLS is spoken */
} urls[] = {
    {"rediss", "", NULL, NULL, NULL},
    {"valkeys", "", NULL, NULL, NULL},
    {"redis", "", "tls", "yes", NULL}, /* a plain scheme does not take it away */
    {"valkey", "?tls=yes", NULL, NULL, NULL},
    {"redis", "?tls=no", "tls", "yes", "tls cannot be set in a URL to \"no\""},
    {"rediss", "?tls=no", NULL, NULL, "tls=no contradicts the scheme"},
    {"rediss", "?tls.insecure_skip_verify=yes", NULL, NULL, "would weaken TLS"},
    {"rediss", "?tls.common_name=yes", NULL, NULL, "would weaken TLS"},
    {"rediss", "?tls.min_version=1.2", "tls.min_version", "1.3", "would weaken TLS"},
    {"rediss", "?tls.ciphers=ALL", NULL, NULL, "could weaken TLS"},
    {"rediss", "?tls.ca_file=/tmp/x", NULL, NULL, "because the program has set tls.ca_file"},
    {"rediss", "?tls.server_name=other", NULL, NULL, "because the program has set tls.ca_file"},
};
enum { URLS = sizeof urls / sizeof urls[0] };

START_TEST(url_asks_for_tls_and_cannot_weaken_it)
{
  struct stage s;
  struct fake *fake;
  char url[128];

  stage_open(&s, strategies[0]);
  stage_present(&s, certs_make(s.certs, &(struct cert_spec){.ip = {"127.0.0.1"}, .issuer = s.ca}));
  fake = stage_fake(&s, OVER_TLS, answer_values, NULL);
  set_option(s.options, "tls", "no");
  if (urls[_i].name)
    set_option(s.options, urls[_i].name, urls[_i].value);
  snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", urls[_i].scheme, fake_port(fake),
           urls[_i].query);
  if (urls[_i].refused) {
    pmx_reply *err = stage_refused(&s, url);

    check_says(err, urls[_i].refused);
    ck_assert_int_eq(pmx_reply_finish(err), PMX_INVALID);
    ck_assert_uint_eq(fake_accepted(fake), 0);
  } else {
    close_client(stage_connect(&s, url));
    ck_assert_uint_eq(fake_counts(fake).handshakes, 1);
  }
  stage_close_fake(&s, fake);
}
END_TEST

/* A program that says whom to trust, and a URL without TLS. */
START_TEST(trust_without_tls_is_refused)
{
  struct stage s;
  pmx_reply *err;

  stage_open(&s, strategies[0]);
  set_option(s.options, "tls", "no");
  err = stage_refused(&s, "redis://127.0.0.1:1");
  check_says(err, "tls.ca_file is set, but tls=no");
  ck_assert_int_eq(pmx_reply_finish(err), PMX_INVALID);
  stage_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_trust");

  server_require("tls_trust");
  tcase_add_loop_test(tc, trust_is_what_was_said_or_the_systems, 0, TRUSTS);
  add_for_strategies(tc, skipping_verification_works_and_is_warned_of_once);
  tcase_add_loop_test(tc, url_asks_for_tls_and_cannot_weaken_it, 0, URLS);
  tcase_add_test(tc, trust_without_tls_is_refused);
  return checks_run("tls_trust", tc);
}
