/* SPDX-License-Identifier: BSD-3-Clause */
/* text.c - owns the rule how messages are cut: in their buffer, with an ellipsis, never silently.
 * Knows nothing of what they say. */
#include "base/text.h"
#include "base/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static size_t room(const struct text *t)
{
  return t->size > t->len + 1 ? t->size - t->len - 1 : 0;
}

/* The text was longer than its buffer: full from now on. */
static void cut(struct text *t)
{
  size_t dots = t->size > 3 ? 3 : 0;

  if (t->size == 0)
    return;
  t->len = t->size - 1;
  memset(t->buf + t->len - dots, '.', dots);
  t->buf[t->len] = '\0';
}

void text_init(struct text *t, char *buf, size_t size)
{
  t->buf = buf;
  t->size = size;
  t->len = 0;
  if (size)
    buf[0] = '\0';
}

void text_vadd(struct text *t, const char *format, va_list args)
{
  int n;

  if (t->size == 0)
    return;
  n = vsnprintf(t->buf + t->len, t->size - t->len, format, args);
  if (n < 0)
    t->buf[t->len] = '\0';
  else if ((size_t)n > room(t))
    cut(t);
  else
    t->len += (size_t)n;
}

void text_add(struct text *t, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  text_vadd(t, format, args);
  va_end(args);
}

void text_add_quoted(struct text *t, const char *bytes, size_t len, size_t max)
{
  for (size_t i = 0; i < len && i < max; i++) {
    unsigned char c = (unsigned char)bytes[i];

    if (c < ' ' || c > '~' || c == '"' || c == '\'' || c == '\\')
      text_add(t, "\\x%02x", c);
    else
      text_add(t, "%c", c);
  }
  if (len > max)
    text_add(t, "...");
}

size_t text_copy(const struct text *t, char *buf, size_t size)
{
  size_t n = t->len < size ? t->len : size ? size - 1 : 0;

  if (size) {
    memcpy(buf, t->buf, n);
    buf[n] = '\0';
  }
  return t->len;
}

void text_add_ms(struct text *t, int64_t ns)
{
  if (ns == TIME_FOREVER)
    text_add(t, "forever");
  else if (ns > 0 && ns < NS_PER_MS)
    text_add(t, "<1 ms");
  else if (ns < NS_PER_S)
    text_add(t, "%" PRId64 " ms", ns > 0 ? ns / NS_PER_MS : 0);
  else
    text_add(t, "%" PRId64 ".%d s", ns / NS_PER_S, (int)(ns % NS_PER_S / (NS_PER_S / 10)));
}
