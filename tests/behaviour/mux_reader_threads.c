/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_reader_threads.c - the reader of a crowd as a thread among others: the system may have none,
 * it is joined when the client ends, it runs nobody's code, and a forked child has not got it. The
 * C library's pthread_create() is replaced by one that can be told to fail, or to start later. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "behaviour/crowding.h"
#include "behaviour/forking.h"
#include "harness/checks.h"

enum { ROUNDS = 10, LATER = 8, SOME_MS = 50, CHILD_CALLS = 200 };
static const char CLIENT[] = "poolmux"; /* the thread that starts readers */

/* ---- threads that do not start ---- */

static atomic_bool refusing, waiting;
static atomic_int refused, arrived;

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
/* A sanitizer's, which would not know the threads that it has not started itself. */
create_fn __interceptor_pthread_create __attribute__((weak));

struct late_start {
  void *(*run)(void *);
  void *arg;
};

static bool may_go(void *arg)
{
  (void)arg;
  return !atomic_load(&waiting);
}

static void *start_late(void *arg)
{
  struct late_start start = *(struct late_start *)arg;

  free(arg);
  atomic_fetch_add(&arrived, 1);
  wait_for(may_go, NULL, INT_MAX);
  return start.run(start.arg);
}

static create_fn *real_create(void)
{
  union {
    void *object;
    create_fn *function;
  } found = {.function = __interceptor_pthread_create};

  if (!found.function)
    found.object = dlsym(RTLD_NEXT, "pthread_create");
  return found.function;
}

int pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
  struct late_start *late;

  if (!is_thread(CLIENT))
    return real_create()(id, attr, run, arg);
  if (atomic_load(&refusing)) {
    atomic_fetch_add(&refused, 1);
    return EAGAIN;
  }
  late = harness_alloc(sizeof *late);
  *late = (struct late_start){run, arg};
  return real_create()(id, attr, start_late, late);
}

static bool reaches_one(void *count)
{
  return atomic_load((atomic_int *)count) == 1;
}

/* ---- the system has none ---- */

static void go_round(struct crowd_scene *s)
{
  for (int i = 0; i < ROUNDS; i++) {
    crowd_begin(s, CROWD);
    for (int n = 0; n < CROWD / 4; n++)
      crowd_answer(s);
    crowd_finish(s);
  }
}

/* What is printed from now on goes there. */
static int begin_to_listen(FILE *to)
{
  int errors = dup(STDERR_FILENO);

  ck_assert_ptr_nonnull(to);
  ck_assert_int_ge(errors, 0);
  ck_assert_int_ge(dup2(fileno(to), STDERR_FILENO), 0);
  return errors;
}

static void check_silence(FILE *of, int errors)
{
  ck_assert_int_ge(dup2(errors, STDERR_FILENO), 0);
  close(errors);
  ck_assert_int_eq(lseek(fileno(of), 0, SEEK_END), 0);
  fclose(of);
}

START_TEST(callers_drive_when_the_system_has_no_thread)
{
  FILE *printed = tmpfile();
  struct crowd_scene s;
  int errors;

  crowd_open(&s, &ways[_i]);
  errors = begin_to_listen(printed);
  atomic_store(&refusing, true);
  go_round(&s);
  ck_assert(wait_for(reaches_one, &refused, SOON_MS));
  atomic_store(&refusing, false);
  go_round(&s); /* it is not tried again with every call */
  ck_assert_int_eq(readers(), 0);
  ck_assert_int_eq(atomic_load(&refused), 1);
  check_silence(printed, errors);
  fake_close(crowd_conn(&s));
  check_stat(s.client, lanes_closed, 1);
  check_int(pmx_command(s.client, "INCR n"), 1);
  crowd_read(&s, CROWD); /* but with the next connection */
  crowd_finish(&s);
  ck_assert_uint_eq(fake_accepted(s.fake), 2);
  crowd_close(&s);
}
END_TEST

/* ---- it is joined ---- */

static atomic_bool unreferenced;

static void give_up(void *client)
{
  pmx_unref(client);
  atomic_store(&unreferenced, true);
}

/* It exists, and has not run a single line, when all is over. */
START_TEST(reader_that_is_just_being_started_is_joined)
{
  struct crowd_scene s;
  struct background *thread;

  crowd_open(&s, &ways[_i]);
  atomic_store(&waiting, true);
  crowd_until(&s, CROWD, reaches_one, &arrived);
  ck_assert_int_eq(pmx_close(s.client, 0), 0);
  ck_assert_int_eq(crowd_fail(&s, PMX_UNKNOWN, PMX_CAUSE_CLOSED), CROWD - 1);
  thread = background_start(give_up, s.client);
  sleep_ms(SOME_MS);
  ck_assert(!atomic_load(&unreferenced));
  atomic_store(&waiting, false);
  background_join(thread);
  check_readers(0);
  ck_assert(fake_stop(s.fake));
}
END_TEST

/* ---- it runs nobody's code ---- */

struct contest {
  pthread_mutex_t mutex;
  pmx_client *client;
  atomic_int inside, elsewhere;
};

static void lock_inside(void *arg, const pmx_reply *reply)
{
  struct contest *c = arg;

  (void)reply;
  atomic_store(&c->elsewhere, !is_thread(CLIENT));
  atomic_store(&c->inside, 1);
  pthread_mutex_lock(&c->mutex);
  pthread_mutex_unlock(&c->mutex);
  atomic_store(&c->inside, 2);
}

static void call_locked(void *arg)
{
  struct contest *c = arg;

  pthread_mutex_lock(&c->mutex);
  check_value(pmx_command(c->client, "GET odd-locked"), "odd-locked");
  pthread_mutex_unlock(&c->mutex);
}

/* The callback waits for a lock that a caller has, who waits for the reader. */
START_TEST(callback_takes_a_lock_that_a_caller_has)
{
  struct crowd_scene s;
  struct contest c = {.mutex = PTHREAD_MUTEX_INITIALIZER};
  struct caller later[LATER];
  struct background *thread;

  crowd_open(&s, &ways[_i]);
  crowd_read(&s, CROWD);
  c.client = s.client;
  ck_assert_int_eq(pmx_async(s.client, NULL, lock_inside, &c, "GET odd-callback"), PMX_OK);
  crowd_wait_seen(&s, CROWD);
  thread = background_start(call_locked, &c);
  crowd_wait_seen(&s, CROWD + 1);
  for (int i = 0; i < LATER; i++)
    caller_start(&later[i], s.client, "GET odd-later", NULL);
  crowd_wait_seen(&s, CROWD + 1 + LATER);
  for (int i = 0; i < CROWD; i++)
    crowd_answer(&s);
  ck_assert(wait_for(reaches_one, &c.inside, SOON_MS));
  check_reader_reads();
  crowd_finish(&s);
  background_join(thread);
  callers_check_values(later, LATER);
  close_client(s.client); /* after its callbacks */
  ck_assert_int_eq(atomic_load(&c.inside), 2);
  ck_assert_int_eq(atomic_load(&c.elsewhere), 0);
  check_readers(0);
  ck_assert(fake_stop(s.fake));
}
END_TEST

static bool none_is_inside(void *count)
{
  return atomic_load((atomic_int *)count) == 0;
}

static bool is_through(void *count)
{
  return atomic_load((atomic_int *)count) == 2;
}

static void wait_inside(void *arg, const pmx_reply *reply)
{
  atomic_int *inside = arg;

  (void)reply;
  atomic_store(inside, 1);
  wait_for(none_is_inside, inside, SOON_MS);
  atomic_store(inside, 2);
}

/* One of them reads, of any number, though the client's own thread did so before and would have
 * done it now. */
START_TEST(callers_are_answered_while_a_callback_waits_for_them)
{
  struct crowd_scene s;
  atomic_int inside = 0;

  crowd_open(&s, &ways[_i]);
  for (int n = 2; n <= CROWD; n *= 2) {
    ck_assert_int_eq(pmx_async(s.client, NULL, wait_inside, &inside, "PING"), PMX_OK);
    ck_assert(wait_for(reaches_one, &inside, SOON_MS));
    crowd_begin(&s, n);
    while (crowd_answer(&s))
      ;
    ck_assert_int_eq(atomic_load(&inside), 1);
    atomic_store(&inside, 0);
    ck_assert(wait_for(is_through, &inside, SOON_MS));
  }
  crowd_close(&s);
}
END_TEST

/* ---- fork ---- */

static void count_in_child(int i, void *client)
{
  for (int n = 0; n < CHILD_CALLS; n++) {
    pmx_reply *reply = pmx_command(client, "INCR child:%d", i);

    must(pmx_ok(reply), "a call of a crowd in the child is answered");
    pmx_reply_free(reply);
  }
}

static bool none_is_left(void *arg)
{
  (void)arg;
  return readers() == 0;
}

static void run_child(pmx_client *client)
{
  int64_t end = pmx_now_ms() + CHILD_MS;

  child_begin();
  must(readers() == 0, "the parent's reader is not in the child");
  must(pmx_reply_finish(pmx_command(client, "INCR lone")) == PMX_OK, "a call is answered");
  do
    run_threads(CROWD, count_in_child, client);
  while (readers() == 0 && pmx_now_ms() < end);
  must(readers() == 1, "the child's crowd has a reader");
  must(stats_of(client).opened == 1, "the child has a connection of its own");
  must(pmx_close(client, SOON_MS) == 1, "the child closes it");
  pmx_unref(client);
  must(wait_for(none_is_left, NULL, SOON_MS), "the child's reader ends");
  _exit(EXIT_SUCCESS);
}

START_TEST(fork_while_the_reader_reads)
{
  struct crowd_scene s;
  pid_t pid;

  crowd_open(&s, &ways[_i]);
  crowd_read(&s, CROWD);
  let_all_sleep();
  fflush(NULL);
  pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    run_child(s.client);
  reap(&pid);
  check_reader_reads();
  crowd_finish(&s);
  crowd_read(&s, CROWD);
  crowd_finish(&s);
  ck_assert_int_eq(readers(), 1);
  ck_assert_uint_eq(stats_of(s.client).closed, 0);
  ck_assert_uint_eq(fake_accepted(s.fake), 2);
  crowd_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_reader_threads");

  ways_brief();
  tcase_add_checked_fixture(tc, note_test_pid, NULL);
  add_for_ways_with(SHARES, tc, callers_drive_when_the_system_has_no_thread);
  add_for_ways_with(SHARES, tc, reader_that_is_just_being_started_is_joined);
  add_for_ways_with(SHARES, tc, callback_takes_a_lock_that_a_caller_has);
  add_for_ways_with(SHARES, tc, callers_are_answered_while_a_callback_waits_for_them);
  add_for_ways_with(SHARES, tc, fork_while_the_reader_reads);
  return checks_run("mux_reader_threads", tc);
}
