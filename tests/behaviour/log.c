/* SPDX-License-Identifier: BSD-3-Clause */
/* log.c - that the log says what somebody who is called at night wants to know: each row is
 * something that goes on, and the lines that tell of it. That every line stands in the manual,
 * scripts/check-log finds out. */
#include "behaviour/behaviour.h"

#include <check.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/util.h"

/* ---- what was said ---- */

enum { SAID_SIZE = 64 * 1024 };

struct said {
  pthread_mutex_t mutex;
  char text[SAID_SIZE]; /* "WARN pool: message\n" */
  unsigned lines;
  size_t len;
  const char *wanted;
};

static void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
  struct said *s = ud;

  pthread_mutex_lock(&s->mutex);
  s->lines++;
  s->len += (size_t)snprintf(s->text + s->len, SAID_SIZE - s->len, "%s %s: %s\n", names[level],
                             component, message);
  ck_assert_uint_lt(s->len, SAID_SIZE);
  pthread_mutex_unlock(&s->mutex);
}

/* The parts between the stars, in one line and in this order. */
static bool line_fits(const char *line, const char *end, const char *pattern)
{
  while (*pattern) {
    size_t len = strcspn(pattern, "*");
    const char *at = line;

    while (at + len <= end && strncmp(at, pattern, len) != 0)
      at++;
    if (at + len > end)
      return false;
    line = at + len;
    pattern += len + (pattern[len] == '*');
  }
  return true;
}

static bool is_said(void *arg)
{
  struct said *s = arg;
  bool fits = false;

  pthread_mutex_lock(&s->mutex);
  for (const char *line = s->text, *end; !fits && (end = strchr(line, '\n')); line = end + 1)
    fits = line_fits(line, end, s->wanted);
  pthread_mutex_unlock(&s->mutex);
  return fits;
}

static void check_said(struct said *s, const char *pattern)
{
  s->wanted = pattern;
  ck_assert_msg(wait_for(is_said, s, SOON_MS), "nobody said \"%s\":\n%s", pattern, s->text);
}

static void check_not_said(struct said *s, const char *pattern)
{
  s->wanted = pattern;
  ck_assert_msg(!is_said(s), "\"%s\" was said:\n%s", pattern, s->text);
}

/* ---- a client that speaks ---- */

static pmx_client *speaking(struct said *s, pmx_log_level level, const char *strategy,
                            const char *url, ...)
{
  pmx_options *options = options_for(strategy);
  const char *name;
  va_list list;

  memset(s, 0, sizeof *s);
  pthread_mutex_init(&s->mutex, NULL);
  pmx_options_set_log(options, on_log, level, s);
  va_start(list, url);
  while ((name = va_arg(list, const char *)))
    ck_assert_int_eq(pmx_options_set(options, name, va_arg(list, const char *)), PMX_OK);
  va_end(list);
  return open_client_with(url, options);
}

static struct said said; /* its text is large */

START_TEST(a_life_without_trouble_is_told_in_due_course)
{
  struct server *server = server_start(NULL);
  pmx_client *client = speaking(&said, PMX_LOG_INFO, strategies[_i], server_url(server, SERVER_TCP),
                                "client_name", "it", NULL);
  char pattern[128];

  check_is_ok(pmx_command(client, "SET k v"));
  ck_assert_int_eq(pmx_client_set(client, "command_timeout", "3s"), PMX_OK);
  close_client(client);
  snprintf(pattern, sizeof pattern,
           "INFO client: *127.0.0.1:*: a client begins: strategy=%s*tls=no", strategies[_i]);
  check_said(&said, pattern);
  check_said(&said, "INFO connection: *127.0.0.1:*/0: connection 1 is ready: RESP");
  check_said(&said, "INFO client: *: command_timeout was changed");
  check_said(&said, "INFO client: *127.0.0.1:*: closing: nothing new is taken*");
  check_said(&said, "INFO connection: *: connection 1 was closed: the client was closed");
  check_said(&said, "INFO client: *: closed: ");
  check_not_said(&said, "WARN");
  check_not_said(&said, "ERROR");
  check_not_said(&said, "DEBUG");
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(the_steps_of_a_connect_are_told_at_debug)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      speaking(&said, PMX_LOG_DEBUG, strategies[_i], server_url(server, SERVER_TLS), NULL);

  check_is_ok(pmx_command(client, "SET k v"));
  close_client(client);
  check_said(&said, "DEBUG connection: *127.0.0.1:*: connecting to 127.0.0.1");
  check_said(&said, "DEBUG connection: *: connection 1 is connected, TLS shakes hands");
  check_said(&said, "DEBUG connection: *: connection 1 is connected, TLS is done, logs in");
  ck_assert(server_stop(server));
}
END_TEST

/* So many commands of each outcome, and the log is as long as before. */
START_TEST(no_command_causes_a_line)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      speaking(&said, PMX_LOG_INFO, strategies[_i], server_url(server, SERVER_TCP), NULL);
  unsigned before;

  check_is_ok(pmx_command(client, "SET k v"));
  pmx_reply_free(pmx_command(client, "BLPOP none 0.01"));
  check_said(&said, "connection 1 is ready");
  before = said.lines;
  for (int i = 0; i < 500; i++) {
    check_is_ok(pmx_command(client, "GET k"));
    pmx_reply_free(pmx_command(client, "INCR k"));      /* an error */
    pmx_reply_free(pmx_command(client, "SUBSCRIBE k")); /* refused */
    check_is_ok(pmx_future_take(pmx_submit(client, NULL, "GET k")));
  }
  ck_assert_uint_eq(said.lines, before);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_server_that_goes_and_comes_back_is_told)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      speaking(&said, PMX_LOG_INFO, strategies[_i], server_url(server, SERVER_TCP), "offline",
               "fail", "breaker.failures", "2", "command_timeout", "1s", NULL);

  check_is_ok(pmx_command(client, "SET k v"));
  server_kill(server);
  for (int i = 0; i < 3; i++)
    pmx_reply_free(pmx_command(client, "GET k"));
  check_said(&said,
             "WARN connection: *127.0.0.1:*/0: connection 1 was lost: *closed by the server*; "
             "another one is made");
  check_said(&said,
             "WARN connection: *127.0.0.1:*: cannot connect to 127.0.0.1:*; next try in *ms");
  check_said(&said, "WARN connection: *: 2 connects in a row failed: calls fail at once");
  ck_assert(server_restart(server));
  check_said(&said, "INFO connection: *: connected, after * connects that failed: calls are taken");
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_pool_that_is_not_enough_is_told_once_a_second)
{
  struct server *server = server_start(NULL);
  pmx_client *client = speaking(&said, PMX_LOG_INFO, strategies[_i], server_url(server, SERVER_TCP),
                                "pool.max_size", "1", "pool.name", "orders", "pool.wait_timeout",
                                "5ms", "pool.leak_warn", "50ms", NULL);
  pmx_call alone = call_alone(client, 1000);
  pmx_lease *lease = take(client);
  int64_t end = now_ms() + 100;

  lease_ok(lease, "GET k");
  while (now_ms() < end)
    check_fails(pmx_command_call(client, &alone, "GET k"), PMX_NOT_RUN, PMX_CAUSE_POOL_EXHAUSTED);
  check_said(&said,
             "INFO pool: orders at 127.0.0.1:*/0: calls wait: of 1 connections 1 are in use, "
             "and 0 are being made; told once a second");
  check_said(&said, "WARN pool: orders at 127.0.0.1:*/0: 1 calls failed*told once a second*"
                    "in use 1*longest in use*lease, last command GET");
  check_said(&said, "WARN pool: orders at *: connection *: a lease has been out for *; its last "
                    "command is GET*; it is left alone, for pool.leak_reclaim is off");
  check_not_said(&said, ": 2 calls failed");
  give_back(lease);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_lease_that_is_taken_back_is_told)
{
  struct server *server = server_start(NULL);
  pmx_client *client = speaking(&said, PMX_LOG_WARN, strategies[_i], server_url(server, SERVER_TCP),
                                "pool.leak_warn", "10ms", "pool.leak_reclaim", "60ms", NULL);
  pmx_lease *lease = take(client);

  check_said(
      &said,
      "WARN pool: *: connection *; its last command is pmx_acquire*; it is taken back after");
  check_said(&said, "WARN pool: *: connection * is taken back from a lease that has been out for");
  pmx_release(lease);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

START_TEST(a_lane_that_is_full_is_told)
{
  struct fake_options silent = {.handler = NULL};
  struct fake *fake = fake_start(&silent);
  pmx_client *client = speaking(&said, PMX_LOG_WARN, strategies[_i], fake_url(fake),
                                "mux.max_inflight", "1", "mux.full", "fail", NULL);
  pmx_future *first = pmx_submit(client, NULL, "GET k");

  check_fails(pmx_future_take(pmx_submit(client, NULL, "GET k")), PMX_NOT_RUN,
              PMX_CAUSE_QUEUE_FULL);
  check_said(&said, "WARN mux: *127.0.0.1:*/0: 1 calls were turned away*full: in flight");
  pmx_future_free(first);
  pmx_close(client, 0);
  pmx_unref(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(a_reload_is_told)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      speaking(&said, PMX_LOG_INFO, strategies[_i], server_url(server, SERVER_TLS), NULL);

  check_is_ok(pmx_reload_tls(client));
  check_said(&said,
             "INFO tls: *127.0.0.1:*: the settings were read again; connections are replaced");
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static void ignore_reply(void *ud, const pmx_reply *reply)
{
  (void)ud, (void)reply;
}

START_TEST(what_was_asked_for_in_vain_is_told)
{
  struct server *server = server_start(NULL);
  pmx_client *client =
      speaking(&said, PMX_LOG_WARN, strategies[_i], server_url(server, SERVER_TCP), NULL);

  ck_assert_int_eq(pmx_client_set(client, "command_timeout", "soon"), PMX_INVALID);
  check_said(&said,
             "WARN client: *127.0.0.1:*: pmx_client_set: command_timeout: *nothing is changed");
  ck_assert_int_eq(pmx_async(client, NULL, ignore_reply, NULL, "SUBSCRIBE c"), PMX_INVALID);
  check_said(&said, "WARN call: *127.0.0.1:*: pmx_async: SUBSCRIBE");
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("log");

  server_require("log");
  add_for_strategies(tc, a_life_without_trouble_is_told_in_due_course);
  add_for_strategies(tc, the_steps_of_a_connect_are_told_at_debug);
  add_for_strategies(tc, no_command_causes_a_line);
  add_for_strategies(tc, a_server_that_goes_and_comes_back_is_told);
  add_for_strategies_with(LEASES, tc, a_pool_that_is_not_enough_is_told_once_a_second);
  add_for_strategies_with(LEASES, tc, a_lease_that_is_taken_back_is_told);
  add_for_strategies_with(SHARES, tc, a_lane_that_is_full_is_told);
  add_for_strategies(tc, a_reload_is_told);
  add_for_strategies(tc, what_was_asked_for_in_vain_is_told);
  return checks_run("log", tc);
}
