/* SPDX-License-Identifier: BSD-3-Clause */
/* calling.h - what the tests of callbacks and futures share: every manner in which a client can
 * work, and calls that remember what they were told. Sees the public header only.
 *
 * With io=loop nobody but the test dispatches: whoever waits here does, and only when the client's
 * descriptor says that there is something to do. */
#ifndef CALLING_H
#define CALLING_H
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "behaviour/behaviour.h"

/* ---- manners: every strategy, with a thread of its own and in a loop, over all of it ---- */
struct manner {
  const char *strategy, *io;
  enum over over;
};
extern const struct manner manners[];
extern int manner_count;
void manners_brief(void); /* as ways_brief, which it includes */
#define add_for_manners(tc, test) tcase_add_loop_test((tc), (test), 0, manner_count)
/* Only those with io=thread, or io=loop. */
#define add_for_io(name, tc, test)                                                                 \
  do {                                                                                             \
    for (int i_ = 0; i_ < manner_count; i_++) {                                                    \
      if (strcmp(manners[i_].io, (name)) == 0)                                                     \
        tcase_add_loop_test((tc), (test), i_, i_ + 1);                                             \
    }                                                                                              \
  } while (0)
bool in_loop(const struct manner *);
struct way way_of(const struct manner *);
/* Names and values of options, then NULL. */
pmx_client *open_manner(const struct manner *, const char *url, ...) __attribute__((sentinel));
const char *manner_url(const struct manner *, const struct server *);

/* ---- a call that remembers what it was told ---- */
struct told {
  _Atomic int times;
  pmx_reply *reply;                                 /* the last one */
  int64_t at_ms;                                    /* pmx_now_ms() */
  pthread_t thread;                                 /* that ran the callback */
  void (*inside)(struct told *, const pmx_reply *); /* in the callback, before it counts; or NULL */
  void *arg;                                        /* the test's */
  pmx_client *client;
};
void tell(void *told, const pmx_reply *); /* a pmx_reply_fn */
/* Of a fresh one. What must be taken is taken, or the test fails. */
void ask(pmx_client *, struct told *, const pmx_call *, const char *format, ...);
bool is_told(void *told); /* a condition for until() */
/* Waits for the outcome, which must come once. The caller's; `told` is fresh afterwards. */
pmx_reply *outcome(struct told *);
bool all_told(struct told *, int n, int64_t timeout_ms); /* of the same client */
void told_clear(struct told *, int n);

/* ---- waiting ---- */
/* Until the condition holds, or false after timeout_ms. */
bool until(pmx_client *, bool (*condition)(void *), void *arg, int64_t timeout_ms);
void pass(pmx_client *, int64_t ms); /* so much time */

#endif
