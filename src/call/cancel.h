/* SPDX-License-Identifier: BSD-3-Clause */
/* cancel.h - cancel tokens. A call that waits hangs a hook on its token; firing runs every hook
 * under the token's lock, so a hook that was taken off never runs afterwards. Hooks only wake. */
#ifndef PMX_CALL_CANCEL_H
#define PMX_CALL_CANCEL_H
#include <poolmux/poolmux.h>
#include "base/list.h"

struct cancel_hook {
  struct list node;
  pmx_cancel *token; /* NULL: not attached */
  void (*wake)(struct cancel_hook *);
  uint32_t generation; /* of the process that attached it */
};

int cancel_fired(const pmx_cancel *); /* NULL: 0 */
/* token NULL: nothing ever wakes it. On a token that was fired already, wakes at once. */
void cancel_attach(pmx_cancel *, struct cancel_hook *, void (*wake)(struct cancel_hook *));
void cancel_detach(struct cancel_hook *); /* twice is harmless */

#endif
