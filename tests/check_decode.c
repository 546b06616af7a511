/* SPDX-License-Identifier: BSD-3-Clause */
/* check_decode.c - tests what the decoder makes of well-formed streams, however they are cut, and
 * of short memory. Limits and broken streams: check_decode_hostile.c. */
#include <check.h>
#include <hiredis/hiredis.h>
#include <locale.h>
#include <math.h>
#include "decode_tools.h"

START_TEST(every_type_is_decoded)
{
  for (int i = 0; i < SAMPLES; i++) {
    struct decoder *decoder = wide_decoder();
    struct dump d = {0};
    enum decode_result result = feed_all(decoder, samples[i].wire, samples[i].len, 16384, &d);

    if (is_readable(&samples[i])) {
      ck_assert_int_eq(result, DECODE_MORE);
      ck_assert_str_eq(d.text, samples[i].dump);
      ck_assert_int_eq(decoder_idle(decoder), 1);
    } else {
      ck_assert_int_eq(result, DECODE_ERROR);
      expect_broken(decoder, PMX_CAUSE_PROTOCOL, "reply type byte");
    }
    free(d.text);
    decoder_close(decoder);
  }
}
END_TEST

START_TEST(every_split_gives_the_same_reply)
{
  struct decoder *decoder = wide_decoder();

  for (int i = 0; i < SAMPLES; i++) {
    const struct sample *s = &samples[i];

    for (size_t cut = 1; is_readable(s) && cut < s->len; cut++) {
      struct dump d = {0};

      ck_assert_int_eq(feed_all(decoder, s->wire, cut, cut, &d), DECODE_MORE);
      ck_assert_uint_eq(d.len, 0);
      ck_assert_int_eq(decoder_idle(decoder), 0);
      ck_assert_int_eq(feed_all(decoder, s->wire + cut, s->len - cut, s->len, &d), DECODE_MORE);
      ck_assert_str_eq(d.text, s->dump);
      ck_assert_int_eq(decoder_idle(decoder), 1);
      free(d.text);
    }
  }
  decoder_close(decoder);
}
END_TEST

START_TEST(streams_in_pieces_of_any_size_give_the_same_replies)
{
  struct dump wire = {0}, want = {0};

  for (int round = 0; round < 30; round++) {
    for (int i = 0; i < SAMPLES; i++) {
      if (!is_readable(&samples[i]))
        continue;
      dump_bytes(&wire, samples[i].wire, samples[i].len);
      dump_bytes(&want, samples[i].dump, strlen(samples[i].dump));
    }
  }
  for (size_t piece = 1; piece < wire.len; piece += 1 + piece * piece / 64) {
    struct decoder *decoder = wide_decoder();
    struct dump d = {0};

    ck_assert_int_eq(feed_all(decoder, wire.text, wire.len, piece, &d), DECODE_MORE);
    ck_assert_str_eq(d.text, want.text);
    ck_assert_int_eq(decoder_idle(decoder), 1);
    free(d.text);
    decoder_close(decoder);
  }
  free(wire.text);
  free(want.text);
}
END_TEST

START_TEST(errors_carry_status_text_and_code)
{
  static const struct {
    const char *wire, *text, *code;
  } cases[] = {{"-ERR no\r\n", "ERR no", "ERR"},
               {"-LOADING\r\n", "LOADING", "LOADING"},
               {"-\r\n", "", ""},
               {"- odd\r\n", " odd", ""}};
  struct decoder *decoder = wide_decoder();
  pmx_reply *reply;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    reply = decode_one(decoder, cases[i].wire);
    ck_assert_int_eq(pmx_reply_type(reply), PMX_TYPE_ERROR);
    ck_assert_int_eq(pmx_reply_status(reply), PMX_SERVER_ERROR);
    ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_NONE);
    ck_assert_str_eq(pmx_reply_error(reply), cases[i].text);
    ck_assert_str_eq(pmx_reply_error_code(reply), cases[i].code);
    ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
    pmx_reply_free(reply);
  }
  reply = decode_one(decoder, "*2\r\n:1\r\n*2\r\n+x\r\n-WRONGTYPE y\r\n");
  ck_assert_int_eq(pmx_ok(reply), 1);
  ck_assert_str_eq(pmx_reply_error_code(pmx_reply_failed(reply)), "WRONGTYPE");
  ck_assert_int_eq(pmx_reply_status(pmx_reply_failed(reply)), PMX_SERVER_ERROR);
  pmx_reply_free(reply);
  decoder_close(decoder);
}
END_TEST

START_TEST(a_flat_array_and_a_map_read_the_same)
{
  static const char *const wires[] = {"*4\r\n$4\r\nname\r\n$1\r\nx\r\n$2\r\nid\r\n:7\r\n",
                                      "%2\r\n$4\r\nname\r\n$1\r\nx\r\n$2\r\nid\r\n:7\r\n"};
  struct decoder *decoder = wide_decoder();

  for (int i = 0; i < 1 + decoder_resp3(); i++) {
    pmx_reply *reply = decode_one(decoder, wires[i]);

    ck_assert_int_eq(pmx_reply_int(pmx_reply_get(reply, "id", 2), NULL), 7);
    ck_assert_uint_eq(pmx_reply_len(reply), 4);
    pmx_reply_free(reply);
  }
  decoder_close(decoder);
}
END_TEST

START_TEST(replies_outlive_their_decoder)
{
  struct decoder *decoder = wide_decoder();
  pmx_reply *reply = decode_one(decoder, "*2\r\n+a\r\n$3\r\nxyz\r\n");

  decoder_close(decoder);
  decoder_close(NULL);
  ck_assert_str_eq(pmx_reply_str(pmx_reply_at(reply, 1), NULL), "xyz");
  pmx_reply_free(reply);
}
END_TEST

START_TEST(doubles_are_read_in_any_locale)
{
  static const char *const with_comma[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ru_RU.UTF-8"};
  struct decoder *decoder = wide_decoder();
  pmx_reply *reply;
  int ok = 0;

  for (size_t i = 0; i < sizeof with_comma / sizeof *with_comma; i++)
    if (setlocale(LC_ALL, with_comma[i]))
      break;
  reply = decode_one(decoder, decoder_resp3() ? ",-2.5\r\n" : "$4\r\n-2.5\r\n");
  ck_assert_double_eq(pmx_reply_double(reply, &ok), -2.5);
  ck_assert_int_eq(ok, 1);
  pmx_reply_free(reply);
  setlocale(LC_ALL, "C");
  decoder_close(decoder);
}
END_TEST

/* ---- attributes ---- */

static int reads_attributes(void)
{
  return HIREDIS_MAJOR > 1 || (HIREDIS_MAJOR == 1 && HIREDIS_MINOR >= 3);
}

START_TEST(an_attribute_is_never_handed_out_as_a_reply)
{
  static const char wire[] = "+one\r\n|1\r\n+ttl\r\n*2\r\n:1\r\n:2\r\n+two\r\n|0\r\n+three\r\n";

  for (size_t piece = 1; piece < sizeof wire; piece++) {
    struct decoder *decoder = wide_decoder();
    struct dump d = {0};
    enum decode_result result = feed_all(decoder, wire, sizeof wire - 1, piece, &d);

    if (reads_attributes()) {
      ck_assert_int_eq(result, DECODE_MORE);
      ck_assert_str_eq(d.text, "+one\n+two\n+three\n");
    } else {
      ck_assert_str_eq(d.text, "+one\n");
      expect_broken(decoder, PMX_CAUSE_PROTOCOL, "type byte");
    }
    free(d.text);
    decoder_close(decoder);
  }
}
END_TEST

START_TEST(an_attribute_alone_is_half_a_reply)
{
  struct decoder *decoder = wide_decoder();
  struct dump d = {0};

  if (reads_attributes()) {
    ck_assert_int_eq(feed_all(decoder, "|1\r\n+a\r\n+b\r\n", 12, 99, &d), DECODE_MORE);
    ck_assert_int_eq(decoder_idle(decoder), 0);
    ck_assert_int_eq(feed_all(decoder, "+c\r\n", 4, 99, &d), DECODE_MORE);
    ck_assert_int_eq(decoder_idle(decoder), 1);
    ck_assert_str_eq(d.text, "+c\n");
  } else {
    ck_assert_int_eq(feed_all(decoder, "|1\r\n+a\r\n+b\r\n", 12, 99, &d), DECODE_ERROR);
  }
  free(d.text);
  decoder_close(decoder);
}
END_TEST

START_TEST(an_attribute_inside_a_reply_breaks_the_stream)
{
  static const char *const wires[] = {"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", "*1\r\n|-1\r\n",
                                      "|1\r\n+a\r\n|1\r\n+b\r\n+c\r\n", "|-1\r\n"};

  for (size_t i = 0; i < sizeof wires / sizeof *wires; i++) {
    struct decoder *decoder = wide_decoder();
    struct dump d = {0};

    ck_assert_int_eq(feed_all(decoder, wires[i], strlen(wires[i]), 1, &d), DECODE_ERROR);
    ck_assert_uint_eq(d.len, 0);
    expect_broken(decoder, PMX_CAUSE_PROTOCOL, reads_attributes() ? "attribute" : "type byte");
    decoder_close(decoder);
  }
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      every_type_is_decoded,
      every_split_gives_the_same_reply,
      streams_in_pieces_of_any_size_give_the_same_replies,
      errors_carry_status_text_and_code,
      a_flat_array_and_a_map_read_the_same,
      replies_outlive_their_decoder,
      doubles_are_read_in_any_locale,
      an_attribute_is_never_handed_out_as_a_reply,
      an_attribute_alone_is_half_a_reply,
      an_attribute_inside_a_reply_breaks_the_stream,
  };
  Suite *suite = suite_create("decode");
  TCase *tc = tcase_create("decode");
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
