/* SPDX-License-Identifier: BSD-3-Clause */
/* raw_impl.h - what the files of the blocking client share. Not for tests. */
#ifndef HARNESS_RAW_IMPL_H
#define HARNESS_RAW_IMPL_H
#include "raw.h"

bool raw_flush(struct raw *); /* over TLS: sends what is to leave */
/* From the socket: 1 = some bytes, 0 = time is up, -1 = the end (errno 0) or an error. */
int raw_read(struct raw *, struct wire_buf *into, int64_t end_ms);

#endif
