/* SPDX-License-Identifier: BSD-3-Clause */
/* check_net.c - tests the transport over real sockets: connecting, every family, and what happens
 * when the other side is gone. Waiting: check_wait.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/fdtable.h"
#include "net/resolve.h"
#include "net/transport.h"

static const struct net_options options = {.keepalive_ns = 60 * NS_PER_S,
                                           .user_timeout_ns = 5 * NS_PER_S,
                                           .receive_buffer = 64 * 1024};

static int64_t in_ms(int64_t ms)
{
  return clock_ns() + ms * NS_PER_MS;
}

/* ---- servers of our own ---- */

static int listen_tcp(struct address *a, int family)
{
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

  memset(a, 0, sizeof *a);
  a->u.any.sa_family = (sa_family_t)family;
  a->len = family == AF_INET ? sizeof a->u.in : sizeof a->u.in6;
  if (family == AF_INET)
    a->u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else
    a->u.in6.sin6_addr = in6addr_loopback;
  if (fd < 0 || bind(fd, &a->u.any, a->len) < 0 || listen(fd, 16) < 0)
    return -1;
  ck_assert_int_eq(getsockname(fd, &a->u.any, &a->len), 0);
  return fd;
}

static int listen_unix(struct address *a, int backlog)
{
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const char *tmp = getenv("TMPDIR");

  memset(a, 0, sizeof *a);
  a->u.un.sun_family = AF_UNIX;
  a->len = sizeof a->u.un;
  snprintf(a->u.un.sun_path, sizeof a->u.un.sun_path, "%s/pmx-check-%d.sock", tmp ? tmp : "/tmp",
           (int)getpid());
  unlink(a->u.un.sun_path);
  ck_assert_int_eq(bind(fd, &a->u.any, a->len), 0);
  ck_assert_int_eq(listen(fd, backlog), 0);
  return fd;
}

/* A transport that is connected to the returned descriptor. */
static int connected_pair(struct transport *t, int listener, const struct address *a)
{
  int peer;

  ck_assert_int_eq(transport_connect(t, a, &options), 0);
  ck_assert_uint_eq(transport_wait(t, NET_OUT, in_ms(2000)), NET_OUT);
  ck_assert_int_eq(transport_connected(t), 0);
  peer = accept(listener, NULL, NULL);
  ck_assert_int_ge(peer, 0);
  return peer;
}

static int tcp_pair(struct transport *t)
{
  struct address a;
  int listener = listen_tcp(&a, AF_INET), peer;

  ck_assert_int_eq(transport_init(t), 0);
  peer = connected_pair(t, listener, &a);
  close(listener);
  return peer;
}

static int option_of(int fd, int level, int name)
{
  int value = -1;
  socklen_t len = sizeof value;

  ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
  return value;
}

/* ---- connecting ---- */

static void exchange(struct transport *t, int peer)
{
  char buf[16];

  ck_assert_int_eq(transport_recv(t, buf, sizeof buf), NET_AGAIN);
  ck_assert_int_eq(transport_probe(t), NET_QUIET);
  ck_assert_int_eq(transport_send(t, "ping", 4), 4);
  ck_assert_int_eq(read(peer, buf, sizeof buf), 4);
  ck_assert_int_eq(write(peer, "pong", 4), 4);
  ck_assert_uint_eq(transport_wait(t, NET_IN, in_ms(2000)), NET_IN);
  ck_assert_int_eq(transport_probe(t), NET_READABLE);
  ck_assert_int_eq(transport_recv(t, buf, sizeof buf), 4);
  ck_assert_mem_eq(buf, "pong", 4);
  close(peer);
  ck_assert_uint_ne(transport_wait(t, NET_IN, in_ms(2000)) & NET_IN, 0);
  ck_assert_int_eq(transport_probe(t), NET_GONE);
  ck_assert_int_eq(transport_recv(t, buf, sizeof buf), NET_EOF);
}

START_TEST(bytes_travel_over_every_kind_of_socket)
{
  struct address a[3];
  int listeners[3] = {listen_tcp(&a[0], AF_INET), listen_unix(&a[1], 4),
                      listen_tcp(&a[2], AF_INET6)};
  struct transport t;

  ck_assert_int_eq(transport_init(&t), 0);
  for (int i = 0; i < 3; i++) {
    if (listeners[i] < 0) { /* a machine without IPv6 */
      ck_assert_int_eq(i, 2);
      continue;
    }
    exchange(&t, connected_pair(&t, listeners[i], &a[i]));
    close(listeners[i]);
  }
  unlink(a[1].u.un.sun_path);
  transport_destroy(&t);
  ck_assert_int_eq(fdtable_count(), 0);
}
END_TEST

START_TEST(sockets_have_the_promised_properties)
{
  struct transport t;
  int peer = tcp_pair(&t);

  ck_assert_int_ne(fcntl(t.fd, F_GETFD) & FD_CLOEXEC, 0);
  ck_assert_int_ne(fcntl(t.kick_fd, F_GETFD) & FD_CLOEXEC, 0);
  ck_assert_int_ne(fcntl(t.fd, F_GETFL) & O_NONBLOCK, 0);
  ck_assert_int_ne(option_of(t.fd, IPPROTO_TCP, TCP_NODELAY), 0);
  ck_assert_int_ne(option_of(t.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
  ck_assert_int_eq(option_of(t.fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
  ck_assert_int_eq(option_of(t.fd, IPPROTO_TCP, TCP_KEEPINTVL), 20);
  ck_assert_int_eq(option_of(t.fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
  ck_assert_int_eq(option_of(t.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
  ck_assert_int_eq(option_of(t.fd, SOL_SOCKET, SO_RCVBUF), 2 * 64 * 1024); /* socket(7): doubled */
  close(peer);
  transport_destroy(&t);
}
END_TEST

START_TEST(a_refused_connect_says_so)
{
  struct address a;
  int listener = listen_tcp(&a, AF_INET), err;
  struct transport t;
  char text[64];

  close(listener);
  ck_assert_int_eq(transport_init(&t), 0);
  err = transport_connect(&t, &a, &options);
  if (!err) {
    ck_assert_uint_eq(transport_wait(&t, NET_OUT, in_ms(2000)), NET_IN | NET_OUT);
    err = transport_connected(&t);
  }
  ck_assert_int_eq(err, ECONNREFUSED);
  ck_assert_int_eq(t.err, ECONNREFUSED);
  ck_assert_str_eq(transport_error_text(err, text, sizeof text), "Connection refused");
  ck_assert_uint_le(strlen(transport_error_text(987654, text, 8)), 7);
  transport_destroy(&t);
}
END_TEST

START_TEST(a_missing_socket_file_and_a_full_backlog_say_so)
{
  struct address a;
  int listener = listen_unix(&a, 0), err = 0;
  struct transport t[4];

  for (int i = 0; i < 4; i++) {
    ck_assert_int_eq(transport_init(&t[i]), 0);
    if (!err)
      err = transport_connect(&t[i], &a, &options);
  }
  ck_assert_int_eq(err, EAGAIN);
  unlink(a.u.un.sun_path);
  close(listener);
  ck_assert_int_eq(transport_connect(&t[0], &a, &options), ENOENT);
  ck_assert_int_eq(t[0].fd, -1);
  ck_assert_int_eq(t[0].err, ENOENT);
  for (int i = 0; i < 4; i++)
    transport_destroy(&t[i]);
}
END_TEST

/* Binding the socket to the port that it connects to makes certain what is otherwise a rare
 * accident of ephemeral ports. */
START_TEST(a_connection_to_itself_is_a_refused_one)
{
  struct address a;
  struct transport t;
  int fd;

  close(listen_tcp(&a, AF_INET)); /* a port that was free */
  ck_assert_int_eq(transport_init(&t), 0);
  fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  ck_assert_int_eq(bind(fd, &a.u.any, a.len), 0);
  ck_assert(connect(fd, &a.u.any, a.len) == 0 || errno == EINPROGRESS);
  ck_assert_int_eq(fdtable_add(fd), 0);
  t.fd = fd;
  ck_assert_uint_eq(transport_wait(&t, NET_OUT, in_ms(2000)), NET_OUT);
  ck_assert_int_eq(transport_connected(&t), ECONNREFUSED);
  transport_destroy(&t);
}
END_TEST

START_TEST(an_unfinished_connect_is_in_progress)
{
  struct address a;
  int listener = listen_tcp(&a, AF_INET), err = 0, n = 0;
  struct transport t[16];

  ck_assert_int_eq(listen(listener, 0), 0); /* once it is full, handshakes are ignored */
  while (err == 0 && n < 16) {
    ck_assert_int_eq(transport_init(&t[n]), 0);
    ck_assert_int_eq(transport_connect(&t[n], &a, &options), 0);
    transport_wait(&t[n], NET_OUT, in_ms(50));
    err = transport_connected(&t[n++]);
  }
  ck_assert_int_eq(err, EINPROGRESS);
  while (n > 0)
    transport_destroy(&t[--n]);
  close(listener);
}
END_TEST

START_TEST(without_memory_or_descriptors_nothing_leaks)
{
  struct transport t;
  struct address a;
  int listener = listen_tcp(&a, AF_INET), high = fcntl(listener, F_DUPFD_CLOEXEC, 2000);

  ck_assert_int_eq(transport_init(&t), 0);
  if (high >= 0) { /* the table's second chunk needs memory */
    mem_fail_at(1, 1);
    ck_assert_int_eq(fdtable_add(high), -1);
    mem_fail_at(0, 0);
    ck_assert_int_eq(fdtable_add(high), 0);
    fdtable_close(high);
    ck_assert_int_eq(fcntl(high, F_GETFD), -1);
  }
  a.u.any.sa_family = AF_UNSPEC;
  ck_assert_int_ne(transport_connect(&t, &a, &options), 0);
  ck_assert_int_eq(t.fd, -1);
  transport_close(&t);
  transport_destroy(&t);
  ck_assert_int_eq(fdtable_count(), 0);
  close(listener);
}
END_TEST

/* ---- the other side is gone ---- */

START_TEST(sending_to_a_closed_peer_is_an_error_and_no_signal)
{
  struct transport t;
  int peer = tcp_pair(&t);
  ssize_t n = 0;

  signal(SIGPIPE, SIG_DFL);
  close(peer);
  for (int i = 0; i < 100 && n >= 0; i++) {
    n = transport_send(&t, "x", 1);
    usleep(1000);
  }
  ck_assert_int_eq(n, NET_ERROR);
  ck_assert(t.send_err == EPIPE || t.send_err == ECONNRESET);
  ck_assert_int_eq(transport_probe(&t), NET_GONE);
  ck_assert_uint_eq(transport_wait(&t, NET_IN, in_ms(2000)), NET_IN | NET_OUT);
  transport_destroy(&t);
}
END_TEST

START_TEST(a_full_socket_says_again_until_it_is_read)
{
  struct transport t;
  int peer = tcp_pair(&t);
  static char block[65536];
  size_t sent = 0, got = 0;
  ssize_t n;

  while ((n = transport_send(&t, block, sizeof block)) > 0)
    sent += (size_t)n;
  ck_assert_int_eq(n, NET_AGAIN);
  ck_assert_uint_eq(transport_wait(&t, NET_OUT, in_ms(1)), 0);
  while (got < sent) {
    n = read(peer, block, sizeof block);
    ck_assert_int_gt(n, 0);
    got += (size_t)n;
  }
  ck_assert_uint_eq(transport_wait(&t, NET_OUT, in_ms(2000)), NET_OUT);
  close(peer);
  transport_destroy(&t);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      bytes_travel_over_every_kind_of_socket,
      sockets_have_the_promised_properties,
      a_refused_connect_says_so,
      a_missing_socket_file_and_a_full_backlog_say_so,
      a_connection_to_itself_is_a_refused_one,
      an_unfinished_connect_is_in_progress,
      without_memory_or_descriptors_nothing_leaks,
      sending_to_a_closed_peer_is_an_error_and_no_signal,
      a_full_socket_says_again_until_it_is_read,
  };
  Suite *suite = suite_create("net");
  TCase *tc = tcase_create("net");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_set_timeout(tc, 60);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
