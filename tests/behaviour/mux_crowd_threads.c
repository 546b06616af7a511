/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_crowd_threads.c - who drives for a crowd as a thread among others: it runs nobody's code and
 * waits for nobody's, and a forked child has not got it. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "behaviour/crowding_doors.h"
#include "behaviour/forking.h"
#include "harness/checks.h"

enum { LATER = 8, CHILD_CALLS = 200 };

static bool reaches_one(void *count)
{
  return atomic_load((atomic_int *)count) == 1;
}

/* ---- callbacks ---- */

struct contest {
  pthread_mutex_t mutex;
  pmx_client *client;
  atomic_int inside, elsewhere;
};

static void lock_inside(void *arg, const pmx_reply *reply)
{
  struct contest *c = arg;

  (void)reply;
  atomic_store(&c->elsewhere, !is_thread("poolmux"));
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

/* The callback waits for a lock that a caller has, who waits for the one who drives. */
START_TEST(callback_takes_a_lock_that_a_caller_has)
{
  struct crowd_scene s;
  struct contest c = {.mutex = PTHREAD_MUTEX_INITIALIZER};
  struct caller later[LATER];
  struct background *thread;

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
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
  check_crowd_is_driven();
  crowd_finish(&s);
  background_join(thread);
  callers_check_values(later, LATER);
  close_client(s.client); /* after its callbacks */
  ck_assert_int_eq(atomic_load(&c.inside), 2);
  ck_assert_int_eq(atomic_load(&c.elsewhere), 0);
  crowd_name(false);
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

static void run_child(pmx_client *client)
{
  unsigned before = turns();

  child_begin();
  must(threads_named("pmt-crowd") == 1, "the parent's crowd is not in the child");
  must(pmx_reply_finish(pmx_command(client, "INCR lone")) == PMX_OK, "a call is answered");
  run_threads(CROWD, count_in_child, client);
  must(turns() > before, "the child's crowd gives way");
  must(stats_of(client).opened == 1, "the child has a connection of its own");
  must(pmx_close(client, SOON_MS) == 1, "the child closes it");
  pmx_unref(client);
  _exit(EXIT_SUCCESS);
}

START_TEST(fork_while_a_crowd_calls)
{
  struct crowd_scene s;
  pid_t pid;

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  fflush(NULL);
  pid = fork_asleep();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    run_child(s.client);
  reap(&pid);
  check_crowd_is_driven();
  crowd_finish(&s);
  crowd_gather(&s, CROWD);
  crowd_finish(&s);
  ck_assert_uint_eq(stats_of(s.client).closed, 0);
  ck_assert_uint_eq(fake_accepted(s.fake), 2);
  crowd_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_crowd_threads");

  ways_brief();
  tcase_add_checked_fixture(tc, note_test_pid, NULL);
  add_for_ways_with(SHARES, tc, callback_takes_a_lock_that_a_caller_has);
  add_for_ways_with(SHARES, tc, callers_are_answered_while_a_callback_waits_for_them);
  add_for_ways_with(SHARES, tc, fork_while_a_crowd_calls);
  return checks_run("mux_crowd_threads", tc);
}
