/* SPDX-License-Identifier: BSD-3-Clause */
/* raw.c - a blocking client for the harness itself and for its tests. Knows nothing of servers. */
#include "raw_impl.h"
#include "tls_end.h"
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
  return sock_url_is_tls(url) ? raw_open_tls(url, NULL, BOUND_MS) : raw_open_at(&at, BOUND_MS);
}

void raw_close(struct raw *r)
{
  if (!r)
    return;
  close(r->fd);
  if (r->tls)
    tls_end_free(r->tls);
  free(r->tls);
  wire_buf_free(&r->in);
  free(r);
}

static bool send_all(struct raw *r, const void *bytes, size_t len)
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

bool raw_flush(struct raw *r)
{
  struct wire_buf raw = {0};
  bool ok;

  tls_end_drain(r->tls, &raw);
  ok = send_all(r, raw.data, raw.len);
  wire_buf_free(&raw);
  return ok;
}

bool raw_send(struct raw *r, const void *bytes, size_t len)
{
  if (!r->tls)
    return send_all(r, bytes, len);
  if (len == 0)
    return true;
  return tls_end_write(r->tls, bytes, len) == (ssize_t)len && raw_flush(r);
}

void raw_flood(void *arg)
{
  struct raw_flood *flood = arg;
  static const char head[] = "*1\r\n$500000000\r\n", block[65536];
  bool ok = send_all(flood->raw, head, sizeof(head) - 1);

  while (ok)
    ok = send_all(flood->raw, block, sizeof(block));
  flood->err = errno;
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

int raw_read(struct raw *r, struct wire_buf *into, int64_t end_ms)
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
  wire_buf_add(into, block, (size_t)n);
  return 1;
}

/* All that can be decrypted; answers as raw_read. Whatever it is, the other side is told: an alert,
 * too. */
static int open_some(struct raw *r)
{
  char block[16384];
  size_t before = r->in.len;
  ssize_t n;
  int why;
  bool told;

  while ((n = tls_end_read(r->tls, block, sizeof(block))) > 0)
    wire_buf_add(&r->in, block, (size_t)n);
  why = n == 0 ? 0 : errno;
  told = raw_flush(r);
  if (told && (r->in.len > before || why == EAGAIN)) /* an end comes to light at the next call */
    return 1;
  if (told)
    errno = why;
  return -1;
}

static int read_some(struct raw *r, int64_t end_ms)
{
  struct wire_buf raw = {0};
  int got;

  if (!r->tls)
    return raw_read(r, &r->in, end_ms);
  errno = r->tls->failed ? EPROTO : 0;
  got = r->tls->ended || r->tls->failed ? -1 : raw_read(r, &raw, end_ms);
  if (got > 0) {
    tls_end_feed(r->tls, raw.data, raw.len);
    got = open_some(r);
  }
  wire_buf_free(&raw);
  return got;
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
