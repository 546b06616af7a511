/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_crowd_ends.c - while one of a crowd drives and the others sleep: whose time is up, or who is
 * cancelled, need not wait for him; the connection, the client or the server's patience may end at
 * any time. */
#include "behaviour/crowding_doors.h"

#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/checks.h"

enum { BIG = 8 * 1024 * 1024, SHORT_MS = 80, DRIVEN_MS = 400, HURRIED = 3, LATER = 8 };

static void scene_close(struct crowd_scene *s, size_t connections)
{
  ck_assert_uint_eq(fake_accepted(s->fake), connections);
  crowd_close(s);
}

/* ---- calls that end early ---- */

START_TEST(deadlines_are_kept_in_a_crowd)
{
  struct crowd_scene s;
  struct caller hurried[HURRIED];
  int64_t until[HURRIED];

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  for (int i = 0; i < HURRIED; i++) {
    pmx_call call = call_in((i + 1) * SHORT_MS);

    until[i] = pmx_now_ms() + call.timeout_ms;
    caller_start(&hurried[i], s.client, "GET odd-hurried", &call);
  }
  for (int i = 0; i < HURRIED; i++) {
    callers_check_fail(&hurried[i], 1, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
    ck_assert_int_ge(pmx_now_ms(), until[i]);
    check_on_time("the call", until[i]);
  }
  check_crowd_is_driven();
  crowd_finish(&s);
  check_stat(s.client, late_replies, HURRIED);
  scene_close(&s, 1);
}
END_TEST

START_TEST(deadline_of_who_drives_for_a_crowd_is_kept)
{
  struct crowd_scene s;
  struct caller driver;
  pmx_call call = call_in(DRIVEN_MS);
  int64_t until;

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  crowd_finish(&s);
  until = pmx_now_ms() + call.timeout_ms;
  caller_start(&driver, s.client, "GET odd-driver", &call);
  crowd_wait_seen(&s, 1);
  crowd_begin(&s, CROWD);
  callers_check_fail(&driver, 1, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  ck_assert_int_ge(pmx_now_ms(), until);
  check_on_time("the call", until);
  check_crowd_is_driven();
  crowd_finish(&s);
  check_stat(s.client, late_replies, 1);
  scene_close(&s, 1);
}
END_TEST

START_TEST(call_is_cancelled_in_a_crowd)
{
  struct crowd_scene s;
  struct caller canceled;
  pmx_call call = call_in(SOON_MS);
  int64_t fired;

  call.cancel = pmx_cancel_new();
  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  caller_start(&canceled, s.client, "GET odd-canceled", &call);
  crowd_wait_seen(&s, CROWD); /* one of them was answered */
  fired = pmx_now_ms();
  pmx_cancel_fire(call.cancel);
  callers_check_fail(&canceled, 1, PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  check_on_time("the call", fired);
  check_crowd_is_driven();
  crowd_finish(&s);
  check_stat(s.client, late_replies, 1);
  pmx_cancel_free(call.cancel);
  scene_close(&s, 1);
}
END_TEST

START_TEST(close_cuts_off_a_crowd_at_its_deadline)
{
  struct crowd_scene s;
  int64_t until;

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  until = pmx_now_ms() + SHORT_MS;
  ck_assert_int_eq(pmx_close(s.client, SHORT_MS), 0);
  ck_assert_int_ge(pmx_now_ms(), until);
  check_on_time("close", until);
  ck_assert_int_eq(crowd_fail(&s, PMX_UNKNOWN, PMX_CAUSE_CLOSED), CROWD - 1);
  crowd_end(&s);
}
END_TEST

/* ---- the connection ends ---- */

static void (*const ends[])(struct fake_conn *) = {fake_reset, fake_close, fake_half_close};
enum { ENDS = sizeof ends / sizeof ends[0] };

START_TEST(connection_ends_while_one_drives_for_a_crowd)
{
  struct crowd_scene s;
  pmx_stats stats;

  crowd_open(&s, &ways[_i]);
  for (int i = 0; i < ENDS; i++) {
    crowd_gather(&s, CROWD);
    ends[i](crowd_conn(&s));
    ck_assert_int_eq(crowd_fail(&s, PMX_UNKNOWN, PMX_CAUSE_LOST), CROWD - 1);
    check_int(pmx_command(s.client, "INCR n"), 1);
  }
  crowd_gather(&s, CROWD);
  crowd_finish(&s);
  stats = stats_of(s.client);
  ck_assert_uint_eq(stats.unknown, ENDS * (CROWD - 1));
  ck_assert_uint_eq(stats.not_run, 0);
  scene_close(&s, 1 + ENDS);
}
END_TEST

START_TEST(connection_ends_when_the_crowd_has_gone)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  for (int i = 0; i < ENDS; i++) {
    crowd_gather(&s, CROWD);
    crowd_finish(&s);
    ends[i](crowd_conn(&s));
    check_stat(s.client, lanes_closed, (uint64_t)i + 1); /* nobody calls, and it is seen */
    check_int(pmx_command(s.client, "INCR n"), 1);
  }
  crowd_gather(&s, CROWD);
  crowd_finish(&s);
  ck_assert_uint_eq(stats_of(s.client).unknown + stats_of(s.client).not_run, 0);
  scene_close(&s, 1 + ENDS);
}
END_TEST

/* ---- no room to write ---- */

static _Thread_local enum { AS_EVER, HALF, NOTHING } room; /* of this thread's next send() */

/* In place of the C library's. */
ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
  if (room == NOTHING) {
    errno = EAGAIN;
    return -1;
  }
  if (room == HALF) {
    room = NOTHING;
    size -= size / 2;
  }
  return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

static void set_in_halves(void *client)
{
  pmx_reply *reply;

  room = HALF;
  reply = pmx_command(client, "SET odd-half %s", "a value of some length");
  check_is_ok(reply);
  ck_assert_int_eq(room, NOTHING);
}

/* A caller begins to write while the one who drives waits for bytes only. */
START_TEST(who_sleeps_in_poll_is_told_to_wait_for_room)
{
  struct crowd_scene s;
  struct background *thread;

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  thread = background_start(set_in_halves, s.client);
  crowd_wait_seen(&s, CROWD);
  crowd_finish(&s);
  background_join(thread);
  ck_assert_uint_eq(fake_counts(s.fake).protocol_errors, 0);
  scene_close(&s, 1);
}
END_TEST

static void set_big(void *client)
{
  const char *argv[] = {"SET", "odd-big", harness_alloc(BIG)};
  const size_t len[] = {3, 7, BIG};

  check_is_ok(pmx_argv(client, NULL, 3, argv, len));
  free((void *)(uintptr_t)argv[2]);
}

/* A request that takes as long as the server does not read. */
START_TEST(crowd_waits_for_a_server_that_does_not_read)
{
  struct crowd_scene s;
  struct background *thread;

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  fake_stall(crowd_conn(&s));
  thread = background_start(set_big, s.client);
  check_stat(s.client, in_flight, CROWD);
  check_crowd_is_driven();
  fake_resume(crowd_conn(&s));
  ck_assert(fake_wait_seen(s.fake, "SET", 1, SOON_MS));
  crowd_finish(&s);
  background_join(thread);
  ck_assert_uint_eq(fake_counts(s.fake).protocol_errors, 0);
  scene_close(&s, 1);
}
END_TEST

/* ---- the client ends ---- */

struct closing {
  pmx_client *client;
  int64_t timeout_ms;
  atomic_ullong handovers; /* not before there were more of them */
  atomic_int state;        /* 1: inside; 2: about to return */
};

static bool handed_over(void *arg)
{
  struct closing *c = arg;

  return stats_of(c->client).handovers > atomic_load(&c->handovers);
}

static void close_inside(void *arg, const pmx_reply *reply)
{
  struct closing *c = arg;

  (void)reply;
  atomic_store(&c->state, 1);
  wait_for(handed_over, c, SOON_MS);
  pmx_close(c->client, c->timeout_ms);
  atomic_store(&c->state, 2);
}

static bool is_inside(void *arg)
{
  return atomic_load(&((struct closing *)arg)->state) >= 1;
}

static bool is_through(void *arg)
{
  return atomic_load(&((struct closing *)arg)->state) == 2;
}

START_TEST(close_inside_a_callback_while_a_crowd_calls)
{
  struct crowd_scene s;
  struct caller later[LATER];
  struct closing c = {.timeout_ms = SHORT_MS};

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  c.client = s.client;
  ck_assert_int_eq(pmx_async(s.client, NULL, close_inside, &c, "GET odd-callback"), PMX_OK);
  crowd_wait_seen(&s, CROWD);
  for (int i = 0; i < LATER; i++)
    caller_start(&later[i], s.client, "GET odd-later", NULL);
  crowd_wait_seen(&s, CROWD + LATER);
  for (int i = 0; i < CROWD; i++)
    crowd_answer(&s);
  check_crowd_is_driven();
  ck_assert(wait_for(is_through, &c, SOON_MS));
  callers_check_fail(later, LATER, PMX_UNKNOWN, PMX_CAUSE_CLOSED);
  crowd_end(&s);
}
END_TEST

/* The client's own thread is kept in the callback until a caller has left the token to another. */
START_TEST(close_inside_a_callback_when_the_token_is_handed_over)
{
  struct crowd_scene s;
  struct closing c = {.timeout_ms = 0};

  crowd_open(&s, &ways[_i]);
  c.client = s.client;
  atomic_store(&c.handovers, UINT64_MAX);
  ck_assert_int_eq(pmx_async(s.client, NULL, close_inside, &c, "PING"), PMX_OK);
  ck_assert(wait_for(is_inside, &c, SOON_MS));
  atomic_store(&c.handovers, stats_of(s.client).handovers);
  crowd_begin(&s, CROWD);
  crowd_answer(&s);
  ck_assert_int_eq(crowd_fail(&s, PMX_UNKNOWN, PMX_CAUSE_CLOSED), CROWD - 1);
  ck_assert(wait_for(is_through, &c, SOON_MS));
  crowd_end(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_crowd_ends");

  ways_brief();
  add_for_ways_with(SHARES, tc, deadlines_are_kept_in_a_crowd);
  add_for_ways_with(SHARES, tc, deadline_of_who_drives_for_a_crowd_is_kept);
  add_for_ways_with(SHARES, tc, call_is_cancelled_in_a_crowd);
  add_for_ways_with(SHARES, tc, close_cuts_off_a_crowd_at_its_deadline);
  add_for_ways_with(SHARES, tc, connection_ends_while_one_drives_for_a_crowd);
  add_for_ways_with(SHARES, tc, connection_ends_when_the_crowd_has_gone);
  add_for_ways_with(SHARES, tc, who_sleeps_in_poll_is_told_to_wait_for_room);
  add_for_ways_with(SHARES, tc, crowd_waits_for_a_server_that_does_not_read);
  add_for_ways_with(SHARES, tc, close_inside_a_callback_while_a_crowd_calls);
  add_for_ways_with(SHARES, tc, close_inside_a_callback_when_the_token_is_handed_over);
  return checks_run("mux_crowd_ends", tc);
}
