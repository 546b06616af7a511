/* SPDX-License-Identifier: BSD-3-Clause */
/* check_harness_tls.c - the claims of harness/fake_tls.h: scripts and handlers over TLS, what is
 * done to records, what is known of the other side. The client is the harness's own. */
#include "harness/certs.h"
#include "harness/checks.h"
#include "harness/fake_tls.h"
#include "harness/proxy.h"
#include "harness/raw.h"
#include "harness/server.h"
#include "harness/util.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>

enum { BOUND_MS = 10000 };

static int echo(void *ud, struct fake_conn *c, int argc, char **argv, size_t *len)
{
  (void)ud;
  if (argc != 2 || strcmp(argv[0], "ECHO") != 0)
    return 1;
  fake_reply_bulk(c, argv[1], len[1]);
  return 0;
}

static struct fake *start(const struct fake_tls *tls)
{
  return fake_start(&(struct fake_options){.over = OVER_TLS, .tls = tls, .handler = echo});
}

static struct raw *open_raw(const char *url)
{
  struct raw *r = raw_open(url);

  ck_assert_msg(r != NULL, "%s: %s", url, strerror(errno));
  return r;
}

/* ---- what stays as it is without TLS ---- */

START_TEST(handlers_and_scripts_are_the_same_over_tls)
{
  static const struct fake_step script[] = {
      FAKE_EXPECT("GET", "k"), FAKE_SEND_SLICED("$1\r\nv\r\n", 1, 1), FAKE_DELAY(1), FAKE_END};
  enum over over = _i ? OVER_TLS_UNIX : OVER_TLS;
  struct fake *f =
      fake_start(&(struct fake_options){.over = over, .script = script, .handler = echo});
  struct raw *r = open_raw(fake_url(f));

  ck_assert_int_eq(strncmp(fake_url(f), _i ? "unix:///" : "rediss://127.0.0.1:", _i ? 8 : 19), 0);
  check_text(raw_ask(r, "GET", "k", NULL), "v");
  check_text(raw_ask(r, "ECHO", "hello", NULL), "hello");
  check_text(raw_ask(r, "PING", NULL), "PONG");
  ck_assert_uint_eq(fake_counts(f).handshakes, 1);
  ck_assert_int_eq(fake_tls_seen(fake_conn_at(f, 0)).version, TLS1_3_VERSION);
  raw_close(r);
  ck_assert(fake_wait_open(f, 0, BOUND_MS));
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(large_values_pass_both_ways)
{
  static const size_t size = 3 * 1000 * 1000;
  struct fake *f = start(NULL);
  struct raw *r = open_raw(fake_url(f));
  char *value = harness_alloc(size + 1), *got;

  for (size_t i = 0; i < size; i++)
    value[i] = (char)('a' + i % 23);
  got = raw_ask(r, "ECHO", value, NULL);
  ck_assert_ptr_nonnull(got);
  ck_assert(strcmp(got, value) == 0);
  ck_assert_uint_gt(fake_received(fake_conn_at(f, 0)), size);
  free(got);
  free(value);
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(what_is_sent_before_the_handshake_waits_for_it)
{
  static const struct fake_step sends[] = {FAKE_SEND("+early\r\n"), FAKE_END};
  static const struct fake_step ends[] = {FAKE_TLS(NOTIFY), FAKE_END};
  static const struct fake_step *const scripts[] = {sends, ends};
  struct fake *f =
      fake_start(&(struct fake_options){.over = OVER_TLS, .scripts = scripts, .script_count = 2});
  struct raw *r = open_raw(fake_url(f));

  check_text(raw_reply(r, BOUND_MS), "early");
  raw_close(r);
  r = open_raw(fake_url(f));
  ck_assert_int_eq(raw_wait_end(r, BOUND_MS), RAW_ENDED);
  ck_assert(raw_was_told(r));
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

/* ---- who is refused ---- */

START_TEST(a_client_that_refuses_has_sent_no_command)
{
  struct certs *s = certs_new();
  char why[RAW_WHY_SIZE];
  struct raw_tls stranger = {.ca = cert_file(certs_ca(s, "other")), .ret_why = why};
  struct raw_tls misled = {.host = "wrong.test", .ret_why = why};
  struct fake *f = start(NULL);

  for (size_t i = 0; i < 2; i++) {
    ck_assert_ptr_null(raw_open_tls(fake_url(f), i ? &misled : &stranger, BOUND_MS));
    ck_assert_int_eq(errno, EPROTO);
    ck_assert_ptr_nonnull(strstr(why, "certificate verify failed"));
    ck_assert(fake_wait_tls_failed(fake_conn_at(f, i), BOUND_MS));
    ck_assert_ptr_nonnull(strstr(fake_tls_seen(fake_conn_at(f, i)).why, "alert"));
    ck_assert_uint_eq(fake_received(fake_conn_at(f, i)), 0);
    ck_assert_uint_gt(fake_tls_seen(fake_conn_at(f, i)).raw_received, 0);
  }
  ck_assert(fake_wait_open(f, 0, BOUND_MS));
  ck_assert_uint_eq(fake_counts(f).handshakes, 0);
  ck_assert_uint_eq(fake_counts(f).commands, 0);
  ck_assert(fake_stop(f));
  certs_free(s);
}
END_TEST

START_TEST(a_client_may_have_to_show_a_certificate)
{
  const struct cert_set *usual = certs_default();
  struct raw_tls known = {.cert = cert_file(usual->client), .key = cert_key_file(usual->client)};
  struct raw_tls unknown = {.max_version = TLS1_2_VERSION};
  struct fake *f = start(&(struct fake_tls){.ca = cert_file(usual->ca)});
  struct raw *r = raw_open_tls(fake_url(f), &known, BOUND_MS);

  check_text(raw_ask(r, "ECHO", "x", NULL), "x");
  ck_assert_ptr_nonnull(strstr(fake_tls_seen(fake_conn_at(f, 0)).subject, "CN=client"));
  raw_close(r);
  ck_assert_ptr_null(raw_open_tls(fake_url(f), &unknown, BOUND_MS));
  ck_assert_ptr_nonnull(
      strstr(fake_tls_seen(fake_conn_at(f, 1)).why, "peer did not return a certificate"));
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(versions_and_names_are_as_agreed)
{
  char why[RAW_WHY_SIZE];
  struct raw_tls old = {.max_version = TLS1_1_VERSION, .host = "localhost"};
  struct raw_tls usual = {.ret_why = why};
  struct fake *f = start(&(struct fake_tls){.max_version = TLS1_1_VERSION});
  struct raw *r = raw_open_tls(fake_url(f), &old, BOUND_MS);

  check_text(raw_ask(r, "ECHO", "x", NULL), "x");
  ck_assert_int_eq(fake_tls_seen(fake_conn_at(f, 0)).version, TLS1_1_VERSION);
  ck_assert_str_eq(fake_tls_seen(fake_conn_at(f, 0)).server_name, "localhost");
  raw_close(r);
  ck_assert_ptr_null(raw_open_tls(fake_url(f), &usual, BOUND_MS));
  ck_assert_msg(strstr(why, "protocol version") != NULL, "%s", why);
  ck_assert_str_eq(fake_tls_seen(fake_conn_at(f, 1)).server_name, "");
  ck_assert(fake_stop(f));
}
END_TEST

/* ---- what is done to records ---- */

START_TEST(a_record_may_be_split_at_any_byte)
{
  struct fake *f = start(NULL);
  struct raw *r = open_raw(fake_url(f));
  struct fake_conn *c;
  size_t before, whole;

  check_text(raw_ask(r, "ECHO", "x", NULL), "x");
  c = fake_conn_at(f, 0);
  ck_assert(fake_wait_sent(c, BOUND_MS));
  before = fake_tls_seen(c).raw_sent;
  check_text(raw_ask(r, "ECHO", "x", NULL), "x");
  whole = fake_tls_seen(c).raw_sent - before;
  ck_assert_uint_gt(whole, 7);
  for (size_t at = 1; at < whole; at++) {
    fake_tls_pauses(c, at, 0, -1);
    before = fake_tls_seen(c).raw_sent;
    raw_command(r, "ECHO", "x", NULL);
    /* So many bytes and no more: the rest follows when the pause is taken back. */
    ck_assert_ptr_null(raw_reply(r, 1));
    while (fake_tls_seen(c).raw_sent < before + at)
      sleep_ms(0);
    ck_assert_uint_eq(fake_tls_seen(c).raw_sent, before + at);
    fake_tls_pauses(c, 0, 0, 0);
    check_text(raw_reply(r, BOUND_MS), "x");
  }
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(all_may_travel_byte_by_byte)
{
  struct fake *f = start(&(struct fake_tls){.segment = 1, .pause_us = 20});
  struct raw *r = open_raw(fake_url(f));

  check_text(raw_ask(r, "ECHO", "hello", NULL), "hello");
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(keys_are_updated_at_will)
{
  struct fake *f = start(&(struct fake_tls){.key_update_every = 3});
  struct raw *r = open_raw(fake_url(f));

  for (int i = 0; i < 20; i++) {
    check_text(raw_ask(r, "ECHO", "x", NULL), "x");
    if (i % 5 == 0)
      fake_tls_key_update(fake_conn_at(f, 0));
    if (i % 7 == 0)
      ck_assert(raw_key_update(r));
    if (i % 4 == 0)
      fake_tls_ticket(fake_conn_at(f, 0));
  }
  ck_assert_uint_eq(fake_tls_seen(fake_conn_at(f, 0)).records, 20);
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(the_end_is_said_or_not)
{
  static const struct fake_step polite[] = {FAKE_SEND("+a\r\n"), FAKE_CLOSE, FAKE_END};
  static const struct fake_step rude[] = {FAKE_SEND("+a\r\n"), FAKE_TLS(TRUNCATE), FAKE_END};
  static const struct fake_step early[] = {FAKE_SEND("+a\r\n"), FAKE_TLS(NOTIFY), FAKE_END};
  static const struct fake_step *const scripts[] = {polite, rude, early};
  struct fake *f =
      fake_start(&(struct fake_options){.over = OVER_TLS, .scripts = scripts, .script_count = 3});

  for (size_t i = 0; i < 3; i++) {
    struct raw *r = open_raw(fake_url(f));

    check_text(raw_reply(r, BOUND_MS), "a");
    ck_assert_int_eq(raw_wait_end(r, BOUND_MS), RAW_ENDED);
    ck_assert_int_eq(raw_was_told(r), i != 1);
    ck_assert(i < 2 || fake_conn_is_open(fake_conn_at(f, i)));
    raw_close(r);
    ck_assert(fake_wait_open(f, 0, BOUND_MS));
  }
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(rubbish_between_records_breaks_the_stream)
{
  static const struct fake_step script[] = {FAKE_SEND("+a\r\n"),
                                            FAKE_RAW("\x17\x03\x03\x00\x14"
                                                     "01234567890123456789"),
                                            FAKE_END};
  struct fake *f = fake_start(&(struct fake_options){.over = OVER_TLS, .script = script});
  struct raw *r = open_raw(fake_url(f));

  check_text(raw_reply(r, BOUND_MS), "a");
  ck_assert_int_eq(raw_wait_end(r, BOUND_MS), RAW_RESET);
  ck_assert(fake_wait_tls_failed(fake_conn_at(f, 0), BOUND_MS)); /* by the client's alert */
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

/* ---- handshakes that come to nothing ---- */

START_TEST(a_handshake_may_stop_anywhere)
{
  static const struct fake_tls kinds[] = {
      {.silent = true}, {.first = 50, .pause_us = -1}, {.plain = true}};
  struct fake *f = start(&kinds[_i]);
  struct raw *r = raw_open_tls(fake_url(f), &(struct raw_tls){0}, kinds[_i].plain ? BOUND_MS : 50);

  ck_assert_ptr_null(r);
  ck_assert_uint_eq(fake_counts(f).handshakes, 0);
  if (!kinds[_i].plain) {
    ck_assert_uint_eq(fake_tls_seen(fake_conn_at(f, 0)).raw_sent, kinds[_i].first);
    ck_assert_uint_gt(fake_tls_seen(fake_conn_at(f, 0)).raw_received, 0);
  }
  ck_assert_uint_eq(fake_counts(f).protocol_errors, kinds[_i].plain);
  ck_assert(fake_wait_open(f, 0, BOUND_MS));
  ck_assert(fake_stop(f));
}
END_TEST

/* ---- proxies and real servers ---- */

START_TEST(a_proxy_breaks_what_is_beneath_tls)
{
  struct fake *f = start(NULL);
  struct proxy *p = proxy_start(fake_url(f), NULL);
  struct raw *r;

  ck_assert_int_eq(strncmp(proxy_url(p), "rediss://", 9), 0);
  proxy_slice(p, PROXY_TO_CLIENT, 1);
  r = open_raw(proxy_url(p));
  check_text(raw_ask(r, "ECHO", "x", NULL), "x");
  proxy_cut(p, PROXY_TO_CLIENT, 10, 1); /* in the middle of a record */
  ck_assert_ptr_null(raw_ask(r, "ECHO", "x", NULL));
  ck_assert_uint_eq(proxy_counts(p).cuts, 1);
  raw_close(r);
  proxy_stop(p);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(a_real_server_speaks_tls)
{
  struct server *s = server_start(NULL);
  struct raw *r = open_raw(server_url(s, SERVER_TLS));

  ck_assert_ptr_eq(server_url_over(s, OVER_TLS), server_url(s, SERVER_TLS));
  check_text(raw_ask(r, "SET", "k", "v", NULL), "OK");
  check_text(raw_ask(r, "GET", "k", NULL), "v");
  check_text(server_command(s, "GET", "k", NULL), "v");
  ck_assert_int_eq(server_clients(s), 1);
  ck_assert_int_eq(server_kill_clients(s), 1);
  ck_assert_int_ne(raw_wait_end(r, BOUND_MS), RAW_OPEN);
  raw_close(r);
  ck_assert(server_restart(s));
  r = open_raw(server_url(s, SERVER_TLS));
  check_text(raw_ask(r, "PING", NULL), "PONG");
  raw_close(r);
  ck_assert(server_stop(s));
}
END_TEST

START_TEST(a_real_server_may_want_certificates)
{
  const struct cert_set *usual = certs_default();
  struct raw_tls known = {.cert = cert_file(usual->client), .key = cert_key_file(usual->client)};
  struct raw_tls unknown = {.max_version = TLS1_2_VERSION};
  struct server *s =
      server_start(&(struct server_options){.listen = SERVER_TLS, .tls_clients = "yes"});
  struct raw *r = raw_open_tls(server_url(s, SERVER_TLS), &known, BOUND_MS);

  check_text(raw_ask(r, "PING", NULL), "PONG");
  ck_assert_ptr_null(raw_open_tls(server_url(s, SERVER_TLS), &unknown, BOUND_MS));
  check_text(server_command(s, "PING", NULL), "PONG");
  raw_close(r);
  ck_assert(server_stop(s));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls");

  server_require("check_harness_tls");
  tcase_add_loop_test(tc, handlers_and_scripts_are_the_same_over_tls, 0, 2);
  tcase_add_test(tc, large_values_pass_both_ways);
  tcase_add_test(tc, what_is_sent_before_the_handshake_waits_for_it);
  tcase_add_test(tc, a_client_that_refuses_has_sent_no_command);
  tcase_add_test(tc, a_client_may_have_to_show_a_certificate);
  tcase_add_test(tc, versions_and_names_are_as_agreed);
  tcase_add_test(tc, a_record_may_be_split_at_any_byte);
  tcase_add_test(tc, all_may_travel_byte_by_byte);
  tcase_add_test(tc, keys_are_updated_at_will);
  tcase_add_test(tc, the_end_is_said_or_not);
  tcase_add_test(tc, rubbish_between_records_breaks_the_stream);
  tcase_add_loop_test(tc, a_handshake_may_stop_anywhere, 0, 3);
  tcase_add_test(tc, a_proxy_breaks_what_is_beneath_tls);
  tcase_add_test(tc, a_real_server_speaks_tls);
  tcase_add_test(tc, a_real_server_may_want_certificates);
  return checks_run("tls", tc);
}
