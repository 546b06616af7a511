/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_hello.c - what a client says first, and what it agrees to: the name it asks for, sessions
 * that are resumed, each ticket of TLS 1.3 once, versions, ciphers, groups. The C library's send()
 * is replaced by one that keeps what the client said. */
#include "behaviour/tls_tools.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/checks.h"

/* ---- what was said: RFC 8446, section 4.1.2 ---- */

enum { HELLOS = 64, HELLO_SIZE = 4096, GROUPS = 10, PRE_SHARED_KEY = 41 };

static pthread_mutex_t hello_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hello {
  unsigned char bytes[HELLO_SIZE];
  size_t len;
} hellos[HELLOS];
static size_t hello_count;

static void keep(const unsigned char *bytes, size_t len)
{
  if (len < 6 || len > HELLO_SIZE || bytes[0] != 0x16 || bytes[5] != 1)
    return;
  pthread_mutex_lock(&hello_lock);
  if (hello_count < HELLOS) {
    memcpy(hellos[hello_count].bytes, bytes, len);
    hellos[hello_count++].len = len;
  }
  pthread_mutex_unlock(&hello_lock);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
  keep(bytes, size);
  return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

static size_t number_at(const struct hello *h, size_t at)
{
  ck_assert_uint_le(at + 2, h->len);
  return (size_t)h->bytes[at] << 8 | h->bytes[at + 1];
}

/* Where an extension's content begins; 0: it is not there. */
static size_t extension(const struct hello *h, size_t type, size_t *ret_len)
{
  size_t at = 5 + 4 + 2 + 32;

  at += 1 + (size_t)h->bytes[at]; /* session */
  at += 2 + number_at(h, at);     /* ciphers */
  at += 1 + (size_t)h->bytes[at]; /* compression */
  for (at += 2; at + 4 <= h->len; at += 4 + *ret_len) {
    *ret_len = number_at(h, at + 2);
    if (number_at(h, at) == type)
      return at + 4;
  }
  return 0;
}

/* The ticket in the i-th hello; NULL: none. */
static const unsigned char *ticket_of(size_t i, size_t *ret_len)
{
  size_t len, at = extension(&hellos[i], PRE_SHARED_KEY, &len);

  if (!at)
    return NULL;
  *ret_len = number_at(&hellos[i], at + 2);
  return hellos[i].bytes + at + 4;
}

/* ---- the name that is asked for ---- */

START_TEST(names_are_announced_and_addresses_are_not)
{
  static const struct {
    const char *host, *server_name, *announced;
  } rows[] = {{"localhost", "", "localhost"},
              {"localhost", STAGE_NAME, STAGE_NAME},
              {"127.0.0.1", STAGE_NAME, STAGE_NAME},
              {"127.0.0.1", "", ""},
              {"localhost", "127.0.0.1", ""}};

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct stage s;
    struct fake *fake;
    pmx_client *client;
    char url[64];

    stage_open(&s, strategies[_i]);
    stage_present(&s, certs_make(s.certs, &(struct cert_spec){.dns = {"localhost", STAGE_NAME},
                                                              .ip = {"127.0.0.1"},
                                                              .issuer = s.ca}));
    fake = stage_fake(&s, OVER_TLS, answer_values, NULL);
    set_option(s.options, "tls.server_name", rows[i].server_name);
    set_option(s.options, "address_family", "ipv4");
    snprintf(url, sizeof url, "rediss://%s:%u", rows[i].host, fake_port(fake));
    client = stage_connect(&s, url);
    ck_assert_str_eq(fake_tls_seen(fake_conn_at(fake, 0)).server_name, rows[i].announced);
    close_client(client);
    stage_close_fake(&s, fake);
  }
}
END_TEST

/* ---- sessions ---- */

static bool resumed(struct fake *fake, size_t i)
{
  ck_assert(fake_wait_handshakes(fake, i + 1, SOON_MS));
  return fake_tls_seen(fake_conn_at(fake, i)).resumed;
}

/* Another connection of the client, the one before being gone. */
static void connect_again(pmx_client *client, struct fake *fake)
{
  fake_reset(fake_conn_at(fake, fake_accepted(fake) - 1));
  ck_assert(fake_wait_open(fake, 0, SOON_MS));
  get_value(client, "k");
}

START_TEST(session_is_resumed_by_the_client_that_had_it_and_by_no_other)
{
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

  for (int v = 0; v < 2; v++) {
    struct stage s;
    struct fake *fake;
    pmx_client *first, *second;

    stage_open_named(&s, _i);
    s.server.max_version = versions[v];
    fake = stage_fake(&s, OVER_TLS, answer_values, NULL);
    first = stage_connect(&s, fake_url(fake));
    get_value(first, "k");
    for (size_t i = 1; i < 6; i++) {
      connect_again(first, fake);
      ck_assert_uint_eq(fake_accepted(fake), i + 1);
      ck_assert_int_eq(fake_tls_seen(fake_conn_at(fake, i)).version, versions[v]);
      ck_assert_msg(resumed(fake, i), "TLS 1.%d: connection %zu was not resumed", 2 + v, i);
    }
    second = stage_connect(&s, fake_url(fake));
    get_value(second, "k");
    ck_assert(!resumed(fake, 6));
    close_client(first);
    close_client(second);
    stage_close_fake(&s, fake);
  }
}
END_TEST

/* Of TLS 1.2 a session is offered again and again: if it is what the server does not like, each
 * handshake would end like that one. */
START_TEST(session_is_not_offered_after_a_handshake_without_an_answer)
{
  struct stage s;
  struct fake *fake;
  pmx_client *client;
  pmx_call call = call_in(1000);
  size_t last;

  stage_open_named(&s, _i);
  s.server.max_version = TLS1_2_VERSION;
  set_option(s.options, "connect_timeout", "300ms");
  fake = stage_fake(&s, OVER_TLS, answer_values, NULL);
  client = stage_connect(&s, fake_url(fake));
  get_value(client, "k");
  connect_again(client, fake);
  last = fake_accepted(fake) - 1;
  ck_assert(fake_tls_seen(fake_conn_at(fake, last)).resumed);
  fake_accept_mode(fake, FAKE_ACCEPT_SILENT);
  fake_reset(fake_conn_at(fake, last));
  pmx_reply_free(pmx_do(client, &call, "GET", "k", (char *)NULL));
  ck_assert(fake_wait_accepted(fake, last + 2, SOON_MS)); /* and it got no answer */
  fake_accept_mode(fake, FAKE_ACCEPT);
  get_value(client, "k");
  last = fake_accepted(fake) - 1;
  ck_assert(fake_tls_seen(fake_conn_at(fake, last)).handshaken);
  ck_assert(!fake_tls_seen(fake_conn_at(fake, last)).resumed);
  close_client(client);
  stage_close_fake(&s, fake);
}
END_TEST

static void get_alone(int i, void *client)
{
  (void)i;
  get_value_alone(client, "k");
}

/* Of all that were offered no two are the same, though many connect at once: then there is not one
 * for each. */
START_TEST(ticket_of_tls_1_3_is_used_once)
{
  struct fake *fake = stream_fake(NULL);
  pmx_client *client = open_client("pool", fake_url(fake), "pool.max_size", "8", "pool.min_idle",
                                   "8", "pool.prefill", "async", (char *)NULL);
  size_t offered = 0, n;

  for (int round = 0; round < 4; round++) {
    run_threads(8, get_alone, client);
    check_stat(client, idle, 8);
    n = fake_accepted(fake);
    for (size_t i = 0; i < n; i++)
      fake_reset(fake_conn_at(fake, i));
    for (size_t i = 0; i < n; i++)
      ck_assert(fake_wait_closed(fake_conn_at(fake, i), SOON_MS));
  }
  close_client(client);
  ck_assert_uint_ge(hello_count, fake_accepted(fake));
  for (size_t i = 0; i < hello_count; i++) {
    size_t len, other_len;
    const unsigned char *ticket = ticket_of(i, &len), *other;

    offered += ticket != NULL;
    for (size_t k = 0; k < i && ticket; k++) {
      other = ticket_of(k, &other_len);
      ck_assert_msg(!other || len != other_len || memcmp(ticket, other, len) != 0,
                    "connections %zu and %zu offered the same ticket", k, i);
    }
  }
  printf("%zu connections, %zu offered a ticket\n", hello_count, offered);
  ck_assert_uint_ge(offered, 4);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- versions, ciphers, groups ---- */

START_TEST(newer_version_than_the_server_has_is_refused)
{
  const char *says[] = {"the server speaks no version of TLS that tls.min_version=1.3 allows",
                        NULL};
  struct stage s;
  struct fake *fake;
  pmx_client *client;

  stage_open_named(&s, _i);
  s.server.max_version = TLS1_2_VERSION;
  fake = stage_fake(&s, OVER_TLS, answer_values, NULL);
  set_option(s.options, "tls.min_version", "1.3");
  check_stage_refused(&s, fake_url(fake), says, PMX_CAUSE_TLS);
  set_option(s.options, "tls.min_version", "1.2");
  client = stage_connect(&s, fake_url(fake));
  close_client(client);
  stage_close_fake(&s, fake);
}
END_TEST

/* A real server that allows one of each only. */
static const struct {
  const char *option, *right, *wrong;
  const char *config[5];
} choices[] = {
    {"tls.ciphers",
     "ECDHE-ECDSA-AES128-GCM-SHA256",
     "ECDHE-ECDSA-AES256-GCM-SHA384",
     {"--tls-protocols", "TLSv1.2", "--tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"}},
    {"tls.ciphersuites",
     "TLS_AES_128_GCM_SHA256",
     "TLS_AES_256_GCM_SHA384",
     {"--tls-protocols", "TLSv1.3", "--tls-ciphersuites", "TLS_AES_128_GCM_SHA256"}},
};
enum { CHOICES = sizeof choices / sizeof choices[0] };

START_TEST(ciphers_are_those_that_were_chosen)
{
  const char *says[] = {"no cipher, group or kind of signature in common", choices[_i].option,
                        NULL};
  struct stage s;
  struct server *server;
  pmx_client *client;

  stage_open_named(&s, 0);
  server = server_start(&(struct server_options){.listen = SERVER_TLS,
                                                 .password = CANARY,
                                                 .tls_cert = s.server.cert,
                                                 .tls_key = s.server.key,
                                                 .config = choices[_i].config});
  set_option(s.options, choices[_i].option, choices[_i].wrong);
  check_stage_refused(&s, server_url(server, SERVER_TLS), says, PMX_CAUSE_TLS);
  set_option(s.options, choices[_i].option, choices[_i].right);
  client = stage_connect(&s, server_url(server, SERVER_TLS));
  check_is_ok(pmx_command(client, "PING"));
  close_client(client);
  stage_close_server(&s, server);
}
END_TEST

START_TEST(groups_are_those_that_were_chosen)
{
  static const unsigned char p384_p256[] = {0, 4, 0, 24, 0, 23};
  struct stage s;
  struct server *server;
  size_t len, at;

  stage_open_named(&s, 0);
  set_option(s.options, "tls.groups", "P-384:P-256");
  server = stage_server(&s, "no");
  close_client(stage_connect(&s, server_url(server, SERVER_TLS)));
  ck_assert_uint_eq(hello_count, 1);
  at = extension(&hellos[0], GROUPS, &len);
  ck_assert_uint_gt(at, 0);
  ck_assert_uint_eq(len, sizeof p384_p256);
  ck_assert_mem_eq(hellos[0].bytes + at, p384_p256, len);
  stage_close_server(&s, server);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_hello");

  server_require("tls_hello");
  add_for_strategies(tc, names_are_announced_and_addresses_are_not);
  add_for_strategies(tc, session_is_resumed_by_the_client_that_had_it_and_by_no_other);
  add_for_strategies(tc, session_is_not_offered_after_a_handshake_without_an_answer);
  tcase_add_test(tc, ticket_of_tls_1_3_is_used_once);
  add_for_strategies(tc, newer_version_than_the_server_has_is_refused);
  tcase_add_loop_test(tc, ciphers_are_those_that_were_chosen, 0, CHOICES);
  tcase_add_test(tc, groups_are_those_that_were_chosen);
  return checks_run("tls_hello", tc);
}
