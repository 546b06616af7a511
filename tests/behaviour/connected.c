/* SPDX-License-Identifier: BSD-3-Clause */
/* connected.c - what the event of a new connection says about it: protocol, address, and with TLS
 * version, cipher, for whom the certificate is good, whose it is and until when. And the
 * certificate of a server that is refused, in the log. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "behaviour/tls_makers.h"
#include "harness/checks.h"

struct heard {
  pthread_mutex_t mutex;
  char detail[1024], line[1024];
};

static void on_event(void *ud, const pmx_event *event)
{
  struct heard *h = ud;

  pthread_mutex_lock(&h->mutex);
  if (event->type == PMX_EVENT_CONNECTED)
    snprintf(h->detail, sizeof h->detail, "%s", event->detail);
  pthread_mutex_unlock(&h->mutex);
}

static void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  struct heard *h = ud;

  pthread_mutex_lock(&h->mutex);
  if (level == PMX_LOG_INFO && strcmp(component, "tls") == 0)
    snprintf(h->line, sizeof h->line, "%s", message);
  pthread_mutex_unlock(&h->mutex);
}

static bool is_heard(void *ud)
{
  struct heard *h = ud;
  bool heard;

  pthread_mutex_lock(&h->mutex);
  heard = *h->detail != '\0';
  pthread_mutex_unlock(&h->mutex);
  return heard;
}

static void listen_to(struct heard *h, pmx_options *options)
{
  memset(h, 0, sizeof *h);
  pthread_mutex_init(&h->mutex, NULL);
  pmx_options_set_events(options, on_event, h);
  pmx_options_set_log(options, on_log, PMX_LOG_INFO, h);
}

static void check_has(const char *text, const char *part)
{
  ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in: %s", part, text);
}

START_TEST(plain_connection_tells_protocol_and_address_and_nothing_of_tls)
{
  struct fake *fake = fake_for(&(struct way){strategies[_i], OVER_TCP}, answer_values, NULL);
  pmx_options *options = options_for(strategies[_i]);
  struct heard heard;
  pmx_client *client;
  char expected[64];

  listen_to(&heard, options);
  client = open_client_with(fake_url(fake), options);
  ck_assert(wait_for(is_heard, &heard, SOON_MS));
  snprintf(expected, sizeof expected, "%s address=127.0.0.1:%u", reads_resp3() ? "RESP3" : "RESP2",
           fake_port(fake));
  ck_assert_str_eq(heard.detail, expected);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(connection_over_tls_tells_whom_it_is_with)
{
  struct stage s;
  struct fake *fake;
  struct heard heard;
  pmx_client *client;

  stage_open_named(&s, _i);
  listen_to(&heard, s.options);
  fake = stage_fake(&s, OVER_TLS, answer_values, NULL);
  client = stage_connect(&s, fake_url(fake));
  ck_assert(wait_for(is_heard, &heard, SOON_MS));
  check_has(heard.detail, " tls=TLSv1.3 cipher=TLS_");
  check_has(heard.detail, " verified=\"" STAGE_NAME "\" from=20");
  check_has(heard.detail, "CN = " STAGE_NAME "\" issuer=\"");
  check_has(heard.detail, "Z until=20");
  check_has(heard.detail, "Z subject=\"");
  ck_assert_ptr_null(strstr(heard.detail, CANARY));
  close_client(client);
  stage_close_fake(&s, fake);
}
END_TEST

START_TEST(certificate_of_a_refused_server_is_in_the_log)
{
  struct stage s;
  struct fake *fake;
  struct heard heard;
  pmx_reply *err;

  stage_open(&s, strategies[_i]);
  ask_for(&s, STAGE_NAME);
  make_expired(&s);
  listen_to(&heard, s.options);
  fake = stage_fake(&s, OVER_TLS, answer_values, NULL);
  ck_assert_ptr_null(pmx_open(fake_url(fake), s.options, &err));
  check_fails(err, PMX_NOT_RUN, PMX_CAUSE_TLS);
  check_has(heard.line, "the certificate of 127.0.0.1:");
  check_has(heard.line, ": from=20");
  check_has(heard.line, "CN = " STAGE_NAME "\" issuer=\"");
  check_has(heard.line, " until=20");
  ck_assert_ptr_null(strstr(heard.line, " tls="));
  stage_close_fake(&s, fake);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("connected");

  add_for_strategies(tc, plain_connection_tells_protocol_and_address_and_nothing_of_tls);
  add_for_strategies(tc, connection_over_tls_tells_whom_it_is_with);
  add_for_strategies(tc, certificate_of_a_refused_server_is_in_the_log);
  return checks_run("connected", tc);
}
