/* SPDX-License-Identifier: BSD-3-Clause */
/* format.c - owns the % format of commands: hiredis' rules, checked where hiredis crashes or
 * guesses, plus z j t. Only a conversion rebuilt from a checked one ever reaches printf. An
 * argument made of one piece points to the caller's bytes; only glued ones are copied. */
#include "resp/args.h"
#include "base/text.h"
#include "call/reply.h"
#include <locale.h>
#include <stdio.h>
#include <string.h>

enum {
  FIELD_MAX = 1024,                 /* width and precision */
  NUMBER_MAX = 2 * FIELD_MAX + 512, /* %1024.1024f of the largest double */
  SHOWN_MAX = 24
};

enum piece { PIECE_NONE, PIECE_BORROWED, PIECE_COPIED };

struct scan {
  struct args *args;
  const char *format;
  const char *at; /* next byte of the format */
  /* the argument being built */
  enum piece state;
  const char *bytes; /* BORROWED */
  size_t len;
};

enum length { LEN_NONE, LEN_HH, LEN_H, LEN_L, LEN_LL, LEN_Z, LEN_J, LEN_T, LEN_LONG_DOUBLE };

struct conversion {
  const char *start; /* its '%' */
  char flags[8];
  int width, precision; /* precision -1: none */
  enum length length;
  char kind;
};

static pmx_reply *refuse(const struct scan *s, const char *start, const char *why)
{
  char buf[256];
  struct text text;

  text_init(&text, buf, sizeof buf);
  text_add(&text, "the format's \"");
  text_add_quoted(&text, start, (size_t)(s->at - start), SHOWN_MAX);
  text_add(&text, "\" at byte %zu %s", (size_t)(start - s->format), why);
  return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, buf);
}

/* Glues bytes that do not outlive this function to the argument being built. */
static int copy_piece(struct scan *s, const char *bytes, size_t len)
{
  if (s->state != PIECE_COPIED) {
    size_t had = s->state == PIECE_BORROWED ? s->len : 0;

    if (args_text_add(s->args, s->bytes, had))
      return -1;
    s->state = PIECE_COPIED;
    s->len = had;
  }
  if (args_text_add(s->args, bytes, len))
    return -1;
  s->len += len;
  return 0;
}

/* Glues bytes of the caller, who keeps them until the command is encoded. */
static int add_piece(struct scan *s, const char *bytes, size_t len)
{
  if (s->state != PIECE_NONE)
    return copy_piece(s, bytes, len);
  s->state = PIECE_BORROWED;
  s->bytes = bytes;
  s->len = len;
  return 0;
}

static int end_argument(struct scan *s)
{
  int rc = 0;

  if (s->state != PIECE_NONE)
    rc = args_push(s->args, s->state == PIECE_BORROWED ? s->bytes : NULL, s->len);
  s->state = PIECE_NONE;
  return rc;
}

/* Digits at s->at; -1: more than FIELD_MAX. */
static int scan_number(struct scan *s)
{
  int value = 0;

  for (; *s->at >= '0' && *s->at <= '9'; s->at++)
    if (value <= FIELD_MAX)
      value = value * 10 + (*s->at - '0');
  return value > FIELD_MAX ? -1 : value;
}

static enum length scan_length(struct scan *s)
{
  char c = *s->at;

  if (c == '\0' || !strchr("hlLzjt", c))
    return LEN_NONE;
  s->at++;
  if ((c == 'h' || c == 'l') && *s->at == c) {
    s->at++;
    return c == 'h' ? LEN_HH : LEN_LL;
  }
  switch (c) {
  case 'h':
    return LEN_H;
  case 'l':
    return LEN_L;
  case 'z':
    return LEN_Z;
  case 'j':
    return LEN_J;
  case 't':
    return LEN_T;
  default:
    return LEN_LONG_DOUBLE;
  }
}

/* From behind the '%' to behind the letter. */
static pmx_reply *scan_conversion(struct scan *s, struct conversion *c)
{
  size_t flags = 0;

  for (; *s->at && strchr("#0-+ ", *s->at); s->at++)
    if (!memchr(c->flags, *s->at, flags))
      c->flags[flags++] = *s->at;
  c->flags[flags] = '\0';
  c->width = scan_number(s);
  c->precision = -1;
  if (*s->at == '.') {
    s->at++;
    c->precision = scan_number(s);
    if (c->precision < 0)
      c->width = -1;
  }
  c->length = scan_length(s);
  c->kind = *s->at;
  if (c->kind == '\0')
    return refuse(s, c->start, "is cut short");
  s->at++;
  if (c->width < 0)
    return refuse(s, c->start, "has a width or precision over 1024");
  return NULL;
}

/* "%" flags "*.*" length kind */
static void rebuild(char *spec, const struct conversion *c, const char *length)
{
  char *at = spec;

  *at++ = '%';
  at = stpcpy(at, c->flags);
  at = stpcpy(at, "*.*");
  at = stpcpy(at, length);
  *at++ = c->kind;
  *at = '\0';
}

static intmax_t signed_argument(enum length length, va_list *ap)
{
  switch (length) {
  case LEN_HH:
    return (signed char)va_arg(*ap, int);
  case LEN_H:
    return (short)va_arg(*ap, int);
  case LEN_L:
    return va_arg(*ap, long);
  case LEN_LL:
    return va_arg(*ap, long long);
  case LEN_Z:
  case LEN_T: /* size_t's signed twin */
    return va_arg(*ap, ptrdiff_t);
  case LEN_J:
    return va_arg(*ap, intmax_t);
  case LEN_NONE:
  case LEN_LONG_DOUBLE:
    break;
  }
  return va_arg(*ap, int);
}

static uintmax_t unsigned_argument(enum length length, va_list *ap)
{
  switch (length) {
  case LEN_HH:
    return (unsigned char)va_arg(*ap, unsigned);
  case LEN_H:
    return (unsigned short)va_arg(*ap, unsigned);
  case LEN_L:
    return va_arg(*ap, unsigned long);
  case LEN_LL:
    return va_arg(*ap, unsigned long long);
  case LEN_Z:
  case LEN_T: /* ptrdiff_t's unsigned twin */
    return va_arg(*ap, size_t);
  case LEN_J:
    return va_arg(*ap, uintmax_t);
  case LEN_NONE:
  case LEN_LONG_DOUBLE:
    break;
  }
  return va_arg(*ap, unsigned);
}

/* A point is a point for a server, whatever LC_NUMERIC says. */
static int print_double(char *buf, const char *spec, const struct conversion *c, double value)
{
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), old;
  int n;

  if (!plain)
    return -1;
  old = uselocale(plain);
  n = snprintf(buf, NUMBER_MAX, spec, c->width, c->precision, value);
  uselocale(old);
  freelocale(plain);
  return n;
}

static pmx_reply *add_number(struct scan *s, const struct conversion *c, va_list *ap)
{
  char spec[16], buf[NUMBER_MAX];
  int n;

  if (strchr("di", c->kind)) {
    rebuild(spec, c, "j");
    n = snprintf(buf, sizeof buf, spec, c->width, c->precision, signed_argument(c->length, ap));
  } else if (strchr("ouxX", c->kind)) {
    rebuild(spec, c, "j");
    n = snprintf(buf, sizeof buf, spec, c->width, c->precision, unsigned_argument(c->length, ap));
  } else {
    rebuild(spec, c, "");
    n = print_double(buf, spec, c, va_arg(*ap, double));
  }
  if (n < 0 || (size_t)n >= sizeof buf)
    return refuse(s, c->start, "cannot be printed");
  return copy_piece(s, buf, (size_t)n) ? args_no_memory() : NULL;
}

static pmx_reply *add_bytes(struct scan *s, const char *start, va_list *ap)
{
  const char *bytes = va_arg(*ap, const char *);
  size_t len;

  if (start[1] == 's' && !bytes)
    return refuse(s, start, "is given NULL");
  len = start[1] == 's' ? strlen(bytes) : va_arg(*ap, size_t);
  if (!bytes && len)
    return refuse(s, start, "is given NULL with a length");
  if (len > ARG_BYTES_MAX)
    return reply_failure(PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                         "the format's \"%%%c\" at byte %zu has %zu bytes; the limit is %zu",
                         start[1], (size_t)(start - s->format), len, ARG_BYTES_MAX);
  return add_piece(s, bytes ? bytes : "", len) ? args_no_memory() : NULL;
}

static pmx_reply *add_conversion(struct scan *s, va_list *ap)
{
  struct conversion c = {.start = s->at++};
  pmx_reply *failure;

  switch (*s->at) {
  case '%':
    s->at++;
    return add_piece(s, c.start, 1) ? args_no_memory() : NULL;
  case 's':
  case 'b':
    s->at++;
    return add_bytes(s, c.start, ap);
  default:
    break;
  }
  failure = scan_conversion(s, &c);
  if (failure)
    return failure;
  if (strchr("diouxX", c.kind) && c.length != LEN_LONG_DOUBLE)
    return add_number(s, &c, ap);
  if (strchr("eEfFgGaA", c.kind) && (c.length == LEN_NONE || c.length == LEN_L))
    return add_number(s, &c, ap);
  return refuse(s, c.start, "is not a conversion that commands know");
}

static pmx_reply *scan_format(struct scan *s, va_list *ap)
{
  pmx_reply *failure = NULL;

  while (*s->at && !failure) {
    size_t literal = strcspn(s->at, " %");

    if (literal) {
      failure = add_piece(s, s->at, literal) ? args_no_memory() : NULL;
      s->at += literal;
    } else if (*s->at == ' ') {
      failure = end_argument(s) ? args_no_memory() : NULL;
      s->at += strspn(s->at, " ");
    } else {
      failure = add_conversion(s, ap);
    }
  }
  if (!failure && end_argument(s))
    failure = args_no_memory();
  return failure;
}

pmx_reply *args_from_format(struct args *args, const char *format, va_list ap)
{
  struct scan s = {.args = args, .format = format, .at = format, .bytes = ""};
  pmx_reply *failure;
  va_list copy;

  if (!format)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "the format is NULL");
  va_copy(copy, ap); /* a va_list parameter has no portable address */
  failure = scan_format(&s, &copy);
  va_end(copy);
  if (failure)
    return failure;
  args_seal(args);
  if (args->argc == 0)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "the format is empty or only blanks");
  return NULL;
}
