/* SPDX-License-Identifier: BSD-3-Clause */
/* batch_calls.c - batches behave as calls do: with no time, with a fired token, on a closed client,
 * inside callbacks, in a loop, after a fork. */
#include "behaviour/batching.h"

#include <check.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviour/calling.h"
#include "behaviour/forking.h"
#include "harness/checks.h"

static struct server *server;

static void begin(void)
{
  server = server_start(NULL);
  ck_assert_ptr_nonnull(server);
}

static void end(void)
{
  ck_assert(server_stop(server));
}

static pmx_client *open_way(int i)
{
  return open_client(ways[i].strategy, url_for(&ways[i], server), NULL);
}

START_TEST(no_time_and_a_fired_token_end_it_before_anything_was_sent)
{
  pmx_client *client = open_way(_i);
  pmx_batch *batch = batch_of(client, "INCR n; INCR n");
  pmx_call call = call_in(0);
  int64_t before = server_value(server, "n");

  for (int atomic = 0; atomic < 2; atomic++) {
    pmx_reply *(*exec)(pmx_batch *, const pmx_call *) =
        atomic ? pmx_batch_exec_atomic : pmx_batch_exec;

    call = call_in(0);
    check_fails(exec(batch, &call), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
    call = call_in(SOON_MS);
    call.cancel = pmx_cancel_new();
    pmx_cancel_fire(call.cancel);
    check_fails(exec(batch, &call), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
    pmx_cancel_free(call.cancel);
  }
  ck_assert_int_eq(server_value(server, "n"), before);
  pmx_close(client, 0);
  check_fails(pmx_batch_exec(batch, NULL), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  pmx_batch_free(batch);
  pmx_unref(client);
}
END_TEST

START_TEST(batch_keeps_its_client_open)
{
  pmx_client *client = open_way(_i);
  pmx_batch *batch = batch_of(client, "ECHO x");
  pmx_reply *array;

  pmx_unref(client);
  array = batch_run(batch, 0, NULL);
  check_array(array, 1);
  pmx_reply_free(array);
}
END_TEST

static void batch_inside(struct told *t, const pmx_reply *reply)
{
  pmx_reply *array = batch_run(batch_of(t->client, "ECHO in; INCR n"), 1, NULL);

  (void)reply;
  check_array(array, 2);
  pmx_reply_free(array);
  array = batch_run(batch_of(t->client, "ECHO in; INCR n"), 0, NULL);
  check_array(array, 2);
  check_element_text(array, 0, "in");
  pmx_reply_free(array);
}

START_TEST(batches_work_inside_callbacks_and_in_a_loop)
{
  pmx_client *client = open_manner(&manners[_i], manner_url(&manners[_i], server), NULL);
  struct told told = {.inside = batch_inside};

  batch_inside(&(struct told){.client = client}, NULL);
  ask(client, &told, NULL, "ECHO x");
  check_is_ok(outcome(&told));
  close_client(client);
}
END_TEST

START_TEST(batch_of_before_a_fork_is_executed_on_both_sides)
{
  pmx_client *client = open_way(_i);
  pmx_batch *batch = batch_of(client, "INCR forked; ECHO x");
  pmx_reply *array = pmx_batch_exec(batch, NULL);
  int64_t before = server_value(server, "forked");
  int status = -1;
  pid_t child;

  check_array(array, 2);
  pmx_reply_free(array);
  child = fork_asleep();
  if (child == 0) {
    pmx_reply *reply = pmx_batch_exec_atomic(batch, NULL);
    int ok = pmx_ok(reply) && pmx_reply_len(reply) == 2 && !pmx_reply_failed(reply);

    _exit(ok ? 0 : 1);
  }
  ck_assert_int_gt(child, 0);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  array = batch_run(batch, 0, NULL);
  check_array(array, 2);
  check_element_int(array, 0, before + 2);
  pmx_reply_free(array);
  close_client(client);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("batch_calls");

  server_require("batch_calls");
  tcase_add_checked_fixture(tc, begin, end);
  add_for_ways(tc, no_time_and_a_fired_token_end_it_before_anything_was_sent);
  add_for_ways(tc, batch_keeps_its_client_open);
  add_for_manners(tc, batches_work_inside_callbacks_and_in_a_loop);
  add_for_ways(tc, batch_of_before_a_fork_is_executed_on_both_sides);
  return checks_run("batch_calls", tc);
}
