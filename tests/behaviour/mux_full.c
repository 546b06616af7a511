/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_full.c - how much a shared connection takes in at once: over mux.max_inflight callers wait
 * until their deadline, or are told at once that it is full; and when the server stops, nothing
 * grows but their number. */
#include "behaviour/muxing.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"

enum { MOST = 4, CALLERS = 12 };

START_TEST(callers_over_max_inflight_wait_and_are_sent_when_there_is_room)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "mux.max_inflight", "4", NULL);
  struct caller callers[CALLERS];
  pmx_reply *reply;

  fake_stall(fake_conn_at(fake, 0));
  callers_start(callers, CALLERS, client, NULL);
  ck_assert_uint_eq(stats_of(client).in_flight, MOST);
  ck_assert_uint_eq(stats_of(client).waiting, CALLERS - MOST);
  reply = get_in(client, "late", 30);
  check_says(reply, "in flight 4");
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_values(callers, CALLERS);
  check_text(keys_seen(fake), "key-0 key-1 key-2 key-3 key-4 key-5 key-6 key-7 key-8 key-9 key-10 "
                              "key-11");
  ck_assert_uint_eq(stats_of(client).queue_full, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(full_fail_refuses_at_once_and_says_why)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "mux.max_inflight", "4",
                                   "mux.full", "fail", NULL);
  struct caller callers[MOST];
  pmx_reply *reply;
  int64_t begun;

  fake_stall(fake_conn_at(fake, 0));
  callers_start(callers, MOST, client, NULL);
  begun = pmx_now_ms();
  reply = get_in(client, "refused", PMX_FOREVER);
  check_on_time("refusal", begun);
  check_says(reply, "full: in flight 4");
  check_says(reply, "mux.max_inflight=4");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_QUEUE_FULL);
  ck_assert_uint_eq(stats_of(client).queue_full, 1);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_values(callers, MOST);
  get_value(client, "after");
  check_text(keys_seen(fake), "key-0 key-1 key-2 key-3 after");
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(full_can_be_changed_while_calls_wait)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, fake_url(fake), "mux.max_inflight", "4", NULL);
  struct caller callers[CALLERS];

  fake_stall(fake_conn_at(fake, 0));
  callers_start(callers, CALLERS, client, NULL);
  ck_assert_int_eq(pmx_client_set(client, "mux.full", "fail"), PMX_OK);
  check_fails(get_in(client, "refused", PMX_FOREVER), PMX_NOT_RUN, PMX_CAUSE_QUEUE_FULL);
  fake_resume(fake_conn_at(fake, 0));
  callers_check_values(callers, CALLERS); /* who is in, is in */
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static void set_two_kib(int i, void *arg)
{
  struct caller *c = arg;
  pmx_call call = call_in(SOON_MS);
  char *bytes = harness_alloc(2048);
  const char *argv[] = {"SET", "k", bytes};
  const size_t len[] = {3, 1, 2048};

  (void)i;
  c->waiting.reply = pmx_argv(c->waiting.client, &call, 3, argv, len);
  free(bytes);
}

static void set_in_background(void *arg)
{
  set_two_kib(0, arg);
}

/* Without a connection all wait: the second of 2 KiB is one too many. */
START_TEST(full_fail_counts_bytes_that_are_queued_as_well)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  struct caller first = {.command = ""}, second = {.command = ""};
  struct background *thread;

  fake_listen(fake, false);
  first.waiting.client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy",
                                     "mux.max_queued", "3KiB", "mux.full", "fail", NULL);
  second.waiting.client = first.waiting.client;
  thread = background_start(set_in_background, &first);
  check_stat(first.waiting.client, waiting, 1);
  set_two_kib(0, &second);
  check_says(second.waiting.reply, "mux.max_queued=3072");
  check_fails(second.waiting.reply, PMX_NOT_RUN, PMX_CAUSE_QUEUE_FULL);
  fake_listen(fake, true);
  background_join(thread);
  check_is_ok(first.waiting.reply);
  close_client(first.waiting.client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- a server that has stopped ---- */

enum { THREADS = 64, DEADLINE_MS = 60 };

struct stopped {
  pmx_client *client;
  int64_t until;
  atomic_int not_run, unknown, other;
  _Atomic int64_t latest_ms;
};

static void submit_in_vain(int i, void *arg)
{
  struct stopped *s = arg;

  (void)i;
  while (now_ms() < s->until) {
    int64_t begun = now_ms(), took;
    pmx_reply *reply = get_in(s->client, "k", DEADLINE_MS);

    took = now_ms() - begun;
    if (took > atomic_load(&s->latest_ms))
      atomic_store(&s->latest_ms, took);
    if (pmx_reply_cause(reply) != PMX_CAUSE_TIMEOUT && pmx_reply_cause(reply) != PMX_CAUSE_CONNECT)
      atomic_fetch_add(&s->other, 1);
    atomic_fetch_add(pmx_reply_status(reply) == PMX_UNKNOWN ? &s->unknown : &s->not_run, 1);
    pmx_reply_free(reply);
  }
}

static void submit_by_all(struct stopped *s)
{
  s->until = now_ms() + (soak() ? 20000 : 400);
  run_threads(THREADS, submit_in_vain, s);
  ck_assert_int_eq(atomic_load(&s->other), 0);
  ck_assert_int_lt(atomic_load(&s->latest_ms), DEADLINE_MS + HANG_MS);
  printf("%d not run, %d unknown, latest %lld ms\n", atomic_load(&s->not_run),
         atomic_load(&s->unknown), (long long)atomic_load(&s->latest_ms));
}

/* Only as many as may be in flight, or be given up there, are ever sent. */
START_TEST(stopped_server_is_sent_no_more_than_is_allowed_and_works_on_when_it_goes_on)
{
  struct server *server = server_start(NULL);
  struct stopped s = {.not_run = 0};
  char value[VALUE_SIZE];

  s.client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "mux.max_inflight", "16",
                         "mux.max_abandoned", "8", NULL);
  check_is_ok(pmx_command(s.client, "SET k %s", value_of("k", value)));
  server_pause(server);
  submit_by_all(&s);
  ck_assert_int_le(atomic_load(&s.unknown), 16);
  ck_assert_int_gt(atomic_load(&s.not_run), THREADS);
  ck_assert_uint_le(stats_of(s.client).in_flight, 16);
  ck_assert_uint_eq(stats_of(s.client).waiting, 0);
  server_resume(server);
  get_value(s.client, "k");
  ck_assert_uint_eq(stats_of(s.client).late_replies, (uint64_t)atomic_load(&s.unknown));
  ck_assert_uint_eq(stats_of(s.client).opened, 1);
  close_client(s.client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(calls_to_a_server_that_is_gone_are_not_run_at_their_deadline)
{
  struct server *server = server_start(NULL);
  struct stopped s = {.not_run = 0};

  s.client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "retry.max", "0", NULL);
  server_kill(server);
  check_stat(s.client, live, 0);
  submit_by_all(&s);
  ck_assert_int_eq(atomic_load(&s.unknown), 0);
  ck_assert_uint_eq(outstanding(s.client), 0);
  ck_assert(server_restart(server));
  check_is_ok(pmx_command(s.client, "INCR n"));
  close_client(s.client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_full");

  server_require("mux_full");
  add_for_ways_with(SHARES, tc, callers_over_max_inflight_wait_and_are_sent_when_there_is_room);
  add_for_ways_with(SHARES, tc, full_fail_refuses_at_once_and_says_why);
  add_for_ways_with(SHARES, tc, full_can_be_changed_while_calls_wait);
  add_for_ways_with(SHARES, tc, full_fail_counts_bytes_that_are_queued_as_well);
  add_for_ways_with(SHARES, tc,
                    stopped_server_is_sent_no_more_than_is_allowed_and_works_on_when_it_goes_on);
  add_for_ways_with(SHARES, tc, calls_to_a_server_that_is_gone_are_not_run_at_their_deadline);
  return checks_run("mux_full", tc);
}
