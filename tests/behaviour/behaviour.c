/* SPDX-License-Identifier: BSD-3-Clause */
/* behaviour.c - see behaviour.h. */
#include "behaviour.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/balance.h"
#include "harness/certs.h"
#include "harness/sock.h"
#include "harness/util.h"

const char *const strategies[] = {"pool", "mux", "hybrid"};
const int strategy_count = sizeof strategies / sizeof strategies[0];

const struct way ways[] = {{"pool", OVER_TCP},  {"mux", OVER_TCP},  {"hybrid", OVER_TCP},
                           {"pool", OVER_UNIX}, {"mux", OVER_UNIX}, {"hybrid", OVER_UNIX},
                           {"hybrid", OVER_TLS}, {"pool", OVER_TLS}, {"mux", OVER_TLS}};
enum { WAYS = sizeof ways / sizeof ways[0], LEFT_OUT = 2 /* at the end */ };
int way_count = WAYS;

void ways_brief(void)
{
  if (!soak())
    way_count = WAYS - LEFT_OUT;
}

int sealing(const struct way *way)
{
  return over_tls(way->over) ? 5 + 1 + 16 : 0; /* TLS 1.3: header, type, tag */
}

static const struct {
  const char *strategy;
  unsigned traits;
} traits[] = {
    {"pool", LEASES | BORROWS}, {"mux", SHARES | REFUSES}, {"hybrid", LEASES | SHARES | DEDICATES}};

bool strategy_has(const char *strategy, enum trait trait)
{
  for (size_t i = 0; i < sizeof traits / sizeof traits[0]; i++) {
    if (strcmp(traits[i].strategy, strategy) == 0)
      return (traits[i].traits & trait) != 0;
  }
  ck_abort_msg("what has strategy=%s?", strategy);
}

const char *url_for(const struct way *way, const struct server *server)
{
  return server_url_over(server, way->over);
}

bool soak(void)
{
  return getenv("POOLMUX_SOAK") != NULL;
}

int64_t soak_ms(int64_t usual_ms)
{
  const char *text = getenv("POOLMUX_SOAK");
  long seconds = text ? strtol(text, NULL, 10) : 0;

  if (!text)
    return usual_ms;
  return seconds > 1 ? seconds * 1000 : 30 * 60 * 1000;
}

bool reads_resp3(void)
{
  int major = 0;

  return sscanf(pmx_build_info(), "hiredis %d", &major) == 1 && major >= 1;
}

/* ---- clients ---- */

pmx_options *options_for(const char *strategy)
{
  pmx_options *options = pmx_options_new();

  ck_assert_ptr_nonnull(options);
  ck_assert_int_eq(pmx_options_set(options, "strategy", strategy), PMX_OK);
  return options;
}

void trust_for(pmx_options *options, const char *url)
{
  if (sock_url_is_tls(url))
    ck_assert_int_eq(pmx_options_set(options, "tls.ca_file", cert_file(certs_default()->ca)),
                     PMX_OK);
}

pmx_client *open_client_with(const char *url, pmx_options *options)
{
  pmx_client *client;
  pmx_reply *err;

  trust_for(options, url);
  client = pmx_open(url, options, &err);
  ck_assert_msg(client != NULL, "%s: %s", url, pmx_reply_error(err));
  ck_assert_ptr_null(err);
  pmx_options_free(options);
  return client;
}

pmx_client *open_client(const char *strategy, const char *url, ...)
{
  pmx_options *options = options_for(strategy);
  const char *name, *value;
  va_list args;

  va_start(args, url);
  while ((name = va_arg(args, const char *))) {
    value = va_arg(args, const char *);
    ck_assert_msg(pmx_options_set(options, name, value) == PMX_OK, "%s",
                  pmx_options_error(options));
  }
  va_end(args);
  return open_client_with(url, options);
}

pmx_stats stats_of(const pmx_client *client)
{
  pmx_stats stats = PMX_STATS_INIT;

  pmx_stats_get(client, &stats);
  return stats;
}

size_t lane_beside(const pmx_client *client)
{
  return pmx_client_strategy(client) == PMX_STRATEGY_HYBRID;
}

uint64_t flags_alone(const pmx_client *client)
{
  return lane_beside(client) ? PMX_CALL_DEDICATED : 0;
}

pmx_call call_alone(const pmx_client *client, int64_t timeout_ms)
{
  return call_flags(flags_alone(client), timeout_ms);
}

void check_balance(const pmx_stats *s)
{
  char what[128];

  ck_assert_msg(balance_broken(s, what, sizeof what) == NULL, "%s", what);
}

static uint64_t times_counted(const pmx_client *client, pmx_histogram_kind kind)
{
  pmx_histogram h = PMX_HISTOGRAM_INIT;

  ck_assert_int_eq(pmx_stats_histogram(client, kind, &h), 1);
  return h.count;
}

/* Nothing happens: histograms have counted what the numbers have. */
static void check_times(const pmx_client *client, const pmx_stats *s)
{
  ck_assert_uint_eq(times_counted(client, PMX_HISTOGRAM_WAIT), s->borrows);
  ck_assert_uint_eq(times_counted(client, PMX_HISTOGRAM_USE), s->returns + s->discards);
  ck_assert_uint_eq(times_counted(client, PMX_HISTOGRAM_CREATE), s->opened);
  ck_assert_uint_eq(times_counted(client, PMX_HISTOGRAM_CALL), s->commands - s->invalid);
}

/* Each lane's own balance; without lanes there are none to ask. */
static void check_each_lane(const pmx_client *client, const pmx_stats *s)
{
  pmx_stats one = PMX_STATS_INIT;
  unsigned lanes = 0;

  while (pmx_stats_lane(client, lanes, &one)) {
    check_balance(&one);
    ck_assert_uint_eq(one.lanes, 1);
    ck_assert_uint_eq(one.borrows + one.waits + one.commands, 0);
    lanes++;
  }
  ck_assert_uint_eq(one.requests + one.opened + one.lanes, 0);
  ck_assert_uint_eq(lanes, s->lanes);
}

/* All of it is a lane's with mux, nothing with pool. */
static void check_lanes(const pmx_client *client, const pmx_stats *s)
{
  switch (pmx_client_strategy(client)) {
  case PMX_STRATEGY_POOL:
    ck_assert_uint_eq(s->lanes_opened + s->lanes_dial_failures + s->lane_requests, 0);
    break;
  case PMX_STRATEGY_MUX:
    ck_assert_uint_eq(s->opened, s->lanes_opened);
    ck_assert_uint_eq(s->closed, s->lanes_closed);
    ck_assert_uint_eq(s->dial_failures, s->lanes_dial_failures);
    ck_assert_uint_eq(s->borrows, 0);
    break;
  case PMX_STRATEGY_HYBRID:
    ck_assert_uint_le(s->idle + s->in_use, s->live - s->lanes_live);
    break;
  }
}

void check_books(const pmx_client *client, uint64_t max)
{
  pmx_stats s = stats_of(client);

  check_balance(&s);
  check_lanes(client, &s);
  check_each_lane(client, &s);
  ck_assert_uint_le(s.idle + s.in_use, s.live);
  if (max == 0)
    return;
  ck_assert_uint_le(s.live + s.connecting, max + lane_beside(client));
  if (lane_beside(client))
    ck_assert_uint_le(s.live - s.lanes_live, max);
}

void close_client(pmx_client *client)
{
  int ended = pmx_close(client, HANG_MS);
  pmx_stats s = stats_of(client);

  ck_assert_msg(ended == 1, "closing: in use %llu, waiting %llu, live %llu, connecting %llu",
                (unsigned long long)s.in_use, (unsigned long long)s.waiting,
                (unsigned long long)s.live, (unsigned long long)s.connecting);
  check_books(client, 0);
  ck_assert_uint_eq(s.live + s.connecting + s.waiting, 0);
  ck_assert_uint_eq(s.requests, s.requests_ended);
  ck_assert_uint_eq(s.control_live + s.running + s.in_flight, 0);
  check_times(client, &s);
  pmx_unref(client);
}

struct wanted_stat {
  const pmx_client *client;
  size_t offset;
  uint64_t value;
};

static bool stat_is(void *arg)
{
  const struct wanted_stat *w = arg;
  pmx_stats stats = stats_of(w->client);
  uint64_t value;

  memcpy(&value, (const char *)&stats + w->offset, sizeof value);
  return value == w->value;
}

bool stat_reaches(const pmx_client *client, size_t offset, uint64_t value, int64_t timeout_ms)
{
  struct wanted_stat w = {client, offset, value};

  return wait_for(stat_is, &w, timeout_ms);
}

/* ---- calls ---- */

pmx_call call_in(int64_t timeout_ms)
{
  return call_flags(0, timeout_ms);
}

pmx_call call_flags(uint64_t flags, int64_t timeout_ms)
{
  pmx_call call = PMX_CALL_INIT;

  call.flags = flags;
  call.timeout_ms = timeout_ms;
  return call;
}

const char *value_of(const char *key, char buf[VALUE_SIZE])
{
  uint64_t hash = UINT64_C(14695981039346656037);

  for (const char *c = key; *c; c++)
    hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
  snprintf(buf, VALUE_SIZE, "%016llx:%.40s", (unsigned long long)hash, key);
  return buf;
}

void check_value(pmx_reply *reply, const char *key)
{
  const char *text = pmx_reply_str(reply, NULL);
  char wanted[VALUE_SIZE];

  value_of(key, wanted);
  ck_assert_msg(pmx_ok(reply), "GET %s: %s/%s: %s", key, pmx_status_str(pmx_reply_status(reply)),
                pmx_cause_str(pmx_reply_cause(reply)), pmx_reply_error(reply));
  ck_assert_msg(text && strcmp(text, wanted) == 0, "GET %s gave \"%s\", not \"%s\"", key,
                text ? text : "(no text)", wanted);
  pmx_reply_free(reply);
}

void check_is_ok(pmx_reply *reply)
{
  ck_assert_msg(pmx_ok(reply), "%s/%s: %s", pmx_status_str(pmx_reply_status(reply)),
                pmx_cause_str(pmx_reply_cause(reply)), pmx_reply_error(reply));
  pmx_reply_free(reply);
}

void check_int(pmx_reply *reply, int64_t expected)
{
  int ok = 0;
  int64_t value = pmx_reply_int(reply, &ok);

  ck_assert_msg(pmx_ok(reply) && ok, "no integer: %s/%s: %s",
                pmx_status_str(pmx_reply_status(reply)), pmx_cause_str(pmx_reply_cause(reply)),
                pmx_reply_error(reply));
  ck_assert_int_eq(value, expected);
  pmx_reply_free(reply);
}

void check_says(const pmx_reply *reply, const char *part)
{
  ck_assert_msg(strstr(pmx_reply_error(reply), part) != NULL, "\"%s\" does not say \"%s\"",
                pmx_reply_error(reply), part);
}

void check_outcome(pmx_reply *reply, pmx_status status, pmx_cause cause, const char *file, int line)
{
  ck_assert_msg(pmx_reply_status(reply) == status && pmx_reply_cause(reply) == cause,
                "%s:%d: %s/%s instead of %s/%s: %s", file, line,
                pmx_status_str(pmx_reply_status(reply)), pmx_cause_str(pmx_reply_cause(reply)),
                pmx_status_str(status), pmx_cause_str(cause), pmx_reply_error(reply));
  pmx_reply_free(reply);
}

void get_value(pmx_client *client, const char *key)
{
  check_value(pmx_do(client, NULL, "GET", key, (char *)NULL), key);
}

void get_value_alone(pmx_client *client, const char *key)
{
  pmx_call call = call_alone(client, PMX_DEFAULT);

  check_value(pmx_do(client, &call, "GET", key, (char *)NULL), key);
}

void check_on_time(const char *what, int64_t limit_ms)
{
  int64_t over = pmx_now_ms() - limit_ms;

  if (over > 0)
    printf("%s: %lld ms over\n", what, (long long)over);
  ck_assert_msg(over < HANG_MS, "%s: %lld ms over its time", what, (long long)over);
}

/* ---- the other side ---- */

struct fake *fake_for(const struct way *way, fake_handler handler, void *ud)
{
  struct fake_options options = {.over = way->over, .handler = handler, .ud = ud};
  struct fake *fake = fake_start(&options);

  ck_assert_ptr_nonnull(fake);
  return fake;
}

size_t fake_accepted(struct fake *fake)
{
  return fake_counts(fake).accepted;
}

void reply_value(struct fake_conn *conn, const char *key)
{
  char value[VALUE_SIZE];

  fake_reply_text(conn, value_of(key, value));
}

int answer_values(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud;
  (void)len;
  if (argc == 2 && strcasecmp(argv[0], "GET") == 0)
    reply_value(conn, argv[1]);
  else if (argc > 0 && strcasecmp(argv[0], "INCR") == 0)
    fake_reply_int(conn, 1);
  else
    fake_reply_simple(conn, "OK");
  return 0;
}
