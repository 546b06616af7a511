/* SPDX-License-Identifier: BSD-3-Clause */
/* check_conn_broken.c - what becomes of a connection and its requests when the stream is not what
 * it should be, and that an error of the server's is nothing of the kind. Needs no server. */
#include "base/mem.h"
#include "conn_talk.h"

/* ---- replies that nobody asked for ---- */

START_TEST(a_reply_to_a_command_that_is_not_out_yet_reaches_nobody)
{
  for (size_t sent = 0;; sent++) {
    struct talk t;
    struct request *a, *b;

    talk_open(&t);
    a = ask(&t, "GET a");
    b = ask(&t, "GET b");
    if (sent == a->size) {
      send_all(&t.conn);
      feed(&t.conn, "+a\r\n+b\r\n");
      check_ended(&t, a, "a");
      check_ended(&t, b, "b");
      talk_close(&t);
      return;
    }
    send_bytes(&t.conn, sent);
    feed(&t.conn, "+a\r\n+b\r\n");
    check_failed(&t, a, sent > 0 ? PMX_UNKNOWN : PMX_NOT_RUN, PMX_CAUSE_PROTOCOL);
    check_failed(&t, b, PMX_NOT_RUN, PMX_CAUSE_LOST); /* it is not the one that was answered */
    check_dead(&t.conn, PMX_CAUSE_PROTOCOL);
    ck_assert_int_eq(t.conn.unsolicited, 1);
    talk_close(&t);
  }
}
END_TEST

START_TEST(a_reply_without_a_request_poisons_the_connection)
{
  static const char *const wires[] = {"+X\r\n", "-ERR x\r\n", "$-1\r\n", "*0\r\n",
                                      ":1\r\n", "+X",         "\r\n",    "$3\r\nab"};

  for (size_t i = 0; i < sizeof wires / sizeof wires[0]; i++) {
    struct talk t;

    talk_open(&t);
    feed(&t.conn, wires[i]);
    /* Not idle either way: what is not yet a reply may become one. */
    ck_assert_int_eq(conn_idle(&t.conn), 0);
    feed(&t.conn, "c\r\n");
    check_dead(&t.conn, PMX_CAUSE_PROTOCOL);
    feed(&t.conn, "+more\r\n");
    check_dead(&t.conn, PMX_CAUSE_PROTOCOL);
    talk_close(&t);
  }
}
END_TEST

START_TEST(one_reply_too_many_spares_the_request_that_was_answered)
{
  struct talk t;
  struct request *a;

  talk_open(&t);
  a = ask(&t, "GET a");
  send_all(&t.conn);
  feed(&t.conn, "+a\r\n+stray\r\n");
  check_ended(&t, a, "a");
  check_dead(&t.conn, PMX_CAUSE_PROTOCOL);
  ck_assert_int_eq(t.conn.unsolicited, 1);
  ck_assert_msg(strstr(t.conn.text, "stray"), "%s", t.conn.text);
  talk_close(&t);
}
END_TEST

START_TEST(what_a_stray_reply_says_is_quoted_readably)
{
  struct talk t;

  talk_open(&t);
  feed_pieces(&t.conn, "$6\r\n\0\n\"\\\x80z\r\n", 12, 0, DECODE_FEED_MAX);
  check_dead(&t.conn, PMX_CAUSE_PROTOCOL);
  for (const char *c = t.conn.text; *c; c++)
    ck_assert_msg(*c >= ' ' && *c <= '~', "byte %d in: %s", *c, t.conn.text);
  talk_close(&t);
}
END_TEST

/* ---- streams that are broken ---- */

static void break_with(const char *wire, size_t sent, pmx_cause cause)
{
  struct talk t;
  struct request *r[4];
  size_t before = 0;

  talk_open(&t);
  for (int i = 0; i < 4; i++)
    r[i] = ask(&t, "INCR n");
  send_bytes(&t.conn, sent);
  feed(&t.conn, wire);
  check_dead(&t.conn, cause);
  for (int i = 0; i < 4; i++) {
    check_failed(&t, r[i], sent > before ? PMX_UNKNOWN : PMX_NOT_RUN, i ? PMX_CAUSE_LOST : cause);
    before += r[i]->size;
  }
  talk_close(&t);
}

START_TEST(garbage_ends_touched_requests_unknown_and_untouched_ones_not_run)
{
  static const char *const wires[] = {
      "HTTP/1.1 200 OK\r\n", "\x16\x03\x01", "*-7\r\n", "$x\r\n", ":\r\n", "$4\r\nabcdef\r\n"};
  size_t size = strlen("*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");

  for (size_t i = 0; i < sizeof wires / sizeof wires[0]; i++) {
    for (size_t sent = 0; sent <= 4 * size; sent++)
      break_with(wires[i], sent, PMX_CAUSE_PROTOCOL);
  }
}
END_TEST

START_TEST(a_reply_over_the_limit_is_unknown_because_it_is_too_large)
{
  struct config config;
  struct talk t;
  struct request *a, *b;

  plain_config(&config, PROTOCOL_RESP2);
  config.reply_max_size = 4096;
  open_with(&t, &config);
  a = ask(&t, "GET a");
  b = ask(&t, "GET b");
  send_bytes(&t.conn, a->size);
  feed(&t.conn, "$1000000\r\n");
  check_failed(&t, a, PMX_UNKNOWN, PMX_CAUSE_TOO_LARGE);
  check_failed(&t, b, PMX_NOT_RUN, PMX_CAUSE_LOST); /* its own reply was not */
  check_dead(&t.conn, PMX_CAUSE_TOO_LARGE);
  talk_close(&t);
}
END_TEST

START_TEST(the_first_poison_wins)
{
  struct talk t;
  struct request *a;

  talk_open(&t);
  a = ask(&t, "GET a");
  conn_poison(&t.conn, PMX_CAUSE_CLOSED, "first");
  conn_poison(&t.conn, PMX_CAUSE_LOST, "second");
  ck_assert_str_eq(t.conn.text, "first");
  check_failed(&t, a, PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  check_dead(&t.conn, PMX_CAUSE_CLOSED);
  talk_close(&t);
}
END_TEST

START_TEST(out_of_memory_while_reading_a_reply_is_unknown)
{
  uint64_t n;

  for (n = 1;; n++) {
    struct talk t;
    struct request *req;

    talk_open(&t);
    req = ask(&t, "KEYS x");
    send_all(&t.conn);
    mem_fail_at(n, 0);
    feed(&t.conn, "*3\r\n$3\r\nabc\r\n*1\r\n:12\r\n+x\r\n");
    mem_fail_at(0, 0);
    if (mem_count() < n) {
      ck_assert_ptr_eq(conn_take_ended(&t.conn), req);
      ck_assert(pmx_ok(req->reply));
      pmx_reply_free(req->reply);
      talk_close(&t);
      break;
    }
    check_failed(&t, req, PMX_UNKNOWN, PMX_CAUSE_NOMEM);
    check_dead(&t.conn, PMX_CAUSE_NOMEM);
    talk_close(&t);
  }
  ck_assert_uint_gt(n, 1);
}
END_TEST

START_TEST(without_any_memory_requests_still_end_with_status_and_cause)
{
  struct talk t;
  struct request *a, *b;

  talk_open(&t);
  a = ask(&t, "GET a");
  b = ask(&t, "GET b");
  send_bytes(&t.conn, 3);
  mem_fail_at(1, 1);
  feed(&t.conn, "?");
  conn_poison(&t.conn, PMX_CAUSE_LOST, "gone");
  mem_fail_at(0, 0);
  ck_assert_int_eq(t.conn.poisoned, 1);
  check_failed(&t, a, PMX_UNKNOWN, t.conn.cause);
  check_failed(&t, b, PMX_NOT_RUN,
               t.conn.cause == PMX_CAUSE_NOMEM ? PMX_CAUSE_NOMEM : PMX_CAUSE_LOST);
  talk_close(&t);
}
END_TEST

/* ---- the server's errors ---- */

static const struct {
  const char *wire;
  const char *code;
  int retire;
} errors[] = {
    {"-ERR unknown command 'FOO'\r\n", "ERR", 0},
    {"-LOADING Redis is loading the dataset in memory\r\n", "LOADING", 0},
    {"-READONLY You can't write against a read only replica.\r\n", "READONLY", 1},
    {"-MOVED 3999 127.0.0.1:6381\r\n", "MOVED", 0},
    {"-ASK 3999 127.0.0.1:6381\r\n", "ASK", 0},
    {"-NOAUTH Authentication required.\r\n", "NOAUTH", 1},
    {"-WRONGPASS invalid username-password pair\r\n", "WRONGPASS", 0},
    {"-NOPERM this user has no permissions\r\n", "NOPERM", 0},
    {"-BUSY Redis is busy running a script.\r\n", "BUSY", 0},
    {"-BUSYGROUP Consumer Group name already exists\r\n", "BUSYGROUP", 0},
    {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM", 0},
    {"-MISCONF Redis is configured to save RDB snapshots\r\n", "MISCONF", 0},
    {"-NOSCRIPT No matching script.\r\n", "NOSCRIPT", 0},
    {"-EXECABORT Transaction discarded because of previous errors.\r\n", "EXECABORT", 0},
    {"-WRONGTYPE Operation against a key\r\n", "WRONGTYPE", 0},
    {"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n", "UNBLOCKED", 1},
    {"-CLUSTERDOWN Hash slot not served\r\n", "CLUSTERDOWN", 0},
    {"-TRYAGAIN Multiple keys request during rehashing of slot\r\n", "TRYAGAIN", 0},
    {"-CROSSSLOT Keys in request don't hash to the same slot\r\n", "CROSSSLOT", 0},
    {"-MASTERDOWN Link with MASTER is down\r\n", "MASTERDOWN", 0},
    {"-NOREPLICAS Not enough good replicas to write.\r\n", "NOREPLICAS", 0},
    {"-NOTBUSY No scripts in execution right now.\r\n", "NOTBUSY", 0},
    {"-UNKILLABLE Sorry the script already executed write commands\r\n", "UNKILLABLE", 0},
    {"-NOGOODSLAVE Slave too far\r\n", "NOGOODSLAVE", 0},
    {"-INPROG Failover already in progress\r\n", "INPROG", 0},
    {"-NOPROTO unsupported protocol version\r\n", "NOPROTO", 0},
    {"-DENIED Redis is running in protected mode\r\n", "DENIED", 0},
    {"-IOERR error or timeout writing to target instance\r\n", "IOERR", 0},
    {"-READONLYISH not the same word\r\n", "READONLYISH", 0},
    {"-NOAUTH\r\n", "NOAUTH", 1},
};
enum { ERRORS = sizeof errors / sizeof errors[0] };

static void try_error(int i, size_t piece)
{
  struct talk t;
  struct request *a, *b;
  size_t len = strlen(errors[i].wire);

  talk_open(&t);
  a = ask(&t, "SET k v");
  b = ask(&t, "GET k");
  send_all(&t.conn);
  feed_pieces(&t.conn, errors[i].wire, len, 0, piece);
  ck_assert_ptr_eq(conn_take_ended(&t.conn), a);
  ck_assert_int_eq(pmx_reply_status(a->reply), PMX_SERVER_ERROR);
  ck_assert_int_eq(pmx_reply_cause(a->reply), PMX_CAUSE_NONE);
  ck_assert_int_eq(pmx_reply_type(a->reply), PMX_TYPE_ERROR);
  ck_assert_str_eq(pmx_reply_error_code(a->reply), errors[i].code);
  ck_assert_int_eq(strncmp(pmx_reply_error(a->reply), errors[i].wire + 1, len - 3), 0);
  pmx_reply_free(a->reply);
  ck_assert_int_eq(t.conn.poisoned, 0);
  ck_assert_msg(t.conn.retire == errors[i].retire, "%s: retire %d", errors[i].code, t.conn.retire);
  feed(&t.conn, "$5\r\nvalue\r\n");
  check_ended(&t, b, "value");
  ck_assert_int_eq(t.conn.retire, errors[i].retire);
  check_in_step(&t.conn);
  talk_close(&t);
}

START_TEST(every_error_of_a_server_is_its_callers_and_leaves_the_connection_in_step)
{
  for (int i = 0; i < ERRORS; i++) {
    try_error(i, DECODE_FEED_MAX);
    for (size_t piece = 1; piece < strlen(errors[i].wire); piece++)
      try_error(i, piece);
  }
}
END_TEST

START_TEST(an_error_inside_an_array_is_no_error_of_the_connection)
{
  struct talk t;
  struct request *a;

  talk_open(&t);
  a = ask(&t, "EXEC");
  send_all(&t.conn);
  feed(&t.conn, "*2\r\n-READONLY x\r\n-NOAUTH y\r\n");
  ck_assert_ptr_eq(conn_take_ended(&t.conn), a);
  ck_assert_int_eq(pmx_reply_type(a->reply), PMX_TYPE_ARRAY);
  pmx_reply_free(a->reply);
  ck_assert_int_eq(t.conn.retire, 0);
  check_in_step(&t.conn);
  talk_close(&t);
}
END_TEST

START_TEST(an_error_in_a_group_retires_the_connection_as_well)
{
  struct talk t;
  struct request *group;

  talk_open(&t);
  group = ask(&t, "A; B");
  send_all(&t.conn);
  feed(&t.conn, "-ERR x\r\n-READONLY y\r\n");
  check_ended(&t, group, "ERR x");
  ck_assert_int_eq(t.conn.retire, 1);
  talk_close(&t);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("conn_broken");
  TCase *tc = tcase_create("conn_broken");
  SRunner *runner;
  int failed;

  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, a_reply_to_a_command_that_is_not_out_yet_reaches_nobody);
  tcase_add_test(tc, a_reply_without_a_request_poisons_the_connection);
  tcase_add_test(tc, one_reply_too_many_spares_the_request_that_was_answered);
  tcase_add_test(tc, what_a_stray_reply_says_is_quoted_readably);
  tcase_add_test(tc, garbage_ends_touched_requests_unknown_and_untouched_ones_not_run);
  tcase_add_test(tc, a_reply_over_the_limit_is_unknown_because_it_is_too_large);
  tcase_add_test(tc, the_first_poison_wins);
  tcase_add_test(tc, out_of_memory_while_reading_a_reply_is_unknown);
  tcase_add_test(tc, without_any_memory_requests_still_end_with_status_and_cause);
  tcase_add_test(tc, every_error_of_a_server_is_its_callers_and_leaves_the_connection_in_step);
  tcase_add_test(tc, an_error_inside_an_array_is_no_error_of_the_connection);
  tcase_add_test(tc, an_error_in_a_group_retires_the_connection_as_well);
  suite_add_tcase(suite, tc);
  runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
