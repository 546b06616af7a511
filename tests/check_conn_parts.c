/* SPDX-License-Identifier: BSD-3-Clause */
/* check_conn_parts.c - tests groups on a connection: each answer is kept for its own command, and
 * what is known of the others when the connection ends or the group is given up. */
#include "call/parts.h"
#include <stdio.h>
#include "conn_talk.h"
#include "harness/checks.h"

enum { COMMANDS = 3 };

struct grouped {
  struct talk talk;
  struct request *request;
  struct parts parts;
  struct part commands[COMMANDS];
  pmx_reply *list;
};

static const struct {
  const char *command, *name, *answer;
  uint8_t shape;
} plan[COMMANDS] = {{"GET a", "GET", "$1\r\nx\r\n", SHAPE_TEXT | SHAPE_NIL},
                    {"INCR n", "INCR", ":7\r\n", SHAPE_INTEGER},
                    {"EVAL s 0", "EVAL", "*1\r\n:1\r\n", 0}};

static void describe(struct grouped *g, int atomic)
{
  struct wire_buf buf = {0};

  for (int i = 0; i < COMMANDS; i++) {
    words_add(&buf, plan[i].command);
    g->commands[i] = (struct part){buf.len, plan[i].name, plan[i].shape};
  }
  wire_buf_free(&buf);
  g->list = reply_list_new(COMMANDS + 2);
  g->parts = (struct parts){.commands = g->commands,
                            .count = COMMANDS,
                            .atomic = (uint8_t)atomic,
                            .replies = g->list->elems};
}

/* It stands behind `before` other requests. */
static void group_begin(struct grouped *g, int atomic, int before)
{
  struct request *req;

  memset(g, 0, sizeof *g);
  talk_open(&g->talk);
  while (before-- > 0)
    ask(&g->talk, "GET before");
  describe(g, atomic);
  req = &g->talk.requests[g->talk.count];
  request_init(req, REQUEST_COMMAND);
  words_add(&g->talk.bytes[g->talk.count],
            atomic ? "MULTI; GET a; INCR n; EVAL s 0; EXEC" : "GET a; INCR n; EVAL s 0");
  req->bytes = g->talk.bytes[g->talk.count].data;
  req->size = g->talk.bytes[g->talk.count++].len;
  ck_assert_uint_eq(req->size, parts_end(&g->parts, parts_answers(&g->parts) - 1));
  req->replies = parts_answers(&g->parts);
  req->parts = &g->parts;
  g->request = req;
  conn_submit(&g->talk.conn, req);
}

static void group_end(struct grouped *g)
{
  pmx_reply_free(g->list);
  talk_close(&g->talk);
}

/* It ended with all its answers. */
static void check_complete(struct grouped *g)
{
  ck_assert_ptr_eq(conn_take_ended(&g->talk.conn), g->request);
  ck_assert_ptr_null(g->request->reply);
  ck_assert_uint_eq(g->parts.got, parts_answers(&g->parts));
  ck_assert_uint_eq(g->parts.taken, g->request->size);
}

/* ---- answers ---- */

START_TEST(each_answer_is_kept_for_its_own_command_in_any_pieces)
{
  for (size_t split = 1; split < 30; split++) {
    struct grouped g;
    const char *answers = "$1\r\nx\r\n:7\r\n*1\r\n:1\r\n+b\r\n";
    struct request *b;

    group_begin(&g, 0, 0);
    b = ask(&g.talk, "GET b");
    send_all(&g.talk.conn);
    feed_pieces(&g.talk.conn, answers, strlen(answers), split, 1 + split % 3);
    check_complete(&g);
    ck_assert_str_eq(pmx_reply_str(g.parts.replies[0], NULL), "x");
    ck_assert_int_eq(pmx_reply_int(g.parts.replies[1], NULL), 7);
    ck_assert_uint_eq(pmx_reply_len(g.parts.replies[2]), 1);
    check_ended(&g.talk, b, "b");
    check_in_step(&g.talk.conn);
    group_end(&g);
  }
}
END_TEST

START_TEST(errors_are_answers_as_well)
{
  struct grouped g;

  group_begin(&g, 0, 0);
  send_all(&g.talk.conn);
  feed(&g.talk.conn, "-ERR a\r\n-ERR b\r\n-ERR c\r\n");
  check_complete(&g);
  for (int i = 0; i < COMMANDS; i++)
    ck_assert_int_eq(pmx_reply_type(g.parts.replies[i]), PMX_TYPE_ERROR);
  check_in_step(&g.talk.conn);
  group_end(&g);
}
END_TEST

START_TEST(an_answer_of_the_wrong_kind_ends_the_connection_and_names_its_command)
{
  struct grouped g;

  group_begin(&g, 0, 0);
  send_all(&g.talk.conn);
  feed(&g.talk.conn, "$1\r\nx\r\n+OK\r\n");
  check_dead(&g.talk.conn, PMX_CAUSE_PROTOCOL);
  ck_assert_ptr_nonnull(strstr(g.talk.conn.text, "INCR got an answer of the wrong kind"));
  check_failed(&g.talk, g.request, PMX_UNKNOWN, PMX_CAUSE_PROTOCOL);
  ck_assert_uint_eq(g.parts.got, 1);
  ck_assert_str_eq(pmx_reply_str(g.parts.replies[0], NULL), "x");
  group_end(&g);
}
END_TEST

/* Of a group whose first n bytes were sent, a command is answered only when it is among them. */
START_TEST(what_is_answered_before_it_was_sent_is_out_of_place)
{
  struct grouped g;

  group_begin(&g, 0, 0);
  for (size_t sent = 0, size = g.request->size; sent <= size; sent++) {
    uint32_t whole = 0;

    if (sent > 0)
      group_begin(&g, 0, 0);
    while (whole < COMMANDS && parts_end(&g.parts, whole) <= sent)
      whole++;
    send_bytes(&g.talk.conn, sent);
    for (uint32_t i = 0; i < whole; i++)
      feed(&g.talk.conn, plan[i].answer);
    ck_assert_int_eq(g.talk.conn.poisoned, 0);
    if (whole < COMMANDS) {
      feed(&g.talk.conn, plan[whole].answer);
      check_dead(&g.talk.conn, PMX_CAUSE_PROTOCOL);
      ck_assert_ptr_eq(conn_take_ended(&g.talk.conn), g.request);
      pmx_reply_free(g.request->reply);
    } else {
      check_complete(&g);
    }
    ck_assert_uint_eq(g.parts.got, whole);
    group_end(&g);
  }
}
END_TEST

/* ---- the end in the middle ---- */

START_TEST(a_lost_connection_leaves_the_answers_and_tells_what_was_begun)
{
  for (int atomic = 0; atomic < 2; atomic++) {
    size_t size = 1;

    for (size_t sent = 0; sent <= size; sent++) {
      struct grouped g;
      uint32_t begun = 0;

      group_begin(&g, atomic, 1);
      size = g.request->size;
      send_bytes(&g.talk.conn, g.talk.requests[0].size + sent);
      feed(&g.talk.conn, "+before\r\n");
      check_ended(&g.talk, &g.talk.requests[0], "before");
      while (begun < parts_answers(&g.parts) && parts_begin(&g.parts, begun) < sent)
        begun++;
      conn_poison(&g.talk.conn, PMX_CAUSE_LOST, "gone");
      check_failed(&g.talk, g.request, sent ? PMX_UNKNOWN : PMX_NOT_RUN, PMX_CAUSE_LOST);
      ck_assert_uint_eq(g.parts.taken, sent);
      ck_assert_uint_eq(parts_begun(&g.parts), begun);
      group_end(&g);
    }
  }
}
END_TEST

START_TEST(an_abandoned_group_counts_as_sent_and_keeps_what_was_answered)
{
  struct grouped g;
  struct request *b;
  char buf[32]; /* the first command and a part of the second */

  group_begin(&g, 0, 0);
  g.request->heap = mem_alloc(g.request->size);
  memcpy(g.request->heap, g.request->bytes, g.request->size);
  g.request->bytes = g.request->heap;
  b = ask(&g.talk, "GET b");
  ck_assert_uint_eq(conn_copy(&g.talk.conn, buf, sizeof buf), sizeof buf);
  conn_offered(&g.talk.conn, 0);
  feed(&g.talk.conn, plan[0].answer);
  conn_abandon(&g.talk.conn, g.request);
  ck_assert_uint_eq(g.parts.got, 1);
  ck_assert_uint_eq(g.parts.taken, g.request->size); /* for the rest will follow */
  ck_assert_uint_eq(parts_begun(&g.parts), COMMANDS);
  memset(g.request, 0xdd, sizeof *g.request);
  while (conn_copy(&g.talk.conn, buf, sizeof buf) > 0)
    conn_offered(&g.talk.conn, 0);
  feed(&g.talk.conn, ":7\r\n*1\r\n:1\r\n+b\r\n");
  ck_assert_uint_eq(g.parts.got, 1);
  check_ended(&g.talk, b, "b");
  check_in_step(&g.talk.conn);
  group_end(&g);
}
END_TEST

START_TEST(another_try_forgets_the_answers_and_remembers_what_may_have_run)
{
  struct grouped g;

  group_begin(&g, 0, 0);
  send_bytes(&g.talk.conn, parts_end(&g.parts, 1));
  feed(&g.talk.conn, plan[0].answer);
  conn_poison(&g.talk.conn, PMX_CAUSE_LOST, "gone");
  check_failed(&g.talk, g.request, PMX_UNKNOWN, PMX_CAUSE_LOST);
  parts_reset(&g.parts);
  ck_assert_uint_eq(g.parts.earlier, 2);
  ck_assert_uint_eq(g.parts.got, 0);
  ck_assert_uint_eq(parts_begun(&g.parts), 0);
  ck_assert_ptr_null(g.parts.replies[0]);
  parts_reset(&g.parts);
  ck_assert_uint_eq(g.parts.earlier, 2);
  group_end(&g);
}
END_TEST

/* ---- MULTI … EXEC ---- */

#define QUEUED3 "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"

START_TEST(exec_answers_for_all_and_ends_the_watch)
{
  static const char *const execs[] = {"*3\r\n$1\r\nx\r\n:7\r\n:1\r\n", "*-1\r\n",
                                      "-EXECABORT no\r\n"};

  for (size_t i = 0; i < sizeof execs / sizeof *execs; i++) {
    struct grouped g;

    group_begin(&g, 1, 0);
    g.talk.conn.session.bits = SESSION_BIT_WATCH;
    send_all(&g.talk.conn);
    feed(&g.talk.conn, "+OK\r\n" QUEUED3);
    feed(&g.talk.conn, execs[i]);
    check_complete(&g);
    ck_assert_int_eq(g.parts.opened, 1);
    ck_assert_uint_eq(g.talk.conn.session.bits, 0);
    check_in_step(&g.talk.conn);
    group_end(&g);
  }
}
END_TEST

START_TEST(inside_multi_only_queued_and_errors_fit_and_exec_has_as_many_elements)
{
  /* The last answer of each row is the one that does not fit. */
  static const char *const rows[] = {
      ":1\r\n",
      "+OK\r\n:1\r\n",
      "+OK\r\n+QUEUED\r\n:7\r\n",
      "+OK\r\n" QUEUED3 "*2\r\n:1\r\n:2\r\n",
      "+OK\r\n" QUEUED3 "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n",
      "+OK\r\n" QUEUED3 "+OK\r\n",
  };

  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct grouped g;

    group_begin(&g, 1, 0);
    send_all(&g.talk.conn);
    feed(&g.talk.conn, rows[i]);
    check_dead(&g.talk.conn, PMX_CAUSE_PROTOCOL);
    check_failed(&g.talk, g.request, PMX_UNKNOWN, PMX_CAUSE_PROTOCOL);
    group_end(&g);
  }
}
END_TEST

START_TEST(behind_a_multi_that_was_refused_each_command_is_answered_for_itself)
{
  struct grouped g;

  group_begin(&g, 1, 0);
  send_all(&g.talk.conn);
  feed(&g.talk.conn, "-NOPERM no\r\n$1\r\nx\r\n:7\r\n*1\r\n:1\r\n-ERR EXEC without MULTI\r\n");
  check_complete(&g);
  ck_assert_int_eq(g.parts.opened, 0);
  check_in_step(&g.talk.conn);
  group_end(&g);
}
END_TEST

/* Whoever came next would be inside somebody's transaction. */
START_TEST(a_connection_that_may_still_be_inside_multi_is_used_by_nobody)
{
  for (int abandoned = 0; abandoned < 2; abandoned++) {
    struct grouped g;
    struct request *b;

    group_begin(&g, 1, 0);
    b = ask(&g.talk, "GET b");
    send_all(&g.talk.conn);
    feed(&g.talk.conn, "+OK\r\n");
    if (abandoned)
      conn_abandon(&g.talk.conn, g.request);
    feed(&g.talk.conn, QUEUED3 "-LOADING not now\r\n+QUEUED\r\n");
    check_dead(&g.talk.conn, PMX_CAUSE_LOST);
    if (!abandoned)
      check_complete(&g);
    check_failed(&g.talk, b, PMX_UNKNOWN, PMX_CAUSE_LOST);
    group_end(&g);
  }
}
END_TEST

START_TEST(an_abandoned_transaction_ends_and_others_are_served_behind_it)
{
  static const char *const execs[] = {"*3\r\n:1\r\n:2\r\n:3\r\n", "-EXECABORT no\r\n"};

  for (size_t i = 0; i < sizeof execs / sizeof *execs; i++) {
    struct grouped g;
    struct request *b;

    group_begin(&g, 1, 0);
    b = ask(&g.talk, "GET b");
    send_all(&g.talk.conn);
    feed(&g.talk.conn, "+OK\r\n+QUEUED\r\n");
    conn_abandon(&g.talk.conn, g.request);
    feed(&g.talk.conn, "+QUEUED\r\n+QUEUED\r\n");
    feed(&g.talk.conn, execs[i]);
    feed(&g.talk.conn, "+b\r\n");
    check_ended(&g.talk, b, "b");
    ck_assert_uint_eq(g.parts.got, 2);
    check_in_step(&g.talk.conn);
    group_end(&g);
  }
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      each_answer_is_kept_for_its_own_command_in_any_pieces,
      errors_are_answers_as_well,
      an_answer_of_the_wrong_kind_ends_the_connection_and_names_its_command,
      what_is_answered_before_it_was_sent_is_out_of_place,
      a_lost_connection_leaves_the_answers_and_tells_what_was_begun,
      an_abandoned_group_counts_as_sent_and_keeps_what_was_answered,
      another_try_forgets_the_answers_and_remembers_what_may_have_run,
      exec_answers_for_all_and_ends_the_watch,
      inside_multi_only_queued_and_errors_fit_and_exec_has_as_many_elements,
      behind_a_multi_that_was_refused_each_command_is_answered_for_itself,
      a_connection_that_may_still_be_inside_multi_is_used_by_nobody,
      an_abandoned_transaction_ends_and_others_are_served_behind_it,
  };
  TCase *tc = checks_case("conn_parts");

  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  return checks_run("conn_parts", tc);
}
