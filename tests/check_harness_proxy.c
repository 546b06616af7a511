/* SPDX-License-Identifier: BSD-3-Clause */
/* check_harness_proxy.c - the claims of harness/proxy.h about bytes and connections, against the
 * harness's own fake server and, where there is one, a real server. */
#include "check_harness_row.h"
#include "harness/server.h"

#include <stdio.h>

static const char ping[] = "*1\r\n$4\r\nPING\r\n"; /* 14 bytes */

/* ---- forwarding ---- */

START_TEST(healthy_proxy_forwards_and_counts)
{
  struct row row = row_open(_i);
  struct proxy_counts before = proxy_counts(row.proxy), after;

  ck_assert_int_eq(proxy_port(row.proxy) == 0, _i);
  check_text(raw_ask(row.raw, "PING", NULL), "PONG");
  after = proxy_counts(row.proxy);
  ck_assert_uint_eq(after.accepted, 1);
  ck_assert_uint_eq(after.open, 1);
  ck_assert_uint_eq(after.bytes[PROXY_TO_SERVER] - before.bytes[PROXY_TO_SERVER], 14);
  ck_assert_uint_eq(after.bytes[PROXY_TO_CLIENT] - before.bytes[PROXY_TO_CLIENT], 7);
  raw_close(row.raw);
  row.raw = NULL;
  ck_assert(proxy_wait_open(row.proxy, 0, SOON)); /* a close is passed on */
  ck_assert(fake_wait_open(row.fake, 0, SOON));
  row_close(&row);
}
END_TEST

START_TEST(large_bytes_pass_unchanged_in_slices_and_blocks)
{
  enum { SIZE = 1 << 20 };
  struct row row = row_open(false);
  struct wire_buf out = {0};
  char *big = malloc(SIZE);
  struct rng rng;

  ck_assert_ptr_nonnull(big);
  rng_seed(&rng, 5);
  for (int i = 0; i < SIZE; i++)
    big[i] = (char)rng_next(&rng);
  proxy_slice(row.proxy, PROXY_TO_CLIENT, 1000);
  wire_buf_add(&out, "*2\r\n$4\r\nECHO\r\n", 14);
  wire_bulk_add(&out, big, SIZE);
  ck_assert(raw_send(row.raw, out.data, out.len));
  out.len = 0;
  wire_bulk_add(&out, big, SIZE);
  ck_assert_uint_eq(raw_fill(row.raw, out.len, SOON), out.len);
  ck_assert_int_eq(memcmp(row.raw->in.data, out.data, out.len), 0);
  wire_buf_free(&out);
  free(big);
  row_close(&row);
}
END_TEST

START_TEST(proxy_stands_before_a_real_server)
{
  struct server *s = server_available() ? server_start(NULL) : NULL;
  struct proxy *p;
  struct raw *r;

  if (!s) {
    fputs("SKIP: proxy_stands_before_a_real_server: no server found\n", stderr);
    return;
  }
  p = proxy_start(server_url(s, SERVER_UNIX), NULL);
  r = raw_open(proxy_url(p));
  check_text(raw_ask(r, "SET", "k", "v", NULL), "OK");
  proxy_reset(p);
  ck_assert_int_eq(raw_wait_end(r, SOON), RAW_RESET);
  raw_close(r);
  proxy_target(p, server_url(s, SERVER_TCP));
  r = raw_open(proxy_url(p));
  check_text(raw_ask(r, "GET", "k", NULL), "v");
  raw_close(r);
  proxy_stop(p);
  ck_assert(server_stop(s));
}
END_TEST

START_TEST(unreachable_server_resets_the_client)
{
  struct row row = row_open(false);
  struct raw *r;

  fake_listen(row.fake, false);
  r = raw_open(proxy_url(row.proxy)); /* may see the reset already while it connects */
  ck_assert_int_eq(r ? raw_wait_end(r, SOON) : RAW_RESET, RAW_RESET);
  ck_assert_uint_eq(proxy_counts(row.proxy).failed, 1);
  raw_close(r);
  row_close(&row);
}
END_TEST

/* ---- faults of a direction ---- */

START_TEST(delay_holds_back_one_direction_and_keeps_the_order)
{
  struct row row = row_open(false);
  int64_t begun = now_ms();
  char n[16];

  proxy_delay(row.proxy, (enum proxy_way)_i, 30, 10);
  for (int i = 0; i < 20; i++) {
    snprintf(n, sizeof(n), "%d", i);
    ck_assert(raw_command(row.raw, "ECHO", n, NULL));
    sleep_ms(1);
  }
  for (int i = 0; i < 20; i++) {
    snprintf(n, sizeof(n), "%d", i);
    check_text(raw_reply(row.raw, SOON), n);
    ck_assert_int_ge(now_ms() - begun, 30);
  }
  row_close(&row);
}
END_TEST

START_TEST(cut_towards_the_client_is_exact_to_the_byte)
{
  struct row row = row_open(false);
  size_t n = (size_t)_i;
  char expected[] = "+PONG\r\n+PONG\r\n";
  struct raw *later;

  proxy_cut(row.proxy, PROXY_TO_CLIENT, _i, 2);
  if (raw_send(row.raw, ping, 14) && raw_send(row.raw, ping, 14))
    raw_fill(row.raw, 14, SOON); /* the cut at 0 may be faster than the send */
  ck_assert_int_ne(raw_wait_end(row.raw, SOON), RAW_OPEN);
  ck_assert_uint_eq(row.raw->in.len, n);
  ck_assert(n == 0 || memcmp(row.raw->in.data, expected, n) == 0);
  later = dial(&row); /* counts from its own start */
  if (raw_send(later, ping, 14))
    raw_send(later, ping, 14);
  ck_assert_int_ne(raw_wait_end(later, SOON), RAW_OPEN);
  ck_assert_uint_eq(later->in.len, n);
  raw_close(later);
  later = dial(&row); /* and twice was all */
  for (int i = 0; i < 3; i++)
    check_text(raw_ask(later, "PING", NULL), "PONG");
  raw_close(later);
  ck_assert_uint_eq(proxy_counts(row.proxy).cuts, 2);
  row_close(&row);
}
END_TEST

START_TEST(cut_towards_the_server_is_exact_to_the_byte)
{
  struct row row = row_open(false);
  struct fake_conn *c = fake_conn_at(row.fake, 0);
  size_t before = fake_received(c);

  proxy_cut(row.proxy, PROXY_TO_SERVER, _i, 1);
  raw_send(row.raw, ping, 14);
  ck_assert_int_ne(raw_wait_end(row.raw, SOON), RAW_OPEN);
  ck_assert(fake_wait_open(row.fake, 0, SOON));
  ck_assert_uint_eq(fake_received(c) - before, (size_t)_i);
  ck_assert_uint_eq(fake_seen(row.fake, "PING"), _i == 14);
  row_close(&row);
}
END_TEST

START_TEST(one_byte_slices_arrive_one_by_one)
{
  struct row row = row_open(false);
  int64_t begun = now_ms();

  proxy_slice(row.proxy, PROXY_TO_CLIENT, 1);
  proxy_rate(row.proxy, PROXY_TO_CLIENT, 50);
  ck_assert(raw_command(row.raw, "PING", NULL));
  ck_assert_uint_lt(raw_fill(row.raw, 1, SOON), 7); /* unless this thread sleeps for 120 ms */
  check_text(raw_reply(row.raw, SOON), "PONG");
  ck_assert_int_ge(now_ms() - begun, 119);
  row_close(&row);
}
END_TEST

START_TEST(rate_limits_bytes_per_second)
{
  struct row row = row_open(false);
  char text[1001];
  int64_t begun;

  memset(text, 'r', 1000);
  text[1000] = '\0';
  proxy_rate(row.proxy, (enum proxy_way)_i, 10000);
  begun = now_ms();
  check_text(raw_ask(row.raw, "ECHO", text, NULL), text);
  ck_assert_int_ge(now_ms() - begun, 80);
  proxy_rate(row.proxy, (enum proxy_way)_i, 0);
  check_text(raw_ask(row.raw, "ECHO", text, NULL), text);
  row_close(&row);
}
END_TEST

START_TEST(stalled_direction_forwards_nothing_until_resumed)
{
  struct row row = row_open(_i);

  proxy_stall(row.proxy, PROXY_TO_SERVER, true);
  ck_assert(raw_command(row.raw, "PING", NULL));
  ck_assert(!fake_wait_seen(row.fake, "PING", 1, 30));
  proxy_stall(row.proxy, PROXY_TO_CLIENT, true);
  proxy_stall(row.proxy, PROXY_TO_SERVER, false);
  ck_assert(fake_wait_seen(row.fake, "PING", 1, SOON));
  ck_assert_ptr_null(raw_reply(row.raw, 30));
  proxy_stall(row.proxy, PROXY_TO_CLIENT, false);
  check_text(raw_reply(row.raw, SOON), "PONG");
  row_close(&row);
}
END_TEST

/* ---- faults of connections ---- */

START_TEST(silence_swallows_new_connections_for_good)
{
  struct row row = row_open(false);
  struct raw *r;

  proxy_silence(row.proxy, true);
  r = dial(&row);
  ck_assert(raw_command(r, "PING", NULL));
  ck_assert(raw_command(row.raw, "PING", NULL));
  ck_assert_ptr_null(raw_reply(r, 20));
  ck_assert_ptr_null(raw_reply(row.raw, 20));
  proxy_silence(row.proxy, false);
  check_text(raw_reply(row.raw, SOON), "PONG");
  ck_assert_ptr_null(raw_reply(r, 20));
  ck_assert_int_eq(raw_wait_end(r, 0), RAW_OPEN);
  ck_assert_uint_eq(fake_counts(row.fake).accepted, 1);
  ck_assert_uint_eq(proxy_counts(row.proxy).open, 2);
  raw_close(r);
  row_close(&row);
}
END_TEST

START_TEST(refusing_proxy_keeps_its_connections_and_its_address)
{
  struct row row = row_open(_i);
  struct raw *r;

  proxy_refuse(row.proxy, true);
  ck_assert_ptr_null(raw_open(proxy_url(row.proxy)));
  ck_assert_int_eq(errno, ECONNREFUSED);
  check_text(raw_ask(row.raw, "PING", NULL), "PONG");
  proxy_refuse(row.proxy, false);
  r = dial(&row);
  check_text(raw_ask(r, "PING", NULL), "PONG");
  raw_close(r);
  row_close(&row);
}
END_TEST

START_TEST(reset_and_close_end_both_sides_before_they_return)
{
  struct row row = row_open(false);
  struct raw *r;

  proxy_reset(row.proxy);
  ck_assert_uint_eq(proxy_counts(row.proxy).open, 0);
  ck_assert_int_eq(raw_wait_end(row.raw, SOON), RAW_RESET);
  ck_assert(fake_wait_open(row.fake, 0, SOON));
  r = dial(&row);
  check_text(raw_ask(r, "PING", NULL), "PONG");
  proxy_close(row.proxy);
  ck_assert_int_eq(raw_wait_end(r, SOON), RAW_ENDED);
  raw_close(r);
  row_close(&row);
}
END_TEST

static bool is_flooded(void *p)
{
  return proxy_counts(p).bytes[PROXY_TO_SERVER] > 1 << 20;
}

/* Of a reset one of the two that use the connection is told, whoever comes first. */
START_TEST(close_is_no_reset_for_who_still_sends)
{
  for (int round = 0; round < 10; round++) {
    struct row row = row_open(_i);
    struct raw_flood fl = {.raw = row.raw};
    struct background *thread = background_start(raw_flood, &fl);

    ck_assert(wait_for(is_flooded, row.proxy, SOON));
    proxy_close(row.proxy);
    ck_assert_int_eq(raw_wait_end(row.raw, SOON), RAW_ENDED);
    background_join(thread);
    ck_assert_int_eq(fl.err, EPIPE);
    row_close(&row);
  }
}
END_TEST

START_TEST(reset_of_the_server_reaches_the_client)
{
  struct row row = row_open(false);

  fake_reset(fake_conn_at(row.fake, 0));
  ck_assert_int_eq(raw_wait_end(row.raw, SOON), RAW_RESET);
  row_close(&row);
}
END_TEST

START_TEST(heal_takes_back_everything_and_sends_what_was_held)
{
  struct row row = row_open(false);
  struct raw *r;

  proxy_refuse(row.proxy, true);
  proxy_mangle(row.proxy, PROXY_SWAP, 0);
  ck_assert(raw_command(row.raw, "ECHO", "held", NULL));
  ck_assert_ptr_null(raw_reply(row.raw, 30));
  proxy_delay(row.proxy, PROXY_TO_SERVER, 60000, 0);
  proxy_cut(row.proxy, PROXY_TO_CLIENT, 100, 0);
  ck_assert(raw_command(row.raw, "ECHO", "late", NULL));
  sleep_ms(20);
  proxy_heal(row.proxy);
  check_text(raw_reply(row.raw, SOON), "held");
  check_text(raw_reply(row.raw, SOON), "late");
  r = dial(&row);
  for (int i = 0; i < 20; i++)
    check_text(raw_ask(r, "PING", NULL), "PONG");
  raw_close(r);
  row_close(&row);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("proxy");

  tcase_add_loop_test(tc, healthy_proxy_forwards_and_counts, 0, 2);
  tcase_add_test(tc, large_bytes_pass_unchanged_in_slices_and_blocks);
  tcase_add_test(tc, proxy_stands_before_a_real_server);
  tcase_add_test(tc, unreachable_server_resets_the_client);
  tcase_add_loop_test(tc, delay_holds_back_one_direction_and_keeps_the_order, 0, PROXY_WAYS);
  tcase_add_loop_test(tc, cut_towards_the_client_is_exact_to_the_byte, 0, 14);
  tcase_add_loop_test(tc, cut_towards_the_server_is_exact_to_the_byte, 0, 15);
  tcase_add_test(tc, one_byte_slices_arrive_one_by_one);
  tcase_add_loop_test(tc, rate_limits_bytes_per_second, 0, PROXY_WAYS);
  tcase_add_loop_test(tc, stalled_direction_forwards_nothing_until_resumed, 0, 2);
  tcase_add_test(tc, silence_swallows_new_connections_for_good);
  tcase_add_loop_test(tc, refusing_proxy_keeps_its_connections_and_its_address, 0, 2);
  tcase_add_test(tc, reset_and_close_end_both_sides_before_they_return);
  tcase_add_loop_test(tc, close_is_no_reset_for_who_still_sends, 0, 2);
  tcase_add_test(tc, reset_of_the_server_reaches_the_client);
  tcase_add_test(tc, heal_takes_back_everything_and_sends_what_was_held);
  return checks_run("harness_proxy", tc);
}
