/* SPDX-License-Identifier: BSD-3-Clause */
/* check_wait.c - tests waiting on a transport: deadlines, kicks, a storm of signals. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/clock.h"
#include "net/fdtable.h"
#include "net/transport.h"

static int64_t in_ms(int64_t ms)
{
  return clock_ns() + ms * NS_PER_MS;
}

/* A transport that is connected to the returned descriptor. */
static int start_pair(struct transport *t)
{
  int fds[2];

  ck_assert_int_eq(transport_init(t), 0);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  ck_assert_int_eq(fdtable_add(fds[0]), 0);
  t->fd = fds[0];
  return fds[1];
}

static void ignore_signal(int sig)
{
  (void)sig;
}

static void signal_storm(suseconds_t every_us)
{
  struct itimerval every = {{0, every_us}, {0, every_us}};
  struct sigaction act = {.sa_handler = ignore_signal};

  ck_assert_int_eq(sigaction(SIGALRM, &act, NULL), 0);
  ck_assert_int_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static void assert_waits_are_exact(struct transport *t)
{
  static const int spans_ms[] = {1, 2, 5, 10, 20, 50};

  for (size_t i = 0; i < sizeof spans_ms / sizeof *spans_ms; i++) {
    int64_t deadline = in_ms(spans_ms[i]);

    ck_assert_uint_eq(transport_wait(t, NET_IN, deadline), 0);
    ck_assert_int_ge(clock_ns(), deadline);
    ck_assert_int_lt(clock_ns(), deadline + 2 * NS_PER_S);
  }
}

START_TEST(waits_end_by_their_deadline_and_never_before)
{
  struct transport t;
  int peer = start_pair(&t);

  assert_waits_are_exact(&t);
  close(peer);
  transport_destroy(&t);
}
END_TEST

static ssize_t send_again(int fd, const char *buf, size_t len)
{
  ssize_t n;

  do
    n = send(fd, buf, len, 0);
  while (n < 0 && errno == EINTR);
  return n;
}

START_TEST(signals_change_no_wait_and_lose_no_bytes)
{
  struct transport t;
  int peer = start_pair(&t);
  char buf[100];

  signal_storm(100);
  assert_waits_are_exact(&t);
  for (int i = 0; i < 2000; i++) {
    memset(buf, i, sizeof buf);
    ck_assert_int_eq(send_again(peer, buf, sizeof buf), sizeof buf);
    ck_assert_uint_eq(transport_wait(&t, NET_IN, TIME_FOREVER), NET_IN);
    ck_assert_int_eq(transport_recv(&t, buf, sizeof buf), sizeof buf);
    ck_assert_int_eq((unsigned char)buf[99], i & 255);
  }
  signal_storm(0);
  close(peer);
  transport_destroy(&t);
}
END_TEST

START_TEST(a_past_deadline_still_looks_once)
{
  struct transport t;
  int peer = start_pair(&t);

  ck_assert_uint_eq(transport_wait(&t, NET_IN, clock_ns() - 1), 0);
  ck_assert_int_eq(write(peer, "x", 1), 1);
  ck_assert_uint_eq(transport_wait(&t, NET_IN, in_ms(2000)), NET_IN);
  ck_assert_uint_eq(transport_wait(&t, NET_IN, clock_ns() - 1), NET_IN);
  ck_assert_uint_eq(transport_wait(&t, NET_IN | NET_OUT, INT64_MIN), NET_IN | NET_OUT);
  close(peer);
  ck_assert_uint_eq(transport_wait(&t, 0, in_ms(1)), 0); /* a hang-up nobody asked for */
  transport_destroy(&t);
}
END_TEST

static void *kick_soon(void *arg)
{
  usleep(20000);
  transport_kick(arg);
  return NULL;
}

START_TEST(a_kick_ends_the_current_or_the_next_wait_once)
{
  struct transport t;
  int peer = start_pair(&t);
  pthread_t thread;

  ck_assert_int_eq(pthread_create(&thread, NULL, kick_soon, &t), 0);
  ck_assert_uint_eq(transport_wait(&t, NET_IN, TIME_FOREVER), NET_KICK);
  pthread_join(thread, NULL);
  ck_assert_uint_eq(transport_wait(&t, NET_IN, in_ms(1)), 0);
  transport_kick(&t);
  transport_kick(&t);
  ck_assert_uint_eq(transport_wait(&t, NET_OUT, TIME_FOREVER), NET_KICK | NET_OUT);
  transport_close(&t);
  transport_kick(&t); /* without a connection as well */
  ck_assert_uint_eq(transport_wait(&t, NET_IN, TIME_FOREVER), NET_KICK);
  ck_assert_uint_eq(transport_wait(&t, NET_IN, in_ms(1)), 0);
  close(peer);
  transport_destroy(&t);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      waits_end_by_their_deadline_and_never_before,
      signals_change_no_wait_and_lose_no_bytes,
      a_past_deadline_still_looks_once,
      a_kick_ends_the_current_or_the_next_wait_once,
  };
  Suite *suite = suite_create("wait");
  TCase *tc = tcase_create("wait");
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
