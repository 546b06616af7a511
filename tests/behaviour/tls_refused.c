/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_refused.c - who is not spoken to: every defect that a server's certificate, its TLS or the
 * client's own certificate can have. Each ends pmx_open with its own sentence, within the time of
 * one connect, and before a byte of the login has left; the server's side proves it. And what
 * becomes of a client whose server is replaced by such a one while it works. */
#include "behaviour/tls_defects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/leasing.h"
#include "behaviour/tls_makers.h"
#include "harness/checks.h"

static void refusal_open(struct stage *s, const struct refusal *r, const char *strategy)
{
  stage_open(s, strategy);
  ask_for(s, STAGE_NAME);
  r->make(s);
}

static void check_refusal(const struct refusal *r, pmx_reply *err)
{
  printf("%s: %s\n", r->name, pmx_reply_error(err));
  check_says_all(err, r->says);
  check_fails(err, PMX_NOT_RUN, r->cause);
}

/* A client certificate that TLS 1.3 refuses is refused behind the handshake, as the client sees it:
 * the login may be on its way then. The server has not accepted the stream and reads none of it. */
static void check_fake(const struct refusal *r, const char *strategy)
{
  struct stage s;
  struct fake *fake;

  refusal_open(&s, r, strategy);
  fake = stage_fake(&s, OVER_TLS, answer_values, NULL);
  check_refusal(r, stage_refused(&s, fake_url(fake)));
  ck_assert(fake_wait_open(fake, s.accept == FAKE_ACCEPT_SILENT, SOON_MS));
  ck_assert_uint_ge(fake_accepted(fake), 1);
  if (r->cause == PMX_CAUSE_TLS) /* nothing that trying again could mend */
    ck_assert_uint_eq(fake_accepted(fake), 1);
  ck_assert_uint_eq(fake_counts(fake).handshakes, 0);
  ck_assert_uint_eq(fake_counts(fake).commands, 0);
  for (size_t i = 0; i < fake_accepted(fake) && !s.server.plain; i++)
    ck_assert_uint_eq(fake_received(fake_conn_at(fake, i)), 0);
  stage_close_fake(&s, fake);
}

START_TEST(fake_server_is_refused_and_has_seen_no_byte_of_the_login)
{
  for (int i = 0; i < strategy_count; i++)
    check_fake(&refusals[_i], strategies[i]);
}
END_TEST

START_TEST(real_server_is_refused_and_has_seen_no_command)
{
  struct stage s;
  const struct refusal *r = &refusals[_i];
  struct server *server;
  int64_t before;

  refusal_open(&s, r, strategies[_i % strategy_count]); /* in turn: a server takes its time */
  server = stage_server(&s, r->flags & WANTS_CLIENTS ? "yes" : "no");
  before = server_commands(server);
  check_refusal(r, stage_refused(&s, server_url(server, SERVER_TLS)));
  ck_assert_int_eq(server_commands(server), before);
  check_clients(server, 0);
  stage_close_server(&s, server);
}
END_TEST

/* It waits for the rest of what it takes for a line. */
START_TEST(plain_port_of_a_real_server_is_named_as_such)
{
  struct server *server = server_start(&(struct server_options){.listen = SERVER_TCP});
  const char *says[] = {"is this the server's TLS port?", NULL};
  struct stage s;
  char url[64];

  stage_open(&s, strategies[_i]);
  s.connect_ms = 200;
  snprintf(url, sizeof url, "rediss://127.0.0.1:%u", server_port(server));
  check_stage_refused(&s, url, says, PMX_CAUSE_CONNECT);
  stage_close_server(&s, server);
}
END_TEST

/* ---- the same with what is right: the defect is what made the difference ---- */

START_TEST(server_without_the_defect_is_accepted)
{
  struct stage s;
  struct server *server;
  pmx_client *client;

  stage_open(&s, strategies[_i % strategy_count]);
  ask_for(&s, STAGE_NAME);
  good_ones[_i](&s);
  server = stage_server(&s, s.server.ca ? "yes" : "no");
  client = stage_connect(&s, server_url(server, SERVER_TLS));
  check_is_ok(pmx_command(client, "SET k v"));
  close_client(client);
  stage_close_server(&s, server);
}
END_TEST

/* ---- a server that turns bad while the client works ---- */

static void replace(struct server *server, const struct cert *cert)
{
  char *done = server_command(server, "CONFIG", "SET", "tls-cert-file", cert_chain_file(cert),
                              "tls-key-file", cert_key_file(cert), NULL);

  ck_assert_str_eq(done, "OK");
  free(done);
  server_kill_clients(server);
}

static void check_ends_at_once(pmx_client *client)
{
  const char *says[] = {"a stranger", NULL};

  for (int i = 0; i < 5; i++) {
    int64_t limit = pmx_now_ms() + 500; /* reconnect.max_delay */
    pmx_reply *reply = pmx_command(client, "INCR n");

    check_on_time("call to a server that is not trusted", limit);
    check_says_all(reply, says);
    check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_TLS);
  }
}

static bool is_answered(void *client)
{
  pmx_call call = call_in(100);

  return pmx_reply_finish(pmx_command_call(client, &call, "PING")) == PMX_OK;
}

START_TEST(client_of_a_server_that_turns_bad_fails_at_once_and_recovers)
{
  struct stage s;
  struct server *server;
  pmx_client *client;
  const struct cert *good, *bad;
  int64_t begun;

  stage_open(&s, strategies[_i]);
  ask_for(&s, STAGE_NAME);
  good = usual_cert(&s);
  bad = certs_server(s.certs, STAGE_NAME, certs_ca(s.certs, "a stranger"));
  stage_present(&s, good);
  set_option(s.options, "command_timeout", "20s");
  set_option(s.options, "retry.max", "0");
  server = stage_server(&s, "no");
  client = stage_connect(&s, server_url(server, SERVER_TLS));
  check_int(pmx_command(client, "INCR n"), 1);
  replace(server, bad);
  check_clients(server, 0);
  if (strategy_has(s.strategy, SHARES)) /* is watched; a pool looks before it lends */
    check_stat(client, live, 0);
  check_ends_at_once(client);
  replace(server, good);
  begun = pmx_now_ms();
  ck_assert(wait_for(is_answered, client, SOON_MS));
  printf("%s: answered %lld ms after the server was good again\n", s.strategy,
         (long long)(pmx_now_ms() - begun));
  check_on_time("recovery", begun + 1000 + 500);
  check_int(pmx_command(client, "INCR n"), 2); /* none of the others had run */
  close_client(client);
  stage_close_server(&s, server);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_refused");

  server_require("tls_refused");
  tcase_add_loop_test(tc, fake_server_is_refused_and_has_seen_no_byte_of_the_login, 0,
                      refusal_count);
  for (int i = 0; i < refusal_count; i++) {
    if (!(refusals[i].flags & FAKE_ONLY))
      tcase_add_loop_test(tc, real_server_is_refused_and_has_seen_no_command, i, i + 1);
  }
  add_for_strategies(tc, plain_port_of_a_real_server_is_named_as_such);
  tcase_add_loop_test(tc, server_without_the_defect_is_accepted, 0, good_count);
  add_for_strategies(tc, client_of_a_server_that_turns_bad_fails_at_once_and_recovers);
  return checks_run("tls_refused", tc);
}
