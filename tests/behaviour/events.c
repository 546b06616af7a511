/* SPDX-License-Identifier: BSD-3-Clause */
/* events.c - of each connection the program hears twice: once that it is ready, once that it is
 * gone, however it went; and the statistics have counted the same. */
#include "behaviour/behaviour.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "behaviour/forking.h"
#include "behaviour/leasing.h"
#include "behaviour/listening.h"
#include "harness/checks.h"
#include "harness/util.h"

/* ---- what was heard ---- */

enum { CONNS = 512 };

struct heard {
  pthread_mutex_t mutex;
  struct life {
    int begun, ended;
  } conns[CONNS];
  unsigned connected, subscriptions, lost, closed, others;
  pmx_cause cause; /* of the last that was closed */
  char detail[256];
};

static void hear(void *ud, const pmx_event *e)
{
  struct heard *h = ud;
  int ends = e->type == PMX_EVENT_LOST || e->type == PMX_EVENT_CLOSED;

  pthread_mutex_lock(&h->mutex);
  if (e->type != PMX_EVENT_CONNECTED && !ends) {
    h->others++;
    pthread_mutex_unlock(&h->mutex);
    return;
  }
  ck_assert_uint_gt(e->conn_id, 0);
  ck_assert_uint_lt(e->conn_id, CONNS);
  ck_assert_int_eq(h->conns[e->conn_id].begun, ends);
  ck_assert_int_eq(h->conns[e->conn_id].ended, 0);
  h->conns[e->conn_id].begun = 1;
  h->conns[e->conn_id].ended = ends;
  h->connected += !ends;
  h->subscriptions += !ends && strstr(e->detail, "subscriptions") != NULL;
  h->lost += e->type == PMX_EVENT_LOST;
  h->closed += e->type == PMX_EVENT_CLOSED;
  if (e->type == PMX_EVENT_CLOSED) {
    ck_assert(e->cause == PMX_CAUSE_NONE || e->cause == PMX_CAUSE_CLOSED);
    h->cause = e->cause;
    snprintf(h->detail, sizeof h->detail, "%s", e->detail);
  }
  pthread_mutex_unlock(&h->mutex);
}

static unsigned locked(struct heard *h, const unsigned *member)
{
  unsigned value;

  pthread_mutex_lock(&h->mutex);
  value = *member;
  pthread_mutex_unlock(&h->mutex);
  return value;
}

struct expected {
  struct heard *heard;
  const unsigned *member;
  unsigned value;
};

static bool has_come(void *arg)
{
  const struct expected *e = arg;

  return locked(e->heard, e->member) >= e->value;
}

#define check_heard(h, what, n)                                                                    \
  do {                                                                                             \
    struct expected expected_ = {(h), &(h)->what, (n)};                                            \
    ck_assert_msg(wait_for(has_come, &expected_, SOON_MS), "%s: %u, not %u", #what,                \
                  locked((h), &(h)->what), (unsigned)(n));                                         \
  } while (0)

/* ---- a client that is heard ---- */

struct stage {
  struct server *server;
  struct heard heard;
  pmx_client *client;
};

static void stage_open(struct stage *s, int i, int tls, ...)
{
  pmx_options *options = options_for(strategies[i]);
  const char *name, *value;
  va_list list;

  memset(s, 0, sizeof *s);
  pthread_mutex_init(&s->heard.mutex, NULL);
  s->server = server_start(NULL);
  pmx_options_set_events(options, hear, &s->heard);
  va_start(list, tls);
  while ((name = va_arg(list, const char *))) {
    value = va_arg(list, const char *);
    ck_assert_int_eq(pmx_options_set(options, name, value), PMX_OK);
  }
  va_end(list);
  s->client = open_client_with(server_url(s->server, tls ? SERVER_TLS : SERVER_TCP), options);
}

/* What was opened was announced, and what was announced has ended, in the books as in the events.
 */
static void stage_close(struct stage *s)
{
  const struct heard *h = &s->heard;
  pmx_stats stats;

  pmx_close(s->client, SOON_MS);
  stats = stats_of(s->client);
  pmx_unref(s->client);
  ck_assert_uint_eq(h->connected - h->subscriptions, stats.opened + stats.control_opened);
  ck_assert_uint_eq(stats.opened, stats.closed);
  ck_assert_uint_eq(h->lost + h->closed, h->connected);
  for (int i = 0; i < CONNS; i++)
    ck_assert_int_eq(h->conns[i].begun, h->conns[i].ended);
  ck_assert(server_stop(s->server));
}

/* ---- the ways to go ---- */

/* A closing client's own; nothing else has happened. */
START_TEST(closing_ends_each_connection)
{
  struct stage s;

  stage_open(&s, _i, false, NULL);
  check_is_ok(pmx_command(s.client, "SET k v"));
  if (strategy_has(strategies[_i], LEASES))
    give_back(take(s.client));
  stage_close(&s);
  ck_assert_uint_eq(s.heard.lost, 0);
  ck_assert_uint_eq(s.heard.closed, 1 + (strcmp(strategies[_i], "hybrid") == 0));
  ck_assert_int_eq(s.heard.cause, PMX_CAUSE_CLOSED);
}
END_TEST

START_TEST(connections_that_break_are_lost)
{
  struct stage s;

  stage_open(&s, _i, false, NULL);
  for (unsigned i = 1; i <= 3; i++) {
    check_is_ok(pmx_command(s.client, "SET k v"));
    ck_assert_int_ge(server_kill_clients(s.server), 1);
    check_is_ok(pmx_command(s.client, "GET k"));
    check_heard(&s.heard, lost, i);
  }
  stage_close(&s);
  ck_assert_uint_eq(s.heard.lost, 3);
}
END_TEST

START_TEST(dials_that_fail_are_no_connections)
{
  struct stage s;
  pmx_call call = call_in(100);

  stage_open(&s, _i, false, NULL);
  check_is_ok(pmx_command(s.client, "SET k v"));
  server_kill(s.server);
  for (int i = 0; i < 3; i++)
    pmx_reply_free(pmx_command_call(s.client, &call, "GET k"));
  ck_assert(server_restart(s.server));
  pmx_reply_free(pmx_command(s.client, "GET k"));
  stage_close(&s);
  ck_assert_uint_gt(s.heard.others, 0); /* RECONNECTING */
  ck_assert_uint_eq(s.heard.connected, 2);
}
END_TEST

/* Each row closes one connection that was lent, in due course. */
struct due {
  const char *name, *value; /* an option */
  const char *live, *then;  /* changed while it is idle; or NULL */
  bool kept;                /* the lease is not given back */
  const char *why;
};
static const struct due dues[] = {
    {"pool.idle_timeout", "20ms", NULL, NULL, false, "it was idle for pool.idle_timeout"},
    {"pool.max_lifetime", "1s", NULL, NULL, false, "it is older than pool.max_lifetime"},
    {"pool.leak_reclaim", "20ms", NULL, NULL, true, "its lease was out for pool.leak_reclaim"},
    {"pool.max_size", "4", "pool.max_idle", "0", false, "more than pool.max_size or pool.max_idle"},
};
enum { DUES = sizeof dues / sizeof dues[0] };

START_TEST(connections_whose_time_has_come_are_closed)
{
  for (int d = 0; d < DUES; d++) {
    struct stage s;
    pmx_lease *lease;

    stage_open(&s, _i, false, dues[d].name, dues[d].value, NULL);
    lease = take(s.client);
    if (!dues[d].kept)
      give_back(lease);
    if (dues[d].live)
      ck_assert_int_eq(pmx_client_set(s.client, dues[d].live, dues[d].then), PMX_OK);
    check_heard(&s.heard, closed, 1);
    pthread_mutex_lock(&s.heard.mutex);
    ck_assert_str_eq(s.heard.detail, dues[d].why);
    ck_assert_int_eq(s.heard.cause, PMX_CAUSE_NONE);
    ck_assert_uint_eq(s.heard.lost, 0);
    pthread_mutex_unlock(&s.heard.mutex);
    if (dues[d].kept)
      pmx_release(lease);
    stage_close(&s);
  }
}
END_TEST

START_TEST(connections_with_old_settings_are_closed)
{
  struct stage s;

  stage_open(&s, _i, true, "tls.retire", "10ms", NULL);
  check_is_ok(pmx_command(s.client, "SET k v"));
  check_is_ok(pmx_reload_tls(s.client));
  check_heard(&s.heard, closed, 1);
  ck_assert_uint_eq(locked(&s.heard, &s.heard.lost), 0);
  check_is_ok(pmx_command(s.client, "GET k"));
  stage_close(&s);
}
END_TEST

/* The connection of the command that is given up stays, and the one that ends its wait is one, too.
 */
START_TEST(the_control_connection_is_one_of_them)
{
  struct stage s;
  pmx_call call = call_in(50);

  stage_open(&s, _i, false, NULL);
  check_fails(pmx_command_call(s.client, &call, "BLPOP none 0"), PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  check_stat(s.client, control_opened, 1);
  stage_close(&s);
  ck_assert_uint_eq(s.heard.lost, 0);
}
END_TEST

START_TEST(the_connection_of_subscriptions_is_one_of_them)
{
  struct stage s;
  struct ear ear = {0};

  stage_open(&s, _i, false, NULL);
  ear_open(&ear, s.client, true);
  add_ok(&ear, PMX_SUB_CHANNEL, "c");
  check_heard(&s.heard, subscriptions, 1);
  kill_subscribers(s.server);
  check_heard(&s.heard, subscriptions, 2);
  ear_close(&ear);
  stage_close(&s);
  ck_assert_uint_eq(s.heard.subscriptions, 2);
  ck_assert_uint_eq(s.heard.lost, 1);
}
END_TEST

/* Nobody waits for them: they are cut off. */
START_TEST(what_a_close_cuts_off_is_closed)
{
  struct stage s;
  pmx_lease *lease;

  stage_open(&s, _i, false, NULL);
  lease = take(s.client);
  ck_assert_int_eq(pmx_close(s.client, 0), 0);
  pmx_release(lease);
  stage_close(&s);
  ck_assert_uint_eq(s.heard.lost, 0);
}
END_TEST

/* ---- the child of a fork ---- */

/* It hears nothing of its parent's connections, and all of its own. */
static void live_as_child(struct stage *s)
{
  unsigned parents = s->heard.connected;

  pmx_reply_free(pmx_command(s->client, "PING"));
  pmx_close(s->client, SOON_MS);
  pmx_unref(s->client);
  must(s->heard.connected > parents, "the child hears of its own");
  must(s->heard.lost + s->heard.closed == s->heard.connected - parents, "and of no other end");
  _exit(0);
}

static void hear_as_child(void *ud, const pmx_event *e)
{
  struct heard *h = ud;

  h->connected += e->type == PMX_EVENT_CONNECTED;
  h->lost += e->type == PMX_EVENT_LOST;
  h->closed += e->type == PMX_EVENT_CLOSED;
}

START_TEST(a_child_hears_of_its_own_only)
{
  struct stage s = {.server = server_start(NULL)};
  pmx_options *options = options_for(strategies[_i]);
  pid_t child;

  note_test_pid();
  pmx_options_set_events(options, hear_as_child, &s.heard);
  s.client = open_client_with(server_url(s.server, SERVER_TCP), options);
  check_is_ok(pmx_command(s.client, "PING"));
  child = fork_asleep();
  if (child == 0) {
    child_begin();
    live_as_child(&s);
  }
  reap(&child);
  close_client(s.client);
  ck_assert_uint_eq(s.heard.connected, 1);
  ck_assert_uint_eq(s.heard.closed, 1);
  ck_assert_uint_eq(s.heard.lost, 0);
  ck_assert(server_stop(s.server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("events");

  server_require("events");
  add_for_strategies(tc, closing_ends_each_connection);
  add_for_strategies(tc, connections_that_break_are_lost);
  add_for_strategies(tc, dials_that_fail_are_no_connections);
  add_for_strategies_with(LEASES, tc, connections_whose_time_has_come_are_closed);
  add_for_strategies(tc, connections_with_old_settings_are_closed);
  add_for_strategies_with(LEASES, tc, the_control_connection_is_one_of_them);
  add_for_strategies(tc, the_connection_of_subscriptions_is_one_of_them);
  add_for_strategies_with(LEASES, tc, what_a_close_cuts_off_is_closed);
  add_for_strategies(tc, a_child_hears_of_its_own_only);
  return checks_run("events", tc);
}
