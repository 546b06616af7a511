/* SPDX-License-Identifier: BSD-3-Clause */
/* check_conn.c - the order of requests and the matching of replies, without I/O: whose a reply is,
 * whatever pieces it comes in. Needs no server. */
#include "conn_talk.h"

/* ---- one reply, one request ---- */

static const char *const texts[] = {"zero", "", "two", "OK", "a b\x01", "five"};
static const char stream[] =
    "$4\r\nzero\r\n$0\r\n\r\n+two\r\n-OK\r\n$4\r\na b\x01\r\n$4\r\nfive\r\n";
enum { TEXTS = sizeof texts / sizeof texts[0] };

static void match_all(size_t slice, size_t split, size_t piece)
{
  struct talk t;
  struct wire_buf wanted = {0}, out = {0};

  talk_open(&t);
  for (int i = 0; i < TEXTS; i++) {
    struct request *req = ask(&t, "GET some-key");

    ck_assert_int_eq(request_state(req), REQUEST_WRITING);
    words_add(&wanted, "GET some-key");
  }
  take_output(&t.conn, slice, WHOLE, &out);
  ck_assert_uint_eq(out.len, wanted.len);
  ck_assert_mem_eq(out.data, wanted.data, out.len);
  for (int i = 0; i < TEXTS; i++)
    ck_assert_int_eq(request_state(&t.requests[i]), REQUEST_SENT);
  feed_pieces(&t.conn, stream, sizeof stream - 1, split, piece);
  for (int i = 0; i < TEXTS; i++)
    check_ended(&t, &t.requests[i], texts[i]);
  check_in_step(&t.conn);
  talk_close(&t);
  wire_buf_free(&wanted);
  wire_buf_free(&out);
}

START_TEST(each_reply_goes_to_the_oldest_request_however_the_bytes_arrive)
{
  match_all(WHOLE, 0, DECODE_FEED_MAX);
  for (size_t piece = 1; piece < sizeof stream - 1; piece++)
    match_all(WHOLE, 0, piece);
  for (size_t split = 1; split < sizeof stream - 1; split++)
    match_all(WHOLE, split, DECODE_FEED_MAX);
}
END_TEST

START_TEST(output_may_be_taken_in_slices_of_any_size)
{
  for (size_t slice = 1; slice < 64; slice++)
    match_all(slice, 0, DECODE_FEED_MAX);
}
END_TEST

START_TEST(a_request_is_sent_when_its_last_byte_is_and_the_next_one_begins)
{
  struct talk t;
  struct request *a, *b;
  struct wire_buf out = {0};

  talk_open(&t);
  a = ask(&t, "GET a");
  b = ask(&t, "GET b");
  for (size_t sent = 0; sent < a->size; sent++) {
    ck_assert_int_eq(request_state(a), REQUEST_WRITING);
    ck_assert_uint_eq(a->sent, sent);
    ck_assert_uint_eq(t.conn.unwritten, 0);
    take_output(&t.conn, 1, 1, &out);
  }
  ck_assert_int_eq(request_state(a), REQUEST_SENT);
  ck_assert_int_eq(request_state(b), REQUEST_WRITING);
  ck_assert_uint_eq(b->sent, 0);
  ck_assert_uint_eq(t.conn.unwritten, 1);
  send_all(&t.conn);
  ck_assert_uint_eq(t.conn.unwritten, 2);
  feed(&t.conn, "+a\r\n+b\r\n");
  check_ended(&t, a, "a");
  check_ended(&t, b, "b");
  talk_close(&t);
  wire_buf_free(&out);
}
END_TEST

START_TEST(a_first_request_may_be_answered_while_the_next_is_still_being_written)
{
  struct talk t;
  struct request *a, *b;
  struct wire_buf out = {0};

  talk_open(&t);
  a = ask(&t, "GET a");
  b = ask(&t, "GET b");
  take_output(&t.conn, WHOLE, a->size + 3, &out);
  feed(&t.conn, "+a\r\n");
  check_ended(&t, a, "a");
  ck_assert_int_eq(conn_waits(&t.conn), 1);
  send_all(&t.conn);
  feed(&t.conn, "+b\r\n");
  check_ended(&t, b, "b");
  check_in_step(&t.conn);
  talk_close(&t);
  wire_buf_free(&out);
}
END_TEST

START_TEST(a_truncated_reply_ends_nothing_until_the_rest_has_come)
{
  static const char wire[] = "*2\r\n$3\r\nabc\r\n*1\r\n:12\r\n";

  for (size_t n = 0; n < sizeof wire - 1; n++) {
    struct talk t;
    struct request *req;

    talk_open(&t);
    req = ask(&t, "KEYS x");
    send_all(&t.conn);
    feed_pieces(&t.conn, wire, n, 0, DECODE_FEED_MAX);
    ck_assert_ptr_null(conn_take_ended(&t.conn));
    ck_assert_int_eq(conn_waits(&t.conn), 1);
    ck_assert_int_eq(conn_idle(&t.conn), 0);
    feed(&t.conn, wire + n);
    ck_assert_ptr_eq(conn_take_ended(&t.conn), req);
    ck_assert_int_eq(pmx_reply_type(req->reply), PMX_TYPE_ARRAY);
    ck_assert_uint_eq(pmx_reply_len(req->reply), 2);
    pmx_reply_free(req->reply);
    check_in_step(&t.conn);
    talk_close(&t);
  }
}
END_TEST

START_TEST(a_connection_lost_in_the_middle_of_a_reply_gives_nobody_half_of_it)
{
  struct talk t;
  struct request *a, *b, *c;

  talk_open(&t);
  a = ask(&t, "GET a");
  b = ask(&t, "GET b");
  c = ask(&t, "GET c");
  send_bytes(&t.conn, a->size + b->size);
  feed(&t.conn, "$1\r\na\r\n$100\r\nhalf of b");
  conn_poison(&t.conn, PMX_CAUSE_LOST, "closed by the server");
  check_ended(&t, a, "a");
  check_failed(&t, b, PMX_UNKNOWN, PMX_CAUSE_LOST);
  check_failed(&t, c, PMX_NOT_RUN, PMX_CAUSE_LOST);
  talk_close(&t);
}
END_TEST

/* ---- groups ---- */

START_TEST(a_group_ends_with_its_last_answer)
{
  struct talk t;
  struct request *group, *after;

  talk_open(&t);
  group = ask(&t, "UNWATCH; SELECT 0; PING");
  after = ask(&t, "GET k");
  ck_assert_uint_eq(group->replies, 3);
  send_all(&t.conn);
  feed(&t.conn, "+one\r\n+two\r\n");
  ck_assert_ptr_null(conn_take_ended(&t.conn));
  feed(&t.conn, "+three\r\n+value\r\n");
  check_ended(&t, group, "three");
  check_ended(&t, after, "value");
  check_in_step(&t.conn);
  talk_close(&t);
}
END_TEST

START_TEST(a_group_keeps_its_first_error)
{
  static const char *const answers[] = {"-ERR 1\r\n+two\r\n+three\r\n",
                                        "-ERR 1\r\n-ERR 2\r\n:3\r\n",
                                        "+one\r\n-ERR 1\r\n-ERR 3\r\n", "*0\r\n$-1\r\n-ERR 1\r\n"};

  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
    for (size_t piece = 1; piece < strlen(answers[i]); piece++) {
      struct talk t;
      struct request *group;

      talk_open(&t);
      group = ask(&t, "A; B; C");
      send_all(&t.conn);
      feed_pieces(&t.conn, answers[i], strlen(answers[i]), 0, piece);
      check_ended(&t, group, "ERR 1");
      check_in_step(&t.conn);
      talk_close(&t);
    }
  }
}
END_TEST

START_TEST(a_group_may_be_answered_while_it_is_written_but_not_to_its_end)
{
  for (int early = 1; early <= 3; early++) {
    struct talk t;
    struct request *group;

    talk_open(&t);
    group = ask(&t, "A; B; C");
    send_bytes(&t.conn, group->size - 1);
    feed_pieces(&t.conn, "+1\r\n+2\r\n+3\r\n", (size_t)early * 4, 0, DECODE_FEED_MAX);
    if (early < 3) {
      send_all(&t.conn);
      feed(&t.conn, early == 1 ? "+2\r\n+3\r\n" : "+3\r\n");
      check_ended(&t, group, "3");
      check_in_step(&t.conn);
    } else {
      check_failed(&t, group, PMX_UNKNOWN, PMX_CAUSE_PROTOCOL);
      check_dead(&t.conn, PMX_CAUSE_PROTOCOL);
    }
    talk_close(&t);
  }
}
END_TEST

START_TEST(half_a_group_answered_and_lost_is_unknown)
{
  struct talk t;
  struct request *group;

  talk_open(&t);
  group = ask(&t, "A; B; C");
  send_all(&t.conn);
  feed(&t.conn, "+1\r\n-ERR 2\r\n");
  conn_poison(&t.conn, PMX_CAUSE_LOST, "gone");
  check_failed(&t, group, PMX_UNKNOWN, PMX_CAUSE_LOST);
  talk_close(&t);
}
END_TEST

/* ---- withdrawing ---- */

START_TEST(what_was_not_touched_can_be_withdrawn_and_never_appears)
{
  for (int which = 0; which < 3; which++) {
    struct talk t;
    struct request *r[3];
    struct wire_buf wanted = {0}, out = {0};
    static const char *const gets[] = {"GET a", "GET b", "GET c"};

    talk_open(&t);
    for (int i = 0; i < 3; i++) {
      r[i] = ask(&t, gets[i]);
      if (i != which)
        words_add(&wanted, gets[i]);
    }
    ck_assert_int_eq(conn_withdraw(&t.conn, r[which]), 1);
    ck_assert_int_eq(conn_withdraw(&t.conn, r[which]), 0);
    take_output(&t.conn, 5, WHOLE, &out);
    ck_assert_uint_eq(out.len, wanted.len);
    ck_assert_mem_eq(out.data, wanted.data, out.len);
    feed(&t.conn, "+1\r\n+2\r\n");
    for (int i = 0, answer = 1; i < 3; i++) {
      if (i != which)
        check_ended(&t, r[i], answer++ == 1 ? "1" : "2");
    }
    check_in_step(&t.conn);
    talk_close(&t);
    wire_buf_free(&wanted);
    wire_buf_free(&out);
  }
}
END_TEST

START_TEST(a_connection_whose_only_request_was_withdrawn_is_idle)
{
  struct talk t;
  struct request *a;
  size_t len = 1;

  talk_open(&t);
  a = ask(&t, "GET a");
  ck_assert_int_eq(conn_withdraw(&t.conn, a), 1);
  conn_output(&t.conn, &len);
  ck_assert_uint_eq(len, 0);
  check_in_step(&t.conn);
  talk_close(&t);
}
END_TEST

START_TEST(a_request_of_which_a_byte_was_taken_stays)
{
  struct talk t;
  struct request *a, *b;

  talk_open(&t);
  a = ask(&t, "GET a");
  b = ask(&t, "GET b");
  send_bytes(&t.conn, 1);
  ck_assert_int_eq(conn_withdraw(&t.conn, a), 0);
  ck_assert_int_eq(conn_withdraw(&t.conn, b), 1);
  send_all(&t.conn);
  ck_assert_int_eq(conn_withdraw(&t.conn, a), 0);
  feed(&t.conn, "+a\r\n");
  check_ended(&t, a, "a");
  check_in_step(&t.conn);
  talk_close(&t);
}
END_TEST

/* ---- what else a reply does ---- */

START_TEST(the_session_follows_the_replies_and_not_the_requests)
{
  struct talk t;
  struct request *a, *b;

  talk_open(&t);
  a = ask(&t, "SELECT 5");
  b = ask(&t, "WATCH k");
  a->route.effect = SESSION_SELECT;
  a->route.effect_arg = 5;
  b->route.effect = SESSION_WATCH;
  send_all(&t.conn);
  ck_assert_uint_eq(t.conn.session.bits, 0);
  feed(&t.conn, "-ERR DB index is out of range\r\n");
  ck_assert_uint_eq(t.conn.session.bits, 0);
  feed(&t.conn, "+OK\r\n");
  ck_assert_uint_eq(t.conn.session.bits, SESSION_BIT_WATCH);
  check_ended(&t, a, "ERR DB index is out of range");
  check_ended(&t, b, "OK");
  talk_close(&t);
}
END_TEST

START_TEST(pushes_are_counted_and_complete_nothing)
{
  static const char wire[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n$5\r\nvalue\r\n"
                             ">1\r\n+la\"st\r\n";

  if (!decoder_resp3())
    return; /* RESP2 has none */
  for (size_t piece = 1; piece < sizeof wire; piece++) {
    struct talk t;
    struct request *a;

    talk_open(&t);
    a = ask(&t, "GET k");
    send_all(&t.conn);
    feed_pieces(&t.conn, wire, sizeof wire - 1, 0, piece);
    check_ended(&t, a, "value");
    ck_assert_uint_eq(t.conn.pushes, 2);
    ck_assert_str_eq(t.conn.push_kind, "la\\x22st");
    check_in_step(&t.conn);
    talk_close(&t);
  }
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("conn");
  TCase *tc = tcase_create("conn");
  SRunner *runner;
  int failed;

  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, each_reply_goes_to_the_oldest_request_however_the_bytes_arrive);
  tcase_add_test(tc, output_may_be_taken_in_slices_of_any_size);
  tcase_add_test(tc, a_request_is_sent_when_its_last_byte_is_and_the_next_one_begins);
  tcase_add_test(tc, a_first_request_may_be_answered_while_the_next_is_still_being_written);
  tcase_add_test(tc, a_truncated_reply_ends_nothing_until_the_rest_has_come);
  tcase_add_test(tc, a_connection_lost_in_the_middle_of_a_reply_gives_nobody_half_of_it);
  tcase_add_test(tc, a_group_ends_with_its_last_answer);
  tcase_add_test(tc, a_group_keeps_its_first_error);
  tcase_add_test(tc, a_group_may_be_answered_while_it_is_written_but_not_to_its_end);
  tcase_add_test(tc, half_a_group_answered_and_lost_is_unknown);
  tcase_add_test(tc, what_was_not_touched_can_be_withdrawn_and_never_appears);
  tcase_add_test(tc, a_connection_whose_only_request_was_withdrawn_is_idle);
  tcase_add_test(tc, a_request_of_which_a_byte_was_taken_stays);
  tcase_add_test(tc, the_session_follows_the_replies_and_not_the_requests);
  tcase_add_test(tc, pushes_are_counted_and_complete_nothing);
  suite_add_tcase(suite, tc);
  runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
