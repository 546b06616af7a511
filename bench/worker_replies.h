/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_replies.h - replies of hiredis as answers that the frame of the workers can judge. */
#ifndef BENCH_WORKER_REPLIES_H
#define BENCH_WORKER_REPLIES_H
#include <hiredis/hiredis.h>

#include "workload.h"

/* Parts of the answer are the reply's. */
void reply_answer(const redisReply *, struct answer *ret);
const redisReply *reply_element(const redisReply *, size_t i); /* NULL: it has no such element */

#endif
