/* SPDX-License-Identifier: BSD-3-Clause */
/* check_harness_fake.c - the claims of harness/fake.h about what it does by itself: the handshake,
 * listening, counting, remembering; and about handlers. Scripts have a program of their own. */
#include "harness/checks.h"
#include "harness/fake.h"
#include "harness/raw.h"
#include "harness/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOON = 5000 };

static struct raw *open_raw(struct fake *f)
{
  struct raw *r = raw_open(fake_url(f));

  ck_assert_msg(r != NULL, "%s: %s", fake_url(f), strerror(errno));
  return r;
}

/* ---- handshake ---- */

START_TEST(handshake_is_answered_without_a_script)
{
  struct fake *f = fake_start(&(struct fake_options){.over = (enum over)_i});
  struct raw *r = open_raw(f);

  ck_assert_int_eq(fake_port(f) == 0, _i);
  check_text(raw_ask(r, "PING", NULL), "PONG");
  check_text(raw_ask(r, "ping", "hi", NULL), "hi");
  check_text(raw_ask(r, "CLIENT", "SETNAME", "x", NULL), "OK");
  check_text(raw_ask(r, "CLIENT", "SETINFO", "LIB-NAME", "x", NULL), "OK");
  check_text(raw_ask(r, "CLIENT", "ID", NULL), "1");
  check_text(raw_ask(r, "SELECT", "3", NULL), "OK");
  check_text(
      raw_ask(r, "HELLO", "3", NULL),
      "server\nredis\nversion\n7.0.0\nproto\n3\nid\n1\nmode\nstandalone\nrole\nmaster\nmodules");
  ck_assert_int_eq(fake_conn_proto(fake_conn_at(f, 0)), 3);
  check_text(raw_ask(r, "QUIT", NULL), "OK");
  ck_assert_int_eq(raw_wait_end(r, SOON), RAW_ENDED);
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(hello_can_be_refused_in_both_ways)
{
  struct fake *f = fake_start(&(struct fake_options){.hello = FAKE_HELLO_UNKNOWN});
  struct fake *g = fake_start(&(struct fake_options){.hello = FAKE_HELLO_NOPROTO});
  struct raw *r = open_raw(f), *s = open_raw(g);

  check_text(raw_ask(r, "HELLO", "3", NULL), "-ERR unknown command 'HELLO'");
  check_text(raw_ask(s, "HELLO", "3", NULL), "-NOPROTO unsupported protocol version");
  raw_close(r);
  raw_close(s);
  ck_assert(fake_stop(f));
  ck_assert(fake_stop(g));
}
END_TEST

START_TEST(password_is_asked_for_and_bytes_before_auth_are_counted)
{
  static const char ping[] = "*1\r\n$4\r\nPING\r\n";
  struct fake *f = fake_start(&(struct fake_options){.password = "pw"});
  struct raw *r = open_raw(f), *s = open_raw(f);

  check_text(raw_ask(r, "PING", NULL), "-NOAUTH Authentication required.");
  check_text(raw_ask(r, "AUTH", "no", NULL),
             "-WRONGPASS invalid username-password pair or user is disabled.");
  check_text(raw_ask(r, "AUTH", "pw", NULL), "OK");
  check_text(raw_ask(r, "PING", NULL), "PONG");
  free(raw_ask(s, "HELLO", "2", "AUTH", "default", "pw", NULL));
  check_text(raw_ask(s, "PING", NULL), "PONG");
  ck_assert_uint_eq(fake_bytes_before_auth(fake_conn_at(f, 0)), sizeof(ping) - 1);
  ck_assert_uint_eq(fake_bytes_before_auth(fake_conn_at(f, 1)), 0);
  ck_assert_uint_gt(fake_received(fake_conn_at(f, 1)), sizeof(ping));
  raw_close(r);
  raw_close(s);
  ck_assert(fake_stop(f));
}
END_TEST

/* ---- handlers ---- */

static int serve(void *ud, struct fake_conn *c, int argc, char **argv, size_t *len)
{
  int *sum = ud;

  if (strcmp(argv[0], "ADD") == 0 && argc == 2)
    fake_reply_int(c, *sum += atoi(argv[1]));
  else if (strcmp(argv[0], "SLOW") == 0) {
    fake_delay(c, 40);
    fake_reply_bulk(c, argv[1], len[1]);
  } else if (strcmp(argv[0], "PAIR") == 0) {
    fake_reply_array(c, 2);
    fake_reply_null(c);
    fake_reply_simple(c, "x");
  } else if (strcmp(argv[0], "BYE") == 0) {
    fake_reply_error(c, "ERR bye");
    return -1;
  } else {
    return 1;
  }
  return 0;
}

START_TEST(handler_is_a_small_stateful_server)
{
  int sum = 0;
  struct fake *f = fake_start(&(struct fake_options){.handler = serve, .ud = &sum});
  struct raw *r = open_raw(f);

  check_text(raw_ask(r, "ADD", "2", NULL), "2");
  check_text(raw_ask(r, "ADD", "3", NULL), "5");
  check_text(raw_ask(r, "PAIR", NULL), "(nil)\nx");
  check_text(raw_ask(r, "WHAT", NULL), "-ERR unknown command 'WHAT'");
  check_text(raw_ask(r, "BYE", NULL), "-ERR bye");
  ck_assert_int_eq(raw_wait_end(r, SOON), RAW_ENDED);
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(what_was_sent_is_there_at_the_next_look)
{
  for (enum over over = OVER_TCP; over <= OVER_UNIX; over++) {
    struct fake *f = fake_start(&(struct fake_options){.over = over});
    struct raw *r = open_raw(f);
    struct fake_conn *c;

    check_text(raw_ask(r, "PING", NULL), "PONG");
    c = fake_conn_at(f, 0);
    fake_delay(c, 30);
    fake_send(c, "+x\r\n", 4);
    ck_assert(fake_wait_sent(c, SOON));
    ck_assert_uint_eq(raw_fill(r, 4, 0), 4);
    raw_close(r);
    ck_assert(fake_stop(f));
  }
}
END_TEST

START_TEST(delays_of_pipelined_commands_do_not_add_up)
{
  struct fake *f = fake_start(&(struct fake_options){.handler = serve});
  struct raw *r = open_raw(f);
  int64_t begun = now_ms(), took;
  char n[16];

  for (int i = 0; i < 20; i++) {
    snprintf(n, sizeof(n), "%d", i);
    ck_assert(raw_command(r, "SLOW", n, NULL));
  }
  for (int i = 0; i < 20; i++) {
    snprintf(n, sizeof(n), "%d", i);
    check_text(raw_reply(r, SOON), n);
  }
  took = now_ms() - begun;
  ck_assert_int_ge(took, 39);
  ck_assert_int_lt(took, 20 * 40);
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

static int own_ping(void *ud, struct fake_conn *c, int argc, char **argv, size_t *len)
{
  (void)ud;
  if (strcmp(argv[0], "PING") != 0)
    return fake_handshake(c, argc, argv, len);
  fake_reply_simple(c, "MINE");
  return 0;
}

START_TEST(manual_fake_leaves_the_handshake_to_the_handler)
{
  struct fake *f = fake_start(&(struct fake_options){.handler = own_ping, .manual = true});
  struct raw *r = open_raw(f);

  check_text(raw_ask(r, "PING", NULL), "MINE");
  check_text(raw_ask(r, "SELECT", "1", NULL), "OK");
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

/* Says what one connection tells to all others: from within a handler. */
static int shout(void *ud, struct fake_conn *c, int argc, char **argv, size_t *len)
{
  struct fake **f = ud;

  (void)argc;
  for (size_t i = 0; fake_conn_at(*f, i); i++)
    if (fake_conn_at(*f, i) != c)
      fake_reply_bulk(fake_conn_at(*f, i), argv[0], len[0]);
  fake_reply_simple(c, "told");
  return 0;
}

START_TEST(handler_may_speak_on_other_connections)
{
  struct fake *f = NULL;
  struct fake_options options = {.handler = shout, .ud = &f};
  struct raw *r[3];

  f = fake_start(&options);
  for (int i = 0; i < 3; i++)
    r[i] = open_raw(f);
  ck_assert(fake_wait_accepted(f, 3, SOON));
  check_text(raw_ask(r[2], "HEAR", NULL), "told");
  check_text(raw_reply(r[0], SOON), "HEAR");
  check_text(raw_reply(r[1], SOON), "HEAR");
  for (int i = 0; i < 3; i++)
    raw_close(r[i]);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(large_reply_waits_for_a_slow_reader)
{
  enum { SIZE = 8 << 20 };
  char *big = malloc(SIZE);
  struct fake *f = fake_start(NULL);
  struct raw *r = open_raw(f);

  ck_assert_ptr_nonnull(big);
  memset(big, 'x', SIZE);
  ck_assert(fake_wait_accepted(f, 1, SOON));
  fake_reply_bulk(fake_conn_at(f, 0), big, SIZE);
  fake_close(fake_conn_at(f, 0));
  sleep_ms(10);
  ck_assert_int_eq(raw_wait_end(r, SOON), RAW_ENDED);
  ck_assert_uint_eq(r->in.len, SIZE + strlen("$8388608\r\n\r\n"));
  free(big);
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

/* ---- listening ---- */

START_TEST(listening_stops_and_comes_back_at_the_same_address)
{
  struct fake *f = fake_start(&(struct fake_options){.over = (enum over)_i});
  struct raw *old = open_raw(f), *r;

  check_text(raw_ask(old, "PING", NULL), "PONG");
  for (int i = 0; i < 3; i++) {
    fake_listen(f, false);
    ck_assert_ptr_null(raw_open(fake_url(f)));
    ck_assert_int_eq(errno, ECONNREFUSED);
    check_text(raw_ask(old, "PING", NULL), "PONG");
    fake_listen(f, true);
    r = open_raw(f);
    check_text(raw_ask(r, "PING", NULL), "PONG");
    raw_close(r);
  }
  raw_close(old);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(accept_modes_are_silence_close_and_reset)
{
  struct fake *f = fake_start(&(struct fake_options){.accept = FAKE_ACCEPT_SILENT});
  struct raw *silent = open_raw(f), *closed, *reset, *good;

  ck_assert(fake_wait_accepted(f, 1, SOON));
  fake_accept_mode(f, FAKE_ACCEPT_CLOSE);
  closed = open_raw(f);
  ck_assert_int_eq(raw_wait_end(closed, SOON), RAW_ENDED);
  fake_accept_mode(f, FAKE_ACCEPT_RESET);
  reset = raw_open(fake_url(f)); /* may see the reset already while it connects */
  ck_assert_int_eq(reset ? raw_wait_end(reset, SOON) : RAW_RESET, RAW_RESET);
  fake_accept_mode(f, FAKE_ACCEPT);
  good = open_raw(f);
  check_text(raw_ask(good, "PING", NULL), "PONG");
  ck_assert(raw_command(silent, "PING", NULL));
  ck_assert_ptr_null(raw_reply(silent, 30));
  ck_assert_uint_eq(fake_seen(f, NULL), 1);
  raw_close(silent);
  raw_close(closed);
  raw_close(reset);
  raw_close(good);
  ck_assert(fake_stop(f));
}
END_TEST

/* ---- closing ---- */

static bool is_flooded(void *c)
{
  return fake_received(c) > 1 << 20;
}

/* Of a reset one of the two that use the connection is told, whoever comes first. */
START_TEST(close_is_no_reset_for_who_still_sends)
{
  for (int round = 0; round < 10; round++) {
    struct fake *f = fake_start(&(struct fake_options){.over = (enum over)_i});
    struct raw_flood fl = {.raw = open_raw(f)};
    struct background *thread = background_start(raw_flood, &fl);

    ck_assert(fake_wait_accepted(f, 1, SOON));
    ck_assert(wait_for(is_flooded, fake_conn_at(f, 0), SOON));
    fake_close(fake_conn_at(f, 0));
    ck_assert_int_eq(raw_wait_end(fl.raw, SOON), RAW_ENDED);
    background_join(thread);
    ck_assert_int_eq(fl.err, EPIPE);
    raw_close(fl.raw);
    ck_assert(fake_stop(f));
  }
}
END_TEST

/* ---- memory ---- */

START_TEST(connections_and_commands_are_counted_and_logged)
{
  struct fake *f = fake_start(NULL);
  struct raw *a = open_raw(f), *b = open_raw(f), *c;
  const struct fake_command *first;
  char *log;

  check_text(raw_ask(a, "PING", "one", NULL), "one");
  check_text(raw_ask(b, "PING", "two", NULL), "two");
  raw_close(a);
  ck_assert(fake_wait_closed(fake_conn_at(f, 0), SOON));
  ck_assert(!fake_wait_closed(fake_conn_at(f, 1), 20));
  ck_assert(fake_wait_open(f, 1, SOON));
  c = open_raw(f);
  ck_assert(fake_wait_accepted(f, 3, SOON));
  ck_assert_uint_eq(fake_counts(f).accepted, 3);
  ck_assert_uint_eq(fake_counts(f).open, 2);
  ck_assert_uint_eq(fake_counts(f).max_open, 2);
  ck_assert_uint_eq(fake_counts(f).commands, 2);
  first = fake_command(f, 0);
  ck_assert_uint_eq(first->conn, 0);
  ck_assert_int_eq(first->argc, 2);
  ck_assert_str_eq(first->argv[1], "one");
  ck_assert_int_le(first->at_us, fake_command(f, 1)->at_us);
  ck_assert_ptr_null(fake_command(f, 2));
  log = fake_log(f);
  ck_assert_ptr_nonnull(strstr(log, " PING one\n"));
  ck_assert_ptr_nonnull(strstr(log, " PING two\n"));
  free(log);
  raw_close(b);
  raw_close(c);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(input_that_is_no_command_is_refused)
{
  struct fake *f = fake_start(NULL);
  struct raw *r = open_raw(f);

  ck_assert(raw_send(r, "\x16\x03\x01 hello", 9)); /* as TLS begins */
  check_text(raw_reply(r, SOON), "-ERR Protocol error");
  ck_assert_int_eq(raw_wait_end(r, SOON), RAW_ENDED);
  ck_assert_uint_eq(fake_counts(f).protocol_errors, 1);
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

static void hammer(int i, void *arg)
{
  struct fake *f = arg;
  struct raw *r = raw_open(fake_url(f));
  char word[16];

  snprintf(word, sizeof(word), "w%d", i);
  for (int n = 0; n < 50 && r; n++) {
    char *text = raw_ask(r, "PING", word, NULL);

    if (!text || strcmp(text, word) != 0)
      harness_die("got %s", text ? text : "nothing");
    free(text);
    fake_counts(f);
  }
  raw_close(r);
}

START_TEST(fake_serves_many_threads_and_is_asked_by_them)
{
  struct fake *f = fake_start(NULL);

  run_threads(8, hammer, f);
  ck_assert_uint_eq(fake_seen(f, "ping"), 400);
  ck_assert(fake_stop(f));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("fake");

  tcase_add_loop_test(tc, handshake_is_answered_without_a_script, 0, 2);
  tcase_add_test(tc, hello_can_be_refused_in_both_ways);
  tcase_add_test(tc, password_is_asked_for_and_bytes_before_auth_are_counted);
  tcase_add_test(tc, handler_is_a_small_stateful_server);
  tcase_add_test(tc, what_was_sent_is_there_at_the_next_look);
  tcase_add_test(tc, delays_of_pipelined_commands_do_not_add_up);
  tcase_add_test(tc, manual_fake_leaves_the_handshake_to_the_handler);
  tcase_add_test(tc, handler_may_speak_on_other_connections);
  tcase_add_test(tc, large_reply_waits_for_a_slow_reader);
  tcase_add_loop_test(tc, listening_stops_and_comes_back_at_the_same_address, 0, 2);
  tcase_add_test(tc, accept_modes_are_silence_close_and_reset);
  tcase_add_loop_test(tc, close_is_no_reset_for_who_still_sends, 0, 2);
  tcase_add_test(tc, connections_and_commands_are_counted_and_logged);
  tcase_add_test(tc, input_that_is_no_command_is_refused);
  tcase_add_test(tc, fake_serves_many_threads_and_is_asked_by_them);
  return checks_run("harness_fake", tc);
}
