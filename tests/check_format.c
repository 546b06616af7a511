/* SPDX-License-Identifier: BSD-3-Clause */
/* check_format.c - tests the % format of commands against bytes written by hand, and against
 * hiredis' formatter where that is sane. argv and lists: check_encode.c. */
#include <check.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "call/reply.h"
#include "resp/encode.h"

static char small_bytes[ENCODED_SMALL];

static const size_t NO_LIMIT = SIZE_MAX;

/* Expects the failure to be of this kind and to say `word`; frees it. */
static void expect_failure(pmx_reply *r, pmx_status status, pmx_cause cause, const char *word)
{
  ck_assert_ptr_nonnull(r);
  ck_assert_msg(strstr(pmx_reply_error(r), word), "\"%s\" not in: %s", word, pmx_reply_error(r));
  ck_assert_int_eq(pmx_reply_cause(r), cause);
  ck_assert_int_eq(pmx_reply_finish(r), status);
}

/* NULL when the format is refused; else the bytes, to be freed. */
static pmx_reply *vformat(char **ret, size_t *ret_size, const char *format, va_list ap)
{
  struct args args;
  struct encoded out;
  pmx_reply *failure;

  args_init(&args);
  failure = args_from_format(&args, format, ap);
  if (!failure)
    failure = encode_args(&out, &args, NO_LIMIT, small_bytes, sizeof small_bytes);
  if (!failure) {
    *ret = malloc(out.size + 1);
    memcpy(*ret, out.bytes, out.size);
    (*ret)[out.size] = '\0';
    *ret_size = out.size;
    encoded_clear(&out);
  }
  args_clear(&args);
  return failure;
}

/* The format is encoded to exactly `want`. */
static void formats_to(const char *want, const char *format, ...)
{
  char *got = NULL;
  size_t size = 0;
  va_list ap;
  pmx_reply *failure;

  va_start(ap, format);
  failure = vformat(&got, &size, format, ap);
  va_end(ap);
  ck_assert_msg(!failure, "%s: %s", format, pmx_reply_error(failure));
  ck_assert_str_eq(got, want);
  ck_assert_uint_eq(size, strlen(want));
  free(got);
}

/* The format is encoded as hiredis encodes it. */
static void formats_as_hiredis(const char *format, ...)
{
  char *got = NULL, *want = NULL;
  size_t size = 0;
  va_list ap, again;
  pmx_reply *failure;
  long long theirs;

  va_start(ap, format);
  va_copy(again, ap);
  failure = vformat(&got, &size, format, ap);
  theirs = redisvFormatCommand(&want, format, again);
  va_end(again);
  va_end(ap);
  ck_assert_msg(!failure, "%s: %s", format, pmx_reply_error(failure));
  ck_assert_int_gt(theirs, 0);
  ck_assert_uint_eq(size, (size_t)theirs);
  ck_assert_mem_eq(got, want, size);
  free(got);
  free(want);
}

/* The format is INVALID and the text says `word`. */
static void format_refused(const char *word, const char *format, ...)
{
  char *got = NULL;
  size_t size = 0;
  va_list ap;
  pmx_reply *failure;

  va_start(ap, format);
  failure = vformat(&got, &size, format, ap);
  va_end(ap);
  ck_assert_msg(failure, "%s was accepted", format ? format : "NULL");
  expect_failure(failure, PMX_INVALID, PMX_CAUSE_NONE, word);
}

START_TEST(strings_and_bytes_are_never_split)
{
  formats_to("*3\r\n$3\r\nSET\r\n$5\r\na b c\r\n$4\r\n\tx y\r\n", "SET %s %b", "a b c", "\tx yz",
             (size_t)4);
  formats_to("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "GET %s", "");
  formats_to("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "GET %b", (char *)NULL, (size_t)0);
  formats_to("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "GET %s%s%b", "", "", "x", (size_t)0);
  formats_as_hiredis("SET %s %b", "a b", "c d e", (size_t)5);
  formats_as_hiredis("%s", "one argument with blanks");
  formats_as_hiredis("%b %b", "\0\r\n", (size_t)3, "", (size_t)0);
}
END_TEST

START_TEST(pieces_glue_until_a_blank)
{
  formats_to("*3\r\n$3\r\nSET\r\n$7\r\nuser:42\r\n$4\r\n<ab>\r\n", "SET user:%d <%s%b>", 42, "a",
             "b", (size_t)1);
  formats_as_hiredis("SET key:%d:%s:%b:x %s%s", 7, "mid", "bin", (size_t)3, "a", "b");
  formats_as_hiredis("%s:%s %d%d%d x%sx", "a", "b", 1, 2, 3, "");
  formats_as_hiredis("a%%b 100%% %%", 1);
  formats_as_hiredis("EVAL %s %d %s", "return 'a b'", 1, "k");
}
END_TEST

START_TEST(blanks_collapse_and_other_space_is_text)
{
  formats_as_hiredis("  GET   key  ");
  formats_as_hiredis(" %s  %s ", "a", "b");
  formats_as_hiredis("GET\tkey\n x");
}
END_TEST

START_TEST(integers_print_as_printf_prints_them)
{
  formats_as_hiredis("%d %i %u %x %X %o", -5, 5, 5u, 255u, 255u, 8u);
  formats_as_hiredis("%hhd %hhu %hd %hu", -128, 255, -32768, 65535);
  formats_as_hiredis("%ld %lu %lld %llu", -1L, 1UL, -1LL, 1ULL);
  formats_as_hiredis("%lld %llu", (long long)INT64_MIN, (unsigned long long)UINT64_MAX);
  formats_as_hiredis("<%05d> <%-5d> <%+d> <% d> <%#x> <%5.3d> <%.0d>", 42, 42, 42, 42, 42u, 42, 0);
  formats_as_hiredis("<%+05lld|%-8lu|%08.3lx>", 42LL, 42UL, 42UL);
  formats_as_hiredis("%hhd %hx", 300, 0x12345);
}
END_TEST

START_TEST(our_own_lengths_work)
{
  formats_to("*3\r\n$20\r\n18446744073709551615\r\n$2\r\n-1\r\n$2\r\nff\r\n", "%zu %zd %zx",
             (size_t)UINT64_MAX, (ptrdiff_t)-1, (size_t)255);
  formats_to("*2\r\n$20\r\n-9223372036854775808\r\n$20\r\n18446744073709551615\r\n", "%jd %ju",
             (intmax_t)INT64_MIN, (uintmax_t)UINT64_MAX);
  formats_to("*2\r\n$2\r\n-7\r\n$1\r\n7\r\n", "%td %tu", (ptrdiff_t)-7, (ptrdiff_t)7);
  formats_to("*1\r\n$3\r\n1.5\r\n", "%.1lf", 1.5);
}
END_TEST

static void check_floats(void)
{
  formats_to("*3\r\n$8\r\n1.500000\r\n$3\r\n0.1\r\n$6\r\n-2e+10\r\n", "%f %g %.0e", 1.5, 0.1,
             -2e10);
  formats_to("*2\r\n$3\r\n1.5\r\n$3\r\ninf\r\n", "%.17g %f", 1.5, 1e308 * 10);
}

START_TEST(floats_print_as_printf_prints_them)
{
  check_floats();
  formats_as_hiredis("%f %F %e %E %g %G %a %A", 1.25, 1.25, 1.25, 1.25, 1.25, 1.25, 1.25, 1.25);
  formats_as_hiredis("%8.3f|%-10.2e|%+g|%#.0f|%010.1f", 3.14159, 3.14159, 3.14159, 3.0, -2.5);
  formats_as_hiredis("%1024.1024f", -1.7976931348623157e308);
}
END_TEST

START_TEST(floats_do_not_depend_on_the_locale)
{
  static const char *const with_comma[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ru_RU.UTF-8"};

  for (size_t i = 0; i < sizeof with_comma / sizeof *with_comma; i++)
    if (setlocale(LC_ALL, with_comma[i]))
      break;
  check_floats(); /* says more where such a locale is installed */
  setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(wide_fields_are_bounded)
{
  char want[1100];
  int n = snprintf(want, sizeof want, "*1\r\n$1024\r\n%1024d\r\n", 1);

  ck_assert_int_lt(n, (int)sizeof want);
  formats_to(want, "%1024d", 1);
  format_refused("over 1024", "%1025d", 1);
  format_refused("over 1024", "%.1025d", 1);
  format_refused("over 1024", "%99999999999999999999d", 1);
  format_refused("over 1024", "%4294967297d", 1); /* 2^32 + 1 */
  format_refused("over 1024", "%5.99999999999999999999f", 1.0);
}
END_TEST

START_TEST(bad_formats_are_refused_with_the_place)
{
  static const char *const unknown[] = {"%n",  "%c",  "%p",  "%Lf", "%*d",  "%.*f", "%q",
                                        "%5s", "%ls", "%-b", "%5%", "%hs",  "%lln", "%hf",
                                        "%zf", "%Ld", "%m",  "%S",  "%lll", "%d%n"};
  static const char *const cut[] = {"%",  "%l", "%5", "%ll",   "%h", "%hh",
                                    "%.", "%-", "%z", "%5.3l", "% "};

  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
    format_refused("is not a conversion", unknown[i], 1, 1, 1);
  for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
    char format[32];

    snprintf(format, sizeof format, "GET %s", cut[i]);
    format_refused("is cut short", format, 1);
    format_refused("at byte 4", format, 1);
    format_refused(cut[i], format, 1);
  }
  format_refused("\"%Lf\" at byte 6 ", "SET k %Lf", (long double)1);
  format_refused("\"%\\x07\" at byte 0 ", "%\a");
  format_refused("empty", "");
  format_refused("empty", "    ");
  format_refused("NULL", NULL);
}
END_TEST

START_TEST(null_strings_are_refused_with_the_place)
{
  format_refused("\"%s\" at byte 4 is", "GET %s", (char *)NULL);
  format_refused("\"%b\" at byte 4 is", "GET %b", (char *)NULL, (size_t)1);
  format_refused("NULL", "%s%s", "x", (char *)NULL);
}
END_TEST

static pmx_reply *format_of(struct args *args, const char *format, ...)
{
  pmx_reply *failure;
  va_list ap;

  va_start(ap, format);
  failure = args_from_format(args, format, ap);
  va_end(ap);
  return failure;
}

static int hiredis_takes(const char *format, ...)
{
  char *bytes = NULL;
  va_list ap;
  long long size;

  va_start(ap, format);
  size = redisvFormatCommand(&bytes, format, ap);
  va_end(ap);
  free(bytes);
  return size > 0;
}

/* As poolmux-hiredis(7) tells them; the rest of this file says what is the same. */
START_TEST(differences_from_hiredis_are_those_of_the_guide)
{
  static const char *const neither[] = {"%c", "%p", "%5s", "%*d", "%q", "%Lf", "%n"};

  for (size_t i = 0; i < sizeof neither / sizeof *neither; i++) {
    ck_assert_msg(!hiredis_takes(neither[i], 1, 1), "hiredis takes %s", neither[i]);
    format_refused("is not a conversion", neither[i], 1, 1);
  }
  ck_assert(!hiredis_takes("%zu", (size_t)1) && !hiredis_takes("%jd", (intmax_t)1));
  ck_assert(!hiredis_takes("%td", (ptrdiff_t)1));
  formats_to("*3\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n", "%zu %jd %td", (size_t)1, (intmax_t)1,
             (ptrdiff_t)1);
  ck_assert(hiredis_takes(""));
  format_refused("empty", "");
  ck_assert(hiredis_takes("%1025d", 1));
  format_refused("over 1024", "%1025d", 1);
  ck_assert(hiredis_takes("GET %"));
  format_refused("is cut short", "GET %");
  formats_as_hiredis("SET \"a b\" 'c d' %b", "x", (size_t)1); /* quotes: the same nothing */
}
END_TEST

START_TEST(a_huge_byte_count_is_refused_unread)
{
  struct args args;

  args_init(&args);
  expect_failure(format_of(&args, "SET k %b", "x", SIZE_MAX), PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                 "\"%b\" at byte 6");
  args_clear(&args);
  expect_failure(format_of(&args, "SET k pre%b", "x", (size_t)INT32_MAX + 1), PMX_INVALID,
                 PMX_CAUSE_TOO_LARGE, "2147483648");
  args_clear(&args);
}
END_TEST

START_TEST(long_texts_survive_growth)
{
  char *value = malloc(100001);
  struct args args;

  memset(value, 'v', 100000);
  value[100000] = '\0';
  args_init(&args);
  ck_assert_ptr_null(
      format_of(&args, "%s:%d %s%s 3 4 5 6 7 8 9:%s %d", "a", 1, value, value, value, 10));
  ck_assert_int_eq(args.argc, 10);
  ck_assert_mem_eq(args.argv[0], "a:1", 3);
  ck_assert_uint_eq(args.len[1], 200000);
  ck_assert_mem_eq(args.argv[1], value, 100000);
  ck_assert_mem_eq(args.argv[1] + 100000, value, 100000);
  ck_assert_uint_eq(args.len[8], 100002);
  ck_assert_mem_eq(args.argv[8], "9:vvv", 5);
  ck_assert_mem_eq(args.argv[9], "10", 2);
  args_clear(&args);
  ck_assert_ptr_null(format_of(&args, "SET k %s", value));
  ck_assert_ptr_eq(args.argv[2], value); /* a whole argument is not copied */
  args_clear(&args);
  free(value);
}
END_TEST

/* ---- memory ---- */

static pmx_reply *one_of_each(struct encoded *out, const char *value)
{
  struct args args;
  pmx_reply *failure;

  args_init(&args);
  failure = format_of(&args, "k:%d %s%s 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 x%s", 1, value, value,
                      value);
  if (!failure)
    failure = encode_args(out, &args, NO_LIMIT, small_bytes, sizeof small_bytes);
  args_clear(&args);
  return failure;
}

START_TEST(each_failed_allocation_is_nomem_and_leaks_nothing)
{
  static char value[400];
  struct encoded out;
  uint64_t needed = 0;

  memset(value, 'v', sizeof value - 1);
  for (int sticky = 0; sticky < 2; sticky++) {
    for (uint64_t n = 1; n < 100; n++) {
      pmx_reply *failure;

      mem_fail_at(n, sticky);
      failure = one_of_each(&out, value);
      mem_fail_at(0, 0);
      if (mem_count() < n) { /* it was not reached */
        ck_assert_ptr_null(failure);
        encoded_clear(&out);
        needed = n - 1;
        break;
      }
      ck_assert_int_eq(pmx_reply_safe_to_retry(failure), 1);
      ck_assert_int_eq(pmx_reply_finish(failure), PMX_NOMEM);
    }
    ck_assert_uint_ge(needed, 5);
  }
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      strings_and_bytes_are_never_split,
      pieces_glue_until_a_blank,
      blanks_collapse_and_other_space_is_text,
      integers_print_as_printf_prints_them,
      our_own_lengths_work,
      floats_print_as_printf_prints_them,
      floats_do_not_depend_on_the_locale,
      wide_fields_are_bounded,
      bad_formats_are_refused_with_the_place,
      null_strings_are_refused_with_the_place,
      differences_from_hiredis_are_those_of_the_guide,
      a_huge_byte_count_is_refused_unread,
      long_texts_survive_growth,
      each_failed_allocation_is_nomem_and_leaks_nothing,
  };
  Suite *suite = suite_create("format");
  TCase *tc = tcase_create("format");
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
