/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tls_context.c - net/tls_context.c: how a generation of settings greets a server, what it
 * never does, and that it is whole or not there at all. */
#include "base/mem.h"
#include "harness/checks.h"
#include "harness/torture.h"
#include "tls_usual.h"

/* Takes the context. */
static void check_connects(struct tls_context *context, SSL_CTX *server)
{
  struct talk t = connected(context, server);

  talk_end(&t);
  tls_context_unref(context);
}

/* ---- names ---- */

START_TEST(a_trusted_server_is_accepted_by_name_and_by_address)
{
  static const char *const hosts[] = {"localhost", "LOCALHOST", "localhost.",     "127.0.0.1",
                                      "::1",       "::1%lo",    "0:0:0:0:0:0:0:1"};
  SSL_CTX *server = server_of(0);

  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
    check_connects(trusting(hosts[i]), server);
  SSL_CTX_free(server);
}
END_TEST

static char announced[300];

static int on_name(SSL *ssl, int *alert, void *ud)
{
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

  (void)alert, (void)ud;
  snprintf(announced, sizeof announced, "%s", name ? name : "none");
  return SSL_TLSEXT_ERR_OK;
}

START_TEST(names_are_announced_and_addresses_are_not)
{
  static const char *const rows[][3] = {
      {"localhost", "", "localhost"},
      {"localhost.", "", "localhost"},
      {"127.0.0.1", "", "none"},
      {"::1%lo", "", "none"},
      {"10.1.2.3", "localhost", "localhost"},
      {"localhost", "127.0.0.1", "none"},
  };
  SSL_CTX *server = server_of(0);

  SSL_CTX_set_tlsext_servername_callback(server, on_name);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    check_connects(context_with(SETTINGS("host", rows[i][0], "tls.server_name", rows[i][1],
                                         "tls.ca_file", cert_file(set->ca))),
                   server);
    ck_assert_str_eq(announced, rows[i][2]);
  }
  SSL_CTX_free(server);
}
END_TEST

START_TEST(the_server_name_replaces_the_host_and_serves_a_socket)
{
  SSL_CTX *server = server_of(0);

  check_connects(context_with(SETTINGS("socket", "/run/x", "host", "h.test", "tls.server_name",
                                       "localhost", "tls.ca_file", cert_file(set->ca))),
                 server);
  check_connects(context_with(SETTINGS("socket", "/run/x", "tls.insecure_skip_verify", "yes")),
                 server);
  SSL_CTX_free(server);
}
END_TEST

/* ---- what never happens ---- */

START_TEST(modes_are_what_a_stream_without_sockets_needs)
{
  struct tls_context *context = trusting("localhost");
  SSL *ssl = tls_context_connect(context);
  const uint64_t wanted = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION;
  const uint64_t unwanted = SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_LEGACY_SERVER_CONNECT;
  const long modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY;

  ck_assert_uint_eq(SSL_get_options(ssl) & wanted, wanted);
  ck_assert_uint_eq(SSL_get_options(ssl) & unwanted, 0);
  ck_assert_int_eq(SSL_get_mode(ssl) & modes, modes);
  ck_assert_int_eq(SSL_get_min_proto_version(ssl), TLS1_2_VERSION);
  ck_assert_int_eq(SSL_get_verify_mode(ssl), SSL_VERIFY_PEER);
  SSL_free(ssl);
  tls_context_unref(context);
}
END_TEST

START_TEST(renegotiation_is_refused_and_the_connection_lives)
{
  struct tls_context *context = trusting("localhost");
  SSL_CTX *server = server_of(TLS1_2_VERSION);
  struct talk t = connected(context, server);

  ck_assert_int_eq(SSL_renegotiate(t.server), 1);
  SSL_do_handshake(t.server); /* asks for it */
  talk_client(&t);
  ck_assert_int_eq(t.failed, 0);
  ck_assert_int_eq(SSL_num_renegotiations(t.client), 0);
  ck_assert_int_eq(SSL_write(t.client, "PING", 4), 4);
  talk_end(&t);
  SSL_CTX_free(server);
  tls_context_unref(context);
}
END_TEST

/* A server without a certificate would not be verified. */
START_TEST(anonymous_ciphers_are_never_offered)
{
  const char *ciphers = "ALL:aNULL:eNULL:@SECLEVEL=0";
  struct tls_context *context = context_with(
      SETTINGS("host", "localhost", "tls.ca_file", cert_file(set->ca), "tls.ciphers", ciphers));
  SSL *ssl = tls_context_connect(context);
  STACK_OF(SSL_CIPHER) *offered = SSL_get1_supported_ciphers(ssl);

  ck_assert_int_gt(sk_SSL_CIPHER_num(offered), 3);
  for (int i = 0; i < sk_SSL_CIPHER_num(offered); i++) {
    const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(offered, i);

    ck_assert_int_ne(SSL_CIPHER_get_auth_nid(cipher), NID_auth_null);
    ck_assert_int_ne(SSL_CIPHER_get_cipher_nid(cipher), NID_undef);
  }
  sk_SSL_CIPHER_free(offered);
  SSL_free(ssl);
  tls_context_unref(context);
}
END_TEST

/* ---- who we are ---- */

static void check_client(const char *const *settings, const char *name)
{
  struct tls_context *context = context_with(settings);
  SSL_CTX *server = server_with(&(struct server_spec){.cert = set->server, .ca = set->ca});
  struct talk t = connected(context, server);
  X509 *peer = SSL_get_peer_certificate(t.server);
  char cn[50] = "";

  X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, cn, sizeof cn);
  ck_assert_str_eq(cn, name);
  ck_assert_int_eq(SSL_get_verify_result(t.server), X509_V_OK);
  X509_free(peer);
  talk_end(&t);
  SSL_CTX_free(server);
  tls_context_unref(context);
}

START_TEST(a_client_shows_its_certificate_and_chain)
{
  struct certs *s = certs_new();
  const struct cert *middle = certs_intermediate(s, "middle", set->ca);
  const struct cert *below =
      certs_make(s, &(struct cert_spec){.name = "below", .issuer = middle, .purpose = CERT_CLIENT});
  const char *both = certs_join(s, cert_key_file(below), cert_chain_file(below), NULL);

  check_client(SETTINGS("host", "localhost", "tls.ca_file", cert_file(set->ca), "tls.cert_file",
                        cert_file(set->client), "tls.key_file", cert_key_file(set->client)),
               "client");
  check_client(SETTINGS("host", "localhost", "tls.ca_file", cert_file(set->ca), "tls.cert_file",
                        both, "tls.key_file", both),
               "below");
  certs_free(s);
}
END_TEST

/* ---- memory ---- */

struct tortured {
  struct config config;
  struct tls_context *context;
  char error[TLS_ERROR_SIZE];
  SSL *ssl;
};

static void run_new(void *ud)
{
  struct tortured *t = ud;

  strcpy(t->error, "untouched");
  t->context = tls_context_new(&t->config, t->error, sizeof t->error);
  t->ssl = t->context ? tls_context_connect(t->context) : NULL;
}

static void check_new(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct tortured *t = ud;

  (void)n, (void)sticky;
  ck_assert_uint_eq(ERR_peek_error(), 0);
  ck_assert_int_eq(t->ssl == NULL, hit);
  if (!t->context)
    ck_assert_str_eq(t->error, "");
  SSL_free(t->ssl);
  tls_context_unref(t->context);
}

START_TEST(a_generation_is_whole_or_not_there_when_memory_runs_out)
{
  struct certs *s = certs_new();
  struct tortured t;

  configure(&t.config,
            SETTINGS("host", "localhost", "tls.ca_file", cert_file(set->ca), "tls.ca_dir",
                     certs_hashed_dir(s, certs_ca(s, "x"), NULL), "tls.ca_pem", cert_pem(set->ca),
                     "tls.crl_file", certs_crl(s, certs_ca(s, "y"), 0, NULL), "tls.cert_file",
                     cert_file(set->client), "tls.key_file", cert_key_file(set->client),
                     "tls.ciphers", "HIGH", "tls.ciphersuites", "TLS_AES_128_GCM_SHA256",
                     "tls.groups", "P-256"));
  ck_assert_uint_gt(torture(run_new, check_new, &t), 20);
  config_clear(&t.config);
  certs_free(s);
}
END_TEST

START_TEST(references_are_counted)
{
  struct tls_context *context = trusting("localhost");

  ck_assert_ptr_eq(tls_context_ref(context), context);
  tls_context_unref(context);
  SSL_free(tls_context_connect(context));
  tls_context_unref(context);
  ck_assert_ptr_null(tls_context_ref(NULL));
  tls_context_unref(NULL);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_context");

  tcase_add_checked_fixture(tc, setup, NULL);
  tcase_add_test(tc, a_trusted_server_is_accepted_by_name_and_by_address);
  tcase_add_test(tc, names_are_announced_and_addresses_are_not);
  tcase_add_test(tc, the_server_name_replaces_the_host_and_serves_a_socket);
  tcase_add_test(tc, modes_are_what_a_stream_without_sockets_needs);
  tcase_add_test(tc, renegotiation_is_refused_and_the_connection_lives);
  tcase_add_test(tc, anonymous_ciphers_are_never_offered);
  tcase_add_test(tc, a_client_shows_its_certificate_and_chain);
  tcase_add_test(tc, a_generation_is_whole_or_not_there_when_memory_runs_out);
  tcase_add_test(tc, references_are_counted);
  return checks_run("tls_context", tc);
}
