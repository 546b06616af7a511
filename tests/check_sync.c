/* SPDX-License-Identifier: BSD-3-Clause */
/* check_sync.c - tests threads, the fork generation, and what a fork waits for. */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/park.h"
#include "base/sync.h"

/* A child knows of its parent's threads, and nobody joins them there. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
  return "die_after_fork=0:report_thread_leaks=0";
}

/* For threads: Check's own assertions belong to the thread that runs the test. */
static void must(int truth)
{
  if (!truth)
    abort();
}

/* ---- threads ---- */

static struct {
  struct thread thread;
  struct parker done;
  sigset_t blocked;
  char name[16];
  int is_me;
  _Atomic int finished;
} seen;

static void look_around(void *arg)
{
  must(arg == &seen);
  pthread_sigmask(SIG_SETMASK, NULL, &seen.blocked);
  pthread_getname_np(pthread_self(), seen.name, sizeof seen.name);
  atomic_store(&seen.finished, 1);
  parker_wake(&seen.done);
}

START_TEST(library_threads_block_signals_and_carry_their_name)
{
  sigset_t before, after;

  parker_init(&seen.done);
  pthread_sigmask(SIG_SETMASK, NULL, &before);
  ck_assert_int_eq(thread_start(&seen.thread, "a name that is too long", look_around, &seen), 0);
  ck_assert_int_eq(thread_is_me(&seen.thread), 0);
  thread_join(&seen.thread);
  pthread_sigmask(SIG_SETMASK, NULL, &after);
  ck_assert_str_eq(seen.name, "a name that is ");
  ck_assert_int_eq(sigismember(&seen.blocked, SIGALRM), 1);
  ck_assert_int_eq(sigismember(&seen.blocked, SIGPIPE), 1);
  ck_assert_int_eq(sigismember(&seen.blocked, SIGTERM), 1);
  ck_assert_int_eq(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
  seen.thread.id = pthread_self();
  ck_assert_int_eq(thread_is_me(&seen.thread), 1);
}
END_TEST

START_TEST(a_detached_thread_runs)
{
  uint32_t ticket;

  parker_init(&seen.done);
  ck_assert_int_eq(thread_start_detached("detached", look_around, &seen), 0);
  while (ticket = parker_ticket(&seen.done), !atomic_load(&seen.finished))
    parker_park(&seen.done, ticket, TIME_FOREVER);
}
END_TEST

START_TEST(a_thread_without_memory_is_an_error)
{
  mem_fail_at(1, 1);
  ck_assert_int_eq(thread_start(&seen.thread, "x", look_around, &seen), ENOMEM);
  ck_assert_int_eq(thread_start_detached("x", look_around, &seen), ENOMEM);
  mem_fail_at(0, 0);
}
END_TEST

START_TEST(thread_cancellation_is_off_until_it_is_restored)
{
  int outer = thread_cancel_disable(), inner = thread_cancel_disable(), now;

  ck_assert_int_eq(outer, PTHREAD_CANCEL_ENABLE);
  ck_assert_int_eq(inner, PTHREAD_CANCEL_DISABLE);
  thread_cancel_restore(inner);
  pthread_cancel(pthread_self());
  pthread_testcancel(); /* would end the thread, and fail the test */
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &now);
  ck_assert_int_eq(now, PTHREAD_CANCEL_DISABLE);
}
END_TEST

START_TEST(the_processors_we_may_use_are_counted)
{
  cpu_set_t set, one;
  size_t cpu = 0;

  ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
  ck_assert_uint_eq(cpu_count(), (unsigned)CPU_COUNT(&set));
  while (!CPU_ISSET(cpu, &set))
    cpu++;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
  ck_assert_uint_eq(cpu_count(), 1);
}
END_TEST

/* ---- fork ---- */

static int watched;

static void watcher(void)
{
  watched++;
}

/* The exit status of a child that runs check(). */
static int in_child(int (*check)(uint32_t), uint32_t parent_generation)
{
  int status = 0;
  pid_t pid = fork();

  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(check(parent_generation));
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static int grandchild_sees_two(uint32_t generation)
{
  return fork_generation() == generation + 2 && watched == 2 ? 0 : 1;
}

static int child_sees_one(uint32_t generation)
{
  if (fork_generation() != generation + 1 || watched != 1)
    return 1;
  return in_child(grandchild_sees_two, generation) == 0 ? 0 : 2;
}

START_TEST(each_fork_is_counted_and_watched_once)
{
  uint32_t before = fork_generation();

  ck_assert_uint_ne(before, 0);
  fork_watch(watcher);
  fork_watch(watcher);
  ck_assert_int_eq(in_child(child_sees_one, before), 0);
  ck_assert_uint_eq(fork_generation(), before);
  ck_assert_int_eq(watched, 0);
}
END_TEST

/* Held by one thread: whoever forks meanwhile finds it let. */
static _Atomic int holding, about_to_let;

static void hold_a_while(void *arg)
{
  (void)arg;
  fork_hold();
  atomic_store(&holding, 1);
  usleep(50000);
  atomic_store(&about_to_let, 1);
  fork_let();
  fork_hold(); /* it may be held again, before and after */
  fork_let();
}

static int was_let_and_can_be_held(uint32_t generation)
{
  if (fork_generation() != generation + 1 || !about_to_let)
    return 1;
  fork_hold();
  fork_let();
  return 0;
}

START_TEST(a_fork_waits_for_who_holds_it)
{
  uint32_t generation = fork_generation();
  struct thread thread;

  ck_assert_int_eq(thread_start(&thread, "holder", hold_a_while, NULL), 0);
  while (!atomic_load(&holding))
    sched_yield();
  ck_assert_int_eq(in_child(was_let_and_can_be_held, generation), 0);
  thread_join(&thread);
  ck_assert_int_eq(in_child(was_let_and_can_be_held, generation), 0);
}
END_TEST

/* ---- handlers of somebody else, registered before ours: they run between our two ---- */

static pthread_mutex_t program_lock = PTHREAD_MUTEX_INITIALIZER;
static int went_in;

static void go_in(void)
{
  fork_hold();
  fork_let();
  went_in++;
}

static void lock_program(void)
{
  pthread_mutex_lock(&program_lock);
  go_in();
}

static void unlock_program(void)
{
  go_in();
  pthread_mutex_unlock(&program_lock);
}

static void hold_with_lock(void *arg)
{
  (void)arg;
  pthread_mutex_lock(&program_lock);
  atomic_store(&holding, 1);
  for (int64_t end = clock_ns() + 100 * INT64_C(1000000); clock_ns() < end;)
    fork_hold(), fork_let();
  pthread_mutex_unlock(&program_lock);
}

static int went_in_everywhere(uint32_t generation)
{
  go_in();
  return fork_generation() == generation + 1 && went_in == 3 ? 0 : 1;
}

START_TEST(handlers_of_others_may_want_what_is_held_and_hold_it)
{
  struct thread thread;
  uint32_t generation;

  ck_assert_int_eq(pthread_atfork(lock_program, unlock_program, unlock_program), 0);
  generation = fork_generation();
  ck_assert_int_eq(thread_start(&thread, "holder", hold_with_lock, NULL), 0);
  while (!atomic_load(&holding))
    sched_yield();
  ck_assert_int_eq(in_child(went_in_everywhere, generation), 0);
  ck_assert_int_eq(went_in, 2);
  thread_join(&thread);
}
END_TEST

static int can_be_held(uint32_t generation)
{
  fork_hold();
  fork_let();
  return fork_generation() == generation + 1 ? 0 : 1;
}

/* What was held before the fork is not held in the child: its own forks wait for who is. */
static int lets_and_forks(uint32_t generation)
{
  struct thread thread;
  int result;

  fork_let();
  atomic_store(&holding, 0);
  atomic_store(&about_to_let, 0);
  must(thread_start(&thread, "holder", hold_a_while, NULL) == 0);
  while (!atomic_load(&holding))
    sched_yield();
  result = in_child(was_let_and_can_be_held, generation + 1);
  thread_join(&thread);
  return result;
}

START_TEST(who_holds_it_and_forks_does_not_wait_for_ever)
{
  uint32_t generation = fork_generation();

  fork_hold();
  ck_assert_int_eq(in_child(lets_and_forks, generation), 0);
  fork_let();
  ck_assert_int_eq(in_child(can_be_held, generation), 0);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      library_threads_block_signals_and_carry_their_name,
      a_detached_thread_runs,
      a_thread_without_memory_is_an_error,
      thread_cancellation_is_off_until_it_is_restored,
      the_processors_we_may_use_are_counted,
      each_fork_is_counted_and_watched_once,
      a_fork_waits_for_who_holds_it,
      handlers_of_others_may_want_what_is_held_and_hold_it,
      who_holds_it_and_forks_does_not_wait_for_ever,
  };
  Suite *suite = suite_create("sync");
  TCase *tc = tcase_create("sync");
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
