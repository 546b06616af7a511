/* SPDX-License-Identifier: BSD-3-Clause */
/* scans_faults.c - scans of a server that answers nonsense, fails, hangs up or never comes to an
 * end: each failure is named, and the same page is asked for again. */
#include <check.h>
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "behaviour/behaviour.h"
#include "behaviour/scripting.h"
#include "harness/checks.h"
#include "harness/util.h"

/* ---- a server of pages ---- */

/* What it answers to the cursor 0, or to "middle" when there is a page before it, the first time;
 * NULL: it hangs up. After that, and to any other cursor, a good last page; but to "round" empty
 * ones for ever. */
struct book {
  const char *answer;
  bool middle;
  atomic_int given;
};

#define LAST "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
#define FIRST "*2\r\n$6\r\nmiddle\r\n*1\r\n$1\r\nx\r\n"
#define ROUND "*2\r\n$5\r\nround\r\n*0\r\n"

static int turn(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct book *book = ud;
  int at = strcasecmp(argv[0], "SCAN") == 0 ? 1 : 2;
  const char *cursor = argc > at ? argv[at] : "";

  if (strlen(argv[0]) < 4 || strcasecmp(argv[0] + strlen(argv[0]) - 4, "SCAN") != 0)
    return answer_values(NULL, conn, argc, argv, len);
  if (strcmp(cursor, "round") == 0) {
    fake_send(conn, ROUND, strlen(ROUND));
  } else if (book->middle && strcmp(cursor, "0") == 0) {
    fake_send(conn, FIRST, strlen(FIRST));
  } else if (strcmp(cursor, book->middle ? "middle" : "0") == 0 &&
             atomic_fetch_add(&book->given, 1) == 0) {
    if (!book->answer)
      return -1;
    fake_send(conn, book->answer, strlen(book->answer));
  } else {
    fake_send(conn, LAST, strlen(LAST));
  }
  return 0;
}

struct stage {
  struct book book;
  struct fake *fake;
  pmx_client *client;
};

static void stage_open(struct stage *s, const struct way *way, const char *answer)
{
  memset(s, 0, sizeof *s);
  s->book.answer = answer;
  s->fake = fake_for(way, turn, &s->book);
  s->client = open_client(way->strategy, fake_url(s->fake), (char *)NULL);
}

static void stage_close(struct stage *s)
{
  close_client(s->client);
  ck_assert(fake_stop(s->fake));
}

/* The cursor of the i-th command from the end. */
static const char *cursor_sent(struct stage *s, size_t i, int at)
{
  const struct fake_command *command = fake_command(s->fake, fake_counts(s->fake).commands - 1 - i);

  ck_assert_ptr_nonnull(command);
  ck_assert_int_gt(command->argc, at);
  return command->argv[at];
}

/* ---- nonsense ---- */

static const struct nonsense {
  const char *command, *answer, *wrong;
} nonsense[] = {
    {"SCAN", "+OK\r\n", "array of two"},
    {"SCAN", "$-1\r\n", "array of two"},
    {"SCAN", ":7\r\n", "array of two"},
    {"SCAN", "*0\r\n", "array of two"},
    {"SCAN", "*-1\r\n", "array of two"},
    {"SCAN", "*1\r\n$1\r\n7\r\n", "array of two"},
    {"SCAN", "*3\r\n$1\r\n7\r\n*0\r\n*0\r\n", "array of two"},
    {"SCAN", "*2\r\n*0\r\n*0\r\n", "cursor"},
    {"SCAN", "*2\r\n$-1\r\n*0\r\n", "cursor"},
    {"SCAN", "*2\r\n$0\r\n\r\n*0\r\n", "cursor"},
    {"SCAN", "*2\r\n:7\r\n*0\r\n", "cursor"},
    {"SCAN", "*2\r\n-ERR no\r\n*0\r\n", "cursor"},
    {"SCAN", "*2\r\n$1\r\n7\r\n$1\r\na\r\n", "no array"},
    {"SCAN", "*2\r\n$1\r\n7\r\n*-1\r\n", "no array"},
    {"SCAN", "*2\r\n$1\r\n7\r\n:0\r\n", "no array"},
    {"SCAN", "*2\r\n$1\r\n7\r\n*2\r\n$1\r\na\r\n$-1\r\n", "no string"},
    {"SCAN", "*2\r\n$1\r\n7\r\n*1\r\n-ERR no\r\n", "no string"},
    {"SSCAN", "*2\r\n$1\r\n7\r\n*1\r\n*0\r\n", "no string"},
    {"HSCAN", "*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n", "pairs"},
    {"ZSCAN", "*2\r\n$1\r\n7\r\n*3\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n", "pairs"},
    {"ZSCAN", "*2\r\n$1\r\n7\r\n*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n", "pairs"},
};

static void be_told_nonsense(const struct nonsense *n, const struct way *way)
{
  const char *key = strcmp(n->command, "SCAN") == 0 ? NULL : "k";
  struct stage s;
  pmx_scan *scan;
  pmx_reply *err;

  stage_open(&s, way, n->answer);
  scan = scan_of(s.client, n->command, key, NULL, 0);
  ck_assert_ptr_null(pmx_scan_next(scan, NULL, &err));
  check_fails_saying(err, PMX_UNKNOWN, PMX_CAUSE_PROTOCOL, n->command, n->wrong, (char *)NULL);
  ck_assert_ptr_nonnull(next_of(scan));
  ck_assert_str_eq(cursor_sent(&s, 0, key ? 2 : 1), "0");
  ck_assert_uint_eq(fake_seen(s.fake, n->command), 2);
  pmx_scan_free(scan);
  stage_close(&s);
}

START_TEST(nonsense_is_a_failure_that_is_named_and_the_page_can_be_asked_for_again)
{
  for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
    be_told_nonsense(&nonsense[i], &(const struct way){strategies[_i], OVER_UNIX});
}
END_TEST

/* ---- cursors ---- */

static const char *const cursors[] = {"18446744073709551615", "9223372036854775808", "00", "-1",
                                      "a cursor of another kind"};

START_TEST(a_cursor_is_sent_back_as_it_came)
{
  for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
    struct stage s;
    char answer[128];
    pmx_scan *scan;

    snprintf(answer, sizeof answer, "*2\r\n$%zu\r\n%s\r\n*1\r\n$1\r\nx\r\n", strlen(cursors[i]),
             cursors[i]);
    stage_open(&s, &(const struct way){strategies[_i], OVER_UNIX}, answer);
    scan = scan_of(s.client, NULL, NULL, "*", 7);
    ck_assert_str_eq(pmx_reply_str(next_of(scan), NULL), "x");
    ck_assert_str_eq(pmx_reply_str(next_of(scan), NULL), "a");
    ck_assert_str_eq(cursor_sent(&s, 0, 1), cursors[i]);
    ck_assert_str_eq(cursor_sent(&s, 0, 3), "*");
    ck_assert_str_eq(cursor_sent(&s, 0, 5), "7");
    ck_assert_str_eq(pmx_reply_str(next_of(scan), NULL), "b");
    ck_assert_ptr_null(next_of(scan));
    pmx_scan_free(scan);
    stage_close(&s);
  }
}
END_TEST

/* ---- failures in the middle ---- */

START_TEST(a_page_whose_connection_died_is_asked_for_again)
{
  struct stage s;
  pmx_call once = call_flags(PMX_CALL_NO_RETRY, SOON_MS);
  pmx_scan *scan;
  pmx_reply *err;

  stage_open(&s, &ways[_i], NULL);
  scan = scan_of(s.client, NULL, NULL, NULL, 0);
  ck_assert_str_eq(pmx_reply_str(next_of(scan), NULL), "a");
  ck_assert_uint_eq(stats_of(s.client).retries, 1);
  ck_assert_uint_eq(fake_seen(s.fake, "SCAN"), 2);
  pmx_scan_free(scan);

  atomic_store(&s.book.given, 0);
  scan = scan_of(s.client, NULL, NULL, NULL, 0);
  ck_assert_ptr_null(pmx_scan_next(scan, &once, &err));
  check_fails(err, PMX_UNKNOWN, PMX_CAUSE_LOST);
  ck_assert_str_eq(pmx_reply_str(next_of(scan), NULL), "a");
  ck_assert_str_eq(pmx_reply_str(next_of(scan), NULL), "b");
  ck_assert_ptr_null(next_of(scan));
  ck_assert_uint_eq(fake_seen(s.fake, "SCAN"), 4);
  pmx_scan_free(scan);
  stage_close(&s);
}
END_TEST

START_TEST(an_error_leaves_the_scan_at_its_cursor)
{
  struct stage s;
  pmx_scan *scan;
  pmx_reply *err;

  stage_open(&s, &ways[_i], "-ERR not now\r\n");
  s.book.middle = true;
  scan = scan_of(s.client, NULL, NULL, NULL, 0);
  ck_assert_str_eq(pmx_reply_str(next_of(scan), NULL), "x");
  ck_assert_ptr_null(pmx_scan_next(scan, NULL, &err));
  check_fails_saying(err, PMX_SERVER_ERROR, PMX_CAUSE_NONE, "not now", (char *)NULL);
  ck_assert_str_eq(pmx_reply_str(next_of(scan), NULL), "a");
  ck_assert_str_eq(cursor_sent(&s, 0, 1), "middle");
  pmx_scan_free(scan);
  stage_close(&s);
}
END_TEST

/* ---- no end ---- */

/* Twice after several pages; a busy machine, which has no time for them, gets more tries. */
START_TEST(empty_pages_without_an_end_end_with_the_deadline)
{
  struct stage s;
  pmx_call call = call_in(100);
  pmx_scan *scan;
  pmx_reply *err;
  int64_t limit;
  size_t asked = 0, several = 0, rounds;

  stage_open(&s, &ways[_i], ROUND);
  scan = scan_of(s.client, NULL, NULL, NULL, 0);
  for (rounds = 0; rounds < 50 && several < 2; rounds++) {
    limit = now_ms() + 100;
    ck_assert_ptr_null(pmx_scan_next(scan, &call, &err));
    check_on_time("a scan without an end", limit);
    ck_assert_int_eq(pmx_reply_cause(err), PMX_CAUSE_TIMEOUT);
    pmx_reply_free(err);
    several += fake_seen(s.fake, "SCAN") > asked + 2;
    asked = fake_seen(s.fake, "SCAN");
  }
  ck_assert_uint_eq(several, 2);
  ck_assert_uint_eq(stats_of(s.client).commands, rounds);
  pmx_scan_free(scan);
  stage_close(&s);
}
END_TEST

struct canceller {
  struct stage *stage;
  pmx_cancel *token;
};

static void fire(void *arg)
{
  struct canceller *c = arg;

  fake_wait_seen(c->stage->fake, "SCAN", 5, SOON_MS);
  pmx_cancel_fire(c->token);
  pmx_cancel_free(c->token);
}

START_TEST(empty_pages_without_an_end_end_with_the_token)
{
  struct stage s;
  struct canceller c = {&s, pmx_cancel_new()};
  struct background *thread;
  pmx_call call = call_in(PMX_FOREVER);
  pmx_scan *scan;
  pmx_reply *err;

  stage_open(&s, &ways[_i], ROUND);
  scan = scan_of(s.client, NULL, NULL, NULL, 0);
  call.cancel = c.token;
  thread = background_start(fire, &c);
  ck_assert_ptr_null(pmx_scan_next(scan, &call, &err));
  ck_assert_int_eq(pmx_reply_cause(err), PMX_CAUSE_CANCELED);
  pmx_reply_free(err);
  background_join(thread);
  pmx_scan_free(scan);
  stage_close(&s);
}
END_TEST

/* ---- what is there already ---- */

START_TEST(an_element_at_hand_needs_neither_time_nor_server)
{
  struct stage s;
  pmx_call none = call_in(0);
  pmx_scan *scan;
  pmx_reply *err;

  stage_open(&s, &ways[_i], LAST);
  scan = scan_of(s.client, NULL, NULL, NULL, 0);
  ck_assert_ptr_null(pmx_scan_next(scan, &none, &err));
  check_fails(err, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  ck_assert_str_eq(pmx_reply_str(next_of(scan), NULL), "a");
  fake_listen(s.fake, false);
  pmx_close(s.client, HANG_MS);
  ck_assert_str_eq(pmx_reply_str(pmx_scan_next(scan, &none, &err), NULL), "b");
  ck_assert_ptr_null(err);
  ck_assert_ptr_null(pmx_scan_next(scan, &none, &err));
  ck_assert_ptr_null(err);
  pmx_scan_free(scan);
  stage_close(&s);
}
END_TEST

/* ---- limits ---- */

/* A page of 60 fields: too large for the smallest limits as it comes, for some more with its pairs,
 * and no problem for larger ones. */
static void fill_hash(struct server *server)
{
  char field[32];

  for (int i = 0; i < 60; i++) {
    snprintf(field, sizeof field, "field %d", i);
    free(server_command(server, "HSET", "h", field, "value", NULL));
  }
}

START_TEST(a_page_that_is_too_large_with_its_pairs_says_so)
{
  struct server *server = server_start(NULL);
  int as_it_comes = 0, with_pairs = 0, whole = 0;

  fill_hash(server);
  for (int bytes = 4096; bytes <= 24 * 1024; bytes += 512) {
    char size[16];
    pmx_client *client;
    pmx_scan *scan;
    pmx_reply *err;
    int n = 0;

    snprintf(size, sizeof size, "%d", bytes);
    client = open_client(strategies[_i], server_url(server, SERVER_UNIX), "reply.max_size", size,
                         (char *)NULL);
    scan = scan_of(client, "HSCAN", "h", NULL, 0);
    while (pmx_scan_next(scan, NULL, &err))
      n++;
    if (!err) {
      ck_assert_int_eq(n, 60);
      whole++;
    } else {
      *(strstr(pmx_reply_error(err), "pairs") ? &with_pairs : &as_it_comes) += 1;
      check_fails(err, PMX_UNKNOWN, PMX_CAUSE_TOO_LARGE);
    }
    pmx_scan_free(scan);
    close_client(client);
  }
  ck_assert_int_gt(as_it_comes, 0);
  ck_assert_int_gt(with_pairs, 0);
  ck_assert_int_gt(whole, 0);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("scans_faults");

  server_require("scans_faults");
  add_for_strategies(tc, nonsense_is_a_failure_that_is_named_and_the_page_can_be_asked_for_again);
  add_for_strategies(tc, a_cursor_is_sent_back_as_it_came);
  add_for_ways(tc, a_page_whose_connection_died_is_asked_for_again);
  add_for_ways(tc, an_error_leaves_the_scan_at_its_cursor);
  add_for_ways(tc, empty_pages_without_an_end_end_with_the_deadline);
  add_for_ways(tc, empty_pages_without_an_end_end_with_the_token);
  add_for_ways(tc, an_element_at_hand_needs_neither_time_nor_server);
  add_for_strategies(tc, a_page_that_is_too_large_with_its_pairs_says_so);
  return checks_run("scans_faults", tc);
}
