/* SPDX-License-Identifier: BSD-3-Clause */
/* text.h - bounded building of messages. Never writes past the buffer, always NUL-terminated;
 * what does not fit ends in "...". */
#ifndef PMX_BASE_TEXT_H
#define PMX_BASE_TEXT_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct text {
  char *buf;
  size_t size, len;
};

void text_init(struct text *, char *buf, size_t size);
void text_add(struct text *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vadd(struct text *, const char *format, va_list) __attribute__((format(printf, 2, 0)));
/* Foreign bytes: control characters and quotes become \xNN, at most `max` bytes of them. */
void text_add_quoted(struct text *, const char *bytes, size_t len, size_t max);
size_t text_copy(const struct text *, char *buf, size_t size); /* as snprintf does and returns */
void text_add_ms(struct text *, int64_t ns); /* "12 ms", "3.4 s" */

#endif
