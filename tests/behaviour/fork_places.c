/* SPDX-License-Identifier: BSD-3-Clause */
/* fork_places.c - forks at odd moments: of a closed client, on the client's own thread, while a
 * connection is being made. */
#include <check.h>
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "behaviour/forking.h"
#include "harness/checks.h"
#include "harness/util.h"

START_TEST(a_client_closed_before_the_fork_is_closed_in_the_child)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "retry.max", "0", (char *)NULL);
  pid_t pid;

  ck_assert_int_eq(pmx_close(client, SOON_MS), 1);
  pid = fork_asleep();
  if (pid == 0) {
    child_begin();
    must_end(pmx_do(client, NULL, "PING", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_CLOSED,
             "closed is closed");
    pmx_unref(client);
    exit(EXIT_SUCCESS);
  }
  reap(&pid);
  pmx_unref(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- a child of the client's own thread ---- */

struct in_callback {
  atomic_int forked;
  pid_t pid;
  pmx_client *client;
};

static void fork_in_callback(void *ud, const pmx_event *event)
{
  struct in_callback *c = ud;

  if (event->type != PMX_EVENT_LOST || atomic_exchange(&c->forked, 1))
    return;
  c->pid = fork();
  if (c->pid == 0) {
    child_begin();
    child_get(c->client, 1);
    must(pmx_close(c->client, 1000) == 1, "it can be closed there");
    _exit(EXIT_SUCCESS);
  }
  atomic_store(&c->forked, 2);
}

static bool has_forked(void *arg)
{
  return atomic_load(&((struct in_callback *)arg)->forked) == 2;
}

START_TEST(fork_inside_a_callback_leaves_both_processes_a_working_client)
{
  struct server *server = server_start(NULL);
  pmx_options *options = options_for(ways[_i].strategy);
  struct in_callback c = {.forked = 0};
  char value[VALUE_SIZE];

  free(server_command(server, "SET", "fork:1", value_of("fork:1", value), NULL));
  pmx_options_set_events(options, fork_in_callback, &c);
  c.client = open_client_with(url_for(&ways[_i], server), options);
  server_kill_clients(server);
  get_value(c.client, "fork:1");
  ck_assert(wait_for(has_forked, &c, SOON_MS));
  reap(&c.pid);
  get_value(c.client, "fork:1");
  close_client(c.client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- while a connection is being made ---- */

struct dialling {
  pmx_client *client;
  pmx_reply *reply;
};

static void wait_for_dial(void *arg)
{
  struct dialling *f = arg;
  pmx_call call = call_in(500);

  f->reply = pmx_do(f->client, &call, "GET", "k", (char *)NULL);
}

START_TEST(a_dial_under_way_is_the_parents_alone)
{
  struct fake_options options = {.over = ways[_i].over, .accept = FAKE_ACCEPT_SILENT};
  struct fake *fake = fake_start(&options);
  struct dialling f = {NULL, NULL};
  int fds = fd_count();
  struct background *thread;
  int64_t limit = pmx_now_ms() + 500;
  pid_t pid;

  f.client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", (char *)NULL);
  thread = background_start(wait_for_dial, &f);
  ck_assert(fake_wait_accepted(fake, 1, SOON_MS));
  fds++; /* the fake's side of the connection */
  pid = fork_asleep();
  if (pid == 0) {
    pmx_call call = call_in(50);

    child_begin();
    must(fd_count() == fds, "the half-made connection is closed in the child");
    must_end(pmx_do(f.client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT,
             "the child's own dial ends by the deadline");
    exit(EXIT_SUCCESS);
  }
  reap(&pid);
  background_join(thread);
  check_on_time("dial", limit);
  check_fails(f.reply, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  pmx_close(f.client, 0);
  pmx_unref(f.client);
  fake_stop(fake);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("fork_places");

  server_require("fork_places");
  tcase_set_timeout(tc, soak() ? 300 : 60);
  tcase_add_checked_fixture(tc, note_test_pid, NULL);
  add_for_ways(tc, a_client_closed_before_the_fork_is_closed_in_the_child);
  add_for_ways(tc, fork_inside_a_callback_leaves_both_processes_a_working_client);
  add_for_ways(tc, a_dial_under_way_is_the_parents_alone);
  return checks_run("fork_places", tc);
}
