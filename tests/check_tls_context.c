/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tls_context.c - net/tls_context.c: what a generation of settings accepts and how it greets
 * a server, which sessions it offers again, and that it is whole or not there at all. */
#include "base/mem.h"
#include "harness/checks.h"
#include "harness/torture.h"
#include "tls_tools.h"

static const struct cert_set *set;
static SSL_CTX *server;

static void setup(void)
{
  set = certs_default();
  server = server_with(&(struct server_spec){.cert = set->server});
}

static void teardown(void)
{
  SSL_CTX_free(server);
}

/* 1: the handshake was completed. */
static int connects(struct tls_context *context, SSL_CTX *to)
{
  struct talk t = talk_begin(context, to);
  int done;

  talk_run(&t);
  done = !t.failed && SSL_is_init_finished(t.client);
  ERR_clear_error();
  talk_end(&t);
  return done;
}

START_TEST(a_trusted_server_is_accepted_by_name_and_by_address)
{
  static const char *const hosts[] = {"localhost", "LOCALHOST", "localhost.",     "127.0.0.1",
                                      "::1",       "::1%lo",    "0:0:0:0:0:0:0:1"};

  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    struct tls_context *context =
        context_with(SETTINGS("host", hosts[i], "tls.ca_file", cert_file(set->ca)));

    ck_assert_msg(connects(context, server), "%s", hosts[i]);
    tls_context_unref(context);
  }
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_context");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, a_trusted_server_is_accepted_by_name_and_by_address);
  return checks_run("tls_context", tc);
}
