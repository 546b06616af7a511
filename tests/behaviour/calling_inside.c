/* SPDX-License-Identifier: BSD-3-Clause */
/* calling_inside.c - synchronous calls inside an event or log callback, while there is no
 * connection and the very thread that runs the callback has to make one. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "behaviour/inside.h"
#include "harness/checks.h"

static void call_set(struct inside *in)
{
  in->reply = pmx_command(in->client, "SET k v");
}

/* Two connections do not go in the same moment: a call may take the other one just before. What may
 * not be sent twice then ends with it, and so does a lease. */
static void call_again(struct inside *in, void (*once)(struct inside *))
{
  for (int i = 0; i < 20; i++) {
    once(in);
    if (!lane_beside(in->client) || pmx_reply_cause(in->reply) != PMX_CAUSE_LOST)
      return;
    pmx_reply_free(in->reply);
    in->reply = NULL;
  }
}

static void alone_once(struct inside *in)
{
  pmx_call call = call_alone(in->client, PMX_DEFAULT);

  in->reply = pmx_command_call(in->client, &call, "SET k v");
}

static void call_alone_set(struct inside *in)
{
  call_again(in, alone_once);
}

static void lease_once(struct inside *in)
{
  pmx_lease *lease = pmx_acquire(in->client, NULL, &in->reply);

  if (!lease)
    return;
  pmx_reply_free(pmx_lease_command(lease, NULL, "MULTI"));
  pmx_reply_free(pmx_lease_command(lease, NULL, "SET k v"));
  in->reply = pmx_lease_command(lease, NULL, "EXEC");
  in->result = (int)pmx_release(lease);
}

static void call_lease(struct inside *in)
{
  call_again(in, lease_once);
}

static void call_large(struct inside *in)
{
  size_t size = 4 << 20;
  char *value = harness_alloc(size);
  const char *set[] = {"SET", "large", value}, *get[] = {"GET", "large"};
  const size_t len[] = {3, 5, size};

  pmx_reply_free(pmx_argv(in->client, NULL, 3, set, len));
  in->reply = pmx_argv(in->client, NULL, 2, get, NULL);
  free(value);
}

static void blocking_once(struct inside *in)
{
  in->reply = pmx_command(in->client, "BLPOP nothing 0.1");
}

static void call_blocking(struct inside *in)
{
  call_again(in, blocking_once);
}

static void call_sequence(struct inside *in)
{
  in->reply = NULL;
  for (int i = 0; i < 200; i++) {
    pmx_reply_free(in->reply);
    in->reply = pmx_command(in->client, "INCR n");
  }
}

static void (*const calls[])(struct inside *) = {call_set,      call_sequence, call_large,
                                                 call_blocking, call_lease,    call_alone_set};
enum { CALLS = sizeof calls / sizeof calls[0], WITHOUT_LEASES = CALLS - 3 };

START_TEST(calls_inside_a_callback_work_while_there_is_no_connection)
{
  struct inside in = {0};
  int count = strategy_has(strategy_inside(_i), LEASES) ? CALLS : WITHOUT_LEASES;

  open_inside(&in, _i);
  for (int i = 0; i < count; i++) {
    /* What call_large began, the others need as well: a connection beside the lane. */
    check_stat(in.client, live, 1 + (i > 2 ? lane_beside(in.client) : 0));
    run_inside(&in, calls[i]);
    ck_assert_msg(pmx_ok(in.reply), "call %d: %s", i, pmx_reply_error(in.reply));
    ck_assert_int_eq(in.result, PMX_OK);
    pmx_reply_free(in.reply);
    check_is_ok(pmx_command(in.client, "PING"));
  }
  end_inside(&in);
}
END_TEST

static void call_in_50ms(struct inside *in)
{
  pmx_call call = call_in(50);

  call_in_vain(in, &call);
}

START_TEST(calls_inside_a_callback_keep_their_deadline)
{
  struct inside in = {0};

  open_inside(&in, _i);
  run_inside(&in, call_in_50ms);
  check_fails(in.reply, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  ck_assert_int_lt(in.took_ms, 50 + HANG_MS);
  end_inside(&in);
}
END_TEST

START_TEST(calls_inside_a_callback_can_be_cancelled)
{
  pmx_cancel *token = pmx_cancel_new();
  struct inside in = {.token = token};

  open_inside(&in, _i);
  in.run = call_for_long;
  start_inside(&in);
  pmx_cancel_fire(token);
  ck_assert(wait_for(inside_done, &in, SOON_MS));
  check_fails(in.reply, PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  pmx_cancel_free(token);
  end_inside(&in);
}
END_TEST

static void kill_one(struct server *server, int64_t id)
{
  char command[64];

  snprintf(command, sizeof command, "CLIENT KILL ID %lld", (long long)id);
  server_ask(server, command);
}

START_TEST(a_call_inside_a_callback_is_served_by_another_threads_return)
{
  struct inside in = {.run = call_alone_set};
  pmx_lease *dies, *lives;

  open_inside(&in, _i);
  dies = take(in.client);
  lives = take(in.client);
  ck_assert_int_eq(pmx_client_set(in.client, "pool.max_size", "1"), PMX_OK);
  atomic_store(&in.armed, 1);
  kill_one(in.server, lease_id(dies));
  pmx_reply_free(pmx_lease_command(dies, NULL, "PING")); /* finds it dead: the callback runs */
  check_stat(in.client, waiting, 1);
  sleep_ms(20);
  ck_assert(!atomic_load(&in.done));
  give_back(lives);
  ck_assert(wait_for(inside_done, &in, SOON_MS));
  check_is_ok(in.reply);
  give_back(dies);
  ck_assert_uint_eq(stats_of(in.client).opened, 2 + lane_beside(in.client));
  end_inside(&in);
}
END_TEST

static void call_ping(struct inside *in)
{
  pmx_call call = call_alone(in->client, PMX_DEFAULT);

  in->reply = pmx_command_call(in->client, &call, "PING");
}

/* The new connection goes to who has waited for longer. */
START_TEST(a_call_inside_a_callback_does_not_wait_for_ever_for_a_busy_pool)
{
  struct inside in = {.run = call_ping};
  struct waiting call = {.command = "BLPOP q 0"};
  pmx_lease *lease;

  open_inside(&in, _i);
  ck_assert_int_eq(pmx_client_set(in.client, "pool.max_size", "1"), PMX_OK);
  lease = take(in.client);
  call.client = in.client;
  waiting_start(&call);
  check_stat(in.client, waiting, 1);
  ck_assert_int_eq(pmx_client_set(in.client, "pool.wait_timeout", "100ms"), PMX_OK);
  atomic_store(&in.armed, 1);
  server_kill_clients(in.server);
  pmx_reply_free(pmx_lease_command(lease, NULL, "PING"));
  ck_assert(wait_for(inside_done, &in, SOON_MS));
  check_fails(in.reply, PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  ck_assert_int_lt(in.took_ms, 100 + HANG_MS);
  server_ask(in.server, "LPUSH q x");
  check_is_ok(waiting_end(&call));
  give_back(lease);
  end_inside(&in);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("calling_inside");

  ways_brief();
  server_require("calling_inside");
  add_for_manners(tc, calls_inside_a_callback_work_while_there_is_no_connection, 0);
  add_for_manners(tc, calls_inside_a_callback_keep_their_deadline, 0);
  add_for_manners(tc, calls_inside_a_callback_can_be_cancelled, 0);
  add_for_manners(tc, a_call_inside_a_callback_is_served_by_another_threads_return, LEASES);
  add_for_manners(tc, a_call_inside_a_callback_does_not_wait_for_ever_for_a_busy_pool, LEASES);
  return checks_run("calling_inside", tc);
}
