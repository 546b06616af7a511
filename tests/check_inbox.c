/* SPDX-License-Identifier: BSD-3-Clause */
/* check_inbox.c - the queue of one consumer: order, bounds, and gaps: where they stand, that two
 * are one when nothing is between them, and what is held. */
#include "strategy/inbox.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "call/reply.h"
#include "harness/checks.h"
#include "harness/util.h"

static pmx_reply *text(const char *word)
{
  return reply_failure_text(PMX_OK, PMX_CAUSE_NONE, word);
}

static int put(struct inbox *in, const char *word)
{
  pmx_reply *reply = text(word);
  int result = inbox_put(in, reply);

  pmx_reply_free(reply);
  return result;
}

/* All that is ready: "a b GAP c". */
static const char *drain(struct inbox *in)
{
  static char buf[256];
  pmx_reply *reply;

  buf[0] = '\0';
  while ((reply = inbox_take(in))) {
    size_t used = strlen(buf);

    snprintf(buf + used, sizeof buf - used, "%s%s", used ? " " : "",
             reply == inbox_gap_reply() ? "GAP" : pmx_reply_str(reply, NULL));
    pmx_reply_free(reply);
  }
  return buf;
}

START_TEST(messages_keep_their_order)
{
  struct inbox in;

  ck_assert_int_eq(inbox_init(&in, 4, 1 << 20), 0);
  for (int i = 0; i < 10; i++) {
    ck_assert_int_eq(put(&in, "a"), 1);
    ck_assert_int_eq(put(&in, "b"), 1);
    ck_assert_str_eq(drain(&in), "a b");
    ck_assert(!inbox_ready(&in));
  }
  inbox_destroy(&in);
}
END_TEST

START_TEST(what_is_too_much_is_dropped_until_half_is_free)
{
  struct inbox in;

  ck_assert_int_eq(inbox_init(&in, 4, 1 << 20), 0);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(put(&in, "m"), 1);
  ck_assert_int_eq(put(&in, "x"), -1);
  ck_assert_int_eq(put(&in, "x"), 0);
  pmx_reply_free(inbox_take(&in));
  ck_assert_int_eq(put(&in, "x"), 0); /* one place is free: not yet */
  pmx_reply_free(inbox_take(&in));
  ck_assert_int_eq(put(&in, "n"), 1);
  ck_assert_str_eq(drain(&in), "m m GAP n");
  ck_assert_int_eq(put(&in, "o"), 1);
  ck_assert_str_eq(drain(&in), "o");
  inbox_destroy(&in);
}
END_TEST

START_TEST(bytes_count_and_an_empty_one_takes_any_message)
{
  struct inbox in;
  char big[2000];

  memset(big, 'b', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  ck_assert_int_eq(inbox_init(&in, 100, 1024), 0);
  ck_assert_int_eq(put(&in, big), 1);
  ck_assert_int_eq(put(&in, "x"), -1);
  pmx_reply_free(inbox_take(&in));
  ck_assert_int_eq(put(&in, "y"), 1);
  ck_assert_int_eq(put(&in, big), -1);
  ck_assert_str_eq(drain(&in), "GAP y GAP");
  ck_assert_uint_eq(in.bytes, 0);
  inbox_destroy(&in);
}
END_TEST

START_TEST(gaps_with_nothing_between_are_one)
{
  struct inbox in;

  ck_assert_int_eq(inbox_init(&in, 1, 1 << 20), 0);
  ck_assert_int_eq(inbox_gap(&in, 0), 1);
  ck_assert_int_eq(inbox_gap(&in, 0), 0);
  ck_assert_int_eq(put(&in, "a"), 1);
  ck_assert_int_eq(inbox_gap(&in, 0), 1);
  ck_assert_int_eq(put(&in, "b"), 0);
  ck_assert_str_eq(drain(&in), "GAP a GAP");
  ck_assert_int_eq(inbox_gap(&in, 0), 1); /* the other was told */
  ck_assert_str_eq(drain(&in), "GAP");
  inbox_destroy(&in);
}
END_TEST

START_TEST(a_held_gap_holds_what_is_behind_it)
{
  struct inbox in;

  ck_assert_int_eq(inbox_init(&in, 8, 1 << 20), 0);
  put(&in, "a");
  inbox_gap(&in, 1);
  put(&in, "b");
  ck_assert_str_eq(drain(&in), "a");
  ck_assert(!inbox_ready(&in));
  inbox_gap(&in, 1); /* now this one is held */
  put(&in, "c");
  ck_assert_str_eq(drain(&in), "GAP b");
  inbox_let_go(&in);
  ck_assert_str_eq(drain(&in), "GAP c");
  inbox_destroy(&in);
}
END_TEST

START_TEST(the_gap_is_a_reply_like_others)
{
  pmx_reply *gap = pmx_reply_ref(inbox_gap_reply());

  ck_assert_int_eq(pmx_reply_type(gap), PMX_TYPE_PUSH);
  ck_assert(pmx_ok(gap));
  ck_assert_uint_eq(pmx_reply_len(gap), 1);
  ck_assert_str_eq(pmx_reply_str(pmx_reply_at(gap, 0), NULL), "gap");
  ck_assert_ptr_null(pmx_reply_failed(gap));
  pmx_reply_free(gap);
  pmx_reply_free(gap); /* static */
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("inbox");

  tcase_add_test(tc, messages_keep_their_order);
  tcase_add_test(tc, what_is_too_much_is_dropped_until_half_is_free);
  tcase_add_test(tc, bytes_count_and_an_empty_one_takes_any_message);
  tcase_add_test(tc, gaps_with_nothing_between_are_one);
  tcase_add_test(tc, a_held_gap_holds_what_is_behind_it);
  tcase_add_test(tc, the_gap_is_a_reply_like_others);
  return checks_run("inbox", tc);
}
