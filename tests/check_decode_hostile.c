/* SPDX-License-Identifier: BSD-3-Clause */
/* check_decode_hostile.c - tests the decoder against peers that lie, exceed the limits or send
 * garbage, and against hiredis' own object functions. Well-formed streams: check_decode.c. */
#include <check.h>
#include "decode_tools.h"

/* Feeds the wire in pieces; the stream must break for this cause, and no reply may come out. */
static void breaks(struct decoder *decoder, const char *wire, size_t len, size_t piece,
                   pmx_cause cause, const char *word)
{
  struct dump d = {0};
  enum decode_result result = feed_all(decoder, wire, len, piece, &d);

  ck_assert_msg(result == DECODE_ERROR, "accepted: %.60s", wire);
  ck_assert_msg(d.len == 0, "a reply came out: %s", d.text);
  expect_broken(decoder, cause, word);
  decoder_close(decoder);
}

/* ---- limits ---- */

START_TEST(nesting_is_limited)
{
  for (unsigned max = 1; max <= 12; max++) {
    for (unsigned depth = 1; depth <= 12; depth++) {
      unsigned limit = !decoder_resp3() && max > 8 ? 8 : max;
      struct decoder *decoder = decoder_with(100000, 1000, max);
      struct dump d = {0}, wire = {0};

      for (unsigned i = 0; i < depth; i++)
        dump_format(&wire, "*1\r\n");
      dump_format(&wire, ":1\r\n");
      if (depth <= limit) {
        ck_assert_int_eq(feed_all(decoder, wire.text, wire.len, 3, &d), DECODE_MORE);
        ck_assert_uint_gt(d.len, depth);
        decoder_close(decoder);
      } else {
        breaks(decoder, wire.text, wire.len, 3, PMX_CAUSE_TOO_LARGE, "depth");
      }
      free(wire.text);
      free(d.text);
    }
  }
}
END_TEST

START_TEST(endless_nesting_ends_early)
{
  static const char *const opens[] = {"*1\r\n", "~1\r\n", ">1\r\n", "%1\r\n+k\r\n"};

  for (size_t i = 0; i < (decoder_resp3() ? 4 : 1); i++) {
    struct decoder *decoder = decoder_with(64 * 1024 * 1024, 1000000, 100000);
    struct dump wire = {0};

    for (int n = 0; n < 100000; n++)
      dump_format(&wire, "%s", opens[i]);
    breaks(decoder, wire.text, wire.len, 16384, PMX_CAUSE_TOO_LARGE, "depth");
    free(wire.text);
  }
}
END_TEST

START_TEST(elements_are_counted_over_the_whole_reply)
{
  struct decoder *decoder = decoder_with(100000, 6, 10);
  static const char good[] = "*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:3\r\n:4\r\n";
  static const char bad[] = "*2\r\n*2\r\n:1\r\n:2\r\n*3\r\n";
  struct dump d = {0};

  for (int i = 0; i < 3; i++) /* each reply on its own */
    ck_assert_int_eq(feed_all(decoder, good, sizeof good - 1, 5, &d), DECODE_MORE);
  free(d.text);
  breaks(decoder, bad, sizeof bad - 1, 5, PMX_CAUSE_TOO_LARGE, "max_elements is 6");
  if (decoder_resp3())
    breaks(decoder_with(100000, 6, 10), "%4\r\n", 4, 5, PMX_CAUSE_TOO_LARGE, "max_elements is 6");
}
END_TEST

START_TEST(a_bulk_over_the_limit_is_refused_at_its_header)
{
  static const char *const wires[] = {"$1000\r\n", "$999999999999\r\n", "$9223372036854775807\r\n",
                                      "$987\r", "*2\r\n+x\r\n$975\r\n"};

  for (size_t i = 0; i < sizeof wires / sizeof *wires; i++)
    for (size_t piece = 1; piece < 20; piece += 6)
      breaks(decoder_with(990, 100, 10), wires[i], strlen(wires[i]), piece, PMX_CAUSE_TOO_LARGE,
             "bulk string");
  if (decoder_resp3())
    breaks(decoder_with(990, 100, 10), "=1000\r\n", 7, 2, PMX_CAUSE_TOO_LARGE, "bulk string");
}
END_TEST

/* One reply of `count` integers. */
static struct dump many_integers(int count)
{
  struct dump wire = {0};

  dump_format(&wire, "*%d\r\n", count);
  for (int i = 0; i < count; i++)
    dump_format(&wire, ":1\r\n");
  return wire;
}

START_TEST(a_reply_takes_at_most_max_bytes_of_memory_and_wire)
{
  struct dump wire = many_integers(100000), d = {0};
  struct decoder *decoder;

  for (size_t piece = 1000; piece <= 16000; piece += 5000)
    breaks(decoder_with(1 << 20, 1000000, 10), wire.text, wire.len, piece, PMX_CAUSE_TOO_LARGE,
           "reply.max_size");
  /* 400 KB of wire are 7 MB of nodes and vectors */
  decoder = decoder_with(12 << 20, 1000000, 10);
  ck_assert_int_eq(feed_all(decoder, wire.text, wire.len, 16384, &d), DECODE_MORE);
  decoder_close(decoder);
  ck_assert_uint_gt(d.len, 300000);
  free(d.text);
  free(wire.text);
}
END_TEST

START_TEST(a_bulk_that_just_fits_is_let_in)
{
  static const struct {
    const char *wire;
    int fits;
  } cases[] = {{"$4087\r\n", 1},
               {"$4088\r\n", 0},
               {"*2\r\n+x\r\n$4079\r\n", 1},
               {"*2\r\n+x\r\n$4080\r\n", 0}};

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct decoder *decoder = decoder_with(4096, 100, 10);
    struct dump d = {0};

    ck_assert_int_eq(feed_all(decoder, cases[i].wire, strlen(cases[i].wire), 1, &d),
                     cases[i].fits ? DECODE_MORE : DECODE_ERROR);
    decoder_close(decoder);
  }
}
END_TEST

START_TEST(a_line_without_end_is_refused)
{
  static const char *const begins[] = {"+", "-", ":", "*", "*1\r\n+"};
  static char line[90000];

  memset(line, '1', sizeof line);
  for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
    struct dump wire = {0};

    dump_format(&wire, "%s", begins[i]);
    dump_bytes(&wire, line, sizeof line);
    breaks(wide_decoder(), wire.text, wire.len, 16384, PMX_CAUSE_PROTOCOL, "line");
    free(wire.text);
  }
}
END_TEST

START_TEST(an_unfinished_line_counts_as_bytes_of_the_reply)
{
  static char line[5000] = "+";

  memset(line + 1, 'x', sizeof line - 1);
  breaks(decoder_with(4096, 100, 10), line, sizeof line, 1000, PMX_CAUSE_TOO_LARGE, "4096");
}
END_TEST

START_TEST(a_bulk_header_without_end_is_refused)
{
  static const char *const wires[] = {"$111111111111111111111111111111",
                                      "$12\rxxxxxxxxxxxxxxxxxxxxx",
                                      "*1\r\n$00000000000000000000000000", "$1\r1\r1\r1\r1"};

  for (size_t i = 0; i < sizeof wires / sizeof *wires; i++)
    for (size_t piece = 1; piece < 40; piece += 13)
      breaks(wide_decoder(), wires[i], strlen(wires[i]), piece, PMX_CAUSE_PROTOCOL, "not a number");
}
END_TEST

START_TEST(announced_counts_allocate_nothing)
{
  static const struct {
    const char *count;
    int possible;
  } cases[] = {{"1000000000", 1},           {"1073741823", 1},          {"2147483647", 0},
               {"2147483648", 0},           {"4294967295", 0},          {"4294967296", 0},
               {"4611686018427387904", 0},  {"9223372036854775807", 0}, {"9223372036854775808", 0},
               {"18446744073709551615", 0}, {"18446744073709551617", 0}};
  static const char kinds[] = "*%~>";

  for (size_t k = 0; k < (decoder_resp3() ? 4 : 1); k++) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      /* with no limit on elements, 8192 pointers would exceed the one on bytes */
      struct decoder *decoder = decoder_with(64 * 1024, SIZE_MAX, 10);
      struct dump wire = {0}, d = {0};
      const char *text;

      dump_format(&wire, "%c%s\r\n:1\r\n", kinds[k], cases[i].count);
      ck_assert_int_eq(feed_all(decoder, wire.text, wire.len, 99, &d),
                       cases[i].possible ? DECODE_MORE : DECODE_ERROR);
      decoder_error(decoder, &text);
      ck_assert_msg(!strstr(text, "max_size"), "%s", text);
      decoder_close(decoder);
      if (cases[i].possible)
        breaks(decoder_with(1 << 30, 1000, 10), wire.text, wire.len, 99, PMX_CAUSE_TOO_LARGE,
               "max_elements is 1000");
      free(wire.text);
    }
  }
}
END_TEST

START_TEST(more_than_16_kib_at_once_are_refused)
{
  static char bytes[DECODE_FEED_MAX + 1];
  struct decoder *decoder = wide_decoder();

  memset(bytes, 'x', sizeof bytes);
  ck_assert_int_eq(decoder_feed(decoder, bytes, sizeof bytes), -1);
  expect_broken(decoder, PMX_CAUSE_TOO_LARGE, "at once");
  decoder_close(decoder);
}
END_TEST

/* ---- lies ---- */

START_TEST(what_is_not_resp_breaks_the_stream)
{
  static const struct {
    const char *wire, *word;
  } cases[] = {
      {"HTTP/1.1 400 Bad Request\r\n", "begins with \"HTTP/1.1 400"},
      {"HTTP/1.1 400 Bad Request\r\n", ": that is a web server, check host and port"},
      {"\x15\x03\x01\x00\x02\x02", "begins with \"\\x15\\x03"},
      {"\x15\x03\x01\x00\x02\x02", ": that is TLS, set tls=yes or write rediss://"},
      {"220 mail.example.com ESMTP\r\n", ": is that a Redis server at all?"},
      {"\r\n", "type byte"},
      {":1.5\r\n", "integer"},
      {":\r\n", "integer"},
      {":+1\r\n", "integer"},
      {": 1\r\n", "integer"},
      {":01\r\n", "integer"},
      {":-0\r\n", "integer"},
      {":9223372036854775808\r\n", "integer"},
      {"$-2\r\n", "length"},
      {"$x\r\n", "length"},
      {"$\r\n", "length"},
      {"$-0\r\n", "length"},
      {"$?\r\n", "length"},
      {"$9223372036854775808\r\n", "length"},
      {"*-2\r\n", "length"},
      {"*x\r\n", "length"},
      {"*?\r\n", "length"},
      {"*1\r\n?\r\n", "type byte"},
      {"!5\r\nERR x\r\n", "type byte"},
      {"$3\r\nabcde\r\n", "not as long as it says"},
      {"$3\r\nabc\n\n", "not as long as it says"},
      {"*1\r\n$0\r\nx\r\n", "not as long as it says"},
      {"+a\nb\r\n", ""},
      {"-a\rb\r\n", ""},
      {"+\xff\x01\n\r\n", ""},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    breaks(wide_decoder(), cases[i].wire, strlen(cases[i].wire), 99, PMX_CAUSE_PROTOCOL,
           cases[i].word);
}
END_TEST

START_TEST(what_is_not_resp3_breaks_the_stream)
{
  static const char *const wires[] = {"#x\r\n",
                                      "#\r\n",
                                      "_x\r\n",
                                      ",1,5\r\n",
                                      ",\r\n",
                                      ",1e999\r\n",
                                      "(1x\r\n",
                                      "=3\r\ntxt\r\n",
                                      "=5\r\ntxtxx\r\n",
                                      "=5\r\ntxt:xyy",
                                      ">-1\r\n",
                                      "%x\r\n",
                                      "%4611686018427387904\r\n",
                                      "~-2\r\n"};

  for (size_t i = 0; i < sizeof wires / sizeof *wires; i++)
    breaks(wide_decoder(), wires[i], strlen(wires[i]), 99, PMX_CAUSE_PROTOCOL, "");
}
END_TEST

START_TEST(replies_before_the_break_are_good)
{
  struct decoder *decoder = wide_decoder();
  struct dump d = {0};

  ck_assert_int_eq(feed_all(decoder, "+a\r\n+b\r\n?\r\n", 11, 99, &d), DECODE_ERROR);
  ck_assert_str_eq(d.text, "+a\n+b\n");
  expect_broken(decoder, PMX_CAUSE_PROTOCOL, "reply 3 of this connection");
  free(d.text);
  decoder_close(decoder);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      nesting_is_limited,
      endless_nesting_ends_early,
      elements_are_counted_over_the_whole_reply,
      a_bulk_over_the_limit_is_refused_at_its_header,
      a_reply_takes_at_most_max_bytes_of_memory_and_wire,
      a_bulk_that_just_fits_is_let_in,
      a_line_without_end_is_refused,
      an_unfinished_line_counts_as_bytes_of_the_reply,
      a_bulk_header_without_end_is_refused,
      announced_counts_allocate_nothing,
      more_than_16_kib_at_once_are_refused,
      what_is_not_resp_breaks_the_stream,
      what_is_not_resp3_breaks_the_stream,
      replies_before_the_break_are_good,
  };
  Suite *suite = suite_create("decode hostile");
  TCase *tc = tcase_create("decode hostile");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_set_timeout(tc, 60);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
