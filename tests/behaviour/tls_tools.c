/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_tools.c - see tls_tools.h. */
#include "behaviour/tls_tools.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void set_option(pmx_options *options, const char *name, const char *value)
{
  ck_assert_msg(pmx_options_set(options, name, value) == PMX_OK, "%s", pmx_options_error(options));
}

void stage_open(struct stage *s, const char *strategy)
{
  memset(s, 0, sizeof *s);
  s->strategy = strategy;
  s->connect_ms = SOON_MS;
  s->certs = certs_new();
  s->ca = certs_ca(s->certs, "the right authority");
  s->options = options_for(strategy);
  set_option(s->options, "tls.ca_file", cert_file(s->ca));
  set_option(s->options, "tls", "yes");
  set_option(s->options, "password", CANARY);
}

void stage_open_named(struct stage *s, int i)
{
  stage_open(s, strategies[i]);
  stage_present(s, certs_make(s->certs, &(struct cert_spec){.name = STAGE_NAME,
                                                            .dns = {STAGE_NAME},
                                                            .ip = {"127.0.0.1"},
                                                            .issuer = s->ca}));
  set_option(s->options, "tls.server_name", STAGE_NAME);
}

void stage_close(struct stage *s)
{
  pmx_options_free(s->options);
  certs_free(s->certs);
}

void stage_close_server(struct stage *s, struct server *server)
{
  ck_assert(server_stop(server));
  stage_close(s);
}

void stage_close_fake(struct stage *s, struct fake *fake)
{
  ck_assert(fake_stop(fake));
  stage_close(s);
}

void stage_present(struct stage *s, const struct cert *cert)
{
  s->server.cert = cert_chain_file(cert);
  s->server.key = cert_key_file(cert);
}

struct fake *stage_fake(struct stage *s, enum over over, fake_handler handler, void *ud)
{
  struct fake_options options = {.over = over,
                                 .tls = &s->server,
                                 .password = CANARY,
                                 .script = s->script,
                                 .handler = handler,
                                 .ud = ud,
                                 .accept = s->accept};
  struct fake *fake = fake_start(&options);

  ck_assert_ptr_nonnull(fake);
  return fake;
}

struct server *stage_server(struct stage *s, const char *tls_clients)
{
  struct server_options options = {.listen = SERVER_TLS,
                                   .password = CANARY,
                                   .tls_cert = s->server.cert,
                                   .tls_key = s->server.key,
                                   .tls_ca = s->server.ca,
                                   .tls_clients = tls_clients};
  struct server *server = server_start(&options);

  ck_assert_ptr_nonnull(server);
  return server;
}

pmx_client *stage_connect(struct stage *s, const char *url)
{
  pmx_reply *err;
  pmx_client *client = pmx_open(url, s->options, &err);

  ck_assert_msg(client != NULL, "%s: %s", url, pmx_reply_error(err));
  return client;
}

pmx_reply *stage_refused(struct stage *s, const char *url)
{
  struct log_seen log = {0};
  char limit[16];
  pmx_client *client;
  pmx_reply *err;
  int64_t until;

  snprintf(limit, sizeof limit, "%dms", s->connect_ms);
  set_option(s->options, "connect_timeout", limit);
  watch_log(s->options, &log);
  until = pmx_now_ms() + s->connect_ms;
  client = pmx_open(url, s->options, &err);
  check_on_time("refused open", until);
  ck_assert_msg(client == NULL, "%s was accepted", url);
  ck_assert_ptr_nonnull(err);
  ck_assert_int_eq(atomic_load(&log.leaks), 0);
  pmx_options_set_log(s->options, NULL, PMX_LOG_DEBUG, NULL);
  return err;
}

void check_says_all(const pmx_reply *reply, const char *const *parts)
{
  for (; *parts; parts++)
    check_says(reply, *parts);
  ck_assert_ptr_null(strstr(pmx_reply_error(reply), CANARY));
}

void check_stage_refused(struct stage *s, const char *url, const char *const *parts,
                         pmx_cause cause)
{
  pmx_reply *err = stage_refused(s, url);

  check_says_all(err, parts);
  check_fails(err, PMX_NOT_RUN, cause);
}

static void note_line(void *ud, pmx_log_level level, const char *component, const char *message)
{
  struct log_seen *log = ud;

  atomic_fetch_add(&log->lines, 1);
  if (strstr(message, CANARY))
    atomic_fetch_add(&log->leaks, 1);
  if (level > PMX_LOG_WARN || strcmp(component, "tls") != 0)
    return;
  snprintf(log->last_warning, sizeof log->last_warning, "%s", message);
  atomic_fetch_add(&log->warnings, 1);
}

void watch_log(pmx_options *options, struct log_seen *log)
{
  pmx_options_set_log(options, note_line, PMX_LOG_DEBUG, log);
}

/* ---- streams ---- */

static int answer(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  char text[STREAM_LONG];

  if (argc == 2 && strcmp(argv[1], "long") == 0) {
    memset(text, 'x', sizeof text);
    fake_reply_bulk(conn, text, sizeof text);
    return 0;
  }
  if (argc == 2 && strcmp(argv[1], "never") == 0)
    return 0;
  if (argc != 2 || strcasecmp(argv[0], "SUBSCRIBE") != 0)
    return answer_values(ud, conn, argc, argv, len);
  fake_reply_push(conn, 3);
  fake_reply_text(conn, "subscribe");
  fake_reply_text(conn, argv[1]);
  fake_reply_int(conn, 1);
  return 0;
}

struct fake *stream_fake(const struct fake_tls *tls)
{
  struct fake_options options = {.over = OVER_TLS, .tls = tls, .handler = answer};
  struct fake *fake = fake_start(&options);

  ck_assert_ptr_nonnull(fake);
  return fake;
}

pmx_client *stream_open(int i, const char *url)
{
  return open_client(strategies[i], url, "retry.max", "0", "pool.max_size", "1", "command_timeout",
                     "20s", "pool.wait_timeout", "forever", (char *)NULL);
}
