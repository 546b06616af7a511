/* SPDX-License-Identifier: BSD-3-Clause */
/* transaction_lost.c - transactions whose connection is lost: before EXEC was sent they are run
 * again, afterwards never. */
#include "behaviour/batching.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/proxy.h"

static const char *const key_n[] = {"n"};

struct plan {
  struct server *server;
  struct proxy *proxy;
  pmx_client *client;
  int runs;
  int kills;                /* in so many of the first runs the connection is lost */
  int reads_after, ignores; /* the function finds out; and goes on all the same */
};

static void plan_open(struct plan *p, int way)
{
  struct proxy_options options = {.over = ways[way].over};

  memset(p, 0, sizeof *p);
  p->server = server_start(NULL);
  p->proxy = proxy_start(url_for(&ways[way], p->server), &options);
  p->client = open_client(ways[way].strategy, proxy_url(p->proxy), "reconnect.min_delay", "1ms",
                          "reconnect.max_delay", "2ms", NULL);
}

/* What is counted from now on is of the connection that will be lent. */
static void connect_lent(pmx_client *client)
{
  pmx_call call = call_alone(client, PMX_DEFAULT);

  check_is_ok(pmx_command_call(client, &call, "PING"));
}

static void plan_close(struct plan *p)
{
  check_stat(p->client, in_use, 0);
  close_client(p->client);
  proxy_stop(p->proxy);
  ck_assert(server_stop(p->server));
}

static int add_one(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  struct plan *p = ud;
  pmx_reply *reply;
  int64_t value;
  int ok;

  if (p->runs++ < p->kills)
    ck_assert_int_gt(server_kill_clients(p->server), 0);
  reply = pmx_lease_command(lease, NULL, p->reads_after ? "GET n" : "ECHO x");
  value = pmx_reply_int(reply, NULL);
  ok = pmx_ok(reply);
  pmx_reply_free(reply);
  if (!p->reads_after)
    value = server_value(p->server, "n");
  if (!ok && !p->ignores)
    return -1;
  pmx_batch_add(batch, "SET n %lld", (long long)value + 1);
  return 0;
}

static pmx_reply *transact(struct plan *p)
{
  return pmx_transaction(p->client, NULL, 1, key_n, NULL, 1, add_one, p);
}

START_TEST(connection_lost_before_exec_is_no_conflict_and_begins_anew)
{
  for (int ignores = 0; ignores < 2; ignores++) {
    for (int kills = 1; kills < 4; kills++) {
      struct plan p;
      pmx_reply *array;

      plan_open(&p, _i);
      p.reads_after = !ignores;
      p.ignores = ignores;
      p.kills = kills;
      array = transact(&p);
      check_array(array, 1);
      pmx_reply_free(array);
      ck_assert_int_eq(p.runs, kills + 1);
      ck_assert_int_eq(server_value(p.server, "n"), 1);
      plan_close(&p);
    }
  }
}
END_TEST

START_TEST(without_retries_it_says_that_it_did_not_run)
{
  pmx_call call = call_flags(PMX_CALL_NO_RETRY, SOON_MS);
  struct plan p;

  plan_open(&p, _i);
  p.kills = 1;
  p.reads_after = 1;
  check_fails(pmx_transaction(p.client, &call, 1, key_n, NULL, 5, add_one, &p), PMX_NOT_RUN,
              PMX_CAUSE_LOST);
  ck_assert_int_eq(p.runs, 1);
  ck_assert_int_eq(server_value(p.server, "n"), 0);
  plan_close(&p);
}
END_TEST

/* Answers: "+OK", "$1 x" of ECHO; then MULTI, one QUEUED, EXEC. */
enum { BEFORE = 5 + 7, ANSWERS = 5 + 9 + 4 + 5 };

START_TEST(lost_after_exec_was_sent_is_unknown_and_is_not_run_again)
{
  int ran = 0;

  for (int at = 1; at < ANSWERS; at++) {
    struct plan p;
    pmx_reply *reply;

    plan_open(&p, _i);
    connect_lent(p.client);
    proxy_cut(p.proxy, PROXY_TO_CLIENT, BEFORE + 2 * sealing(&ways[_i]) + at, 1);
    reply = transact(&p);
    ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
    check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_LOST);
    ck_assert_int_eq(p.runs, 1);
    ran += server_value(p.server, "n") == 1;
    ck_assert_int_le(server_value(p.server, "n"), 1);
    plan_close(&p);
  }
  ck_assert_int_eq(ran, ANSWERS - 1); /* the server had it all */
}
END_TEST

START_TEST(lost_while_it_watches_is_run_again)
{
  for (int at = 1; at < 5; at++) {
    struct plan p;
    pmx_reply *array;

    plan_open(&p, _i);
    connect_lent(p.client);
    proxy_cut(p.proxy, PROXY_TO_CLIENT, at, 1);
    array = transact(&p);
    check_array(array, 1);
    pmx_reply_free(array);
    ck_assert_int_eq(p.runs, 1);
    ck_assert_int_eq(server_value(p.server, "n"), 1);
    plan_close(&p);
  }
}
END_TEST

/* ---- a server that refuses for now ---- */

struct loading {
  int watch, exec; /* how often they are refused */
};

static int load(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct loading *l = ud;

  if (strcmp(argv[0], "WATCH") == 0 && l->watch-- > 0)
    fake_reply_error(conn, "LOADING soon");
  else if (strcmp(argv[0], "SET") == 0 && l->exec > 0)
    fake_reply_error(conn, "LOADING soon");
  else if (strcmp(argv[0], "SET") == 0)
    fake_reply_simple(conn, "QUEUED");
  else if (strcmp(argv[0], "EXEC") == 0 && l->exec-- > 0)
    fake_reply_error(conn, "EXECABORT no");
  else if (strcmp(argv[0], "EXEC") == 0)
    fake_send(conn, "*1\r\n+OK\r\n", 9);
  else
    return answer_values(NULL, conn, argc, argv, len);
  return 0;
}

static int set_one(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  (void)lease;
  ++*(int *)ud;
  pmx_batch_add(batch, "SET n 1");
  return 0;
}

START_TEST(server_that_loads_is_asked_again)
{
  struct loading loading = {.watch = 2, .exec = 2};
  struct fake *fake = fake_for(&ways[_i], load, &loading);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), NULL);
  int runs = 0;
  pmx_reply *array = pmx_transaction(client, NULL, 1, key_n, NULL, 1, set_one, &runs);

  check_array(array, 1);
  pmx_reply_free(array);
  ck_assert_int_eq(runs, 3);
  ck_assert_uint_eq(fake_seen(fake, "WATCH"), 5);
  ck_assert_uint_eq(fake_accepted(fake), 1 + lane_beside(client));
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("transaction_lost");

  server_require("transaction_lost");
  add_for_ways_with(LEASES, tc, connection_lost_before_exec_is_no_conflict_and_begins_anew);
  add_for_ways_with(LEASES, tc, without_retries_it_says_that_it_did_not_run);
  add_for_ways_with(LEASES, tc, lost_after_exec_was_sent_is_unknown_and_is_not_run_again);
  add_for_ways_with(LEASES, tc, lost_while_it_watches_is_run_again);
  add_for_ways_with(LEASES, tc, server_that_loads_is_asked_again);
  return checks_run("transaction_lost", tc);
}
