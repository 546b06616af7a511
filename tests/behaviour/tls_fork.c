/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_fork.c - forks while other threads shake hands: OpenSSL has locks that all its users share,
 * and one that is held at that moment would stay shut in the child. */
#include <check.h>
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "behaviour/forking.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { SHAKERS = 4 };

struct shakers {
  const char *url;
  atomic_bool stop;
  atomic_int shaken;
};

/* Each client begins with a handshake, and ends with a thread that used OpenSSL. */
static void shake_hands(void *arg)
{
  struct shakers *s = arg;

  while (!atomic_load(&s->stop)) {
    pmx_client *client = open_client("mux", s->url, NULL);

    check_is_ok(pmx_command(client, "PING"));
    close_client(client);
    atomic_fetch_add(&s->shaken, 1);
  }
}

static pid_t fork_and_get(pmx_client *client, int i)
{
  pid_t pid = fork();

  if (pid == 0) {
    child_begin();
    child_get(client, i);
    _exit(EXIT_SUCCESS);
  }
  return pid;
}

START_TEST(a_child_can_shake_hands_whatever_its_parents_threads_did)
{
  struct way way = {_i ? "hybrid" : "pool", OVER_TLS};
  struct server *server = server_start(NULL);
  struct shakers s = {.url = url_for(&way, server)};
  pmx_client *client = open_client(way.strategy, s.url, NULL);
  struct background *threads[SHAKERS];
  int forks = soak() ? 3000 : 150;

  for (int i = 0; i < FORK_KEYS; i++) {
    char key[32], value[VALUE_SIZE];

    snprintf(key, sizeof key, "fork:%d", i);
    free(server_command(server, "SET", key, value_of(key, value), NULL));
  }
  get_value(client, "fork:0");
  for (int i = 0; i < SHAKERS; i++)
    threads[i] = background_start(shake_hands, &s);
  for (int i = 0; i < forks; i++) {
    pid_t pid = fork_and_get(client, i);

    reap(&pid);
  }
  atomic_store(&s.stop, true);
  for (int i = 0; i < SHAKERS; i++)
    background_join(threads[i]);
  ck_assert_int_gt(s.shaken, forks / 10); /* they were at it meanwhile */
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_fork");

  server_require("tls_fork");
  tcase_set_timeout(tc, soak() ? 900 : 120);
  if (!SANITIZED) /* whose own allocators have such locks as well */
    tcase_add_loop_test(tc, a_child_can_shake_hands_whatever_its_parents_threads_did, 0, 2);
  return checks_run("tls_fork", tc);
}
