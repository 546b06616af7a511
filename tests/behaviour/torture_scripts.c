/* SPDX-License-Identifier: BSD-3-Clause */
/* torture_scripts.c - scripts and scans while memory runs out: a script says truly whether it ran,
 * and a scan that failed goes on where it was. Sees base/mem.h. */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "behaviour/behaviour.h"
#include "behaviour/scripting.h"
#include "harness/checks.h"
#include "harness/torture.h"
#include "harness/util.h"

/* More fields than hash-max-listpack-entries lets come in one page. */
enum { FIELDS = 200, FAILURES_MAX = 5 };

static const char lua[] = "return redis.call('INCR', KEYS[1])";

struct scene {
  struct server *server;
  pmx_client *client;
  int64_t acknowledged, unknown; /* runs of the script */
  int complete, broken;          /* scans */
  int failed, hits;
  char *argument;
};

static void check_failure(struct scene *s, const char *what, pmx_reply *reply)
{
  pmx_status status = pmx_reply_status(reply);
  pmx_cause cause = pmx_reply_cause(reply);

  ck_assert_msg(status == PMX_NOMEM || status == PMX_NOT_RUN || status == PMX_UNKNOWN,
                "%s: %s/%s: %s", what, pmx_status_str(status), pmx_cause_str(cause),
                pmx_reply_error(reply));
  ck_assert_msg(cause != PMX_CAUSE_PROTOCOL && cause != PMX_CAUSE_TIMEOUT, "%s: %s/%s: %s", what,
                pmx_status_str(status), pmx_cause_str(cause), pmx_reply_error(reply));
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), status != PMX_UNKNOWN);
  s->failed++;
  pmx_reply_free(reply);
}

static void run_the_script(struct scene *s)
{
  pmx_call call = call_flags(PMX_CALL_NO_RETRY, SOON_MS);
  pmx_script *script = pmx_script_new(lua, strlen(lua));
  pmx_reply *reply = run_script(s->client, &call, script, 1, "torture:n", s->argument, "a", "b",
                                "c", "d", "e", (char *)NULL);

  pmx_script_free(script);
  if (pmx_ok(reply)) {
    s->acknowledged++;
    pmx_reply_free(reply);
    return;
  }
  s->unknown += pmx_reply_status(reply) == PMX_UNKNOWN;
  check_failure(s, "a script", reply);
}

static void look_at(const pmx_reply *pair, unsigned char *seen)
{
  const char *field = pmx_reply_str(pmx_reply_at(pair, 0), NULL);
  int ok;
  int64_t i = pmx_reply_int(pmx_reply_at(pair, 1), &ok);
  char wanted[16];

  ck_assert_msg(ok && i >= 0 && i < FIELDS, "no such value");
  snprintf(wanted, sizeof wanted, "f%d", (int)i);
  ck_assert_str_eq(field, wanted);
  seen[i] = 1;
}

static void scan_the_hash(struct scene *s)
{
  unsigned char seen[FIELDS] = {0};
  pmx_scan *scan = pmx_scan_new(s->client, "HSCAN", "torture:hash", 12, "f*", 2, 50);
  const pmx_reply *pair;
  pmx_reply *err;
  int failures = 0;

  do {
    while ((pair = pmx_scan_next(scan, NULL, &err)))
      look_at(pair, seen);
    if (err)
      check_failure(s, "a scan", err);
  } while (err && ++failures < FAILURES_MAX);
  pmx_scan_free(scan);
  if (err) {
    s->broken++;
    return;
  }
  for (int i = 0; i < FIELDS; i++)
    ck_assert_msg(seen[i], "f%d is missing", i);
  s->complete++;
}

static void run(void *ud)
{
  struct scene *s = ud;

  run_the_script(s);
  scan_the_hash(s);
}

static void check(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct scene *s = ud;
  int64_t end = now_ms() + SOON_MS, value;

  (void)sticky;
  s->hits += hit;
  while (pmx_reply_finish(pmx_command(s->client, "PING")) != PMX_OK)
    ck_assert_msg(now_ms() < end, "the client does not recover");
  value = server_integer(s->server, "GET", "torture:n", NULL);
  ck_assert_int_ge(value, s->acknowledged);
  ck_assert_int_le(value, s->acknowledged + s->unknown);
  check_books(s->client, 2);
  if (n % 2 == 0)
    free(server_command(s->server, "SCRIPT", "FLUSH", NULL)); /* the next run sends it as a whole */
}

static void fill(struct server *server)
{
  char field[16], value[16];

  free(server_command(server, "CONFIG", "SET", "hash-max-listpack-entries", "16", NULL));
  for (int i = 0; i < FIELDS; i++) {
    snprintf(field, sizeof field, "f%d", i);
    snprintf(value, sizeof value, "%d", i);
    free(server_command(server, "HSET", "torture:hash", field, value, NULL));
  }
  free(server_command(server, "SET", "torture:n", "0", NULL));
}

START_TEST(scripts_and_scans_are_right_or_say_truly_that_they_failed)
{
  struct scene s;
  uint64_t runs;

  memset(&s, 0, sizeof s);
  s.server = server_start(NULL);
  fill(s.server);
  s.argument = harness_alloc(2001);
  memset(s.argument, 'a', 2000);
  s.client =
      open_client(ways[_i].strategy, url_for(&ways[_i], s.server), "pool.max_size", "2", "offline",
                  "fail", "reconnect.min_delay", "1ms", "reconnect.max_delay", "2ms", (char *)NULL);
  runs = torture(run, check, &s);
  printf("%llu runs: %lld acknowledged, %lld unknown, %d complete scans, %d broken, %d failures\n",
         (unsigned long long)runs, (long long)s.acknowledged, (long long)s.unknown, s.complete,
         s.broken, s.failed);
  ck_assert_int_gt(s.hits, 20);
  ck_assert_int_gt(s.complete, 20);
  ck_assert_int_gt(s.broken, 5);
  ck_assert_int_gt(s.acknowledged, 10);
  free(s.argument);
  close_client(s.client);
  ck_assert(server_stop(s.server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("torture_scripts");

  server_require("torture_scripts");
  add_for_ways(tc, scripts_and_scans_are_right_or_say_truly_that_they_failed);
  return checks_run("torture_scripts", tc);
}
