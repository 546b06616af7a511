/* SPDX-License-Identifier: BSD-3-Clause */
/* build.h - hiredis' reader with object functions of our own, which build one reply tree at a time
 * and refuse what is over a limit. Private to resp/: decode.c drives it. */
#ifndef PMX_RESP_BUILD_H
#define PMX_RESP_BUILD_H
#include "call/reply.h"
#include "resp/decode.h"
#include <hiredis/hiredis.h>
#include <locale.h>

struct build {
  redisReader *reader;
  locale_t plain;          /* the reader's strtod obeys LC_NUMERIC */
  struct reply_tree *tree; /* of the reply being read; NULL: none yet */
  struct decode_limits limits;
  size_t elements; /* announced so far in this reply */
  int attribute;   /* this "reply" is a RESP3 attribute of the next one */
  pmx_cause cause; /* why an object function refused; NONE: it did not */
  char text[160];  /* for people; with cause only */
};

enum pending {
  PENDING_NONE, /* between two items */
  PENDING_LINE, /* the buffer holds the begin of a line that has no end yet */
  PENDING_BULK  /* the same, or a bulk string's header with a part of its bytes */
};

int build_open(struct build *); /* makes the reader; 0, or -1: out of memory */
void build_close(struct build *);
/* redisReaderGetReply without its traps. *ret NULL: feed more. REDIS_ERR: see cause, then the
 * reader's own error. */
int build_next(struct build *, pmx_reply **ret);
enum pending build_pending(const struct build *);
/* 0: a bulk string of len bytes is over a limit, wherever it stands. */
int build_bulk_fits(const struct build *, uint64_t len);
/* Notes the first refusal. Returns NULL, which makes the reader stop. */
void *build_refuse(struct build *, pmx_cause, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
