/* SPDX-License-Identifier: BSD-3-Clause */
/* async_inside.c - what may be done inside a callback: begin further calls, make calls and wait,
 * use leases, take what a caller on another thread holds. */
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "behaviour/calling.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

struct scene {
  const struct manner *manner;
  struct server *server;
  pmx_client *client;
};

static void scene_open(struct scene *s, int i)
{
  s->manner = &manners[i];
  s->server = server_start(NULL);
  s->client = open_manner(s->manner, manner_url(s->manner, s->server), "command_timeout", "20s",
                          "pool.wait_timeout", "60s", "pool.max_size", "4", (char *)NULL);
}

static void scene_close(struct scene *s)
{
  close_client(s->client);
  ck_assert(server_stop(s->server));
}

/* ---- further calls ---- */

struct chain {
  pmx_client *client;
  int left, wrong;
  _Atomic int done;
};

static void go_on(void *ud, const pmx_reply *reply)
{
  struct chain *c = ud;

  c->wrong += !pmx_ok(reply);
  if (--c->left == 0)
    atomic_store(&c->done, 1);
  else
    c->wrong += pmx_async(c->client, NULL, go_on, c, "INCR n") != PMX_OK;
}

static bool is_done(void *chain)
{
  return atomic_load(&((struct chain *)chain)->done);
}

START_TEST(callbacks_may_begin_the_next_call)
{
  struct scene s;
  struct chain chains[8];

  scene_open(&s, _i);
  for (int i = 0; i < 8; i++) {
    chains[i] = (struct chain){.client = s.client, .left = 200};
    ck_assert_int_eq(pmx_async(s.client, NULL, go_on, &chains[i], "INCR n"), PMX_OK);
  }
  for (int i = 0; i < 8; i++) {
    ck_assert(until(s.client, is_done, &chains[i], 2 * SOON_MS));
    ck_assert_int_eq(chains[i].wrong, 0);
  }
  ck_assert_int_eq(server_integer(s.server, "GET", "n", NULL), 8 * 200);
  scene_close(&s);
}
END_TEST

/* One begets two, until there are enough; all of them are answered. */
struct tree {
  pmx_client *client;
  _Atomic int begun, ended, wrong;
};

enum { LEAVES = 2000 };

static void branch(void *ud, const pmx_reply *reply)
{
  struct tree *t = ud;

  if (!pmx_ok(reply))
    atomic_fetch_add(&t->wrong, 1);
  for (int i = 0; i < 2 && atomic_load(&t->begun) < LEAVES; i++) {
    atomic_fetch_add(&t->begun, 1);
    if (pmx_async(t->client, NULL, branch, t, "PING") != PMX_OK)
      atomic_fetch_add(&t->wrong, 1);
  }
  atomic_fetch_add(&t->ended, 1);
}

static bool all_ended(void *tree)
{
  return atomic_load(&((struct tree *)tree)->ended) >= LEAVES;
}

START_TEST(calls_begun_in_callbacks_travel_together)
{
  struct scene s;
  struct tree t = {.begun = 1};
  pmx_stats before, after;

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  before = stats_of(s.client);
  t.client = s.client;
  ck_assert_int_eq(pmx_async(s.client, NULL, branch, &t, "PING"), PMX_OK);
  ck_assert(until(s.client, all_ended, &t, 2 * SOON_MS));
  after = stats_of(s.client);
  ck_assert_int_eq(t.wrong, 0);
  ck_assert_int_eq(t.ended, LEAVES);
  if (strategy_has(s.manner->strategy, SHARES)) {
    printf("io=%s: %llu writes for %d calls\n", s.manner->io,
           (unsigned long long)(after.writes - before.writes), (int)LEAVES);
    ck_assert_uint_lt(after.writes - before.writes, LEAVES / 4);
  }
  scene_close(&s);
}
END_TEST

/* ---- calls that wait ---- */

struct inside {
  struct told *others;
  int wrong, others_told;
  int64_t took_ms;
};

static void count(struct inside *in, pmx_reply *reply)
{
  in->wrong += pmx_reply_finish(reply) != PMX_OK;
}

static void call_inside(struct told *t, const pmx_reply *reply)
{
  struct inside *in = t->arg;
  int64_t begin = pmx_now_ms();

  in->wrong += !pmx_ok(reply);
  for (int i = 0; i < 20; i++) {
    count(in, pmx_command(t->client, "SET k:%d %d", i, i));
    count(in, pmx_command(t->client, "GET k:%d", i));
  }
  count(in, pmx_future_take(pmx_submit(t->client, NULL, "PING")));
  for (int i = 0; i < 20; i++)
    in->others_told += is_told(&in->others[i]);
  in->took_ms = pmx_now_ms() - begin;
}

/* Other callbacks wait meanwhile, though their replies are there. */
START_TEST(a_call_inside_a_callback_works_and_holds_up_the_others)
{
  struct scene s;
  struct told told = {.inside = call_inside}, others[20] = {{0}};
  struct inside in = {.others = others};

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  told.arg = &in;
  server_pause(s.server);
  ask(s.client, &told, NULL, "PING");
  for (int i = 0; i < 20; i++)
    ask(s.client, &others[i], NULL, "PING");
  server_resume(s.server);
  ck_assert(until(s.client, is_told, &told, SOON_MS));
  ck_assert(all_told(others, 20, SOON_MS));
  ck_assert_int_eq(in.wrong, 0);
  if (strategy_has(s.manner->strategy, SHARES))
    ck_assert_int_eq(in.others_told, 0); /* it was the first on its lane */
  for (int i = 0; i < 20; i++)
    ck_assert(pmx_ok(others[i].reply));
  told_clear(others, 20);
  told_clear(&told, 1);
  scene_close(&s);
}
END_TEST

static void call_late(struct told *t, const pmx_reply *reply)
{
  pmx_call call = call_in(80);
  struct inside *in = t->arg;
  int64_t limit = pmx_now_ms() + 80;

  (void)reply;
  in->wrong = (int)pmx_reply_cause(reply);
  in->others_told = (int)pmx_reply_finish(pmx_command_call(t->client, &call, "SET k v"));
  in->took_ms = pmx_now_ms() - limit;
}

START_TEST(a_call_inside_a_callback_keeps_its_deadline)
{
  struct scene s;
  struct told told = {.inside = call_late};
  struct inside in = {0};
  pmx_call call = call_in(50);

  scene_open(&s, _i);
  told.arg = &in;
  check_is_ok(pmx_command(s.client, "PING"));
  server_pause(s.server);
  ask(s.client, &told, &call, "PING");
  ck_assert(until(s.client, is_told, &told, SOON_MS));
  ck_assert_int_eq(in.wrong, PMX_CAUSE_TIMEOUT);
  ck_assert(in.others_told == PMX_UNKNOWN || in.others_told == PMX_NOT_RUN);
  ck_assert_int_lt(in.took_ms, HANG_MS);
  told_clear(&told, 1);
  server_resume(s.server);
  scene_close(&s);
}
END_TEST

static void use_lease(struct told *t, const pmx_reply *reply)
{
  struct inside *in = t->arg;
  pmx_lease *lease = pmx_acquire(t->client, NULL, NULL);

  in->wrong += !pmx_ok(reply) || !lease;
  if (!lease)
    return;
  count(in, pmx_lease_command(lease, NULL, "MULTI"));
  count(in, pmx_lease_command(lease, NULL, "INCR n"));
  count(in, pmx_lease_command(lease, NULL, "EXEC"));
  in->wrong += pmx_release(lease) != PMX_OK;
}

START_TEST(a_lease_may_be_used_inside_a_callback)
{
  struct scene s;
  struct told told[10] = {{0}};
  struct inside in = {0};

  if (!strategy_has(manners[_i].strategy, LEASES))
    return;
  scene_open(&s, _i);
  for (int i = 0; i < 10; i++) {
    told[i].inside = use_lease;
    told[i].arg = &in;
    ask(s.client, &told[i], NULL, "PING");
  }
  ck_assert(all_told(told, 10, SOON_MS));
  ck_assert_int_eq(in.wrong, 0);
  ck_assert_int_eq(server_integer(s.server, "GET", "n", NULL), 10);
  told_clear(told, 10);
  scene_close(&s);
}
END_TEST

/* ---- what others hold ---- */

struct holder {
  pmx_client *client;
  pthread_mutex_t mutex;
  _Atomic int stop, calls, failed;
};

static void call_with_mutex(void *arg)
{
  struct holder *h = arg;
  pmx_call alone = call_alone(h->client, PMX_DEFAULT);

  while (!atomic_load(&h->stop)) {
    pthread_mutex_lock(&h->mutex);
    for (int i = 0; i < 5; i++) {
      if (pmx_reply_finish(pmx_command_call(h->client, i % 2 ? &alone : NULL, "INCR n")) != PMX_OK)
        atomic_fetch_add(&h->failed, 1);
      atomic_fetch_add(&h->calls, 1);
    }
    pthread_mutex_unlock(&h->mutex);
    sleep_ms(1);
  }
}

static void take_mutex(struct told *t, const pmx_reply *reply)
{
  struct holder *h = t->arg;

  (void)reply;
  pthread_mutex_lock(&h->mutex);
  pthread_mutex_unlock(&h->mutex);
}

static bool is_calling(void *holder)
{
  return atomic_load(&((struct holder *)holder)->calls) > 0;
}

/* A caller never runs somebody else's callback, and what it waits for needs none. */
START_TEST(a_callback_may_take_a_mutex_that_a_caller_holds)
{
  struct scene s;
  struct holder h = {.mutex = PTHREAD_MUTEX_INITIALIZER};
  struct background *thread;
  pmx_call alone;
  struct guard *guard = guard_start("a_callback_may_take_a_mutex_that_a_caller_holds", 30000);

  scene_open(&s, _i);
  h.client = s.client;
  ck_assert_int_eq(pmx_client_set(s.client, "pool.min_idle", "4"), PMX_OK);
  alone = call_alone(s.client, PMX_DEFAULT);
  if (strategy_has(s.manner->strategy, LEASES)) {
    for (int64_t end = now_ms() + SOON_MS; stats_of(s.client).idle < 4 && now_ms() < end;)
      pass(s.client, 5);
  }
  thread = background_start(call_with_mutex, &h);
  ck_assert(until(s.client, is_calling, &h, SOON_MS));
  for (int round = 0; round < 30; round++) {
    struct told told[2] = {{.inside = take_mutex, .arg = &h}, {.inside = take_mutex, .arg = &h}};

    ask(s.client, &told[0], NULL, "PING");
    ask(s.client, &told[1], &alone, "PING");
    ck_assert(all_told(told, 2, SOON_MS));
    told_clear(told, 2);
  }
  atomic_store(&h.stop, 1);
  background_join(thread);
  ck_assert_int_eq(h.failed, 0);
  guard_stop(guard);
  scene_close(&s);
}
END_TEST

/* ---- while the last reference goes ---- */

/* The reference that others gave up is none to build on, but nothing that is taken and dropped here
 * may end the client a second time. */
static void refer(struct told *t, const pmx_reply *reply)
{
  (void)reply;
  pmx_unref(pmx_ref(t->client));
  check_fails(pmx_future_take(pmx_submit(t->client, NULL, "PING")), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  pmx_future_free(pmx_submit(t->client, NULL, "PING"));
}

START_TEST(a_client_that_ends_ends_once_whatever_its_last_callbacks_refer_to)
{
  struct scene s;
  struct told told[2] = {{.inside = refer}, {.inside = refer}};

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "PING"));
  server_pause(s.server);
  ask(s.client, &told[0], NULL, "PING");
  ask(s.client, &told[1], NULL, "PING");
  pmx_unref(s.client);
  ck_assert_int_eq(told[0].times, 1);
  ck_assert_int_eq(told[1].times, 1);
  told_clear(told, 2);
  server_resume(s.server);
  ck_assert(server_stop(s.server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("async_inside");

  manners_brief();
  server_require("async_inside");
  add_for_manners(tc, callbacks_may_begin_the_next_call);
  add_for_manners(tc, calls_begun_in_callbacks_travel_together);
  add_for_manners(tc, a_call_inside_a_callback_works_and_holds_up_the_others);
  add_for_manners(tc, a_call_inside_a_callback_keeps_its_deadline);
  add_for_manners(tc, a_lease_may_be_used_inside_a_callback);
  add_for_manners(tc, a_callback_may_take_a_mutex_that_a_caller_holds);
  add_for_manners(tc, a_client_that_ends_ends_once_whatever_its_last_callbacks_refer_to);
  return checks_run("async_inside", tc);
}
