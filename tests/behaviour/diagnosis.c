/* SPDX-License-Identifier: BSD-3-Clause */
/* diagnosis.c - each set-up that is broken in one way, as poolmux-ping sees it: the stage, the
 * thing and its value, what to do, and the exit status. Here: who is not reached, and TLS; the
 * others: diagnosis_login.c; programs that are connected already: diagnosis_running.c. */
#include "behaviour/diagnosing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "harness/certs.h"
#include "harness/checks.h"
#include "harness/fake_tls.h"
#include "harness/sock.h"

enum { URL_SIZE = 256 };

/* ---- where ---- */

START_TEST(wrong_port)
{
  struct told told;
  unsigned port = sock_free_port();
  char url[URL_SIZE], address[URL_SIZE];

  snprintf(url, sizeof url, "redis://127.0.0.1:%u", port);
  snprintf(address, sizeof address, "cannot connect to 127.0.0.1:%u: Connection refused", port);
  ping(&told, url, NULL);
  check_fails_at(&told, "wrong port", 4, "tcp", address, "check host and port", NULL);
}
END_TEST

/* A program may connect late; who diagnoses it does not. */
START_TEST(connect_that_is_to_be_lazy)
{
  struct told told;
  unsigned port = sock_free_port();
  char url[URL_SIZE];

  snprintf(url, sizeof url, "redis://127.0.0.1:%u?db=3&connect=lazy&pool.max_size=2", port);
  ping(&told, url, NULL);
  check_fails_at(&told, "wrong port", 4, "tcp", "Connection refused", "check host and port", NULL);
  snprintf(url, sizeof url, "redis://127.0.0.1:%u", port);
  ping(&told, "-o", "connect=lazy", url, NULL);
  check_fails_at(&told, "wrong port", 4, "tcp", "Connection refused", "check host and port", NULL);
  ping(&told, "redis://no-such-host.invalid?connect=lazy", NULL);
  check_fails_at(&told, "wrong host name", 3, "dns", "getent hosts", NULL);
  ping(&told, "redis://127.0.0.1?connect=late", NULL);
  check_fails_at(&told, "misspelt option", 2, "options", "connect", "poolmux-options(7)", NULL);
}
END_TEST

START_TEST(wrong_host_name)
{
  struct told told;

  ping(&told, "redis://no-such-host.invalid", NULL);
  check_fails_at(&told, "wrong host name", 3, "dns",
                 "host \"no-such-host.invalid\": ", "getent hosts", NULL);
}
END_TEST

START_TEST(no_such_socket)
{
  struct told told;

  ping(&told, "unix:///nonexistent/redis.sock", NULL);
  check_fails_at(&told, "no such socket", 4, "tcp",
                 "cannot connect to /nonexistent/redis.sock: No such file or directory",
                 "\"unixsocket\"", NULL);
}
END_TEST

START_TEST(misspelt_option)
{
  struct told told;

  ping(&told, "redis://127.0.0.1?pool.maxsize=3", NULL);
  check_fails_at(&told, "misspelt option", 2, "options",
                 "unknown option \"pool.maxsize\"; did you mean \"pool.max_size\"?",
                 "poolmux-options(7)", NULL);
}
END_TEST

/* ---- TLS ---- */

static struct server *tls_server(const char *clients)
{
  struct server_options options = {.listen = SERVER_TCP | SERVER_TLS, .tls_clients = clients};
  struct server *server = server_start(&options);

  ck_assert_ptr_nonnull(server);
  return server;
}

static const char *trust(char buf[URL_SIZE])
{
  snprintf(buf, URL_SIZE, "tls.ca_file=%s", cert_file(certs_default()->ca));
  return buf;
}

START_TEST(unknown_ca)
{
  struct server *server = tls_server("no");
  struct told told;

  ping(&told, server_url(server, SERVER_TLS), NULL);
  check_fails_at(&told, "unknown CA", 5, "tls", "TLS handshake: ", "is not trusted here (issuer \"",
                 "-o tls.ca_file=FILE", "\n  certificate ", "\n    issuer    ",
                 "\n    valid     20", NULL);
  server_stop(server);
}
END_TEST

START_TEST(wrong_name_in_certificate)
{
  struct server *server = tls_server("no");
  struct told told;
  char ca[URL_SIZE];

  ping(&told, "-o", trust(ca), "-o", "tls.server_name=redis.example.com",
       server_url(server, SERVER_TLS), NULL);
  check_fails_at(&told, "wrong name in the certificate", 5, "tls",
                 "the server's certificate is not for name \"redis.example.com\" but for \"",
                 "tls.server_name=NAME", "\n  certificate ", NULL);
  server_stop(server);
}
END_TEST

START_TEST(file_that_is_missing)
{
  struct told told;

  ping(&told, "-o", "tls.ca_file=/nonexistent/ca.crt", "rediss://127.0.0.1", NULL);
  check_fails_at(&told, "missing file", 2, "options",
                 "tls.ca_file: \"/nonexistent/ca.crt\" cannot be read: No such file",
                 "Correct that option", NULL);
}
END_TEST

START_TEST(expired_certificate)
{
  struct certs *certs = certs_new();
  const struct cert *ca = certs_ca(certs, "an authority");
  const struct cert *old = certs_make(certs, &(struct cert_spec){.name = "localhost",
                                                                 .issuer = ca,
                                                                 .ip = {"127.0.0.1"},
                                                                 .from_s = -7200,
                                                                 .until_s = -3600});
  struct fake_tls tls = {.cert = cert_chain_file(old), .key = cert_key_file(old)};
  struct fake *fake = fake_start(&(struct fake_options){.over = OVER_TLS, .tls = &tls});
  struct told told;
  char trusted[URL_SIZE];

  snprintf(trusted, sizeof trusted, "tls.ca_file=%s", cert_file(ca));
  ping(&told, "-o", trusted, fake_url(fake), NULL);
  check_fails_at(&told, "expired certificate", 5, "tls", "the server's certificate expired on 20",
                 "this machine's clock says 20", "Renew the certificate", "\n  certificate ", NULL);
  ck_assert(fake_stop(fake));
  certs_free(certs);
}
END_TEST

START_TEST(client_certificate_wanted)
{
  struct server *server = tls_server("yes");
  struct told told;
  char ca[URL_SIZE];

  ping(&told, "-o", trust(ca), server_url(server, SERVER_TLS), NULL);
  check_fails_at(&told, "client certificate wanted", 5, "tls",
                 "the server wants a client certificate", "tls.cert_file", "tls.key_file", NULL);
  server_stop(server);
}
END_TEST

START_TEST(tls_to_a_plain_port)
{
  struct server *server = tls_server("no");
  struct told told;
  char url[URL_SIZE];

  snprintf(url, sizeof url, "rediss://127.0.0.1:%u", server_port(server));
  ping(&told, "-t", "1s", url, NULL);
  check_fails_at(&told, "TLS to a plain port", 5, "tls",
                 "no answer in time; is this the server's TLS port?",
                 "use redis:// instead of rediss://", NULL);
  server_stop(server);
}
END_TEST

START_TEST(plain_to_a_tls_port)
{
  struct server *server = tls_server("no");
  struct told told;
  char url[URL_SIZE];

  snprintf(url, sizeof url, "redis://%s", server_url(server, SERVER_TLS) + strlen("rediss://"));
  ping(&told, url, NULL);
  check_fails_at(&told, "no TLS to a TLS port", 6, "login", "cannot log in to 127.0.0.1:",
                 "without a word: is this a port for TLS (rediss://)", "Try rediss://", NULL);
  server_stop(server);
}
END_TEST

START_TEST(nothing_wrong)
{
  struct server *server = tls_server("no");
  struct told told;
  char ca[URL_SIZE];

  ping(&told, "-n5", "-o", trust(ca), server_url(server, SERVER_TLS), NULL);
  ck_assert_msg(told.status == 0, "%s", told.text);
  check_tells(told.text, "ok rediss://127.0.0.1:", "\n  address     127.0.0.1:",
              "\n  tls         TLSv1.3, TLS_", "\n  verified    for 127.0.0.1\n",
              "\n  protocol    RESP", "\n  server      ", ", standalone, master\n",
              "\n  user        default\n", "\n  db          0\n", "\n  round trip  min ", " of 5\n",
              NULL);
  ping(&told, "-j", "-n5", "-o", trust(ca), server_url(server, SERVER_TLS), NULL);
  check_tells(told.text,
              "{\"ok\":true,\"url\":\"rediss://127.0.0.1:", "\"tls\":{\"version\":\"TLSv1.3\"",
              "\"db\":0", "\"round_trip_ns\":{\"count\":5,\"min\":", NULL);
  server_stop(server);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("diagnosis");

  server_require("diagnosis");
  tcase_add_test(tc, wrong_port);
  tcase_add_test(tc, connect_that_is_to_be_lazy);
  tcase_add_test(tc, wrong_host_name);
  tcase_add_test(tc, no_such_socket);
  tcase_add_test(tc, misspelt_option);
  tcase_add_test(tc, unknown_ca);
  tcase_add_test(tc, wrong_name_in_certificate);
  tcase_add_test(tc, file_that_is_missing);
  tcase_add_test(tc, expired_certificate);
  tcase_add_test(tc, client_certificate_wanted);
  tcase_add_test(tc, tls_to_a_plain_port);
  tcase_add_test(tc, plain_to_a_tls_port);
  tcase_add_test(tc, nothing_wrong);
  return checks_run("diagnosis", tc);
}
