/* SPDX-License-Identifier: BSD-3-Clause */
/* common_text.c - what the tools write: for people and for programs. See common.h. */
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- looks ---- */

const char *tool_style(FILE *stream, enum tool_style style)
{
  static const char *const codes[] = {"\033[0m", "\033[32m", "\033[1;31m", "\033[1m"};
  const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

  if (!isatty(fileno(stream)) || (no_colour && *no_colour) || !term || strcmp(term, "dumb") == 0)
    return "";
  return codes[style];
}

/* ---- for people ---- */

void people_bytes(FILE *out, const char *bytes, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)bytes[i];

    if (c < ' ' || c >= 127)
      fprintf(out, "\\x%02x", c);
    else
      fputc(c, out);
  }
}

void people_vprint(FILE *out, const char *format, va_list args)
{
  char *text;
  int len = vasprintf(&text, format, args);

  if (len < 0) {
    fputs("(out of memory)", out);
    return;
  }
  people_bytes(out, text, (size_t)len);
  free(text);
}

void people_print(FILE *out, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  people_vprint(out, format, args);
  va_end(args);
}

/* ---- JSON ---- */

/* Bytes of the character that begins here, or 0: it is none. RFC 3629. */
static int utf8_length(const unsigned char *s)
{
  int n = s[0] < 0x80                   ? 1
          : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
          : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
          : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                        : 0;

  for (int i = 1; i < n; i++)
    if ((s[i] & 0xC0) != 0x80)
      return 0;
  if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
      (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
    return 0;
  return n;
}

void json_text(FILE *out, const char *text)
{
  const unsigned char *s = (const unsigned char *)text;

  if (!text) {
    fputs("null", out);
    return;
  }
  fputc('"', out);
  while (*s) {
    int n = utf8_length(s);

    if (n == 0)
      fputs("\\ufffd", out);
    else if (*s == '"' || *s == '\\')
      fprintf(out, "\\%c", *s);
    else if (*s < ' ' || *s == 127)
      fprintf(out, "\\u%04x", *s);
    else if (s[0] == 0xC2 && s[1] < 0xA0) /* control characters for terminals as well */
      fprintf(out, "\\u%04x", s[1]);
    else
      fwrite(s, 1, (size_t)n, out);
    s += n ? n : 1;
  }
  fputc('"', out);
}

void json_member(FILE *out, const char *name, const char *text)
{
  fprintf(out, ",\"%s\":", name);
  json_text(out, text);
}

void json_number(FILE *out, const char *name, const char *digits)
{
  size_t len = strspn(digits, "0123456789");

  if (len > 0 && len < 18 && !digits[len] && (digits[0] != '0' || len == 1))
    fprintf(out, ",\"%s\":%s", name, digits);
  else
    json_member(out, name, digits);
}
