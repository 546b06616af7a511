/* SPDX-License-Identifier: BSD-3-Clause */
/* secrets_commands.c - the secrets in commands of the program go through every failure that those
 * can have, by every way to send them. What the server answers to the program's own command is the
 * program's, and not looked at. */
#include "behaviour/secretive.h"

#include <check.h>
#include <string.h>
#include <strings.h>

#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/util.h"

/* ---- commands of the program ---- */

static const char *const commands[][8] = {
    {"AUTH", USER, PASSWORD},
    {"HELLO", "3", "AUTH", USER, PASSWORD},
    {"CONFIG", "SET", "requirepass", ARGUMENT},
    {"ACL", "SETUSER", USER, "on", ">" ARGUMENT},
    {"MIGRATE", "127.0.0.1", "1", "k", "0", "100", "AUTH", ARGUMENT},
    {"SET", "k", ARGUMENT},
    {"EVAL", "return redis.error_reply('" ARGUMENT "')", "0"},
    {ARGUMENT, "k"},
    {"SUBSCRIBE", ARGUMENT},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int words_of(int c)
{
  int n = 0;

  while (n < 8 && commands[c][n])
    n++;
  return n;
}

static void forget_reply(void *ud, const pmx_reply *reply)
{
  (void)ud;
  look(reply);
}

static int add_all(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  (void)ud;
  looked(pmx_lease_command(lease, NULL, "AUTH " PASSWORD));
  return pmx_batch_add(batch, "SET k " ARGUMENT) == PMX_OK ? 0 : 1;
}

static void try_groups(pmx_client *client, int c)
{
  static const char *const keys[] = {"k"};
  pmx_batch *batch = pmx_batch_new(client);

  pmx_batch_add(batch, "SET k " ARGUMENT);
  pmx_batch_add_argv(batch, words_of(c), commands[c], NULL);
  looked(pmx_batch_exec(batch, NULL));
  looked(pmx_batch_exec_atomic(batch, NULL));
  pmx_batch_free(batch);
  looked(pmx_transaction(client, NULL, 1, keys, NULL, 2, add_all, NULL));
}

static void try_script(pmx_client *client)
{
  static const char lua[] = "return redis.call('" ARGUMENT "')";
  static const char *const argv[] = {"k", ARGUMENT};
  pmx_script *script = pmx_script_new(lua, sizeof lua - 1);

  looked(pmx_script_run(client, NULL, script, 1, 2, argv, NULL));
  pmx_script_free(script);
}

static void try_lease(pmx_client *client, int c)
{
  pmx_reply *err = NULL;
  pmx_lease *lease = pmx_acquire(client, NULL, &err);

  looked(err);
  if (!lease)
    return;
  looked(pmx_lease_argv(lease, NULL, words_of(c), commands[c], NULL));
  pmx_release(lease);
}

static void try_all(pmx_client *client, int c)
{
  char text[256];

  looked(pmx_argv(client, NULL, words_of(c), commands[c], NULL));
  pmx_async_argv(client, NULL, forget_reply, NULL, words_of(c), commands[c], NULL);
  looked(pmx_future_take(pmx_submit_argv(client, NULL, words_of(c), commands[c], NULL)));
  pmx_explain(client, words_of(c), commands[c], NULL, text, sizeof text);
  if (strcmp(commands[c][0], ARGUMENT) != 0) /* it repeats the command's name, to whoever asks */
    look_at("pmx_explain", text);
  try_lease(client, c);
  try_groups(client, c);
  try_script(client);
}

static pmx_client *client_of(struct fake *fake, int i, const char *name, const char *value)
{
  pmx_options *options = secret_options(i);
  pmx_client *client;

  pmx_options_set(options, "command_timeout", "40ms");
  pmx_options_set(options, "pool.wait_timeout", "20ms");
  pmx_options_set(options, "connect", "lazy");
  pmx_options_set(options, name, value);
  client = open_secret(fake_url(fake), options);
  ck_assert_ptr_nonnull(client);
  return client;
}

START_TEST(no_command_shows_its_arguments_whatever_the_server_does)
{
  int manner = _i / strategy_count;
  struct bad bad = {(enum manner)manner, NULL};

  for (int c = 0; c < COMMANDS; c++) {
    struct fake *fake = bad_server(&bad);
    pmx_client *client = client_of(fake, _i % strategy_count, "pool.max_size", "2");

    try_all(client, c);
    pmx_close(client, 0);
    try_all(client, c);
    close_secret(client);
    ck_assert_int_gt(events_seen, 0); /* it was logged in */
    ck_assert(fake_stop(fake));
  }
}
END_TEST

START_TEST(no_command_shows_them_in_a_full_pool_or_lane)
{
  struct bad bad = {SILENT, NULL};
  struct fake *fake = bad_server(&bad);
  pmx_client *client = client_of(fake, _i, "mux.max_inflight", "1");
  pmx_lease *leases[2] = {NULL, NULL};
  pmx_call forever = call_in(PMX_FOREVER);
  pmx_future *first = pmx_submit(client, &forever, "SET k " ARGUMENT);

  pmx_client_set(client, "pool.max_size", "1");
  if (strategy_has(strategies[_i], LEASES) && strategy_has(strategies[_i], SHARES))
    leases[0] = take(client);
  for (int c = 0; c < COMMANDS; c++)
    try_all(client, c);
  pmx_close(client, 0);
  if (leases[0])
    pmx_release(leases[0]);
  looked(pmx_future_take(first));
  close_secret(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* CLIENT ID is refused, which the log tells: the wait cannot be ended. */
START_TEST(no_wait_that_is_given_up_shows_the_user)
{
  struct bad bad = {REFUSES_US, "CLIENT"};
  struct fake *fake = bad_server(&bad);
  pmx_client *client = client_of(fake, _i, "pool.max_size", "2");
  int lines = lines_seen;

  looked(pmx_command(client, "BLPOP k 0"));
  close_secret(client);
  ck_assert_int_gt(lines_seen, lines);
  ck_assert(fake_stop(fake));
}
END_TEST

/* The first time it is confirmed, and then the connection ends. */
static int subscribe_once(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  _Atomic int *times = ud;

  if (strcasecmp(argv[0], "SUBSCRIBE") != 0)
    return fake_handshake(conn, argc, argv, len);
  if (atomic_fetch_add(times, 1) > 0)
    return refuse(conn, argv[0]);
  fake_reply_push(conn, 3);
  fake_reply_text(conn, "subscribe");
  fake_reply_text(conn, argv[1]);
  fake_reply_int(conn, 1);
  fake_close(conn);
  return 0;
}

static bool was_refused(void *times)
{
  return atomic_load((_Atomic int *)times) >= 3; /* it is asked again after the line in the log */
}

START_TEST(no_subscription_that_is_refused_shows_the_user)
{
  _Atomic int times = 0;
  struct fake_options options = {
      .handler = subscribe_once, .ud = &times, .manual = true, .user = USER, .password = PASSWORD};
  struct fake *fake = fake_start(&options);
  pmx_client *client = client_of(fake, _i, "pool.max_size", "2");
  pmx_sub *sub = pmx_sub_new(client, NULL, NULL);
  pmx_call call = call_in(SOON_MS);

  looked(pmx_sub_add(sub, &call, PMX_SUB_CHANNEL, "c", 1));
  ck_assert(wait_for(was_refused, &times, SOON_MS));
  pmx_sub_free(sub);
  close_secret(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("secrets_commands");

  server_require("secrets_commands");
  tcase_add_loop_test(tc, no_command_shows_its_arguments_whatever_the_server_does, 0,
                      MANNERS * strategy_count);
  add_for_strategies(tc, no_command_shows_them_in_a_full_pool_or_lane);
  add_for_strategies_with(LEASES, tc, no_wait_that_is_given_up_shows_the_user);
  add_for_strategies(tc, no_subscription_that_is_refused_shows_the_user);
  return checks_run("secrets_commands", tc);
}
