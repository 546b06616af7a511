/* SPDX-License-Identifier: BSD-3-Clause */
/* numbers.c - the server's two number formats. It uses strtold() in the C locale for seconds; that
 * function follows the application's locale here and wants a NUL, so this one reads by itself. */
#include "route/numbers.h"
#include <float.h>

enum {
  WHOLE_MAX = 20,        /* the server's buffer for a whole number holds no more */
  REAL_MAX = 5 * 1024,   /* and the one for a real number must stay below this */
  EXPONENT_MAX = 100000, /* far beyond what a long double can hold */
  MANTISSA_DIGITS = 15   /* 16^15 < 2^64, as is 10^15 */
};

bool number_whole(const char *text, size_t len, int64_t *ret)
{
  size_t i = len > 0 && text[0] == '-';
  bool negative = i > 0;
  uint64_t value = 0, limit = (uint64_t)INT64_MAX + (negative ? 1U : 0U);

  if (len == i || len > WHOLE_MAX)
    return false;
  if (text[i] == '0' && len > 1)
    return false;
  for (; i < len; i++) {
    unsigned digit = (unsigned)(unsigned char)text[i] - '0';

    if (digit > 9 || value > (limit - digit) / 10)
      return false;
    value = value * 10 + digit;
  }
  *ret = negative ? -(int64_t)(value - 1) - 1 : (int64_t)value;
  return true;
}

struct scan {
  const char *at, *end;
};

static bool skip(struct scan *s, char lower)
{
  if (s->at == s->end || (*s->at | 0x20) != (lower | 0x20))
    return false;
  s->at++;
  return true;
}

static bool sign_is_minus(struct scan *s)
{
  if (s->at < s->end && *s->at == '+')
    s->at++;
  else if (s->at < s->end && *s->at == '-') {
    s->at++;
    return true;
  }
  return false;
}

static unsigned digit_of(const struct scan *s)
{
  unsigned c = s->at < s->end ? (unsigned char)*s->at : 0U;

  if (c - '0' <= 9)
    return c - '0';
  c |= 0x20;
  return c - 'a' <= 5 ? c - 'a' + 10 : 99;
}

/* value * base^exponent, base 10 or 16. */
struct mantissa {
  long double value;
  unsigned base;
  int exponent;
};

/* Digits that no longer fit only move the point: what they add is below a long double's precision,
 * give or take the last bit. */
static bool read_mantissa(struct scan *s, struct mantissa *m)
{
  uint64_t high = 0, low = 0, scale = 1;
  int used = 0, seen = 0, point = 0;

  for (;; s->at++) {
    unsigned digit = digit_of(s);

    if (digit >= m->base) {
      if (point || s->at == s->end || *s->at != '.')
        break;
      point = 1;
      continue;
    }
    seen = 1;
    m->exponent -= point;
    if (used == 0 && digit == 0)
      continue;
    if (used < MANTISSA_DIGITS) {
      high = high * m->base + digit;
    } else if (used < 2 * MANTISSA_DIGITS) {
      low = low * m->base + digit;
      scale *= m->base;
    } else {
      m->exponent++;
    }
    used++;
  }
  m->value = (long double)high * (long double)scale + (long double)low;
  return seen;
}

/* False: the letter is there and no digits follow. *ret is clamped. */
static bool read_exponent(struct scan *s, char letter, int *ret)
{
  bool minus;
  int value = 0;

  *ret = 0;
  if (!skip(s, letter))
    return true;
  minus = sign_is_minus(s);
  if (digit_of(s) > 9)
    return false;
  for (; digit_of(s) <= 9; s->at++)
    if (value < EXPONENT_MAX)
      value = value * 10 + (int)digit_of(s);
  *ret = minus ? -value : value;
  return true;
}

/* value * base^exponent; ends early at 0 and at infinity. One division by an exact power keeps
 * usual fractions as exact as strtold() has them. */
static long double scaled(long double value, unsigned base, int exponent)
{
  const long double limit = LDBL_MAX / 1e26L;
  long double power;
  int left = exponent < 0 ? -exponent : exponent;

  while (left > 0 && value > 0.0L && value < limit) {
    for (power = 1.0L; left > 0 && power < 1e25L; left--)
      power *= base;
    value = exponent < 0 ? value / power : value * power;
  }
  return value;
}

static bool read_real(const char *text, size_t len, long double *ret)
{
  struct scan s = {text, text};
  struct mantissa m = {0.0L, 10, 0};
  bool minus;
  int exponent;

  if (len == 0 || len >= REAL_MAX)
    return false;
  s.end = text + len;
  minus = sign_is_minus(&s);
  if (s.end - s.at > 2 && s.at[0] == '0' && (s.at[1] | 0x20) == 'x') {
    m.base = 16;
    s.at += 2;
  }
  if (!read_mantissa(&s, &m) || !read_exponent(&s, m.base == 16 ? 'p' : 'e', &exponent))
    return false;
  if (s.at != s.end)
    return false;
  *ret = m.base == 16 ? scaled(m.value, 2, m.exponent * 4 + exponent)
                      : scaled(m.value, 10, m.exponent + exponent);
  if (m.value > 0.0L && !(*ret > 0.0L))
    return false;
  if (minus)
    *ret = -*ret;
  return true;
}

/* Infinity and NaN are not read at all: a server answers both with an error at once. */
bool number_seconds(const char *text, size_t len, int64_t *ret_ms)
{
  long double ms;
  int64_t whole;

  if (!read_real(text, len, &ms))
    return false;
  ms *= 1000.0L;
  if (ms <= -1.0L || ms >= 9223372036854775807.0L)
    return false;
  whole = (int64_t)ms;
  if ((long double)whole < ms)
    whole++;
  *ret_ms = whole;
  return true;
}
