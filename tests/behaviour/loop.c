/* SPDX-License-Identifier: BSD-3-Clause */
/* loop.c - io=loop with one thread: the descriptor is readable when there is something to do, also
 * by the clock, and not otherwise; everything happens inside pmx_dispatch, on no thread of the
 * library. */
#include <poolmux/poolmux.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include "behaviour/calling.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

static bool readable(pmx_client *client, int timeout_ms)
{
  struct pollfd ready = {pmx_client_fd(client), POLLIN, 0};

  ck_assert_int_ge(ready.fd, 0);
  return poll(&ready, 1, timeout_ms) > 0;
}

/* Until there is nothing to do any more. */
static void settle(pmx_client *client)
{
  while (readable(client, 20))
    pmx_dispatch(client, 0);
}

START_TEST(no_thread_of_the_library_exists)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  int threads = thread_count();
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  struct told told[20] = {{0}};

  for (int i = 0; i < 20; i++)
    ask(client, &told[i], NULL, "PING");
  ck_assert(all_told(told, 20, SOON_MS));
  check_is_ok(pmx_command(client, "PING"));
  ck_assert_int_eq(thread_count(), threads);
  server_kill_clients(server);
  check_is_ok(pmx_future_take(pmx_submit(client, NULL, "PING")));
  ck_assert_int_eq(thread_count(), threads);
  told_clear(told, 20);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(the_descriptor_is_quiet_while_there_is_nothing_to_do)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  struct told told = {0};
  int64_t end;
  int looks = 0;

  ask(client, &told, NULL, "PING");
  check_is_ok(outcome(&told));
  check_is_ok(pmx_command(client, "PING"));
  settle(client);
  for (end = now_ms() + 300; now_ms() < end;) {
    if (readable(client, (int)(end - now_ms()) + 1)) {
      looks++;
      pmx_dispatch(client, 0);
    }
  }
  ck_assert_msg(looks <= 10, "%d times in vain", looks);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* poll() is in all the others. */
START_TEST(the_descriptor_may_be_watched_with_epoll_and_select)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  int fd = pmx_client_fd(client), epoll = epoll_create1(0), steps = 0;
  struct epoll_event event = {.events = EPOLLIN};
  struct told told[2] = {{0}};

  ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
  ask(client, &told[0], NULL, "PING");
  while (!is_told(&told[0]) && steps++ < 100) {
    ck_assert_int_eq(epoll_wait(epoll, &event, 1, SOON_MS), 1);
    pmx_dispatch(client, 0);
  }
  ask(client, &told[1], NULL, "PING");
  while (!is_told(&told[1]) && steps++ < 200) {
    fd_set set;

    FD_ZERO(&set);
    FD_SET(fd, &set);
    ck_assert_int_eq(select(fd + 1, &set, NULL, NULL, &(struct timeval){SOON_MS / 1000, 0}), 1);
    pmx_dispatch(client, 0);
  }
  ck_assert_int_eq(told[0].times + told[1].times, 2);
  close(epoll);
  told_clear(told, 2);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_deadline_alone_makes_the_descriptor_readable)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  struct told told = {0};
  pmx_call call = call_in(150);
  int64_t limit;
  int n = 0;

  check_is_ok(pmx_command(client, "PING"));
  server_pause(server);
  limit = pmx_now_ms() + 150;
  ask(client, &told, &call, "GET k");
  while (!is_told(&told) && n++ < 50) {
    ck_assert_msg(readable(client, HANG_MS), "nothing woke the loop at the deadline");
    pmx_dispatch(client, 0);
  }
  check_on_time("a deadline in a loop", limit);
  ck_assert_int_ge(told.at_ms, limit - 1);
  check_fails(outcome(&told), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  server_resume(server);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static void count(void *ud, pmx_log_level level, const char *component, const char *message)
{
  (void)level, (void)component, (void)message;
  ++*(int *)ud;
}

START_TEST(lines_and_events_make_the_descriptor_readable_and_count_as_callbacks)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_options *options = options_for(manner->strategy);
  pmx_client *client;
  int lines = 0, ran;

  pmx_options_set(options, "io", "loop");
  pmx_options_set_log(options, count, PMX_LOG_DEBUG, &lines);
  client = open_client_with(manner_url(manner, server), options);
  check_is_ok(pmx_command(client, "PING"));
  ck_assert_int_eq(lines, 0);
  ck_assert(readable(client, SOON_MS));
  ran = pmx_dispatch(client, 0);
  ck_assert_int_ge(ran, 1);
  ck_assert_int_eq(ran, lines);
  settle(client);
  lines = 0;
  ck_assert_int_eq(pmx_client_set(client, "no.such", "option"), PMX_INVALID);
  ck_assert(readable(client, 0));
  ck_assert_int_eq(pmx_dispatch(client, 0), 1);
  ck_assert_int_eq(lines, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(dispatch_waits_for_the_first_callback_and_no_longer)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  struct told told = {0};
  int64_t begin;

  check_is_ok(pmx_command(client, "PING"));
  begin = pmx_now_ms();
  ask(client, &told, NULL, "PING");
  ck_assert_int_eq(pmx_dispatch(client, SOON_MS), 1);
  check_on_time("dispatch", begin);
  check_is_ok(outcome(&told));
  begin = pmx_now_ms();
  ck_assert_int_eq(pmx_dispatch(client, 100), 0);
  ck_assert_int_ge(pmx_now_ms() - begin, 99);
  check_on_time("dispatch", begin + 100);
  ck_assert_int_eq(pmx_dispatch(client, -1), 0);
  ck_assert_int_eq(pmx_dispatch(client, PMX_DEFAULT), 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static void dispatch_inside(struct told *t, const pmx_reply *reply)
{
  (void)reply;
  *(int *)t->arg = pmx_dispatch(t->client, 1000);
}

START_TEST(dispatch_inside_a_callback_does_nothing)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  int inside = -2;
  struct told told[2] = {{.inside = dispatch_inside, .arg = &inside}};
  int64_t begin = pmx_now_ms();

  ask(client, &told[0], NULL, "PING");
  ask(client, &told[1], NULL, "PING");
  ck_assert(all_told(told, 2, SOON_MS));
  ck_assert_int_eq(inside, 0);
  check_on_time("dispatch inside", begin);
  told_clear(told, 2);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_client_with_a_thread_has_no_descriptor)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(manner->strategy, manner_url(manner, server), (char *)NULL);

  ck_assert_int_eq(pmx_client_fd(client), -1);
  ck_assert_int_eq(pmx_dispatch(client, 1000), -1);
  ck_assert_int_eq(pmx_client_fd(NULL), -1);
  ck_assert_int_eq(pmx_dispatch(NULL, 1000), -1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* The work of the client's thread in other manners: connects, checks, repairs, eviction. */
START_TEST(the_pool_is_looked_after_when_it_is_dispatched)
{
  const struct manner *manner = &manners[_i];
  struct server *server;
  pmx_client *client;
  pmx_lease *lease;
  pmx_call call;

  if (!strategy_has(manner->strategy, LEASES))
    return;
  server = server_start(NULL);
  client = open_manner(manner, manner_url(manner, server), "pool.idle_timeout", "50ms",
                       "pool.min_idle", "1", "pool.keepalive", "30ms", (char *)NULL);
  lease = take(client);
  call = call_alone(client, PMX_DEFAULT);
  check_is_ok(pmx_command_call(client, &call, "PING"));
  lease_ok(lease, "SELECT 3");
  give_back(lease); /* to be repaired */
  pass(client, 200);
  ck_assert_uint_eq(stats_of(client).repairs, 1);
  ck_assert_uint_ge(stats_of(client).closed_idle, 1);
  ck_assert_uint_eq(stats_of(client).live, 1 + lane_beside(client));
  ck_assert_uint_ge(stats_of(client).pings, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("loop");

  manners_brief();
  server_require("loop");
  add_for_io("loop", tc, no_thread_of_the_library_exists);
  add_for_io("loop", tc, the_descriptor_is_quiet_while_there_is_nothing_to_do);
  add_for_io("loop", tc, the_descriptor_may_be_watched_with_epoll_and_select);
  add_for_io("loop", tc, a_deadline_alone_makes_the_descriptor_readable);
  add_for_io("loop", tc, lines_and_events_make_the_descriptor_readable_and_count_as_callbacks);
  add_for_io("loop", tc, dispatch_waits_for_the_first_callback_and_no_longer);
  add_for_io("loop", tc, dispatch_inside_a_callback_does_nothing);
  add_for_io("loop", tc, a_client_with_a_thread_has_no_descriptor);
  add_for_io("loop", tc, the_pool_is_looked_after_when_it_is_dispatched);
  return checks_run("loop", tc);
}
