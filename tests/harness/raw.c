/* SPDX-License-Identifier: BSD-3-Clause */
/* raw.c - a blocking client for the harness itself and for its tests. Knows nothing of servers. */
#include "raw.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { BOUND_MS = 10000, MAX_ARGS = 32 };

struct raw *raw_open_at(const struct sock_address *at, int timeout_ms)
{
  int fd = sock_connect(at, timeout_ms);
  struct raw *r;

  if (fd < 0)
    return NULL;
  r = harness_alloc(sizeof(*r));
  r->fd = fd;
  return r;
}

struct raw *raw_open(const char *url)
{
  struct sock_address at;

  if (!sock_parse(&at, url))
    harness_die("not an address: %s", url);
  return raw_open_at(&at, BOUND_MS);
}

void raw_close(struct raw *r)
{
  if (!r)
    return;
  close(r->fd);
  wire_buf_free(&r->in);
  free(r);
}

bool raw_send(struct raw *r, const void *bytes, size_t len)
{
  const char *next = bytes;

  while (len > 0) {
    ssize_t n = send(r->fd, next, len, MSG_NOSIGNAL);

    if (n < 0 && errno != EINTR)
      return false;
    next += n > 0 ? n : 0;
    len -= n > 0 ? (size_t)n : 0;
  }
  return true;
}

static bool send_list(struct raw *r, const char *arg0, va_list more)
{
  const char *argv[MAX_ARGS] = {arg0};
  struct wire_buf out = {0};
  int argc = 1;
  bool ok;

  for (const char *arg = va_arg(more, const char *); arg; arg = va_arg(more, const char *)) {
    if (argc == MAX_ARGS)
      harness_die("a command of more than %d arguments", MAX_ARGS);
    argv[argc++] = arg;
  }
  wire_command_add(&out, argc, argv);
  ok = raw_send(r, out.data, out.len);
  wire_buf_free(&out);
  return ok;
}

bool raw_command(struct raw *r, const char *arg0, ...)
{
  va_list more;
  bool ok;

  va_start(more, arg0);
  ok = send_list(r, arg0, more);
  va_end(more);
  return ok;
}

/* 1 = some bytes, 0 = time is up, -1 = the end or an error. */
static int read_some(struct raw *r, int64_t end_ms)
{
  char block[16384];
  int64_t left = end_ms - now_ms();
  ssize_t n;

  if (!sock_has(r->fd, POLLIN, left > 0 ? (int)left : 0))
    return 0;
  do {
    n = recv(r->fd, block, sizeof(block), 0);
  } while (n < 0 && errno == EINTR);
  if (n == 0)
    errno = 0;
  if (n <= 0)
    return -1;
  wire_buf_add(&r->in, block, (size_t)n);
  return 1;
}

char *raw_reply(struct raw *r, int timeout_ms)
{
  int64_t end = now_ms() + timeout_ms;
  struct wire_scan scan = {0};
  char *text;

  for (;;) {
    enum wire_result result = r->in.len > 0 ? wire_scan(&scan, r->in.data, r->in.len) : WIRE_MORE;

    if (result == WIRE_DONE)
      break;
    if (result == WIRE_BROKEN || read_some(r, end) <= 0)
      return NULL;
  }
  text = wire_flatten(r->in.data, scan.pos);
  wire_buf_take(&r->in, scan.pos);
  return text;
}

char *raw_ask(struct raw *r, const char *arg0, ...)
{
  va_list more;
  bool sent;

  va_start(more, arg0);
  sent = send_list(r, arg0, more);
  va_end(more);
  return sent ? raw_reply(r, BOUND_MS) : NULL;
}

size_t raw_fill(struct raw *r, size_t n, int timeout_ms)
{
  int64_t end = now_ms() + timeout_ms;

  while (r->in.len < n && read_some(r, end) > 0)
    ;
  return r->in.len;
}

enum raw_state raw_wait_end(struct raw *r, int timeout_ms)
{
  int64_t end = now_ms() + timeout_ms;
  int got;

  do {
    got = read_some(r, end);
  } while (got > 0);
  if (got == 0)
    return RAW_OPEN;
  return errno == 0 ? RAW_ENDED : RAW_RESET;
}
