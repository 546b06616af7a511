/* SPDX-License-Identifier: BSD-3-Clause */
/* values.h - option values as text: whole string, no blanks, no overflow. What printing makes,
 * parsing reads back as the same value. */
#ifndef PMX_API_VALUES_H
#define PMX_API_VALUES_H
#include "base/text.h"

enum value_result {
  VALUE_OK,
  VALUE_MALFORMED,
  VALUE_NO_UNIT,     /* a duration other than 0 without one */
  VALUE_TOO_FINE,    /* not a whole number of nanoseconds */
  VALUE_OUT_OF_RANGE /* negative, or beyond int64_t */
};

/* *ret is written only with VALUE_OK. */
enum value_result value_parse_bool(const char *, int64_t *ret);
enum value_result value_parse_int(const char *, int64_t *ret);
enum value_result value_parse_duration(const char *, int64_t *ret); /* ns; TIME_FOREVER */
enum value_result value_parse_size(const char *, int64_t *ret);     /* bytes */
enum value_result value_parse_enum(const char *, const char *names, int64_t *ret);

void value_print_duration(struct text *, int64_t ns); /* "250ms"; 0 = "off" */
void value_print_size(struct text *, int64_t bytes);  /* "512MiB"; "1500" when no unit fits */
void value_print_enum(struct text *, const char *names, int64_t value);

#endif
