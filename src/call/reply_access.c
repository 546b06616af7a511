/* SPDX-License-Identifier: BSD-3-Clause */
/* reply_access.c - the public accessors of replies. An ERROR node keeps its code as text at
 * str + integer (0: none). Knows nothing of memory. */
#include "call/reply.h"
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int pmx_ok(const pmx_reply *reply)
{
  return pmx_reply_status(reply) == PMX_OK;
}

pmx_status pmx_reply_status(const pmx_reply *reply)
{
  return reply ? (pmx_status)reply->status : PMX_INVALID;
}

pmx_cause pmx_reply_cause(const pmx_reply *reply)
{
  return reply ? (pmx_cause)reply->cause : PMX_CAUSE_NONE;
}

pmx_type pmx_reply_type(const pmx_reply *reply)
{
  return reply ? (pmx_type)reply->type : PMX_TYPE_FAILURE;
}

int pmx_reply_safe_to_retry(const pmx_reply *reply)
{
  return reply && (reply->flags & REPLY_SAFE_TO_RETRY);
}

static int is_aggregate(const pmx_reply *reply)
{
  return reply && reply->type >= PMX_TYPE_ARRAY && reply->type <= PMX_TYPE_PUSH;
}

static int is_text(const pmx_reply *reply)
{
  if (!reply)
    return 0;
  switch ((pmx_type)reply->type) {
  case PMX_TYPE_FAILURE:
  case PMX_TYPE_STRING:
  case PMX_TYPE_SIMPLE:
  case PMX_TYPE_ERROR:
  case PMX_TYPE_DOUBLE:
  case PMX_TYPE_BIGNUM:
  case PMX_TYPE_VERBATIM:
    return 1;
  case PMX_TYPE_NIL:
  case PMX_TYPE_INTEGER:
  case PMX_TYPE_BOOL:
  case PMX_TYPE_ARRAY:
  case PMX_TYPE_MAP:
  case PMX_TYPE_SET:
  case PMX_TYPE_PUSH:
    break;
  }
  return 0;
}

const char *pmx_reply_error(const pmx_reply *reply)
{
  if (!reply)
    return "there is no reply: the pointer is NULL";
  return reply->status != PMX_OK && is_text(reply) ? reply->str : "";
}

const char *pmx_reply_error_code(const pmx_reply *reply)
{
  if (!reply || reply->type != PMX_TYPE_ERROR || reply->integer == 0)
    return "";
  return reply->str + reply->integer;
}

/* Depth-first; as deep as reply.max_depth allows (at most 1024). */
const pmx_reply *pmx_reply_failed(const pmx_reply *reply)
{
  if (!reply || reply->status != PMX_OK)
    return reply;
  if (!is_aggregate(reply))
    return NULL;
  for (size_t i = 0; i < reply->len; i++) {
    const pmx_reply *failed = pmx_reply_failed(reply->elems[i]);

    if (failed)
      return failed;
  }
  return NULL;
}

const char *pmx_reply_str(const pmx_reply *reply, size_t *len)
{
  int text = is_text(reply);

  if (len)
    *len = text ? reply->len : 0;
  return text ? reply->str : NULL;
}

size_t pmx_reply_len(const pmx_reply *reply)
{
  return is_aggregate(reply) ? reply->len : 0;
}

const pmx_reply *pmx_reply_at(const pmx_reply *reply, size_t i)
{
  return i < pmx_reply_len(reply) ? reply->elems[i] : NULL;
}

const pmx_reply *pmx_reply_get(const pmx_reply *reply, const char *key, size_t len)
{
  if (!is_aggregate(reply) || !key || reply->len % 2)
    return NULL;
  if (reply->type != PMX_TYPE_MAP && reply->type != PMX_TYPE_ARRAY)
    return NULL;
  for (size_t i = 0; i < reply->len; i += 2) {
    size_t have;
    const char *name = pmx_reply_str(reply->elems[i], &have);

    if (name && have == len && (len == 0 || memcmp(name, key, len) == 0))
      return reply->elems[i + 1];
  }
  return NULL;
}

/* Text of a value, not of an error. */
static int is_value_text(const pmx_reply *reply)
{
  return is_text(reply) && reply->type != PMX_TYPE_ERROR && reply->type != PMX_TYPE_FAILURE;
}

static int parse_int(const char *text, size_t len, int64_t *ret)
{
  size_t i = len > 0 && text[0] == '-';
  uint64_t value = 0, most = (uint64_t)INT64_MAX + i;
  int negative = i != 0;

  if (i == len)
    return 0;
  for (; i < len; i++) {
    unsigned digit = (unsigned)(unsigned char)text[i] - '0';

    if (digit > 9 || value > (most - digit) / 10)
      return 0;
    value = value * 10 + digit;
  }
  *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
  return 1;
}

int64_t pmx_reply_int(const pmx_reply *reply, int *ok)
{
  int64_t value = 0;
  int good = 0;

  if (reply && (reply->type == PMX_TYPE_INTEGER || reply->type == PMX_TYPE_BOOL)) {
    value = reply->integer;
    good = 1;
  } else if (is_value_text(reply)) {
    good = parse_int(reply->str, reply->len, &value);
  }
  if (ok)
    *ok = good;
  return value;
}

static int parse_named(const char *text, double *ret)
{
  int negative = text[0] == '-';
  const char *name = text + (text[0] == '-' || text[0] == '+');

  if (strcasecmp(name, "inf") == 0)
    *ret = negative ? -INFINITY : INFINITY;
  else if (strcasecmp(name, "nan") == 0)
    *ret = NAN;
  else
    return 0;
  return 1;
}

/* Decimal only, and with a point whatever LC_NUMERIC says. `text` has a NUL at text[len]. */
static int parse_double(const char *text, size_t len, double *ret)
{
  locale_t plain;
  double value;
  char *end;

  if (len == 0 || strlen(text) != len)
    return 0;
  if (strspn(text, "0123456789+-.eE") != len)
    return parse_named(text, ret);
  plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* static in the C library: costs nothing */
  if (!plain)
    return 0;
  value = strtod_l(text, &end, plain);
  freelocale(plain);
  if (end != text + len || isinf(value))
    return 0;
  *ret = value;
  return 1;
}

double pmx_reply_double(const pmx_reply *reply, int *ok)
{
  double value = 0;
  int good = 0;

  if (reply && reply->type == PMX_TYPE_DOUBLE) {
    value = reply->number;
    good = 1;
  } else if (reply && (reply->type == PMX_TYPE_INTEGER || reply->type == PMX_TYPE_BOOL)) {
    value = (double)reply->integer;
    good = 1;
  } else if (is_value_text(reply)) {
    good = parse_double(reply->str, reply->len, &value);
  }
  if (ok)
    *ok = good;
  return value;
}
