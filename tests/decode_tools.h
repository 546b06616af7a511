/* SPDX-License-Identifier: BSD-3-Clause */
/* decode_tools.h - for the tests of the decoder: a text form of reply trees that two trees share
 * only when they are equal, and streams of bytes in pieces of any size. */
#ifndef TESTS_DECODE_TOOLS_H
#define TESTS_DECODE_TOOLS_H
#include <check.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "call/reply.h"
#include "resp/decode.h"

#define WIDE                                                                                       \
  {                                                                                                \
    64 * 1024 * 1024, 1000000, 1024                                                                \
  }

struct dump {
  char *text;
  size_t len, cap;
};

static inline void dump_bytes(struct dump *d, const void *bytes, size_t len)
{
  if (d->len + len + 1 > d->cap) {
    d->cap = (d->len + len + 1) * 2;
    d->text = realloc(d->text, d->cap);
  }
  memcpy(d->text + d->len, bytes, len);
  d->len += len;
  d->text[d->len] = '\0';
}

static inline void dump_format(struct dump *d, const char *format, ...)
{
  char buf[256];
  va_list ap;
  int n;

  va_start(ap, format);
  n = vsnprintf(buf, sizeof buf, format, ap);
  va_end(ap);
  ck_assert_int_lt(n, (int)sizeof buf);
  dump_bytes(d, buf, (size_t)n);
}

static inline void dump_quoted(struct dump *d, char kind, const char *bytes, size_t len)
{
  dump_bytes(d, &kind, 1);
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] < '#' || bytes[i] > '~')
      dump_format(d, "\\x%02x", (unsigned char)bytes[i]);
    else
      dump_bytes(d, bytes + i, 1);
  }
}

static inline void dump_reply(struct dump *d, const pmx_reply *r)
{
  static const char kinds[] = "!_$+-:,#(=*%~>";
  pmx_type type = pmx_reply_type(r);
  const char *text;
  size_t len;

  if (type == PMX_TYPE_NIL)
    dump_format(d, "_");
  else if (type == PMX_TYPE_INTEGER || type == PMX_TYPE_BOOL)
    dump_format(d, "%c%" PRId64, kinds[type], pmx_reply_int(r, NULL));
  else if ((text = pmx_reply_str(r, &len)) != NULL)
    dump_quoted(d, kinds[type], text, len);
  else {
    dump_format(d, "%c[", kinds[type]);
    for (size_t i = 0; i < pmx_reply_len(r); i++) {
      dump_format(d, i ? " " : "");
      dump_reply(d, pmx_reply_at(r, i));
    }
    dump_format(d, "]");
  }
}

/* Takes all complete replies; each is dumped, freed, and followed by a line break. */
static inline enum decode_result take_all(struct decoder *decoder, struct dump *d)
{
  enum decode_result result;
  pmx_reply *reply = NULL;

  while ((result = decoder_next(decoder, &reply)) == DECODE_REPLY) {
    dump_reply(d, reply);
    dump_format(d, "\n");
    pmx_reply_free(reply);
  }
  return result;
}

static inline enum decode_result feed_all(struct decoder *decoder, const char *bytes, size_t len,
                                          size_t piece, struct dump *d)
{
  enum decode_result result = DECODE_MORE;

  for (size_t at = 0; at < len && result == DECODE_MORE; at += piece) {
    size_t n = len - at < piece ? len - at : piece;

    if (decoder_feed(decoder, bytes + at, n))
      return DECODE_ERROR;
    result = take_all(decoder, d);
  }
  return result;
}

static inline struct decoder *decoder_with(size_t max_bytes, size_t max_elements,
                                           unsigned max_depth)
{
  struct decode_limits limits = {max_bytes, max_elements, max_depth};
  struct decoder *decoder = NULL;

  ck_assert_int_eq(decoder_open(&decoder, &limits), 0);
  return decoder;
}

static inline struct decoder *wide_decoder(void)
{
  struct decode_limits limits = WIDE;

  return decoder_with(limits.max_bytes, limits.max_elements, limits.max_depth);
}

/* The wire is one whole reply. */
static inline pmx_reply *decode_one(struct decoder *decoder, const char *wire)
{
  pmx_reply *reply = NULL;

  ck_assert_int_eq(decoder_feed(decoder, wire, strlen(wire)), 0);
  ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_REPLY);
  return reply;
}

/* After a DECODE_ERROR: of this cause, said readably, and for good. */
static inline void expect_broken(struct decoder *decoder, pmx_cause cause, const char *word)
{
  const char *text = NULL;
  pmx_reply *reply = NULL;

  ck_assert_msg(decoder_error(decoder, &text) == cause, "%s: %s",
                pmx_cause_str(decoder_error(decoder, &text)), text);
  ck_assert_msg(strstr(text, word), "\"%s\" not in: %s", word, text);
  for (const char *c = text; *c; c++)
    ck_assert_msg(*c >= ' ' && *c <= '~', "byte %d in: %s", *c, text);
  ck_assert_int_eq(decoder_feed(decoder, "+OK\r\n", 5), -1);
  ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_ERROR);
  ck_assert_int_eq(decoder_error(decoder, &text), cause);
  ck_assert_int_eq(decoder_idle(decoder), 0);
}

/* Replies every reader knows, and (resp3) those that take hiredis 1.0. */
struct sample {
  const char *wire;
  size_t len;
  const char *dump;
  int resp3;
};
#define SAMPLE(wire, dump, resp3)                                                                  \
  {                                                                                                \
    wire, sizeof(wire) - 1, dump "\n", resp3                                                       \
  }
static const struct sample samples[] = {
    SAMPLE("+OK\r\n", "+OK", 0),
    SAMPLE("+\r\n", "+", 0),
    SAMPLE("-ERR no such thing\r\n", "-ERR\\x20no\\x20such\\x20thing", 0),
    SAMPLE(":0\r\n", ":0", 0),
    SAMPLE(":-9223372036854775808\r\n", ":-9223372036854775808", 0),
    SAMPLE("$-1\r\n", "_", 0),
    SAMPLE("$0\r\n\r\n", "$", 0),
    SAMPLE("$5\r\na\r\n\0b\r\n", "$a\\x0d\\x0a\\x00b", 0),
    SAMPLE("*-1\r\n", "_", 0),
    SAMPLE("*0\r\n", "*[]", 0),
    SAMPLE("*2\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n", "*[$a *[:1 *[]]]", 0),
    SAMPLE("*3\r\n-WRONGTYPE x\r\n$-1\r\n*-1\r\n", "*[-WRONGTYPE\\x20x _ _]", 0),
    SAMPLE(
        "*20\r\n:0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:10\r\n:11\r\n:12\r\n"
        ":13\r\n:14\r\n:15\r\n:16\r\n:17\r\n:18\r\n:19\r\n",
        "*[:0 :1 :2 :3 :4 :5 :6 :7 :8 :9 :10 :11 :12 :13 :14 :15 :16 :17 :18 :19]", 0),
    SAMPLE("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n$4\r\ndeep\r\n",
           "*[*[*[*[*[*[*[*[$deep]]]]]]]]", 0),
    SAMPLE("_\r\n", "_", 1),
    SAMPLE("#t\r\n", "#1", 1),
    SAMPLE("#f\r\n", "#0", 1),
    SAMPLE(",1.5\r\n", ",1.5", 1),
    SAMPLE(",-inf\r\n", ",-inf", 1),
    SAMPLE("=7\r\ntxt:a b\r\n", "=a\\x20b", 1),
    SAMPLE("=4\r\ntxt:\r\n", "=", 1),
    SAMPLE("%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n", "%[+a :1 +b %[]]", 1),
    SAMPLE("~2\r\n$1\r\nx\r\n#t\r\n", "~[$x #1]", 1),
    SAMPLE(">2\r\n+message\r\n$2\r\nhi\r\n", ">[+message $hi]", 1),
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

static inline int is_readable(const struct sample *s)
{
  return !s->resp3 || decoder_resp3();
}

#endif
