/* SPDX-License-Identifier: BSD-3-Clause */
/* decode.c - owns the stream of replies of one connection: feeding the reader, the limits in bytes,
 * and what is said when the stream is broken, which is for good. Knows nothing of requests. */
#include "resp/build.h"
#include "base/mem.h"
#include "base/text.h"
#include <string.h>

enum {
  LINE_MAX_BYTES = 64 * 1024,   /* the reader rescans an unfinished line at each feed */
  BULK_HEADER_MAX = 24,         /* digits of 2^63, sign and line break */
  KEEP_BUFFER_MAX = 256 * 1024, /* a reader that held more is replaced when it is empty */
  PEEK_MAX = 32,
  BINARY_MAX = 4,
  DEPTH_MAX = 1024 /* pmx_reply_failed recurses */
};

struct decoder {
  struct build build;
  uint64_t fed;     /* bytes since the last reset */
  uint64_t start;   /* where in them the current reply begins */
  uint64_t replies; /* complete ones */
  size_t peak;      /* most bytes the reader's buffer has held */
  int half;         /* an attribute was read, its reply was not */
  pmx_cause cause;
  char text[256];
  size_t peek_len;
  char peek[PEEK_MAX]; /* how the current reply begins: the reader drops its buffer on errors */
};

static size_t buffered(const struct decoder *d)
{
  return d->build.reader ? d->build.reader->len - d->build.reader->pos : 0;
}

static int in_reply(const struct decoder *d)
{
  return d->build.reader && d->build.reader->ridx >= 0;
}

/* What answers in place of a Redis server, when that can be told. */
static const char *guess(const struct decoder *d)
{
  if (d->replies > 0)
    return "";
  if (d->peek_len >= 2 && d->peek[0] == 0x15 && d->peek[1] == 0x03) /* RFC 8446: an alert */
    return ": that is TLS, set tls=yes or write rediss://";
  if (d->peek_len >= 5 && memcmp(d->peek, "HTTP/", 5) == 0)
    return ": that is a web server, check host and port";
  return ": is that a Redis server at all?";
}

/* What may be quoted of it, for it says whom we are talking to. Anything else may be data, or what
 * we said ourselves, come back. */
static size_t quotable(const struct decoder *d)
{
  static const char http[] = "HTTP/";

  if (d->peek_len == 0)
    return 0;
  if (d->peek[0] < ' ' || d->peek[0] > '~')
    return d->peek_len < BINARY_MAX ? d->peek_len : BINARY_MAX;
  return d->peek_len >= sizeof http - 1 && memcmp(d->peek, http, sizeof http - 1) == 0
             ? d->peek_len
             : 0;
}

static enum decode_result fail(struct decoder *d, pmx_cause cause, const char *why)
{
  struct text text;

  d->cause = cause;
  reply_tree_free(d->build.tree);
  d->build.tree = NULL;
  text_init(&text, d->text, sizeof d->text);
  text_add(&text, "%s", why);
  if (cause == PMX_CAUSE_PROTOCOL) {
    text_add(&text, "; in reply %llu of this connection", (unsigned long long)d->replies + 1);
    if (quotable(d)) {
      text_add(&text, ", which begins with \"");
      text_add_quoted(&text, d->peek, quotable(d), PEEK_MAX);
      text_add(&text, "\"");
    }
    text_add(&text, "%s", guess(d));
  }
  return DECODE_ERROR;
}

/* The reader stopped: because an object function refused, or by itself. */
static enum decode_result fail_reader(struct decoder *d)
{
  const redisReader *reader = d->build.reader;
  char why[sizeof reader->errstr + 16];
  struct text text;
  pmx_cause cause = PMX_CAUSE_PROTOCOL;

  if (d->build.cause != PMX_CAUSE_NONE)
    return fail(d, d->build.cause, d->build.text);
  if (reader->err == REDIS_ERR_OOM)
    cause = PMX_CAUSE_NOMEM;
  else if (strstr(reader->errstr, "depth")) /* a limit of its own */
    cause = PMX_CAUSE_TOO_LARGE;
  text_init(&text, why, sizeof why);
  text_add(&text, "hiredis: %s", reader->errstr);
  return fail(d, cause, why);
}

static void set_limits(struct decoder *d, const struct decode_limits *limits)
{
  d->build.limits = *limits;
  if (d->build.limits.max_depth > DEPTH_MAX)
    d->build.limits.max_depth = DEPTH_MAX;
}

int decoder_open(struct decoder **ret, const struct decode_limits *limits)
{
  struct decoder *d = mem_zalloc(sizeof *d);

  if (!d)
    return -1;
  if (build_open(&d->build)) {
    mem_free(d);
    return -1;
  }
  set_limits(d, limits);
  *ret = d;
  return 0;
}

void decoder_close(struct decoder *d)
{
  if (!d)
    return;
  reply_tree_free(d->build.tree);
  build_close(&d->build);
  mem_free(d);
}

void decoder_reset(struct decoder *d, const struct decode_limits *limits)
{
  if (d->cause != PMX_CAUSE_NONE || buffered(d) || in_reply(d))
    build_close(&d->build); /* the next feed makes another */
  reply_tree_free(d->build.tree);
  d->build.tree = NULL;
  d->build.elements = 0;
  d->build.attribute = 0;
  d->build.cause = PMX_CAUSE_NONE;
  d->fed = 0;
  d->start = 0;
  d->replies = 0;
  d->half = 0;
  d->cause = PMX_CAUSE_NONE;
  d->text[0] = '\0';
  d->peek_len = 0;
  set_limits(d, limits);
}

/* A reader there is, and not one that sits on the buffer of a huge reply of the past. */
static int ready(struct decoder *d)
{
  if (d->build.reader && (d->peak <= KEEP_BUFFER_MAX || in_reply(d) || buffered(d)))
    return 0;
  if (build_open(&d->build) == 0)
    d->peak = 0;
  return d->build.reader ? 0 : -1;
}

int decoder_feed(struct decoder *d, const char *bytes, size_t len)
{
  size_t have = buffered(d);

  if (d->cause != PMX_CAUSE_NONE)
    return -1;
  if (len > DECODE_FEED_MAX ||
      (have > DECODE_FEED_MAX && have - DECODE_FEED_MAX > d->build.limits.max_bytes)) {
    fail(d, PMX_CAUSE_TOO_LARGE, "more bytes were fed at once than the decoder takes");
    return -1;
  }
  if (len == 0)
    return 0;
  if (ready(d)) {
    fail(d, PMX_CAUSE_NOMEM, "out of memory for the reader");
    return -1;
  }
  if (redisReaderFeed(d->build.reader, bytes, len) != REDIS_OK) {
    fail_reader(d);
    return -1;
  }
  d->fed += len;
  if (d->build.reader->len > d->peak)
    d->peak = d->build.reader->len;
  return 0;
}

/* The reader waits for a bulk string: its header may be complete, then it is valid. */
static enum decode_result check_bulk(struct decoder *d)
{
  const redisReader *reader = d->build.reader;
  const char *at = reader->buf + reader->pos, *end;
  size_t have = buffered(d), max = d->build.limits.max_bytes;
  uint64_t len = 0, wire;

  end = memchr(at, '\r', have < BULK_HEADER_MAX ? have : BULK_HEADER_MAX);
  if (!end && have < BULK_HEADER_MAX)
    return DECODE_MORE;
  if (!end || (end + 1 < at + have && end[1] != '\n')) /* the reader would look on and on */
    return fail(d, PMX_CAUSE_PROTOCOL, "a bulk string's length is not a number");
  for (const char *digit = at; digit < end && *digit >= '0' && *digit <= '9'; digit++)
    len = len * 10 + (uint64_t)(*digit - '0');
  wire = d->fed - have - d->start + (uint64_t)(end - at) + 4;
  if (wire <= max && len <= max - wire && build_bulk_fits(&d->build, len))
    return DECODE_MORE;
  build_refuse(&d->build, PMX_CAUSE_TOO_LARGE, "a bulk string of %llu bytes; reply.max_size is %zu",
               (unsigned long long)len, max);
  return fail_reader(d);
}

/* Nothing complete is there. What is there must be on its way to something allowed. */
static enum decode_result check_unfinished(struct decoder *d)
{
  enum pending pending = build_pending(&d->build);

  if (d->fed - d->start > d->build.limits.max_bytes) {
    build_refuse(&d->build, PMX_CAUSE_TOO_LARGE,
                 "a reply of more than the %zu bytes of "
                 "reply.max_size",
                 d->build.limits.max_bytes);
    return fail_reader(d);
  }
  if (pending == PENDING_BULK)
    return check_bulk(d);
  if (pending == PENDING_LINE && buffered(d) > LINE_MAX_BYTES)
    return fail(d, PMX_CAUSE_PROTOCOL, "a line of more than 64 KiB");
  return DECODE_MORE;
}

/* The reply just read ends here; *wire = its bytes. */
static int end_reply(struct decoder *d)
{
  uint64_t end = d->fed - buffered(d), wire = end - d->start;

  d->start = end;
  d->build.elements = 0;
  if (wire <= d->build.limits.max_bytes)
    return 0;
  build_refuse(&d->build, PMX_CAUSE_TOO_LARGE, "a reply of %llu bytes; reply.max_size is %zu",
               (unsigned long long)wire, d->build.limits.max_bytes);
  fail_reader(d);
  return -1;
}

static void note_begin(struct decoder *d)
{
  const redisReader *reader = d->build.reader;
  size_t have = buffered(d);

  if (in_reply(d))
    return;
  d->peek_len = have < PEEK_MAX ? have : PEEK_MAX;
  if (have >= PEEK_MAX)
    memcpy(d->peek, reader->buf + reader->pos, PEEK_MAX); /* of a size that is known: a few moves */
  else
    memcpy(d->peek, reader->buf + reader->pos, have);
}

enum decode_result decoder_next(struct decoder *d, pmx_reply **ret)
{
  pmx_reply *reply;

  if (d->cause != PMX_CAUSE_NONE)
    return DECODE_ERROR;
  while (buffered(d)) {
    note_begin(d);
    if (build_next(&d->build, &reply) != REDIS_OK)
      return fail_reader(d);
    if (!reply)
      return check_unfinished(d);
    d->build.tree = NULL; /* it is the reply's now */
    if (end_reply(d)) {
      pmx_reply_free(reply);
      return DECODE_ERROR;
    }
    d->half = d->build.attribute;
    d->build.attribute = 0;
    if (!d->half) {
      d->replies++;
      *ret = reply;
      return DECODE_REPLY;
    }
    pmx_reply_free(reply); /* an attribute is nobody's reply */
  }
  return DECODE_MORE;
}

int decoder_heard(const struct decoder *d)
{
  return d->fed > 0;
}

int decoder_idle(const struct decoder *d)
{
  if (d->cause != PMX_CAUSE_NONE || d->half || buffered(d))
    return 0;
  return !in_reply(d);
}

const char *decoder_begun(const struct decoder *d, size_t *ret_len)
{
  if (d->cause != PMX_CAUSE_NONE || !(d->half || in_reply(d)))
    return NULL;
  *ret_len = d->peek_len;
  return d->peek;
}

pmx_cause decoder_error(const struct decoder *d, const char **ret_text)
{
  *ret_text = d->text;
  return d->cause;
}

int decoder_resp3(void)
{
  return HIREDIS_MAJOR >= 1;
}
