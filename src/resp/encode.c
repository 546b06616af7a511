/* SPDX-License-Identifier: BSD-3-Clause */
/* encode.c - owns the vector of arguments and the RESP form of a command: an array of bulk strings.
 * Nothing is written beyond the limit, nor where it does not fit. Knows nothing of what a command means. */
#include "resp/args.h"
#include "base/mem.h"
#include "call/reply.h"
#include <string.h>

enum { INLINE_ARGS = sizeof(((struct args *)0)->inline_len) / sizeof(size_t) };

void args_init(struct args *args)
{
  args->argc = 0;
  args->cap = INLINE_ARGS;
  args->argv = args->inline_argv;
  args->len = args->inline_len;
  args->text = NULL;
  args->text_len = 0;
  args->text_cap = 0;
}

void args_clear(struct args *args)
{
  if (args->argv != args->inline_argv)
    mem_free(args->argv);
  if (args->len != args->inline_len)
    mem_free(args->len);
  if (args->text != args->inline_text)
    mem_free(args->text);
  args_init(args);
}

pmx_reply *args_no_memory(void)
{
  return reply_failure(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory while the command was encoded");
}

/* Room for `count` arguments; each vector is either inline or heap, and grows on its own. */
static int args_reserve(struct args *args, int count)
{
  size_t cap = (size_t)count, have = (size_t)args->argc;
  const char **argv;
  size_t *len;

  if (count <= args->cap)
    return 0;
  if (cap > SIZE_MAX / sizeof(*argv))
    return -1;
  argv = mem_realloc(args->argv == args->inline_argv ? NULL : args->argv, cap * sizeof *argv);
  if (!argv)
    return -1;
  if (args->argv == args->inline_argv)
    memcpy(argv, args->inline_argv, have * sizeof *argv);
  args->argv = argv;
  len = mem_realloc(args->len == args->inline_len ? NULL : args->len, cap * sizeof *len);
  if (!len)
    return -1;
  if (args->len == args->inline_len)
    memcpy(len, args->inline_len, have * sizeof *len);
  args->len = len;
  args->cap = count;
  return 0;
}

int args_push(struct args *args, const char *bytes, size_t len)
{
  if (args->argc == args->cap) {
    if (args->cap > INT32_MAX / 2 || args_reserve(args, args->cap * 2))
      return -1;
  }
  args->argv[args->argc] = bytes;
  args->len[args->argc] = len;
  args->argc++;
  return 0;
}

int args_text_add(struct args *args, const char *bytes, size_t len)
{
  size_t need, cap;
  char *text;

  if (!args->text) {
    args->text = args->inline_text;
    args->text_cap = sizeof args->inline_text;
  }
  if (len > PTRDIFF_MAX / 2 - args->text_len)
    return -1;
  need = args->text_len + len;
  if (need > args->text_cap) {
    cap = need > args->text_cap * 2 ? need : args->text_cap * 2;
    text = mem_realloc(args->text == args->inline_text ? NULL : args->text, cap);
    if (!text)
      return -1;
    if (args->text == args->inline_text)
      memcpy(text, args->inline_text, args->text_len);
    args->text = text;
    args->text_cap = cap;
  }
  if (len)
    memcpy(args->text + args->text_len, bytes, len);
  args->text_len = need;
  return 0;
}

void args_seal(struct args *args)
{
  const char *at = args->text;

  for (int i = 0; i < args->argc; i++) {
    if (args->argv[i])
      continue;
    args->argv[i] = at;
    at += args->len[i];
  }
}

pmx_reply *args_add(struct args *args, int argc, const char *const *argv, const size_t *len)
{
  int had = args->argc;
  const char **to;
  size_t *to_len;

  if (argc > INT32_MAX - had || args_reserve(args, had + argc))
    return args_no_memory();
  to = args->argv + had;
  to_len = args->len + had;
  for (int i = 0; i < argc; i++) {
    if (!argv[i] && (!len || len[i]))
      return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "argument %d is NULL", i);
    to[i] = argv[i] ? argv[i] : "";
    to_len[i] = len ? len[i] : strlen(argv[i]);
  }
  args->argc = had + argc;
  return NULL;
}

pmx_reply *args_from_argv(struct args *args, int argc, const char *const *argv, const size_t *len)
{
  if (argc < 1)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE,
                         "a command needs at least one argument, its name; argc is %d", argc);
  if (!argv)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "argv is NULL");
  return args_add(args, argc, argv, len);
}

pmx_reply *args_from_list(struct args *args, const char *arg0, va_list list)
{
  if (!arg0)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "argument 0, the command's name, is NULL");
  for (const char *arg = arg0; arg; arg = va_arg(list, const char *))
    if (args_push(args, arg, strlen(arg)))
      return args_no_memory();
  return NULL;
}

static size_t digits(size_t value)
{
  size_t n = 1;

  while (value >= 10) {
    value /= 10;
    n++;
  }
  return n;
}

static size_t bulk_size(size_t len)
{
  return 1 + digits(len) + 2 + len + 2;
}

/* "*3\r\n" or "$5\r\n" */
static char *put_header(char *at, char kind, size_t value)
{
  size_t n = digits(value);

  *at++ = kind;
  for (size_t i = n; i > 0; i--) {
    at[i - 1] = (char)('0' + value % 10);
    value /= 10;
  }
  at += n;
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

static char *put_bulk(char *at, const char *bytes, size_t len)
{
  at = put_header(at, '$', len);
  if (len)
    memcpy(at, bytes, len);
  at += len;
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

/* Saturates at SIZE_MAX, which no limit allows. */
static pmx_reply *measure(const struct args *args, size_t *ret)
{
  size_t total = 1 + digits((size_t)args->argc) + 2;

  for (int i = 0; i < args->argc; i++) {
    size_t len = args->len[i];

    if (len > ARG_BYTES_MAX)
      return reply_failure(PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                           "argument %d has %zu bytes; the limit is %zu", i, len, ARG_BYTES_MAX);
    total = bulk_size(len) > SIZE_MAX - total ? SIZE_MAX : total + bulk_size(len);
  }
  *ret = total;
  return NULL;
}

pmx_reply *encode_size(const struct args *args, size_t max_bytes, size_t *ret)
{
  pmx_reply *failure;

  if (args->argc < 1)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "the command has no argument");
  failure = measure(args, ret);
  if (failure || (*ret <= max_bytes && *ret != SIZE_MAX))
    return failure;
  return reply_failure(PMX_INVALID, PMX_CAUSE_TOO_LARGE,
                       "the command has %zu bytes; the limit (request.max_size) is %zu", *ret,
                       max_bytes);
}

char *encode_write(char *at, const struct args *args)
{
  at = put_header(at, '*', (size_t)args->argc);
  for (int i = 0; i < args->argc; i++)
    at = put_bulk(at, args->argv[i], args->len[i]);
  return at;
}

/* It has at most max bytes, and max is at most ENCODED_SMALL: lengths have three digits then. */
static int is_surely_small(const struct args *args, size_t max)
{
  size_t most = sizeof "*2147483647\r\n" - 1;

  for (int i = 0; i < args->argc && most <= max; i++) {
    if (args->len[i] > max)
      return 0;
    most += args->len[i] + sizeof "$512\r\n\r\n" - 1;
  }
  return most <= max;
}

pmx_reply *encode_args(struct encoded *ret, const struct args *args, size_t max_bytes, char *small,
                       size_t small_size)
{
  pmx_reply *failure;
  size_t size = 0;

  *ret = (struct encoded){NULL, NULL, 0};
  if (args->argc > 0 && is_surely_small(args, max_bytes < small_size ? max_bytes : small_size)) {
    ret->bytes = small;
    ret->size = (size_t)(encode_write(small, args) - small);
    return NULL;
  }
  failure = encode_size(args, max_bytes, &size);
  if (failure)
    return failure;
  if (size > small_size) {
    ret->heap = mem_alloc(size);
    if (!ret->heap)
      return args_no_memory();
  }
  ret->bytes = ret->heap ? ret->heap : small;
  ret->size = size;
  encode_write(ret->bytes, args);
  return NULL;
}

void encoded_clear(struct encoded *encoded)
{
  mem_free(encoded->heap);
  *encoded = (struct encoded){NULL, NULL, 0};
}

size_t encode_small(char *buf, size_t size, int argc, const char *const *argv, const size_t *len)
{
  size_t left = size, need = 1 + digits((size_t)argc) + 2;
  char *at = buf;

  if (argc < 1 || need > left)
    return 0;
  left -= need;
  for (int i = 0; i < argc; i++) {
    size_t n = len ? len[i] : strlen(argv[i]);

    need = n > left ? SIZE_MAX : bulk_size(n);
    if (need > left)
      return 0;
    left -= need;
  }
  at = put_header(at, '*', (size_t)argc);
  for (int i = 0; i < argc; i++)
    at = put_bulk(at, argv[i], len ? len[i] : strlen(argv[i]));
  return size - left;
}
