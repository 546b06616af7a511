/* SPDX-License-Identifier: BSD-3-Clause */
/* batch_memory.c - batches and transactions while memory runs out, each allocation in turn, once
 * and from then on: what is said to have run has run, and what is not, has not. Sees base/mem.h. */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "behaviour/batching.h"
#include "harness/checks.h"
#include "harness/torture.h"
#include "harness/util.h"

enum { RUN_MS = 20000, COMMANDS = 3 };

struct scene {
  struct server *server;
  const char *strategy;
  pmx_client *client;
  int64_t acknowledged, unknown; /* INCRs */
  int64_t right, failed;         /* executions */
  int hits;                      /* runs in which an allocation failed */
};

/* `weight` INCRs have come to this. */
static void account(struct scene *s, const pmx_reply *reply, int weight)
{
  pmx_status status = pmx_reply_status(reply);

  switch (status) {
  case PMX_OK:
    s->acknowledged += weight;
    return;
  case PMX_UNKNOWN:
    s->unknown += weight;
    break;
  case PMX_NOT_RUN:
  case PMX_NOMEM:
    break;
  case PMX_SERVER_ERROR:
  case PMX_INVALID:
    ck_abort_msg("%s: %s", pmx_status_str(status), pmx_reply_error(reply));
  }
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), status != PMX_UNKNOWN);
  ck_assert_str_ne(pmx_reply_error(reply), "");
}

static pmx_batch *increments(struct scene *s)
{
  pmx_batch *batch = pmx_batch_new(s->client);
  char text[600]; /* more than small buffers hold */

  memset(text, 't', sizeof text);
  text[sizeof text - 1] = '\0';
  for (int i = 0; i < COMMANDS; i++)
    pmx_batch_add(batch, "INCR torture:n");
  pmx_batch_add(batch, "ECHO %s", text);
  return batch;
}

static void pipeline(struct scene *s, pmx_batch *batch, const pmx_call *call)
{
  pmx_reply *array = pmx_batch_exec(batch, call);

  for (size_t i = 0; pmx_ok(array) && i < COMMANDS; i++)
    account(s, pmx_reply_at(array, i), 1);
  if (pmx_ok(array))
    ck_assert_uint_eq(pmx_reply_len(array), COMMANDS + 1);
  else
    ck_assert_int_ne(pmx_reply_status(array), PMX_UNKNOWN);
  s->right += pmx_reply_failed(array) == NULL;
  s->failed += pmx_reply_failed(array) != NULL;
  pmx_reply_free(array);
}

static void atomic(struct scene *s, pmx_batch *batch, const pmx_call *call)
{
  pmx_reply *array = pmx_batch_exec_atomic(batch, call);

  account(s, array, COMMANDS);
  s->right += pmx_reply_failed(array) == NULL;
  s->failed += pmx_reply_failed(array) != NULL;
  pmx_reply_free(array);
}

static int read_and_add(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  (void)ud;
  if (pmx_reply_finish(pmx_lease_command(lease, NULL, "GET torture:n")) != PMX_OK)
    return -1;
  pmx_batch_add(batch, "INCR torture:n");
  return 0;
}

static void transaction(struct scene *s, const pmx_call *call)
{
  static const char *const keys[] = {"torture:n", "torture:m"};
  static const size_t lens[] = {9, 9};
  pmx_reply *array = pmx_transaction(s->client, call, 2, keys, lens, 0, read_and_add, NULL);

  account(s, array, 1);
  pmx_reply_free(array);
}

static void run_all(void *ud)
{
  struct scene *s = ud;
  pmx_call call = call_flags(PMX_CALL_NO_RETRY, RUN_MS);
  pmx_batch *batch = increments(s);

  if (batch) {
    pipeline(s, batch, &call);
    atomic(s, batch, &call);
  }
  pmx_batch_free(batch);
  if (strategy_has(s->strategy, LEASES))
    transaction(s, &call);
}

static void check_all(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct scene *s = ud;
  int64_t value, end = now_ms() + SOON_MS;

  (void)sticky;
  s->hits += hit;
  while (pmx_reply_finish(pmx_command(s->client, "PING")) != PMX_OK)
    ck_assert_msg(now_ms() < end, "the client does not recover");
  value = server_value(s->server, "torture:n");
  ck_assert_int_ge(value, s->acknowledged);
  ck_assert_int_le(value, s->acknowledged + s->unknown);
  check_books(s->client, 2);
  if (n % 3 == 0)
    server_kill_clients(s->server); /* the next run dials */
}

START_TEST(what_is_said_to_have_run_has_run_and_what_is_not_has_not)
{
  struct scene s = {.server = server_start(NULL), .strategy = ways[_i].strategy};
  struct guard *guard = guard_start("batch_memory", soak() ? 300000 : 50000);
  uint64_t runs;

  s.client = open_client(s.strategy, url_for(&ways[_i], s.server), "pool.max_size", "2", "offline",
                         "fail", "reconnect.min_delay", "1ms", "reconnect.max_delay", "2ms",
                         "pool.wait_timeout", "10s", NULL);
  runs = torture(run_all, check_all, &s);
  printf("%llu runs: %lld right, %lld failures, %lld unknown\n", (unsigned long long)runs,
         (long long)s.right, (long long)s.failed, (long long)s.unknown);
  ck_assert_int_gt(s.hits, 20);
  ck_assert_int_gt(s.failed, 20);
  ck_assert_int_gt(s.right, 20);
  close_client(s.client);
  ck_assert(server_stop(s.server));
  guard_stop(guard);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("batch_memory");

  server_require("batch_memory");
  tcase_set_timeout(tc, soak() ? 300 : 60);
  add_for_ways(tc, what_is_said_to_have_run_has_run_and_what_is_not_has_not);
  return checks_run("batch_memory", tc);
}
