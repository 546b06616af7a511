/* SPDX-License-Identifier: BSD-3-Clause */
/* async_calls.c - callbacks when all goes well, and what is turned away: each runs once, with the
 * outcome of its own call, and never when pmx_async said no. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/calling.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

enum { MANY = 500 };

struct scene {
  const struct manner *manner;
  struct server *server;
  pmx_client *client;
};

static void scene_open(struct scene *s, int i)
{
  s->manner = &manners[i];
  s->server = server_start(NULL);
  s->client = open_manner(s->manner, manner_url(s->manner, s->server), (char *)NULL);
}

static void scene_close(struct scene *s)
{
  close_client(s->client);
  ck_assert(server_stop(s->server));
}

START_TEST(a_callback_runs_once_with_the_reply_of_its_call)
{
  struct scene s;
  struct told *told = harness_alloc(MANY * sizeof *told);

  scene_open(&s, _i);
  for (int i = 0; i < MANY; i++)
    ask(s.client, &told[i], NULL, "ECHO %d", i);
  ck_assert(all_told(told, MANY, SOON_MS));
  for (int i = 0; i < MANY; i++) {
    int64_t value = pmx_reply_int(told[i].reply, NULL);

    ck_assert_msg(pmx_ok(told[i].reply) && value == i, "%d: %s", i, pmx_reply_error(told[i].reply));
  }
  pass(s.client, 5);
  told_clear(told, MANY);
  ck_assert_uint_eq(stats_of(s.client).commands, MANY);
  ck_assert_uint_eq(stats_of(s.client).replies, MANY);
  scene_close(&s);
  free(told);
}
END_TEST

START_TEST(a_servers_error_reaches_the_callback)
{
  struct scene s;
  struct told told = {0};
  pmx_reply *reply;

  scene_open(&s, _i);
  check_is_ok(pmx_command(s.client, "SET k text"));
  ask(s.client, &told, NULL, "LPUSH k x");
  reply = outcome(&told);
  ck_assert_int_eq(pmx_reply_status(reply), PMX_SERVER_ERROR);
  ck_assert_str_eq(pmx_reply_error_code(reply), "WRONGTYPE");
  pmx_reply_free(reply);
  ck_assert_uint_eq(stats_of(s.client).server_errors, 1);
  scene_close(&s);
}
END_TEST

/* Small ones and such as have memory of their own. */
START_TEST(arguments_are_copied_before_it_returns)
{
  static const size_t sizes[] = {10, 1000, 70000, 2000000};
  struct scene s;

  scene_open(&s, _i);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    char *value = harness_alloc(sizes[i]);
    const char *argv[] = {"ECHO", value};
    const size_t len[] = {4, sizes[i]};
    struct told told = {.client = s.client};
    pmx_reply *reply;
    size_t got_len = 0;
    const char *got;

    memset(value, 'a' + (int)i, sizes[i]);
    ck_assert_int_eq(pmx_async_argv(s.client, NULL, tell, &told, 2, argv, len), PMX_OK);
    memset(value, '!', sizes[i]);
    free(value);
    reply = outcome(&told);
    got = pmx_reply_str(reply, &got_len);
    ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
    ck_assert_uint_eq(got_len, sizes[i]);
    ck_assert(got[0] == 'a' + (int)i && got[got_len - 1] == got[0]);
    pmx_reply_free(reply);
  }
  scene_close(&s);
}
END_TEST

START_TEST(the_format_is_that_of_other_calls)
{
  struct scene s;
  struct told told = {0};

  scene_open(&s, _i);
  told.client = s.client;
  ck_assert_int_eq(pmx_async(s.client, NULL, tell, &told, "SET %s %b", "k", "a b", (size_t)3),
                   PMX_OK);
  check_is_ok(outcome(&told));
  check_text(server_command(s.server, "GET", "k", NULL), "a b");
  scene_close(&s);
}
END_TEST

/* ---- turned away ---- */

static _Atomic int lines;

static void count_line(void *ud, pmx_log_level level, const char *component, const char *message)
{
  (void)ud, (void)component;
  if (level == PMX_LOG_WARN && strstr(message, ": pmx_async: "))
    atomic_fetch_add(&lines, 1);
}

static bool has_lines(void *wanted)
{
  return atomic_load(&lines) >= *(int *)wanted;
}

static pmx_client *open_logging(struct scene *s, int i)
{
  pmx_options *options;

  s->manner = &manners[i];
  s->server = server_start(NULL);
  options = options_for(s->manner->strategy);
  pmx_options_set(options, "io", s->manner->io);
  pmx_options_set(options, "request.max_size", "4KiB");
  pmx_options_set_log(options, count_line, PMX_LOG_WARN, NULL);
  s->client = open_client_with(manner_url(s->manner, s->server), options);
  return s->client;
}

START_TEST(what_is_refused_is_told_at_once_and_in_the_log)
{
  struct scene s;
  struct told told = {0};
  pmx_client *client = open_logging(&s, _i);
  pmx_call flags = call_flags(1 << 20, 100), size = PMX_CALL_INIT;
  const char *large[] = {"ECHO", "x"};
  const size_t large_len[] = {4, 5000};
  char *bytes = harness_alloc(5000);
  int wanted;

  size.size = 0;
  large[1] = bytes;
  atomic_store(&lines, 0);
  ck_assert_int_eq(pmx_async(client, NULL, tell, &told, ""), PMX_INVALID);
  ck_assert_int_eq(pmx_async(client, NULL, tell, &told, "GET %y", 1), PMX_INVALID);
  ck_assert_int_eq(pmx_async(client, NULL, tell, &told, "MULTI"), PMX_INVALID);
  ck_assert_int_eq(pmx_async(client, NULL, tell, &told, "SUBSCRIBE a"), PMX_INVALID);
  ck_assert_int_eq(pmx_async(client, &flags, tell, &told, "PING"), PMX_INVALID);
  ck_assert_int_eq(pmx_async(client, &size, tell, &told, "PING"), PMX_INVALID);
  ck_assert_int_eq(pmx_async_argv(client, NULL, tell, &told, 0, large, NULL), PMX_INVALID);
  ck_assert_int_eq(pmx_async_argv(client, NULL, tell, &told, 2, large, large_len), PMX_INVALID);
  wanted = 8;
  if (!strategy_has(s.manner->strategy, LEASES)) {
    ck_assert_int_eq(pmx_async(client, NULL, tell, &told, "BLPOP q 1"), PMX_INVALID);
    wanted++;
  }
  ck_assert(until(client, has_lines, &wanted, SOON_MS));
  ck_assert_uint_eq(stats_of(client).invalid, (unsigned)wanted);
  /* of these nobody knows a client or whom to tell */
  ck_assert_int_eq(pmx_async(NULL, NULL, tell, &told, "PING"), PMX_INVALID);
  ck_assert_int_eq(pmx_async(NULL, NULL, tell, &told, "GET %y", 1), PMX_INVALID);
  ck_assert_int_eq(pmx_async(client, NULL, NULL, &told, "PING"), PMX_INVALID);
  pass(client, 5);
  ck_assert_int_eq(told.times, 0);
  free(bytes);
  scene_close(&s);
}
END_TEST

START_TEST(a_call_without_time_is_turned_away)
{
  struct scene s;
  struct told told = {0};
  pmx_call none = call_in(0), past = PMX_CALL_INIT;

  scene_open(&s, _i);
  past.deadline_ms = pmx_now_ms() - 1;
  ck_assert_int_eq(pmx_async(s.client, &none, tell, &told, "SET k v"), PMX_NOT_RUN);
  ck_assert_int_eq(pmx_async(s.client, &past, tell, &told, "SET k v"), PMX_NOT_RUN);
  pass(s.client, 5);
  ck_assert_int_eq(told.times, 0);
  ck_assert_int_eq(server_integer(s.server, "EXISTS", "k", NULL), 0);
  scene_close(&s);
}
END_TEST

START_TEST(a_call_on_a_closed_client_is_turned_away)
{
  struct scene s;
  struct told told = {0};

  scene_open(&s, _i);
  pmx_close(s.client, 1000);
  ck_assert_int_eq(pmx_async(s.client, NULL, tell, &told, "PING"), PMX_NOT_RUN);
  pass(s.client, 5);
  pmx_unref(s.client);
  ck_assert_int_eq(told.times, 0);
  ck_assert(server_stop(s.server));
}
END_TEST

/* ---- on which thread, with which reply ---- */

START_TEST(callbacks_run_on_the_clients_thread_or_where_it_is_dispatched)
{
  struct scene s;
  struct told told[20] = {{0}};

  scene_open(&s, _i);
  for (int i = 0; i < 20; i++)
    ask(s.client, &told[i], NULL, "PING");
  ck_assert(all_told(told, 20, SOON_MS));
  for (int i = 0; i < 20; i++) {
    ck_assert_int_eq(pthread_equal(told[i].thread, pthread_self()) != 0, in_loop(s.manner));
    ck_assert(pthread_equal(told[i].thread, told[0].thread));
  }
  told_clear(told, 20);
  scene_close(&s);
}
END_TEST

START_TEST(a_kept_reply_outlives_callback_and_client)
{
  struct scene s;
  struct told told = {0};
  pmx_reply *reply;

  scene_open(&s, _i);
  free(server_command(s.server, "RPUSH", "l", "a", "b", "c", NULL));
  ask(s.client, &told, NULL, "LRANGE l 0 -1");
  reply = outcome(&told);
  scene_close(&s);
  ck_assert_uint_eq(pmx_reply_len(reply), 3);
  ck_assert_str_eq(pmx_reply_str(pmx_reply_at(reply, 2), NULL), "c");
  pmx_reply_free(reply);
}
END_TEST

/* Of one thread, on one lane. */
START_TEST(a_lane_carries_calls_in_the_order_they_were_begun)
{
  struct scene s;
  struct told *told;

  if (!strategy_has(manners[_i].strategy, SHARES))
    return;
  told = harness_alloc(MANY * sizeof *told);
  scene_open(&s, _i);
  for (int i = 0; i < MANY; i++)
    ask(s.client, &told[i], NULL, "INCR n");
  ck_assert(all_told(told, MANY, SOON_MS));
  for (int i = 0; i < MANY; i++)
    ck_assert_int_eq(pmx_reply_int(told[i].reply, NULL), i + 1);
  told_clear(told, MANY);
  scene_close(&s);
  free(told);
}
END_TEST

/* ---- beside the rest ---- */

/* The pool has room for two: one blocks, one is lent, callbacks wait for either. */
START_TEST(callbacks_take_turns_with_blocking_commands_and_leases)
{
  struct scene s = {.manner = &manners[_i]};
  struct told pop = {0}, told[50] = {{0}};
  pmx_call call;
  pmx_lease *lease;
  pmx_reply *reply;

  if (!strategy_has(s.manner->strategy, LEASES))
    return;
  s.server = server_start(NULL);
  s.client = open_manner(s.manner, manner_url(s.manner, s.server), "pool.max_size", "2",
                         "pool.wait_timeout", "60s", (char *)NULL);
  ask(s.client, &pop, NULL, "BLPOP q 60");
  pass(s.client, 5);
  lease = take(s.client);
  lease_ok(lease, "MULTI");
  call = call_alone(s.client, PMX_DEFAULT);
  for (int i = 0; i < 50; i++)
    ask(s.client, &told[i], &call, "INCR n");
  lease_ok(lease, "SET n 100");
  lease_ok(lease, "EXEC");
  check_stat(s.client, waiting, 50);
  pass(s.client, 5);
  ck_assert_int_eq(told[0].times, 0);
  if (lane_beside(s.client)) { /* and the pool delays nothing there */
    struct told other = {0};

    ask(s.client, &other, NULL, "INCR other");
    check_int(outcome(&other), 1);
    ck_assert_int_eq(told[0].times, 0);
  }
  give_back(lease);
  ck_assert(all_told(told, 50, SOON_MS));
  for (int i = 0; i < 50; i++)
    ck_assert_int_eq(pmx_reply_int(told[i].reply, NULL), 101 + i);
  told_clear(told, 50);
  ck_assert_int_eq(pop.times, 0);
  server_ask(s.server, "RPUSH q x");
  reply = outcome(&pop);
  ck_assert_str_eq(pmx_reply_str(pmx_reply_at(reply, 1), NULL), "x");
  pmx_reply_free(reply);
  scene_close(&s);
}
END_TEST

/* Neither the client's option nor anything else but their own time ends them. */
START_TEST(blocking_commands_bring_their_own_time)
{
  struct scene s = {.manner = &manners[_i]};
  struct told told[3] = {{0}};
  int64_t begin = pmx_now_ms();
  pmx_call patient = call_in(SOON_MS); /* the machine may be busy */

  if (!strategy_has(s.manner->strategy, LEASES))
    return;
  s.server = server_start(NULL);
  s.client = open_manner(s.manner, manner_url(s.manner, s.server), "command_timeout", "50ms",
                         (char *)NULL);
  ask(s.client, &told[0], NULL, "BLPOP q 0.2");
  ask(s.client, &told[1], NULL, "BLPOP q 0.15");
  ask(s.client, &told[2], &patient, "PING");
  ck_assert(all_told(told, 3, SOON_MS));
  for (int i = 0; i < 2; i++)
    ck_assert_msg(pmx_ok(told[i].reply) && pmx_reply_type(told[i].reply) == PMX_TYPE_NIL, "%s",
                  pmx_reply_error(told[i].reply));
  ck_assert_int_ge(told[0].at_ms - begin, 199);
  ck_assert(pmx_ok(told[2].reply));
  told_clear(told, 3);
  scene_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("async_calls");

  server_require("async_calls");
  add_for_manners(tc, a_callback_runs_once_with_the_reply_of_its_call);
  add_for_manners(tc, a_servers_error_reaches_the_callback);
  add_for_manners(tc, arguments_are_copied_before_it_returns);
  add_for_manners(tc, the_format_is_that_of_other_calls);
  add_for_manners(tc, what_is_refused_is_told_at_once_and_in_the_log);
  add_for_manners(tc, a_call_without_time_is_turned_away);
  add_for_manners(tc, a_call_on_a_closed_client_is_turned_away);
  add_for_manners(tc, callbacks_run_on_the_clients_thread_or_where_it_is_dispatched);
  add_for_manners(tc, a_kept_reply_outlives_callback_and_client);
  add_for_manners(tc, a_lane_carries_calls_in_the_order_they_were_begun);
  add_for_manners(tc, callbacks_take_turns_with_blocking_commands_and_leases);
  add_for_manners(tc, blocking_commands_bring_their_own_time);
  return checks_run("async_calls", tc);
}
