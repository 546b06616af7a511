/* SPDX-License-Identifier: BSD-3-Clause */
/* check_cancel.c - tests cancel tokens and the end of requests: who is woken, when nobody may be
 * touched any more, and what a fork leaves usable. */
#include <check.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/parkers.h"
#include "call/cancel.h"
#include "call/request.h"

enum { ROUNDS = 3000 };

struct waiter {
  struct cancel_hook hook;
  struct parker parker;
  _Atomic int wakes;
};

static void wake_waiter(struct cancel_hook *hook)
{
  struct waiter *w = container_of(hook, struct waiter, hook);

  atomic_fetch_add(&w->wakes, 1);
  parker_wake(&w->parker);
}

static void waiter_init(struct waiter *w)
{
  memset(w, 0, sizeof *w);
  parker_init(&w->parker);
}

/* ---- tokens ---- */

START_TEST(firing_wakes_every_attached_hook_and_no_other)
{
  pmx_cancel *token = pmx_cancel_new(), *other = pmx_cancel_new();
  struct waiter w[3];

  for (int i = 0; i < 3; i++)
    waiter_init(&w[i]);
  cancel_attach(token, &w[0].hook, wake_waiter);
  cancel_attach(token, &w[1].hook, wake_waiter);
  cancel_attach(other, &w[2].hook, wake_waiter);
  cancel_detach(&w[1].hook);
  cancel_detach(&w[1].hook);
  ck_assert(!cancel_fired(token));
  pmx_cancel_fire(token);
  ck_assert(cancel_fired(token));
  ck_assert(!cancel_fired(other));
  ck_assert_int_eq(w[0].wakes, 1);
  ck_assert_int_eq(w[1].wakes, 0);
  ck_assert_int_eq(w[2].wakes, 0);
  cancel_detach(&w[0].hook);
  cancel_detach(&w[2].hook);
  pmx_cancel_free(token);
  pmx_cancel_free(other);
}
END_TEST

START_TEST(a_fired_token_wakes_at_once_and_stays_fired)
{
  pmx_cancel *token = pmx_cancel_new();
  struct waiter w;

  waiter_init(&w);
  pmx_cancel_fire(token);
  cancel_attach(token, &w.hook, wake_waiter);
  ck_assert_int_eq(w.wakes, 1);
  ck_assert(cancel_fired(token));
  cancel_detach(&w.hook);
  pmx_cancel_free(token);
}
END_TEST

START_TEST(no_token_is_no_cancellation)
{
  struct waiter w;

  waiter_init(&w);
  ck_assert(!cancel_fired(NULL));
  cancel_attach(NULL, &w.hook, wake_waiter);
  cancel_detach(&w.hook);
  pmx_cancel_fire(NULL);
  pmx_cancel_free(NULL);
  ck_assert_int_eq(w.wakes, 0);
  mem_fail_at(1, 0);
  ck_assert_ptr_null(pmx_cancel_new());
  mem_fail_at(0, 0);
}
END_TEST

START_TEST(a_token_freed_during_a_call_lives_until_its_end)
{
  pmx_cancel *token = pmx_cancel_new();
  struct waiter w[2];

  for (int i = 0; i < 2; i++) {
    waiter_init(&w[i]);
    cancel_attach(token, &w[i].hook, wake_waiter);
  }
  pmx_cancel_free(token);
  ck_assert(!cancel_fired(w[0].hook.token));
  cancel_detach(&w[0].hook);
  ck_assert(!cancel_fired(w[1].hook.token));
  cancel_detach(&w[1].hook); /* the address sanitizer sees that this one frees it */
}
END_TEST

/* A caller that hangs itself on a fresh token on its stack again and again. */
struct race {
  _Atomic(pmx_cancel *) token;
  _Atomic int round;
};

static void fire_each_round(void *arg)
{
  struct race *race = arg;

  for (int i = 1; i <= ROUNDS; i++) {
    pmx_cancel *token;

    while (atomic_load(&race->round) < i)
      sched_yield();
    token = atomic_exchange(&race->token, NULL);
    pmx_cancel_fire(token);
    pmx_cancel_free(token);
  }
}

START_TEST(attach_fire_and_free_race_without_a_lost_wake)
{
  struct race race = {.round = 0};
  struct thread thread;

  ck_assert_int_eq(thread_start(&thread, "fire", fire_each_round, &race), 0);
  for (int i = 1; i <= ROUNDS; i++) {
    pmx_cancel *token = pmx_cancel_new();
    struct waiter w;

    waiter_init(&w);
    cancel_attach(token, &w.hook, wake_waiter);
    atomic_store(&race.token, token);
    atomic_store(&race.round, i);
    for (;;) {
      uint32_t ticket = parker_ticket(&w.parker);

      if (cancel_fired(token) && atomic_load(&w.wakes))
        break;
      parker_park(&w.parker, ticket, TIME_FOREVER);
    }
    cancel_detach(&w.hook); /* afterwards the waiter's stack may vanish */
    parker_destroy(&w.parker);
    memset(&w, 0xdd, sizeof w);
  }
  thread_join(&thread);
}
END_TEST

/* ---- fork ---- */

static struct {
  pmx_cancel *token;
  struct parker in_lock, leave;
  _Atomic int locked, left;
} holder;

static void hold_the_lock(struct cancel_hook *hook)
{
  (void)hook;
  atomic_store(&holder.locked, 1);
  parker_wake(&holder.in_lock);
  while (!atomic_load(&holder.left))
    parker_park(&holder.leave, parker_ticket(&holder.leave), clock_ns() + NS_PER_MS);
}

static void fire_and_hold(void *arg)
{
  struct cancel_hook hook;

  (void)arg;
  cancel_attach(holder.token, &hook, hold_the_lock);
  pmx_cancel_fire(holder.token);
  cancel_detach(&hook);
}

/* In the child: the holder of the lock does not exist. */
static int use_token_in_child(struct waiter *before_fork)
{
  struct waiter w;

  waiter_init(&w);
  if (!cancel_fired(holder.token))
    return 1;
  cancel_detach(&before_fork->hook);
  cancel_attach(holder.token, &w.hook, wake_waiter);
  if (atomic_load(&w.wakes) != 1)
    return 2;
  pmx_cancel_fire(holder.token);
  if (atomic_load(&w.wakes) != 2 || atomic_load(&before_fork->wakes) != 0)
    return 3;
  cancel_detach(&w.hook);
  pmx_cancel_free(holder.token);
  return 0;
}

START_TEST(a_token_locked_at_the_fork_works_in_the_child)
{
  struct waiter before_fork;
  struct thread thread;
  int status = 0;
  pid_t pid;

  holder.token = pmx_cancel_new();
  parker_init(&holder.in_lock);
  parker_init(&holder.leave);
  waiter_init(&before_fork);
  ck_assert_int_eq(thread_start(&thread, "hold", fire_and_hold, NULL), 0);
  while (!atomic_load(&holder.locked))
    parker_park(&holder.in_lock, parker_ticket(&holder.in_lock), clock_ns() + NS_PER_MS);
  before_fork.hook = (struct cancel_hook){.token = holder.token, .generation = fork_generation()};
  pid = fork();
  if (pid == 0)
    _exit(use_token_in_child(&before_fork));
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
  atomic_store(&holder.left, 1);
  parker_wake(&holder.leave);
  thread_join(&thread);
  parker_destroy(&holder.in_lock);
  parker_destroy(&holder.leave);
  pmx_cancel_free(holder.token);
}
END_TEST

/* ---- requests ---- */

static pmx_reply *const a_reply = (pmx_reply *)(void *)&holder; /* never looked into */

START_TEST(a_new_request_is_on_no_list_and_has_no_deadline)
{
  struct request r;

  memset(&r, 0xee, sizeof r);
  request_init(&r, REQUEST_LEASE);
  ck_assert_int_eq(r.kind, REQUEST_LEASE);
  ck_assert_int_eq(request_state(&r), REQUEST_NEW);
  ck_assert(!list_linked(&r.node));
  ck_assert_int_eq(r.deadline, TIME_FOREVER);
  ck_assert_ptr_null(r.reply);
  ck_assert_ptr_null(r.done);
  ck_assert_ptr_null(r.parker);
  request_set_state(&r, REQUEST_SENT);
  ck_assert_int_eq(request_state(&r), REQUEST_SENT);
}
END_TEST

static void free_it(struct request *r)
{
  ck_assert_ptr_eq(r->reply, a_reply);
  ck_assert_int_eq(request_state(r), REQUEST_SENT);
  free(r);
}

START_TEST(done_may_free_the_request)
{
  struct request *r = malloc(sizeof *r);

  request_init(r, REQUEST_COMMAND);
  request_set_state(r, REQUEST_SENT);
  r->done = free_it;
  request_end(r, a_reply);
}
END_TEST

static _Atomic(struct request *) handed;

static void end_each_round(void *arg)
{
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    struct request *r;

    while ((r = atomic_exchange(&handed, NULL)) == NULL)
      sched_yield();
    r->done = i % 2 ? request_publish : NULL;
    request_end(r, a_reply);
  }
}

START_TEST(an_ended_request_is_never_touched_again)
{
  struct parker_slab slab;
  struct parker *parker;
  struct thread thread;

  parker_slab_init(&slab);
  parker = parker_get(&slab);
  ck_assert_int_eq(thread_start(&thread, "end", end_each_round, NULL), 0);
  for (int i = 0; i < ROUNDS; i++) {
    struct request *r = malloc(sizeof *r);

    request_init(r, REQUEST_COMMAND);
    r->parker = parker;
    atomic_store(&handed, r);
    for (;;) {
      uint32_t ticket = parker_ticket(parker);

      if (request_state(r) == REQUEST_ENDED)
        break;
      parker_park(parker, ticket, TIME_FOREVER);
    }
    ck_assert_ptr_eq(r->reply, a_reply);
    free(r);
  }
  thread_join(&thread);
  parker_slab_destroy(&slab);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      firing_wakes_every_attached_hook_and_no_other,
      a_fired_token_wakes_at_once_and_stays_fired,
      no_token_is_no_cancellation,
      a_token_freed_during_a_call_lives_until_its_end,
      attach_fire_and_free_race_without_a_lost_wake,
      a_token_locked_at_the_fork_works_in_the_child,
      a_new_request_is_on_no_list_and_has_no_deadline,
      done_may_free_the_request,
      an_ended_request_is_never_touched_again,
  };
  Suite *suite = suite_create("cancel");
  TCase *tc = tcase_create("cancel");
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
