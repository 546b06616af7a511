/* SPDX-License-Identifier: BSD-3-Clause */
/* check_harness_script.c - the claims of harness/fake.h about scripts: steps in order, failures,
 * and what can be done to a connection. */
#include "harness/checks.h"
#include "harness/fake.h"
#include "harness/raw.h"
#include "harness/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SOON = 5000 };

static struct raw *open_raw(struct fake *f)
{
  struct raw *r = raw_open(fake_url(f));

  ck_assert_msg(r != NULL, "%s: %s", fake_url(f), strerror(errno));
  return r;
}

/* ---- scripts ---- */

START_TEST(script_is_followed_step_by_step)
{
  static const struct fake_step script[] = {FAKE_EXPECT("GET", "k"),
                                            FAKE_SEND("$1\r\nv\r\n"),
                                            FAKE_EXPECT_ANY,
                                            FAKE_DELAY(30),
                                            FAKE_SEND("+late\r\n"),
                                            FAKE_CLOSE,
                                            FAKE_END};
  struct fake *f = fake_start(&(struct fake_options){.script = script});
  struct raw *r = open_raw(f);
  int64_t begun;

  check_text(raw_ask(r, "PING", NULL), "PONG"); /* the handshake needs no step */
  check_text(raw_ask(r, "get", "k", "more", NULL), "v");
  begun = now_ms();
  check_text(raw_ask(r, "ANY", NULL), "late");
  ck_assert_int_ge(now_ms() - begun, 29);
  ck_assert_int_eq(raw_wait_end(r, SOON), RAW_ENDED);
  ck_assert(fake_wait_done(f, 0, SOON));
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(unexpected_command_is_a_failure_and_closes)
{
  static const struct fake_step script[] = {FAKE_EXPECT("GET", "k"), FAKE_END};
  struct fake *f = fake_start(&(struct fake_options){.script = script});
  struct raw *r = open_raw(f);

  ck_assert_ptr_null(fake_failure(f));
  ck_assert_ptr_null(raw_ask(r, "GET", "other", NULL));
  ck_assert_str_eq(fake_failure(f), "connection 0, step 0: expected \"GET k\", got \"GET other\"");
  raw_close(r);
  ck_assert(!fake_stop(f));
}
END_TEST

START_TEST(each_connection_has_its_own_script_and_the_last_serves_the_rest)
{
  static const struct fake_step one[] = {FAKE_EXPECT("A"), FAKE_SEND("+1\r\n"), FAKE_END};
  static const struct fake_step rest[] = {FAKE_EXPECT("A"), FAKE_SEND("+2\r\n"), FAKE_END};
  const struct fake_step *scripts[] = {one, rest};
  struct fake *f = fake_start(&(struct fake_options){.scripts = scripts, .script_count = 2});

  for (int i = 0; i < 3; i++) {
    struct raw *r = open_raw(f);

    check_text(raw_ask(r, "A", NULL), i == 0 ? "1" : "2");
    raw_close(r);
  }
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(sliced_reply_comes_in_pieces_with_gaps)
{
  static const struct fake_step script[] = {
      FAKE_EXPECT("A"), FAKE_SEND_SLICED("+abcdefghijklmno\r\n", 3, 20), FAKE_END};
  struct fake *f = fake_start(&(struct fake_options){.script = script});
  struct raw *r = open_raw(f);
  int64_t begun = now_ms();

  ck_assert(raw_command(r, "A", NULL));
  ck_assert_uint_lt(raw_fill(r, 1, SOON), 18); /* unless this thread sleeps for 100 ms */
  check_text(raw_reply(r, SOON), "abcdefghijklmno");
  ck_assert_int_ge(now_ms() - begun, 99);
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(reset_half_close_and_close_differ)
{
  static const struct fake_step reset[] = {FAKE_EXPECT("A"), FAKE_SEND("+r\r\n"), FAKE_RESET,
                                           FAKE_END};
  static const struct fake_step half[] = {FAKE_EXPECT("A"), FAKE_SEND("+h\r\n"), FAKE_HALF_CLOSE,
                                          FAKE_EXPECT("B"), FAKE_END};
  const struct fake_step *scripts[] = {reset, half};
  struct fake *f = fake_start(&(struct fake_options){.scripts = scripts, .script_count = 2});
  struct raw *r = open_raw(f), *h = open_raw(f);

  check_text(raw_ask(r, "A", NULL), "r"); /* what was sent before a reset arrives */
  ck_assert_int_eq(raw_wait_end(r, SOON), RAW_RESET);
  check_text(raw_ask(h, "A", NULL), "h");
  ck_assert_int_eq(raw_wait_end(h, SOON), RAW_ENDED);
  ck_assert(fake_conn_is_open(fake_conn_at(f, 1)));
  ck_assert(raw_command(h, "B", NULL)); /* still read */
  ck_assert(fake_wait_seen(f, "B", 1, SOON));
  ck_assert(!fake_conn_is_open(fake_conn_at(f, 0)));
  raw_close(r);
  raw_close(h);
  ck_assert(fake_stop(f));
}
END_TEST

START_TEST(stalled_connection_is_not_read_until_resumed)
{
  static const struct fake_step script[] = {FAKE_EXPECT("A"), FAKE_STALL, FAKE_SEND("+s\r\n"),
                                            FAKE_END};
  struct fake *f = fake_start(&(struct fake_options){.script = script});
  struct raw *r = open_raw(f);

  check_text(raw_ask(r, "A", NULL), "s");
  ck_assert(raw_command(r, "B", NULL));
  ck_assert(!fake_wait_seen(f, "B", 1, 30));
  fake_resume(fake_conn_at(f, 0));
  ck_assert(fake_wait_seen(f, "B", 1, SOON));
  fake_stall(fake_conn_at(f, 0));
  ck_assert(raw_command(r, "C", NULL));
  ck_assert(!fake_wait_seen(f, "C", 1, 30));
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

static void greet(void *ud, struct fake_conn *c)
{
  fake_reply_text(c, ud);
}

START_TEST(script_can_call_a_function)
{
  static const struct fake_step script[] = {FAKE_CALL(greet), FAKE_SEND("+then\r\n"), FAKE_END};
  char hello[] = "hello";
  struct fake *f = fake_start(&(struct fake_options){.script = script, .ud = hello});
  struct raw *r = open_raw(f);

  check_text(raw_reply(r, SOON), "hello");
  check_text(raw_reply(r, SOON), "then");
  raw_close(r);
  ck_assert(fake_stop(f));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("script");

  tcase_add_test(tc, script_is_followed_step_by_step);
  tcase_add_test(tc, unexpected_command_is_a_failure_and_closes);
  tcase_add_test(tc, each_connection_has_its_own_script_and_the_last_serves_the_rest);
  tcase_add_test(tc, sliced_reply_comes_in_pieces_with_gaps);
  tcase_add_test(tc, reset_half_close_and_close_differ);
  tcase_add_test(tc, stalled_connection_is_not_read_until_resumed);
  tcase_add_test(tc, script_can_call_a_function);
  return checks_run("harness_script", tc);
}
