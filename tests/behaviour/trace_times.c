/* SPDX-License-Identifier: BSD-3-Clause */
/* trace_times.c - where a traced call's time went: what it waited for before it left, and what it
 * waited for after that. Times here are bounds; exact ones are asserted by the simulator. */
#include "behaviour/behaviour.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { REST_MS = 50, MS = 1000000 };

/* ---- what the functions are told ---- */

struct traced {
  pthread_mutex_t mutex;
  const char *command; /* only of this one */
  int begun, ended;
  pmx_trace_call call; /* of the last that ended */
};

static void *on_begin(void *ud, const pmx_trace_call *call)
{
  struct traced *t = ud;

  ck_assert_uint_eq(call->size, sizeof *call);
  ck_assert_int_eq(call->total_ns, 0);
  ck_assert_uint_eq(call->attempts, 0);
  pthread_mutex_lock(&t->mutex);
  t->begun += strcmp(call->command, t->command) == 0;
  pthread_mutex_unlock(&t->mutex);
  return NULL;
}

static void on_end(void *ud, void *span, const pmx_trace_call *call, const pmx_reply *reply)
{
  struct traced *t = ud;

  (void)span, (void)reply;
  ck_assert_int_ge(call->queued_ns, 0);
  ck_assert_int_ge(call->wire_ns, 0);
  ck_assert_int_le(call->queued_ns + call->wire_ns, call->total_ns);
  ck_assert_int_eq(call->wire_ns > 0, call->conn_id > 0);
  if (strcmp(call->command, t->command) != 0)
    return;
  pthread_mutex_lock(&t->mutex);
  t->ended++;
  t->call = *call;
  pthread_mutex_unlock(&t->mutex);
}

static bool has_ended(void *arg)
{
  struct traced *t = arg;
  bool ended;

  pthread_mutex_lock(&t->mutex);
  ended = t->ended > 0;
  pthread_mutex_unlock(&t->mutex);
  return ended;
}

/* The only one that began. */
static pmx_trace_call told(struct traced *t)
{
  ck_assert(wait_for(has_ended, t, SOON_MS));
  ck_assert_int_eq(t->begun, 1);
  ck_assert_int_eq(t->ended, 1);
  t->begun = t->ended = 0;
  return t->call;
}

static pmx_options *traced_options(const char *strategy, struct traced *t, const char *command)
{
  const pmx_trace trace = {sizeof trace, on_begin, on_end};
  pmx_options *options = options_for(strategy);

  *t = (struct traced){.mutex = PTHREAD_MUTEX_INITIALIZER, .command = command};
  pmx_options_set_trace(options, &trace, t);
  return options;
}

/* ---- each manner of calling ---- */

static void forget_reply(void *ud, const pmx_reply *reply)
{
  (void)ud, (void)reply;
}

enum manner_of_call { WAITS, IS_CALLED_BACK, TAKES_A_FUTURE, MANNERS };

static void get_k(pmx_client *client, enum manner_of_call manner, const pmx_call *call)
{
  switch (manner) {
  case WAITS:
    pmx_reply_free(pmx_command_call(client, call, "GET k"));
    break;
  case IS_CALLED_BACK:
    ck_assert_int_eq(pmx_async(client, call, forget_reply, NULL, "GET k"), PMX_OK);
    break;
  case TAKES_A_FUTURE:
    pmx_reply_free(pmx_future_take(pmx_submit(client, call, "GET k")));
    break;
  case MANNERS:
    break;
  }
}

/* ---- the tests ---- */

static int answer_late(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud, (void)len;
  if (strcmp(argv[0], "GET") == 0)
    fake_delay(conn, 4 * REST_MS);
  return answer_values(NULL, conn, argc, argv, len);
}

START_TEST(a_slow_answer_is_wire_time)
{
  struct fake_options slow = {.handler = answer_late};

  for (int manner = WAITS; manner < MANNERS; manner++) {
    struct fake *fake = fake_start(&slow);
    struct traced t;
    pmx_client *client =
        open_client_with(fake_url(fake), traced_options(strategies[_i], &t, "GET"));
    pmx_trace_call call;

    get_k(client, (enum manner_of_call)manner, NULL);
    call = told(&t);
    ck_assert_int_ge(call.wire_ns, 4 * REST_MS * MS);
    ck_assert_int_lt(call.queued_ns, 4 * REST_MS * MS);
    ck_assert_uint_eq(call.attempts, 1);
    ck_assert_uint_ge(call.conn_id, 1);
    close_client(client);
    ck_assert(fake_stop(fake));
  }
}
END_TEST

static void give_back_later(void *lease)
{
  sleep_ms(REST_MS);
  give_back(lease);
}

/* The lease is given back only after the call has waited for so long. */
START_TEST(a_full_pool_is_queued_time)
{
  struct server *server = server_start(NULL);

  for (int manner = WAITS; manner < MANNERS; manner++) {
    struct traced t;
    pmx_options *options = traced_options(strategies[_i], &t, "GET");
    pmx_client *client;
    struct background *giver;
    pmx_trace_call call;
    pmx_call alone;

    pmx_options_set(options, "pool.max_size", "1");
    client = open_client_with(server_url(server, SERVER_TCP), options);
    alone = call_alone(client, SOON_MS);
    giver = background_start(give_back_later, take(client));
    get_k(client, (enum manner_of_call)manner, &alone);
    call = told(&t);
    background_join(giver);
    ck_assert_int_gt(call.queued_ns, REST_MS * MS / 2);
    ck_assert_int_gt(call.wire_ns, 0);
    close_client(client);
  }
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(what_waits_in_vain_for_a_connection_was_queued_only)
{
  struct server *server = server_start(NULL);

  for (int manner = WAITS; manner < MANNERS; manner++) {
    struct traced t;
    pmx_options *options = traced_options(strategies[_i], &t, "GET");
    pmx_client *client;
    pmx_lease *lease;
    pmx_trace_call call;
    pmx_call alone;

    pmx_options_set(options, "pool.max_size", "1");
    client = open_client_with(server_url(server, SERVER_TCP), options);
    alone = call_alone(client, REST_MS);
    lease = take(client);
    get_k(client, (enum manner_of_call)manner, &alone);
    call = told(&t);
    ck_assert_int_ge(call.queued_ns, REST_MS * MS);
    ck_assert_int_eq(call.wire_ns, 0);
    ck_assert_uint_eq(call.conn_id, 0);
    ck_assert_uint_eq(call.attempts, 1);
    give_back(lease);
    close_client(client);
  }
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(without_a_server_nothing_leaves)
{
  struct fake *fake = fake_start(NULL);

  fake_listen(fake, false);
  for (int manner = WAITS; manner < MANNERS; manner++) {
    struct traced t;
    pmx_options *options = traced_options(strategies[_i], &t, "GET");
    pmx_client *client;
    pmx_call call = call_in(REST_MS);
    pmx_trace_call end;

    pmx_options_set(options, "connect", "lazy");
    client = open_client_with(fake_url(fake), options);
    get_k(client, (enum manner_of_call)manner, &call);
    end = told(&t);
    ck_assert_int_ge(end.queued_ns, REST_MS * MS);
    ck_assert_int_eq(end.wire_ns, 0);
    close_client(client);
  }
  ck_assert(fake_stop(fake));
}
END_TEST

/* Behind so much that the kernel takes no more: it is queued in the lane's own buffer too. */
enum { MUCH = 32 * 1024 * 1024 };

struct stalled {
  struct fake *fake;
  struct traced t;
  pmx_client *client;
};

static void stalled_open(struct stalled *s, int i)
{
  static char much[MUCH];
  struct fake_options answers = {.handler = answer_values};
  pmx_options *options = traced_options(strategies[i], &s->t, "GET");
  const char *argv[] = {"SET", "much", much};
  size_t len[] = {3, 4, sizeof much};

  s->fake = fake_start(&answers);
  pmx_options_set(options, "hybrid.bulk_request", "512MiB");
  pmx_options_set(options, "request.max_size", "128MiB");
  pmx_options_set(options, "mux.max_queued", "256MiB");
  s->client = open_client_with(fake_url(s->fake), options);
  fake_stall(fake_conn_at(s->fake, 0));
  ck_assert_int_eq(pmx_async_argv(s->client, NULL, forget_reply, NULL, 3, argv, len), PMX_OK);
}

static void stalled_close(struct stalled *s)
{
  close_client(s->client);
  ck_assert(fake_stop(s->fake));
}

START_TEST(what_the_kernel_does_not_take_was_queued_only)
{
  struct stalled s;
  pmx_call call = call_in(REST_MS);
  pmx_trace_call end;

  stalled_open(&s, _i);
  check_fails(pmx_command_call(s.client, &call, "GET k"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  end = told(&s.t);
  ck_assert_int_ge(end.queued_ns, REST_MS * MS);
  ck_assert_int_eq(end.wire_ns, 0);
  fake_resume(fake_conn_at(s.fake, 0));
  stalled_close(&s);
}
END_TEST

static void resume_later(void *conn)
{
  sleep_ms(REST_MS);
  fake_resume(conn);
}

START_TEST(a_server_that_reads_late_is_queued_time)
{
  struct stalled s;
  struct background *resumer;
  pmx_trace_call end;

  stalled_open(&s, _i);
  resumer = background_start(resume_later, fake_conn_at(s.fake, 0));
  get_value(s.client, "k");
  background_join(resumer);
  end = told(&s.t);
  ck_assert_int_gt(end.queued_ns, REST_MS * MS / 2);
  ck_assert_int_gt(end.wire_ns, 0);
  stalled_close(&s);
}
END_TEST

/* The first connection is lost while it owes the answer; a read is sent once more. */
START_TEST(the_times_of_all_tries_add_up)
{
  static const struct fake_step lost[] = {FAKE_EXPECT("GET"), FAKE_DELAY(REST_MS), FAKE_CLOSE,
                                          FAKE_END};
  static const struct fake_step well[] = {FAKE_EXPECT("GET"), FAKE_DELAY(REST_MS),
                                          FAKE_SEND("$1\r\nv\r\n"), FAKE_END};
  static const struct fake_step *const scripts[] = {lost, well};
  struct fake_options twice = {.scripts = scripts, .script_count = 2};

  for (int manner = WAITS; manner < MANNERS; manner++) {
    struct fake *fake = fake_start(&twice);
    struct traced t;
    pmx_client *client =
        open_client_with(fake_url(fake), traced_options(strategies[_i], &t, "GET"));
    pmx_trace_call end;

    get_k(client, (enum manner_of_call)manner, NULL);
    end = told(&t);
    ck_assert_int_ge(end.wire_ns, 2 * REST_MS * MS);
    ck_assert_uint_eq(end.attempts, 2);
    ck_assert_uint_eq(end.conn_id, 2);
    close_client(client);
    ck_assert(fake_stop(fake));
  }
}
END_TEST

/* ---- transactions ---- */

static int dawdle(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  int *tries = ud;

  lease_ok(lease, "GET watched");
  if (++*tries == 1) /* another client is faster */
    pmx_reply_free(lease_words(lease, "SET watched 1"));
  sleep_ms(REST_MS);
  return pmx_batch_add(batch, "INCR watched") == PMX_OK ? 0 : 1;
}

/* Nor is the wait for its connection counted twice. */
START_TEST(a_transaction_is_one_call_without_the_time_of_its_function)
{
  static const char *const keys[] = {"watched"};
  struct server *server = server_start(NULL);
  struct traced t;
  pmx_options *options = traced_options(strategies[_i], &t, "pmx_transaction");
  pmx_client *client;
  struct background *giver;
  int tries = 0;
  pmx_trace_call end;

  pmx_options_set(options, "pool.max_size", "1");
  client = open_client_with(server_url(server, SERVER_TCP), options);
  giver = background_start(give_back_later, take(client));
  check_is_ok(pmx_transaction(client, NULL, 1, keys, NULL, 0, dawdle, &tries));
  end = told(&t);
  background_join(giver);
  ck_assert_int_eq(tries, 2);
  ck_assert_int_gt(end.queued_ns, REST_MS * MS / 2);
  ck_assert_uint_eq(end.attempts, 2);
  ck_assert_int_ge(end.total_ns - end.queued_ns - end.wire_ns, 2 * REST_MS * MS);
  ck_assert_int_gt(end.wire_ns, 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* What the library asks the server before it is on the wire for the call, and not all of that. */
START_TEST(a_blocked_command_that_is_given_up_was_on_the_wire)
{
  struct server *server = server_start(NULL);
  struct traced t;
  pmx_client *client =
      open_client_with(server_url(server, SERVER_TCP), traced_options(strategies[_i], &t, "BLPOP"));
  pmx_call call = call_in(20 * REST_MS); /* a busy machine makes the connection meanwhile */
  pmx_trace_call end;

  server_ask(server, "ACL SETUSER default -info"); /* so it cannot be unblocked */
  check_fails(pmx_command_call(client, &call, "BLPOP q 0"), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  end = told(&t);
  ck_assert_int_ge(end.wire_ns, REST_MS * MS);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("trace_times");

  server_require("trace_times");
  add_for_strategies(tc, a_slow_answer_is_wire_time);
  add_for_strategies_with(LEASES, tc, a_full_pool_is_queued_time);
  add_for_strategies_with(LEASES, tc, what_waits_in_vain_for_a_connection_was_queued_only);
  add_for_strategies(tc, without_a_server_nothing_leaves);
  add_for_strategies_with(SHARES, tc, what_the_kernel_does_not_take_was_queued_only);
  add_for_strategies_with(SHARES, tc, a_server_that_reads_late_is_queued_time);
  add_for_strategies(tc, the_times_of_all_tries_add_up);
  add_for_strategies_with(LEASES, tc, a_transaction_is_one_call_without_the_time_of_its_function);
  add_for_strategies_with(LEASES, tc, a_blocked_command_that_is_given_up_was_on_the_wire);
  return checks_run("trace_times", tc);
}
