/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tls_explain.c - the rest of the negative matrix: versions, ciphers, the client's
 * certificate, servers that do not speak TLS, connections that end or are tampered with; and the
 * sentence that a person gets. */
#include "tls_matrix.h"

/* ---- versions, ciphers ---- */

START_TEST(old_versions_are_refused)
{
  const char *const *settings = SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca));
  const char *const *new_only =
      SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca), "tls.min_version", "1.3");
  struct server_spec spec = {.cert = good, .ciphers = "ALL:@SECLEVEL=0"};

  meet(spec, new_only, "");
  spec.max_version = TLS1_2_VERSION;
  meet(spec, settings, "");
  meet(spec, new_only,
       "the server speaks no version of TLS that tls.min_version=1.3 allows; update "
       "it, or set tls.min_version=1.2");
  spec.max_version = TLS1_1_VERSION;
  meet(spec, settings,
       "the server speaks no version of TLS that tls.min_version=1.2 allows; update");
  ck_assert_ptr_null(strstr(told, ", or"));
}
END_TEST

START_TEST(having_nothing_in_common_names_the_options)
{
  static const char text[] =
      "the server refused the handshake: no cipher, group or kind of signature "
      "in common; look at tls.ciphers, tls.ciphersuites, tls.groups";

  meet((struct server_spec){.cert = good, .groups = "P-521"},
       SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca), "tls.groups", "X25519"), text);
  meet((struct server_spec){.cert = good,
                            .max_version = TLS1_2_VERSION,
                            .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"},
       SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca), "tls.ciphers",
                "ECDHE-ECDSA-AES256-GCM-SHA384"),
       text);
  meet((struct server_spec){.cert = good, .max_version = TLS1_2_VERSION},
       SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca), "tls.ciphersuites",
                "TLS_AES_128_GCM_SHA256"),
       "");
}
END_TEST

/* ---- who we are ---- */

static void as_client(const struct cert *client, int max_version, const char *text)
{
  meet((struct server_spec){.cert = good, .ca = ca, .max_version = max_version},
       SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca), "tls.cert_file",
                cert_chain_file(client), "tls.key_file", cert_key_file(client)),
       text);
}

#define REFUSED "the server refused the client certificate (tls.cert_file): "

START_TEST(clients_have_to_show_a_certificate_that_is_liked)
{
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  const struct cert *client =
      certs_make(s, &(struct cert_spec){.name = "client",
                                        .issuer = certs_intermediate(s, "middle", ca),
                                        .purpose = CERT_CLIENT});
  const struct cert *foreign = certs_make(
      s, &(struct cert_spec){.name = "client", .issuer = other_ca, .purpose = CERT_CLIENT});
  const struct cert *old = certs_make(
      s,
      &(struct cert_spec){
          .name = "client", .issuer = ca, .purpose = CERT_CLIENT, .from_s = -7200, .until_s = -60});

  for (size_t i = 0; i < 2; i++) {
    meet((struct server_spec){.cert = good, .ca = ca, .max_version = versions[i]},
         SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca)),
         "the server wants a client certificate; set tls.cert_file and tls.key_file");
    as_client(client, versions[i], "");
    as_client(foreign, versions[i], REFUSED "its CA is not one that the server trusts");
    as_client(old, versions[i], REFUSED "it has expired, or one of its issuers' has");
    as_client(good, versions[i], REFUSED "it is not made for clients; it needs extendedKeyUsage=");
  }
}
END_TEST

/* ---- no server of TLS ---- */

/* What is said when this is all that comes. */
static void hear(const char *bytes, size_t len, const char *text)
{
  struct tls_context *context = context_with(SETTINGS("host", "a.test"));
  struct talk t = talk_begin(context, NULL);

  talk_client(&t);
  ck_assert_int_eq(t.failed, 0);
  if (len)
    ck_assert_int_eq(BIO_write(t.wire, bytes, (int)len), (int)len);
  BIO_shutdown_wr(t.wire);
  for (int i = 0; i < 4; i++)
    talk_client(&t);
  ck_assert_int_eq(t.failed, 1);
  tell(&t);
  talk_end(&t);
  tls_context_unref(context);
  expect(text);
}

START_TEST(servers_without_tls_are_recognized)
{
  static const char plain[] = "the server does not speak TLS: is this its plain port?";
  static const char error[] = "-ERR unknown command\r\n",
                    html[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

  hear(error, strlen(error), plain);
  hear(html, strlen(html), plain);
  hear("\x16\x03\x01\xff\xff", 5, plain);
  hear("", 0,
       "the server closed the connection instead of answering in TLS: is this its plain port?");
}
END_TEST

/* ---- the connection ---- */

static struct talk greeted(struct tls_context *context, SSL_CTX *server)
{
  struct talk t = talk_begin(context, server);

  talk_client(&t);
  talk_server(&t);
  return t;
}

START_TEST(ends_are_told_by_where_they_happen)
{
  struct tls_context *context =
      context_with(SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca)));
  SSL_CTX *server =
      server_with(&(struct server_spec){.cert = good, .max_version = TLS1_2_VERSION, .ca = ca});
  struct talk t = greeted(context, server);

  talk_client(&t); /* has read the server's hello */
  BIO_shutdown_wr(t.wire);
  talk_client(&t);
  tell(&t);
  talk_end(&t);
  SSL_CTX_free(server);
  expect(
      "the server closed the connection in the middle of the TLS handshake; its log may say why");

  server = server_with(&(struct server_spec){.cert = good});
  t = talk_begin(context, server);
  talk_run(&t);
  BIO_shutdown_wr(t.wire);
  talk_client(&t);
  ck_assert_int_eq(t.failed, 1);
  tell(&t);
  talk_end(&t);
  SSL_CTX_free(server);
  tls_context_unref(context);
  expect("the server closed the connection without saying so in TLS: what it sent may be cut off");
}
END_TEST

START_TEST(records_that_were_changed_are_noticed)
{
  static const char broken[] =
      "what arrived is not what the server sent: the connection was tampered";
  struct tls_context *context =
      context_with(SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca)));
  SSL_CTX *server = server_with(&(struct server_spec){.cert = good});
  static const char *const forged[] = {"\x17\x03\x03\x00\x20"
                                       "0123456789abcdef0123456789abcdef",
                                       "+OK\r\nEXTRA"};

  for (size_t i = 0; i < 2; i++) {
    struct talk t = talk_begin(context, server);

    talk_run(&t);
    ck_assert_int_eq(t.failed, 0);
    BIO_write(t.wire, forged[i], i ? (int)strlen(forged[i]) : 5 + 32);
    talk_client(&t);
    ck_assert_int_eq(t.failed, 1);
    tell(&t);
    talk_end(&t);
    expect(broken);
  }
  SSL_CTX_free(server);
  tls_context_unref(context);
}
END_TEST

static int unknown_name(SSL *ssl, int *alert, void *ud)
{
  (void)ssl, (void)ud;
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

START_TEST(a_server_may_not_know_its_name)
{
  struct tls_context *context = context_with(SETTINGS("host", "a.test"));
  SSL_CTX *server = server_with(&(struct server_spec){.cert = good});
  struct talk t;

  SSL_CTX_set_tlsext_servername_callback(server, unknown_name);
  t = talk_begin(context, server);
  talk_run(&t);
  tell(&t);
  talk_end(&t);
  SSL_CTX_free(server);
  tls_context_unref(context);
  expect("the server has no certificate for the name that was asked for; set tls.server_name to ");
}
END_TEST

/* Reasons that no server of ours gives. */
START_TEST(other_errors_have_words_too)
{
  static const struct {
    int lib, reason;
    const char *text;
  } rows[] = {
      {ERR_LIB_SSL, ERR_R_MALLOC_FAILURE, "out of memory"},
      {ERR_LIB_SSL, SSL_R_NO_PROTOCOLS_AVAILABLE,
       "no version of TLS is left between tls.min_version "},
      {ERR_LIB_SSL, SSL_R_TLSV1_ALERT_INTERNAL_ERROR,
       "the server had an internal error in the TLS "},
      {ERR_LIB_SSL, SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY,
       "the server refused the handshake: it "},
      {ERR_LIB_SSL, SSL_R_TLSV1_ALERT_DECRYPT_ERROR,
       "the server found a wrong signature or checksum in what was sent"},
      {ERR_LIB_SSL, SSL_R_BAD_SIGNATURE, "OpenSSL says: bad signature"},
      {ERR_LIB_SSL, 4000, "OpenSSL says: an error that it has no words for"},
      {ERR_LIB_EVP, SSL_R_WRONG_VERSION_NUMBER, "OpenSSL says: "},
  };
  struct tls_context *context = context_with(SETTINGS("host", "a.test"));
  struct talk t = talk_begin(context, NULL);

  t.failed = 1;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ERR_put_error(rows[i].lib, 0, rows[i].reason, "f", 1);
    ERR_put_error(ERR_LIB_SSL, 0, SSL_R_CERTIFICATE_VERIFY_FAILED, "f", 1); /* what follows of it */
    tell(&t);
    expect(rows[i].text);
  }
  talk_end(&t);
  tls_context_unref(context);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_explain");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, old_versions_are_refused);
  tcase_add_test(tc, having_nothing_in_common_names_the_options);
  tcase_add_test(tc, clients_have_to_show_a_certificate_that_is_liked);
  tcase_add_test(tc, servers_without_tls_are_recognized);
  tcase_add_test(tc, ends_are_told_by_where_they_happen);
  tcase_add_test(tc, records_that_were_changed_are_noticed);
  tcase_add_test(tc, a_server_may_not_know_its_name);
  tcase_add_test(tc, other_errors_have_words_too);
  return checks_run("tls_explain", tc);
}
