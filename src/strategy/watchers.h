/* SPDX-License-Identifier: BSD-3-Clause */
/* watchers.h - those who wait until a strategy has nothing open any more (REQUEST_DRAIN). Its lock
 * is taken last and is of the list alone. */
#ifndef PMX_STRATEGY_WATCHERS_H
#define PMX_STRATEGY_WATCHERS_H
#include "link/link.h"

struct watchers {
  struct lock lock;
  struct list list;
};

void watchers_init(struct watchers *);
void watchers_destroy(struct watchers *);
/* NULL, or that there is no memory. Thread: any. */
pmx_reply *watchers_add(struct watchers *, struct link_env *, struct request *);
/* It does not want to wait any longer; name: of the strategy, "mux 127.0.0.1:6379/0". */
void watchers_cancel(struct watchers *, struct request *, pmx_cause, const char *name);
void watchers_end(struct watchers *, struct link_env *); /* all of them: it has come */

#endif
