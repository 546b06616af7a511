/* SPDX-License-Identifier: BSD-3-Clause */
/* decode.h - bytes to replies, with hiredis' redisReader and our own arena. All differences between
 * hiredis 0.14 and >= 1.0 live in build.c. */
#ifndef PMX_RESP_DECODE_H
#define PMX_RESP_DECODE_H
#include <poolmux/poolmux.h>
#include <stddef.h>

struct decoder;

struct decode_limits {
  size_t max_bytes;    /* arena and wire bytes of one top-level reply */
  size_t max_elements; /* of one top-level reply, in all */
  unsigned max_depth;  /* of nesting */
};

enum decode_result {
  DECODE_REPLY, /* *ret is a complete top-level reply, the caller's */
  DECODE_MORE,  /* feed more */
  DECODE_ERROR  /* the stream is broken or over a limit: decoder_error; for good */
};

enum { DECODE_FEED_MAX = 36 * 1024 }; /* the most that may be fed at once */

int decoder_open(struct decoder **ret, const struct decode_limits *); /* 0, or -1: out of memory */
void decoder_close(struct decoder *); /* NULL is ignored */
void decoder_reset(struct decoder *, const struct decode_limits *); /* for a new connection; may
                                         fail lazily: the next feed then reports DECODE_ERROR */
int decoder_feed(struct decoder *, const char *bytes, size_t len); /* 0, or -1: see decoder_error */
enum decode_result decoder_next(struct decoder *, pmx_reply **ret);
int decoder_heard(const struct decoder *); /* 1: bytes have come on this connection */
int decoder_idle(const struct decoder *); /* 1: no byte is buffered and no reply is half read */
/* How a reply begins that is half read, a few bytes of it; NULL: there is none. */
const char *decoder_begun(const struct decoder *, size_t *ret_len);
/* The cause (PROTOCOL, TOO_LARGE or NOMEM) and a text for people. */
pmx_cause decoder_error(const struct decoder *, const char **ret_text);
int decoder_resp3(void); /* 1: built with a hiredis that reads RESP3 */

#endif
