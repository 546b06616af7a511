/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tls.c - tests one TLS stream in memory, against a server of OpenSSL's own: records cut at
 * every byte, key updates in the middle, ends in order and ends that are not, output that is held,
 * and one thread that reads while another one writes. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdatomic.h>
#include <string.h>
#include "base/mem.h"
#include "harness/certs.h"
#include "harness/checks.h"
#include "net/tls.h"
#include "tls_tools.h"

enum { CHUNK = 16 * 1024 };

struct pair {
  struct tls_context *context;
  struct tls *tls;
  SSL_CTX *ctx;
  SSL *server;
  BIO *in, *out; /* of the server */
};

static void start(struct pair *p, int max_version)
{
  const struct cert_set *set = certs_default();

  p->context =
      context_with(SETTINGS("tls.server_name", "localhost", "tls.ca_file", cert_file(set->ca)));
  p->tls = tls_new(p->context);
  ck_assert_ptr_nonnull(p->tls);
  ck_assert_ptr_eq(tls_settings(p->tls), p->context);
  p->ctx = server_with(&(struct server_spec){.cert = set->server, .max_version = max_version});
  p->server = SSL_new(p->ctx);
  p->in = BIO_new(BIO_s_mem());
  p->out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(p->in, -1);
  BIO_set_mem_eof_return(p->out, -1);
  SSL_set_bio(p->server, p->in, p->out);
  SSL_set_accept_state(p->server);
}

static void finish(struct pair *p)
{
  tls_free(p->tls);
  tls_context_unref(p->context);
  SSL_free(p->server);
  SSL_CTX_free(p->ctx);
  ERR_clear_error();
}

/* What the client holds arrives at the server. */
static size_t carry_up(struct pair *p)
{
  size_t len, all = 0;

  while (tls_held(p->tls)) {
    const char *bytes = tls_output(p->tls, &len);

    ck_assert_int_eq(BIO_write(p->in, bytes, (int)len), (int)len);
    tls_sent(p->tls, len);
    all += len;
  }
  return all;
}

static size_t take_down(struct pair *p, char *raw, size_t size)
{
  int n = BIO_read(p->out, raw, (int)size);

  return n > 0 ? (size_t)n : 0;
}

/* At most `at_once` bytes of the server's at a time. */
static void shake_hands(struct pair *p, size_t at_once)
{
  char raw[CHUNK];
  int client = tls_handshake(p->tls, "", 0), server = 0;
  size_t n;

  for (int i = 0; i < 100000 && (client != 0 || server != 1); i++) {
    carry_up(p);
    server = SSL_do_handshake(p->server);
    while (client != 0 && (n = take_down(p, raw, at_once)) > 0) {
      client = tls_handshake(p->tls, raw, n);
      ck_assert_msg(client == 0 || client == NET_AGAIN, "%s", tls_why(p->tls, 0));
    }
  }
  ck_assert_int_eq(client, 0);
  carry_up(p);
  ck_assert_int_eq(SSL_do_handshake(p->server), 1);
}

static void say(struct pair *p, const char *bytes, size_t len)
{
  size_t n;

  ck_assert_int_eq(SSL_write_ex(p->server, bytes, len, &n), 1);
  ck_assert_uint_eq(n, len);
}

static void start_open(struct pair *p, int max_version)
{
  start(p, max_version);
  shake_hands(p, CHUNK);
}

/* How many bytes come of it. */
static ssize_t open_all(struct pair *p, const char *raw, size_t len, char *plain)
{
  char buf[TLS_PLAIN_MAX];
  ssize_t n = tls_open(p->tls, raw, len, buf, sizeof buf);

  ck_assert_msg(n > 0 || n == NET_AGAIN, "%s", tls_why(p->tls, 0));
  if (n > 0)
    memcpy(plain, buf, (size_t)n);
  return n > 0 ? n : 0;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
enum { VERSIONS = 2 };

/* ---- tests ---- */

/* Two records and all that is around them, given to the client in two parts. */
START_TEST(a_record_may_be_cut_at_every_byte)
{
  for (size_t cut = 1;; cut++) {
    char raw[CHUNK], plain[16];
    struct pair p;
    ssize_t got;
    size_t len;

    start_open(&p, versions[_i]);
    say(&p, "$5\r\nhel", 7);
    say(&p, "lo\r\n", 4);
    len = take_down(&p, raw, sizeof raw);
    if (cut < len) {
      got = open_all(&p, raw, cut, plain);
      got += open_all(&p, raw + cut, len - cut, plain + got);
      ck_assert_int_eq(got, 11);
      ck_assert_mem_eq(plain, "$5\r\nhello\r\n", 11);
    }
    finish(&p);
    if (cut >= len)
      return;
  }
}
END_TEST

/* What nobody asked for, of which a part has come: nobody may write behind it. */
START_TEST(a_part_of_a_record_is_known_to_be_one_at_every_byte)
{
  char raw[CHUNK], plain[64];
  struct pair p;
  size_t len;

  start_open(&p, versions[_i]);
  open_all(&p, raw, take_down(&p, raw, sizeof raw), plain); /* tickets */
  ck_assert_int_eq(tls_amid(p.tls), 0);
  say(&p, "$5\r\nWRONG\r\n", 11);
  len = take_down(&p, raw, sizeof raw);
  for (size_t i = 0; i + 1 < len; i++) {
    ck_assert_int_eq(open_all(&p, raw + i, 1, plain), 0);
    ck_assert_msg(tls_amid(p.tls), "after %zu of %zu bytes", i + 1, len);
  }
  ck_assert_int_eq(open_all(&p, raw + len - 1, 1, plain), 11);
  ck_assert_int_eq(tls_amid(p.tls), 0);
  finish(&p);
}
END_TEST

START_TEST(bytes_may_come_one_at_a_time)
{
  char raw[CHUNK], plain[16];
  struct pair p;
  size_t len, got = 0;

  start(&p, versions[_i]);
  shake_hands(&p, 1);
  say(&p, "+one\r\n", 6);
  say(&p, "+two\r\n", 6);
  len = take_down(&p, raw, sizeof raw);
  for (size_t i = 0; i < len; i++)
    got += (size_t)open_all(&p, raw + i, 1, plain + got);
  ck_assert_uint_eq(got, 12);
  ck_assert_mem_eq(plain, "+one\r\n+two\r\n", 12);
  finish(&p);
}
END_TEST

/* However many records there are, all that is complete comes out at once. */
START_TEST(nothing_complete_is_kept_back)
{
  char raw[TLS_RAW_MAX], plain[TLS_PLAIN_MAX], big[SSL3_RT_MAX_PLAIN_LENGTH];
  struct pair p;
  size_t len, got = 0, rounds = 0;

  start_open(&p, versions[_i]);
  memset(big, 'x', sizeof big);
  say(&p, big, sizeof big);
  for (int i = 0; i < 300; i++)
    say(&p, "+small\r\n", 8);
  say(&p, big, sizeof big);
  while ((len = take_down(&p, raw, sizeof raw)) > 0) {
    ssize_t n = tls_open(p.tls, raw, len, plain, sizeof plain);

    got += n > 0 ? (size_t)n : 0;
    rounds++;
    ck_assert_int_eq(tls_open(p.tls, "", 0, plain, sizeof plain), NET_AGAIN);
  }
  ck_assert_uint_eq(got, 2 * sizeof big + 300 * 8);
  ck_assert_uint_le(rounds, 4);
  finish(&p);
}
END_TEST

START_TEST(what_comes_right_behind_the_handshake_is_not_lost)
{
  static const char busy[] = "-ERR max number of clients reached\r\n";
  char raw[CHUNK], plain[TLS_PLAIN_MAX];
  struct pair p;
  size_t n;

  start(&p, TLS1_3_VERSION);
  tls_handshake(p.tls, "", 0);
  carry_up(&p);
  /* before it has heard our last word */
  ck_assert_int_eq(SSL_read_early_data(p.server, raw, sizeof raw, &n), SSL_READ_EARLY_DATA_FINISH);
  ck_assert_int_eq(SSL_write_early_data(p.server, busy, sizeof busy - 1, &n), 1);
  n = take_down(&p, raw, sizeof raw);
  ck_assert_int_eq(tls_handshake(p.tls, raw, n), 0);
  carry_up(&p);
  ck_assert_int_eq(tls_open(p.tls, "", 0, plain, sizeof plain), sizeof busy - 1);
  ck_assert_mem_eq(plain, busy, sizeof busy - 1);
  finish(&p);
}
END_TEST

/* Both sides renew their keys every 100 records; nothing is lost, and both go on. */
START_TEST(key_updates_in_the_middle_change_nothing)
{
  char raw[CHUNK], plain[TLS_PLAIN_MAX], text[16], back[64];
  struct pair p;
  size_t n, got;

  start_open(&p, TLS1_3_VERSION);
  for (int i = 0; i < 5000; i++) {
    if (i % 100 == 99)
      ck_assert_int_eq(SSL_key_update(p.server, i % 200 == 99 ? SSL_KEY_UPDATE_REQUESTED
                                                              : SSL_KEY_UPDATE_NOT_REQUESTED),
                       1);
    n = (size_t)snprintf(text, sizeof text, "+%d\r\n", i);
    say(&p, text, n);
    got = take_down(&p, raw, sizeof raw);
    ck_assert_int_eq(tls_open(p.tls, raw, got, plain, sizeof plain), (int)n);
    ck_assert_mem_eq(plain, text, n);
    ck_assert_int_eq(tls_seal(p.tls, text, n), (int)n);
    carry_up(&p);
    ck_assert_int_eq(SSL_read_ex(p.server, back, sizeof back, &got), 1);
    ck_assert_uint_eq(got, n);
    ck_assert_mem_eq(back, text, n);
  }
  finish(&p);
}
END_TEST

START_TEST(an_end_in_order_and_a_cut_are_told_apart_and_come_last)
{
  for (int in_order = 0; in_order < 2; in_order++) {
    char raw[CHUNK], plain[TLS_PLAIN_MAX];
    struct pair p;
    size_t len;

    start_open(&p, versions[_i]);
    say(&p, "+last\r\n", 7);
    if (in_order)
      SSL_shutdown(p.server);
    len = take_down(&p, raw, sizeof raw);
    ck_assert_int_eq(tls_open(p.tls, raw, len, plain, sizeof plain), 7);
    ck_assert_int_eq(tls_over(p.tls), in_order);
    if (in_order) { /* known before it was told: nothing may count as sent any more */
      ck_assert_int_eq(tls_seal(p.tls, "x", 1), NET_ERROR);
      ck_assert_int_ne(*tls_why(p.tls, 1), '\0');
      ck_assert_int_eq(tls_held(p.tls), 0);
    }
    ck_assert_int_eq(tls_open(p.tls, NULL, 0, plain, sizeof plain), in_order ? NET_EOF : NET_ERROR);
    ck_assert_int_eq(tls_open(p.tls, NULL, 0, plain, sizeof plain), in_order ? NET_EOF : NET_ERROR);
    ck_assert_int_eq(tls_refused(p.tls), 0);
    ck_assert_int_eq(*tls_why(p.tls, 0) == '\0', in_order);
    if (!in_order)
      ck_assert_ptr_nonnull(strstr(tls_why(p.tls, 0), "may be cut off"));
    finish(&p);
  }
}
END_TEST

/* What was changed on the way ends the stream; what came before it is given out, nothing after it.
 */
START_TEST(a_changed_byte_ends_it_for_good)
{
  char raw[CHUNK], plain[TLS_PLAIN_MAX];
  struct pair p;
  size_t first, len;

  start_open(&p, versions[_i]);
  say(&p, "+good\r\n", 7);
  first = take_down(&p, raw, sizeof raw);
  say(&p, "+evil\r\n", 7);
  len = first + take_down(&p, raw + first, sizeof raw - first);
  raw[len - 3] ^= 1;
  say(&p, "+more\r\n", 7);
  ck_assert_int_eq(tls_open(p.tls, raw, len, plain, sizeof plain), 7);
  ck_assert_int_eq(tls_over(p.tls), 1);
  ck_assert_int_eq(tls_open(p.tls, "", 0, plain, sizeof plain), NET_ERROR);
  len = take_down(&p, raw, sizeof raw);
  ck_assert_int_eq(tls_open(p.tls, raw, len, plain, sizeof plain), NET_ERROR);
  ck_assert_int_ne(*tls_why(p.tls, 0), '\0');
  carry_up(&p); /* the alert */
  ck_assert_int_eq(tls_seal(p.tls, "x", 1), NET_ERROR);
  ck_assert_str_eq(tls_why(p.tls, 1), tls_why(p.tls, 0));
  tls_seal_end(p.tls);
  ck_assert_int_eq(tls_held(p.tls), 0);
  finish(&p);
}
END_TEST

START_TEST(output_is_held_in_one_place_until_it_is_sent)
{
  static char big[200 * 1024];
  struct pair p;
  const char *bytes;
  size_t len, sent = 0, at_most = 0, got;
  char back[4096];

  start_open(&p, versions[_i]);
  for (size_t i = 0; i < sizeof big; i++)
    big[i] = (char)('a' + i % 23);
  ck_assert_int_eq(tls_held(p.tls), 0);
  for (size_t taken = 0; taken < sizeof big;) {
    ssize_t n = tls_seal(p.tls, big + taken, sizeof big - taken);

    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(tls_held(p.tls), 1);
    taken += (size_t)n;
    if (n > 8192)
      ck_assert_int_eq(tls_seal(p.tls, "x", 1), NET_AGAIN);
    bytes = tls_output(p.tls, &len);
    at_most = len > at_most ? len : at_most;
    ck_assert_int_eq(BIO_write(p.in, bytes, 10), 10);
    tls_sent(p.tls, 10);
    ck_assert_ptr_eq(tls_output(p.tls, &got), bytes + 10);
    ck_assert_uint_eq(got, len - 10);
    carry_up(&p);
    ck_assert_int_eq(tls_held(p.tls), 0);
    while (SSL_read_ex(p.server, back, sizeof back, &got) == 1) {
      ck_assert_mem_eq(back, big + sent, got);
      sent += got;
    }
  }
  ck_assert_uint_eq(sent, sizeof big);
  ck_assert_uint_le(at_most, 34 * 1024);
  tls_seal_end(p.tls);
  carry_up(&p);
  ck_assert_int_eq(SSL_read_ex(p.server, back, sizeof back, &got), 0);
  ck_assert_int_eq(SSL_get_error(p.server, 0), SSL_ERROR_ZERO_RETURN);
  finish(&p);
}
END_TEST

/* ---- both ways at once ---- */

enum { MESSAGES = 20000 };

struct duplex {
  struct pair p;
  pthread_mutex_t mutex; /* of the server */
  _Atomic int failed;
};

static size_t message(char *buf, size_t size, int i)
{
  return (size_t)snprintf(buf, size, "$%d\r\n%0*d\r\n", 1 + i % 300, 1 + i % 300, i % 10);
}

static void *read_all(void *arg)
{
  struct duplex *d = arg;
  char expected[512], raw[CHUNK], plain[TLS_PLAIN_MAX];

  for (int i = 0; i < MESSAGES && !d->failed; i++) {
    size_t len = message(expected, sizeof expected, i), written, n;

    pthread_mutex_lock(&d->mutex);
    if (i % 100 == 99)
      SSL_key_update(d->p.server, SSL_KEY_UPDATE_REQUESTED);
    d->failed |= SSL_write_ex(d->p.server, expected, len, &written) != 1 || written != len;
    n = take_down(&d->p, raw, sizeof raw);
    pthread_mutex_unlock(&d->mutex);
    d->failed |= tls_open(d->p.tls, raw, n, plain, sizeof plain) != (ssize_t)len ||
                 memcmp(plain, expected, len) != 0;
  }
  return NULL;
}

static void hand_over(struct duplex *d)
{
  size_t len;
  const char *bytes = tls_output(d->p.tls, &len);

  pthread_mutex_lock(&d->mutex);
  BIO_write(d->p.in, bytes, (int)len);
  pthread_mutex_unlock(&d->mutex);
  tls_sent(d->p.tls, len);
}

static int server_reads(struct duplex *d, char *buf, size_t size)
{
  size_t n = 0;
  int result;

  pthread_mutex_lock(&d->mutex);
  result = SSL_read_ex(d->p.server, buf, size, &n);
  pthread_mutex_unlock(&d->mutex);
  return result == 1 ? (int)n : -1;
}

START_TEST(one_thread_reads_while_another_one_writes)
{
  struct duplex d = {.mutex = PTHREAD_MUTEX_INITIALIZER};
  char text[512], back[512];
  pthread_t reader;

  start_open(&d.p, TLS1_3_VERSION);
  ck_assert_int_eq(pthread_create(&reader, NULL, read_all, &d), 0);
  for (int i = 0; i < MESSAGES && !d.failed; i++) {
    size_t len = message(text, sizeof text, i);

    d.failed |= tls_seal(d.p.tls, text, len) != (ssize_t)len;
    while (tls_held(d.p.tls))
      hand_over(&d);
    d.failed |= server_reads(&d, back, sizeof back) != (int)len || memcmp(back, text, len) != 0;
  }
  pthread_join(reader, NULL);
  ck_assert_int_eq(d.failed, 0);
  finish(&d.p);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls");

  certs_default(); /* before a test counts descriptors */
  tcase_add_loop_test(tc, a_record_may_be_cut_at_every_byte, 0, VERSIONS);
  tcase_add_loop_test(tc, a_part_of_a_record_is_known_to_be_one_at_every_byte, 0, VERSIONS);
  tcase_add_loop_test(tc, bytes_may_come_one_at_a_time, 0, VERSIONS);
  tcase_add_loop_test(tc, nothing_complete_is_kept_back, 0, VERSIONS);
  tcase_add_test(tc, what_comes_right_behind_the_handshake_is_not_lost);
  tcase_add_test(tc, key_updates_in_the_middle_change_nothing);
  tcase_add_loop_test(tc, an_end_in_order_and_a_cut_are_told_apart_and_come_last, 0, VERSIONS);
  tcase_add_loop_test(tc, a_changed_byte_ends_it_for_good, 0, VERSIONS);
  tcase_add_loop_test(tc, output_is_held_in_one_place_until_it_is_sent, 0, VERSIONS);
  tcase_add_test(tc, one_thread_reads_while_another_one_writes);
  return checks_run("tls", tc);
}
