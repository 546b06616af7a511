/* SPDX-License-Identifier: BSD-3-Clause */
/* unblocking.h - a server that waits, is asked to unblock and answers as a test says, and a BLPOP
 * that is cancelled meanwhile. Sees the public header only. */
#ifndef UNBLOCKING_H
#define UNBLOCKING_H
#include <stdatomic.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"

/* Neither BLPOP nor CLIENT UNBLOCK is answered but by the test. */
struct scene {
  struct fake *fake;
  size_t first;           /* number of the first connection that can wait for a key */
  _Atomic int strangers;  /* connections after that lead to another process */
  _Atomic int says_error; /* INFO is not allowed */
  _Atomic(struct fake_conn *) blocked, control;
};
pmx_client *scene_begin(struct scene *, const char *strategy, const char *grace);
void scene_end(struct scene *, pmx_client *);
bool scene_is_asked(void *scene); /* CLIENT UNBLOCK has come; a condition for wait_for() */
void scene_gives(struct scene *, const char *element);
void scene_says_unblocked(struct scene *);

/* "BLPOP q 0" in a thread of its own, with a token. */
struct pop {
  struct waiting w;
  pmx_cancel *token;
};
/* Until the server has it. lease NULL: a plain call. */
void pop_start(struct pop *, struct scene *, pmx_client *, pmx_lease *);
void pop_fire(struct pop *, struct scene *);         /* until the server is asked */
pmx_reply *pop_ended(struct pop *);                  /* the caller's */
void check_popped(pmx_reply *, const char *element); /* frees it */

#endif
