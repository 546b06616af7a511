/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c - a process that forks while its client works. The child has connections of its own and
 * takes nothing of its parent's along: no descriptor, no lease, no lock that somebody held. The
 * parent does not notice. */
#include <check.h>
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "behaviour/forking.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { HAMMERS = 3, IDLE = 5, SIZE = IDLE + 2, ALIVE_MAX = 4, CHILD_GETS = 100 };

/* ---- the parent ---- */

struct family {
  struct server *server;
  pmx_client *client;
  uint64_t size; /* connections, all counted */
  pmx_lease *lease;
  pmx_cancel *token, *blocked_token;
  int64_t lease_id;
  int fds; /* without the client's */
  char *ids;
  atomic_bool stop;
  atomic_int started, gets, wrong;
  pmx_reply *popped;
  struct fork_gate gate;
};

static int forks(void)
{
  return soak() ? 500 : 32;
}

static void hammer(void *arg)
{
  struct family *f = arg;
  char key[32], value[VALUE_SIZE];

  atomic_fetch_add(&f->started, 1);
  for (unsigned i = 0; !atomic_load(&f->stop); i++) {
    pmx_call call = call_flags(i % 2 ? flags_alone(f->client) : 0, PMX_DEFAULT);
    pmx_reply *reply;
    const char *text;

    gate_enter(&f->gate, false);
    snprintf(key, sizeof key, "fork:%u", i % FORK_KEYS);
    reply = pmx_do(f->client, &call, "GET", key, (char *)NULL);
    text = pmx_reply_str(reply, NULL);
    if (!text || strcmp(text, value_of(key, value)) != 0)
      atomic_fetch_add(&f->wrong, 1);
    atomic_fetch_add(&f->gets, 1);
    pmx_reply_free(reply);
    gate_leave(&f->gate);
  }
}

static void block(void *arg)
{
  struct family *f = arg;
  pmx_call call = call_in(CHILD_MS);

  call.cancel = f->blocked_token;
  f->popped = pmx_do(f->client, &call, "BLPOP", "fork:list", "0", (char *)NULL);
}

static int by_value(const void *a, const void *b)
{
  const long long *x = a, *y = b;

  return (*x > *y) - (*x < *y);
}

/* The numbers the server gave the parent's connections; the children's are gone by then. */
static char *ids_of_clients(struct server *server)
{
  char *list = server_command(server, "CLIENT", "LIST", NULL), *next = list, *line;
  long long ids[4 * SIZE];
  size_t count = 0, len = 0;
  char *text = harness_alloc(1024);

  while ((line = strsep(&next, "\n")) && count < sizeof ids / sizeof ids[0])
    count += strstr(line, "name=family") && sscanf(line, "id=%lld", &ids[count]) == 1;
  free(list);
  qsort(ids, count, sizeof ids[0], by_value);
  for (size_t i = 0; i < count; i++)
    len += (size_t)snprintf(text + len, 1024 - len, "%lld ", ids[i]);
  return text;
}

static bool all_connected(void *arg)
{
  struct family *f = arg;

  return stats_of(f->client).live == f->size;
}

static bool all_hammer(void *arg)
{
  struct family *f = arg;

  return atomic_load(&f->started) == HAMMERS;
}

static bool none_connects(void *arg)
{
  struct family *f = arg;

  return stats_of(f->client).connecting == 0;
}

/* A sanitizer's child does not survive what its parent's threads were in the middle of. */
static void let_family_sleep(struct family *f)
{
  let_all_sleep(); /* what is to be connected has begun */
  if (SANITIZED)
    wait_for(none_connects, f, SOON_MS);
}

static void family_open(struct family *f, const struct way *way)
{
  char key[32], value[VALUE_SIZE];

  memset(f, 0, sizeof *f);
  gate_init(&f->gate);
  f->server = server_start(NULL);
  ck_assert_ptr_nonnull(f->server);
  for (int i = 0; i < FORK_KEYS; i++) {
    snprintf(key, sizeof key, "fork:%d", i);
    free(server_command(f->server, "SET", key, value_of(key, value), NULL));
  }
  f->fds = fd_count();
  f->client = open_client(way->strategy, url_for(way, f->server), "pool.max_size", "7",
                          "pool.min_idle", "5", "pool.wait_timeout", "10s", "command_timeout",
                          "15s", "client_name", "family", "retry.max", "0", (char *)NULL);
  f->size = SIZE + lane_beside(f->client);
  if (strategy_has(way->strategy, LEASES)) {
    f->lease = take(f->client);
    f->lease_id = lease_id(f->lease);
  }
  f->token = pmx_cancel_new();
  f->blocked_token = pmx_cancel_new();
}

/* ---- what a child does ---- */

static void child_of_family(struct family *f, int i)
{
  pmx_call call = call_in(CHILD_MS);
  pmx_reply *reply;

  must(fd_count() == f->fds, "no descriptor of the parent's client is left in the child");
  must_end(pmx_lease_command(f->lease, NULL, "GET fork:1"), PMX_NOT_RUN, PMX_CAUSE_FORKED,
           "a lease from before the fork does not work in the child");
  if (i % 2)
    must(pmx_release(f->lease) == PMX_OK, "a lease from before the fork may be released");
  for (int k = 0; k < CHILD_GETS; k++)
    child_get(f->client, k);
  call.flags = flags_alone(f->client);
  reply = pmx_do(f->client, &call, "GET", "fork:1", (char *)NULL);
  must(pmx_ok(reply), "a call that is alone on its connection is answered in the child");
  pmx_reply_free(reply);
  must(stats_of(f->client).live <= f->size, "the child keeps to pool.max_size");
  pmx_cancel_fire(f->token);
  pmx_cancel_fire(f->blocked_token); /* a call of the parent's waits on it */
  call.cancel = f->token;
  must_end(pmx_do(f->client, &call, "GET", "fork:1", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_CANCELED,
           "a token from before the fork works in the child");
  pmx_cancel_free(f->token);
  pmx_cancel_free(f->blocked_token);
}

enum ending { END_EXIT, END_UNDERSCORE_EXIT, END_CLOSE, END_UNREF, END_UNUSED, ENDINGS };

/* Before it is freed, its leases are. */
static void child_end(struct family *f, enum ending ending)
{
  switch (ending) {
  case END_EXIT:
    break;
  case END_UNDERSCORE_EXIT:
    _exit(EXIT_SUCCESS);
  case END_CLOSE:
    must(pmx_close(f->client, 1000) == 1, "closing in the child ends all of the child's");
    must_end(pmx_do(f->client, NULL, "PING", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_CLOSED,
             "a client closed in the child is closed there");
    break;
  case END_UNREF:
  case END_UNUSED:
  case ENDINGS:
    pmx_unref(f->client);
    break;
  }
  exit(EXIT_SUCCESS);
}

static pid_t fork_child(struct family *f, int i)
{
  enum ending ending = (enum ending)(i % ENDINGS);
  pid_t pid;

  fflush(NULL);
  gate_enter(&f->gate, true);
  pid = fork_asleep();
  gate_leave(&f->gate);
  ck_assert_int_ge(pid, 0);
  if (pid > 0)
    return pid;
  child_begin();
  if (ending != END_UNUSED)
    child_of_family(f, i);
  child_end(f, ending);
  _exit(EXIT_FAILURE);
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

static void check_parent(struct family *f)
{
  char *ids = ids_of_clients(f->server);
  pmx_call call = call_in(SOON_MS);
  pmx_stats stats = stats_of(f->client);

  ck_assert_str_eq(ids, f->ids);
  ck_assert_uint_eq(stats.opened, f->size);
  ck_assert_uint_eq(stats.closed, 0);
  ck_assert_uint_eq(stats.closed_error + stats.closed_stale + stats.retries, 0);
  ck_assert_uint_eq(stats.not_run + stats.unknown, 0);
  ck_assert_int_eq(lease_id(f->lease), f->lease_id);
  call.cancel = f->token;
  check_is_ok(pmx_do(f->client, &call, "PING", (char *)NULL)); /* fired in children only */
  check_books(f->client, SIZE);
  free(ids);
}

static void family_close(struct family *f)
{
  if (f->lease)
    ck_assert_int_eq(pmx_release(f->lease), PMX_OK);
  pmx_cancel_free(f->token);
  pmx_cancel_free(f->blocked_token);
  close_client(f->client);
  free(f->ids);
  ck_assert(server_stop(f->server));
}

START_TEST(children_work_on_their_own_and_the_parent_does_not_notice)
{
  struct family f;
  struct background *hammers[HAMMERS], *blocked;

  family_open(&f, &ways[_i]);
  blocked = background_start(block, &f);
  ck_assert(wait_for(all_connected, &f, SOON_MS));
  f.ids = ids_of_clients(f.server);
  for (int i = 0; i < HAMMERS; i++)
    hammers[i] = background_start(hammer, &f);
  ck_assert(wait_for(all_hammer, &f, SOON_MS));
  fork_all(&f);
  atomic_store(&f.stop, true);
  for (int i = 0; i < HAMMERS; i++)
    background_join(hammers[i]);
  ck_assert_int_eq(f.wrong, 0);
  ck_assert_int_gt(f.gets, 100);
  check_parent(&f);
  check_int(pmx_do(f.client, NULL, "RPUSH", "fork:list", "element", (char *)NULL), 1);
  background_join(blocked);
  ck_assert_msg(pmx_reply_len(f.popped) == 2, "%s", pmx_reply_error(f.popped));
  ck_assert_str_eq(pmx_reply_str(pmx_reply_at(f.popped, 1), NULL), "element");
  pmx_reply_free(f.popped);
  family_close(&f);
}
END_TEST

START_TEST(threads_of_a_child_share_its_new_connections)
{
  struct family f;
  pid_t pid;

  family_open(&f, &ways[_i]);
  f.ids = ids_of_clients(f.server);
  let_family_sleep(&f);
  fflush(NULL);
  pid = fork_asleep();
  if (pid == 0) {
    struct background *hammers[HAMMERS];

    child_begin();
    for (int i = 0; i < HAMMERS; i++)
      hammers[i] = background_start(hammer, &f); /* the first use is a race of all */
    while (atomic_load(&f.gets) < 50)
      sleep_ms(1);
    atomic_store(&f.stop, true);
    for (int i = 0; i < HAMMERS; i++)
      background_join(hammers[i]);
    must(f.wrong == 0, "each of the child's threads has the right values");
    must(stats_of(f.client).opened <= f.size, "the child keeps to pool.max_size");
    exit(EXIT_SUCCESS);
  }
  reap(&pid);
  get_value(f.client, "fork:4");
  family_close(&f);
}
END_TEST

START_TEST(a_child_of_a_child_works_too)
{
  struct family f;
  pid_t pid;

  family_open(&f, &ways[_i]);
  f.ids = ids_of_clients(f.server);
  let_family_sleep(&f);
  pid = fork_asleep();
  if (pid == 0) {
    int status = 0;

    child_begin();
    child_get(f.client, 1);
    let_family_sleep(&f);
    pid = fork_asleep();
    if (pid == 0) {
      must(fd_count() == f.fds, "the grandchild has none of its ancestors' descriptors");
      child_get(f.client, 2);
      exit(EXIT_SUCCESS);
    }
    must(waitpid(pid, &status, 0) == pid && status == 0, "the grandchild ended well");
    child_get(f.client, 3);
    must(stats_of(f.client).closed == 0, "the child kept its connections");
    exit(EXIT_SUCCESS);
  }
  reap(&pid);
  get_value(f.client, "fork:4");
  ck_assert_uint_eq(stats_of(f.client).closed, 0);
  family_close(&f);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("fork");

  server_require("fork");
  tcase_set_timeout(tc, soak() ? 300 : 60);
  tcase_add_checked_fixture(tc, note_test_pid, NULL);
  add_for_ways_with(LEASES, tc, children_work_on_their_own_and_the_parent_does_not_notice);
  add_for_ways(tc, threads_of_a_child_share_its_new_connections);
  add_for_ways(tc, a_child_of_a_child_works_too);
  return checks_run("fork", tc);
}
