/* SPDX-License-Identifier: BSD-3-Clause */
/* hybrid_unknown.c - commands that nobody here knows get connections of their own until the server,
 * asked once, has said that they may share one. */
#include "behaviour/behaviour.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "harness/checks.h"
#include "harness/util.h"

static void explain(pmx_client *client, const char *name, char *buf, size_t size)
{
  const char *argv[] = {name, "k"};

  ck_assert_uint_lt(pmx_explain(client, 2, argv, NULL, buf, size), size);
}

struct module {
  const char *flag; /* what COMMAND INFO says of it; NULL: it does not know it */
};

static int answer_as_module(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  const struct module *m = ud;

  if (strcasecmp(argv[0], "COMMAND") != 0)
    return answer_values(ud, conn, argc, argv, len);
  ck_assert_str_eq(argv[2], "FOO.BAR");
  fake_reply_array(conn, 1);
  if (!m->flag) {
    fake_reply_null(conn);
    return 0;
  }
  fake_reply_array(conn, 6);
  fake_reply_text(conn, "foo.bar");
  fake_reply_int(conn, 2);
  fake_reply_array(conn, 1);
  fake_reply_simple(conn, m->flag);
  for (int i = 0; i < 3; i++)
    fake_reply_int(conn, 1);
  return 0;
}

static const struct {
  const char *flag;
  bool shares;
} modules[] = {{"readonly", true}, {"blocking", false}, {"pubsub", false}, {NULL, false}};

START_TEST(the_server_is_asked_once_what_an_unknown_command_is)
{
  struct module module = {modules[_i].flag};
  struct fake *fake = fake_for(&(struct way){"hybrid", OVER_TCP}, answer_as_module, &module);
  pmx_client *client = open_client("hybrid", fake_url(fake), NULL);
  int64_t end = now_ms() + SOON_MS;
  uint64_t unknown;
  char text[200];

  explain(client, "foo.bar", text, sizeof text);
  ck_assert_int_eq(strncmp(text, "dedicated: foo.bar is not known", 31), 0);
  ck_assert_uint_eq(fake_seen(fake, "COMMAND"), 0);
  check_is_ok(pmx_command(client, "foo.bar k"));
  unknown = stats_of(client).routed_unknown; /* none: the answer came before it was routed */
  ck_assert_uint_ge(unknown, modules[_i].shares ? 0 : 1);
  do
    explain(client, "Foo.Bar", text, sizeof text);
  while (modules[_i].shares && strncmp(text, "lane: ", 6) != 0 && now_ms() < end);
  ck_assert(fake_wait_seen(fake, "COMMAND", 1, SOON_MS));
  for (int i = 0; i < 100; i++)
    check_is_ok(pmx_command(client, i % 2 ? "FOO.BAR k" : "foo.bar k"));
  ck_assert_uint_eq(stats_of(client).routed_unknown, modules[_i].shares ? unknown : 101);
  ck_assert_uint_eq(fake_seen(fake, "COMMAND"), 1);
  ck_assert_uint_eq(stats_of(client).commands, 101); /* the question is not the program's */
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("hybrid_unknown");

  tcase_add_loop_test(tc, the_server_is_asked_once_what_an_unknown_command_is, 0,
                      sizeof modules / sizeof *modules);
  return checks_run("hybrid_unknown", tc);
}
