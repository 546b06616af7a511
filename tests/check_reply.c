/* SPDX-License-Identifier: BSD-3-Clause */
/* check_reply.c - tests how scalars and reply trees live: arena, limit, refcount. Accessors:
 * check_access.c, failures: check_outcome.c, decoding: check_decode.c. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "call/reply.h"
#include "reply_nodes.h"

/* ---- scalars ---- */

START_TEST(a_scalar_is_one_allocation)
{
  pmx_reply *reply;

  mem_fail_at(UINT64_MAX, 0);
  reply = reply_scalar_new(100);
  mem_fail_at(0, 0);
  ck_assert_ptr_nonnull(reply);
  ck_assert_uint_eq(mem_count(), 1);
  memset(reply + 1, 'x', 100);
  reply->str = (char *)(reply + 1);
  reply->len = 99;
  ck_assert_uint_eq(reply_bytes(reply), sizeof *reply + 100);
  pmx_reply_free(reply);
}
END_TEST

START_TEST(a_scalar_that_cannot_be_made_is_null)
{
  ck_assert_ptr_null(reply_scalar_new(SIZE_MAX));
  ck_assert_ptr_null(reply_scalar_new(SIZE_MAX - sizeof(pmx_reply)));
  mem_fail_at(1, 0);
  ck_assert_ptr_null(reply_scalar_new(1));
  mem_fail_at(0, 0);
}
END_TEST

START_TEST(constant_replies_have_no_bytes_and_are_never_freed)
{
  pmx_reply *replies[] = {reply_ok(), reply_nil()};

  for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
    for (int twice = 0; twice < 2; twice++)
      pmx_reply_free(replies[i]);
    ck_assert_ptr_eq(pmx_reply_ref(replies[i]), replies[i]);
    ck_assert_uint_eq(reply_bytes(replies[i]), 0);
    ck_assert_int_eq(pmx_ok(replies[i]), 1);
  }
  ck_assert_int_eq(pmx_reply_type(replies[1]), PMX_TYPE_NIL);
  ck_assert_uint_eq(reply_bytes(NULL), 0);
}
END_TEST

/* ---- arena ---- */

START_TEST(arena_memory_is_aligned_and_disjoint)
{
  struct reply_tree *tree = new_tree();
  unsigned char *got[300];
  size_t size[300];

  for (size_t i = 0; i < 300; i++) {
    size[i] = i % 50 == 49 ? 5000 : i % 37;
    got[i] = reply_tree_alloc(tree, size[i]);
    ck_assert_ptr_nonnull(got[i]);
    ck_assert_uint_eq((uintptr_t)got[i] % _Alignof(max_align_t), 0);
    memset(got[i], (int)(i % 256), size[i]);
  }
  for (size_t i = 0; i < 300; i++)
    for (size_t j = 0; j < size[i]; j++)
      ck_assert_uint_eq(got[i][j], i % 256);
  reply_tree_free(tree);
}
END_TEST

START_TEST(arena_takes_few_blocks)
{
  struct reply_tree *tree;

  mem_fail_at(UINT64_MAX, 0);
  tree = new_tree();
  for (int i = 0; i < 100000; i++)
    ck_assert_ptr_nonnull(reply_tree_alloc(tree, 64));
  mem_fail_at(0, 0);
  ck_assert_uint_lt(mem_count(), 25);
  ck_assert_uint_lt(reply_tree_bytes(tree), 2 * 6400000);
  reply_tree_free(tree);
}
END_TEST

START_TEST(arena_never_takes_more_than_its_limit)
{
  for (size_t max = 0; max < 6000; max += 7) {
    struct reply_tree *tree = reply_tree_new(max % 3 ? 0 : 100, max);

    ck_assert_ptr_nonnull(tree);
    ck_assert_int_eq(reply_tree_over(tree), 0);
    while (reply_tree_alloc(tree, 24))
      ck_assert_uint_le(reply_tree_bytes(tree), max);
    ck_assert_int_eq(reply_tree_over(tree), 1);
    reply_tree_free(tree);
  }
}
END_TEST

START_TEST(impossible_sizes_are_over_the_limit)
{
  struct reply_tree *tree = new_tree();

  ck_assert_ptr_null(reply_tree_alloc(tree, SIZE_MAX));
  ck_assert_int_eq(reply_tree_over(tree), 1);
  reply_tree_free(tree);
  ck_assert_ptr_null(reply_tree_new(SIZE_MAX, SIZE_MAX));
}
END_TEST

START_TEST(short_memory_is_not_called_over_the_limit)
{
  struct reply_tree *tree = new_tree();

  mem_fail_at(1, 1);
  ck_assert_ptr_null(reply_tree_alloc(tree, 4096));
  ck_assert_ptr_null(reply_tree_new(0, SIZE_MAX));
  mem_fail_at(0, 0);
  ck_assert_int_eq(reply_tree_over(tree), 0);
  ck_assert_ptr_nonnull(reply_tree_alloc(tree, 4096));
  reply_tree_free(tree);
}
END_TEST

/* ---- references ---- */

START_TEST(keeping_a_child_keeps_the_tree)
{
  struct reply_tree *tree = new_tree();
  pmx_reply *root = aggregate(tree, PMX_TYPE_ARRAY, 2), *child;

  root->elems[0] = text_node(tree, PMX_TYPE_STRING, "first", 5);
  root->elems[1] = text_node(tree, PMX_TYPE_STRING, "second", 6);
  child = pmx_reply_ref(pmx_reply_at(root, 1));
  ck_assert_ptr_eq(child, root->elems[1]);
  pmx_reply_free(root);
  ck_assert_str_eq(pmx_reply_str(child, NULL), "second"); /* under ASan: the tree lives */
  ck_assert_ptr_eq(pmx_reply_ref(child), child);
  pmx_reply_free(child);
  pmx_reply_free(child); /* under LeakSanitizer: and now it does not */
}
END_TEST

START_TEST(deep_trees_are_freed_without_recursion)
{
  struct reply_tree *tree = new_tree();
  pmx_reply *root = aggregate(tree, PMX_TYPE_ARRAY, 1), *at = root;

  for (int i = 0; i < 200000; i++) {
    at->elems[0] = aggregate(tree, PMX_TYPE_ARRAY, 1);
    at = at->elems[0];
  }
  at->len = 0;
  pmx_reply_free(root);
}
END_TEST

static void *ref_and_free(void *arg)
{
  for (int i = 0; i < 20000; i++)
    pmx_reply_free(pmx_reply_ref(arg));
  pmx_reply_free(arg);
  return NULL;
}

static void count_from_all_threads(pmx_reply *reply)
{
  pthread_t thread[4];

  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&thread[i], NULL, ref_and_free, pmx_reply_ref(reply)), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(thread[i], NULL);
}

START_TEST(references_are_counted_from_all_threads)
{
  struct reply_tree *tree = new_tree();
  pmx_reply *scalar = reply_failure(PMX_UNKNOWN, PMX_CAUSE_LOST, "shared");
  pmx_reply *list = aggregate(tree, PMX_TYPE_ARRAY, 0);

  count_from_all_threads(scalar);
  ck_assert_str_eq(pmx_reply_error(scalar), "shared");
  pmx_reply_free(scalar);
  count_from_all_threads(list);
  ck_assert_uint_eq(pmx_reply_len(list), 0);
  pmx_reply_free(list);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      a_scalar_is_one_allocation,
      a_scalar_that_cannot_be_made_is_null,
      constant_replies_have_no_bytes_and_are_never_freed,
      arena_memory_is_aligned_and_disjoint,
      arena_takes_few_blocks,
      arena_never_takes_more_than_its_limit,
      impossible_sizes_are_over_the_limit,
      short_memory_is_not_called_over_the_limit,
      keeping_a_child_keeps_the_tree,
      deep_trees_are_freed_without_recursion,
      references_are_counted_from_all_threads,
  };
  Suite *suite = suite_create("reply");
  TCase *tc = tcase_create("reply");
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
