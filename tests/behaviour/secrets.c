/* SPDX-License-Identifier: BSD-3-Clause */
/* secrets.c - what nobody must read anywhere, the user name, the password, the passphrase of a key,
 * goes through every failure there is before a connection is there. Those of its commands are in
 * secrets_commands.c. */
#include "behaviour/secretive.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "harness/certs.h"
#include "harness/checks.h"

/* ---- connecting ---- */

START_TEST(no_login_that_fails_shows_it)
{
  static const char *const steps[] = {"HELLO", "AUTH", "SELECT", "PING", "CLIENT"};

  for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
    for (int manner = 0; manner < LOADS; manner++) {
      struct bad bad = {(enum manner)manner, steps[s]};
      struct fake *fake = bad_server(&bad);
      pmx_options *options = secret_options(_i);
      pmx_client *client;

      pmx_options_set(options, "db", "1");
      client = open_secret(fake_url(fake), options);
      if (client) { /* it does without that step */
        looked(pmx_command(client, "GET k"));
        close_secret(client);
      }
      ck_assert(fake_stop(fake));
    }
  }
  ck_assert_int_gt(lines_seen, 0);
}
END_TEST

START_TEST(no_server_that_is_away_or_wrong_shows_it)
{
  static const enum fake_accept accepts[] = {FAKE_ACCEPT_SILENT, FAKE_ACCEPT_CLOSE,
                                             FAKE_ACCEPT_RESET};
  struct fake_options wrong = {.password = "other"};
  struct fake *fake = fake_start(&wrong);
  char url[256];

  ck_assert_ptr_null(open_secret(fake_url(fake), secret_options(_i)));
  /* the same in a URL */
  snprintf(url, sizeof url, "redis://%s:%s@127.0.0.1:%d", USER, PASSWORD, (int)fake_port(fake));
  ck_assert_ptr_null(open_secret(url, options_for(strategies[_i])));
  for (size_t i = 0; i < sizeof accepts / sizeof accepts[0]; i++) {
    fake_accept_mode(fake, accepts[i]);
    ck_assert_ptr_null(open_secret(fake_url(fake), secret_options(_i)));
  }
  fake_listen(fake, false);
  ck_assert_ptr_null(open_secret(url, secret_options(_i)));
  ck_assert_ptr_null(open_secret("redis://no.such.host.invalid", secret_options(_i)));
  ck_assert(fake_stop(fake));
}
END_TEST

static int credentials(void *ud, char *user, size_t user_size, char *password, size_t password_size)
{
  snprintf(user, user_size, "%s", USER);
  snprintf(password, password_size, "%s", PASSWORD);
  return *(int *)ud;
}

START_TEST(no_credentials_function_shows_it)
{
  static int results[] = {0, -1};

  for (int r = 0; r < 2; r++) {
    struct bad bad = {REPEATS, "AUTH"};
    struct fake *fake = bad_server(&bad);
    pmx_options *options = secret_options(_i);

    pmx_options_set_credentials(options, credentials, &results[r]);
    pmx_options_set(options, "protocol", "resp2");
    ck_assert_ptr_null(open_secret(fake_url(fake), options));
    ck_assert(fake_stop(fake));
  }
}
END_TEST

/* ---- TLS ---- */

static int passphrase(void *ud, char *buf, size_t size)
{
  snprintf(buf, size, "%s", PHRASE);
  return *(int *)ud;
}

START_TEST(no_failure_of_tls_shows_it)
{
  static int results[] = {0, -1};
  struct server *server = server_start(NULL);
  struct fake *plain = fake_start(NULL);
  struct certs *certs = certs_new();
  const struct cert *ca = certs_ca(certs, "ours");
  const struct cert *cert = certs_make(
      certs, &(struct cert_spec){
                 .name = "it", .issuer = ca, .purpose = CERT_CLIENT, .passphrase = "another"});
  pmx_options *options;
  char url[256];

  /* an authority that nobody knows; a plain server; a key, and each passphrase that is wrong */
  ck_assert_ptr_null(open_secret(server_url(server, SERVER_TLS), secret_options(_i)));
  snprintf(url, sizeof url, "rediss://%s:%s@127.0.0.1:%d", USER, PASSWORD, (int)fake_port(plain));
  ck_assert_ptr_null(open_secret(url, secret_options(_i)));
  for (int r = -1; r < 2; r++) {
    options = secret_options(_i);
    pmx_options_set(options, "tls.cert_file", cert_chain_file(cert));
    pmx_options_set(options, "tls.key_file", cert_key_file(cert));
    if (r < 0)
      pmx_options_set(options, "tls.key_passphrase", PHRASE);
    else
      pmx_options_set_passphrase(options, passphrase, &results[r]);
    ck_assert_ptr_null(pmx_options_get(options, "tls.key_passphrase"));
    ck_assert_ptr_null(open_secret(server_url(server, SERVER_TLS), options));
  }
  certs_free(certs);
  ck_assert(fake_stop(plain));
  ck_assert(server_stop(server));
}
END_TEST

/* ---- options ---- */

START_TEST(no_bad_option_shows_it)
{
  static char much[70000];
  static const char *const names[] = {"password", "tls.key_passphrase"};
  static const char *const urls[] = {
      "redis://" USER ":" PASSWORD "@host:port",
      "redis://" USER ":" PASSWORD "@[::1",
      "redis://" USER ":" PASSWORD "%zz@host",
      "http://" USER ":" PASSWORD "@host",
      "redis://" USER ":" PASSWORD "@host/0?password=" PASSWORD "&nonsense=1",
      "redis://" USER ":" PASSWORD "@host/x?tls.key_passphrase=" PHRASE,
      USER ":" PASSWORD "@host"};
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_TCP), NULL);

  memset(much, 'x', sizeof much - 1);
  memcpy(much, MARK, strlen(MARK));
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    pmx_options *options = secret_options(_i);

    ck_assert_int_eq(pmx_options_set(options, names[i], much), PMX_INVALID);
    look_at("pmx_options_error", pmx_options_error(options));
    ck_assert_ptr_null(open_secret(NULL, options));
    ck_assert_int_eq(pmx_client_set(client, names[i], PASSWORD), PMX_INVALID);
  }
  for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
    ck_assert_ptr_null(open_secret(urls[i], options_for(strategies[_i])));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("secrets");

  server_require("secrets");
  add_for_strategies(tc, no_login_that_fails_shows_it);
  add_for_strategies(tc, no_server_that_is_away_or_wrong_shows_it);
  add_for_strategies(tc, no_credentials_function_shows_it);
  add_for_strategies(tc, no_failure_of_tls_shows_it);
  add_for_strategies(tc, no_bad_option_shows_it);
  return checks_run("secrets", tc);
}
