/* SPDX-License-Identifier: BSD-3-Clause */
/* check_shapes.c - holds the table of answers' kinds against a real server, in RESP2 and RESP3: a
 * kind that is missing there would cost a healthy connection its life. */
#include <stdlib.h>
#include <string.h>
#include "classify_rows.h"
#include "harness/raw.h"
#include "harness/server.h"
#include "route/classify.h"
#include "route/shapes.h"
#include "harness/checks.h"

static struct server *server;

/* In this order on an empty server. Each command of the table, with every kind of answer it has. */
static const char *const lines[] = {
    "get none",     "set s v",     "set s w nx",      "set s w get",    "set none w get",
    "get s",        "append s x",  "strlen s",        "getrange s 0 1", "getrange none 0 1",
    "getex s",      "getex none2", "getset s y",      "getset none3 y", "getdel s",
    "getdel s",     "incr n",      "incrby n 2",      "decr n",         "decrby n 2",
    "bitcount n",   "dbsize",      "exists n s",      "expire n 100",   "expireat n 9999999999",
    "ttl n",        "ttl s",       "pttl n",          "persist n",      "pexpire n 100000",
    "setnx n 1",    "setnx m 1",   "type n",          "type s",         "del m",
    "unlink m",     "echo hi",     "hset h a 1 b 2",  "hsetnx h a 1",   "hget h a",
    "hget h z",     "hexists h a", "hgetall h",       "hgetall s",      "hincrby h a 2",
    "hkeys h",      "hlen h",      "hmget h a z",     "hvals h",        "hdel h a",
    "keys *",       "keys zzz",    "lpush l 1 2",     "rpush l 3",      "lindex l 0",
    "lindex l 99",  "llen l",      "lrange l 0 -1",   "mget n zz",      "publish c m",
    "sadd set a b", "scard set",   "sismember set a", "smembers set",   "smembers zz",
    "srem set a",   "zadd z 1 a",  "zcard z",         "zrem z a",
};

static unsigned kind_of(char first, const char *rest)
{
  switch (first) {
  case ':':
    return SHAPE_INTEGER;
  case '$':
  case '*':
    if (strncmp(rest, "-1", 2) == 0)
      return SHAPE_NIL;
    return first == '$' ? SHAPE_TEXT : SHAPE_LIST;
  case '%':
  case '~':
    return SHAPE_LIST;
  case '_':
    return SHAPE_NIL;
  case '+':
  case '=':
    return SHAPE_TEXT;
  default:
    return 0;
  }
}

static void check_line(struct raw *raw, const char *text, const char *resp, char *seen)
{
  struct line l = {.argc = 0};
  struct wire_buf out = {0};
  struct route route;
  char head[32], *reply;
  unsigned kind;

  line_set(&l, text);
  classify(l.argc, l.argv, l.len, &route);
  wire_buf_add(&out, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", l.argc));
  for (int i = 0; i < l.argc; i++)
    wire_bulk_add(&out, l.argv[i], l.len[i]);
  ck_assert(raw_send(raw, out.data, out.len));
  wire_buf_free(&out);
  ck_assert_uint_ge(raw_fill(raw, 3, 10000), 3);
  kind = kind_of(raw->in.data[0], raw->in.data + 1);
  ck_assert_msg(kind != 0 && (!route.shape || (route.shape & kind)),
                "RESP%s: %s is answered with %.10s, the table has %u", resp, text, raw->in.data,
                route.shape);
  for (size_t i = 0; i < shape_count(); i++) {
    if (strcmp(shape_at(i)->name, route.command) == 0)
      seen[i] |= (char)kind;
  }
  reply = raw_reply(raw, 10000);
  ck_assert_ptr_nonnull(reply);
  free(reply);
}

START_TEST(a_real_server_gives_each_command_the_answers_the_table_has_and_no_others)
{
  const char *resp = _i ? "3" : "2";
  struct raw *raw = raw_open(server_url(server, SERVER_UNIX));
  char seen[256] = {0};

  ck_assert_uint_lt(shape_count(), sizeof seen);
  free(raw_ask(raw, "HELLO", resp, (char *)NULL));
  free(raw_ask(raw, "FLUSHALL", (char *)NULL));
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    check_line(raw, lines[i], resp, seen);
  for (size_t i = 0; i < shape_count(); i++)
    ck_assert_msg((unsigned char)seen[i] == shape_at(i)->mask, "%s: %u of %u was seen",
                  shape_at(i)->name, (unsigned)seen[i], shape_at(i)->mask);
  raw_close(raw);
}
END_TEST

START_TEST(the_table_is_sorted_and_its_commands_exist)
{
  for (size_t i = 0; i < shape_count(); i++) {
    const struct shape *s = shape_at(i);
    const struct command *command = command_find(s->name, strlen(s->name), NULL, 0);

    ck_assert_msg(command && strcmp(command->name, s->name) == 0, "%s is no command", s->name);
    ck_assert_int_eq(shape_of(command), s->mask);
    ck_assert_int_eq(shape_of(command), s->mask); /* the second time it is known */
    ck_assert(i == 0 || strcmp(shape_at(i - 1)->name, s->name) < 0);
  }
  ck_assert_int_eq(shape_of(command_find("EVAL", 4, NULL, 0)), 0);
}
END_TEST

int main(void)
{
  TCase *tc;
  int result;

  server_require("check_shapes");
  server = server_start(NULL);
  if (!server)
    return EXIT_FAILURE;
  tc = checks_case("shapes");
  tcase_add_test(tc, the_table_is_sorted_and_its_commands_exist);
  tcase_add_loop_test(tc, a_real_server_gives_each_command_the_answers_the_table_has_and_no_others,
                      0, 2);
  result = checks_run("shapes", tc);
  server_stop(server);
  return result;
}
