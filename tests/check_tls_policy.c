/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tls_policy.c - what a machine's openssl.cnf may change and what not: it can forbid more
 * than the library does, and cannot let in a server that shows no certificate, or plain text. Each
 * test has a process of its own, with a configuration of its own. */
#include <openssl/conf.h>
#include <stdio.h>
#include "harness/checks.h"
#include "harness/util.h"
#include "net/tls.h"
#include "tls_usual.h"

/* From now on each new SSL_CTX of this process is made with `lines`. */
static void use_policy(const char *lines)
{
  char dir[TEMP_DIR_SIZE], path[TEMP_DIR_SIZE + 20];
  FILE *file;

  temp_dir_make(dir);
  snprintf(path, sizeof path, "%s/openssl.cnf", dir);
  file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fprintf(file,
          "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = policy\n"
          "[policy]\n%s\n",
          lines);
  ck_assert_int_eq(fclose(file), 0);
  ck_assert_int_eq(CONF_modules_load_file(path, NULL, 0), 1);
  temp_dir_remove(dir);
}

static struct tls_context *with_option(const char *name, const char *value)
{
  return context_with(
      SETTINGS("host", "localhost", "tls.ca_file", cert_file(set->ca), name, value));
}

static int is_unsafe(const SSL_CIPHER *cipher)
{
  return SSL_CIPHER_get_auth_nid(cipher) == NID_auth_null ||
         SSL_CIPHER_get_cipher_nid(cipher) == NID_undef;
}

static int count(const STACK_OF(SSL_CIPHER) * all, int unsafe)
{
  int n = 0;

  for (int i = 0; i < sk_SSL_CIPHER_num(all); i++)
    n += is_unsafe(sk_SSL_CIPHER_value(all, i)) == unsafe;
  return n;
}

/* ---- a server without a certificate ---- */

static SSL_CTX *anonymous_server(void)
{
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

  ck_assert_int_eq(SSL_CTX_set_cipher_list(ctx, "aNULL:@SECLEVEL=0"), 1);
  SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_dh_auto(ctx, 1);
  return ctx;
}

START_TEST(an_anonymous_server_is_refused_whatever_the_machine_allows)
{
  SSL_CTX *server, *plain;
  struct tls_context *context;
  struct talk t;

  use_policy("CipherString = ALL:eNULL:@SECLEVEL=0");
  plain = SSL_CTX_new(TLS_client_method());
  ck_assert_int_gt(count(SSL_CTX_get_ciphers(plain), 1), 0); /* the policy is in use */
  context = with_option("tls.ciphers", "");
  ck_assert_int_eq(count(SSL_CTX_get_ciphers(context->ssl_ctx), 1), 0);
  ck_assert_int_eq(count(SSL_CTX_get_ciphers(context->ssl_ctx), 0),
                   count(SSL_CTX_get_ciphers(plain), 0));
  server = anonymous_server();
  t = talk_begin(context, server);
  talk_run(&t);
  ck_assert_int_eq(SSL_is_init_finished(t.client), 0);
  talk_end(&t);
  SSL_CTX_free(server);
  server = server_of(TLS1_2_VERSION);
  t = talk_begin(context, server);
  talk_run(&t);
  ck_assert_int_eq(SSL_is_init_finished(t.client), 1);
  talk_end(&t);
  SSL_CTX_free(server);
  SSL_CTX_free(plain);
  tls_context_unref(context);
}
END_TEST

START_TEST(the_order_of_the_machine_is_kept)
{
  const STACK_OF(SSL_CIPHER) * all;
  struct tls_context *context;
  const char *names[2];
  int n = 0;

  use_policy("CipherString = AES128-SHA256:ADH-AES128-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
             "NULL-SHA256:@SECLEVEL=0");
  context = with_option("tls.ciphers", "");
  all = SSL_CTX_get_ciphers(context->ssl_ctx);
  for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
    const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);

    if (strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") == 0)
      continue;
    ck_assert_int_lt(n, 2);
    names[n++] = SSL_CIPHER_get_name(cipher);
  }
  ck_assert_int_eq(n, 2);
  ck_assert_str_eq(names[0], "AES128-SHA256");
  ck_assert_str_eq(names[1], "ECDHE-RSA-AES256-GCM-SHA384");
  tls_context_unref(context);
}
END_TEST

START_TEST(a_machine_that_allows_nothing_else_opens_no_client)
{
  char error[TLS_ERROR_SIZE] = "";
  struct config config;

  use_policy("CipherString = aNULL:eNULL:@SECLEVEL=0");
  configure(&config, SETTINGS("host", "localhost", "tls.ca_file", cert_file(set->ca)));
  ck_assert_ptr_null(tls_context_new(&config, error, sizeof error));
  ck_assert_ptr_nonnull(strstr(error, "tls.ciphers: \"\" leaves what openssl.cnf says"));
  config_clear(&config);
}
END_TEST

/* ---- and if there were a way all the same ---- */

static void move(SSL *server, BIO *in, BIO *out, struct tls *tls, int *result)
{
  char buf[8192];
  size_t len;
  const char *bytes = tls_output(tls, &len);
  int n;

  BIO_write(in, bytes, (int)len);
  tls_sent(tls, len);
  SSL_do_handshake(server);
  n = BIO_read(out, buf, sizeof buf);
  if (n > 0)
    *result = tls_handshake(tls, buf, (size_t)n);
}

/* Of a handshake with a server that shows no certificate. */
static int shake(struct tls_context *context, char *why, size_t size)
{
  SSL_CTX *ctx = anonymous_server();
  SSL *server = SSL_new(ctx);
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  struct tls *tls;
  int result;

  ck_assert_int_eq(SSL_CTX_set_cipher_list(context->ssl_ctx, "aNULL:@SECLEVEL=0"), 1);
  tls = tls_new(context);
  SSL_set_bio(server, in, out);
  SSL_set_accept_state(server);
  result = tls_handshake(tls, "", 0);
  for (int i = 0; i < 8 && result == NET_AGAIN; i++)
    move(server, in, out, tls, &result);
  snprintf(why, size, "%s", tls_why(tls, 0));
  ck_assert_int_eq(tls_refused(tls), result == NET_ERROR);
  ck_assert_int_eq(tls_over(tls), result == NET_ERROR);
  tls_free(tls);
  SSL_free(server);
  SSL_CTX_free(ctx);
  return result;
}

START_TEST(a_handshake_without_a_certificate_fails)
{
  struct tls_context *context = with_option("tls.ciphers", "");
  char why[TLS_ERROR_SIZE];

  ck_assert_int_eq(shake(context, why, sizeof why), NET_ERROR);
  ck_assert_ptr_nonnull(strstr(why, "the server showed no certificate: "));
  tls_context_unref(context);
  context = context_with(SETTINGS("host", "localhost", "tls.insecure_skip_verify", "yes"));
  ck_assert_int_eq(shake(context, why, sizeof why), 0);
  tls_context_unref(context);
}
END_TEST

/* ---- versions ---- */

START_TEST(the_oldest_version_is_raised_and_never_lowered)
{
  static const char *const rows[][2] = {{"TLSv1", "1.2"}, {"TLSv1.3", "1.2"}, {"TLSv1.2", "1.3"}};
  static const int wanted[] = {TLS1_2_VERSION, TLS1_3_VERSION, TLS1_3_VERSION};
  char policy[60];

  for (size_t i = 0; i < 3; i++) {
    struct tls_context *context;

    snprintf(policy, sizeof policy, "MinProtocol = %s", rows[i][0]);
    use_policy(policy);
    context = with_option("tls.min_version", rows[i][1]);
    ck_assert_int_eq((int)SSL_CTX_get_min_proto_version(context->ssl_ctx), wanted[i]);
    tls_context_unref(context);
  }
}
END_TEST

START_TEST(a_version_that_the_machine_forbids_is_not_said_to_be_ours)
{
  struct tls_context *context;
  char text[TLS_ERROR_SIZE];
  SSL_CTX *server;
  struct talk t;

  use_policy("MinProtocol = TLSv1.3");
  context = with_option("tls.min_version", "1.2");
  server = server_of(TLS1_2_VERSION);
  t = talk_begin(context, server);
  talk_run(&t);
  ck_assert_int_eq(t.failed, 1);
  tls_context_explain(context, t.client, text, sizeof text);
  ck_assert_str_eq(text, "the server speaks no version of TLS that MinProtocol in this machine's "
                         "openssl.cnf allows; update it");
  talk_end(&t);
  SSL_CTX_free(server);
  tls_context_unref(context);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_policy");

  tcase_add_checked_fixture(tc, setup, NULL);
  tcase_add_test(tc, an_anonymous_server_is_refused_whatever_the_machine_allows);
  tcase_add_test(tc, the_order_of_the_machine_is_kept);
  tcase_add_test(tc, a_machine_that_allows_nothing_else_opens_no_client);
  tcase_add_test(tc, a_handshake_without_a_certificate_fails);
  tcase_add_test(tc, the_oldest_version_is_raised_and_never_lowered);
  tcase_add_test(tc, a_version_that_the_machine_forbids_is_not_said_to_be_ours);
  return checks_run("tls_policy", tc);
}
