/* SPDX-License-Identifier: BSD-3-Clause */
/* closing_inside.c - closing and giving up the last reference inside an event or log callback, and
 * closing from outside while a call is inside one. Nothing may stay behind (the fixture counts
 * descriptors and threads). */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "behaviour/inside.h"
#include "harness/checks.h"

static void close_forever(struct inside *in)
{
  in->result = pmx_close(in->client, PMX_FOREVER);
  in->reply = pmx_command(in->client, "PING");
}

START_TEST(close_inside_a_callback_does_not_wait)
{
  struct inside in = {0};
  struct waiting call = {.command = "GET k"};

  open_inside(&in, _i);
  check_stat(in.client, live, 1);
  run_inside(&in, close_forever);
  check_fails(in.reply, PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  ck_assert_int_lt(in.took_ms, HANG_MS);
  call.client = in.client;
  waiting_start(&call);
  check_fails(waiting_end(&call), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  ck_assert_int_eq(pmx_close(in.client, 0), 1);
  pmx_unref(in.client);
  ck_assert(server_stop(in.server));
}
END_TEST

static void give_up_last(struct inside *in)
{
  pmx_unref(in->client);
}

START_TEST(the_last_reference_can_be_given_up_inside_a_callback)
{
  struct inside in = {0};

  open_inside(&in, _i);
  run_inside(&in, give_up_last);
  check_clients(in.server, 0);
  ck_assert(server_stop(in.server));
}
END_TEST

static void call_and_give_up_last(struct inside *in)
{
  pmx_lease *lease = pmx_acquire(in->client, NULL, NULL);

  in->reply = pmx_command(in->client, "PING");
  pmx_unref(in->client);
  in->result = (int)pmx_reply_finish(pmx_lease_command(lease, NULL, "PING"));
  pmx_release(lease);
}

START_TEST(the_last_lease_can_be_returned_inside_a_callback)
{
  struct inside in = {0};

  open_inside(&in, _i);
  run_inside(&in, call_and_give_up_last);
  check_is_ok(in.reply);
  ck_assert_int_eq(in.result, PMX_OK);
  check_clients(in.server, 0);
  ck_assert(server_stop(in.server));
}
END_TEST

START_TEST(close_from_outside_cuts_off_a_call_inside_a_callback)
{
  struct inside in = {.run = call_for_long};
  int64_t begin;

  open_inside(&in, _i);
  start_inside(&in);
  begin = pmx_now_ms();
  ck_assert_int_eq(pmx_close(in.client, 50), 0);
  check_on_time("close", begin + 50);
  ck_assert(wait_for(inside_done, &in, SOON_MS));
  check_fails(in.reply, PMX_UNKNOWN, PMX_CAUSE_CLOSED);
  pmx_unref(in.client);
  ck_assert(server_stop(in.server));
}
END_TEST

static void open_another(struct inside *in)
{
  pmx_options *options = pmx_options_new();
  pmx_client *other;

  trust_for(options, in->url);
  other = pmx_open(in->url, options, &in->reply);
  pmx_options_free(options);
  if (!other)
    return;
  in->reply = pmx_command(other, "PING");
  in->result = pmx_close(other, 5000);
  pmx_unref(other);
}

START_TEST(a_callback_may_open_use_and_close_another_client)
{
  struct inside in = {0};

  open_inside(&in, _i);
  run_inside(&in, open_another);
  check_is_ok(in.reply);
  ck_assert_int_eq(in.result, 1);
  end_inside(&in);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("closing_inside");

  ways_brief();
  server_require("closing_inside");
  add_for_manners(tc, close_inside_a_callback_does_not_wait, 0);
  add_for_manners(tc, the_last_reference_can_be_given_up_inside_a_callback, 0);
  add_for_manners(tc, the_last_lease_can_be_returned_inside_a_callback, LEASES);
  add_for_manners(tc, close_from_outside_cuts_off_a_call_inside_a_callback, 0);
  add_for_manners(tc, a_callback_may_open_use_and_close_another_client, 0);
  return checks_run("closing_inside", tc);
}
