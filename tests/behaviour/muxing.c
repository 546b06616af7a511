/* SPDX-License-Identifier: BSD-3-Clause */
/* muxing.c - see muxing.h. */
#include "behaviour/muxing.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- calls in the background ---- */

void caller_start(struct caller *c, pmx_client *client, const char *command, const pmx_call *call)
{
  memset(c, 0, sizeof *c);
  snprintf(c->command, sizeof c->command, "%s", command);
  c->waiting.client = client;
  c->waiting.command = c->command;
  if (call)
    c->waiting.call = *call;
  waiting_start(&c->waiting);
}

void callers_start(struct caller *callers, int n, pmx_client *client, const pmx_call *call)
{
  uint64_t before = outstanding(client);
  char command[48];

  for (int i = 0; i < n; i++) {
    snprintf(command, sizeof command, "GET key-%d", i);
    caller_start(&callers[i], client, command, call);
    check_outstanding(client, before + (uint64_t)i + 1);
  }
}

pmx_reply *caller_end(struct caller *c)
{
  return waiting_end(&c->waiting);
}

void callers_check_values(struct caller *callers, int n)
{
  for (int i = 0; i < n; i++)
    check_value(caller_end(&callers[i]), callers[i].command + strlen("GET "));
}

void callers_check_fail(struct caller *callers, int n, pmx_status status, pmx_cause cause)
{
  for (int i = 0; i < n; i++)
    check_fails(caller_end(&callers[i]), status, cause);
}

pmx_reply *get_in(pmx_client *client, const char *key, int64_t timeout_ms)
{
  pmx_call call = call_in(timeout_ms);

  return pmx_do(client, &call, "GET", key, (char *)NULL);
}

/* ---- the lane ---- */

uint64_t outstanding(const pmx_client *client)
{
  pmx_stats stats = stats_of(client);

  return stats.waiting + stats.in_flight;
}

struct wanted {
  const pmx_client *client;
  uint64_t count;
};

static bool is_outstanding(void *arg)
{
  const struct wanted *w = arg;

  return outstanding(w->client) == w->count;
}

void check_outstanding(const pmx_client *client, uint64_t count)
{
  struct wanted w = {client, count};

  ck_assert_msg(wait_for(is_outstanding, &w, SOON_MS), "%llu calls are out, not %llu",
                (unsigned long long)outstanding(client), (unsigned long long)count);
}

void wait_unused(void)
{
  sleep_ms(250);
}

/* ---- the other side ---- */

char *keys_seen(struct fake *fake)
{
  const struct fake_command *command;
  char *keys = harness_alloc(1);
  size_t len = 0;

  for (size_t i = 0; (command = fake_command(fake, i)); i++) {
    size_t more;

    if (command->argc != 2 || strcasecmp(command->argv[0], "GET") != 0)
      continue;
    more = strlen(command->argv[1]) + 1;
    keys = realloc(keys, len + more + 1);
    ck_assert_ptr_nonnull(keys);
    len += (size_t)sprintf(keys + len, "%s%s", len ? " " : "", command->argv[1]);
  }
  return keys;
}
