/* SPDX-License-Identifier: BSD-3-Clause */
/* torture_edges.c - what must work without memory: deadlines, closing, and saying that a setting
 * was not stored. Sees base/mem.h. */
#include <poolmux/poolmux.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/torture.h"

enum { SHORT_MS = 15 };

struct scene {
  struct server *server;
  const char *strategy;
  pmx_client *client;
  int hits;          /* runs in which an allocation failed */
  int failed, right; /* answers */
};

/* ---- deadlines and tokens without memory ---- */

static void run_waits(void *ud)
{
  struct scene *s = ud;
  pmx_call call = call_alone(s->client, SHORT_MS);
  pmx_cancel *token = pmx_cancel_new();
  int64_t limit = pmx_now_ms() + SHORT_MS;
  pmx_reply *reply;

  call.cancel = token;
  reply = pmx_do(s->client, &call, "GET", "torture:k", (char *)NULL);
  check_on_time("wait", limit);
  if (pmx_reply_status(reply) == PMX_NOT_RUN && pmx_reply_cause(reply) == PMX_CAUSE_TIMEOUT)
    s->right++;
  else
    ck_assert_msg(pmx_reply_status(reply) == PMX_NOMEM, "%s/%s: %s",
                  pmx_status_str(pmx_reply_status(reply)), pmx_cause_str(pmx_reply_cause(reply)),
                  pmx_reply_error(reply));
  pmx_reply_free(reply);
  pmx_cancel_fire(token);
  pmx_cancel_free(token);
}

static void check_waits(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct scene *s = ud;

  (void)n, (void)sticky;
  s->hits += hit;
  ck_assert_uint_eq(stats_of(s->client).waiting, 0);
}

START_TEST(a_wait_ends_by_its_deadline_with_or_without_memory)
{
  struct scene s;
  pmx_lease *leases[2];

  memset(&s, 0, sizeof s);
  s.server = server_start(NULL);
  s.client = open_client(ways[_i].strategy, url_for(&ways[_i], s.server), "pool.max_size", "2",
                         "pool.wait_timeout", "10s", (char *)NULL);
  leases[0] = take(s.client);
  leases[1] = take(s.client);
  torture(run_waits, check_waits, &s);
  ck_assert_int_gt(s.hits, 2);
  ck_assert_int_gt(s.right, 2);
  give_back(leases[0]);
  give_back(leases[1]);
  check_is_ok(pmx_do(s.client, NULL, "PING", (char *)NULL));
  close_client(s.client);
  ck_assert(server_stop(s.server));
}
END_TEST

/* ---- options ---- */

static void run_options(void *ud)
{
  struct scene *s = ud;
  pmx_options *options = pmx_options_new();
  pmx_status status;

  if (!options)
    return;
  ck_assert_str_eq(pmx_options_get(options, "client_name"), "");
  status = pmx_options_set(options, "client_name", "first");
  if (status == PMX_OK) {
    status = pmx_options_set(options, "client_name", "second");
    ck_assert_str_eq(pmx_options_get(options, "client_name"),
                     status == PMX_OK ? "second" : "first");
  }
  ck_assert_msg(status == PMX_OK || status == PMX_NOMEM, "%s", pmx_status_str(status));
  if (status != PMX_OK) {
    pmx_reply *err;

    ck_assert_str_ne(pmx_options_error(options), "");
    /* Nobody is connected with a setting that was not stored. */
    ck_assert_ptr_null(pmx_open(NULL, options, &err));
    ck_assert_ptr_nonnull(err);
    pmx_reply_free(err);
    s->failed++;
  }
  pmx_options_free(options);
}

static void check_hit(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct scene *s = ud;

  (void)n, (void)sticky;
  s->hits += hit;
}

START_TEST(a_setting_that_could_not_be_stored_is_reported_and_never_used)
{
  struct scene s = {.hits = 0};

  torture(run_options, check_hit, &s);
  ck_assert_int_gt(s.hits, 2);
  ck_assert_int_ge(s.failed, 2);
}
END_TEST

/* ---- closing ---- */

static void run_close(void *ud)
{
  struct scene *s = ud;
  int64_t limit = pmx_now_ms();

  pmx_close(s->client, 0);
  check_on_time("pmx_close", limit);
  check_fails(pmx_do(s->client, NULL, "PING", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  pmx_unref(s->client);
}

static void check_close(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct scene *s = ud;

  (void)n, (void)sticky, (void)hit;
  s->client = open_client(s->strategy, server_url(s->server, SERVER_UNIX), (char *)NULL);
}

START_TEST(closing_needs_no_memory)
{
  struct scene s;

  memset(&s, 0, sizeof s);
  s.server = server_start(NULL);
  s.strategy = strategies[_i];
  check_close(&s, 0, false, false);
  torture(run_close, check_close, &s);
  close_client(s.client);
  ck_assert(server_stop(s.server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("torture_edges");

  server_require("torture_edges");
  add_for_ways_with(LEASES, tc, a_wait_ends_by_its_deadline_with_or_without_memory);
  tcase_add_test(tc, a_setting_that_could_not_be_stored_is_reported_and_never_used);
  add_for_strategies(tc, closing_needs_no_memory);
  return checks_run("torture_edges", tc);
}
