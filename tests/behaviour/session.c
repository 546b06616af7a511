/* SPDX-License-Identifier: BSD-3-Clause */
/* session.c - what a lease does to the state of its connection is gone when the next one gets it:
 * every change a real server knows, for every value of pool.reset; and what may not be asked for at
 * all. The oracle is the server's own CLIENT INFO, and a transaction that must not fail. */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

/* ---- the matrix ---- */

enum fate {
  CLEAN,    /* nothing to be done */
  REPAIRED, /* restored by a few commands */
  CLOSED    /* only a new connection is at the baseline */
};

struct row {
  enum fate fate;
  const char *commands[6]; /* "@" = somebody else writes the key w */
};

/* Replies do not matter here: which ones a server refuses depends on its version. A command with a
 * "?" before it decides the fate: refused, it has changed nothing. */
static const struct row rows[] = {
    {CLEAN, {"GET w"}},
    {REPAIRED, {"WATCH w"}},
    {REPAIRED, {"WATCH w", "@"}},
    {REPAIRED, {"WATCH w", "DISCARD"}},
    {CLEAN, {"WATCH w", "UNWATCH"}},
    {CLEAN, {"WATCH w", "MULTI", "EXEC"}},
    {CLEAN, {"WATCH w", "MULTI", "DISCARD"}},
    {CLEAN, {"WATCH w", "@", "MULTI", "SET t 1", "EXEC"}},
    {REPAIRED, {"MULTI"}},
    {REPAIRED, {"MULTI", "SET t 1"}},
    {REPAIRED, {"MULTI", "WATCH w"}},
    {REPAIRED, {"MULTI", "MULTI"}},
    {REPAIRED, {"MULTI", "NO-SUCH-COMMAND"}},
    {REPAIRED, {"MULTI", "BLPOP nothing 0"}},
    {CLEAN, {"MULTI", "NO-SUCH-COMMAND", "EXEC"}},
    {CLEAN, {"MULTI", "EXEC"}},
    {CLEAN, {"EXEC"}},
    {CLEAN, {"DISCARD"}},
    {CLEAN, {"UNWATCH"}},
    {REPAIRED, {"SELECT 5"}},
    {CLEAN, {"SELECT 5", "SELECT 0"}},
    {CLEAN, {"SELECT 99"}},
    {CLEAN, {"SELECT nonsense"}},
    {CLEAN, {"MULTI", "SELECT 5", "DISCARD"}},
    {REPAIRED, {"MULTI", "SELECT 5", "EXEC"}},
    {REPAIRED, {"WATCH w", "SELECT 5", "MULTI", "SET t 1"}},
    {CLEAN, {"WATCH w", "@", "MULTI", "SELECT 5", "EXEC"}},
    {CLEAN, {"EVAL redis.call('select',5) 0"}},
    {REPAIRED, {"CLIENT SETNAME other"}},
    {REPAIRED, {"MULTI", "CLIENT SETNAME other", "EXEC"}},
    {CLEAN, {"MULTI", "CLIENT SETNAME other", "DISCARD"}},
    {REPAIRED, {"CLIENT TRACKING ON"}},
    {REPAIRED, {"CLIENT TRACKING ON OPTIN", "CLIENT CACHING YES"}},
    {REPAIRED, {"CLIENT TRACKING ON", "GET w", "@"}}, /* RESP3: a push is under way */
    {REPAIRED, {"CLIENT TRACKING ON BCAST", "@", "@"}},
    {CLEAN, {"CLIENT TRACKING ON", "CLIENT TRACKING OFF"}},
    {CLEAN, {"CLIENT CACHING YES"}},
    {REPAIRED, {"CLIENT NO-EVICT ON"}},
    {CLEAN, {"CLIENT NO-EVICT ON", "CLIENT NO-EVICT OFF"}},
    {REPAIRED, {"?CLIENT NO-TOUCH ON"}},
    {REPAIRED, {"?READONLY"}},
    {CLOSED, {"?ASKING"}},
    {CLOSED, {"?CLIENT SETINFO lib-name other"}},
    {CLOSED, {"HELLO 2"}},
    {CLEAN, {"HELLO 9"}},
    {CLOSED, {"AUTH default anything"}},
    {CLOSED, {"AUTH other secret"}},
    {CLEAN, {"AUTH other wrong"}},
    {CLOSED, {"HELLO 2 AUTH other secret SETNAME you"}},
    {CLOSED, {"RESET"}},
    {CLOSED, {"MULTI", "RESET"}},
    {CLOSED, {"WATCH w", "SELECT 5", "QUIT"}},
    {CLEAN, {"SUBSCRIBE c"}},
    {CLEAN, {"PSUBSCRIBE c*"}},
    {CLEAN, {"SSUBSCRIBE c"}},
    {CLEAN, {"MONITOR"}},
    {CLEAN, {"CLIENT REPLY OFF"}},
    {CLEAN, {"CLIENT REPLY SKIP"}},
    {REPAIRED, {"MULTI", "SUBSCRIBE c"}},
    {CLEAN, {"WAIT 0 10"}},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static const char *name_of(const struct row *row)
{
  static char name[256];

  name[0] = '\0';
  for (int i = 0; i < 6 && row->commands[i]; i++) {
    size_t len = strlen(name);
    snprintf(name + len, sizeof name - len, "%s%s", i ? "; " : "", row->commands[i]);
  }
  return name;
}

static bool run_command(pmx_lease *lease, const char *command)
{
  pmx_reply *reply = lease_words(lease, command + (command[0] == '?'));
  bool accepted = pmx_ok(reply);

  pmx_reply_free(reply);
  return accepted;
}

/* What becomes of the connection. */
static enum fate run_row(struct server *server, pmx_lease *lease, const struct row *row)
{
  enum fate fate = row->fate;

  for (int i = 0; i < 6 && row->commands[i]; i++) {
    const char *command = row->commands[i];
    if (strcmp(command, "@") == 0)
      server_ask(server, "INCR w");
    else if (!run_command(lease, command) && command[0] == '?')
      fate = CLEAN;
  }
  return fate;
}

/* Without a WATCH of its own nothing may abort it. */
static void check_transaction(struct server *server, pmx_lease *lease, const char *name)
{
  pmx_reply *reply;

  lease_ok(lease, "MULTI");
  lease_ok(lease, "SET t 2");
  server_ask(server, "INCR w");
  reply = pmx_lease_command(lease, NULL, "EXEC");
  ck_assert_msg(pmx_reply_type(reply) == PMX_TYPE_ARRAY && pmx_reply_len(reply) == 1,
                "after \"%s\" a transaction of the next lease is void: type %d", name,
                (int)pmx_reply_type(reply));
  pmx_reply_free(reply);
}

struct matrix {
  struct server *server;
  pmx_client *client;
  char *baseline;
};

static enum fate fate_seen(const pmx_stats *before, const pmx_stats *after, bool same)
{
  if (!same)
    return CLOSED;
  return after->repairs == before->repairs ? CLEAN : REPAIRED;
}

static enum fate check_row(struct matrix *m, const struct row *row, enum fate *ret_expected)
{
  const char *name = name_of(row);
  pmx_lease *lease = take(m->client);
  int64_t id = lease_id(lease);
  pmx_stats before = stats_of(m->client), after;
  bool same;
  char *session;

  *ret_expected = run_row(m->server, lease, row);
  give_back(lease);
  server_ask(m->server, "INCR w");
  lease = take(m->client);
  same = lease_id(lease) == id;
  after = stats_of(m->client);
  session = session_of(lease);
  ck_assert_msg(strcmp(session, m->baseline) == 0, "after \"%s\" the next lease finds: %s\nnot: %s",
                name, session, m->baseline);
  free(session);
  check_transaction(m->server, lease, name);
  give_back(lease);
  return fate_seen(&before, &after, same);
}

static const char *const fates[] = {"kept", "repaired", "closed"};

static void check_matrix(const struct way *way, const char *reset,
                         enum fate (*expected)(const struct row *, enum fate, enum fate seen))
{
  struct matrix m = {.server = server_start(NULL)};
  pmx_lease *lease;

  ck_assert_ptr_nonnull(m.server);
  server_ask(m.server, "ACL SETUSER other on >secret");
  server_ask(m.server, "ACL SETUSER other ~* &* +@all");
  m.client = open_client(way->strategy, url_for(way, m.server), "pool.max_size", "1", "pool.reset",
                         reset, "client_name", "mine", NULL);
  lease = take(m.client);
  m.baseline = session_of(lease);
  give_back(lease);
  for (int i = 0; i < ROWS; i++) {
    enum fate of_row, seen = check_row(&m, &rows[i], &of_row);
    enum fate wanted = expected(&rows[i], of_row, seen);
    ck_assert_msg(seen == wanted, "after \"%s\" the connection was %s, not %s", name_of(&rows[i]),
                  fates[seen], fates[wanted]);
  }
  free(m.baseline);
  close_client(m.client);
  ck_assert(server_stop(m.server));
}

static enum fate as_is(const struct row *row, enum fate fate, enum fate seen)
{
  (void)row;
  (void)seen;
  return fate;
}

START_TEST(every_state_change_is_undone_before_the_next_lease)
{
  check_matrix(&ways[_i], "tracked", as_is);
}
END_TEST

static enum fate closed_when_dirty(const struct row *row, enum fate fate, enum fate seen)
{
  (void)row;
  (void)seen;
  return fate == CLEAN ? CLEAN : CLOSED;
}

START_TEST(reset_close_closes_what_was_changed_and_keeps_the_rest)
{
  check_matrix(&ways[_i], "close", closed_when_dirty);
}
END_TEST

/* RESET undoes everything but a connection that is going away. NO-EVICT outlives the RESET of some
 * servers (Redis 7.0): there only closing helps. */
static enum fate repaired_always(const struct row *row, enum fate fate, enum fate seen)
{
  (void)fate;
  for (int i = 0; i < 6 && row->commands[i]; i++) {
    if (strcmp(row->commands[i], "QUIT") == 0)
      return CLOSED;
    if (strstr(row->commands[i], "NO-EVICT") || strstr(row->commands[i], "NO-TOUCH"))
      return seen == CLEAN ? REPAIRED : seen;
  }
  return REPAIRED;
}

START_TEST(reset_always_scrubs_every_lease)
{
  check_matrix(&ways[_i], "always", repaired_always);
}
END_TEST

START_TEST(reset_always_costs_plain_calls_nothing)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(strategies[_i], server_url(server, SERVER_TCP), "pool.reset", "always", NULL);
  pmx_call call = call_alone(client, PMX_DEFAULT);
  int64_t before;

  if (lane_beside(client))
    check_is_ok(pmx_command_call(client, &call, "SET a b"));
  check_stat(client, idle, 1);
  before = server_commands(server);
  for (int i = 0; i < 100; i++)
    check_is_ok(pmx_command_call(client, &call, "SET a b"));
  ck_assert_int_eq(server_commands(server) - before, 100);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* A name that the server cannot be told again in one word is not lost either. */
START_TEST(repair_restores_database_and_name_of_the_options)
{
  struct server *server = server_start(NULL);
  char url[160];
  pmx_client *client;
  pmx_lease *lease;
  char *before, *after;

  snprintf(url, sizeof url, "%s/3", server_url(server, SERVER_TCP));
  client = open_client(strategies[_i], url, "pool.max_size", "1", "client_name", "a-name", NULL);
  lease = take(client);
  before = session_of(lease);
  ck_assert_ptr_nonnull(strstr(before, "db=3 "));
  ck_assert_ptr_nonnull(strstr(before, "name=a-name "));
  lease_ok(lease, "SELECT 0");
  lease_ok(lease, "CLIENT SETNAME x");
  give_back(lease);
  lease = take(client);
  after = session_of(lease);
  ck_assert_str_eq(before, after);
  give_back(lease);
  check_stat(client, repairs, 1);
  free(before);
  free(after);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- what is refused ---- */

static const char *const without_lease[] = {
    "WATCH w",
    "UNWATCH",
    "MULTI",
    "EXEC",
    "DISCARD",
    "SELECT 0",
    "select 5",
    "AUTH x",
    "HELLO 2",
    "RESET",
    "QUIT",
    "quit",
    "READONLY",
    "READWRITE",
    "ASKING",
    "CLIENT SETNAME x",
    "client no-evict on",
    "CLIENT NO-TOUCH on",
    "CLIENT TRACKING ON",
    "CLIENT CACHING YES",
    "CLIENT SETINFO lib-name x",
    "WAIT 0 1",
    "WAITAOF 0 0 1",
    "mUlTi",
};
static const char *const never[] = {
    "SUBSCRIBE c",     "PSUBSCRIBE c",      "SSUBSCRIBE c",     "UNSUBSCRIBE",
    "PUNSUBSCRIBE",    "SUNSUBSCRIBE",      "MONITOR",          "CLIENT REPLY OFF",
    "CLIENT REPLY ON", "CLIENT REPLY SKIP", "client reply off", "SYNC",
    "PSYNC ? -1",      "REPLCONF ACK 1",    "SCRIPT DEBUG YES", "subscribe c",
};

static void check_refused(pmx_client *client, pmx_lease *lease, const char *command)
{
  pmx_reply *reply = lease ? lease_words(lease, command) : call_words(client, command);

  ck_assert_msg(
      pmx_reply_status(reply) == PMX_INVALID && pmx_reply_cause(reply) == PMX_CAUSE_UNSUPPORTED,
      "%s: %s %s", command, pmx_status_str(pmx_reply_status(reply)), pmx_reply_error(reply));
  ck_assert_msg(strlen(pmx_reply_error(reply)) > 20, "%s is refused without a hint", command);
  pmx_reply_free(reply);
}

START_TEST(commands_that_change_or_need_a_session_are_refused_before_they_are_sent)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "1", NULL);
  pmx_lease *lease = take(client);
  int64_t id = lease_id(lease), before = server_commands(server);

  for (size_t i = 0; i < sizeof without_lease / sizeof without_lease[0]; i++)
    check_refused(client, NULL, without_lease[i]);
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
    check_refused(client, NULL, never[i]);
    check_refused(client, lease, never[i]);
  }
  ck_assert_int_eq(server_commands(server), before);
  ck_assert_int_eq(lease_id(lease), id);
  give_back(lease);
  ck_assert_uint_eq(stats_of(client).closed, 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("session");

  server_require("session");
  add_for_ways_with(LEASES, tc, every_state_change_is_undone_before_the_next_lease);
  add_for_ways_with(LEASES, tc, reset_close_closes_what_was_changed_and_keeps_the_rest);
  add_for_ways_with(LEASES, tc, reset_always_scrubs_every_lease);
  add_for_strategies_with(LEASES, tc, reset_always_costs_plain_calls_nothing);
  add_for_strategies_with(LEASES, tc, repair_restores_database_and_name_of_the_options);
  add_for_ways_with(LEASES, tc,
                    commands_that_change_or_need_a_session_are_refused_before_they_are_sent);
  return checks_run("session", tc);
}
