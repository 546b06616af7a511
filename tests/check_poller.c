/* SPDX-License-Identifier: BSD-3-Clause */
/* check_poller.c - tests the descriptor table (threads, fork) and the poller. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/fdtable.h"
#include "net/poller.h"

static int64_t in_ms(int64_t ms)
{
  return clock_ns() + ms * NS_PER_MS;
}

static int is_open(int fd)
{
  return fcntl(fd, F_GETFD) >= 0;
}

/* ---- descriptor table ---- */

/* For threads: Check's own assertions belong to the thread that runs the test. */
static void must(int truth)
{
  if (!truth)
    abort();
}

static _Atomic int busy;

static void *open_and_close(void *arg)
{
  (void)arg;
  for (int i = 0; i < 2000; i++) {
    int fd = eventfd(0, EFD_CLOEXEC);

    must(fd >= 0);
    must(fdtable_add(fd) == 0);
    must(is_open(fd));
    fdtable_close(fd);
  }
  busy--;
  return NULL;
}

START_TEST(only_registered_descriptors_are_closed_and_once)
{
  int fd = eventfd(0, 0), stranger = eventfd(0, 0);

  ck_assert_int_eq(fdtable_add(fd), 0);
  ck_assert_int_eq(fdtable_count(), 1);
  fdtable_close(stranger);
  ck_assert(is_open(stranger));
  fdtable_close(fd);
  ck_assert(!is_open(fd));
  ck_assert_int_eq(dup2(stranger, fd), fd); /* the number is somebody else's now */
  fdtable_close(fd);
  ck_assert(is_open(fd));
  fdtable_close(-1);
  fdtable_close(1 << 30);
  ck_assert_int_eq(fdtable_add(-1), -1);
  ck_assert_int_eq(fdtable_count(), 0);
}
END_TEST

/* Bit by bit what is wrong in the child; 0: nothing. */
static int child_sees(const int *held, int count, int stranger)
{
  int wrong = is_open(stranger) ? 0 : 1;

  for (int i = 0; i < count; i++)
    if (is_open(held[i]))
      wrong |= 2;
  if (fdtable_count() != 0)
    wrong |= 4;
  if (dup2(stranger, held[0]) == held[0]) {
    fdtable_close(held[0]); /* an old object that is destroyed */
    wrong |= is_open(held[0]) ? 0 : 8;
  }
  return wrong;
}

START_TEST(a_fork_closes_them_in_the_child_only)
{
  enum { HELD = 50 };
  int held[HELD], stranger = eventfd(0, 0), base = 900; /* across the border of a chunk */
  pthread_t threads[2];

  for (int i = 0; i < HELD; i++) {
    held[i] = fcntl(stranger, F_DUPFD_CLOEXEC, base);
    if (held[i] < 0) /* few descriptors are allowed here */
      held[i] = fcntl(stranger, F_DUPFD_CLOEXEC, base = 0);
    ck_assert_int_eq(fdtable_add(held[i]), 0);
    base += 5;
  }
  busy = 2;
  for (int i = 0; i < 2; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close, NULL), 0);
  do {
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
      _exit(child_sees(held, HELD, stranger));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
  } while (busy);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  ck_assert_int_eq(fdtable_count(), HELD);
  for (int i = 0; i < HELD; i++) {
    ck_assert(is_open(held[i]));
    fdtable_close(held[i]);
  }
  ck_assert_int_eq(fdtable_count(), 0);
}
END_TEST

/* ---- poller ---- */

static void start_pair(struct transport *t, int *peer)
{
  int fds[2];

  ck_assert_int_eq(transport_init(t), 0);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  ck_assert_int_eq(fdtable_add(fds[0]), 0);
  t->fd = fds[0];
  *peer = fds[1];
}

START_TEST(events_come_with_their_tag_until_they_are_dealt_with)
{
  struct transport t[2];
  struct poller_event ev[4];
  struct poller *p = NULL;
  char byte;
  int peers[2];

  ck_assert_int_eq(poller_open(0, &p), 0);
  for (int i = 0; i < 2; i++) {
    start_pair(&t[i], &peers[i]);
    ck_assert_int_eq(poller_set(p, &t[i], 0, NET_IN, &t[i]), 0);
  }
  ck_assert_int_eq(poller_wait(p, ev, 4, in_ms(1)), 0);
  ck_assert_int_eq(write(peers[1], "x", 1), 1);
  for (int i = 0; i < 2; i++) { /* level-triggered */
    ck_assert_int_eq(poller_wait(p, ev, 4, TIME_FOREVER), 1);
    ck_assert_ptr_eq(ev[0].tag, &t[1]);
    ck_assert_uint_eq(ev[0].events, NET_IN);
  }
  ck_assert_int_eq(transport_recv(&t[1], &byte, 1), 1);
  ck_assert_int_eq(poller_set(p, &t[0], NET_IN, NET_IN | NET_OUT, &t[0]), 0);
  ck_assert_int_eq(poller_wait(p, ev, 4, TIME_FOREVER), 1);
  ck_assert_uint_eq(ev[0].events, NET_OUT);
  ck_assert_int_eq(poller_set(p, &t[0], NET_IN | NET_OUT, 0, &t[0]), 0);
  ck_assert_int_eq(poller_wait(p, ev, 4, in_ms(1)), 0);
  close(peers[1]);
  ck_assert_int_eq(poller_wait(p, ev, 4, TIME_FOREVER), 1);
  ck_assert_uint_eq(ev[0].events, NET_IN | NET_OUT);
  transport_destroy(&t[1]);
  ck_assert_int_eq(poller_set(p, &t[1], NET_IN, 0, &t[1]), 0);
  ck_assert_int_eq(poller_set(p, &t[1], 0, NET_IN, &t[1]), EBADF);
  transport_destroy(&t[0]);
  close(peers[0]);
  poller_close(p);
  ck_assert_int_eq(fdtable_count(), 0);
}
END_TEST

START_TEST(polls_end_by_their_deadline_and_never_before)
{
  static const int spans_us[] = {300, 1000, 1500, 5000, 20000, 50000};
  struct poller_event ev[1];
  struct poller *p = NULL;

  ck_assert_int_eq(poller_open(0, &p), 0);
  for (size_t i = 0; i < sizeof spans_us / sizeof *spans_us; i++) {
    int64_t deadline = clock_ns() + (int64_t)spans_us[i] * 1000;

    ck_assert_int_eq(poller_wait(p, ev, 1, deadline), 0);
    ck_assert_int_ge(clock_ns(), deadline);
    ck_assert_int_lt(clock_ns(), deadline + 2 * NS_PER_S);
  }
  ck_assert_int_eq(poller_wait(p, ev, 1, INT64_MIN), 0);
  poller_close(p);
}
END_TEST

START_TEST(a_wake_is_remembered_and_taken_once)
{
  struct poller_event ev[1];
  struct poller *p = NULL;
  int64_t deadline;

  ck_assert_int_eq(poller_open(0, &p), 0);
  for (int i = 0; i < 3; i++) {
    poller_wake(p);
    poller_wake(p);
    ck_assert_int_eq(poller_wait(p, ev, 1, TIME_FOREVER), 0);
    deadline = in_ms(2);
    ck_assert_int_eq(poller_wait(p, ev, 1, deadline), 0);
    ck_assert_int_ge(clock_ns(), deadline);
  }
  poller_close(p);
}
END_TEST

enum { WAKERS = 3, WAKES = 4000 };

static struct {
  struct poller *poller;
  _Atomic int given, taken;
} wakes;

/* Goes on only when what it gave was seen. */
static void *give_wakes(void *arg)
{
  (void)arg;
  for (int i = 0; i < WAKES; i++) {
    int mine = ++wakes.given;

    poller_wake(wakes.poller);
    while (wakes.taken < mine)
      sched_yield();
  }
  return NULL;
}

/* Waits without a deadline until everything given was seen: a lost wake hangs. */
START_TEST(wakes_of_many_threads_are_never_lost)
{
  struct poller_event ev[1];
  pthread_t threads[WAKERS];

  ck_assert_int_eq(poller_open(0, &wakes.poller), 0);
  for (int i = 0; i < WAKERS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, give_wakes, NULL), 0);
  while (wakes.taken < WAKERS * WAKES) {
    ck_assert_int_eq(poller_wait(wakes.poller, ev, 1, TIME_FOREVER), 0);
    wakes.taken = wakes.given;
  }
  for (int i = 0; i < WAKERS; i++)
    pthread_join(threads[i], NULL);
  poller_close(wakes.poller);
}
END_TEST

START_TEST(a_poller_without_memory_leaks_nothing)
{
  struct poller *p = NULL;

  mem_fail_at(1, 0);
  ck_assert_int_eq(poller_open(0, &p), ENOMEM);
  mem_fail_at(0, 0);
  ck_assert_ptr_null(p);
  ck_assert_int_eq(fdtable_count(), 0);
  poller_close(NULL);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      only_registered_descriptors_are_closed_and_once,
      a_fork_closes_them_in_the_child_only,
      events_come_with_their_tag_until_they_are_dealt_with,
      polls_end_by_their_deadline_and_never_before,
      a_wake_is_remembered_and_taken_once,
      wakes_of_many_threads_are_never_lost,
      a_poller_without_memory_leaks_nothing,
  };
  Suite *suite = suite_create("poller");
  TCase *tc = tcase_create("poller");
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
