/* SPDX-License-Identifier: BSD-3-Clause */
/* async_races.c - calls that end while pmx_async has not yet returned: answered, refused for now,
 * cancelled, and their tokens freed. The C library's write() is replaced by one that can be slow,
 * so that the client's own thread has time for all that between the submission, which wakes it
 * through a descriptor, and the rest of pmx_async. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "behaviour/calling.h"
#include "harness/checks.h"

static _Thread_local void (*after_write)(void);
static struct told *awaited;

ssize_t write(int fd, const void *bytes, size_t size)
{
  void (*then)(void) = after_write;
  ssize_t n = syscall(SYS_write, fd, bytes, size);

  after_write = NULL;
  if (then)
    then();
  return n;
}

static void wait_till_told(void)
{
  wait_for(is_told, awaited, SOON_MS);
}

static void wait_100ms(void)
{
  sleep_ms(100);
}

/* Nothing has to wake the client's thread just now. */
static void settle(pmx_client *client)
{
  check_is_ok(pmx_command(client, "PING"));
  sleep_ms(5);
}

START_TEST(a_call_may_end_before_it_was_wholly_begun)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  struct told told = {0};

  settle(client);
  awaited = &told;
  after_write = wait_till_told;
  ask(client, &told, NULL, "PING");
  ck_assert_msg(!after_write, "nothing was written");
  ck_assert(is_told(&told)); /* else this tests nothing */
  check_is_ok(outcome(&told));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- tokens ---- */

static void free_token(struct told *t, const pmx_reply *reply)
{
  (void)reply;
  pmx_cancel_free(t->arg);
}

START_TEST(the_token_may_be_freed_in_the_callback)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client = open_manner(manner, manner_url(manner, server), (char *)NULL);
  struct told told = {.inside = free_token, .arg = pmx_cancel_new()};
  pmx_call call = call_in(SOON_MS);

  settle(client);
  call.cancel = told.arg;
  awaited = &told;
  after_write = wait_till_told;
  ask(client, &told, &call, "PING");
  ck_assert(is_told(&told));
  check_is_ok(outcome(&told));
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static pmx_cancel *to_fire;

static void fire(void)
{
  pmx_cancel_fire(to_fire);
  sleep_ms(5);
}

START_TEST(a_token_fired_while_the_call_begins_is_seen)
{
  const struct manner *manner = &manners[_i];
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_manner(manner, manner_url(manner, server), "command_timeout", "60s", (char *)NULL);
  struct told told = {0};
  pmx_call call = PMX_CALL_INIT;
  pmx_reply *reply;

  settle(client);
  server_pause(server);
  to_fire = call.cancel = pmx_cancel_new();
  after_write = fire;
  ask(client, &told, &call, "GET k");
  ck_assert_msg(!after_write, "nothing was written");
  reply = outcome(&told);
  ck_assert_int_eq(pmx_reply_cause(reply), PMX_CAUSE_CANCELED);
  pmx_reply_free(reply);
  server_resume(server);
  pmx_cancel_free(call.cancel);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- the clock ---- */

struct loading {
  int times;
};

static int refuse_at_first(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct loading *l = ud;

  if (strcasecmp(argv[0], "GET") == 0 && l->times-- > 0) {
    fake_reply_error(conn, "LOADING come again");
    return 0;
  }
  return answer_values(NULL, conn, argc, argv, len);
}

/* It pauses before its next try when pmx_async comes to set the deadline. */
START_TEST(a_pause_that_begins_before_the_deadline_was_set_keeps_its_own_time)
{
  const struct manner *manner = &manners[_i];
  struct way way = way_of(manner);
  struct loading loading = {6}; /* pauses of 3 ms at first, of 80 ms and more in the end */
  struct fake *fake = fake_for(&way, refuse_at_first, &loading);
  pmx_client *client = open_manner(manner, fake_url(fake), (char *)NULL);
  struct told told = {0};
  pmx_call call = call_in(SOON_MS / 2);
  int64_t begin;

  settle(client);
  after_write = wait_100ms;
  begin = pmx_now_ms();
  ask(client, &told, &call, "GET k");
  check_value(outcome(&told), "k");
  ck_assert_uint_eq(fake_seen(fake, "GET"), 7);
  check_on_time("tries after pauses", begin + 320);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static int never_answer_get(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud;
  return strcasecmp(argv[0], "GET") == 0 ? 0 : answer_values(NULL, conn, argc, argv, len);
}

START_TEST(a_deadline_that_has_passed_before_it_was_set_ends_the_call)
{
  const struct manner *manner = &manners[_i];
  struct way way = way_of(manner);
  struct fake *fake = fake_for(&way, never_answer_get, NULL);
  pmx_client *client = open_manner(manner, fake_url(fake), (char *)NULL);
  struct told told = {0};
  pmx_call call = call_in(10);
  int64_t begin;

  settle(client);
  after_write = wait_100ms;
  begin = pmx_now_ms();
  ask(client, &told, &call, "GET k");
  check_fails(outcome(&told), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  check_on_time("a late deadline", begin + 100);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("async_races");

  server_require("async_races");
  add_for_io("thread", tc, a_call_may_end_before_it_was_wholly_begun);
  add_for_io("thread", tc, the_token_may_be_freed_in_the_callback);
  add_for_io("thread", tc, a_token_fired_while_the_call_begins_is_seen);
  add_for_io("thread", tc, a_pause_that_begins_before_the_deadline_was_set_keeps_its_own_time);
  add_for_io("thread", tc, a_deadline_that_has_passed_before_it_was_set_ends_the_call);
  return checks_run("async_races", tc);
}
