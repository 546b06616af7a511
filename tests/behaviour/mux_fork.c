/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_fork.c - a process that forks while its threads share a connection: whatever one of them
 * holds at that moment, the lock, the token, half a request, the child works on a connection of its
 * own, and nothing of it is seen on the parent's. */
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behaviour/forking.h"
#include "behaviour/muxing.h"
#include "harness/checks.h"

enum { HAMMERS = 4, ALIVE_MAX = 4, CHILD_GETS = 50, BIG = 8 * 1024 * 1024 };

static int forks(void)
{
  return soak() ? 500 : 24;
}

struct family {
  struct server *server;
  pmx_client *client;
  int fds; /* without the client's */
  struct fork_gate gate;
  atomic_bool stop;
  atomic_int started, gets, wrong;
};

static void hammer(void *arg)
{
  struct family *f = arg;
  char key[32], value[VALUE_SIZE];

  atomic_fetch_add(&f->started, 1);
  for (unsigned i = 0; !atomic_load(&f->stop); i++) {
    pmx_reply *reply;
    const char *text;

    gate_enter(&f->gate, false);
    snprintf(key, sizeof key, "fork:%u", i % FORK_KEYS);
    reply = pmx_do(f->client, NULL, "GET", key, (char *)NULL);
    text = pmx_reply_str(reply, NULL);
    if (!text || strcmp(text, value_of(key, value)) != 0)
      atomic_fetch_add(&f->wrong, 1);
    atomic_fetch_add(&f->gets, 1);
    pmx_reply_free(reply);
    gate_leave(&f->gate);
  }
}

static bool all_hammer(void *arg)
{
  return atomic_load(&((struct family *)arg)->started) == HAMMERS;
}

static void family_open(struct family *f, const struct way *way)
{
  char key[32], value[VALUE_SIZE];

  memset(f, 0, sizeof *f);
  gate_init(&f->gate);
  f->server = server_start(NULL);
  for (int i = 0; i < FORK_KEYS; i++) {
    snprintf(key, sizeof key, "fork:%d", i);
    free(server_command(f->server, "SET", key, value_of(key, value), NULL));
  }
  f->fds = fd_count();
  f->client = open_client(way->strategy, url_for(way, f->server), "command_timeout", "15s",
                          "retry.max", "0", (char *)NULL);
}

static void family_close(struct family *f)
{
  close_client(f->client);
  ck_assert(server_stop(f->server));
}

/* ---- any moment ---- */

static void run_child(struct family *f, int i)
{
  child_begin();
  must(fd_count() == f->fds, "no descriptor of the parent's client is left in the child");
  for (int k = 0; k < CHILD_GETS; k++)
    child_get(f->client, k);
  must(stats_of(f->client).opened == 1, "the child has one connection");
  if (i % 3 == 1)
    must(pmx_close(f->client, 1000) == 1, "the child can close it");
  if (i % 3 == 2)
    pmx_unref(f->client);
  if (i % 2)
    exit(EXIT_SUCCESS);
  _exit(EXIT_SUCCESS);
}

static pid_t fork_child(struct family *f, int i)
{
  pid_t pid;

  fflush(NULL);
  gate_enter(&f->gate, true);
  pid = fork_asleep();
  gate_leave(&f->gate);
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    run_child(f, i);
  return pid;
}

static void fork_all(struct family *f)
{
  pid_t alive[ALIVE_MAX] = {0};

  for (int i = 0; i < forks(); i++) {
    reap(&alive[i % ALIVE_MAX]);
    alive[i % ALIVE_MAX] = fork_child(f, i);
  }
  for (int i = 0; i < ALIVE_MAX; i++)
    reap(&alive[i]);
}

START_TEST(children_work_on_their_own_and_the_parents_connection_goes_on)
{
  struct family f;
  struct background *hammers[HAMMERS];
  int64_t id;
  pmx_stats stats;

  family_open(&f, &ways[_i]);
  id = client_id(f.client);
  for (int i = 0; i < HAMMERS; i++)
    hammers[i] = background_start(hammer, &f);
  ck_assert(wait_for(all_hammer, &f, SOON_MS));
  fork_all(&f);
  atomic_store(&f.stop, true);
  for (int i = 0; i < HAMMERS; i++)
    background_join(hammers[i]);
  ck_assert_int_eq(f.wrong, 0);
  ck_assert_int_gt(f.gets, 100);
  ck_assert_int_eq(client_id(f.client), id);
  stats = stats_of(f.client);
  ck_assert_uint_eq(stats.opened, 1);
  ck_assert_uint_eq(stats.closed + stats.not_run + stats.unknown + stats.late_replies, 0);
  family_close(&f);
}
END_TEST

/* ---- certain moments: of threads that do not exist in the child ---- */

/* In a child of a process one of whose threads waits for an answer, or for room to write. */
static void check_child(pmx_client *client)
{
  pid_t pid;

  fflush(NULL);
  pid = fork_asleep();
  if (pid == 0) {
    pmx_call call = call_in(CHILD_MS);
    pmx_reply *reply;

    child_begin();
    must(stats_of(client).in_flight == 0, "the child owes its parent's calls nothing");
    reply = pmx_do(client, &call, "GET", "child", (char *)NULL);
    must(pmx_ok(reply), "a call in the child is answered");
    pmx_reply_free(reply);
    must(stats_of(client).opened == 1, "the child has a connection of its own");
    _exit(EXIT_SUCCESS);
  }
  reap(&pid);
}

START_TEST(fork_while_another_thread_reads_for_all)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  struct caller callers[3];

  fake_stall(fake_conn_at(fake, 0));
  callers_start(callers, 3, client, NULL);
  check_child(client);
  ck_assert_uint_eq(fake_accepted(fake), 2);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_values(callers, 3);
  check_text(keys_seen(fake), "child key-0 key-1 key-2");
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static void set_big(void *client)
{
  const char *argv[] = {"SET", "big", harness_alloc(BIG)};
  const size_t len[] = {3, 3, BIG};

  check_is_ok(pmx_argv(client, NULL, 3, argv, len));
  free((void *)(uintptr_t)argv[2]);
}

START_TEST(fork_while_another_thread_has_written_half_a_request)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "hybrid.bulk_request", "1GiB", NULL);
  struct background *thread;

  fake_stall(fake_conn_at(fake, 0));
  thread = background_start(set_big, client);
  check_stat(client, in_flight, 1);
  sleep_ms(20); /* and the kernel takes no more */
  check_child(client);
  fake_resume(fake_conn_at(fake, 0));
  background_join(thread);
  get_value(client, "after");
  ck_assert_uint_eq(fake_seen(fake, "SET"), 1);
  ck_assert_uint_eq(fake_counts(fake).protocol_errors, 0);
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* The child's end closes what it has inherited; the parent's connection does not notice. */
START_TEST(child_that_ends_takes_nothing_of_the_parents_connection_along)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);

  for (int i = 0; i < 6; i++) {
    pid_t pid;

    get_value(client, "before");
    fflush(NULL);
    pid = fork_asleep();
    if (pid == 0) {
      child_begin();
      if (i % 3 == 0)
        pmx_close(client, 0);
      if (i % 3 == 1)
        pmx_unref(client);
      _exit(EXIT_SUCCESS);
    }
    reap(&pid);
    get_value(client, "after");
  }
  ck_assert_uint_eq(stats_of(client).closed, 0);
  ck_assert_uint_eq(fake_received(fake_conn_at(fake, 0)) > 0, 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_fork");

  server_require("mux_fork");
  tcase_set_timeout(tc, soak() ? 300 : 60);
  tcase_add_checked_fixture(tc, note_test_pid, NULL);
  add_for_ways_with(SHARES, tc, children_work_on_their_own_and_the_parents_connection_goes_on);
  add_for_ways_with(SHARES, tc, fork_while_another_thread_reads_for_all);
  add_for_ways_with(SHARES, tc, fork_while_another_thread_has_written_half_a_request);
  add_for_ways_with(SHARES, tc, child_that_ends_takes_nothing_of_the_parents_connection_along);
  return checks_run("mux_fork", tc);
}
