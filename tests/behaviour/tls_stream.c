/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_stream.c - the stream of a TLS connection: records in any pieces, new keys and tickets
 * between them, also on idle connections. Each call has its own reply, and no connection is lost.
 */
#include "behaviour/listening.h"
#include "behaviour/tls_tools.h"

#include <stdio.h>
#include <stdlib.h>

#include "harness/checks.h"
#include "harness/proxy.h"

enum { THREADS = 8 };

static void get_some(int i, void *client)
{
  char key[48];

  for (int n = 0; n < (soak() ? 1000 : 5); n++) {
    snprintf(key, sizeof key, "key-%d-%d", i, n);
    if (n % 2)
      get_value(client, key);
    else
      get_value_alone(client, key);
  }
}

/* ---- pieces ---- */

/* How many raw bytes a reply takes. */
static size_t raw_size(pmx_client *client, struct fake_conn *conn,
                       void (*get)(pmx_client *, const char *))
{
  size_t before;

  get(client, "k");
  ck_assert(fake_wait_sent(conn, SOON_MS));
  before = fake_tls_seen(conn).raw_sent;
  get(client, "k");
  ck_assert(fake_wait_sent(conn, SOON_MS));
  return fake_tls_seen(conn).raw_sent - before;
}

static void check_pieces(pmx_client *client, struct fake_conn *conn,
                         void (*get)(pmx_client *, const char *))
{
  size_t size = raw_size(client, conn, get);

  ck_assert_uint_gt(size, 20);
  for (size_t at = 1; at < size; at++) {
    fake_tls_pauses(conn, at, 0, 1000);
    get(client, "k");
    fake_tls_pauses(conn, 0, 0, 0);
  }
}

START_TEST(records_may_be_cut_at_each_byte)
{
  struct fake *fake = stream_fake(NULL);
  pmx_client *client = stream_open(_i, fake_url(fake));

  check_pieces(client, fake_conn_at(fake, 0), get_value);
  if (lane_beside(client)) {
    get_value_alone(client, "k");
    check_pieces(client, fake_conn_at(fake, 1), get_value_alone);
  }
  ck_assert_uint_eq(fake_accepted(fake), 1 + lane_beside(client));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static void send_message(struct fake_conn *conn, const char *data)
{
  fake_reply_push(conn, 3);
  fake_reply_text(conn, "message");
  fake_reply_text(conn, "c");
  fake_reply_text(conn, data);
}

START_TEST(records_of_messages_may_be_cut_at_each_byte)
{
  struct fake *fake = stream_fake(NULL);
  pmx_client *client = stream_open(_i, fake_url(fake));
  size_t last = fake_accepted(fake), size;
  struct fake_conn *conn;
  struct ear ear;
  char text[64];

  ear_open(&ear, client, false);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  conn = fake_conn_at(fake, last);
  ck_assert(fake_wait_sent(conn, SOON_MS));
  size = fake_tls_seen(conn).raw_sent;
  send_message(conn, "1000");
  ear_check(&ear, "c=1000 ");
  size = fake_tls_seen(conn).raw_sent - size;
  for (size_t at = 1; at < size; at++) {
    fake_tls_pauses(conn, at, 0, 1000);
    snprintf(text, sizeof text, "%zu", 1000 + at);
    send_message(conn, text);
    snprintf(text, sizeof text, "c=%zu ", 1000 + at);
    ear_check(&ear, text);
  }
  ck_assert_uint_eq(fake_accepted(fake), last + 1);
  ck_assert_int_eq(atomic_load(&ear.gaps), 0);
  ear_close(&ear);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* Both ways, with a real server, handshakes included. */
START_TEST(bytes_may_travel_one_by_one)
{
  struct server *server = server_start(NULL);
  struct proxy *proxy = proxy_start(server_url(server, SERVER_TLS), NULL);
  pmx_client *client;
  struct ear ear;
  char key[24], value[VALUE_SIZE];

  for (int i = 0; i < 20; i++) {
    snprintf(key, sizeof key, "key-%d-%d", i / 5, i % 5);
    free(server_command(server, "SET", key, value_of(key, value), NULL));
  }
  proxy_slice(proxy, PROXY_TO_CLIENT, 1);
  proxy_slice(proxy, PROXY_TO_SERVER, 1);
  client = stream_open(_i, proxy_url(proxy));
  ear_open(&ear, client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  run_threads(4, get_some, client);
  ck_assert_int_eq(publish(server, "c", "one"), 1);
  ear_check(&ear, "c=one ");
  ck_assert_uint_eq(stats_of(client).retries, 0);
  ear_close(&ear);
  ck_assert_uint_eq(stats_of(client).opened, 1 + lane_beside(client));
  close_client(client);
  proxy_stop(proxy);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- new keys, tickets ---- */

static void get_many(int i, void *client)
{
  char key[48];

  for (int n = 0; n < (soak() ? 20000 : 150); n++) {
    snprintf(key, sizeof key, "key-%d-%d", i, n);
    if (n % 2)
      get_value(client, key);
    else
      get_value_alone(client, key);
  }
}

/* The fake asks for the client's in return: so both ways. */
START_TEST(new_keys_every_hundred_records_lose_nothing)
{
  struct fake *fake = stream_fake(&(struct fake_tls){.key_update_every = 100});
  pmx_client *client = stream_open(_i, fake_url(fake));

  run_threads(THREADS, get_many, client);
  for (size_t i = 0; i < fake_accepted(fake); i++) {
    struct fake_tls_seen seen = fake_tls_seen(fake_conn_at(fake, i));

    ck_assert_msg(!seen.failed, "%s", seen.why);
    ck_assert_int_eq(seen.version, TLS1_3_VERSION);
    printf("%s: connection %zu: %zu records\n", strategies[_i], i, seen.records);
    ck_assert_uint_ge(seen.records, 100);
  }
  ck_assert_uint_eq(fake_accepted(fake), 1 + lane_beside(client));
  ck_assert_uint_eq(stats_of(client).closed + stats_of(client).retries, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* They make a socket readable, which is no reason to doubt the connection. */
START_TEST(tickets_and_new_keys_on_idle_connections_do_not_make_them_dirty)
{
  struct fake *fake = stream_fake(NULL);
  pmx_client *client = stream_open(_i, fake_url(fake));
  pmx_stats stats;

  get_value_alone(client, "k");
  for (int round = 0; round < 20; round++) {
    for (size_t i = 0; i < fake_accepted(fake); i++) {
      for (int k = 0; k < 1 + round % 3; k++)
        fake_tls_ticket(fake_conn_at(fake, i));
      if (round % 4 != 3)
        fake_tls_key_update(fake_conn_at(fake, i));
      ck_assert(fake_wait_sent(fake_conn_at(fake, i), SOON_MS));
    }
    get_value_alone(client, "k");
    get_value(client, "l");
  }
  stats = stats_of(client);
  ck_assert_uint_eq(fake_accepted(fake), 1 + lane_beside(client));
  ck_assert_uint_eq(stats.opened, 1 + lane_beside(client));
  ck_assert_uint_eq(stats.closed + stats.closed_dirty + stats.closed_error + stats.retries, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_stream");

  server_require("tls_stream");
  add_for_strategies(tc, records_may_be_cut_at_each_byte);
  add_for_strategies(tc, records_of_messages_may_be_cut_at_each_byte);
  add_for_strategies(tc, bytes_may_travel_one_by_one);
  add_for_strategies(tc, new_keys_every_hundred_records_lose_nothing);
  add_for_strategies(tc, tickets_and_new_keys_on_idle_connections_do_not_make_them_dirty);
  return checks_run("tls_stream", tc);
}
