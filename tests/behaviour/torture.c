/* SPDX-License-Identifier: BSD-3-Clause */
/* torture.c - what calls answer while memory runs out, each allocation in turn, once and from then
 * on: the right value, or a failure that says truly whether the command ran. Never a hang and never
 * a wrong value. That no place in the pool is lost: memory.c. Sees base/mem.h. */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/torture.h"
#include "harness/util.h"

enum { BIG = 40 * 1024, RUN_MS = 20000 };

struct scene {
  struct server *server;
  const char *strategy;
  pmx_client *client;
  struct guard *guard;
  char *big;
  int64_t acknowledged, unknown; /* of INCR */
  int64_t failed, right;         /* answers */
  int hits;                      /* runs in which an allocation failed */
  pmx_client *nested;            /* for the event callback; NULL: it does nothing */
  int64_t nested_calls;
};

/* ---- answers ---- */

static bool cause_is_sensible(pmx_status status, pmx_cause cause)
{
  switch (status) {
  case PMX_NOMEM:
    return cause == PMX_CAUSE_NONE || cause == PMX_CAUSE_NOMEM;
  case PMX_NOT_RUN:
    return cause == PMX_CAUSE_NOMEM || cause == PMX_CAUSE_CONNECT || cause == PMX_CAUSE_LOST ||
           cause == PMX_CAUSE_DNS;
  case PMX_UNKNOWN:
    return cause == PMX_CAUSE_NOMEM || cause == PMX_CAUSE_LOST;
  case PMX_OK:
  case PMX_SERVER_ERROR:
  case PMX_INVALID:
    break;
  }
  return false;
}

static void check_failure(struct scene *s, const char *what, pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);
  pmx_cause cause = pmx_reply_cause(reply);

  ck_assert_msg(cause_is_sensible(status, cause), "%s: %s/%s: %s", what, pmx_status_str(status),
                pmx_cause_str(cause), pmx_reply_error(reply));
  ck_assert_str_ne(pmx_reply_error(reply), "");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), status != PMX_UNKNOWN);
  ck_assert_int_eq(pmx_reply_type(reply), PMX_TYPE_FAILURE);
  s->failed++;
  pmx_reply_free(reply);
}

/* The value is this, or the reply is a failure. */
static void right_or_failed(struct scene *s, const char *what, pmx_reply *reply, const char *value,
                            size_t len)
{
  size_t got_len = 0;
  const char *got;

  if (!pmx_ok(reply)) {
    check_failure(s, what, reply);
    return;
  }
  got = pmx_reply_str(reply, &got_len);
  ck_assert_msg(got && got_len == len && memcmp(got, value, len) == 0, "%s gave \"%.40s\"", what,
                got ? got : "(none)");
  s->right++;
  pmx_reply_free(reply);
}

#define RIGHT(s, call, value) right_or_failed((s), #call, (call), (value), strlen(value))

static void count(struct scene *s)
{
  pmx_call call = call_flags(PMX_CALL_NO_RETRY, RUN_MS);
  pmx_reply *reply = pmx_do(s->client, &call, "INCR", "torture:n", (char *)NULL);

  if (pmx_ok(reply)) {
    s->acknowledged++;
    s->right++;
    pmx_reply_free(reply);
    return;
  }
  s->unknown += pmx_reply_status(reply) == PMX_UNKNOWN;
  check_failure(s, "INCR", reply);
}

static void list(struct scene *s)
{
  pmx_reply *reply = pmx_command(s->client, "LRANGE torture:list %d %d", 0, -1);
  char value[16];

  if (!pmx_ok(reply)) {
    check_failure(s, "LRANGE", reply);
    return;
  }
  ck_assert_uint_eq(pmx_reply_len(reply), 100);
  for (size_t i = 0; i < 100; i++) {
    snprintf(value, sizeof value, "element %zu", i);
    ck_assert_str_eq(pmx_reply_str(pmx_reply_at(reply, i), NULL), value);
  }
  s->right++;
  pmx_reply_free(reply);
}

static void big_argument(struct scene *s)
{
  const char *argv[] = {"ECHO", s->big};
  const size_t len[] = {4, BIG};

  right_or_failed(s, "ECHO", pmx_argv(s->client, NULL, 2, argv, len), s->big, BIG);
  right_or_failed(s, "ECHO %b", pmx_command(s->client, "ECHO %b", s->big, (size_t)BIG), s->big,
                  BIG);
}

static void error_reply(struct scene *s)
{
  pmx_reply *reply = pmx_command(s->client, "LPUSH torture:n x");

  if (pmx_reply_status(reply) != PMX_SERVER_ERROR) {
    check_failure(s, "LPUSH", reply);
    return;
  }
  ck_assert_str_eq(pmx_reply_error_code(reply), "WRONGTYPE");
  pmx_reply_free(reply);
}

static void many_arguments(struct scene *s)
{
  const char *argv[130] = {"DEL"};
  pmx_reply *reply;

  for (int i = 1; i < 130; i++)
    argv[i] = "torture:none";
  reply = pmx_argv(s->client, NULL, 130, argv, NULL);
  if (pmx_ok(reply))
    check_int(reply, 0);
  else
    check_failure(s, "DEL", reply);
}

/* ---- leases: a transaction happens as a whole or not at all ---- */

static void transaction(struct scene *s)
{
  pmx_reply *failure, *reply;
  pmx_lease *lease = pmx_acquire(s->client, NULL, &failure);

  if (!lease) {
    check_failure(s, "pmx_acquire", failure);
    return;
  }
  RIGHT(s, pmx_lease_command(lease, NULL, "ECHO %s", "lease"), "lease");
  if (pmx_reply_finish(pmx_lease_command(lease, NULL, "MULTI")) == PMX_OK &&
      pmx_reply_finish(pmx_lease_command(lease, NULL, "ECHO in")) == PMX_OK) {
    reply = pmx_lease_command(lease, NULL, "EXEC");
    if (pmx_ok(reply))
      ck_assert_str_eq(pmx_reply_str(pmx_reply_at(reply, 0), NULL), "in");
    pmx_reply_free(reply);
  }
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
}

/* ---- the runs ---- */

static void run_calls(void *ud)
{
  struct scene *s = ud;
  pmx_stats stats = PMX_STATS_INIT;

  count(s);
  RIGHT(s, pmx_do(s->client, NULL, "GET", "torture:k", (char *)NULL), "value");
  RIGHT(s, pmx_command(s->client, "ECHO %s-%d-%zu", "a", -1, (size_t)2), "a--1-2");
  list(s);
  big_argument(s);
  many_arguments(s);
  error_reply(s);
  if (strategy_has(s->strategy, LEASES))
    transaction(s);
  count(s);
  pmx_stats_get(s->client, &stats);
  ck_assert_uint_le(stats.live, 2 + lane_beside(s->client));
}

static void check_counter(struct scene *s)
{
  int64_t value = server_integer(s->server, "GET", "torture:n", NULL);

  ck_assert_int_ge(value, s->acknowledged);
  ck_assert_int_le(value, s->acknowledged + s->unknown);
}

static void wait_usable(pmx_client *client)
{
  int64_t end = now_ms() + SOON_MS;

  while (pmx_reply_finish(pmx_command(client, "PING")) != PMX_OK)
    ck_assert_msg(now_ms() < end, "the client does not recover");
}

static void check_calls(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct scene *s = ud;

  (void)n, (void)sticky;
  s->hits += hit;
  wait_usable(s->client);
  get_value(s->client, "torture:f");
  check_books(s->client, 2);
  if (n % 3 == 0)
    server_kill_clients(s->server); /* the next run dials */
}

static void talk(void *ud, pmx_log_level level, const char *component, const char *message)
{
  (void)ud, (void)level;
  ck_assert_ptr_nonnull(component);
  ck_assert_ptr_nonnull(message);
}

/* Makes a call on the client's own thread, which must end whatever happens to memory. */
static void call_inside(void *ud, const pmx_event *event)
{
  struct scene *s = ud;
  pmx_client *client = __atomic_load_n(&s->nested, __ATOMIC_ACQUIRE);
  pmx_call call = call_in(500);

  if (event->type != PMX_EVENT_CONNECTED || !client)
    return;
  pmx_reply_free(pmx_do(client, &call, "ECHO", "inside", (char *)NULL));
  __atomic_fetch_add(&s->nested_calls, 1, __ATOMIC_RELAXED);
}

static void scene_open(struct scene *s, const struct way *way)
{
  pmx_options *options = options_for(way->strategy);
  char value[VALUE_SIZE];

  memset(s, 0, sizeof *s);
  s->guard = guard_start("torture", soak() ? 300000 : 50000);
  s->server = server_start(NULL);
  s->strategy = way->strategy;
  s->big = harness_alloc(BIG);
  memset(s->big, 'b', BIG);
  for (int i = 0; i < 100; i++) {
    char command[64];

    snprintf(command, sizeof command, "element %d", i);
    free(server_command(s->server, "RPUSH", "torture:list", command, NULL));
  }
  free(server_command(s->server, "SET", "torture:k", "value", NULL));
  free(server_command(s->server, "SET", "torture:n", "0", NULL));
  free(server_command(s->server, "SET", "torture:f", value_of("torture:f", value), NULL));
  pmx_options_set(options, "pool.max_size", "2");
  pmx_options_set(options, "offline", "fail");
  pmx_options_set(options, "reconnect.min_delay", "1ms");
  pmx_options_set(options, "reconnect.max_delay", "2ms");
  pmx_options_set(options, "pool.wait_timeout", "10s");
  pmx_options_set_log(options, talk, PMX_LOG_DEBUG, s);
  pmx_options_set_events(options, call_inside, s);
  s->client = open_client_with(url_for(way, s->server), options);
}

static void scene_close(struct scene *s)
{
  close_client(s->client);
  free(s->big);
  ck_assert(server_stop(s->server));
  guard_stop(s->guard);
}

START_TEST(answers_are_right_or_failures_and_what_is_counted_was_said)
{
  struct scene s;
  uint64_t runs;

  scene_open(&s, &ways[_i]);
  runs = torture(run_calls, check_calls, &s);
  printf("%llu runs: %lld right answers, %lld failures, %lld unknown\n", (unsigned long long)runs,
         (long long)s.right, (long long)s.failed, (long long)s.unknown);
  check_counter(&s);
  ck_assert_int_gt(s.hits, 20);
  ck_assert_int_gt(s.failed, 20);
  scene_close(&s);
}
END_TEST

START_TEST(calls_inside_callbacks_end_as_well)
{
  struct scene s;

  scene_open(&s, &ways[_i]);
  __atomic_store_n(&s.nested, s.client, __ATOMIC_RELEASE);
  torture(run_calls, check_calls, &s);
  check_counter(&s);
  ck_assert_int_gt(__atomic_load_n(&s.nested_calls, __ATOMIC_RELAXED), 10);
  scene_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("torture");

  server_require("torture");
  tcase_set_timeout(tc, soak() ? 300 : 60);
  add_for_ways(tc, answers_are_right_or_failures_and_what_is_counted_was_said);
  add_for_ways(tc, calls_inside_callbacks_end_as_well);
  return checks_run("torture", tc);
}
