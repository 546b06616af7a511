/* SPDX-License-Identifier: BSD-3-Clause */
/* async_backlog.c - a callback that takes long while replies for others are read by somebody else:
 * they wait for their turn, and they are not without number. */
#include "behaviour.h"

#include <check.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "harness/checks.h"

enum { LIMIT = 65536, IN_FLIGHT = 16384 };

static sem_t release;
static atomic_int told;

static void hold(void *ud, const pmx_reply *reply)
{
  (void)ud, (void)reply;
  while (sem_wait(&release) != 0)
    continue;
  atomic_fetch_add(&told, 1);
}

static void count(void *ud, const pmx_reply *reply)
{
  (void)ud;
  ck_assert(pmx_ok(reply));
  atomic_fetch_add(&told, 1);
}

static bool all_told(void *arg)
{
  return atomic_load(&told) == *(int *)arg;
}

/* A synchronous call reads the replies of all that were sent before it. */
static int submit_until_refused(pmx_client *client)
{
  int begun = 0;

  for (int refused = 0; refused < 3;) {
    pmx_status status = pmx_async(client, NULL, count, NULL, "PING");

    if (status == PMX_OK) {
      begun++;
      refused = 0;
      continue;
    }
    ck_assert_int_eq(status, PMX_NOT_RUN);
    refused++;
    check_is_ok(pmx_command(client, "PING"));
    ck_assert_int_lt(begun, 2 * (LIMIT + IN_FLIGHT));
  }
  return begun;
}

START_TEST(callbacks_that_wait_for_their_turn_are_bounded)
{
  struct server *server = server_start(NULL);
  pmx_client *client;
  int begun;

  ck_assert_ptr_nonnull(server);
  sem_init(&release, 0, 0);
  atomic_store(&told, 0);
  client = open_client("mux", server_url(server, SERVER_UNIX), "command_timeout", "60s", NULL);
  ck_assert_int_eq(pmx_async(client, NULL, hold, NULL, "PING"), PMX_OK);
  begun = 1 + submit_until_refused(client);
  ck_assert_int_ge(begun, LIMIT);
  ck_assert_int_le(begun, LIMIT + IN_FLIGHT + 1);
  sem_post(&release);
  ck_assert(wait_for(all_told, &begun, SOON_MS));
  ck_assert_int_eq(pmx_async(client, NULL, count, NULL, "PING"), PMX_OK);
  begun++;
  ck_assert(wait_for(all_told, &begun, SOON_MS));
  close_client(client);
  server_stop(server);
  sem_destroy(&release);
}
END_TEST

int main(void)
{
  TCase *tc;

  server_require("async_backlog");
  tc = checks_case("async_backlog");
  tcase_add_test(tc, callbacks_that_wait_for_their_turn_are_bounded);
  return checks_run("async_backlog", tc);
}
