/* SPDX-License-Identifier: BSD-3-Clause */
/* async_fork.c - callbacks, futures and loops on both sides of a fork: what was begun before is the
 * parent's alone, and the child begins anew. In the child no callback of the parent's may run. */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behaviour/calling.h"
#include "behaviour/forking.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { MANY = 50 };

struct scene {
  const struct manner *manner;
  struct server *server;
  pmx_client *client;
  struct told told[MANY];
};

static void scene_open(struct scene *s, int i)
{
  memset(s, 0, sizeof *s);
  s->manner = &manners[i];
  s->server = server_start(NULL);
  s->client = open_manner(s->manner, manner_url(s->manner, s->server), "pool.wait_timeout", "60s",
                          "command_timeout", "20s", (char *)NULL);
  check_is_ok(pmx_command(s->client, "PING"));
}

static void ask_many(struct scene *s)
{
  for (int i = 0; i < MANY; i++)
    ask(s->client, &s->told[i], NULL, "ECHO %d", i);
}

static void scene_close(struct scene *s)
{
  ck_assert(all_told(s->told, MANY, SOON_MS));
  for (int i = 0; i < MANY; i++)
    ck_assert_int_eq(pmx_reply_int(s->told[i].reply, NULL), i);
  told_clear(s->told, MANY);
  close_client(s->client);
  ck_assert(server_stop(s->server));
}

/* ---- in the child, where nothing may be asserted ---- */

static void child_ask(pmx_client *client)
{
  struct told told = {.client = client};

  must(pmx_async(client, NULL, tell, &told, "ECHO child") == PMX_OK,
       "it can be begun in the child");
  must(until(client, is_told, &told, CHILD_MS), "the callback runs in the child");
  must(pmx_ok(told.reply) && strcmp(pmx_reply_str(told.reply, NULL), "child") == 0,
       "with its own reply");
  pmx_reply_free(told.reply);
}

static void child_future(pmx_client *client)
{
  pmx_future *future = pmx_submit(client, NULL, "ECHO future");
  pmx_reply *reply = pmx_future_take(future);

  must(pmx_ok(reply) && strcmp(pmx_reply_str(reply, NULL), "future") == 0,
       "a future of the child's own has its reply");
  pmx_reply_free(reply);
}

static void child_all(struct scene *s)
{
  child_ask(s->client);
  child_future(s->client);
  child_ask(s->client);
  must(pmx_close(s->client, 1000) == 1, "it can be closed in the child");
  pmx_unref(s->client);
}

/* ---- calls under way ---- */

START_TEST(callbacks_begun_before_a_fork_run_in_the_parent_only)
{
  struct scene s;
  int before;
  pid_t pid;

  scene_open(&s, _i);
  server_pause(s.server);
  ask_many(&s);
  before = pmx_client_fd(s.client);
  pid = fork_asleep();
  if (pid == 0) {
    child_begin();
    must(before < 0 || fcntl(before, F_GETFD) < 0, "the parent's descriptor is closed");
    child_all(&s);
    for (int i = 0; i < MANY; i++)
      must(s.told[i].times == 0, "no callback of the parent's runs in the child");
    exit(EXIT_SUCCESS);
  }
  server_resume(s.server);
  reap(&pid);
  scene_close(&s);
}
END_TEST

START_TEST(futures_begun_before_a_fork_are_forked_in_the_child)
{
  struct scene s;
  pmx_future *pending[3], *ready;
  pid_t pid;

  scene_open(&s, _i);
  ready = pmx_submit(s.client, NULL, "ECHO before");
  ck_assert_int_eq(pmx_future_wait(ready, SOON_MS), 1);
  server_pause(s.server);
  for (int i = 0; i < 3; i++)
    pending[i] = pmx_submit(s.client, NULL, "ECHO %d", i);
  pid = fork_asleep();
  if (pid == 0) {
    pmx_reply *reply;

    child_begin();
    must(pmx_future_wait(pending[0], CHILD_MS) == 1, "there is an outcome to take");
    must(pmx_future_wait_any(pending, 3, CHILD_MS) == 0, "of any");
    must_end(pmx_future_take(pending[0]), PMX_UNKNOWN, PMX_CAUSE_FORKED, "pending: it is FORKED");
    pmx_future_free(pending[1]);
    reply = pmx_future_take(ready);
    must(pmx_ok(reply), "what was there before the fork is there in the child");
    pmx_reply_free(reply);
    child_all(&s);
    must_end(pmx_future_take(pending[2]), PMX_UNKNOWN, PMX_CAUSE_FORKED, "also of a closed client");
    exit(EXIT_SUCCESS);
  }
  server_resume(s.server);
  reap(&pid);
  for (int i = 0; i < 3; i++)
    check_int(pmx_future_take(pending[i]), i);
  pmx_reply_free(pmx_future_take(ready));
  ask_many(&s);
  scene_close(&s);
}
END_TEST

START_TEST(a_token_fired_in_the_child_ends_nothing_of_the_parents)
{
  struct scene s;
  struct told told = {0};
  pmx_call call = call_in(SOON_MS);
  pid_t pid;

  scene_open(&s, _i);
  call.cancel = pmx_cancel_new();
  server_pause(s.server);
  ask(s.client, &told, &call, "PING");
  pid = fork_asleep();
  if (pid == 0) {
    child_begin();
    pmx_cancel_fire(call.cancel);
    must(pmx_async(s.client, &call, tell, &told, "PING") == PMX_NOT_RUN, "it is fired there");
    pmx_cancel_free(call.cancel);
    child_all(&s);
    exit(EXIT_SUCCESS);
  }
  server_resume(s.server);
  reap(&pid);
  check_is_ok(outcome(&told));
  pmx_cancel_free(call.cancel);
  ask_many(&s);
  scene_close(&s);
}
END_TEST

/* ---- inside a callback ---- */

static void fork_inside(struct told *t, const pmx_reply *reply)
{
  (void)reply;
  *(pid_t *)t->arg = fork();
  if (*(pid_t *)t->arg != 0)
    return;
  child_begin();
  child_ask(t->client);
  child_future(t->client);
  _exit(EXIT_SUCCESS);
}

START_TEST(fork_inside_a_callback_leaves_both_sides_a_working_client)
{
  struct scene s;
  struct told told = {.inside = fork_inside};
  pid_t pid = 0;

  scene_open(&s, _i);
  told.arg = &pid;
  ask(s.client, &told, NULL, "PING");
  if (SANITIZED)
    ck_assert(until(s.client, is_told, &told, SOON_MS));
  ask_many(&s);
  ck_assert(until(s.client, is_told, &told, SOON_MS));
  reap(&pid);
  told_clear(&told, 1);
  scene_close(&s);
}
END_TEST

/* Of the last fork: its result, and how many callbacks had run. */
static pid_t forked;
static int told_before;

static int times_told(const struct scene *s)
{
  int times = 0;

  for (int i = 0; i < MANY; i++)
    times += s->told[i].times;
  return times;
}

static void fork_and_return(struct told *t, const pmx_reply *reply)
{
  (void)reply;
  told_before = times_told(t->arg);
  forked = fork();
}

/* In a loop the child goes on where the application dispatched. */
START_TEST(the_child_of_a_callback_in_a_loop_may_return_from_dispatch)
{
  struct scene s;
  struct told told = {.inside = fork_and_return, .arg = &s};

  scene_open(&s, _i);
  server_pause(s.server);
  ask(s.client, &told, NULL, "PING");
  ask_many(&s);
  server_resume(s.server);
  ck_assert(until(s.client, is_told, &told, SOON_MS));
  if (forked == 0) {
    child_begin();
    child_all(&s);
    must(times_told(&s) == told_before, "no other callback of the parent's runs in the child");
    exit(EXIT_SUCCESS);
  }
  reap(&forked);
  told_clear(&told, 1);
  scene_close(&s);
}
END_TEST

/* The last reference goes, and a callback that is run for that forks. */
START_TEST(the_child_of_a_callback_that_runs_while_a_loop_ends_may_return_too)
{
  struct scene s;
  struct told told[2] = {{.inside = fork_and_return, .arg = &s}, {.arg = NULL}};

  scene_open(&s, _i);
  server_pause(s.server);
  ask(s.client, &told[0], NULL, "PING");
  ask_many(&s);
  ask(s.client, &told[1], NULL, "PING");
  pmx_unref(s.client);
  if (forked == 0) {
    child_begin();
    must(times_told(&s) == told_before, "no other callback of the parent's runs in the child");
    must(told_before == MANY || told[1].times == 0, "nor does the last");
    exit(EXIT_SUCCESS);
  }
  ck_assert_int_eq(times_told(&s), MANY);
  reap(&forked);
  told_clear(told, 2);
  told_clear(s.told, MANY);
  server_resume(s.server);
  ck_assert(server_stop(s.server));
}
END_TEST

static int lines;

static void fork_in_line(void *ud, pmx_log_level level, const char *component, const char *message)
{
  (void)ud, (void)level, (void)component, (void)message;
  if (++lines == 1)
    forked = fork();
}

START_TEST(lines_of_the_parent_are_not_repeated_in_the_child)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_options *options = options_for(manner->strategy);
  pmx_client *client;

  lines = 0;
  pmx_options_set(options, "io", manner->io);
  pmx_options_set_log(options, fork_in_line, PMX_LOG_WARN, NULL);
  client = open_client_with(manner_url(manner, server), options);
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(pmx_client_set(client, "no.such", "option"), PMX_INVALID);
  ck_assert_int_eq(pmx_dispatch(client, SOON_MS), forked ? 5 : 1);
  if (forked == 0) {
    child_begin();
    must(lines == 1, "only the one in which it was forked");
    child_ask(client);
    exit(EXIT_SUCCESS);
  }
  reap(&forked);
  ck_assert_int_eq(lines, 5);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- while other threads are inside ---- */

struct insider {
  pmx_client *client;
  _Atomic int stop;
};

static void dispatch_on(void *arg)
{
  struct insider *in = arg;

  while (!atomic_load(&in->stop)) {
    if (pmx_dispatch(in->client, 5) < 0)
      sleep_ms(1);
  }
}

static void wait_on(void *arg)
{
  struct insider *in = arg;

  while (!atomic_load(&in->stop))
    pmx_reply_free(pmx_future_take(pmx_submit(in->client, NULL, "PING")));
}

START_TEST(fork_beside_threads_that_dispatch_and_wait)
{
  struct scene s;
  struct insider in = {NULL, 0};
  struct background *threads[2];

  scene_open(&s, _i);
  in.client = s.client;
  threads[0] = background_start(dispatch_on, &in);
  threads[1] = background_start(wait_on, &in);
  for (int i = 0; i < 10; i++) {
    pid_t pid;

    sleep_ms(2);
    pid = fork();
    if (pid == 0) {
      child_begin();
      child_all(&s);
      _exit(EXIT_SUCCESS);
    }
    reap(&pid);
  }
  atomic_store(&in.stop, 1);
  for (int i = 0; i < 2; i++)
    background_join(threads[i]);
  ask_many(&s);
  scene_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("async_fork");

  server_require("async_fork");
  tcase_add_checked_fixture(tc, note_test_pid, NULL);
  add_for_manners(tc, callbacks_begun_before_a_fork_run_in_the_parent_only);
  add_for_manners(tc, futures_begun_before_a_fork_are_forked_in_the_child);
  add_for_manners(tc, a_token_fired_in_the_child_ends_nothing_of_the_parents);
  add_for_manners(tc, fork_inside_a_callback_leaves_both_sides_a_working_client);
  add_for_io("loop", tc, the_child_of_a_callback_in_a_loop_may_return_from_dispatch);
  add_for_io("loop", tc, the_child_of_a_callback_that_runs_while_a_loop_ends_may_return_too);
  add_for_io("loop", tc, lines_of_the_parent_are_not_repeated_in_the_child);
  if (!SANITIZED)
    add_for_manners(tc, fork_beside_threads_that_dispatch_and_wait);
  return checks_run("async_fork", tc);
}
