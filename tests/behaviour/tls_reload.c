/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_reload.c - tests that certificates can be changed under a client that runs: no call fails,
 * bad files change nothing, old connections go in their time, and nobody's session is resumed
 * across. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "harness/certs.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { CALLERS = 4, RELOADS = 1000 };

/* ---- files that change ---- */

/* What tls.ca_file names: a copy of a certificate, which another one replaces. */
struct trusted {
  struct certs *certs;
  char path[512];
};

static void trust(const struct trusted *t, const char *pem)
{
  char next[600];
  FILE *f;

  snprintf(next, sizeof next, "%s.new", t->path);
  f = fopen(next, "w");
  ck_assert_ptr_nonnull(f);
  ck_assert_int_ge(fputs(pem, f), 0);
  ck_assert_int_eq(fclose(f), 0);
  ck_assert_int_eq(rename(next, t->path), 0); /* never half of it */
}

static void trusted_init(struct trusted *t)
{
  t->certs = certs_new();
  snprintf(t->path, sizeof t->path, "%s/trusted.pem", certs_dir(t->certs));
  trust(t, cert_pem(certs_default()->ca));
}

static pmx_client *open_trusting(const struct trusted *t, const char *strategy, const char *url,
                                 const char *retire)
{
  pmx_options *options = options_for(strategy);
  pmx_reply *err;
  pmx_client *client;

  pmx_options_set(options, "tls.ca_file", t->path);
  pmx_options_set(options, "tls.retire", retire);
  client = pmx_open(url, options, &err);
  ck_assert_msg(client != NULL, "%s", pmx_reply_error(err));
  pmx_options_free(options);
  return client;
}

/* ---- under load ---- */

struct load {
  pmx_client *client;
  _Atomic int stop, failed;
  _Atomic long answered;
  char first[256];
};

static void note_failure(struct load *l, pmx_reply *reply)
{
  if (!pmx_ok(reply) && atomic_fetch_add(&l->failed, 1) == 0)
    snprintf(l->first, sizeof l->first, "%s", pmx_reply_error(reply));
  pmx_reply_free(reply);
}

static void *keep_calling(void *arg)
{
  struct load *l = arg;
  pmx_call once = call_flags(PMX_CALL_NO_RETRY, PMX_DEFAULT);

  while (!atomic_load(&l->stop)) {
    pmx_future *later = pmx_submit(l->client, &once, "INCR counted");

    note_failure(l, pmx_command_call(l->client, &once, "INCR counted"));
    note_failure(l, pmx_future_take(later));
    atomic_fetch_add(&l->answered, 2);
  }
  return NULL;
}

/* Every call counts once, and none is sent again. */
START_TEST(a_thousand_reloads_under_load_fail_no_call)
{
  struct server *server = server_start(NULL);
  struct trusted t;
  struct load l = {.first = ""};
  pthread_t threads[CALLERS];
  pmx_stats stats;

  trusted_init(&t);
  l.client = open_trusting(&t, strategies[_i], server_url(server, SERVER_TLS), "20ms");
  for (int i = 0; i < CALLERS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_calling, &l), 0);
  for (int i = 0; i < RELOADS; i++) {
    check_is_ok(pmx_reload_tls(l.client));
    sleep_ms(1);
  }
  atomic_store(&l.stop, 1);
  for (int i = 0; i < CALLERS; i++)
    pthread_join(threads[i], NULL);
  ck_assert_msg(!l.failed, "%d of %ld failed, first: %s", l.failed, l.answered, l.first);
  check_int(pmx_command(l.client, "GET counted"), l.answered);
  stats = stats_of(l.client);
  printf("%s: %ld calls, %llu connections\n", strategies[_i], l.answered,
         (unsigned long long)stats.opened);
  ck_assert_uint_ge(stats.opened, 20);
  ck_assert_uint_ge(stats.closed_lifetime, 19);
  ck_assert_uint_eq(stats.closed_error + stats.closed_stale, 0);
  close_client(l.client);
  certs_free(t.certs);
  server_stop(server);
}
END_TEST

/* ---- what is wrong ---- */

struct log {
  pthread_mutex_t mutex;
  char errors[1024];
};

static void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  struct log *log = ud;

  (void)component;
  if (level != PMX_LOG_ERROR)
    return;
  pthread_mutex_lock(&log->mutex);
  snprintf(log->errors, sizeof log->errors, "%s", message);
  pthread_mutex_unlock(&log->mutex);
}

static bool has_logged(void *ud)
{
  struct log *log = ud;
  bool result;

  pthread_mutex_lock(&log->mutex);
  result = strstr(log->errors, "tls.ca_file") != NULL;
  pthread_mutex_unlock(&log->mutex);
  return result;
}

START_TEST(a_bad_reload_keeps_what_there_is_and_says_why)
{
  struct server *server = server_start(NULL);
  struct log log = {.mutex = PTHREAD_MUTEX_INITIALIZER};
  pmx_options *options = options_for(strategies[_i]);
  struct trusted t;
  pmx_client *client;
  pmx_reply *reply;
  uint64_t opened;

  trusted_init(&t);
  pmx_options_set(options, "tls.ca_file", t.path);
  pmx_options_set(options, "tls.retire", "0");
  pmx_options_set_log(options, on_log, PMX_LOG_ERROR, &log);
  client = pmx_open(server_url(server, SERVER_TLS), options, NULL);
  ck_assert_ptr_nonnull(client);
  pmx_options_free(options);
  check_is_ok(pmx_command(client, "SET k v"));
  opened = stats_of(client).opened;
  trust(&t, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
  reply = pmx_reload_tls(client);
  check_says(reply, "tls.ca_file");
  check_says(reply, t.path);
  check_fails(reply, PMX_INVALID, PMX_CAUSE_TLS);
  ck_assert(wait_for(has_logged, &log, SOON_MS));
  check_is_ok(pmx_command(client, "GET k"));
  ck_assert_uint_eq(stats_of(client).opened, opened); /* nothing was replaced */
  server_kill_clients(server);
  check_is_ok(pmx_command(client, "GET k")); /* the old settings still connect */
  close_client(client);
  certs_free(t.certs);
  server_stop(server);
}
END_TEST

/* ---- another authority ---- */

static void serve_with(struct server *server, const struct cert *cert)
{
  check_text(server_command(server, "CONFIG", "SET", "tls-cert-file", cert_chain_file(cert),
                            "tls-key-file", cert_key_file(cert), NULL),
             "OK");
}

/* Its first try may have gone out on the connection that was killed: then it may have run. */
static void check_not_secured(pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);

  ck_assert_msg(status == PMX_NOT_RUN || status == PMX_UNKNOWN, "%s", pmx_status_str(status));
  check_outcome(reply, status, PMX_CAUSE_TLS, __FILE__, __LINE__);
}

START_TEST(the_authority_can_be_replaced_while_the_client_runs)
{
  struct server *server = server_start(NULL);
  struct trusted t;
  const struct cert *next_ca, *next;
  pmx_client *client;
  pmx_reply *reply;
  char both[8192];

  trusted_init(&t);
  next_ca = certs_ca(t.certs, "next");
  next = certs_make(
      t.certs, &(struct cert_spec){
                   .name = "next", .issuer = next_ca, .dns = {"localhost"}, .ip = {"127.0.0.1"}});
  client = open_trusting(&t, strategies[_i], server_url(server, SERVER_TLS), "0");
  check_is_ok(pmx_command(client, "SET k v"));
  /* too early: nobody trusts it yet */
  serve_with(server, next);
  server_kill_clients(server);
  reply = pmx_command(client, "GET k");
  check_says(reply, "tls.ca_file");
  check_not_secured(reply);
  /* both are trusted, then the new one alone */
  snprintf(both, sizeof both, "%s%s", cert_pem(certs_default()->ca), cert_pem(next_ca));
  trust(&t, both);
  check_is_ok(pmx_reload_tls(client));
  check_is_ok(pmx_command(client, "GET k"));
  trust(&t, cert_pem(next_ca));
  check_is_ok(pmx_reload_tls(client));
  check_is_ok(pmx_command(client, "GET k"));
  serve_with(server, certs_default()->server);
  server_kill_clients(server);
  check_not_secured(pmx_command(client, "GET k"));
  close_client(client);
  certs_free(t.certs);
  server_stop(server);
}
END_TEST

/* ---- which connections go, and when ---- */

struct expected {
  pmx_client *client;
  uint64_t closed;
};

static bool has_replaced(void *ud)
{
  const struct expected *e = ud;
  pmx_stats stats = stats_of(e->client);

  return stats.closed_lifetime == e->closed && stats.closed == e->closed;
}

START_TEST(idle_connections_are_replaced_in_time_and_a_lease_keeps_its_own)
{
  struct server *server = server_start(NULL);
  pmx_client *client;
  pmx_lease *lease = NULL;
  struct trusted t;
  int64_t id, begin;

  trusted_init(&t);
  client = open_trusting(&t, strategies[_i], server_url(server, SERVER_TLS), "300ms");
  if (strategy_has(strategies[_i], LEASES)) {
    pmx_reply *reply;

    lease = pmx_acquire(client, NULL, &reply);
    ck_assert_ptr_nonnull(lease);
    reply = pmx_lease_command(lease, NULL, "CLIENT ID");
    id = pmx_reply_int(reply, NULL);
    pmx_reply_free(reply);
  }
  check_is_ok(pmx_command(client, "SET k v")); /* another one, or a lane */
  begin = now_ms();
  check_is_ok(pmx_reload_tls(client));
  ck_assert(wait_for(has_replaced, &(struct expected){client, 1}, SOON_MS));
  printf("%s: replaced after %lld ms of 300\n", strategies[_i], (long long)(now_ms() - begin));
  if (lease) {
    check_int(pmx_lease_command(lease, NULL, "CLIENT ID"), id);
    pmx_release(lease);
    ck_assert(wait_for(has_replaced, &(struct expected){client, 2}, SOON_MS));
  }
  check_is_ok(pmx_command(client, "GET k"));
  close_client(client);
  certs_free(t.certs);
  server_stop(server);
}
END_TEST

START_TEST(who_cannot_reload_is_told)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(strategies[_i], server_url(server, SERVER_TCP), NULL);
  pmx_reply *reply = pmx_reload_tls(client);

  check_says(reply, "tls=no");
  check_fails(reply, PMX_INVALID, PMX_CAUSE_NONE);
  close_client(client);
  check_fails(pmx_reload_tls(NULL), PMX_INVALID, PMX_CAUSE_NONE);
  client = open_client(strategies[_i], server_url(server, SERVER_TLS), NULL);
  ck_assert_int_eq(pmx_close(client, 1000), 1);
  check_fails(pmx_reload_tls(client), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  pmx_unref(client);
  server_stop(server);
}
END_TEST

int main(void)
{
  TCase *tc;

  server_require("tls_reload");
  certs_default();
  tc = checks_case("tls_reload");
  add_for_strategies(tc, a_thousand_reloads_under_load_fail_no_call);
  add_for_strategies(tc, a_bad_reload_keeps_what_there_is_and_says_why);
  add_for_strategies(tc, the_authority_can_be_replaced_while_the_client_runs);
  add_for_strategies(tc, idle_connections_are_replaced_in_time_and_a_lease_keeps_its_own);
  add_for_strategies(tc, who_cannot_reload_is_told);
  return checks_run("tls_reload", tc);
}
