/* SPDX-License-Identifier: BSD-3-Clause */
/* check_harness_mangle.c - the claims of harness/proxy.h about replies: dropped, doubled, swapped,
 * or passed as they come. */
#include "check_harness_row.h"

static void ask_five(struct row *row)
{
  static const char *const words[] = {"1", "2", "3", "4", "5"};

  for (int i = 0; i < 5; i++)
    ck_assert(raw_command(row->raw, "ECHO", words[i], NULL));
}

static void check_words(struct row *row, const char *words)
{
  for (const char *w = words; *w; w++) {
    char word[2] = {*w, '\0'};

    check_text(raw_reply(row->raw, SOON), word);
  }
  ck_assert_ptr_null(raw_reply(row->raw, 20));
  ck_assert_uint_eq(proxy_counts(row->proxy).mangled, 1);
}

START_TEST(one_reply_is_dropped_doubled_or_swapped)
{
  static const char *const expected[] = {"1245", "123345", "12435"};
  struct row row = row_open(false);

  proxy_mangle(row.proxy, (enum proxy_mangle)_i, 2);
  ask_five(&row);
  check_words(&row, expected[_i]);
  row_close(&row);
}
END_TEST

START_TEST(mangled_reply_is_whole_even_when_it_comes_in_pieces)
{
  struct row row = row_open(false);
  static const char array[] = "*2\r\n$2\r\nab\r\n*1\r\n:7\r\n";
  static const char push[] = ">2\r\n+p\r\n+q\r\n";
  struct fake_conn *c = fake_conn_at(row.fake, 0);

  proxy_mangle(row.proxy, PROXY_DUPLICATE, 0);
  fake_send(c, push, sizeof(push) - 1); /* is no reply */
  fake_send_sliced(c, array, sizeof(array) - 1, 1, 1);
  check_text(raw_reply(row.raw, SOON), "p\nq");
  check_text(raw_reply(row.raw, SOON), "ab\n7");
  check_text(raw_reply(row.raw, SOON), "ab\n7");
  fake_send_sliced(c, array, sizeof(array) - 1, 1, 1);
  check_text(raw_reply(row.raw, SOON), "ab\n7");
  ck_assert_ptr_null(raw_reply(row.raw, 20));
  row_close(&row);
}
END_TEST

START_TEST(parts_of_a_reply_pass_at_once_when_nothing_is_wanted)
{
  struct row row = row_open(false);

  fake_send(fake_conn_at(row.fake, 0), "$5\r\nab", 6);
  ck_assert_uint_eq(raw_fill(row.raw, 6, SOON), 6);
  proxy_mangle(row.proxy, PROXY_DROP, 0); /* too late for this one */
  fake_send(fake_conn_at(row.fake, 0), "cde\r\n+drop\r\n+next\r\n", 19);
  check_text(raw_reply(row.raw, SOON), "abcde");
  check_text(raw_reply(row.raw, SOON), "next");
  row_close(&row);
}
END_TEST

START_TEST(bytes_that_are_not_resp_pass_unchanged)
{
  struct row row = row_open(false);

  fake_send(fake_conn_at(row.fake, 0), "+ok\r\n\x16\x03\x01junk", 12);
  ck_assert_uint_eq(raw_fill(row.raw, 12, SOON), 12);
  fake_send(fake_conn_at(row.fake, 0), "more", 4);
  ck_assert_uint_eq(raw_fill(row.raw, 16, SOON), 16);
  ck_assert_int_eq(memcmp(row.raw->in.data, "+ok\r\n\x16\x03\x01junkmore", 16), 0);
  row_close(&row);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mangle");

  tcase_add_loop_test(tc, one_reply_is_dropped_doubled_or_swapped, 0, 3);
  tcase_add_test(tc, mangled_reply_is_whole_even_when_it_comes_in_pieces);
  tcase_add_test(tc, parts_of_a_reply_pass_at_once_when_nothing_is_wanted);
  tcase_add_test(tc, bytes_that_are_not_resp_pass_unchanged);
  return checks_run("harness_mangle", tc);
}
