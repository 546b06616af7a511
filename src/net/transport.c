/* SPDX-License-Identifier: BSD-3-Clause */
/* transport.c - owns one stream socket and the descriptor that interrupts waiting for it. Knows
 * nothing of RESP, TLS, names or who waits. Every call is non-blocking but transport_wait. */
#include "net/transport.h"
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "net/fdtable.h"
#include "net/resolve.h"

enum { COARSE_MS = 50 };

/* Registers a new descriptor, or closes it: 0 or errno. */
static int adopt(int fd)
{
  if (fdtable_add(fd) == 0)
    return 0;
  close(fd);
  return ENOMEM;
}

int transport_init(struct transport *t)
{
  int err;

  t->fd = t->kick_fd = -1;
  t->err = t->send_err = 0;
  t->kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (t->kick_fd < 0)
    return errno;
  err = adopt(t->kick_fd);
  if (err)
    t->kick_fd = -1;
  return err;
}

void transport_destroy(struct transport *t)
{
  transport_close(t);
  fdtable_close(t->kick_fd);
  t->kick_fd = -1;
}

void transport_close(struct transport *t)
{
  fdtable_close(t->fd);
  t->fd = -1;
}

void transport_hang_up(struct transport *t)
{
  (void)shutdown(t->fd, SHUT_RDWR);
}

static int positive(int64_t value, int64_t max)
{
  if (value < 1)
    return 1;
  return (int)(value < max ? value : max);
}

static void set_option(int fd, int level, int name, int value)
{
  /* Best effort: none of them is needed for a correct connection. */
  (void)setsockopt(fd, level, name, &value, sizeof value);
}

static void set_tcp_options(int fd, const struct net_options *o)
{
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (o->keepalive_ns > 0) {
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, positive(o->keepalive_ns / NS_PER_S, 32767));
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, positive(o->keepalive_ns / 3 / NS_PER_S, 32767));
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  }
  if (o->user_timeout_ns > 0)
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
               positive(o->user_timeout_ns / NS_PER_MS, INT32_MAX));
  if (o->receive_buffer > 0) /* before connecting: the window is scaled then */
    set_option(fd, SOL_SOCKET, SO_RCVBUF, positive(o->receive_buffer, INT32_MAX));
}

static int refuse(struct transport *t, int err)
{
  transport_close(t);
  t->err = err;
  return err;
}

int transport_connect(struct transport *t, const struct address *a, const struct net_options *o)
{
  int family = a->u.any.sa_family, err;

  transport_close(t);
  t->send_err = 0;
  t->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (t->fd < 0)
    return refuse(t, errno);
  err = adopt(t->fd);
  if (err) {
    t->fd = -1;
    return refuse(t, err);
  }
  if (family != AF_UNIX)
    set_tcp_options(t->fd, o);
  /* Interrupted, a non-blocking connect goes on by itself. EAGAIN is a Unix socket's full backlog:
   * nothing goes on, the dialler has to try again. */
  if (connect(t->fd, &a->u.any, a->len) < 0 && errno != EINPROGRESS && errno != EINTR)
    return refuse(t, errno);
  return 0;
}

/* A connect to a local port without listener may be given that very port as its own, and then
 * succeed by simultaneous open: nobody is there. */
static int is_own_peer(const struct address *peer, int fd)
{
  struct address own = {.len = sizeof own.u};

  if (peer->u.any.sa_family == AF_UNIX || getsockname(fd, &own.u.any, &own.len) < 0)
    return 0;
  if (peer->u.any.sa_family == AF_INET)
    return own.u.in.sin_port == peer->u.in.sin_port &&
           own.u.in.sin_addr.s_addr == peer->u.in.sin_addr.s_addr;
  return own.u.in6.sin6_port == peer->u.in6.sin6_port &&
         memcmp(&own.u.in6.sin6_addr, &peer->u.in6.sin6_addr, sizeof own.u.in6.sin6_addr) == 0;
}

int transport_connected(struct transport *t)
{
  struct address peer = {.len = sizeof peer.u};
  socklen_t len = sizeof(int);
  int err = 0;

  if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
    err = errno;
  if (!err && getpeername(t->fd, &peer.u.any, &peer.len) < 0)
    err = errno == ENOTCONN ? EINPROGRESS : errno;
  if (!err && is_own_peer(&peer, t->fd))
    err = ECONNREFUSED;
  if (err && err != EINPROGRESS)
    t->err = err;
  return err;
}

static int would_block(int err)
{
  return err == EAGAIN || err == EWOULDBLOCK;
}

static ssize_t failed(int err, int *ret_err)
{
  if (would_block(err))
    return NET_AGAIN;
  *ret_err = err;
  return NET_ERROR;
}

ssize_t transport_send(struct transport *t, const void *bytes, size_t size)
{
  ssize_t n;

  do
    n = send(t->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  return n < 0 ? failed(errno, &t->send_err) : n;
}

ssize_t transport_recv(struct transport *t, void *buf, size_t size)
{
  ssize_t n;

  do
    n = recv(t->fd, buf, size, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n == 0)
    return NET_EOF;
  return n < 0 ? failed(errno, &t->err) : n;
}

enum net_probe transport_probe(struct transport *t)
{
  char byte;
  ssize_t n;

  do
    n = recv(t->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n > 0)
    return NET_READABLE;
  return n < 0 && failed(errno, &t->err) == NET_AGAIN ? NET_QUIET : NET_GONE;
}

/* Takes the kicks that have come so far. */
static void drain(int kick_fd)
{
  uint64_t kicks;
  ssize_t n;

  do
    n = read(kick_fd, &kicks, sizeof kicks);
  while (n < 0 && errno == EINTR);
}

/* Far from the deadline poll() does, a third cheaper than ppoll(); the rest of the way is measured
 * in nanoseconds. */
static int wait_once(struct pollfd *fds, nfds_t count, int64_t ns, int *last)
{
  struct timespec left = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
  int64_t ms = ns / NS_PER_MS;

  *last = ms < COARSE_MS;
  if (*last)
    return ppoll(fds, count, &left, NULL);
  return poll(fds, count, ms < INT_MAX ? (int)ms : INT_MAX);
}

/* poll() that is not shortened by signals: > 0 something is ready, 0 time is up. */
static int wait_until(struct pollfd *fds, nfds_t count, int64_t deadline)
{
  int64_t now;
  int n, last = 0;

  do {
    if (deadline == TIME_FOREVER) {
      n = poll(fds, count, -1);
    } else {
      now = clock_ns();
      n = wait_once(fds, count, deadline > now ? deadline - now : 0, &last);
    }
  } while ((n < 0 && errno == EINTR) || (n == 0 && !last));
  return n;
}

static unsigned events_of(short revents)
{
  unsigned events = 0;

  if (revents & POLLIN)
    events |= NET_IN;
  if (revents & POLLOUT)
    events |= NET_OUT;
  if (revents & (POLLERR | POLLHUP | POLLNVAL))
    events |= NET_IN | NET_OUT;
  return events;
}

unsigned transport_wait(struct transport *t, unsigned events, int64_t deadline_ns)
{
  struct pollfd fds[2] = {{.fd = t->kick_fd, .events = POLLIN}, {.fd = -1}};
  unsigned found;
  int n;

  /* Asked for nothing, the kernel would still report a hang-up, for ever. */
  if (events & (NET_IN | NET_OUT)) {
    fds[1].fd = t->fd;
    fds[1].events = (short)((events & NET_IN ? POLLIN : 0) | (events & NET_OUT ? POLLOUT : 0));
  }
  n = wait_until(fds, 2, deadline_ns);
  if (n < 0) /* no memory in the kernel: let the caller look for itself */
    return fds[1].fd >= 0 ? NET_IN | NET_OUT : NET_KICK;
  found = events_of(fds[1].revents);
  if (fds[0].revents) {
    drain(t->kick_fd);
    found |= NET_KICK;
  }
  return found;
}

void transport_kick(struct transport *t)
{
  const uint64_t one = 1;
  int saved = errno;
  ssize_t n;

  do
    n = write(t->kick_fd, &one, sizeof one);
  while (n < 0 && errno == EINTR);
  errno = saved;
}

const char *transport_error_text(int err, char *buf, size_t size)
{
#ifdef __GLIBC__
  char scratch[128];

  snprintf(buf, size, "%s", strerror_r(err, scratch, sizeof scratch));
#else
  if (strerror_r(err, buf, size) != 0)
    snprintf(buf, size, "error %d", err);
#endif
  return buf;
}
