/* SPDX-License-Identifier: BSD-3-Clause */
/* batching.h - what the tests of batches and transactions share: batches from lines of words, and
 * what each command of one came to. Sees the public header only. */
#ifndef BATCHING_H
#define BATCHING_H
#include <poolmux/poolmux.h>
#include <stdint.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"

/* ---- sides: every way, and once more where a batch can go to a connection of its own ---- */
struct side {
  const struct way *way;
  bool shares;    /* the batch goes where other calls are */
  uint64_t flags; /* what a call needs to go there */
  size_t conn;    /* the number of the first connection it can go to */
};
struct side side_at(int i);
#define add_for_sides(tc, test)                                                                    \
  do {                                                                                             \
    for (int i_ = 0; i_ < 2 * way_count; i_++) {                                                   \
      if (i_ < way_count || strategy_has(ways[i_ - way_count].strategy, DEDICATES))                \
        tcase_add_loop_test((tc), (test), i_, i_ + 1);                                             \
    }                                                                                              \
  } while (0)
/* No batch is too large for a lane; names and values of options, then NULL. */
pmx_client *open_side(const struct side *, const char *url, ...) __attribute__((sentinel));
pmx_call side_call(const struct side *, uint64_t flags, int64_t timeout_ms);
/* The first connection that the batch can go to is open, and it is number `conn`. */
void side_connect(const struct side *, pmx_client *);

/* "SET k v; INCR n": commands of words. What must be added is added, or the test fails. */
pmx_batch *batch_of(pmx_client *, const char *commands);
void batch_add_words(pmx_batch *, const char *commands);
/* Adds SET key with a value of so many bytes. */
void batch_add_big(pmx_batch *, const char *key, size_t size);
/* Executes and frees it. */
pmx_reply *batch_run(pmx_batch *, int atomic, const pmx_call *);

/* Element i is this integer, or this text. The array stays. */
void check_element_int(const pmx_reply *array, size_t i, int64_t expected);
void check_element_text(const pmx_reply *array, size_t i, const char *expected);
#define check_element_fails(array, i, status, cause)                                               \
  check_outcome(pmx_reply_ref(pmx_reply_at((array), (i))), (status), (cause), __FILE__, __LINE__)
/* An array of n that is OK as such; anything else fails the test. */
void check_array(const pmx_reply *array, size_t n);

int64_t server_value(struct server *, const char *key); /* 0: there is none */

#endif
