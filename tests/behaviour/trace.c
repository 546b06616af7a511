/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.c - the program's functions around each call: what they are told, and that each call that
 * begins ends once. */
#include "behaviour/behaviour.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/util.h"

struct traced {
  pthread_mutex_t mutex;
  char text[1024]; /* begins and ends, in order */
  int begun, ended;
};

static void *trace_begin(void *ud, const pmx_trace_call *call)
{
  struct traced *t = ud;

  pthread_mutex_lock(&t->mutex);
  snprintf(t->text + strlen(t->text), sizeof t->text - strlen(t->text), "%s %s %s; ", call->command,
           call->place, call->reason);
  t->begun++;
  pthread_mutex_unlock(&t->mutex);
  return (void *)call->command;
}

static void trace_end(void *ud, void *span, const pmx_trace_call *call, const pmx_reply *reply)
{
  struct traced *t = ud;

  ck_assert_ptr_eq(span, call->command);
  ck_assert_int_eq(pmx_reply_status(reply), PMX_OK);
  pthread_mutex_lock(&t->mutex);
  t->ended++;
  pthread_mutex_unlock(&t->mutex);
}

static bool trace_ended(struct traced *t, int n)
{
  int64_t end = now_ms() + SOON_MS;
  int ended;

  do {
    pthread_mutex_lock(&t->mutex);
    ended = t->ended;
    pthread_mutex_unlock(&t->mutex);
  } while (ended < n && now_ms() < end);
  return ended == n;
}

static void drop(void *ud, const pmx_reply *reply)
{
  (void)ud, (void)reply;
}

START_TEST(trace_tells_place_and_reason_and_ends_once)
{
  static const char *const expected[] = {
      "SET dedicated strategy; BLPOP dedicated strategy; SET dedicated strategy; ",
      "SET lane strategy; ", "SET lane ordinary; BLPOP dedicated blocks; SET dedicated asked; "};
  struct server *server = server_start(NULL);
  struct traced traced = {.mutex = PTHREAD_MUTEX_INITIALIZER};
  pmx_trace trace = {sizeof trace, trace_begin, trace_end};
  pmx_options *options = options_for(strategies[_i]);
  pmx_call own = call_flags(PMX_CALL_DEDICATED, 5000);
  bool lends = strategy_has(strategies[_i], LEASES);
  char wanted[256];
  pmx_client *client;
  pmx_lease *lease;

  pmx_options_set_trace(options, &trace, &traced);
  client = open_client_with(server_url(server, SERVER_TCP), options);
  check_is_ok(pmx_command(client, "SET k v"));
  if (lends) {
    pmx_reply_free(pmx_command(client, "BLPOP none 0.01"));
    check_is_ok(pmx_command_call(client, &own, "SET k v"));
    lease = take(client);
    lease_ok(lease, "MULTI");
    lease_ok(lease, "DISCARD");
    give_back(lease);
  }
  pmx_reply_free(pmx_command(client, "SUBSCRIBE c")); /* refused: not traced */
  ck_assert_int_eq(pmx_async(client, NULL, drop, NULL, "GET k"), PMX_OK);
  check_is_ok(pmx_future_take(pmx_submit(client, NULL, "GET k")));
  ck_assert_msg(trace_ended(&traced, lends ? 7 : 3), "%d ended of %d: %s", traced.ended,
                traced.begun, traced.text);
  snprintf(wanted, sizeof wanted, "%s%s", expected[_i],
           lends ? "MULTI lease lease; DISCARD lease lease; " : "");
  close_client(client);
  ck_assert_int_eq(traced.begun, traced.ended);
  ck_assert_msg(strncmp(traced.text, wanted, strlen(wanted)) == 0, "%s\nnot %s", traced.text,
                wanted);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("trace");

  server_require("trace");
  add_for_strategies(tc, trace_tells_place_and_reason_and_ends_once);
  return checks_run("trace", tc);
}
