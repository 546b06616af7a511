/* SPDX-License-Identifier: BSD-3-Clause */
/* stats_text.c - the picture as a text: which format, and the rule that a text is there as a whole
 * or not at all, since a number that was cut reads like another number. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "api/metrics.h"
#include "base/sync.h"

void out_add(struct out *o, const char *format, ...)
{
  va_list args;
  int n;

  va_start(args, format);
  if (o->len < o->size)
    n = vsnprintf(o->buf + o->len, o->size - o->len, format, args);
  else
    n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  o->len += n > 0 ? (size_t)n : 0;
}

/* How many bytes the character is long; 0: that is no UTF-8. */
static size_t utf8_length(const unsigned char *s)
{
  static const unsigned char first[] = {0xc2, 0xe0, 0xf0, 0xf5}; /* of 2, of 3, of 4, none */
  size_t len = 1;

  if (s[0] < 0x80)
    return 1;
  if (s[0] < first[0] || s[0] >= first[3])
    return 0;
  len = s[0] < first[1] ? 2 : s[0] < first[2] ? 3 : 4;
  for (size_t i = 1; i < len; i++) {
    if ((s[i] & 0xc0) != 0x80)
      return 0;
  }
  /* Longer than need be, half of a pair, or beyond the last one. */
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
      (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
    return 0;
  return len;
}

static void add_byte(struct out *o, unsigned char c, enum out_quoting quoting)
{
  int control = c < 0x20 || c == 0x7f;

  if (quoting != OUT_TEXT && (c == '"' || c == '\\'))
    out_add(o, "\\%c", c);
  else if (quoting == OUT_LABEL && c == '\n')
    out_add(o, "\\n");
  else if (quoting == OUT_JSON && control)
    out_add(o, "\\u%04x", c);
  else if (quoting == OUT_TEXT && control)
    out_add(o, "\\x%02x", c);
  else
    out_add(o, "%c", c);
}

void out_quoted(struct out *o, const char *text, enum out_quoting quoting)
{
  const unsigned char *s = (const unsigned char *)text;

  while (*s) {
    size_t len = utf8_length(s);

    if (len == 1)
      add_byte(o, *s, quoting);
    else if (len == 0)
      out_add(o, "\xef\xbf\xbd");
    else
      out_add(o, "%.*s", (int)len, (const char *)s);
    s += len ? len : 1;
  }
}

typedef void (*writer)(struct out *, const struct picture *);

static writer writer_for(const char *format)
{
  if (!format)
    return NULL;
  if (strcmp(format, "text") == 0)
    return write_text;
  if (strcmp(format, "json") == 0)
    return write_json;
  return strcmp(format, "prometheus") == 0 ? write_prometheus : NULL;
}

size_t pmx_stats_text(const pmx_client *c, const char *format, char *buf, size_t size)
{
  struct out out = {buf, buf ? size : 0, 0};
  writer write_it = writer_for(format);
  int cancel_state = thread_cancel_disable();
  struct picture *p = c && write_it ? picture_take(c) : NULL;

  if (p)
    write_it(&out, p);
  picture_free(p);
  thread_cancel_restore(cancel_state);
  if (out.size > 0 && (!p || out.len >= out.size))
    buf[0] = '\0';
  return out.len;
}
