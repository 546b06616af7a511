/* SPDX-License-Identifier: BSD-3-Clause */
/* encode.h - commands to RESP bytes. Three ways in (argv, NULL-terminated strings, % format), one
 * way out. Everything is checked before anything is sent. */
#ifndef PMX_RESP_ENCODE_H
#define PMX_RESP_ENCODE_H
#include <poolmux/poolmux.h>
#include <stdarg.h>
#include <stddef.h>

/* The arguments of one command. Small ones live inside; the rest is heap. */
struct args {
  int argc, cap;
  const char **argv;
  size_t *len;
  char *text; /* what the % format produced; NULL when argv points to the caller's bytes */
  size_t text_len, text_cap;
  const char *inline_argv[8];
  size_t inline_len[8];
  char inline_text[256];
};

enum { ENCODED_SMALL = 512 };

struct encoded {
  char *bytes; /* in the small buffer, or: */
  char *heap;  /* NULL: they are in the small buffer */
  size_t size;
};

void args_init(struct args *);
void args_clear(struct args *);
/* Each returns NULL, or the failure that describes what is wrong (INVALID, NOMEM). */
pmx_reply *args_from_argv(struct args *, int argc, const char *const *argv, const size_t *len);
/* Behind those that are there; argv is not NULL unless argc is 0. */
pmx_reply *args_add(struct args *, int argc, const char *const *argv, const size_t *len);
pmx_reply *args_from_list(struct args *, const char *arg0, va_list); /* strings, then NULL */
pmx_reply *args_from_format(struct args *, const char *format, va_list);
/* What fits goes into `small`, which must live as long; it has at most ENCODED_SMALL bytes.
 * INVALID/TOO_LARGE when an argument is over 2 GiB - 1 or the total is over max_bytes. */
pmx_reply *encode_args(struct encoded *ret, const struct args *, size_t max_bytes, char *small,
                       size_t small_size);
void encoded_clear(struct encoded *);
/* The two halves of it. How many bytes, or why not; and these bytes, and where they end. */
pmx_reply *encode_size(const struct args *, size_t max_bytes, size_t *ret);
char *encode_write(char *at, const struct args *);

/* For requests the library makes itself: appends one command to buf; 0 = it does not fit. */
size_t encode_small(char *buf, size_t size, int argc, const char *const *argv, const size_t *len);

#endif
