/* SPDX-License-Identifier: BSD-3-Clause */
/* check_learn.c - when much is expected, and until when. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "route/learn.h"

static struct learn learn;
static const struct route get = {.command = "GET"}, hgetall = {.command = "HGETALL"};

static void note(uint32_t key, int large, int times)
{
  for (int i = 0; i < times; i++)
    learn_note(&learn, key, large);
}

START_TEST(second_large_reply_of_sixteen_sets_it_and_sixteen_small_ones_clear_it)
{
  uint32_t key = learn_key(&get, "big", 3), other = learn_key(&get, "small", 5);

  note(key, 0, 100);
  ck_assert(!learn_is_large(&learn, key));
  note(key, 1, 1);
  ck_assert(!learn_is_large(&learn, key));
  note(key, 0, 14);
  note(key, 1, 1);
  ck_assert(learn_is_large(&learn, key));
  ck_assert(!learn_is_large(&learn, other));
  note(key, 0, 15);
  ck_assert(learn_is_large(&learn, key));
  note(key, 0, 1);
  ck_assert(!learn_is_large(&learn, key));
  note(key, 1, 1);
  ck_assert(!learn_is_large(&learn, key)); /* from the beginning */
}
END_TEST

START_TEST(large_replies_that_are_rare_set_nothing)
{
  uint32_t key = learn_key(&get, "mixed", 5);

  for (int i = 0; i < 100; i++) {
    note(key, 1, 1);
    note(key, 0, 16);
    ck_assert(!learn_is_large(&learn, key));
  }
}
END_TEST

START_TEST(command_and_argument_make_the_key)
{
  ck_assert_uint_ne(learn_key(&get, "k", 1), learn_key(&hgetall, "k", 1));
  ck_assert_uint_ne(learn_key(&get, "k", 1), learn_key(&get, "l", 1));
  ck_assert_uint_eq(learn_key(&get, "k", 1), learn_key(&get, "k", 1));
  ck_assert_uint_ne(learn_key(&get, "", 0), 0);
}
END_TEST

/* Many that were large once do not push out one that is large always. */
START_TEST(table_keeps_what_says_most)
{
  uint32_t key = learn_key(&get, "always", 6);
  char name[16];

  note(key, 1, 16);
  for (int i = 0; i < 100000; i++) {
    size_t len = (size_t)snprintf(name, sizeof name, "k%d", i);

    note(learn_key(&get, name, len), 1, 1);
  }
  ck_assert(learn_is_large(&learn, key));
}
END_TEST

int main(void)
{
  TCase *tc = tcase_create("learn");
  Suite *suite = suite_create("learn");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_add_test(tc, second_large_reply_of_sixteen_sets_it_and_sixteen_small_ones_clear_it);
  tcase_add_test(tc, large_replies_that_are_rare_set_nothing);
  tcase_add_test(tc, command_and_argument_make_the_key);
  tcase_add_test(tc, table_keeps_what_says_most);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
