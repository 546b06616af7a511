/* SPDX-License-Identifier: BSD-3-Clause */
/* check_session.c - the session tracker as a table: every effect, outside and inside MULTI, with
 * every kind of answer; and the bytes that undo what it says. */
#include <check.h>
#include <poolmux/poolmux.h>
#include <stdlib.h>
#include <string.h>

#include "conn/session.h"
#include "decode_tools.h"
#include "harness/wire.h"

enum { MULTI = SESSION_BIT_MULTI, WATCH = SESSION_BIT_WATCH, DB = SESSION_BIT_DB };
enum { BASE = 2 }; /* the connection's own database */

#define OK_REPLY "+OK\r\n"
#define QUEUED "+QUEUED\r\n"
#define FAILED "-ERR no\r\n"
#define ABORTED "-EXECABORT Transaction discarded because of previous errors.\r\n"
#define DONE "*1\r\n+OK\r\n"
#define NIL "*-1\r\n"

static void apply(struct session *s, enum session_effect effect, int32_t arg, const char *wire)
{
  struct decoder *decoder = wide_decoder();
  pmx_reply *reply = decode_one(decoder, wire);

  session_apply(s, effect, arg, reply);
  pmx_reply_free(reply);
  decoder_close(decoder);
}

static struct session session_with(uint32_t bits)
{
  struct session s;

  session_init(&s, BASE);
  ck_assert_uint_eq(s.bits | s.queued, 0);
  s.bits = bits;
  return s;
}

/* ---- effects that set or clear one bit ---- */

static const struct plain {
  enum session_effect effect;
  int32_t arg;
  uint32_t set, clear;
  uint32_t queued; /* what an EXEC sets */
} plains[] = {
    {SESSION_NONE, 0, 0, 0, 0},
    {SESSION_WATCH, 0, WATCH, 0, WATCH},
    {SESSION_UNWATCH, 0, 0, WATCH, 0},
    {SESSION_SELECT, BASE + 1, DB, 0, DB},
    {SESSION_SELECT, BASE, 0, DB, DB}, /* queued behind others: better safe */
    {SESSION_SELECT, 0, DB, 0, DB},
    {SESSION_SELECT, -1, DB, 0, DB},
    {SESSION_NAME, 0, SESSION_BIT_NAME, 0, SESSION_BIT_NAME},
    {SESSION_TRACKING_ON, 0, SESSION_BIT_TRACKING, 0, SESSION_BIT_TRACKING},
    {SESSION_TRACKING_OFF, 0, 0, SESSION_BIT_TRACKING, 0},
    {SESSION_NO_EVICT_ON, 0, SESSION_BIT_NO_EVICT, 0, SESSION_BIT_NO_EVICT},
    {SESSION_NO_EVICT_OFF, 0, 0, SESSION_BIT_NO_EVICT, 0},
    {SESSION_NO_TOUCH_ON, 0, SESSION_BIT_NO_TOUCH, 0, SESSION_BIT_NO_TOUCH},
    {SESSION_NO_TOUCH_OFF, 0, 0, SESSION_BIT_NO_TOUCH, 0},
    {SESSION_READONLY, 0, SESSION_BIT_READONLY, 0, SESSION_BIT_READONLY},
    {SESSION_READWRITE, 0, 0, SESSION_BIT_READONLY, 0},
    {SESSION_RESET, 0, SESSION_BIT_LOST, 0, SESSION_BIT_LOST},
    {SESSION_QUIT, 0, SESSION_BIT_LOST, 0, SESSION_BIT_LOST},
    {SESSION_OTHER, 0, SESSION_BIT_LOST, 0, SESSION_BIT_LOST},
};
enum { PLAINS = sizeof plains / sizeof plains[0] };
#define ALL_BITS                                                                                   \
  ((uint32_t)(WATCH | DB | SESSION_BIT_NAME | SESSION_BIT_TRACKING | SESSION_BIT_NO_EVICT |        \
              SESSION_BIT_NO_TOUCH | SESSION_BIT_READONLY))

START_TEST(an_accepted_command_changes_its_bit_and_no_other)
{
  static const uint32_t starts[] = {0, ALL_BITS};

  for (int i = 0; i < PLAINS; i++) {
    const struct plain *p = &plains[i];

    for (int k = 0; k < 2; k++) {
      struct session s = session_with(starts[k]);

      apply(&s, p->effect, p->arg, OK_REPLY);
      ck_assert_msg(s.bits == ((starts[k] & ~p->clear) | p->set), "row %d: bits 0x%x", i, s.bits);
      ck_assert_uint_eq(s.queued, 0);
    }
  }
}
END_TEST

START_TEST(a_refused_command_changes_nothing)
{
  static const uint32_t starts[] = {0, ALL_BITS, MULTI, ALL_BITS | MULTI};

  for (int i = 0; i < PLAINS; i++) {
    for (int k = 0; k < 4; k++) {
      struct session s = session_with(starts[k]);

      apply(&s, plains[i].effect, plains[i].arg, FAILED);
      ck_assert_msg(s.bits == starts[k] && s.queued == 0, "row %d: bits 0x%x", i, s.bits);
    }
  }
}
END_TEST

/* What ends a transaction, and whether what was queued has happened then. */
static const struct ending {
  enum session_effect effect;
  const char *wire;
  int ran, over;
} endings[] = {
    {SESSION_EXEC, DONE, 1, 1},      {SESSION_EXEC, "*0\r\n", 1, 1},
    {SESSION_EXEC, NIL, 0, 1},       {SESSION_EXEC, ABORTED, 0, 1},
    {SESSION_EXEC, FAILED, 0, 0},    {SESSION_DISCARD, OK_REPLY, 0, 1},
    {SESSION_DISCARD, FAILED, 0, 0},
};
enum { ENDINGS = sizeof endings / sizeof endings[0] };

START_TEST(a_queued_command_counts_from_the_exec_on)
{
  for (int i = 0; i < PLAINS; i++) {
    for (int k = 0; k < ENDINGS; k++) {
      const struct plain *p = &plains[i];
      const struct ending *e = &endings[k];
      struct session s = session_with(0);

      apply(&s, SESSION_MULTI, 0, OK_REPLY);
      ck_assert_uint_eq(s.bits, MULTI);
      apply(&s, p->effect, p->arg, QUEUED);
      ck_assert_uint_eq(s.bits, MULTI);
      apply(&s, e->effect, 0, e->wire);
      if (e->over)
        ck_assert_msg(s.bits == (e->ran ? p->queued : 0) && s.queued == 0,
                      "row %d, ending %d: bits 0x%x", i, k, s.bits);
      else
        ck_assert_msg(s.bits == MULTI, "row %d, ending %d: bits 0x%x", i, k, s.bits);
    }
  }
}
END_TEST

START_TEST(a_queued_change_does_not_outlive_its_transaction)
{
  struct session s = session_with(0);

  apply(&s, SESSION_MULTI, 0, OK_REPLY);
  apply(&s, SESSION_NAME, 0, QUEUED);
  apply(&s, SESSION_DISCARD, 0, OK_REPLY);
  apply(&s, SESSION_MULTI, 0, OK_REPLY);
  apply(&s, SESSION_EXEC, 0, DONE);
  ck_assert_uint_eq(s.bits, 0);
}
END_TEST

START_TEST(the_end_of_a_transaction_ends_the_watch_and_keeps_the_rest)
{
  for (int k = 0; k < ENDINGS; k++) {
    struct session s = session_with(ALL_BITS);

    apply(&s, SESSION_MULTI, 0, OK_REPLY);
    apply(&s, endings[k].effect, 0, endings[k].wire);
    ck_assert_msg(s.bits == (endings[k].over ? ALL_BITS & ~(uint32_t)WATCH : ALL_BITS | MULTI),
                  "ending %d: bits 0x%x", k, s.bits);
  }
}
END_TEST

START_TEST(outside_multi_a_refused_exec_or_discard_keeps_the_watch)
{
  static const enum session_effect effects[] = {SESSION_EXEC, SESSION_DISCARD};

  for (int i = 0; i < 2; i++) {
    struct session s = session_with(WATCH);

    apply(&s, effects[i], 0, "-ERR EXEC without MULTI\r\n");
    ck_assert_uint_eq(s.bits, WATCH);
  }
}
END_TEST

START_TEST(a_multi_inside_multi_is_refused_and_changes_nothing)
{
  struct session s = session_with(MULTI);

  apply(&s, SESSION_MULTI, 0, "-ERR MULTI calls can not be nested\r\n");
  ck_assert_uint_eq(s.bits, MULTI);
}
END_TEST

/* A value that looks like it is none: outside MULTI a bulk "QUEUED" is data. */
START_TEST(only_the_simple_string_queued_means_queued)
{
  static const char *const others[] = {"$6\r\nQUEUED\r\n", "+QUEUE\r\n", "+QUEUEDX\r\n",
                                       "+queued\r\n"};

  for (int i = 0; i < 4; i++) {
    struct session s = session_with(0);

    apply(&s, SESSION_WATCH, 0, others[i]);
    ck_assert_uint_eq(s.bits, WATCH);
    ck_assert_uint_eq(s.queued, 0);
  }
}
END_TEST

/* ---- repairs ---- */

static const struct repair {
  uint32_t bits;
  int64_t base;
  const char *name;
  const char *commands[8];
} repairs[] = {
    {0, 0, "", {NULL}},
    {MULTI, 0, "", {"DISCARD"}},
    {WATCH, 0, "", {"UNWATCH"}},
    {MULTI | WATCH, 0, "", {"DISCARD"}}, /* which unwatches as well */
    {DB, 0, "", {"SELECT 0"}},
    {DB, 15, "", {"SELECT 15"}},
    {DB, 1000000, "", {"SELECT 1000000"}},
    {SESSION_BIT_NAME, 0, "me", {"CLIENT SETNAME me"}},
    {SESSION_BIT_TRACKING, 0, "", {"CLIENT TRACKING OFF"}},
    {SESSION_BIT_NO_EVICT, 0, "", {"CLIENT NO-EVICT OFF"}},
    {SESSION_BIT_NO_TOUCH, 0, "", {"CLIENT NO-TOUCH OFF"}},
    {SESSION_BIT_READONLY, 0, "", {"READWRITE"}},
    {ALL_BITS | MULTI,
     3,
     "name",
     {"DISCARD", "SELECT 3", "CLIENT SETNAME name", "CLIENT TRACKING OFF", "CLIENT NO-EVICT OFF",
      "CLIENT NO-TOUCH OFF", "READWRITE"}},
};
enum { REPAIRS = sizeof repairs / sizeof repairs[0] };

static int add_command(struct wire_buf *out, const char *command)
{
  char copy[64];
  const char *argv[4];
  int argc = 0;

  strcpy(copy, command);
  for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
    argv[argc++] = word;
  wire_command_add(out, argc, argv);
  return 1;
}

START_TEST(each_change_is_undone_by_its_command)
{
  for (int i = 0; i < REPAIRS; i++) {
    const struct repair *r = &repairs[i];
    struct session s;
    struct wire_buf wanted = {0};
    char buf[SESSION_REPAIR_MAX];
    int replies = -5, count = 0;
    size_t n;

    session_init(&s, r->base);
    s.bits = r->bits;
    while (count < 8 && r->commands[count])
      count += add_command(&wanted, r->commands[count]);
    n = session_repair(&s, r->name, buf, &replies);
    ck_assert_msg(n == wanted.len && (n == 0 || memcmp(buf, wanted.data, n) == 0),
                  "row %d: \"%.*s\"", i, (int)n, buf);
    ck_assert_int_eq(replies, count);
    session_repaired(&s);
    ck_assert_uint_eq(s.bits | s.queued, 0);
    wire_buf_free(&wanted);
  }
}
END_TEST

START_TEST(a_name_is_taken_back_to_none)
{
  static const char wanted[] = "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$0\r\n\r\n";
  struct session s = session_with(SESSION_BIT_NAME);
  char buf[SESSION_REPAIR_MAX];
  int replies;

  ck_assert_uint_eq(session_repair(&s, "", buf, &replies), sizeof wanted - 1);
  ck_assert_mem_eq(buf, wanted, sizeof wanted - 1);
  ck_assert_int_eq(replies, 1);
}
END_TEST

START_TEST(the_longest_repair_fits)
{
  struct session s;
  char buf[SESSION_REPAIR_MAX], name[256];
  int replies;
  size_t n;

  memset(name, 'n', 255);
  name[255] = '\0';
  session_init(&s, INT64_MAX);
  s.bits = ALL_BITS | MULTI;
  n = session_repair(&s, name, buf, &replies);
  ck_assert_uint_gt(n, 255);
  ck_assert_uint_le(n, SESSION_REPAIR_MAX);
  ck_assert_int_eq(replies, 7);
}
END_TEST

START_TEST(what_is_lost_cannot_be_repaired)
{
  static const enum session_effect effects[] = {SESSION_RESET, SESSION_QUIT, SESSION_OTHER};
  char buf[SESSION_REPAIR_MAX];
  int replies;

  for (int i = 0; i < 3; i++) {
    struct session s = session_with(DB);

    apply(&s, effects[i], 0, OK_REPLY);
    ck_assert_uint_eq(session_repair(&s, "", buf, &replies), 0);
    ck_assert_int_eq(replies, -1);
  }
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("session");
  TCase *tc = tcase_create("session");
  SRunner *runner;
  int failed;

  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, an_accepted_command_changes_its_bit_and_no_other);
  tcase_add_test(tc, a_refused_command_changes_nothing);
  tcase_add_test(tc, a_queued_command_counts_from_the_exec_on);
  tcase_add_test(tc, a_queued_change_does_not_outlive_its_transaction);
  tcase_add_test(tc, the_end_of_a_transaction_ends_the_watch_and_keeps_the_rest);
  tcase_add_test(tc, outside_multi_a_refused_exec_or_discard_keeps_the_watch);
  tcase_add_test(tc, a_multi_inside_multi_is_refused_and_changes_nothing);
  tcase_add_test(tc, only_the_simple_string_queued_means_queued);
  tcase_add_test(tc, each_change_is_undone_by_its_command);
  tcase_add_test(tc, a_name_is_taken_back_to_none);
  tcase_add_test(tc, the_longest_repair_fits);
  tcase_add_test(tc, what_is_lost_cannot_be_repaired);
  suite_add_tcase(suite, tc);
  runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
