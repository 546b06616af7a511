/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tls_sessions.c - which sessions a generation of settings offers again: once or more often,
 * for how long, and never those of another generation. */
#include <time.h>
#include "harness/checks.h"
#include "tls_usual.h"

/* One more connection: did it resume? */
static void check_reused(struct tls_context *context, SSL_CTX *server, int expected)
{
  struct talk t = connected(context, server);

  ck_assert_int_eq(SSL_session_reused(t.client), expected);
  talk_end(&t);
}

/* One connection with its tickets, then two at the same time: which of them resumed? */
static void resume(int version, struct tls_context *context, int first, int second)
{
  SSL_CTX *server = server_of(version);
  struct talk a, b;

  SSL_CTX_set_num_tickets(server, 1);
  a = connected(context, server);
  ck_assert_int_eq(SSL_session_reused(a.client), 0);
  talk_end(&a); /* without a word: what it learned is good all the same */
  a = talk_begin(context, server);
  b = talk_begin(context, server);
  talk_run(&a);
  talk_run(&b);
  ck_assert_int_eq(a.failed + b.failed, 0);
  ck_assert_int_eq(SSL_session_reused(a.client), first);
  ck_assert_int_eq(SSL_session_reused(b.client), second);
  ck_assert_int_eq(SSL_get_verify_result(a.client), X509_V_OK);
  talk_end(&a);
  talk_end(&b);
  SSL_CTX_free(server);
}

START_TEST(a_session_of_1_3_is_used_once)
{
  struct tls_context *context = trusting("localhost");

  resume(TLS1_3_VERSION, context, 1, 0);
  tls_context_unref(context);
}
END_TEST

START_TEST(a_session_of_1_2_is_used_again)
{
  struct tls_context *context = trusting("localhost");

  resume(TLS1_2_VERSION, context, 1, 1);
  tls_context_unref(context);
}
END_TEST

START_TEST(a_new_generation_begins_without_sessions)
{
  struct tls_context *old = trusting("localhost"), *new = trusting("localhost");
  SSL_CTX *server = server_of(0);
  struct talk t = connected(old, server);

  talk_end(&t);
  check_reused(new, server, 0);
  check_reused(old, server, 1);
  tls_context_unref(old);
  tls_context_unref(new);
  SSL_CTX_free(server);
}
END_TEST

START_TEST(a_failed_handshake_takes_the_sessions_along)
{
  struct tls_context *context = trusting("localhost");
  SSL_CTX *server = server_of(TLS1_2_VERSION);
  struct talk t = connected(context, server);
  char text[TLS_ERROR_SIZE];

  talk_end(&t);
  ck_assert_uint_gt(context->sessions.count, 0);
  t = talk_begin(context, NULL);
  talk_client(&t);
  BIO_write(t.wire, "-ERR what?\r\n", 12);
  talk_client(&t);
  ck_assert_int_eq(t.failed, 1);
  tls_context_explain(context, t.client, text, sizeof text);
  ck_assert_uint_eq(context->sessions.count, 0);
  talk_end(&t);
  t = connected(context, server);
  ck_assert_int_eq(SSL_session_reused(t.client), 0);

  /* A connection that ends later says nothing about them. */
  BIO_shutdown_wr(t.wire);
  talk_client(&t);
  ck_assert_int_eq(t.failed, 1);
  tls_context_explain(context, t.client, text, sizeof text);
  ck_assert_uint_gt(context->sessions.count, 0);
  talk_end(&t);
  SSL_CTX_free(server);
  tls_context_unref(context);
}
END_TEST

START_TEST(a_session_ends_with_the_certificate_that_was_verified)
{
  struct tls_context *context = trusting("localhost");
  SSL_CTX *server = server_of(TLS1_2_VERSION);
  struct talk t = connected(context, server);
  X509 *peer = SSL_SESSION_get0_peer(context->sessions.kept[0]);

  ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(peer), -1));
  talk_end(&t);
  check_reused(context, server, 0);
  SSL_CTX_free(server);
  tls_context_unref(context);
}
END_TEST

START_TEST(sessions_end_with_the_first_of_the_chain)
{
  struct certs *s = certs_new();
  const struct cert *middle = certs_make(
      s, &(struct cert_spec){.name = "middle", .issuer = set->ca, .ca = true, .until_s = 3600});
  SSL_CTX *server = server_with(
      &(struct server_spec){.cert = certs_server(s, "localhost", middle), .max_version = _i});
  struct tls_context *context = trusting("localhost");
  int64_t end = time(NULL) + 3600;
  struct talk t;

  for (int i = 0; i < 3; i++) { /* who resumes puts nothing off */
    t = connected(context, server);
    ck_assert_int_eq(SSL_session_reused(t.client), i > 0);
    ck_assert_uint_gt(context->sessions.count, 0);
    ck_assert_int_le(context->sessions.until, end);
    ck_assert_int_gt(context->sessions.until, end - 60);
    talk_end(&t);
  }
  context->sessions.until = time(NULL);
  t = connected(context, server);
  ck_assert_int_eq(SSL_session_reused(t.client), 0);
  ck_assert_int_gt(context->sessions.until, end - 60);
  talk_end(&t);
  tls_context_unref(context);
  SSL_CTX_free(server);
  certs_free(s);
}
END_TEST

/* Without a list they are, in the same way. */
START_TEST(no_session_is_kept_where_lists_are_looked_at)
{
  struct certs *s = certs_new();
  struct tls_context *context =
      context_with(SETTINGS("host", "localhost", "tls.ca_file", cert_file(set->ca), "tls.crl_file",
                            certs_crl(s, set->ca, 3600, NULL)));
  SSL_CTX *server = server_of(_i);

  for (int i = 0; i < 2; i++) {
    struct talk t = connected(context, server);

    ck_assert_int_eq(SSL_session_reused(t.client), 0);
    ck_assert_uint_eq(context->sessions.count, 0);
    talk_end(&t);
  }
  SSL_CTX_free(server);
  tls_context_unref(context);
  certs_free(s);
}
END_TEST

START_TEST(sessions_that_are_forgotten_are_not_offered)
{
  struct tls_context *context = trusting("localhost");
  SSL_CTX *server = server_of(0);
  struct talk t = connected(context, server);

  talk_end(&t);
  tls_context_forget(context);
  check_reused(context, server, 0);
  SSL_CTX_free(server);
  tls_context_unref(context);
}
END_TEST

static SSL_SESSION *session(int version, unsigned char id, long age, long lifetime)
{
  SSL_SESSION *made = SSL_SESSION_new();

  SSL_SESSION_set_protocol_version(made, version);
  SSL_SESSION_set1_id(made, &id, 1);
  SSL_SESSION_set_time(made, (long)time(NULL) - age);
  SSL_SESSION_set_timeout(made, lifetime);
  return made;
}

static int id_of(SSL_SESSION *taken)
{
  unsigned int len;
  int id = taken ? *SSL_SESSION_get_id(taken, &len) : 0;

  SSL_SESSION_free(taken);
  return id;
}

START_TEST(sessions_that_are_over_are_not_offered)
{
  struct tls_sessions kept;

  tls_sessions_init(&kept);
  tls_sessions_put(&kept, session(TLS1_2_VERSION, 1, 5, 100), TLS_SESSIONS_EVER);
  tls_sessions_put(&kept, session(TLS1_2_VERSION, 2, 100, 100), TLS_SESSIONS_EVER);
  tls_sessions_put(&kept, session(TLS1_3_VERSION, 3, 101, 100), TLS_SESSIONS_EVER);
  tls_sessions_put(&kept, session(TLS1_2_VERSION, 4, -50, 100),
                   TLS_SESSIONS_EVER);                           /* the clock was set back */
  tls_sessions_put(&kept, SSL_SESSION_new(), TLS_SESSIONS_EVER); /* nothing to resume it by */
  ck_assert_int_eq(id_of(tls_sessions_take(&kept)), 1);
  ck_assert_uint_eq(kept.count, 1);
  ck_assert_int_eq(id_of(tls_sessions_take(&kept)), 1);
  tls_sessions_clear(&kept);
  ck_assert_ptr_null(tls_sessions_take(&kept));
  tls_sessions_destroy(&kept);
}
END_TEST

START_TEST(the_earliest_end_is_that_of_all)
{
  int64_t now = time(NULL);
  struct tls_sessions kept;

  tls_sessions_init(&kept);
  tls_sessions_put(&kept, session(TLS1_3_VERSION, 1, 0, 100), TLS_SESSIONS_SAME);
  ck_assert_ptr_null(tls_sessions_take(&kept)); /* the same as nothing */
  tls_sessions_put(&kept, session(TLS1_3_VERSION, 2, 0, 100), now + 500);
  tls_sessions_put(&kept, session(TLS1_3_VERSION, 3, 0, 100), TLS_SESSIONS_SAME);
  tls_sessions_put(&kept, session(TLS1_3_VERSION, 4, 0, 100), now + 600);
  ck_assert_int_eq(kept.until, now + 500);
  ck_assert_int_eq(id_of(tls_sessions_take(&kept)), 4);
  tls_sessions_put(&kept, session(TLS1_3_VERSION, 5, 0, 100), now);
  ck_assert_ptr_null(tls_sessions_take(&kept));
  tls_sessions_put(&kept, session(TLS1_3_VERSION, 6, 0, 100), TLS_SESSIONS_SAME);
  ck_assert_ptr_null(tls_sessions_take(&kept));
  tls_sessions_destroy(&kept);
}
END_TEST

START_TEST(sixteen_sessions_are_kept_and_the_newest_is_used_first)
{
  struct tls_sessions kept;

  tls_sessions_init(&kept);
  for (unsigned char i = 1; i <= 20; i++)
    tls_sessions_put(&kept, session(TLS1_3_VERSION, i, 0, 100), TLS_SESSIONS_EVER);
  for (int i = 20; i > 4; i--)
    ck_assert_int_eq(id_of(tls_sessions_take(&kept)), i);
  ck_assert_ptr_null(tls_sessions_take(&kept));
  tls_sessions_destroy(&kept);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_sessions");

  tcase_add_checked_fixture(tc, setup, NULL);
  tcase_add_test(tc, a_session_of_1_3_is_used_once);
  tcase_add_test(tc, a_session_of_1_2_is_used_again);
  tcase_add_test(tc, a_new_generation_begins_without_sessions);
  tcase_add_test(tc, a_failed_handshake_takes_the_sessions_along);
  tcase_add_test(tc, a_session_ends_with_the_certificate_that_was_verified);
  tcase_add_loop_test(tc, sessions_end_with_the_first_of_the_chain, TLS1_2_VERSION,
                      TLS1_3_VERSION + 1);
  tcase_add_loop_test(tc, no_session_is_kept_where_lists_are_looked_at, TLS1_2_VERSION,
                      TLS1_3_VERSION + 1);
  tcase_add_test(tc, sessions_that_are_forgotten_are_not_offered);
  tcase_add_test(tc, the_earliest_end_is_that_of_all);
  tcase_add_test(tc, sessions_that_are_over_are_not_offered);
  tcase_add_test(tc, sixteen_sessions_are_kept_and_the_newest_is_used_first);
  return checks_run("tls_sessions", tc);
}
