/* SPDX-License-Identifier: BSD-3-Clause */
/* unblock_ends.c - the client is closed, or its process forks, while the wait of a blocked command
 * is being ended. */
#include "behaviour/unblocking.h"

#include <check.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviour/forking.h"
#include "harness/checks.h"
#include "harness/util.h"

START_TEST(a_close_cuts_off_what_is_being_ended)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  int64_t begun = pmx_now_ms();
  struct pop c;

  pop_start(&c, &s, client, NULL);
  pop_fire(&c, &s);
  ck_assert_int_eq(pmx_close(client, 50), 0);
  check_fails(pop_ended(&c), PMX_UNKNOWN, PMX_CAUSE_CLOSED);
  check_on_time("closing", begun + 50);
  ck_assert(fake_wait_open(s.fake, 0, SOON_MS)); /* the control connection, too */
  pmx_unref(client);
  ck_assert(fake_stop(s.fake));
}
END_TEST

START_TEST(a_close_waits_for_what_is_being_ended)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  struct pop c;

  pop_start(&c, &s, client, NULL);
  pop_fire(&c, &s);
  scene_says_unblocked(&s);
  fake_reply_int(s.control, 1);
  ck_assert_int_eq(pmx_close(client, 20000), 1);
  check_fails(pop_ended(&c), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  ck_assert(fake_wait_open(s.fake, 0, SOON_MS));
  pmx_unref(client);
  ck_assert(fake_stop(s.fake));
}
END_TEST

START_TEST(a_connection_that_settles_does_not_hold_up_a_close)
{
  struct scene s;
  pmx_client *client = scene_begin(&s, strategies[_i], "30s");
  int64_t begun = pmx_now_ms();
  struct pop c;

  pop_start(&c, &s, client, NULL);
  pop_fire(&c, &s);
  scene_gives(&s, "x");
  check_popped(pop_ended(&c), "x");
  pmx_close(client, 30);
  check_on_time("closing", begun + 30);
  ck_assert(fake_wait_open(s.fake, 0, SOON_MS));
  pmx_unref(client);
  ck_assert(fake_stop(s.fake));
}
END_TEST

START_TEST(the_child_of_a_fork_has_a_control_connection_of_its_own)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(strategies[_i], server_url(server, SERVER_UNIX), "cancel_grace", "10s", NULL);
  pmx_call brief = call_in(50);
  struct waiting w = {.client = client, .command = "BLPOP q 0", .call = call_in(30000)};
  int status = 1;
  pid_t pid;

  check_fails(pmx_command_call(client, &brief, "BLPOP q 0"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  w.call.cancel = pmx_cancel_new();
  waiting_start(&w);
  ck_assert(server_has(server, "blocked_clients", 1, SOON_MS));
  pid = fork_asleep();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    pmx_reply *reply = pmx_command_call(client, &brief, "BLPOP q 0");

    _exit(pmx_reply_status(reply) == PMX_NOT_RUN ? 0 : 2);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  pmx_cancel_fire(w.call.cancel);
  check_fails(waiting_end(&w), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  pmx_cancel_free(w.call.cancel);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("unblock_ends");

  server_require("unblock_ends");
  add_for_strategies_with(LEASES, tc, a_close_cuts_off_what_is_being_ended);
  add_for_strategies_with(LEASES, tc, a_close_waits_for_what_is_being_ended);
  add_for_strategies_with(LEASES, tc, a_connection_that_settles_does_not_hold_up_a_close);
  add_for_strategies_with(LEASES, tc, the_child_of_a_fork_has_a_control_connection_of_its_own);
  return checks_run("unblock_ends", tc);
}
