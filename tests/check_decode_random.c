/* SPDX-License-Identifier: BSD-3-Clause */
/* check_decode_random.c - tests the decoder with random bytes, with damaged replies, and with
 * random replies against what hiredis' own object functions make of them. */
#include <check.h>
#include <hiredis/hiredis.h>
#include "base/random.h"
#include "decode_tools.h"

/* ---- garbage ---- */

/* Feeds anything. Whatever comes of it, nothing crashes and the end is orderly. */
static void survive(struct random *rnd, const char *bytes, size_t len)
{
  struct decoder *decoder = decoder_with(4096, 64, 6);
  struct dump d = {0};
  size_t at = 0;
  enum decode_result result = DECODE_MORE;
  const char *text;

  while (at < len && result == DECODE_MORE) {
    size_t n = 1 + (size_t)random_below(rnd, 32);

    n = n < len - at ? n : len - at;
    result = feed_all(decoder, bytes + at, n, n, &d);
    at += n;
  }
  if (result == DECODE_ERROR) {
    ck_assert_int_ne(decoder_error(decoder, &text), PMX_CAUSE_NONE);
    for (; *text; text++)
      if (*text < ' ' || *text > '~')
        ck_abort_msg("byte %d in an error text", *text);
  }
  free(d.text);
  decoder_close(decoder);
}

START_TEST(random_bytes_are_survived)
{
  static const char likely[] = "\r\n\r\n\r\n0123456789-+-:$*%~>|#,(=_!?tfexinan";
  struct random rnd;
  char bytes[200];

  random_seed(&rnd, 1);
  for (int round = 0; round < 8000; round++) {
    size_t len = 1 + (size_t)random_below(&rnd, sizeof bytes - 1);

    for (size_t i = 0; i < len; i++)
      bytes[i] =
          round % 4 ? likely[random_below(&rnd, sizeof likely - 1)] : (char)random_below(&rnd, 256);
    survive(&rnd, bytes, len);
  }
}
END_TEST

START_TEST(mutated_replies_are_survived)
{
  struct random rnd;

  random_seed(&rnd, 2);
  for (int round = 0; round < 8000; round++) {
    char bytes[600];
    size_t len = 0;

    for (int i = 0; i < 4; i++) {
      const struct sample *s = &samples[random_below(&rnd, SAMPLES)];

      memcpy(bytes + len, s->wire, s->len);
      len += s->len;
    }
    for (uint64_t i = random_below(&rnd, 4); i > 0; i--) {
      size_t at = (size_t)random_below(&rnd, len - 1);

      if (random_below(&rnd, 3) == 0) /* one byte less */
        memmove(bytes + at, bytes + at + 1, --len - at);
      else
        bytes[at] = (char)random_below(&rnd, 256);
    }
    survive(&rnd, bytes, len);
  }
}
END_TEST

/* ---- against hiredis ---- */

static void random_tree(struct random *rnd, struct dump *wire, int depth)
{
  char bytes[300];
  size_t len = (size_t)random_below(rnd, 20) ? (size_t)random_below(rnd, 12) : sizeof bytes;

  for (size_t i = 0; i < len; i++)
    bytes[i] = (char)random_below(rnd, 256);
  switch (random_below(rnd, depth < 8 ? 8 : 5)) {
  case 0:
    dump_format(wire, "+status %u\r\n", (unsigned)random_below(rnd, 1000));
    break;
  case 1:
    dump_format(wire, "-ERR %u\r\n", (unsigned)random_below(rnd, 1000));
    break;
  case 2:
    dump_format(wire, ":%lld\r\n",
                (long long)(random_below(rnd, UINT64_MAX) >> random_below(rnd, 64)) - 1000);
    break;
  case 3:
    dump_format(wire, depth < 8 && random_below(rnd, 2) ? "*-1\r\n" : "$-1\r\n");
    break;
  case 4:
    dump_format(wire, "$%zu\r\n", len);
    dump_bytes(wire, bytes, len);
    dump_format(wire, "\r\n");
    break;
  default:
    len = (size_t)random_below(rnd, random_below(rnd, 10) ? 4 : 40);
    dump_format(wire, "*%zu\r\n", len);
    for (size_t i = 0; i < len; i++)
      random_tree(rnd, wire, depth + 1);
    break;
  }
}

static void dump_theirs(struct dump *d, const redisReply *r)
{
  switch (r->type) {
  case REDIS_REPLY_NIL:
    dump_format(d, "_");
    break;
  case REDIS_REPLY_INTEGER:
    dump_format(d, ":%lld", r->integer);
    break;
  case REDIS_REPLY_STATUS:
    dump_quoted(d, '+', r->str, (size_t)r->len);
    break;
  case REDIS_REPLY_ERROR:
    dump_quoted(d, '-', r->str, (size_t)r->len);
    break;
  case REDIS_REPLY_STRING:
    dump_quoted(d, '$', r->str, (size_t)r->len);
    break;
  default:
    dump_format(d, "*[");
    for (size_t i = 0; i < r->elements; i++) {
      dump_format(d, i ? " " : "");
      dump_theirs(d, r->element[i]);
    }
    dump_format(d, "]");
    break;
  }
}

/* The same bytes in the same pieces through hiredis' own objects. */
static void decode_theirs(const char *bytes, size_t len, size_t piece, struct dump *d)
{
  redisReader *reader = redisReaderCreate();

  for (size_t at = 0; at < len; at += piece) {
    void *reply = NULL;

    ck_assert_int_eq(redisReaderFeed(reader, bytes + at, len - at < piece ? len - at : piece), 0);
    while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
      dump_theirs(d, reply);
      dump_format(d, "\n");
      freeReplyObject(reply);
    }
  }
  redisReaderFree(reader);
}

START_TEST(random_replies_are_what_hiredis_makes_of_them)
{
  struct random rnd;

  random_seed(&rnd, 3);
  for (int round = 0; round < 300; round++) {
    struct decoder *decoder = wide_decoder();
    struct dump wire = {0}, ours = {0}, theirs = {0};
    size_t piece = 1 + (size_t)random_below(&rnd, round % 2 ? 50 : 16000);

    for (int i = 0; i < 4; i++)
      random_tree(&rnd, &wire, 0);
    ck_assert_int_eq(feed_all(decoder, wire.text, wire.len, piece, &ours), DECODE_MORE);
    decode_theirs(wire.text, wire.len, piece, &theirs);
    ck_assert_str_eq(ours.text, theirs.text);
    ck_assert_int_eq(decoder_idle(decoder), 1);
    decoder_close(decoder);
    free(wire.text);
    free(ours.text);
    free(theirs.text);
  }
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      random_bytes_are_survived,
      mutated_replies_are_survived,
      random_replies_are_what_hiredis_makes_of_them,
  };
  Suite *suite = suite_create("decode random");
  TCase *tc = tcase_create("decode random");
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
