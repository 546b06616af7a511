/* SPDX-License-Identifier: BSD-3-Clause */
/* check_conn_shared.c - tests what only a shared connection needs of conn: output through a buffer,
 * what the transport may have taken of it, and requests that are given up while their replies come.
 */
#include <stdio.h>
#include "conn_talk.h"
#include "harness/checks.h"

enum { BUFFER = 64 };

/* What is to be written goes through a buffer of this size, all of it taken by the transport. */
static void copy_all(struct talk *t, struct wire_buf *out)
{
  char buf[BUFFER];
  size_t n;

  while ((n = conn_copy(&t->conn, buf, sizeof buf)) > 0) {
    wire_buf_add(out, buf, n);
    conn_offered(&t->conn, 0);
  }
}

/* A SET that is `size` bytes long in its value, in memory that a lane may take over. */
static struct request *ask_long(struct talk *t, size_t size)
{
  char *command = malloc(size + 16);
  struct request *req;

  strcpy(command, "SET k ");
  memset(command + 6, 'v', size);
  command[6 + size] = '\0';
  req = ask(t, command);
  free(command);
  req->heap = mem_alloc(req->size);
  memcpy(req->heap, req->bytes, req->size);
  req->bytes = req->heap;
  return req;
}

START_TEST(requests_are_copied_whole_unless_one_is_larger_than_the_buffer)
{
  struct talk t;
  struct request *r[4];
  char buf[BUFFER];
  size_t n;

  talk_open(&t);
  r[0] = ask(&t, "GET a");
  r[1] = ask(&t, "GET b");
  r[2] = ask(&t, "GET c");
  r[3] = ask_long(&t, 100);
  n = conn_copy(&t.conn, buf, sizeof buf);
  ck_assert_uint_eq(n, 3 * r[0]->size);
  ck_assert_int_eq(request_state(r[2]), REQUEST_SENT);
  ck_assert_int_eq(request_state(r[3]), REQUEST_WRITING);
  ck_assert_uint_eq(r[3]->sent, 0);
  conn_offered(&t.conn, 0);
  ck_assert_uint_eq(conn_copy(&t.conn, buf, sizeof buf), BUFFER);
  ck_assert_int_eq(request_state(r[3]), REQUEST_WRITING);
  ck_assert_uint_eq(conn_copy(&t.conn, buf, sizeof buf), BUFFER);
  ck_assert_uint_eq(conn_copy(&t.conn, buf, sizeof buf), r[3]->size - 2 * BUFFER);
  ck_assert_int_eq(request_state(r[3]), REQUEST_SENT);
  ck_assert_uint_eq(conn_copy(&t.conn, buf, sizeof buf), 0);
  conn_offered(&t.conn, 0);
  feed(&t.conn, "+a\r\n+b\r\n+c\r\n+OK\r\n");
  check_ended(&t, r[0], "a");
  check_ended(&t, r[1], "b");
  check_ended(&t, r[2], "c");
  check_ended(&t, r[3], "OK");
  check_in_step(&t.conn);
  mem_free(r[3]->heap);
  talk_close(&t);
}
END_TEST

START_TEST(a_request_may_have_run_when_its_bytes_were_offered_and_not_when_they_were_only_copied)
{
  /* sent: of two commands of 20 bytes each; what the first, the second end as. */
  static const struct {
    size_t sent;
    pmx_status first, second;
  } rows[] = {
      {0, PMX_NOT_RUN, PMX_NOT_RUN},  {1, PMX_UNKNOWN, PMX_NOT_RUN},
      {20, PMX_UNKNOWN, PMX_NOT_RUN}, {21, PMX_UNKNOWN, PMX_UNKNOWN},
      {40, PMX_UNKNOWN, PMX_UNKNOWN},
  };

  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct talk t;
    struct request *a, *b;
    char buf[BUFFER];

    talk_open(&t);
    a = ask(&t, "GET a");
    b = ask(&t, "GET b");
    ck_assert_uint_eq(a->size, 20);
    ck_assert_uint_eq(conn_copy(&t.conn, buf, sizeof buf), 40);
    conn_offered(&t.conn, 40 - rows[i].sent);
    conn_poison(&t.conn, PMX_CAUSE_LOST, "gone");
    check_failed(&t, a, rows[i].first, PMX_CAUSE_LOST);
    check_failed(&t, b, rows[i].second, PMX_CAUSE_LOST);
    talk_close(&t);
  }
}
END_TEST

START_TEST(an_answer_to_what_was_offered_is_not_too_early_and_one_to_what_was_copied_is)
{
  for (int offered = 0; offered < 2; offered++) {
    struct talk t;
    struct request *a;
    char buf[BUFFER];

    talk_open(&t);
    a = ask(&t, "GET a");
    conn_copy(&t.conn, buf, sizeof buf);
    if (offered)
      conn_offered(&t.conn, 0);
    feed(&t.conn, "+a\r\n");
    if (offered)
      check_ended(&t, a, "a");
    else
      check_failed(&t, a, PMX_NOT_RUN, PMX_CAUSE_PROTOCOL);
    talk_close(&t);
  }
}
END_TEST

START_TEST(the_late_reply_of_an_abandoned_request_reaches_nobody)
{
  /* One of three is abandoned. */
  for (int which = 0; which < 3; which++) {
    struct talk t;
    struct request *r[3];
    struct wire_buf out = {0};
    static const char *const gets[] = {"GET a", "GET b", "GET c"}, *const names[] = {"a", "b", "c"};

    talk_open(&t);
    for (int i = 0; i < 3; i++)
      r[i] = ask(&t, gets[i]);
    copy_all(&t, &out);
    conn_abandon(&t.conn, r[which]);
    memset(r[which], 0xdd, sizeof *r[which]); /* its issuer has gone */
    ck_assert_uint_eq(t.conn.abandoned, 1);
    ck_assert_int_eq(conn_waits(&t.conn), 1);
    feed(&t.conn, "+a\r\n+b\r\n+c\r\n");
    for (int i = 0; i < 3; i++) {
      if (i != which)
        check_ended(&t, r[i], names[i]);
    }
    ck_assert_uint_eq(t.conn.abandoned, 0);
    ck_assert_uint_eq(t.conn.late, 1);
    check_in_step(&t.conn);
    wire_buf_free(&out);
    talk_close(&t);
  }
}
END_TEST

START_TEST(all_may_be_abandoned_and_the_connection_lives_or_dies_without_them)
{
  for (int dies = 0; dies < 2; dies++) {
    struct talk t;
    struct wire_buf out = {0};

    talk_open(&t);
    for (int i = 0; i < 3; i++)
      ask(&t, "GET a");
    copy_all(&t, &out);
    for (int i = 0; i < 3; i++)
      conn_abandon(&t.conn, &t.requests[i]);
    if (dies)
      conn_poison(&t.conn, PMX_CAUSE_LOST, "gone");
    else
      feed(&t.conn, "+1\r\n+2\r\n+3\r\n");
    ck_assert_ptr_null(conn_take_ended(&t.conn));
    ck_assert_uint_eq(t.conn.abandoned, 0);
    if (!dies)
      check_in_step(&t.conn);
    wire_buf_free(&out);
    talk_close(&t);
  }
}
END_TEST

START_TEST(what_is_left_of_a_half_written_request_follows_though_it_was_abandoned)
{
  struct talk t;
  struct request *a, *b;
  struct wire_buf out = {0}, wanted = {0};
  char buf[BUFFER];

  talk_open(&t);
  a = ask_long(&t, 1000);
  b = ask(&t, "GET b");
  wire_buf_add(&wanted, a->bytes, a->size);
  wire_buf_add(&wanted, b->bytes, b->size);
  ck_assert_uint_eq(conn_copy(&t.conn, buf, sizeof buf), BUFFER);
  wire_buf_add(&out, buf, BUFFER);
  conn_abandon(&t.conn, a);
  ck_assert_ptr_null(a->heap); /* the connection has it */
  memset(a, 0xdd, sizeof *a);
  copy_all(&t, &out);
  ck_assert_uint_eq(out.len, wanted.len);
  ck_assert_mem_eq(out.data, wanted.data, out.len);
  feed(&t.conn, "+OK\r\n+b\r\n");
  check_ended(&t, b, "b");
  check_in_step(&t.conn);
  wire_buf_free(&out);
  wire_buf_free(&wanted);
  talk_close(&t);
}
END_TEST

START_TEST(what_begins_before_a_request_is_not_its_answer_however_it_goes_on)
{
  static const char *const begun[] = {"+", "$5\r\nhel", "*1\r\n", "-ERR max", ":"};

  for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
    for (int asked = 0; asked < 2; asked++) {
      struct talk t;
      struct request *a;

      talk_open(&t);
      a = asked ? ask(&t, "GET a") : NULL; /* not yet sent */
      feed(&t.conn, begun[i]);
      check_dead(&t.conn, PMX_CAUSE_PROTOCOL);
      ck_assert_int_eq(t.conn.unsolicited, 1);
      if (a)
        check_failed(&t, a, PMX_NOT_RUN, PMX_CAUSE_PROTOCOL);
      talk_close(&t);
    }
  }
}
END_TEST

START_TEST(what_begins_after_a_request_is_its_answer_in_any_pieces)
{
  struct talk t;
  struct request *a, *b;
  char buf[BUFFER];

  talk_open(&t);
  a = ask(&t, "GET a");
  b = ask(&t, "GET b");
  conn_copy(&t.conn, buf, sizeof buf);
  conn_offered(&t.conn, 0);
  feed_pieces(&t.conn, "$1\r\na\r\n*1\r\n+b\r\n", 15, 0, 1);
  check_ended(&t, a, "a");
  ck_assert_ptr_eq(conn_take_ended(&t.conn), b);
  ck_assert_uint_eq(pmx_reply_len(b->reply), 1);
  pmx_reply_free(b->reply);
  check_in_step(&t.conn);
  talk_close(&t);
}
END_TEST

START_TEST(a_push_may_come_in_pieces_while_nothing_is_owed)
{
  const char *push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
  struct talk t;

  if (!decoder_resp3())
    return;
  talk_open(&t);
  feed_pieces(&t.conn, push, strlen(push), 0, 1);
  check_in_step(&t.conn);
  ck_assert_uint_eq(t.conn.pushes, 1);
  talk_close(&t);
}
END_TEST

START_TEST(the_places_go_round_and_round)
{
  struct talk t;
  struct wire_buf out = {0};
  unsigned asked = 0, answered = 0;
  char reply[32];

  talk_open(&t);
  for (int step = 0; step < 1000; step++) {
    t.count = (int)(asked % REQUESTS);
    if (asked - answered < REQUESTS && step % 3 != 2) {
      wire_buf_free(&t.bytes[t.count]);
      ask(&t, "GET a");
      copy_all(&t, &out);
      asked++;
    } else if (answered < asked) {
      snprintf(reply, sizeof reply, "+%u\r\n", answered);
      feed(&t.conn, reply);
      snprintf(reply, sizeof reply, "%u", answered);
      check_ended(&t, &t.requests[answered % REQUESTS], reply);
      answered++;
    }
    ck_assert_uint_eq(conn_room(&t.conn), CONN_PLACES - (asked - answered));
  }
  ck_assert_uint_gt(answered, 300);
  conn_poison(&t.conn, PMX_CAUSE_LOST, "gone");
  while (answered < asked)
    check_failed(&t, &t.requests[answered++ % REQUESTS], PMX_UNKNOWN, PMX_CAUSE_LOST);
  t.count = REQUESTS;
  wire_buf_free(&out);
  talk_close(&t);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      requests_are_copied_whole_unless_one_is_larger_than_the_buffer,
      a_request_may_have_run_when_its_bytes_were_offered_and_not_when_they_were_only_copied,
      an_answer_to_what_was_offered_is_not_too_early_and_one_to_what_was_copied_is,
      the_late_reply_of_an_abandoned_request_reaches_nobody,
      all_may_be_abandoned_and_the_connection_lives_or_dies_without_them,
      what_is_left_of_a_half_written_request_follows_though_it_was_abandoned,
      what_begins_before_a_request_is_not_its_answer_however_it_goes_on,
      what_begins_after_a_request_is_its_answer_in_any_pieces,
      a_push_may_come_in_pieces_while_nothing_is_owed,
      the_places_go_round_and_round,
  };
  TCase *tc = checks_case("conn_shared");

  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  return checks_run("conn_shared", tc);
}
