/* SPDX-License-Identifier: BSD-3-Clause */
/* batch_atomic.c - batches between MULTI and EXEC: all or nothing, what a refused command does to
 * them, and that a shared connection is never left inside MULTI. */
#include "behaviour/batching.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "behaviour/muxing.h"
#include "harness/checks.h"
#include "harness/proxy.h"

/* ---- against a server ---- */

START_TEST(elements_of_exec_have_a_status_of_their_own)
{
  struct server *server = server_start(NULL);
  struct side side = side_at(_i);
  pmx_client *client = open_side(&side, url_for(side.way, server), NULL);
  pmx_call call = side_call(&side, 0, PMX_DEFAULT);
  pmx_reply *array =
      batch_run(batch_of(client, "SET k text; INCR k; INCRBY n 5; EVAL return{1,2} 0"), 1, &call);

  check_array(array, 4);
  check_element_text(array, 0, "OK");
  check_element_fails(array, 1, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  check_element_int(array, 2, 5);
  ck_assert_uint_eq(pmx_reply_len(pmx_reply_at(array, 3)), 2);
  pmx_reply_free(array);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

struct pair {
  pmx_client *client;
  struct side side;
  _Atomic int stop;
};

static void write_or_read_both(int thread, void *arg)
{
  struct pair *pair = arg;
  pmx_call call = side_call(&pair->side, 0, PMX_DEFAULT);

  for (int i = 0; i < 100; i++) {
    pmx_reply *array;

    if (thread % 2)
      array = batch_run(batch_of(pair->client, "INCR a; INCR b"), 1, &call);
    else
      array = batch_run(batch_of(pair->client, "GET a; GET b"), 1, &call);
    check_array(array, 2);
    ck_assert_int_eq(pmx_reply_int(pmx_reply_at(array, 0), NULL),
                     pmx_reply_int(pmx_reply_at(array, 1), NULL));
    pmx_reply_free(array);
    pmx_reply_free(call_words(pair->client, "INCR other"));
  }
}

START_TEST(nobody_sees_a_half_of_it)
{
  struct server *server = server_start(NULL);
  struct pair pair = {.side = side_at(_i)};

  pair.client = open_side(&pair.side, url_for(pair.side.way, server), NULL);
  run_threads(8, write_or_read_both, &pair);
  ck_assert_int_eq(server_value(server, "a"), 400);
  ck_assert_int_eq(server_value(server, "other"), 800);
  close_client(pair.client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(refused_command_aborts_all_of_it)
{
  struct server *server = server_start(NULL);
  struct side side = side_at(_i);
  pmx_client *client = open_side(&side, url_for(side.way, server), NULL);
  pmx_call call = side_call(&side, 0, PMX_DEFAULT);
  pmx_reply *reply = batch_run(batch_of(client, "INCR n; INCR n; INCRBY n; NO-SUCH"), 1, &call);

  check_says(reply, "nothing ran, for command 2 (INCRBY) was refused: ERR wrong number");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  ck_assert_ptr_eq(pmx_reply_failed(reply), reply);
  check_fails(reply, PMX_SERVER_ERROR, PMX_CAUSE_ABORTED);
  ck_assert_int_eq(server_value(server, "n"), 0);
  check_int(pmx_command_call(client, &call, "INCR n"), 1);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* The server then runs one by one what was meant to be a transaction: that must not be hidden. */
START_TEST(multi_that_is_not_permitted_is_told_with_what_it_meant)
{
  struct server *server = server_start(NULL);
  struct side side = side_at(_i);
  pmx_client *client = open_side(&side, url_for(side.way, server), "user", "writer", "password",
                                 "secret", "connect", "lazy", NULL);
  pmx_call call = side_call(&side, 0, PMX_DEFAULT);
  pmx_reply *reply;

  server_ask(server, "ACL SETUSER writer on >secret ~* +@all");
  server_ask(server, "ACL SETUSER writer -multi");
  reply = batch_run(batch_of(client, "INCR n; INCR n"), 1, &call);
  check_says(reply, "the commands ran one by one, for MULTI was refused: NOPERM");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_fails(reply, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  ck_assert_int_eq(server_value(server, "n"), 2);
  check_int(pmx_command_call(client, &call, "INCR n"), 3);
  server_ask(server, "ACL SETUSER writer +multi -exec");
  reply = batch_run(batch_of(client, "INCR n; INCR n"), 1, &call);
  ck_assert_int_eq(pmx_reply_status(reply), PMX_SERVER_ERROR);
  pmx_reply_free(reply);
  ck_assert_int_eq(server_value(server, "n"), 3);
  check_int(pmx_command_call(client, &call, "INCR n"), 4); /* not QUEUED */
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- a time-out in the middle of the write: others must not end up inside the MULTI ---- */

enum { PIECES = 10, PIECE = 64 * 1024, FIRST = 24 * 1024 * 1024, CALLERS = 8 };

START_TEST(time_out_in_the_middle_of_the_write_leaves_nobody_inside_multi)
{
  struct server *server = server_start(NULL);
  struct side side = side_at(_i);
  struct proxy *proxy = proxy_start(url_for(side.way, server),
                                    &(struct proxy_options){.over = side.way->over});
  pmx_client *client = open_side(&side, proxy_url(proxy), NULL);
  pmx_batch *batch = pmx_batch_new(client);
  pmx_call call = side_call(&side, 0, 150);
  struct caller callers[CALLERS];
  char key[32];

  for (int i = 0; i < PIECES; i++) {
    snprintf(key, sizeof key, "piece-%d", i);
    batch_add_big(batch, key, i ? PIECE : FIRST); /* more than any buffers hold */
  }
  side_connect(&side, client);
  proxy_stall(proxy, PROXY_TO_SERVER, true);
  /* Without its connection EXEC can never come; a shared one still has to send the rest. */
  check_fails(batch_run(batch, 1, &call), side.shares ? PMX_UNKNOWN : PMX_NOT_RUN,
              PMX_CAUSE_TIMEOUT);
  for (int i = 0; i < CALLERS; i++)
    caller_start(&callers[i], client, "INCR n", NULL);
  proxy_stall(proxy, PROXY_TO_SERVER, false);
  for (int i = 0; i < CALLERS; i++) {
    pmx_reply *reply = caller_end(&callers[i]);

    ck_assert_int_eq(pmx_reply_type(reply), PMX_TYPE_INTEGER); /* not "QUEUED" */
    pmx_reply_free(reply);
  }
  ck_assert_int_eq(server_value(server, "n"), CALLERS);
  ck_assert_int_eq(server_integer(server, "DBSIZE", NULL), side.shares ? PIECES + 1 : 1);
  close_client(client);
  proxy_stop(proxy);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- servers of all kinds ---- */

struct strange {
  const char *multi, *queued, *exec; /* how they are answered; NULL: as usual */
  int times;                         /* how often EXEC is answered so */
};

static int answer_strangely(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct strange *s = ud;
  const char *answer = NULL;

  if (strcasecmp(argv[0], "MULTI") == 0)
    answer = s->multi;
  else if (strcasecmp(argv[0], "SET") == 0)
    answer = s->times > 0 ? s->queued : "+QUEUED\r\n";
  else if (strcasecmp(argv[0], "EXEC") == 0)
    answer = s->times-- > 0 ? s->exec : "*1\r\n+OK\r\n";
  if (!answer)
    return answer_values(ud, conn, argc, argv, len);
  fake_send(conn, answer, strlen(answer));
  return 0;
}

START_TEST(server_that_loads_is_asked_again_until_it_has_loaded)
{
  struct strange strange = {NULL, "-LOADING soon\r\n", "-EXECABORT no\r\n", 3};
  struct side side = side_at(_i);
  struct fake *fake = fake_for(side.way, answer_strangely, &strange);
  pmx_client *client = open_side(&side, fake_url(fake), NULL);
  pmx_call call = side_call(&side, 0, PMX_DEFAULT);
  pmx_call never = side_call(&side, PMX_CALL_NO_RETRY, SOON_MS);
  pmx_reply *array = batch_run(batch_of(client, "SET k v"), 1, &call);

  check_array(array, 1);
  pmx_reply_free(array);
  ck_assert_uint_eq(fake_seen(fake, "EXEC"), 4);
  strange.times = 1;
  array = batch_run(batch_of(client, "SET k v"), 1, &never);
  check_says(array, "nothing ran, for command 0 (SET) was refused: LOADING soon");
  ck_assert_int_eq(pmx_reply_safe_to_retry(array), 1);
  check_fails(array, PMX_SERVER_ERROR, PMX_CAUSE_ABORTED);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* Redis 6.0 and before may refuse EXEC and stay inside MULTI. */
START_TEST(connection_on_which_exec_was_refused_is_not_used_again)
{
  struct strange strange = {NULL, "+QUEUED\r\n", "-LOADING not exec\r\n", 1};
  struct side side = side_at(_i);
  struct fake *fake = fake_for(side.way, answer_strangely, &strange);
  pmx_client *client = open_side(&side, fake_url(fake), "retry.max", "0", NULL);
  pmx_call call = side_call(&side, 0, PMX_DEFAULT);
  pmx_reply *reply = batch_run(batch_of(client, "SET k v"), 1, &call);

  check_says(reply, "LOADING not exec");
  check_fails(reply, PMX_SERVER_ERROR, PMX_CAUSE_NONE);
  check_value(pmx_command_call(client, &call, "GET k"), "k");
  ck_assert_uint_eq(fake_accepted(fake), side.conn + 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(nil_and_an_abort_without_a_culprit_are_explained)
{
  struct strange strange = {NULL, "+QUEUED\r\n", "*-1\r\n", 1};
  struct side side = side_at(_i);
  struct fake *fake = fake_for(side.way, answer_strangely, &strange);
  pmx_client *client = open_side(&side, fake_url(fake), NULL);
  pmx_call call = side_call(&side, 0, PMX_DEFAULT);
  pmx_reply *reply = batch_run(batch_of(client, "SET k v"), 1, &call);

  check_says(reply, "a watched key was changed meanwhile, so nothing ran");
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_CONFLICT);
  strange.times = 1;
  strange.exec = "-EXECABORT Transaction discarded because of: OOM\r\n";
  reply = batch_run(batch_of(client, "SET k v"), 1, &call);
  check_says(reply, "nothing ran: EXECABORT Transaction discarded because of: OOM");
  check_fails(reply, PMX_SERVER_ERROR, PMX_CAUSE_ABORTED);
  ck_assert_uint_eq(fake_accepted(fake), side.conn + 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("batch_atomic");

  server_require("batch_atomic");
  add_for_sides(tc, elements_of_exec_have_a_status_of_their_own);
  add_for_sides(tc, nobody_sees_a_half_of_it);
  add_for_sides(tc, refused_command_aborts_all_of_it);
  add_for_sides(tc, multi_that_is_not_permitted_is_told_with_what_it_meant);
  add_for_sides(tc, time_out_in_the_middle_of_the_write_leaves_nobody_inside_multi);
  add_for_sides(tc, server_that_loads_is_asked_again_until_it_has_loaded);
  add_for_sides(tc, connection_on_which_exec_was_refused_is_not_used_again);
  add_for_sides(tc, nil_and_an_abort_without_a_culprit_are_explained);
  return checks_run("batch_atomic", tc);
}
