/* SPDX-License-Identifier: BSD-3-Clause */
/* check_base.c - tests the ground: clock, memory hook, lists, text, random numbers. Threads:
 * check_sync.c, notices: check_notice.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"

/* ---- clock ---- */

START_TEST(time_saturates_instead_of_overflowing)
{
  ck_assert_int_eq(time_after(1, 2), 3);
  ck_assert_int_eq(time_after(10, -3), 7);
  ck_assert_int_eq(time_after(INT64_MAX - 1, 5), TIME_FOREVER);
  ck_assert_int_eq(time_after(5, TIME_FOREVER), TIME_FOREVER);
  ck_assert_int_eq(time_after(TIME_FOREVER, -5), TIME_FOREVER);
  ck_assert_int_eq(time_after(INT64_MIN + 1, -5), INT64_MIN);
  ck_assert_int_eq(time_from_ms(3), 3 * NS_PER_MS);
  ck_assert_int_eq(time_from_ms(-3), 0);
  ck_assert_int_eq(time_from_ms(INT64_MIN), 0);
  ck_assert_int_eq(time_from_ms(INT64_MAX / 2), TIME_FOREVER);
}
END_TEST

START_TEST(clock_never_goes_back)
{
  int64_t last = clock_ns();

  ck_assert_int_gt(last, 0);
  for (int i = 0; i < 100000; i++) {
    int64_t now = clock_ns();

    ck_assert_int_ge(now, last);
    last = now;
  }
}
END_TEST

/* ---- memory ---- */

START_TEST(only_the_chosen_allocation_fails)
{
  void *p[4];

  mem_fail_at(2, 0);
  for (int i = 0; i < 4; i++) {
    p[i] = mem_alloc(8);
    ck_assert_int_eq(p[i] == NULL, i == 1);
  }
  ck_assert_uint_eq(mem_count(), 4);
  mem_fail_at(0, 0);
  ck_assert_uint_eq(mem_count(), 4);
  for (int i = 0; i < 4; i++)
    mem_free(p[i]);
}
END_TEST

START_TEST(a_sticky_failure_stays_until_it_is_turned_off)
{
  char *kept = mem_strdup("kept"), *copy;

  mem_fail_at(1, 1);
  ck_assert_ptr_null(mem_alloc(1));
  ck_assert_ptr_null(mem_zalloc(1));
  ck_assert_ptr_null(mem_realloc(kept, 100));
  ck_assert_ptr_null(mem_strdup("x"));
  mem_fail_at(0, 0);
  ck_assert_str_eq(kept, "kept");
  copy = mem_strndup("a\0b", 3);
  ck_assert_mem_eq(copy, "a\0b", 4);
  mem_free(copy);
  mem_free(kept);
  ck_assert_ptr_null(mem_strdup(NULL));
}
END_TEST

START_TEST(empty_and_impossible_sizes_are_handled)
{
  void *empty = mem_alloc(0), *zero = mem_zalloc(0), *grown = mem_realloc(NULL, 0);
  char secret[8] = "secret!";

  ck_assert_ptr_nonnull(empty);
  ck_assert_ptr_nonnull(zero);
  ck_assert_ptr_nonnull(grown);
  ck_assert_ptr_null(mem_strndup("x", SIZE_MAX));
  mem_wipe(secret, sizeof secret);
  ck_assert_mem_eq(secret, "\0\0\0\0\0\0\0\0", 8);
  mem_wipe(NULL, 0);
  mem_free(empty);
  mem_free(zero);
  mem_free(grown);
}
END_TEST

/* ---- lists ---- */

struct item {
  int value;
  struct list node;
};

static void assert_values(struct list *head, const char *expected)
{
  char found[32] = "";
  size_t n = 0;

  for (struct list *l = head->next; l != head; l = l->next)
    found[n++] = (char)('0' + container_of(l, struct item, node)->value);
  ck_assert_str_eq(found, expected);
}

START_TEST(lists_keep_order_and_survive_double_removal)
{
  struct item items[4];
  struct list head, other;

  list_init(&head);
  ck_assert_ptr_null(list_first(&head));
  ck_assert_ptr_null(list_last(&head));
  for (int i = 0; i < 4; i++) {
    items[i].value = i;
    list_init(&items[i].node);
    ck_assert(!list_linked(&items[i].node));
  }
  list_push_back(&head, &items[1].node);
  list_push_back(&head, &items[3].node);
  list_push_front(&head, &items[0].node);
  list_insert(&items[1].node, &items[2].node);
  assert_values(&head, "0123");
  list_remove(&items[2].node);
  list_remove(&items[2].node);
  assert_values(&head, "013");
  list_take(&other, &head);
  ck_assert(list_empty(&head));
  assert_values(&other, "013");
  ck_assert_ptr_eq(list_last(&other), &items[3].node);
  list_take(&other, &head);
  ck_assert(list_empty(&other));
}
END_TEST

/* ---- text ---- */

START_TEST(text_is_cut_with_an_ellipsis_and_never_overflows)
{
  for (size_t size = 0; size < 32; size++) {
    char *buf = malloc(size ? size : 1); /* exact, for the address sanitizer */
    struct text t;

    text_init(&t, buf, size);
    text_add(&t, "%s", "0123456789");
    text_add(&t, "-%d", 42);
    if (size >= 14) {
      ck_assert_str_eq(buf, "0123456789-42");
    } else if (size > 0) {
      ck_assert_uint_eq(strlen(buf), size - 1);
      if (size > 3)
        ck_assert_str_eq(buf + size - 4, "...");
    }
    free(buf);
  }
}
END_TEST

START_TEST(foreign_bytes_are_made_harmless)
{
  char buf[64];
  struct text t;

  text_init(&t, buf, sizeof buf);
  text_add_quoted(&t, "a\"b\n\x1b\0\xff\\z", 9, 100);
  ck_assert_str_eq(buf, "a\\x22b\\x0a\\x1b\\x00\\xff\\x5cz");
  text_init(&t, buf, sizeof buf);
  text_add_quoted(&t, "abcdef", 6, 3);
  ck_assert_str_eq(buf, "abc...");
}
END_TEST

START_TEST(spans_are_readable)
{
  static const struct {
    int64_t ns;
    const char *text;
  } cases[] = {
      {0, "0 ms"},
      {-5, "0 ms"},
      {5, "<1 ms"},
      {12000000, "12 ms"},
      {999999999, "999 ms"},
      {3400000000, "3.4 s"},
      {1000000000, "1.0 s"},
      {59990000000, "59.9 s"},
      {TIME_FOREVER, "forever"},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char buf[32];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_add_ms(&t, cases[i].ns);
    ck_assert_str_eq(buf, cases[i].text);
  }
}
END_TEST

/* ---- random ---- */

START_TEST(random_numbers_are_in_bounds_even_and_reproducible)
{
  int seen[10] = {0};
  struct random a, b;

  random_seed(&a, 7);
  random_seed(&b, 7);
  for (int i = 0; i < 100000; i++) {
    uint64_t n = random_below(&a, 10);

    ck_assert_uint_lt(n, 10);
    ck_assert_uint_eq(n, random_below(&b, 10));
    seen[n]++;
  }
  for (int i = 0; i < 10; i++)
    ck_assert(seen[i] > 9500 && seen[i] < 10500);
  ck_assert_uint_eq(random_below(&a, 0), 0);
  ck_assert_uint_eq(random_below(&a, 1), 0);
  for (int i = 0; i < 1000; i++)
    ck_assert_uint_le(random_below(&a, UINT64_MAX), UINT64_MAX - 1);
}
END_TEST

START_TEST(fresh_seeds_differ)
{
  uint64_t seeds[64];

  for (int i = 0; i < 64; i++) {
    seeds[i] = random_seed_fresh();
    for (int j = 0; j < i; j++)
      ck_assert_uint_ne(seeds[i], seeds[j]);
  }
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      time_saturates_instead_of_overflowing,
      clock_never_goes_back,
      only_the_chosen_allocation_fails,
      a_sticky_failure_stays_until_it_is_turned_off,
      empty_and_impossible_sizes_are_handled,
      lists_keep_order_and_survive_double_removal,
      text_is_cut_with_an_ellipsis_and_never_overflows,
      foreign_bytes_are_made_harmless,
      spans_are_readable,
      random_numbers_are_in_bounds_even_and_reproducible,
      fresh_seeds_differ,
  };
  Suite *suite = suite_create("base");
  TCase *tc = tcase_create("base");
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
