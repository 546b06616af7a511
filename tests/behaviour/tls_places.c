/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_places.c - TLS where something else happens at the same time: a deadline, a token, a close or
 * a hang-up in the middle of a handshake, a fork, a write that is stuck while keys are renewed; and
 * where it is unusual: on a Unix socket, in an application's loop. */
#include "behaviour/calling.h"
#include "behaviour/forking.h"
#include "behaviour/muxing.h"
#include "behaviour/tls_tools.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/checks.h"

enum { SOON = 200, LATE = 20000, BIG = 8 * 1024 * 1024, NEW_KEYS = 50, HELD = 3 };

/* ---- handshakes that get no answer ---- */

static const struct fake_tls mutes[] = {{.silent = true}, {.first = 200, .pause_us = -1}};
enum { MUTES = sizeof mutes / sizeof mutes[0] };

/* In the test: number / strategies is the mute. */
static struct fake *start_mute(int number, pmx_client **ret)
{
  struct fake *fake = stream_fake(&mutes[number / strategy_count]);

  *ret = open_client(strategies[number % strategy_count], fake_url(fake), "connect", "lazy",
                     "connect_timeout", "20s", (char *)NULL);
  return fake;
}

/* Nothing is left at the other side, and nothing came there. */
static void end_mute(struct fake *fake, pmx_client *client)
{
  int64_t limit = pmx_now_ms();

  close_client(client);
  check_on_time("closing", limit);
  ck_assert(fake_wait_open(fake, 0, SOON_MS));
  ck_assert_uint_eq(fake_counts(fake).handshakes, 0);
  ck_assert_uint_eq(fake_received(fake_conn_at(fake, 0)), 0);
  ck_assert(fake_stop(fake));
}

START_TEST(deadline_ends_a_call_whose_handshake_gets_no_answer)
{
  pmx_client *client;
  struct fake *fake = start_mute(_i, &client);
  int64_t limit = pmx_now_ms() + SOON;
  pmx_call call = call_in(SOON);

  check_fails(pmx_do(client, &call, "INCR", "n", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  check_on_time("handshake", limit);
  end_mute(fake, client);
}
END_TEST

static struct waiting one_that_waits(pmx_client *client, pmx_cancel *token)
{
  struct waiting w = {.client = client, .command = "INCR n", .call = call_in(LATE)};

  w.call.cancel = token;
  return w;
}

START_TEST(token_ends_a_call_whose_handshake_gets_no_answer)
{
  pmx_client *client;
  struct fake *fake = start_mute(_i, &client);
  pmx_cancel *token = pmx_cancel_new();
  struct waiting w = one_that_waits(client, token);
  int64_t limit;

  waiting_start(&w);
  ck_assert(fake_wait_accepted(fake, 1, SOON_MS));
  limit = pmx_now_ms();
  pmx_cancel_fire(token);
  check_fails(waiting_end(&w), PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  check_on_time("token", limit);
  pmx_cancel_free(token);
  end_mute(fake, client);
}
END_TEST

START_TEST(close_ends_a_call_whose_handshake_gets_no_answer)
{
  pmx_client *client;
  struct fake *fake = start_mute(_i, &client);
  struct waiting w = one_that_waits(client, NULL);
  int64_t limit;

  waiting_start(&w);
  ck_assert(fake_wait_accepted(fake, 1, SOON_MS));
  limit = pmx_now_ms();
  pmx_close(client, LATE);
  check_fails(waiting_end(&w), PMX_NOT_RUN, PMX_CAUSE_CLOSED);
  check_on_time("close", limit);
  end_mute(fake, client);
}
END_TEST

START_TEST(handshake_in_pieces_is_one)
{
  const struct manner *manner = &manners[_i];
  struct fake *fake = stream_fake(&(struct fake_tls){.segment = 40, .pause_us = 2000});
  pmx_client *client = open_manner(manner, fake_url(fake), (char *)NULL);
  struct told told = {0};

  ask(client, &told, NULL, "GET k");
  check_value(outcome(&told), "k");
  ck_assert_uint_eq(fake_accepted(fake), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- SIGPIPE ---- */

START_TEST(hang_ups_at_any_time_raise_no_sigpipe)
{
  struct fake *fake = stream_fake(NULL);
  struct fake_conn *conn;
  pmx_client *client;
  struct sigaction action;

  signal(SIGPIPE, SIG_DFL);
  client = open_client(strategies[_i], fake_url(fake), "connect", "lazy", "reconnect.max_delay",
                       "1ms", "reconnect.min_delay", "1ms", (char *)NULL);
  for (int round = 0; round < 20; round++) {
    pmx_call call = call_in(SOON);

    fake_accept_mode(fake, round % 2 ? FAKE_ACCEPT_RESET : FAKE_ACCEPT_CLOSE);
    pmx_reply_free(pmx_do(client, &call, "INCR", "n", (char *)NULL));
    fake_accept_mode(fake, FAKE_ACCEPT);
    get_value(client, "k");
    conn = fake_conn_at(fake, fake_accepted(fake) - 1);
    fake_reset(conn);
    ck_assert(fake_wait_closed(conn, SOON_MS)); /* there may be the next one by then */
  }
  close_client(client); /* has nobody to say goodbye to */
  sigaction(SIGPIPE, NULL, &action);
  ck_assert(action.sa_handler == SIG_DFL);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- fork ---- */

static void child_works(pmx_client *client, int ending)
{
  char value[VALUE_SIZE];
  pmx_reply *reply;

  child_begin();
  for (int i = 0; i < 10; i++) {
    reply = pmx_do(client, NULL, "GET", "child", (char *)NULL);
    must(pmx_ok(reply) && strcmp(pmx_reply_str(reply, NULL), value_of("child", value)) == 0,
         "the child has its own value");
    pmx_reply_free(reply);
  }
  if (ending == 0)
    pmx_unref(client);
  else if (ending == 1)
    must(pmx_close(client, HANG_MS) == 1, "the child can close");
  if (ending == 2)
    _exit(EXIT_SUCCESS);
  exit(EXIT_SUCCESS);
}

START_TEST(child_of_a_fork_has_streams_of_its_own)
{
  struct fake *fake = stream_fake(NULL);
  pmx_client *client = stream_open(_i % strategy_count, fake_url(fake));
  struct fake_conn *conn = fake_conn_at(fake, 0);
  struct fake_tls_seen before, after;
  size_t accepted;
  pid_t pid;

  get_value(client, "parent");
  get_value_alone(client, "parent");
  accepted = fake_accepted(fake);
  before = fake_tls_seen(conn);
  fflush(NULL);
  pid = fork_asleep();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    child_works(client, _i / strategy_count);
  reap(&pid);
  ck_assert_uint_gt(fake_accepted(fake), accepted);
  ck_assert(fake_wait_open(fake, accepted, SOON_MS));
  after = fake_tls_seen(conn);
  ck_assert_uint_eq(after.raw_received, before.raw_received); /* no close notify either */
  for (size_t i = accepted; i < fake_accepted(fake); i++)
    ck_assert(!fake_tls_seen(fake_conn_at(fake, i)).resumed); /* sessions are the parent's */
  accepted = fake_accepted(fake);
  get_value(client, "parent");
  get_value_alone(client, "parent");
  ck_assert_uint_eq(fake_accepted(fake), accepted);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- a Unix socket ---- */

START_TEST(unix_socket_needs_a_name_to_check)
{
  const char *nameless[] = {"tls.server_name is empty", "set tls.server_name", NULL};
  const char *wrong[] = {"is not for name \"other.test\" but for \"redis.test\"", NULL};
  struct stage s;
  struct fake *fake;
  pmx_client *client;
  pmx_reply *err;

  stage_open(&s, strategies[_i]);
  stage_present(&s, certs_server(s.certs, "redis.test", s.ca));
  fake = stage_fake(&s, OVER_TLS_UNIX, answer_values, NULL);
  err = stage_refused(&s, fake_url(fake));
  check_says_all(err, nameless);
  ck_assert_int_eq(pmx_reply_finish(err), PMX_INVALID);
  ck_assert_uint_eq(fake_accepted(fake), 0);
  set_option(s.options, "tls.server_name", "other.test");
  check_stage_refused(&s, fake_url(fake), wrong, PMX_CAUSE_TLS);
  set_option(s.options, "tls.server_name", "redis.test");
  client = stage_connect(&s, fake_url(fake));
  get_value(client, "k");
  ck_assert_str_eq(fake_tls_seen(fake_conn_at(fake, fake_accepted(fake) - 1)).server_name,
                   "redis.test");
  close_client(client);
  stage_close_fake(&s, fake);
}
END_TEST

/* ---- in a loop ---- */

enum { ASKED = 200 };

START_TEST(loop_reads_new_keys_and_tickets_and_is_quiet_then)
{
  struct fake *fake = stream_fake(&(struct fake_tls){.key_update_every = 10});
  pmx_client *client = open_manner(&manners[_i], fake_url(fake), "pool.max_size", "1", NULL);
  static struct told told[ASKED];
  int looks = 0;

  for (int i = 0; i < ASKED; i++)
    ask(client, &told[i], NULL, "GET k-%d", i);
  ck_assert(all_told(told, ASKED, SOON_MS));
  for (int i = 0; i < ASKED; i++) {
    char key[16];

    snprintf(key, sizeof key, "k-%d", i);
    check_value(pmx_reply_ref(told[i].reply), key);
  }
  told_clear(told, ASKED);
  for (size_t i = 0; i < fake_accepted(fake); i++) {
    fake_tls_ticket(fake_conn_at(fake, i));
    fake_tls_key_update(fake_conn_at(fake, i));
    ck_assert(fake_wait_sent(fake_conn_at(fake, i), SOON_MS));
  }
  for (int64_t end = now_ms() + 300; now_ms() < end; looks++)
    pmx_dispatch(client, end - now_ms());
  ck_assert_msg(looks <= 20, "%d times", looks);
  ask(client, &told[0], NULL, "GET k");
  check_value(outcome(&told[0]), "k");
  ck_assert_uint_eq(stats_of(client).closed, 0);
  ck_assert_uint_eq(fake_counts(fake).protocol_errors, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- a write that is stuck ---- */

static void set_big(void *arg)
{
  pmx_client *client = arg;
  const char *argv[] = {"SET", "big", harness_alloc(BIG)};
  const size_t len[] = {3, 3, BIG};
  pmx_call call = call_in(LATE);

  check_is_ok(pmx_argv(client, &call, 3, argv, len));
  free((void *)(uintptr_t)argv[2]);
}

static int hold_gets(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc == 2 && strncmp(argv[1], "key-", 4) == 0)
    return 0;
  return answer_values(ud, conn, argc, argv, len);
}

/* The client owes an answer for each of the new keys, and cannot give it. */
START_TEST(reading_goes_on_with_new_keys_while_a_write_is_stuck)
{
  struct fake *fake = fake_start(&(struct fake_options){.over = OVER_TLS, .handler = hold_gets});
  pmx_client *client = open_client(strategies[_i], fake_url(fake), "hybrid.bulk_request", "1GiB",
                                   "command_timeout", "20s", (char *)NULL);
  struct fake_conn *conn = fake_conn_at(fake, 0);
  struct caller callers[HELD];
  struct background *setter;
  uint64_t writes;

  callers_start(callers, HELD, client, NULL);
  ck_assert(fake_wait_seen(fake, "GET", HELD, SOON_MS));
  fake_stall(conn);
  setter = background_start(set_big, client);
  do {
    writes = stats_of(client).writes;
    sleep_ms(50);
  } while (stats_of(client).writes != writes || stats_of(client).in_flight <= HELD);
  for (int i = 0; i < NEW_KEYS; i++)
    fake_tls_key_update(conn);
  for (int i = 0; i < HELD; i++) {
    char key[16];

    snprintf(key, sizeof key, "key-%d", i);
    reply_value(conn, key);
  }
  callers_check_values(callers, HELD);
  ck_assert_uint_eq(fake_seen(fake, "SET"), 0);
  fake_resume(conn);
  background_join(setter);
  get_value(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 1);
  ck_assert_msg(!fake_tls_seen(conn).failed, "%s", fake_tls_seen(conn).why);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_places");
  int all = MUTES * strategy_count;

  tcase_add_checked_fixture(tc, note_test_pid, NULL);
  tcase_add_loop_test(tc, deadline_ends_a_call_whose_handshake_gets_no_answer, 0, all);
  tcase_add_loop_test(tc, token_ends_a_call_whose_handshake_gets_no_answer, 0, all);
  tcase_add_loop_test(tc, close_ends_a_call_whose_handshake_gets_no_answer, 0, all);
  for (int i = 0; i < manner_count; i++) {
    if (manners[i].over != OVER_TLS)
      continue;
    tcase_add_loop_test(tc, handshake_in_pieces_is_one, i, i + 1);
    if (in_loop(&manners[i]))
      tcase_add_loop_test(tc, loop_reads_new_keys_and_tickets_and_is_quiet_then, i, i + 1);
  }
  add_for_strategies(tc, hang_ups_at_any_time_raise_no_sigpipe);
  tcase_add_loop_test(tc, child_of_a_fork_has_streams_of_its_own, 0, 3 * strategy_count);
  add_for_strategies(tc, unix_socket_needs_a_name_to_check);
  add_for_strategies_with(SHARES, tc, reading_goes_on_with_new_keys_while_a_write_is_stuck);
  return checks_run("tls_places", tc);
}
