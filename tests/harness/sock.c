/* SPDX-License-Identifier: BSD-3-Clause */
/* sock.c - loopback and Unix sockets of the harness: free ports, listeners that can refuse and come
 * back at the same address, connects with a bound. Knows nothing of RESP. */
#include "sock.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void sock_tcp(struct sock_address *a, uint16_t port)
{
  memset(a, 0, sizeof(*a));
  a->u.tcp.sin_family = AF_INET;
  a->u.tcp.sin_port = htons(port);
  a->u.tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a->len = sizeof(a->u.tcp);
}

void sock_unix(struct sock_address *a, const char *path)
{
  size_t len = strlen(path);

  memset(a, 0, sizeof(*a));
  if (len >= sizeof(a->u.path.sun_path))
    harness_die("too long for a Unix socket: %s", path);
  a->u.path.sun_family = AF_UNIX;
  memcpy(a->u.path.sun_path, path, len);
  a->len = sizeof(a->u.path);
}

bool sock_parse(struct sock_address *a, const char *url)
{
  static const char tcp[] = "redis://127.0.0.1:", tls[] = "rediss://127.0.0.1:", path[] = "unix://";
  unsigned long port;
  char *end;

  if (strncmp(url, path, sizeof(path) - 1) == 0) {
    char file[SOCK_URL_SIZE];

    snprintf(file, sizeof(file), "%.*s", (int)strcspn(url, "?") - (int)sizeof(path) + 1,
             url + sizeof(path) - 1);
    sock_unix(a, file);
    return true;
  }
  if (strncmp(url, tcp, sizeof(tcp) - 1) == 0)
    url += sizeof(tcp) - 1;
  else if (strncmp(url, tls, sizeof(tls) - 1) == 0)
    url += sizeof(tls) - 1;
  else
    return false;
  port = strtoul(url, &end, 10);
  if (port == 0 || port > UINT16_MAX || *end)
    return false;
  sock_tcp(a, (uint16_t)port);
  return true;
}

bool sock_url_is_tls(const char *url)
{
  return strncmp(url, "rediss:", 7) == 0 || strstr(url, "?tls=yes") != NULL;
}

void sock_url(const struct sock_address *a, bool tls, char url[SOCK_URL_SIZE])
{
  if (a->u.any.sa_family == AF_UNIX)
    snprintf(url, SOCK_URL_SIZE, "unix://%.*s%s", (int)sizeof(a->u.path.sun_path) - 1,
             a->u.path.sun_path, tls ? "?tls=yes" : "");
  else
    snprintf(url, SOCK_URL_SIZE, "redis%s://127.0.0.1:%u", tls ? "s" : "",
             ntohs(a->u.tcp.sin_port));
}

static int open_socket(const struct sock_address *a)
{
  int fd = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int on = 1;

  if (fd >= 0 && a->u.any.sa_family == AF_INET)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

static int open_bound(const struct sock_address *a)
{
  int fd = open_socket(a);
  int on = 1, saved;

  if (fd < 0)
    return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, &a->u.any, a->len) == 0)
    return fd;
  saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

static uint16_t first_ephemeral_port(void)
{
  FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
  unsigned low = 0;

  if (f && fscanf(f, "%u", &low) != 1)
    low = 0;
  if (f)
    fclose(f);
  return low < 12000 || low > 32768 ? 32768 : (uint16_t)low;
}

int sock_claim(uint16_t port)
{
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), len;
  struct sockaddr_un name = {.sun_family = AF_UNIX};

  if (fd < 0)
    return -1;
  len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "poolmux-tests-%u", port);
  if (bind(fd, (struct sockaddr *)&name,
           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
    return fd;
  close(fd);
  return -1;
}

static int bind_free_port(struct sock_address *a, int *claim)
{
  enum { FIRST = 10000, TRIES = 1000 };
  uint16_t end = first_ephemeral_port();
  struct rng rng;

  rng_seed(&rng, rng_fresh());
  for (int i = 0; i < TRIES; i++) {
    uint16_t port = (uint16_t)(FIRST + rng_below(&rng, (uint64_t)(end - FIRST)));
    int fd;

    *claim = sock_claim(port);
    if (*claim < 0)
      continue;
    sock_tcp(a, port);
    fd = open_bound(a);
    /* Two sockets may share a port until one of them listens. */
    if (fd >= 0 && listen(fd, SOMAXCONN) == 0)
      return fd;
    if (fd >= 0)
      close(fd);
    close(*claim);
  }
  harness_die("no free loopback port: %s", strerror(errno));
}

uint16_t sock_free_port(void)
{
  struct sock_address a;
  int claim;

  close(bind_free_port(&a, &claim));
  close(claim);
  return ntohs(a.u.tcp.sin_port);
}

void listener_open_tcp(struct listener *l)
{
  l->fd = bind_free_port(&l->at, &l->claim);
  l->open = true;
}

void listener_open_unix(struct listener *l, const char *path)
{
  sock_unix(&l->at, path);
  l->fd = l->claim = -1;
  l->open = false;
  listener_resume(l);
}

/* Closes and binds again; the kernel may need a moment until the address is free. */
static void rebind(struct listener *l)
{
  int64_t end = now_ms() + 2000;

  if (l->fd >= 0)
    close(l->fd);
  if (l->at.u.any.sa_family == AF_UNIX)
    unlink(l->at.u.path.sun_path);
  l->fd = open_bound(&l->at);
  while (l->fd < 0 && now_ms() < end) {
    sleep_ms(1);
    l->fd = open_bound(&l->at);
  }
  if (l->fd < 0)
    harness_die("cannot bind the old address again: %s", strerror(errno));
}

void listener_refuse(struct listener *l)
{
  if (!l->open)
    return;
  rebind(l); /* bound without listening: refuses; and nobody else gets the port, see sock_claim */
  l->open = false;
}

void listener_resume(struct listener *l)
{
  if (l->open)
    return;
  if (l->fd < 0)
    rebind(l);
  if (listen(l->fd, SOMAXCONN) != 0)
    harness_die("listen: %s", strerror(errno));
  l->open = true;
}

void listener_close(struct listener *l)
{
  close(l->fd);
  if (l->at.u.any.sa_family == AF_UNIX)
    unlink(l->at.u.path.sun_path);
  if (l->claim >= 0)
    close(l->claim);
  l->fd = l->claim = -1;
  l->open = false;
}

int listener_accept(struct listener *l)
{
  int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  int on = 1;

  if (fd >= 0 && l->at.u.any.sa_family == AF_INET)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

int sock_connect_start(const struct sock_address *a)
{
  int fd = open_socket(a), saved;

  if (fd < 0)
    return -1;
  if (connect(fd, &a->u.any, a->len) == 0 || errno == EINPROGRESS)
    return fd;
  saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

bool sock_has(int fd, short events, int timeout_ms)
{
  struct pollfd p = {.fd = fd, .events = events};
  int n;

  do {
    n = poll(&p, 1, timeout_ms);
  } while (n < 0 && errno == EINTR);
  return n > 0;
}

int sock_connect(const struct sock_address *a, int timeout_ms)
{
  int fd = sock_connect_start(a), err = 0;
  socklen_t len = sizeof(err);

  if (fd < 0)
    return -1;
  if (!sock_has(fd, POLLOUT, timeout_ms))
    err = ETIMEDOUT;
  else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
    err = errno;
  if (!err) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
  }
  close(fd);
  errno = err;
  return -1;
}

static bool is_unix(int fd)
{
  int domain = AF_INET;
  socklen_t len = sizeof(domain);

  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* close() with unread input resets, and there is no moment at which none can come in: so the end is
 * sent before that. TCP keeps their order. A Unix socket's reset overtakes, so it takes nothing
 * more from then on; TCP that takes nothing more may leave a peer with a full window waiting for
 * ever. */
void sock_close(int fd)
{
  enum { BLOCKS = 64 }; /* more than a Unix socket holds; a peer that never stops cannot hold us */
  char block[16384];

  shutdown(fd, is_unix(fd) ? SHUT_RDWR : SHUT_WR);
  for (int i = 0; i < BLOCKS; i++)
    if (recv(fd, block, sizeof(block), MSG_DONTWAIT) <= 0)
      break;
  close(fd);
}

void sock_reset(int fd)
{
  struct linger now = {.l_onoff = 1, .l_linger = 0};

  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd);
}
