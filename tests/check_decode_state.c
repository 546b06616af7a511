/* SPDX-License-Identifier: BSD-3-Clause */
/* check_decode_state.c - tests what the decoder keeps between replies, reset, and short memory in
 * it and in hiredis. */
#include <check.h>
#include <hiredis/hiredis.h>
#include "base/mem.h"
#include "base/park.h"
#include "decode_tools.h"

START_TEST(idle_means_no_byte_and_no_half_reply)
{
  struct decoder *decoder = wide_decoder();
  pmx_reply *reply;

  ck_assert_int_eq(decoder_idle(decoder), 1);
  ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_MORE);
  ck_assert_int_eq(decoder_idle(decoder), 1);
  ck_assert_int_eq(decoder_feed(decoder, "+a\r\n+b\r\n", 8), 0);
  ck_assert_int_eq(decoder_idle(decoder), 0);
  ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_REPLY);
  pmx_reply_free(reply);
  ck_assert_int_eq(decoder_idle(decoder), 0); /* +b waits */
  ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_REPLY);
  pmx_reply_free(reply);
  ck_assert_int_eq(decoder_idle(decoder), 1);
  ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_MORE);
  ck_assert_int_eq(decoder_idle(decoder), 1);
  ck_assert_int_eq(decoder_feed(decoder, "*1\r\n", 4), 0);
  ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_MORE);
  ck_assert_int_eq(decoder_idle(decoder), 0); /* no byte is left, but an element is owed */
  decoder_close(decoder);
}
END_TEST

START_TEST(reset_forgets_everything)
{
  static const char *const before[] = {"",      "+OK\r\n",     "*2\r\n:1\r\n", "$100\r\nabc",
                                       "+half", "nonsense\r\n"};
  struct decode_limits limits = WIDE;

  for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
    struct decoder *decoder = wide_decoder();
    struct dump d = {0};
    const char *text;

    feed_all(decoder, before[i], strlen(before[i]), 99, &d);
    free(d.text);
    d = (struct dump){0};
    decoder_reset(decoder, &limits);
    decoder_reset(decoder, &limits);
    ck_assert_int_eq(decoder_error(decoder, &text), PMX_CAUSE_NONE);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(decoder_idle(decoder), 1);
    ck_assert_int_eq(feed_all(decoder, "$1\r\nx\r\n", 7, 2, &d), DECODE_MORE);
    ck_assert_str_eq(d.text, "$x\n");
    free(d.text);
    decoder_close(decoder);
  }
}
END_TEST

START_TEST(reset_takes_new_limits)
{
  struct decode_limits narrow = {1000, 2, 1};
  struct decoder *decoder = wide_decoder();
  struct dump d = {0};

  decoder_reset(decoder, &narrow);
  ck_assert_int_eq(feed_all(decoder, "*3\r\n", 4, 99, &d), DECODE_ERROR);
  expect_broken(decoder, PMX_CAUSE_TOO_LARGE, "max_elements is 2");
  decoder_close(decoder);
}
END_TEST

START_TEST(large_values_pass_and_small_ones_follow)
{
  enum { SIZE = 3 * 1000 * 1000 };
  char *wire = malloc(SIZE + 64);
  struct decoder *decoder = wide_decoder();
  pmx_reply *reply = NULL;
  size_t len = (size_t)sprintf(wire, "$%d\r\n", SIZE), at, seen;

  for (size_t i = 0; i < SIZE; i++)
    wire[len + i] = (char)(i % 251);
  memcpy(wire + len + SIZE, "\r\n", 2);
  for (int round = 0; round < 2; round++) {
    for (at = 0; at < len + SIZE + 2; at += DECODE_FEED_MAX) {
      size_t n = len + SIZE + 2 - at;

      ck_assert_int_eq(decoder_feed(decoder, wire + at, n < DECODE_FEED_MAX ? n : DECODE_FEED_MAX),
                       0);
      if (n > DECODE_FEED_MAX)
        ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_MORE);
    }
    ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_REPLY);
    ck_assert_mem_eq(pmx_reply_str(reply, &seen), wire + len, SIZE);
    ck_assert_uint_eq(seen, SIZE);
    pmx_reply_free(reply);
    reply = decode_one(decoder, "+small\r\n");
    ck_assert_str_eq(pmx_reply_str(reply, NULL), "small");
    pmx_reply_free(reply);
  }
  decoder_close(decoder);
  free(wire);
}
END_TEST

START_TEST(the_build_says_what_it_reads_and_how_it_parks)
{
#ifdef PMX_PRIVATE_READER
  const char *private = " (private)";
#else
  const char *private = "";
#endif
  char want[64];

  snprintf(want, sizeof want, "hiredis %d.%d.%d%s, RESP%d, park=%s", HIREDIS_MAJOR, HIREDIS_MINOR,
           HIREDIS_PATCH, private, HIREDIS_MAJOR >= 1 ? 3 : 2, PARK_FUTEX ? "futex" : "cond");
  ck_assert_str_eq(pmx_build_info(), want);
  ck_assert_int_eq(decoder_resp3(), HIREDIS_MAJOR >= 1);
}
END_TEST

/* ---- memory ---- */

static uint64_t allocations_of(struct decoder *decoder, const char *wire)
{
  mem_fail_at(UINT64_MAX, 0);
  pmx_reply_free(decode_one(decoder, wire));
  mem_fail_at(0, 0);
  return mem_count();
}

START_TEST(ok_and_nil_cost_no_allocation)
{
  static const char *const none[] = {"+OK\r\n", "$-1\r\n", "*-1\r\n"};
  static const char *const some[] = {"+OKAY\r\n",    "+ok\r\n", "+O\r\n",
                                     "$2\r\nOK\r\n", "-OK\r\n", "*1\r\n+OK\r\n"};
  struct decoder *decoder = wide_decoder();

  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    ck_assert_uint_eq(allocations_of(decoder, none[i]), 0);
  for (size_t i = 0; i < sizeof some / sizeof *some; i++)
    ck_assert_uint_gt(allocations_of(decoder, some[i]), 0);
  decoder_close(decoder);
}
END_TEST

START_TEST(a_scalar_costs_one_allocation)
{
  static const char *const wires[] = {"+PONG\r\n", "$5\r\nhello\r\n", ":7\r\n", "-ERR no\r\n"};
  static char large[3000] = "$2900\r\n";
  struct decoder *decoder = wide_decoder();

  memset(large + 7, 'v', 2900);
  memcpy(large + 2907, "\r\n", 3);
  for (size_t i = 0; i <= sizeof wires / sizeof *wires; i++) {
    const char *wire = i < sizeof wires / sizeof *wires ? wires[i] : large;

    ck_assert_uint_eq(allocations_of(decoder, wire), 1);
  }
  decoder_close(decoder);
}
END_TEST

/* Opens, decodes the sample byte by byte, closes. 0, or the cause. */
static pmx_cause whole_life(const struct sample *s)
{
  struct decode_limits limits = WIDE;
  struct decoder *decoder;
  struct dump d = {0};
  const char *text;
  pmx_cause cause;

  if (decoder_open(&decoder, &limits))
    return PMX_CAUSE_NOMEM;
  if (feed_all(decoder, s->wire, s->len, 1, &d) == DECODE_ERROR)
    ck_assert_uint_eq(d.len, 0);
  else
    ck_assert_str_eq(d.text, s->dump);
  free(d.text);
  cause = decoder_error(decoder, &text);
  decoder_close(decoder);
  return cause;
}

START_TEST(each_failed_allocation_is_nomem_and_leaks_nothing)
{
  for (int i = 0; i < SAMPLES; i++) {
    for (int sticky = 0; is_readable(&samples[i]) && sticky < 2; sticky++) {
      for (uint64_t n = 1;; n++) {
        pmx_cause cause;

        mem_fail_at(n, sticky);
        cause = whole_life(&samples[i]);
        mem_fail_at(0, 0);
        ck_assert_int_eq(cause, mem_count() < n ? PMX_CAUSE_NONE : PMX_CAUSE_NOMEM);
        if (mem_count() < n)
          break;
      }
    }
  }
}
END_TEST

#if HIREDIS_MAJOR >= 1
static int countdown;

static int is_refused(void)
{
  return --countdown == 0;
}

static void *failing_malloc(size_t size)
{
  return is_refused() ? NULL : malloc(size);
}

static void *failing_calloc(size_t n, size_t size)
{
  return is_refused() ? NULL : calloc(n, size);
}

static void *failing_realloc(void *old, size_t size)
{
  return is_refused() ? NULL : realloc(old, size);
}

START_TEST(short_memory_inside_hiredis_is_nomem_too)
{
  static const char wire[] =
      "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n$4\r\ndeep\r\n";
  static const struct sample deep = SAMPLE(wire, "*[*[*[*[*[*[*[*[*[*[*[$deep]]]]]]]]]]]", 0);
  hiredisAllocFuncs funcs = {failing_malloc, failing_calloc, failing_realloc, strdup, free};
  int n;

  hiredisSetAllocators(&funcs);
  for (n = 1;; n++) {
    pmx_cause cause;

    countdown = n;
    cause = whole_life(&deep);
    if (countdown > 0)
      break;
    ck_assert_int_eq(cause, PMX_CAUSE_NOMEM);
  }
  hiredisResetAllocators();
  ck_assert_int_gt(n, 15);
}
END_TEST
#endif

START_TEST(a_reset_without_memory_is_told_by_the_next_feed)
{
#if HIREDIS_MAJOR >= 1
  hiredisAllocFuncs funcs = {failing_malloc, failing_calloc, failing_realloc, strdup, free};
  struct decode_limits limits = WIDE;
  struct decoder *decoder = wide_decoder();
  struct dump d = {0};

  ck_assert_int_eq(feed_all(decoder, "?", 1, 1, &d), DECODE_ERROR);
  hiredisSetAllocators(&funcs);
  decoder_reset(decoder, &limits);
  countdown = 1;
  ck_assert_int_eq(decoder_feed(decoder, "+OK\r\n", 5), -1);
  hiredisResetAllocators();
  expect_broken(decoder, PMX_CAUSE_NOMEM, "memory");
  decoder_close(decoder);
#else
  struct decode_limits limits = WIDE;
  struct decoder *decoder = NULL;

  mem_fail_at(1, 0); /* 0.14 has no hook: this is the part that is ours */
  ck_assert_int_eq(decoder_open(&decoder, &limits), -1);
  mem_fail_at(0, 0);
  ck_assert_ptr_null(decoder);
#endif
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
    idle_means_no_byte_and_no_half_reply,
    reset_forgets_everything,
    reset_takes_new_limits,
    large_values_pass_and_small_ones_follow,
    the_build_says_what_it_reads_and_how_it_parks,
    ok_and_nil_cost_no_allocation,
    a_scalar_costs_one_allocation,
    each_failed_allocation_is_nomem_and_leaks_nothing,
#if HIREDIS_MAJOR >= 1
    short_memory_inside_hiredis_is_nomem_too,
#endif
    a_reset_without_memory_is_told_by_the_next_feed,
  };
  Suite *suite = suite_create("decode state");
  TCase *tc = tcase_create("decode state");
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
