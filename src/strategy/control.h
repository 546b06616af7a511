/* SPDX-License-Identifier: BSD-3-Clause */
/* control.h - a node's control connection: for what must not stand in line behind the commands it
 * is about (CLIENT UNBLOCK, SCRIPT KILL …). A pool of one, which connects when it is first used and
 * closes when it was not for a minute; its circuit and its books are its own. */
#ifndef PMX_STRATEGY_CONTROL_H
#define PMX_STRATEGY_CONTROL_H
#include "strategy/strategy.h"

int control_open(struct link_env *, const struct config *, struct strategy **ret); /* 0 or errno */
void control_configure(struct strategy *, const struct config *); /* the client's options */

#endif
