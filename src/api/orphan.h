/* SPDX-License-Identifier: BSD-3-Clause */
/* orphan.h - what a command took away at the server and nobody is there to have. */
#ifndef PMX_API_ORPHAN_H
#define PMX_API_ORPHAN_H
#include "api/client.h"

/* Counts it, and tells the program with an event. A reply that carries nothing is none. */
void orphan_report(pmx_client *, struct runtime *, const char *command, const pmx_reply *);

#endif
