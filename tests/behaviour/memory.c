/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.c - every allocation on the way of a connection fails once, and once for all: opening,
 * dialling, borrowing, repairing, returning, closing. Whatever the calls answered, afterwards no
 * place in the pool is lost and the same client works. Sees base/mem.h: it links the library's
 * objects. */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/certs.h"
#include "harness/checks.h"
#include "harness/sock.h"
#include "harness/torture.h"

enum { PLACES = 2 };

struct scene {
  struct server *server;
  const struct way *way;
  const char *url;
  const char *reset;
  pmx_client *client;
  pmx_reply *failure; /* of pmx_open */
  struct seen seen;
  int opened, failed; /* runs */
};

static void ignore_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  (void)ud, (void)level, (void)component, (void)message;
}

/* Everything that allocates is on. A server that is there but cannot be connected to for lack of
 * memory is not waited for. */
static pmx_options *options_of(struct scene *s)
{
  pmx_options *options = options_for(s->way->strategy);

  pmx_options_set(options, "pool.max_size", "2");
  pmx_options_set(options, "pool.reset", s->reset);
  pmx_options_set(options, "offline", "fail");
  pmx_options_set(options, "client_name", "tortured");
  pmx_options_set(options, "reconnect.min_delay", "1ms");
  pmx_options_set(options, "reconnect.max_delay", "2ms");
  ck_assert_str_eq(pmx_options_error(options), "");
  pmx_options_set_log(options, ignore_log, PMX_LOG_DEBUG, NULL);
  pmx_options_set_events(options, seen_event, &s->seen);
  return options;
}

/* It may fail, but it must say so, and not lie: what was done is OK, what was not is not. */
static void check_honest(pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);

  ck_assert_msg(status == PMX_OK || status == PMX_NOT_RUN || status == PMX_UNKNOWN ||
                    status == PMX_NOMEM,
                "%s/%s: %s", pmx_status_str(status), pmx_cause_str(pmx_reply_cause(reply)),
                pmx_reply_error(reply));
  pmx_reply_free(reply);
}

static void use_lease(pmx_client *client)
{
  pmx_reply *failure;
  pmx_lease *lease = pmx_acquire(client, NULL, &failure);

  if (!lease) {
    ck_assert_ptr_nonnull(failure);
    check_honest(failure);
    return;
  }
  check_honest(pmx_lease_command(lease, NULL, "WATCH k"));
  check_honest(pmx_lease_command(lease, NULL, "SELECT 3"));
  check_honest(pmx_lease_command(lease, NULL, "MULTI"));
  check_honest(pmx_lease_command(lease, NULL, "SET k %s", "value"));
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
}

static void use(const struct scene *s)
{
  pmx_client *client = s->client;
  pmx_call alone = call_alone(client, PMX_DEFAULT);

  if (strategy_has(s->way->strategy, LEASES))
    use_lease(client);
  check_honest(pmx_command_call(client, &alone, "SET k %d", 0));
  check_honest(pmx_command(client, "SET k %d", 1));
  check_honest(pmx_command(client, "GET k"));
  check_honest(pmx_command(client, "LRANGE list 0 -1"));
}

/* ---- the whole life of a client ---- */

/* With a lane beside its pool, a client asks the server what that is. */
static void use_unknown(pmx_client *client)
{
  pmx_reply *reply = pmx_command(client, "NO.SUCH.COMMAND");

  ck_assert_int_ne(pmx_reply_status(reply), PMX_OK);
  if (pmx_reply_status(reply) == PMX_SERVER_ERROR)
    pmx_reply_free(reply);
  else
    check_honest(reply);
}

static void run_life(void *ud)
{
  struct scene *s = ud;
  pmx_options *options = pmx_options_new();

  if (options && pmx_options_set(options, "client_name", "x") != PMX_OK)
    ck_assert_str_ne(pmx_options_error(options), "");
  pmx_options_free(options);
  s->client = pmx_open(s->url, NULL, &s->failure);
  if (!s->client)
    return;
  use(s);
  use_unknown(s->client);
  pmx_close(s->client, 1000);
}

static void check_life(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct scene *s = ud;

  (void)sticky;
  if (s->client) {
    ck_assert_ptr_null(s->failure);
    check_books(s->client, 0);
    ck_assert_uint_eq(stats_of(s->client).live, 0);
    pmx_unref(s->client);
    s->opened++;
  } else {
    ck_assert_msg(hit, "it did not open in run %llu", (unsigned long long)n);
    check_honest(s->failure);
    s->failed++;
  }
  s->client = NULL;
  s->failure = NULL;
}

START_TEST(no_failed_allocation_leaves_anything_of_a_client_behind)
{
  struct scene s = {.server = server_start(NULL), .way = &ways[_i]};
  char url[2 * SOCK_URL_SIZE + 64];
  uint64_t runs;

  snprintf(url, sizeof url, "%s?offline=fail&strategy=%s%s%s", url_for(s.way, s.server),
           s.way->strategy, over_tls(s.way->over) ? "&tls.ca_file=" : "",
           over_tls(s.way->over) ? cert_file(certs_default()->ca) : "");
  s.url = url;
  for (int i = 0; i < 50; i++)
    server_ask(s.server, "RPUSH list element");
  runs = torture(run_life, check_life, &s);
  printf("%llu runs: %d opened, %d did not\n", (unsigned long long)runs, s.opened, s.failed);
  ck_assert_int_gt(s.opened, 0);
  ck_assert_int_gt(s.failed, 0);
  check_clients(s.server, 0);
  ck_assert(server_stop(s.server));
}
END_TEST

/* A future's waiter has what it waits with on its stack: nobody has waited otherwise before. */
START_TEST(closing_waits_without_memory)
{
  struct server *server = server_start(NULL);
  pmx_options *options = options_for(ways[_i].strategy);
  pmx_client *client;
  int drained;

  pmx_options_set(options, "connect", "lazy");
  client = open_client_with(url_for(&ways[_i], server), options);
  check_is_ok(pmx_future_take(pmx_submit(client, NULL, "PING")));
  mem_fail_at(1, 1);
  drained = pmx_close(client, 1000);
  mem_fail_at(0, 0);
  ck_assert_int_eq(drained, 1);
  ck_assert_uint_eq(stats_of(client).live, 0);
  pmx_unref(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- a client that lives on ---- */

static void run_use(void *ud)
{
  use(ud);
}

static void call_until_ok(pmx_client *client)
{
  int64_t end = now_ms() + SOON_MS;

  while (pmx_reply_finish(pmx_command(client, "PING")) != PMX_OK)
    ck_assert_msg(now_ms() < end, "the client does not recover");
}

/* All places can be lent at the same time: none was lost. */
static void lend_all(pmx_client *client)
{
  pmx_lease *leases[PLACES];

  for (int i = 0; i < PLACES; i++) {
    leases[i] = take(client);
    lease_ok(leases[i], "SET k 1");
  }
  for (int i = 0; i < PLACES; i++)
    give_back(leases[i]);
}

/* The next run begins with dials. */
static void check_use(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct scene *s = ud;

  (void)n, (void)sticky, (void)hit;
  call_until_ok(s->client);
  ck_assert_uint_eq(stats_of(s->client).in_use + stats_of(s->client).in_flight, 0);
  if (strategy_has(s->way->strategy, LEASES))
    lend_all(s->client);
  check_books(s->client, PLACES);
  server_kill_clients(s->server);
}

static void torture_use(int way, const char *reset)
{
  struct scene s = {.server = server_start(NULL), .way = &ways[way], .reset = reset};
  uint64_t runs;

  seen_init(&s.seen);
  s.url = url_for(s.way, s.server);
  for (int i = 0; i < 50; i++)
    server_ask(s.server, "RPUSH list element");
  s.client = open_client_with(s.url, options_of(&s));
  runs = torture(run_use, check_use, &s);
  printf("pool.reset=%s: %llu runs\n", reset, (unsigned long long)runs);
  ck_assert_uint_gt(runs, 10);
  close_client(s.client);
  ck_assert(server_stop(s.server));
}

START_TEST(no_failed_allocation_leaves_a_client_that_does_not_recover)
{
  torture_use(_i, "tracked");
}
END_TEST

START_TEST(no_failed_allocation_loses_a_place_when_every_lease_is_reset)
{
  torture_use(_i, "always");
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("memory");

  server_require("memory");
  add_for_ways(tc, no_failed_allocation_leaves_anything_of_a_client_behind);
  add_for_ways(tc, closing_waits_without_memory);
  add_for_ways(tc, no_failed_allocation_leaves_a_client_that_does_not_recover);
  add_for_ways_with(LEASES, tc, no_failed_allocation_loses_a_place_when_every_lease_is_reset);
  return checks_run("memory", tc);
}
