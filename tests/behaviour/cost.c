/* SPDX-License-Identifier: BSD-3-Clause */
/* cost.c - what a clean use of the pool costs: not one command the caller did not ask for, and a
 * handful of system calls. The C library's I/O functions are replaced by ones that count, which no
 * other test wants. */
#include <poolmux/poolmux.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

/* Requests are sent once, by whoever writes: the client's own thread does it for the caller while it
 * holds the link. The rest is of the thread that runs the test. What the harness does is done between
 * the countings. */
static atomic_uint sends;
static _Thread_local unsigned receives, polls, others;

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
  sends++;
  return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

ssize_t recv(int fd, void *buf, size_t size, int flags)
{
  receives++;
  return syscall(SYS_recvfrom, fd, buf, size, flags, NULL, NULL);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
  struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

  polls++;
  return (int)syscall(SYS_ppoll, fds, count, timeout_ms < 0 ? NULL : &limit, NULL, 0);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *limit, const sigset_t *mask)
{
  polls++;
  return (int)syscall(SYS_ppoll, fds, count, limit, mask, sizeof(unsigned long));
}

ssize_t write(int fd, const void *bytes, size_t size)
{
  others++;
  return syscall(SYS_write, fd, bytes, size);
}

ssize_t read(int fd, void *buf, size_t size)
{
  others++;
  return syscall(SYS_read, fd, buf, size);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
  others++;
  return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

static int rounds(void)
{
  return soak() ? 100000 : 10000;
}

static void begin_counting(void)
{
  sends = 0;
  receives = polls = others = 0;
}

/* Send, wait, receive, and `looks` at the socket before. */
static void check_counts(const char *what, int calls, int looks)
{
  printf("%s: send %.3f recv %.3f poll %.3f others %.3f a call\n", what, (double)sends / calls,
         (double)receives / calls, (double)polls / calls, (double)others / calls);
  ck_assert_uint_eq(sends, (unsigned)calls);
  /* A reply may come in two pieces or a wait may be in vain, but rarely. */
  ck_assert_uint_le(receives, (unsigned)((1 + looks) * calls + calls / 20));
  ck_assert_uint_le(polls, (unsigned)(calls + calls / 20));
  ck_assert_uint_eq(others, 0);
}

/* With one connection in each place where one will be used. */
static pmx_client *open_warm(int way, struct server *server)
{
  pmx_client *client = open_client(ways[way].strategy, url_for(&ways[way], server), NULL);

  if (lane_beside(client))
    give_back(take(client));
  return client;
}

START_TEST(a_clean_lease_costs_the_server_only_the_commands_on_it)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_warm(_i, server);
  int64_t commands = server_commands(server), connections = server_connections(server);
  pmx_stats stats;

  begin_counting();
  for (int i = 0; i < rounds(); i++) {
    pmx_lease *lease = pmx_acquire(client, NULL, NULL);
    pmx_reply_free(pmx_lease_command(lease, NULL, "GET k"));
    pmx_release(lease);
  }
  /* The lease looks at the socket, and so does each command on it. */
  check_counts("lease", rounds(), 2);
  ck_assert_int_eq(server_commands(server) - commands, rounds());
  ck_assert_int_eq(server_connections(server), connections);
  stats = stats_of(client);
  ck_assert_uint_eq(stats.repairs + stats.pings + stats.closed + stats.waits, 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static void check_call(int way, bool alone)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_warm(way, server);
  int64_t commands = server_commands(server);
  uint64_t before = stats_of(client).lane_requests;
  pmx_call call = PMX_CALL_INIT;

  call.flags = alone ? flags_alone(client) : 0;
  begin_counting();
  for (int i = 0; i < rounds(); i++)
    pmx_reply_free(pmx_command_call(client, &call, "GET k"));
  /* On a shared connection there is nobody to look for: what is left is send, wait, receive. */
  check_counts(alone ? "call alone" : "call", rounds(), alone);
  ck_assert_int_eq(server_commands(server) - commands, rounds());
  ck_assert_uint_eq(stats_of(client).replies, (uint64_t)rounds());
  ck_assert_uint_eq(stats_of(client).lane_requests - before, alone ? 0 : (uint64_t)rounds());
  close_client(client);
  ck_assert(server_stop(server));
}

START_TEST(a_plain_call_costs_one_command_and_at_most_four_system_calls)
{
  check_call(_i, strategy_has(ways[_i].strategy, BORROWS));
}
END_TEST

START_TEST(a_dedicated_call_costs_what_one_of_a_pool_does)
{
  check_call(_i, true);
}
END_TEST

START_TEST(a_lease_without_a_command_costs_the_server_nothing)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_warm(_i, server);
  int64_t commands = server_commands(server);

  begin_counting();
  for (int i = 0; i < rounds(); i++)
    pmx_release(pmx_acquire(client, NULL, NULL));
  ck_assert_uint_eq(sends + polls + others, 0);
  ck_assert_uint_le(receives, (unsigned)rounds());
  ck_assert_int_eq(server_commands(server), commands);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("cost");

  server_require("cost");
  add_for_ways_with(LEASES, tc, a_clean_lease_costs_the_server_only_the_commands_on_it);
  add_for_ways(tc, a_plain_call_costs_one_command_and_at_most_four_system_calls);
  add_for_ways_with(DEDICATES, tc, a_dedicated_call_costs_what_one_of_a_pool_does);
  add_for_ways_with(LEASES, tc, a_lease_without_a_command_costs_the_server_nothing);
  return checks_run("cost", tc);
}
