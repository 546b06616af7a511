/* SPDX-License-Identifier: BSD-3-Clause */
/* session.h - what the commands on one connection have done to its session, told from the replies:
 * a bit is set or cleared only when the server has accepted the command. Inside MULTI the effects of
 * queued commands count from the EXEC on. */
#ifndef PMX_CONN_SESSION_H
#define PMX_CONN_SESSION_H
#include <poolmux/poolmux.h>
#include <stddef.h>
#include <stdint.h>
#include "call/route.h"

enum session_bits {
  SESSION_BIT_MULTI = 1 << 0,
  SESSION_BIT_WATCH = 1 << 1,
  SESSION_BIT_DB = 1 << 2,
  SESSION_BIT_NAME = 1 << 3,
  SESSION_BIT_TRACKING = 1 << 4,
  SESSION_BIT_NO_EVICT = 1 << 5,
  SESSION_BIT_NO_TOUCH = 1 << 6,
  SESSION_BIT_READONLY = 1 << 7,
  SESSION_BIT_LOST = 1 << 8 /* changed in a way that only a new connection undoes */
};

struct session {
  uint32_t bits;
  uint32_t queued; /* bits that an EXEC will set */
  int64_t base_db;
};

void session_init(struct session *, int64_t base_db);
/* `reply` answered a command with this effect. */
void session_apply(struct session *, enum session_effect, int32_t arg, const pmx_reply *reply);

enum { SESSION_REPAIR_MAX = 640 }; /* bytes of the longest repair: a name of 255 in it */

/* Encodes the cheapest commands that restore the baseline. *ret_replies = how many answers they get;
 * 0 = already there. The number of bytes, or 0 with *ret_replies = -1 when only closing helps. */
size_t session_repair(const struct session *, const char *name, char buf[SESSION_REPAIR_MAX],
                      int *ret_replies);
void session_repaired(struct session *); /* all of them were answered without an error */

#endif
