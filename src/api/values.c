/* SPDX-License-Identifier: BSD-3-Clause */
/* values.c - option values between text and numbers. Knows the units, but no option and no range
 * other than that of int64_t. Bytes are compared as ASCII, so that the locale changes nothing. */
#include "api/values.h"
#include "base/clock.h"
#include <inttypes.h>
#include <string.h>

struct unit {
  const char *name;
  int64_t factor;
};

/* Largest first: printing takes the first one that divides the value. */
static const struct unit duration_units[] = {
    {"d", 86400 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"min", 60 * NS_PER_S}, {"s", NS_PER_S},
    {"ms", NS_PER_MS},       {"us", INT64_C(1000)},  {"ns", INT64_C(1)},     {NULL, 0},
};
static const struct unit size_units[] = {
    {"GiB", INT64_C(1) << 30}, {"GB", INT64_C(1000000000)},
    {"MiB", INT64_C(1) << 20}, {"MB", INT64_C(1000000)},
    {"KiB", INT64_C(1024)},    {"KB", INT64_C(1000)},
    {"B", INT64_C(1)},         {NULL, 0},
};

/* whole + part / scale; scale is the power of ten that the part's last digit other than 0 needs. */
struct decimal {
  int64_t whole, part, scale;
  int overflow, too_fine;
};

enum { PART_DIGITS = 9 }; /* 10^9 divides each duration unit from a second up */

static int is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static const char *read_whole(const char *s, struct decimal *d)
{
  for (; is_digit(*s); s++) {
    d->overflow |= __builtin_mul_overflow(d->whole, 10, &d->whole);
    d->overflow |= __builtin_add_overflow(d->whole, *s - '0', &d->whole);
  }
  return s;
}

static const char *read_part(const char *s, struct decimal *d)
{
  const char *end = s, *last;

  while (is_digit(*end))
    end++;
  for (last = end; last > s && last[-1] == '0';)
    last--;
  d->too_fine = last - s > PART_DIGITS;
  for (; s < last && !d->too_fine; s++) {
    d->part = d->part * 10 + (*s - '0');
    d->scale *= 10;
  }
  return end;
}

/* Returns what follows the number, or NULL when there is none. */
static const char *read_decimal(const char *s, struct decimal *d)
{
  memset(d, 0, sizeof *d);
  d->scale = 1;
  if (!is_digit(*s))
    return NULL;
  s = read_whole(s, d);
  if (*s != '.')
    return s;
  return is_digit(s[1]) ? read_part(s + 1, d) : NULL;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
  for (; units->name; units++)
    if (strcmp(units->name, name) == 0)
      return units;
  return NULL;
}

static enum value_result scale_decimal(const struct decimal *d, int64_t factor, int64_t *ret)
{
  int64_t value;

  if (d->too_fine || factor % d->scale != 0)
    return VALUE_TOO_FINE;
  if (d->overflow || __builtin_mul_overflow(d->whole, factor, &value) ||
      __builtin_add_overflow(value, d->part * (factor / d->scale), &value))
    return VALUE_OUT_OF_RANGE;
  *ret = value;
  return VALUE_OK;
}

/* "-5s" is a number, but out of every range: a better answer than "not a duration". */
static enum value_result negative(enum value_result of_the_rest)
{
  return of_the_rest == VALUE_OK ? VALUE_OUT_OF_RANGE : of_the_rest;
}

enum value_result value_parse_bool(const char *s, int64_t *ret)
{
  static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};

  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(s, words[i]) == 0) {
      *ret = i % 2;
      return VALUE_OK;
    }
  }
  return VALUE_MALFORMED;
}

enum value_result value_parse_int(const char *s, int64_t *ret)
{
  struct decimal d;
  int64_t unused;
  const char *end;

  if (s[0] == '-' && is_digit(s[1]))
    return negative(value_parse_int(s + 1, &unused));
  end = read_decimal(s, &d);
  if (!end || *end || strchr(s, '.'))
    return VALUE_MALFORMED;
  return scale_decimal(&d, 1, ret);
}

enum value_result value_parse_duration(const char *s, int64_t *ret)
{
  const struct unit *unit;
  enum value_result result;
  struct decimal d;
  int64_t value;
  const char *end;

  if (strcmp(s, "off") == 0 || strcmp(s, "forever") == 0) {
    *ret = s[0] == 'o' ? 0 : TIME_FOREVER;
    return VALUE_OK;
  }
  if (s[0] == '-' && is_digit(s[1]))
    return negative(value_parse_duration(s + 1, &value));
  end = read_decimal(s, &d);
  if (!end)
    return VALUE_MALFORMED;
  if (!*end && (d.whole || d.part || d.overflow || d.too_fine))
    return VALUE_NO_UNIT;
  unit = find_unit(duration_units, *end ? end : "ns");
  if (!unit)
    return VALUE_MALFORMED;
  result = scale_decimal(&d, unit->factor, &value);
  if (result == VALUE_OK && value == TIME_FOREVER)
    return VALUE_OUT_OF_RANGE; /* that number means "forever" and has to be asked for by name */
  if (result == VALUE_OK)
    *ret = value;
  return result;
}

enum value_result value_parse_size(const char *s, int64_t *ret)
{
  const struct unit *unit;
  struct decimal d;
  int64_t unused;
  const char *end;

  if (s[0] == '-' && is_digit(s[1]))
    return negative(value_parse_size(s + 1, &unused));
  end = read_decimal(s, &d);
  if (!end || strchr(s, '.'))
    return VALUE_MALFORMED;
  unit = find_unit(size_units, *end ? end : "B");
  return unit ? scale_decimal(&d, unit->factor, ret) : VALUE_MALFORMED;
}

enum value_result value_parse_enum(const char *s, const char *names, int64_t *ret)
{
  size_t len = strlen(s);
  int64_t value = 0;

  for (const char *at = names; at; value++) {
    size_t name = strcspn(at, "|");

    if (name == len && memcmp(at, s, len) == 0) {
      *ret = value;
      return VALUE_OK;
    }
    at = at[name] ? at + name + 1 : NULL;
  }
  return VALUE_MALFORMED;
}

static void print_scaled(struct text *t, const struct unit *unit, int64_t value)
{
  while (value % unit->factor != 0)
    unit++;
  text_add(t, "%" PRId64 "%s", value / unit->factor, unit->name);
}

void value_print_duration(struct text *t, int64_t ns)
{
  if (ns == 0 || ns == TIME_FOREVER)
    text_add(t, "%s", ns ? "forever" : "off");
  else
    print_scaled(t, duration_units, ns);
}

void value_print_size(struct text *t, int64_t bytes)
{
  if (bytes && (bytes % 1024 == 0 || bytes % 1000 == 0))
    print_scaled(t, size_units, bytes);
  else
    text_add(t, "%" PRId64, bytes);
}

void value_print_enum(struct text *t, const char *names, int64_t value)
{
  for (; value > 0; value--)
    names += strcspn(names, "|") + (names[strcspn(names, "|")] == '|');
  text_add(t, "%.*s", (int)strcspn(names, "|"), names);
}
