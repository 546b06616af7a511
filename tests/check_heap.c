/* SPDX-License-Identifier: BSD-3-Clause */
/* check_heap.c - tests the heap of times against a plain array. */
#include <stdlib.h>
#include <string.h>
#include "base/heap.h"
#include "base/random.h"
#include "harness/checks.h"

enum { NODES = 300, STEPS = 200000 };

static int64_t earliest(const struct heap_node *nodes)
{
  int64_t key = INT64_MAX;

  for (int i = 0; i < NODES; i++) {
    if (nodes[i].place && nodes[i].key < key)
      key = nodes[i].key;
  }
  return key;
}

static int64_t first_key(const struct heap *heap)
{
  const struct heap_node *first = heap_first(heap);

  return first ? first->key : INT64_MAX;
}

/* Many are later than all before, as deadlines are; the others come anywhere. */
static int64_t next_key(struct random *random, int step)
{
  return step + (int64_t)random_below(random, 2) * (int64_t)random_below(random, 1000) - 500;
}

START_TEST(the_first_is_the_earliest_whatever_is_added_and_taken_out)
{
  static struct heap_node nodes[NODES];
  struct heap heap = {NULL, NULL, NULL};
  struct random random;
  int in = 0;

  memset(nodes, 0, sizeof nodes);
  random_seed(&random, 7);
  for (int step = 0; step < STEPS; step++) {
    struct heap_node *node = &nodes[random_below(&random, NODES)];

    if (random_below(&random, 4) == 0 && heap_first(&heap))
      node = heap_first(&heap);
    if (node->place) {
      heap_remove(&heap, node);
      ck_assert_ptr_null(node->place);
      heap_remove(&heap, node);
      in--;
    } else {
      heap_add(&heap, node, next_key(&random, step));
      in++;
    }
    if (step % 16 == 0)
      ck_assert_int_eq(first_key(&heap), earliest(nodes));
  }
  for (int64_t last = INT64_MIN; heap_first(&heap); in--) {
    ck_assert_int_ge(first_key(&heap), last);
    last = first_key(&heap);
    heap_remove(&heap, heap_first(&heap));
  }
  ck_assert_int_eq(in, 0);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("heap");

  tcase_add_test(tc, the_first_is_the_earliest_whatever_is_added_and_taken_out);
  return checks_run("heap", tc);
}
