/* SPDX-License-Identifier: BSD-3-Clause */
/* sub_free.c - how consumers end: freed inside their callback, beside it, with the last reference
 * to their client, and by fork. */
#include "behaviour/listening.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behaviour/forking.h"
#include "harness/checks.h"
#include "harness/util.h"

/* ---- freeing ---- */

static void free_itself(struct ear *ear, const pmx_message *m)
{
  (void)m;
  pmx_sub_free(ear->sub);
  ear->sub = NULL;
}

START_TEST(freed_inside_its_callback_it_is_called_no_more)
{
  struct scene s;
  struct ear ear, other;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, false);
  ear_open(&other, s.client, false);
  ear.inside = free_itself;
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  add_ok(&other, PMX_SUB_CHANNEL, "c");
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(publish(s.server, "c", "x"), 1);
  ck_assert(ear_has(&other, 5, 0, SOON_MS));
  ear_check(&ear, "c=x ");
  ear_close(&other);
  pthread_mutex_destroy(&ear.lock);
  scene_close(&s);
}
END_TEST

struct beside {
  struct ear *ear;
  _Atomic int entered, left, freed;
  int entered_then, left_then;
};

static void take_a_while(struct ear *ear, const pmx_message *m)
{
  struct beside *b = ear->arg;

  (void)m;
  atomic_fetch_add(&b->entered, 1);
  sleep_ms(20);
  atomic_fetch_add(&b->left, 1);
}

static void free_beside(void *arg)
{
  struct beside *b = arg;

  while (!atomic_load(&b->entered))
    sleep_ms(1);
  pmx_sub_free(b->ear->sub);
  b->entered_then = atomic_load(&b->entered);
  b->left_then = atomic_load(&b->left);
  atomic_store(&b->freed, 1);
}

static bool is_freed(void *beside)
{
  return atomic_load(&((struct beside *)beside)->freed);
}

START_TEST(freed_beside_its_callback_it_waits_for_that)
{
  enum { MANY = 50 };
  struct scene s;
  struct ear ear;
  struct beside beside = {.ear = &ear};
  struct background *thread;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, false);
  ear.inside = take_a_while;
  ear.arg = &beside;
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  for (int i = 0; i < MANY; i++)
    publish(s.server, "c", "x");
  thread = background_start(free_beside, &beside);
  ck_assert(until(s.client, is_freed, &beside, SOON_MS));
  background_join(thread);
  ck_assert_int_eq(beside.left_then, beside.entered_then); /* none was inside */
  pass(s.client, 30);
  ck_assert_int_eq(atomic_load(&beside.entered), beside.entered_then); /* and none came */
  pthread_mutex_destroy(&ear.lock);
  scene_close(&s);
}
END_TEST

/* The last reference goes inside the callback of a consumer that goes as well. */
static void end_all(struct ear *ear, const pmx_message *m)
{
  (void)m;
  pmx_sub_free(ear->sub);
  pmx_unref(ear->client);
}

START_TEST(the_last_reference_may_go_inside_a_callback)
{
  struct scene s;
  struct ear ear;
  int fds, threads;

  thread_count_begin();
  s.server = server_start(NULL);
  free(server_command(s.server, "PING", NULL));
  fds = fd_count();
  threads = thread_count();
  s.client = open_manner(&manners[_i], manner_url(&manners[_i], s.server), (char *)NULL);
  ear_open(&ear, s.client, false);
  ear.inside = end_all;
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  ck_assert_int_eq(publish(s.server, "c", "1"), 1);
  publish(s.server, "c", "2"); /* which it may be too late for */
  if (in_loop(&manners[_i]))
    pmx_dispatch(s.client, SOON_MS);
  ck_assert(settles_at(fds, threads, SOON_MS));
  ck_assert_int_eq(ear.messages, 1);
  pthread_mutex_destroy(&ear.lock);
  ck_assert(server_stop(s.server));
}
END_TEST

/* ---- fork ---- */

static void in_child(struct scene *s, struct ear *ear, const char *url)
{
  pmx_message m = PMX_MESSAGE_INIT;
  pmx_reply *reply;
  pmx_sub *sub;

  (void)url;
  child_begin();
  must_end(pmx_sub_next(ear->sub, NULL), PMX_NOT_RUN, PMX_CAUSE_FORKED, "next");
  must_end(ear_add(ear, PMX_SUB_CHANNEL, "d"), PMX_NOT_RUN, PMX_CAUSE_FORKED, "add");
  must_end(ear_remove(ear, PMX_SUB_CHANNEL, "c"), PMX_NOT_RUN, PMX_CAUSE_FORKED, "remove");
  pmx_sub_free(ear->sub);
  sub = pmx_sub_new(s->client, NULL, NULL);
  must(sub != NULL, "a new one");
  must(pmx_reply_finish(pmx_sub_add(sub, NULL, PMX_SUB_CHANNEL, "child", 5)) == PMX_OK, "its add");
  must(pmx_reply_finish(pmx_do(s->client, NULL, "PUBLISH", "child", "x", (char *)NULL)) == PMX_OK,
       "publish");
  reply = pmx_sub_next(sub, NULL);
  must(pmx_message_get(reply, &m) == 1 && strcmp(m.data, "x") == 0, "its message");
  pmx_reply_free(reply);
  pmx_sub_free(sub);
  _exit(0);
}

START_TEST(in_the_child_of_a_fork_consumers_are_the_parents)
{
  struct scene s;
  struct ear ear;
  pid_t child;

  scene_open(&s, _i, NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  note_test_pid();
  child = fork_asleep();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    in_child(&s, &ear, manner_url(s.manner, s.server));
  reap(&child);
  ck_assert_int_eq(publish(s.server, "c", "x"), 1);
  ear_check(&ear, "c=x "); /* nothing of it was harmed, and nothing lost */
  ck_assert_uint_eq(stats_of(s.client).gaps, 0);
  ear_close(&ear);
  scene_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("sub_free");

  server_require("sub_free");
  tcase_set_timeout(tc, 60);
  add_for_manners(tc, freed_inside_its_callback_it_is_called_no_more);
  add_for_manners(tc, freed_beside_its_callback_it_waits_for_that);
  add_for_manners(tc, the_last_reference_may_go_inside_a_callback);
  add_for_manners(tc, in_the_child_of_a_fork_consumers_are_the_parents);
  return checks_run("sub_free", tc);
}
