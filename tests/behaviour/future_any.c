/* SPDX-License-Identifier: BSD-3-Clause */
/* future_any.c - waiting for the first of many futures: of several connections, lanes and clients,
 * with threads and in loops, outside and inside callbacks. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/calling.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

static void end_all(pmx_future **futures, int n)
{
  for (int i = 0; i < n; i++)
    check_is_ok(pmx_future_take(futures[i]));
}

START_TEST(the_first_that_is_ready_is_found)
{
  const struct manner *manner = &manners[_i];
  struct server *silent = server_start(NULL), *quick = server_start(NULL);
  pmx_client *a = open_manner(manner, manner_url(manner, silent), "command_timeout", "20s", NULL);
  pmx_client *b = open_manner(manner, manner_url(manner, quick), NULL);
  pmx_future *futures[3];
  int64_t begin;

  check_is_ok(pmx_command(a, "PING"));
  server_pause(silent);
  for (int at = 0; at < 3; at++) {
    for (int i = 0; i < 3; i++)
      futures[i] = pmx_submit(i == at ? b : a, NULL, "PING");
    begin = pmx_now_ms();
    ck_assert_int_eq(pmx_future_wait_any(futures, 3, SOON_MS), at);
    check_on_time("the first of three", begin);
    ck_assert_int_eq(pmx_future_wait_any(futures, 3, 0), at);
    check_is_ok(pmx_future_take(futures[at]));
    futures[at] = futures[2];
    ck_assert_int_eq(pmx_future_wait_any(futures, 2, 20), -1);
    server_resume(silent);
    end_all(futures, 2);
    server_pause(silent);
  }
  server_resume(silent);
  close_client(a);
  close_client(b);
  ck_assert(server_stop(silent));
  ck_assert(server_stop(quick));
}
END_TEST

/* Whatever runs the one client must not keep the other from being run. */
START_TEST(futures_of_clients_of_all_manners_may_be_waited_for_together)
{
  struct server *server = server_start(NULL), *silent = server_start(NULL);
  pmx_client *clients[16];
  pmx_future *futures[16];
  int64_t begin;

  for (int i = 0; i < 16; i++) {
    const struct manner *manner = &manners[i % 8];

    clients[i] = open_manner(manner, manner_url(manner, i < 8 ? silent : server), "command_timeout",
                             "20s", NULL);
    check_is_ok(pmx_command(clients[i], "PING"));
  }
  server_pause(silent);
  for (int k = 8; k < 16; k++) {
    for (int i = 0; i < 9; i++)
      futures[i] = pmx_submit(clients[i < 8 ? i : k], NULL, "PING");
    begin = pmx_now_ms();
    ck_assert_int_eq(pmx_future_wait_any(futures, 9, SOON_MS / 2), 8);
    check_on_time("one of nine clients", begin);
    check_is_ok(pmx_future_take(futures[8]));
    for (int i = 0; i < 8; i++)
      pmx_future_free(futures[i]);
  }
  server_resume(silent);
  for (int i = 0; i < 16; i++) {
    pmx_close(clients[i], SOON_MS);
    pmx_unref(clients[i]);
  }
  ck_assert(server_stop(server));
  ck_assert(server_stop(silent));
}
END_TEST

/* Each submits from a thread of its own, and so, with mux, on a lane of its own. */
enum { LANES = 3 };

struct lanes {
  pmx_client *client;
  pmx_future *futures[LANES];
};

static void submit_in_thread(int i, void *arg)
{
  struct lanes *l = arg;

  l->futures[i] = pmx_submit(l->client, NULL, "ECHO %d", i);
}

START_TEST(futures_of_several_lanes_may_be_waited_for_together)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  struct lanes l;
  int64_t sum = 0;

  l.client = open_manner(manner, manner_url(manner, server), "mux.lanes", "3", NULL);
  for (int round = 0; round < 20; round++) {
    run_threads(LANES, submit_in_thread, &l);
    for (int left = LANES; left > 0; left--) {
      int at = pmx_future_wait_any(l.futures, (size_t)left, SOON_MS);

      pmx_reply *reply;

      ck_assert_int_ge(at, 0);
      reply = pmx_future_take(l.futures[at]);
      sum += pmx_reply_int(reply, NULL);
      check_is_ok(reply);
      l.futures[at] = l.futures[left - 1];
    }
  }
  ck_assert_int_eq(sum, 20 * (0 + 1 + 2));
  if (strategy_has(manner->strategy, SHARES))
    ck_assert_uint_eq(stats_of(l.client).opened, LANES);
  close_client(l.client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(hundreds_may_be_waited_for_and_one_may_stand_twice)
{
  enum { MANY = 200 };
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_manner(manner, manner_url(manner, server), "pool.wait_timeout", "60s", NULL);
  pmx_future *futures[MANY + 1];

  check_is_ok(pmx_command(client, "PING"));
  server_pause(server);
  for (int i = 0; i < MANY; i++)
    futures[i] = pmx_submit(client, NULL, "PING");
  futures[MANY] = futures[0];
  ck_assert_int_eq(pmx_future_wait_any(futures, MANY + 1, 20), -1);
  server_resume(server);
  for (int left = MANY; left > 0; left--) {
    int at = pmx_future_wait_any(futures, (size_t)left, SOON_MS);

    ck_assert_int_ge(at, 0);
    check_is_ok(pmx_future_take(futures[at]));
    futures[at] = futures[left - 1];
  }
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(nothing_to_wait_for_is_never_ready)
{
  pmx_future *none[2] = {NULL, NULL};

  ck_assert_int_eq(pmx_future_wait_any(NULL, 5, 1000), -1);
  ck_assert_int_eq(pmx_future_wait_any(none, 0, 1000), -1);
  ck_assert_int_eq(pmx_future_wait_any(none, 2, 1000), 0);
}
END_TEST

/* ---- inside a callback ---- */

struct inside {
  pmx_client *other;
  int found, own;
};

static void wait_inside(struct told *t, const pmx_reply *reply)
{
  struct inside *in = t->arg;
  pmx_future *futures[2];

  (void)reply;
  futures[0] = pmx_submit(t->client, NULL, "ECHO own");
  in->own = pmx_future_wait(futures[0], SOON_MS);
  futures[1] = pmx_submit(in->other, NULL, "ECHO other");
  pmx_future_free(futures[0]);
  futures[0] = futures[1];
  in->found = pmx_future_wait_any(futures, 2, SOON_MS); /* it may get ready between two looks */
  pmx_future_free(futures[0]);
}

/* Its own client goes on meanwhile; another one in a loop is run if need be. */
START_TEST(futures_may_be_waited_for_inside_a_callback)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), NULL);

  for (int k = 0; k < manner_count; k++) {
    struct inside in = {.found = -2};
    struct told told = {.inside = wait_inside, .arg = &in};
    int64_t begin = pmx_now_ms();

    in.other = open_manner(&manners[k], manner_url(&manners[k], server), NULL);
    ask(client, &told, NULL, "PING");
    check_is_ok(outcome(&told));
    ck_assert_int_eq(in.own, 1);
    ck_assert(in.found == 0 || in.found == 1);
    check_on_time("inside", begin);
    close_client(in.other);
  }
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("future_any");

  server_require("future_any");
  add_for_manners(tc, the_first_that_is_ready_is_found);
  tcase_add_test(tc, futures_of_clients_of_all_manners_may_be_waited_for_together);
  add_for_manners(tc, futures_of_several_lanes_may_be_waited_for_together);
  add_for_manners(tc, hundreds_may_be_waited_for_and_one_may_stand_twice);
  tcase_add_test(tc, nothing_to_wait_for_is_never_ready);
  add_for_manners(tc, futures_may_be_waited_for_inside_a_callback);
  return checks_run("future_any", tc);
}
