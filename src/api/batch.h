/* SPDX-License-Identifier: BSD-3-Clause */
/* batch.h - commands that are collected, and sent as one request.
 *
 * A batch (batch.c) is what its owner has added: encoded bytes, and of each command where it ends
 * and how it is answered. It is not changed by being executed. A group (group.c) is one execution:
 * an order with bytes of its own, since a lane may take over what it has half written, and the list
 * that will hold the answers, so that nothing has to be allocated once something was sent. */
#ifndef PMX_API_BATCH_H
#define PMX_API_BATCH_H
#include "api/call.h"
#include "call/parts.h"

enum { BATCH_MAX = 1000000 }; /* commands; named in pmx_batch_new(3) */

struct pmx_batch {
  pmx_client *client; /* a reference */
  char *bytes;
  size_t size, size_cap;
  struct part *parts;
  uint32_t count, cap;
  struct route route;  /* of all that was added, joined */
  const char *waiting; /* the first of them that waits at the server, or NULL */
  pmx_reply *failure;  /* why a command could not be added; from then on none is */
  int lent;            /* to the function of a transaction, which must not execute or free it */
};

/* Makes it empty again. */
void batch_clear(pmx_batch *);
/* NULL, or why it cannot be executed. */
pmx_reply *batch_check(const pmx_batch *, int lent);

struct group {
  struct order order;
  struct parts parts;
  pmx_reply *list; /* what parts.replies fills in */
};

/* NULL, or why it is not sent. To be closed in any case. */
pmx_reply *group_open(struct group *, const pmx_batch *, int atomic);
/* A try has ended with `reply` (NULL: all answers came): what it means for the group as a whole.
 * Takes it over. */
pmx_reply *group_judge(const struct order *, pmx_reply *reply);
/* What the caller is told after the last try was judged so, which is taken over. */
pmx_reply *group_result(struct group *, pmx_reply *verdict);
const pmx_reply *group_list(const struct order *); /* of a group's, as far as it came; else NULL */
void group_close(struct group *);

#endif
