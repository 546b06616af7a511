/* SPDX-License-Identifier: BSD-3-Clause */
/* diagnosis_running.c - what a program is told whose client worked a moment ago: a pool that has
 * nothing left and why, a server that falls silent, one that is gone. The failure's text and the
 * log must do for the diagnosis. */
#include "behaviour/diagnosing.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

/* ---- the log ---- */

struct lines {
  pthread_mutex_t mutex;
  const char *wanted;
  char line[1024]; /* the first one with that in it */
};

static void on_line(void *ud, pmx_log_level level, const char *component, const char *message)
{
  struct lines *l = ud;

  (void)component;
  pthread_mutex_lock(&l->mutex);
  if (level <= PMX_LOG_WARN && !*l->line && strstr(message, l->wanted))
    snprintf(l->line, sizeof l->line, "%s", message);
  pthread_mutex_unlock(&l->mutex);
}

static bool has_line(void *ud)
{
  struct lines *l = ud;
  bool has;

  pthread_mutex_lock(&l->mutex);
  has = *l->line != '\0';
  pthread_mutex_unlock(&l->mutex);
  return has;
}

static pmx_client *open_with_log(int i, struct server *server, struct lines *lines,
                                 const char *wanted)
{
  pmx_options *options = options_for(strategies[i]);

  memset(lines, 0, sizeof *lines);
  pthread_mutex_init(&lines->mutex, NULL);
  lines->wanted = wanted;
  pmx_options_set(options, "pool.max_size", "2");
  pmx_options_set(options, "pool.wait_timeout", "100ms");
  pmx_options_set_log(options, on_line, PMX_LOG_WARN, lines);
  return open_client_with(server_url(server, SERVER_TCP), options);
}

static pmx_reply *get(pmx_client *client, int64_t timeout_ms)
{
  pmx_call call = call_alone(client, timeout_ms);

  return pmx_do(client, &call, "GET", "k", (char *)NULL);
}

/* ---- the pool ---- */

START_TEST(leases_that_are_not_returned)
{
  struct server *server = server_start(NULL);
  struct lines lines;
  pmx_client *client = open_with_log(_i, server, &lines, "its last command is HGETALL");
  pmx_lease *first = take(client), *second = take(client);
  pmx_reply *reply;

  pmx_reply_free(pmx_lease_command(first, NULL, "HGETALL orders"));
  /* Not before: it is said once, with the command of that moment. */
  ck_assert_int_eq(pmx_client_set(client, "pool.leak_warn", "200ms"), PMX_OK);
  ck_assert(wait_for(has_line, &lines, SOON_MS));
  check_tells(lines.line, "a lease has been out for ",
              "; its last command is HGETALL: was pmx_release forgotten?", NULL);
  note("leaked leases, log", lines.line);
  reply = get(client, PMX_FOREVER);
  check_tells(pmx_reply_error(reply), "no connection in ", "in use 2", "max 2",
              "2 of them leases on which nothing runs, the oldest for ",
              " (last command HGETALL): was pmx_release forgotten? pool.leak_warn", NULL);
  note("leaked leases", pmx_reply_error(reply));
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  give_back(first);
  give_back(second);
  close_client(client);
  server_stop(server);
}
END_TEST

static void pop(void *client)
{
  pmx_call call = call_alone(client, SOON_MS);

  pmx_reply_free(pmx_do(client, &call, "BLPOP", "jobs", "0", (char *)NULL));
}

static bool both_wait(void *server)
{
  return server_info(server, "blocked_clients") == 2;
}

START_TEST(consumers_that_wait)
{
  struct server *server = server_start(NULL);
  struct lines lines;
  pmx_client *client = open_with_log(_i, server, &lines, "-");
  struct background *threads[2];
  pmx_reply *reply;

  for (int i = 0; i < 2; i++)
    threads[i] = background_start(pop, client);
  ck_assert(wait_for(both_wait, server, SOON_MS));
  reply = get(client, PMX_FOREVER);
  check_tells(pmx_reply_error(reply), "no connection in ", "longest in use ", "(BLPOP)",
              "2 of them wait in blocking commands: give those a client of their own", NULL);
  note("blocked consumers", pmx_reply_error(reply));
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  free(server_command(server, "RPUSH", "jobs", "1", "2", NULL));
  for (int i = 0; i < 2; i++)
    background_join(threads[i]);
  close_client(client);
  server_stop(server);
}
END_TEST

/* ---- the server ---- */

START_TEST(server_that_falls_silent)
{
  struct server *server = server_start(NULL);
  struct lines lines;
  pmx_client *client = open_with_log(_i, server, &lines, "-");
  pmx_call call = call_in(500);
  pmx_reply *reply;

  check_is_ok(pmx_command(client, "GET k"));
  server_pause(server);
  reply = pmx_command_call(client, &call, "GET k");
  check_tells(pmx_reply_error(reply), "GET got no answer ", "in time, after ",
              ": is the server stopped, or busy with one command (SLOWLOG GET)?", NULL);
  note("silent server", pmx_reply_error(reply));
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  server_resume(server);
  close_client(client);
  server_stop(server);
}
END_TEST

START_TEST(server_that_is_gone)
{
  struct server *server = server_start(NULL);
  struct lines lines;
  pmx_client *client = open_with_log(_i, server, &lines, "Connection refused; next try in ");
  pmx_call call = call_in(300);
  int64_t until = now_ms() + SOON_MS;
  pmx_reply *reply;

  check_is_ok(pmx_command(client, "GET k"));
  server_kill(server);
  if (strategy_has(strategies[_i], SHARES)) /* else the GET may be on its way by then */
    check_stat(client, lanes_live, 0);
  /* A pool connects when it is asked to, and to be refused may take longer than one call waits. */
  while (!has_line(&lines) && now_ms() < until)
    pmx_reply_free(pmx_command_call(client, &call, "GET k"));
  ck_assert(has_line(&lines));
  reply = pmx_command_call(client, &call, "GET k");
  check_tells(pmx_reply_error(reply), "last connect error ",
              " ago: cannot connect to 127.0.0.1:", "Connection refused", NULL);
  note("server gone", pmx_reply_error(reply));
  check_fails(reply, PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  note("server gone, log", lines.line);
  close_client(client);
  server_stop(server);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("diagnosis_running");

  server_require("diagnosis_running");
  add_for_strategies_with(LEASES, tc, leases_that_are_not_returned);
  add_for_strategies_with(LEASES, tc, consumers_that_wait);
  add_for_strategies(tc, server_that_falls_silent);
  add_for_strategies(tc, server_that_is_gone);
  return checks_run("diagnosis_running", tc);
}
