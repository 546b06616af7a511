/* SPDX-License-Identifier: BSD-3-Clause */
/* batch_exec_lost.c - what may be said of MULTI … EXEC when the connection ends before EXEC's
 * answer: it depends on how far the bytes came, and on how MULTI and the commands were answered. */
#include "behaviour/batching.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "behaviour/muxing.h"
#include "harness/checks.h"

enum { PIECES = 24, PIECE = 1024 * 1024 };

/* Answers the first words as told, then reads no more, or breaks off. */
struct plan {
  const char *multi, *set; /* NULL: no answer */
  int sets;                /* after so many it breaks off; 0: at MULTI it stops to read */
  _Atomic int broken;
};

static int act(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct plan *p = ud;

  if (strcmp(argv[0], "MULTI") == 0) {
    if (p->multi)
      fake_send(conn, p->multi, strlen(p->multi));
    if (p->sets == 0)
      fake_stall(conn);
    return 0;
  }
  if (strcmp(argv[0], "SET") != 0)
    return answer_values(NULL, conn, argc, argv, len);
  if (!p->set)
    return 0; /* it was read along with MULTI */
  fake_send(conn, p->set, strlen(p->set));
  if (--p->sets == 0)
    fake_reset(conn);
  return 0;
}

struct sender {
  struct side side;
  pmx_batch *batch;
  pmx_reply *reply;
};

static void send_all_or_nothing(void *arg)
{
  struct sender *s = arg;
  pmx_call once = side_call(&s->side, PMX_CALL_NO_RETRY, SOON_MS);

  s->reply = batch_run(s->batch, 1, &once);
}

/* What it ends as when the server has stopped to read after MULTI, and then is gone. */
static pmx_reply *lose_in_the_middle(int at, struct plan *p)
{
  struct side side = side_at(at);
  struct fake *fake = fake_for(side.way, act, p);
  pmx_client *client = open_side(&side, fake_url(fake), NULL);
  struct sender sender = {.side = side, .batch = pmx_batch_new(client)};
  struct background *thread;
  char key[32];

  for (int i = 0; i < PIECES; i++) {
    snprintf(key, sizeof key, "piece-%d", i);
    batch_add_big(sender.batch, key, i ? PIECE : 100);
  }
  thread = background_start(send_all_or_nothing, &sender);
  ck_assert(fake_wait_seen(fake, "MULTI", 1, SOON_MS));
  fake_half_close(fake_conn_at(fake, side.conn)); /* behind what was answered */
  background_join(thread);
  ck_assert_uint_eq(fake_seen(fake, "EXEC"), 0);
  close_client(client);
  ck_assert(fake_stop(fake));
  return sender.reply;
}

START_TEST(without_exec_what_was_queued_did_not_run)
{
  struct plan p = {.multi = "+OK\r\n"};
  pmx_reply *reply = lose_in_the_middle(_i, &p);

  check_says(reply, "EXEC was not sent: ");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_LOST);
}
END_TEST

/* Had MULTI been refused, the commands behind it would have run. */
START_TEST(unless_multi_was_accepted_commands_that_were_sent_may_have_run)
{
  struct plan silent = {.multi = NULL}, refused = {.multi = "-NOPERM no\r\n"};

  check_fails(lose_in_the_middle(_i, &silent), PMX_UNKNOWN, PMX_CAUSE_LOST);
  check_fails(lose_in_the_middle(_i, &refused), PMX_UNKNOWN, PMX_CAUSE_LOST);
}
END_TEST

START_TEST(refused_command_decides_even_when_exec_is_not_answered)
{
  struct plan p = {.multi = "+OK\r\n", .set = "-ERR no such key\r\n", .sets = 1};
  struct side side = side_at(_i);
  struct fake *fake = fake_for(side.way, act, &p);
  pmx_client *client = open_side(&side, fake_url(fake), NULL);
  pmx_call call = side_call(&side, 0, PMX_DEFAULT);
  pmx_reply *reply = batch_run(batch_of(client, "SET k v; SET l w"), 1, &call);

  check_says(reply, "nothing ran, for command 0 (SET) was refused: ERR no such key");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  check_fails(reply, PMX_SERVER_ERROR, PMX_CAUSE_ABORTED);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(sent_whole_and_not_answered_it_may_have_run)
{
  struct plan p = {.multi = "+OK\r\n", .set = "+QUEUED\r\n", .sets = 2};
  struct side side = side_at(_i);
  struct fake *fake = fake_for(side.way, act, &p);
  pmx_client *client = open_side(&side, fake_url(fake), NULL);
  pmx_call call = side_call(&side, 0, PMX_DEFAULT);
  pmx_reply *reply = batch_run(batch_of(client, "SET k v; SET l w"), 1, &call);

  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_LOST);
  ck_assert_uint_le(fake_seen(fake, "EXEC"), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- closing ---- */

static void close_now(void *client)
{
  pmx_close(client, 0);
}

START_TEST(closing_the_client_ends_what_is_under_way)
{
  for (int atomic = 0; atomic < 2; atomic++) {
    struct plan p = {.multi = "+OK\r\n"};
    struct side side = side_at(_i);
    struct fake *fake = fake_for(side.way, act, &p);
    pmx_client *client = open_side(&side, fake_url(fake), NULL);
    pmx_call call = side_call(&side, 0, PMX_DEFAULT);
    struct caller caller;
    struct background *thread;
    pmx_reply *reply;

    side_connect(&side, client);
    fake_stall(fake_conn_at(fake, side.conn));
    caller_start(&caller, client, "GET k", &call);
    sleep_ms(20);
    thread = background_start(close_now, pmx_ref(client));
    reply = batch_run(batch_of(client, "SET k v; SET l w"), atomic, &call);
    background_join(thread);
    if (pmx_ok(reply))
      check_element_fails(reply, 0, PMX_UNKNOWN, PMX_CAUSE_CLOSED);
    ck_assert_ptr_nonnull(pmx_reply_failed(reply));
    ck_assert_int_eq(pmx_reply_cause(pmx_reply_failed(reply)), PMX_CAUSE_CLOSED);
    pmx_reply_free(reply);
    pmx_reply_free(caller_end(&caller));
    pmx_unref(client);
    pmx_unref(client);
    ck_assert(fake_stop(fake));
  }
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("batch_exec_lost");

  add_for_sides(tc, without_exec_what_was_queued_did_not_run);
  add_for_sides(tc, unless_multi_was_accepted_commands_that_were_sent_may_have_run);
  add_for_sides(tc, refused_command_decides_even_when_exec_is_not_answered);
  add_for_sides(tc, sent_whole_and_not_answered_it_may_have_run);
  add_for_sides(tc, closing_the_client_ends_what_is_under_way);
  return checks_run("batch_exec_lost", tc);
}
