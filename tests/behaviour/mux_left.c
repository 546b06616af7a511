/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_left.c - what is left to the caller who reads for all: those who were answered together and
 * call again do not write each for himself when the next reply is near. It is written after that
 * reply, or when the last of them comes, or whoever reads gives up; and not left at all when the
 * server is far. Time is this program's: it can pass more slowly, which makes any server near. */
#include "behaviour/muxing.h"

#include <check.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "harness/checks.h"

enum { CALLERS = 6, LEFT = CALLERS - 1, TRIES = 100, SLOWER = 1000, NS = 1000000000 };
enum { LONG_MS = 3600 * 1000 }; /* who sleeps on a futex has deadlines of the real clock */

/* ---- the clock ---- */

static atomic_llong slow_since; /* 0: as fast as ever */

static long long real_ns(void)
{
  struct timespec t;

  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
  return t.tv_sec * (long long)NS + t.tv_nsec;
}

/* In place of the C library's. */
int clock_gettime(clockid_t id, struct timespec *t)
{
  long long since = atomic_load(&slow_since), now;

  if (id != CLOCK_MONOTONIC || !since)
    return (int)syscall(SYS_clock_gettime, id, t);
  now = since + (real_ns() - since) / SLOWER;
  t->tv_sec = now / NS;
  t->tv_nsec = now % NS;
  return 0;
}

/* ---- a client where one call is owed its reply, and others were answered just now ---- */

struct scene {
  struct fake *fake;
  struct fake_conn *conn;
  pmx_client *client;
  struct caller owed, callers[CALLERS];
  pmx_call of_owed;
};

/* The first "owed" is not answered, and nothing behind it read. */
static int answer_until_owed(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc == 2 && strcmp(argv[1], "owed") == 0 && fake_conn_index(conn) == 0) {
    fake_stall(conn);
    return 0;
  }
  return answer_values(ud, conn, argc, argv, len);
}

static void scene_open(struct scene *s, const struct way *way)
{
  memset(s, 0, sizeof *s);
  s->of_owed = call_in(LONG_MS);
  s->fake = fake_for(way, answer_until_owed, NULL);
  s->client = open_client(way->strategy, fake_url(s->fake), "command_timeout", "1h", NULL);
  s->conn = fake_conn_at(s->fake, 0);
  get_value(s->client, "k");
}

static void scene_close(struct scene *s)
{
  ck_assert_uint_eq(outstanding(s->client), 0);
  atomic_store(&slow_since, 0);
  close_client(s->client);
  ck_assert(fake_stop(s->fake));
}

/* One read answers all but the last one, who then reads, and sleeps. */
static void answer_all_but_one(struct scene *s, int waits_ms)
{
  fake_stall(s->conn);
  callers_start(s->callers, CALLERS, s->client, NULL);
  caller_start(&s->owed, s->client, "GET owed", &s->of_owed);
  check_outstanding(s->client, CALLERS + 1);
  sleep_ms(waits_ms);
  fake_resume(s->conn);
  callers_check_values(s->callers, CALLERS);
  check_outstanding(s->client, 1);
}

static void answer_owed(struct scene *s)
{
  reply_value(s->conn, "owed");
  fake_resume(s->conn);
}

static void finish(struct scene *s)
{
  answer_owed(s);
  callers_check_values(&s->owed, 1);
}

/* Whether it was left: not when the answers came in several reads, or whoever reads was about to.
 */
static bool is_left(struct scene *s)
{
  pmx_stats stats;

  answer_all_but_one(s, 0);
  sleep_ms(5);
  callers_start(s->callers, LEFT, s->client, NULL);
  stats = stats_of(s->client);
  if (stats.waiting == LEFT && stats.in_flight == 1)
    return true;
  finish(s);
  callers_check_values(s->callers, LEFT);
  return false;
}

static void scene_open_with_left(struct scene *s, const struct way *way)
{
  scene_open(s, way);
  atomic_store(&slow_since, real_ns());
  for (int i = 0; i < TRIES; i++)
    if (is_left(s))
      return;
  ck_abort_msg("nothing is left to whoever reads");
}

START_TEST(what_is_left_is_written_after_the_next_reply)
{
  struct scene s;

  scene_open_with_left(&s, &ways[_i]);
  sleep_ms(20);
  ck_assert_uint_eq(stats_of(s.client).waiting, LEFT);
  finish(&s);
  callers_check_values(s.callers, LEFT);
  scene_close(&s);
}
END_TEST

START_TEST(the_last_who_comes_writes_what_is_left)
{
  struct scene s;

  scene_open_with_left(&s, &ways[_i]);
  caller_start(&s.callers[LEFT], s.client, "GET last", NULL);
  check_outstanding(s.client, CALLERS + 1);
  check_stat(s.client, waiting, 0);
  finish(&s);
  callers_check_values(s.callers, CALLERS);
  scene_close(&s);
}
END_TEST

/* A callback's caller was not woken, and does not wait. */
START_TEST(who_does_not_wait_leaves_nothing)
{
  struct scene s;
  pmx_future *future;

  scene_open_with_left(&s, &ways[_i]);
  future = pmx_submit(s.client, NULL, "GET %s", "future");
  ck_assert_ptr_nonnull(future);
  check_stat(s.client, waiting, 0);
  finish(&s);
  callers_check_values(s.callers, LEFT);
  check_value(pmx_future_take(future), "future");
  scene_close(&s);
}
END_TEST

/* It could have been written any time. */
START_TEST(what_is_left_fills_no_queue)
{
  pmx_future *future;
  char value[1000];
  struct scene s;

  memset(value, 'v', sizeof value);
  scene_open_with_left(&s, &ways[_i]);
  ck_assert_int_eq(pmx_client_set(s.client, "mux.max_queued", "1KiB"), PMX_OK);
  future = pmx_submit(s.client, NULL, "SET k %b", value, sizeof value);
  ck_assert_ptr_nonnull(future);
  check_stat(s.client, waiting, 0);
  finish(&s);
  callers_check_values(s.callers, LEFT);
  check_is_ok(pmx_future_take(future));
  scene_close(&s);
}
END_TEST

START_TEST(what_is_left_is_written_when_whoever_reads_gives_up)
{
  struct scene s;

  scene_open(&s, &ways[_i]);
  s.of_owed.cancel = pmx_cancel_new();
  atomic_store(&slow_since, real_ns());
  for (int i = 0; !is_left(&s); i++)
    ck_assert_int_lt(i, TRIES);
  pmx_cancel_fire(s.of_owed.cancel);
  callers_check_fail(&s.owed, 1, PMX_UNKNOWN, PMX_CAUSE_CANCELED);
  check_stat(s.client, waiting, 0);
  answer_owed(&s);
  callers_check_values(s.callers, LEFT);
  pmx_cancel_free(s.of_owed.cancel);
  scene_close(&s);
}
END_TEST

/* Nobody was told of it. */
START_TEST(what_is_left_and_given_up_did_not_run)
{
  struct scene s;
  pmx_call call = call_in(LONG_MS);
  size_t seen;

  scene_open_with_left(&s, &ways[_i]);
  finish(&s);
  callers_check_values(s.callers, LEFT);
  seen = fake_seen(s.fake, "INCR");
  call.cancel = pmx_cancel_new();
  do {
    answer_all_but_one(&s, 0);
    sleep_ms(5);
    caller_start(&s.callers[0], s.client, "INCR n", &call);
    check_outstanding(s.client, 2);
    if (stats_of(s.client).waiting == 1)
      break;
    finish(&s);
    pmx_reply_free(caller_end(&s.callers[0]));
    seen = fake_seen(s.fake, "INCR");
  } while (seen < TRIES);
  pmx_cancel_fire(call.cancel);
  callers_check_fail(s.callers, 1, PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  finish(&s);
  get_value(s.client, "k");
  ck_assert_uint_eq(fake_seen(s.fake, "INCR"), seen);
  pmx_cancel_free(call.cancel);
  scene_close(&s);
}
END_TEST

START_TEST(what_is_left_goes_to_the_next_connection_when_this_one_dies)
{
  struct scene s;

  scene_open_with_left(&s, &ways[_i]);
  atomic_store(&slow_since, 0); /* it has to connect again */
  fake_reset(s.conn);
  fake_resume(s.conn);
  callers_check_values(s.callers, LEFT);
  callers_check_values(&s.owed, 1); /* reads are tried again */
  ck_assert_uint_eq(fake_accepted(s.fake), 2);
  scene_close(&s);
}
END_TEST

START_TEST(nothing_is_left_when_the_server_is_far)
{
  struct scene s;

  scene_open(&s, &ways[_i]);
  for (int i = 0; i < 5; i++) {
    answer_all_but_one(&s, 20);
    sleep_ms(5);
    for (int n = 0; n < CALLERS; n++) {
      callers_start(&s.callers[n], 1, s.client, NULL);
      check_stat(s.client, in_flight, (uint64_t)n + 2);
    }
    finish(&s);
    callers_check_values(s.callers, CALLERS);
  }
  scene_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_left");

  add_for_ways_with(SHARES, tc, what_is_left_is_written_after_the_next_reply);
  add_for_ways_with(SHARES, tc, the_last_who_comes_writes_what_is_left);
  add_for_ways_with(SHARES, tc, who_does_not_wait_leaves_nothing);
  add_for_ways_with(SHARES, tc, what_is_left_fills_no_queue);
  add_for_ways_with(SHARES, tc, what_is_left_is_written_when_whoever_reads_gives_up);
  add_for_ways_with(SHARES, tc, what_is_left_and_given_up_did_not_run);
  add_for_ways_with(SHARES, tc, what_is_left_goes_to_the_next_connection_when_this_one_dies);
  add_for_ways_with(SHARES, tc, nothing_is_left_when_the_server_is_far);
  return checks_run("mux_left", tc);
}
