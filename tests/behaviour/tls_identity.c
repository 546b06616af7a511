/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_identity.c - who the client says it is: its certificate and key, also encrypted, to a real
 * server that wants to know; and files that are wrong, which pmx_open names. */
#include "behaviour/tls_tools.h"

#include <stdio.h>

#include "harness/checks.h"

#define PASSPHRASE CANARY "-too"

static void show(struct stage *s, const struct cert *cert)
{
  set_option(s->options, "tls.cert_file", cert_chain_file(cert));
  set_option(s->options, "tls.key_file", cert_key_file(cert));
}

static const struct cert *client_cert(struct stage *s, const char *passphrase)
{
  return certs_make(s->certs, &(struct cert_spec){.name = "our client",
                                                  .issuer = s->ca,
                                                  .purpose = CERT_CLIENT,
                                                  .passphrase = passphrase});
}

/* ---- a real server that wants certificates ---- */

/* It knows the authority at the top only: the one between has to be sent. */
static void with_chain(struct stage *s)
{
  const struct cert *middle = certs_intermediate(s->certs, "middle", s->ca);

  show(s,
       certs_make(s->certs, &(struct cert_spec){
                                .name = "our client", .issuer = middle, .purpose = CERT_CLIENT}));
}

static void in_one_file(struct stage *s)
{
  const struct cert *cert = client_cert(s, NULL);
  const char *both = certs_join(s->certs, cert_chain_file(cert), cert_key_file(cert), NULL);

  set_option(s->options, "tls.cert_file", both);
  set_option(s->options, "tls.key_file", both);
}

static void with_passphrase(struct stage *s)
{
  show(s, client_cert(s, PASSPHRASE));
  set_option(s->options, "tls.key_passphrase", PASSPHRASE);
}

static int tell_passphrase(void *ud, char *passphrase, size_t size)
{
  atomic_fetch_add((atomic_int *)ud, 1);
  ck_assert_int_lt(snprintf(passphrase, size, "%s", PASSPHRASE), (int)size);
  return 0;
}

static atomic_int asked;

static void with_function(struct stage *s)
{
  show(s, client_cert(s, PASSPHRASE));
  pmx_options_set_passphrase(s->options, tell_passphrase, &asked);
}

static void (*const identities[])(struct stage *) = {with_chain, in_one_file, with_passphrase,
                                                     with_function};
enum { IDENTITIES = sizeof identities / sizeof identities[0] };

START_TEST(server_that_wants_certificates_accepts_ours)
{
  void (*identity)(struct stage *) = identities[_i / strategy_count];
  struct stage s;
  struct server *server;
  pmx_client *client;

  stage_open_named(&s, _i % strategy_count);
  identity(&s);
  s.server.ca = cert_file(s.ca);
  server = stage_server(&s, "yes");
  client = stage_connect(&s, server_url(server, SERVER_TLS));
  check_is_ok(pmx_command(client, "SET k v"));
  server_kill_clients(server); /* the next connection shows it as well */
  check_is_ok(pmx_command(client, "GET k"));
  ck_assert_int_eq(atomic_load(&asked), identity == with_function);
  close_client(client);
  stage_close_server(&s, server);
}
END_TEST

/* ---- files that are wrong ---- */

static void wrong_passphrase(struct stage *s)
{
  show(s, client_cert(s, PASSPHRASE));
  set_option(s->options, "tls.key_passphrase", CANARY);
}

static void no_passphrase(struct stage *s)
{
  show(s, client_cert(s, PASSPHRASE));
}

static int tell_nothing(void *ud, char *passphrase, size_t size)
{
  (void)ud;
  snprintf(passphrase, size, "%s", PASSPHRASE);
  return -1;
}

static void function_fails(struct stage *s)
{
  show(s, client_cert(s, PASSPHRASE));
  pmx_options_set_passphrase(s->options, tell_nothing, NULL);
}

static void other_key(struct stage *s)
{
  show(s, client_cert(s, NULL));
  set_option(s->options, "tls.key_file", cert_key_file(client_cert(s, NULL)));
}

static void no_key(struct stage *s)
{
  set_option(s->options, "tls.cert_file", cert_file(client_cert(s, NULL)));
}

static void missing_file(struct stage *s)
{
  show(s, client_cert(s, NULL));
  set_option(s->options, "tls.cert_file", "/nonexistent/client.crt");
}

static void key_for_ca(struct stage *s)
{
  set_option(s->options, "tls.ca_file", cert_key_file(s->ca));
}

static const struct {
  void (*make)(struct stage *);
  bool names_key, names_cert; /* the files that were set */
  const char *says[4];
} wrongs[] = {
    {wrong_passphrase,
     true,
     false,
     {"tls.key_file: ", "cannot be decrypted with tls.key_passphrase"}},
    {no_passphrase, true, false, {"tls.key_file: ", "is encrypted; set tls.key_passphrase"}},
    {function_fails, true, false, {"the function of pmx_options_set_passphrase failed"}},
    {other_key,
     true,
     true,
     {"tls.key_file: ", "is not the key of the first certificate in tls.cert_file"}},
    {no_key, false, false, {"tls.cert_file is set, but tls.key_file is empty"}},
    {missing_file, false, true, {"tls.cert_file: ", "cannot be read: No such file"}},
    {key_for_ca, false, false, {"tls.ca_file: ", "holds no certificate in PEM"}},
};
enum { WRONGS = sizeof wrongs / sizeof wrongs[0] };

/* Before anything is connected: there is no server. */
START_TEST(wrong_files_are_named_by_open)
{
  struct stage s;
  pmx_reply *err;

  stage_open_named(&s, 0);
  wrongs[_i].make(&s);
  err = stage_refused(&s, "rediss://127.0.0.1:1");
  printf("%s\n", pmx_reply_error(err));
  check_says_all(err, wrongs[_i].says);
  if (wrongs[_i].names_key)
    check_says(err, pmx_options_get(s.options, "tls.key_file"));
  if (wrongs[_i].names_cert)
    check_says(err, pmx_options_get(s.options, "tls.cert_file"));
  ck_assert_int_eq(pmx_reply_finish(err), PMX_INVALID);
  stage_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_identity");

  server_require("tls_identity");
  tcase_add_loop_test(tc, server_that_wants_certificates_accepts_ours, 0,
                      IDENTITIES * strategy_count);
  tcase_add_loop_test(tc, wrong_files_are_named_by_open, 0, WRONGS);
  return checks_run("tls_identity", tc);
}
