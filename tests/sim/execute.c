/* SPDX-License-Identifier: BSD-3-Clause */
/* execute.c - what commands do on the model server: the answers that the oracle expects, and a
 * watch over what no client may do. Keys are "o:N" for call N outside leases, "oS:N" when its value
 * has S bytes, and "lL:N" on lease L; "qM:N" and "lLqM:N" for what is about list M. The value of a
 * key is "v:" and the key, and dots up to its size. So the server knows who must find an untouched
 * session, and whose connection it is. */
#include "sim/session.h"
#include "sim/value.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LEASES_MAX = 4096 };

static int64_t base_db;
static unsigned lease_conn[LEASES_MAX]; /* 0: not seen yet */

void execute_reset(int64_t db)
{
  base_db = db;
  memset(lease_conn, 0, sizeof lease_conn);
}

void session_clear(struct session *s)
{
  while (s->queued)
    free(s->queue[--s->queued]);
}

/* ---- answers ---- */

static char *room_for(struct session *s, size_t len)
{
  if (s->out_len + len > s->out_cap) {
    s->out_cap = (s->out_len + len) * 2 + 256;
    s->out = realloc(s->out, s->out_cap);
  }
  s->out_len += len;
  return s->out + s->out_len - len;
}

void say(struct session *s, const char *text)
{
  memcpy(room_for(s, strlen(text)), text, strlen(text));
}

void say_string(struct session *s, const char *text)
{
  char all[256];

  snprintf(all, sizeof all, "$%zu\r\n%s\r\n", strlen(text), text);
  say(s, all);
}

void say_value(struct session *s, const char *key)
{
  char head[32];
  size_t size = value_size(key);

  snprintf(head, sizeof head, "$%zu\r\n", size);
  say(s, head);
  value_write(key, room_for(s, size));
  say(s, "\r\n");
}

/* ---- whose command is it ---- */

static void expect_baseline(const struct session *s, const char *key)
{
  if (s->db != base_db || s->multi || s->watch)
    fail("server: %s found conn %u with db %lld%s%s", key, stream_id(s->stream), (long long)s->db,
         s->multi ? ", in MULTI" : "", s->watch ? ", watching" : "");
}

/* What a thread sends one after the other stays in order on a lane, but for what is tried again. */
static void expect_order(struct session *s, const char *key)
{
  unsigned call = oracle_call_of(key);
  unsigned long who = oracle_issuer(call);

  if (stream_is_lane(s->stream) && who < ISSUERS_MAX && !oracle_may_be_late(call)) {
    if (call < s->last[who])
      fail("server: call %u came after call %u of the same thread on conn %u", call, s->last[who],
           stream_id(s->stream));
    s->last[who] = call;
  }
}

static void touch(struct session *s, const char *key)
{
  unsigned lease = 0, id = stream_id(s->stream);

  expect_order(s, key);
  if (key[0] != 'l') {
    s->lease = 0;
    expect_baseline(s, key);
    return;
  }
  if (sscanf(key, "l%u", &lease) != 1 || lease == 0 || lease >= LEASES_MAX)
    fail("server: bad key \"%s\"", key);
  if (lease_conn[lease] == 0) {
    lease_conn[lease] = id;
    expect_baseline(s, key);
  } else if (lease_conn[lease] != id) {
    fail("server: lease %u was on conn %u and is on %u", lease, lease_conn[lease], id);
  } else if (s->lease != lease) {
    fail("server: somebody else used conn %u while lease %u had it", id, lease);
  }
  s->lease = lease;
}

/* ---- commands ---- */

static void run_incr(struct session *s, const char *key)
{
  char text[32];

  if (mutates(MUTANT_RUN_TWICE))
    oracle_executed(key);
  snprintf(text, sizeof text, ":%u\r\n", oracle_runs(oracle_call_of(key)));
  say(s, text);
}

static void run_push(struct session *s, const char *key)
{
  char text[32];

  snprintf(text, sizeof text, ":%zu\r\n", lists_push(key));
  say(s, text);
}

/* What it does and says. `kind` is the first letter of its name. */
static void run_now(struct session *s, char kind, const char *key)
{
  oracle_executed(key);
  if (kind == 'G')
    say_value(s, key);
  else if (kind == 'I')
    run_incr(s, key);
  else if (kind == 'L')
    run_push(s, key);
  else if (kind == 'E')
    say_string(s, key);
  else
    say(s, "+OK\r\n");
}

static void enqueue(struct session *s, char kind, const char *key)
{
  if (s->queued == QUEUE_MAX)
    fail("server: MULTI without end");
  s->kind[s->queued] = kind;
  s->queue[s->queued++] = strdup(key);
  say(s, "+QUEUED\r\n");
}

static void run_keyed(struct session *s, const char *name, const struct command *c)
{
  const char *key = c->argv[1];

  touch(s, key);
  if (s->multi && strcmp(name, "WATCH") == 0) {
    say(s, "-ERR WATCH inside MULTI is not allowed\r\n");
    return;
  }
  if (c->argc > 2 && !value_fits(key, c->argv[2], c->len[2]))
    fail("server: %s %s with the value \"%.60s\"", name, key, c->argv[2]);
  if (s->multi)
    enqueue(s, name[0], key);
  else
    run_now(s, name[0], key);
  if (strcmp(name, "WATCH") == 0)
    s->watch = 1;
}

static void run_exec(struct session *s)
{
  char head[16];

  if (!s->multi) {
    say(s, "-ERR EXEC without MULTI\r\n");
    return;
  }
  if (s->watch && chance(200)) {
    say(s, "*-1\r\n");
  } else {
    snprintf(head, sizeof head, "*%d\r\n", s->queued);
    say(s, head);
    for (int i = 0; i < s->queued; i++) {
      if (s->kind[i] == 'D') {
        say(s, "+OK\r\n");
        s->db = strtoll(s->queue[i], NULL, 10);
      } else {
        run_now(s, s->kind[i], s->queue[i]);
      }
    }
  }
  session_clear(s);
  s->multi = s->watch = 0;
  lists_serve();
}

static void run_discard(struct session *s)
{
  if (!s->multi) {
    say(s, "-ERR DISCARD without MULTI\r\n");
    return;
  }
  say(s, "+OK\r\n");
  if (mutates(MUTANT_NO_DISCARD))
    return;
  session_clear(s);
  s->multi = s->watch = 0;
}

static int64_t run_blpop(struct session *s, const struct command *c)
{
  int64_t wait = (int64_t)(strtod(c->argv[2], NULL) * 1e9);

  touch(s, c->argv[1]);
  if (s->multi) {
    enqueue(s, 'B', c->argv[1]);
    return 0;
  }
  lists_pop(s, c->argv[1], wait);
  return 0;
}

static void run_client(struct session *s, const struct command *c)
{
  char text[32];
  int error = c->argc > 3 && strcasecmp(c->argv[3], "ERROR") == 0;

  if (strcasecmp(c->argv[1], "ID") == 0) {
    snprintf(text, sizeof text, ":%u\r\n", s->id);
  } else if (strcasecmp(c->argv[1], "UNBLOCK") == 0) {
    snprintf(text, sizeof text, ":%d\r\n",
             lists_unblock((unsigned)strtoul(c->argv[2], NULL, 10), error));
  } else {
    say(s, strcasecmp(c->argv[1], "SETINFO") ? "+OK\r\n" : "-ERR unknown subcommand\r\n");
    return;
  }
  say(s, text);
}

static void run_info(struct session *s)
{
  char text[128];

  snprintf(text, sizeof text,
           "# Server\r\nredis_version:7.2.5\r\nrun_id:%040x\r\ntcp_port:6379\r\n", server_run());
  say_string(s, text);
}

static void run_unkeyed(struct session *s, const struct command *c)
{
  if (command_is(c, "EXEC")) {
    run_exec(s);
  } else if (command_is(c, "DISCARD")) {
    run_discard(s);
  } else if (command_is(c, "PING")) {
    say(s, "+PONG\r\n");
  } else if (command_is(c, "HELLO")) {
    say(s, "-NOPROTO unsupported protocol version\r\n");
  } else if (command_is(c, "CLIENT")) {
    run_client(s, c);
  } else if (command_is(c, "INFO")) {
    run_info(s);
  } else if (command_is(c, "SELECT") && s->multi) {
    enqueue(s, 'D', c->argv[1]);
  } else if (command_is(c, "SELECT")) {
    say(s, "+OK\r\n");
    s->db = strtoll(c->argv[1], NULL, 10);
  } else if (command_is(c, "MULTI")) {
    say(s, "+OK\r\n");
    s->multi = 1;
  } else if (command_is(c, "UNWATCH")) {
    say(s, "+OK\r\n");
    s->watch = s->watch && mutates(MUTANT_NO_DISCARD);
  } else if (command_is(c, "RESET")) {
    say(s, "+RESET\r\n");
    session_clear(s);
    s->multi = s->watch = 0;
    s->db = 0;
  } else {
    say(s, "-ERR unknown command\r\n");
  }
}

static int is_keyed(const struct command *c)
{
  return c->argc > 1 && strchr("olq", c->argv[1][0]) && strchr(c->argv[1], ':');
}

/* It does not run; why, is said. */
static int refuses(struct session *s, const struct command *c)
{
  if (s->deaf == WANTS_PASSWORD)
    say(s, "-NOAUTH Authentication required.\r\n");
  else if (sim_now() < server_loading_until && !command_is(c, "CLIENT") &&
           !command_is(c, "SELECT") && !command_is(c, "INFO"))
    say(s, "-LOADING the dataset is in memory soon\r\n");
  else if (faults.on && is_keyed(c) && !s->multi && chance(faults.readonly))
    stream_retires(s->stream), say(s, "-READONLY You can't write against a read only replica.\r\n");
  else
    return 0;
  if (is_keyed(c))
    oracle_refused(c->argv[1]);
  return 1;
}

int64_t execute(struct session *s, const struct command *c)
{
  static const char *const keyed[] = {"GET", "SET", "INCR", "ECHO", "LPUSH", "WATCH"};

  if (stream_is_lane(s->stream) &&
      (command_is(c, "WATCH") || command_is(c, "MULTI") || command_is(c, "BLPOP")))
    fail("server: %s on lane conn %u", c->argv[0], stream_id(s->stream));
  if (refuses(s, c))
    return 0;
  for (size_t i = 0; i < sizeof keyed / sizeof keyed[0]; i++)
    if (command_is(c, keyed[i])) {
      run_keyed(s, keyed[i], c);
      lists_serve();
      return 0;
    }
  if (command_is(c, "BLPOP"))
    return run_blpop(s, c);
  run_unkeyed(s, c);
  return 0;
}
