/* SPDX-License-Identifier: BSD-3-Clause */
/* check_router.c - where requests go and why, row by row; that every row of the rules has a place
 * that suits it, and that the manual's table names each of them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "api/options.h"
#include "base/text.h"
#include "classify_rows.h"
#include "route/classify.h"
#include "route/router.h"
#include "route/rules.h"

static struct config config;

static void set_up(void)
{
  ck_assert_int_eq(config_init(&config), 0);
}

static void tear_down(void)
{
  config_clear(&config);
}

static void route_of(const char *text, int wish, size_t size, unsigned commands, struct route *ret)
{
  struct line l = {.argc = 0};

  line_set(&l, text);
  classify(l.argc, l.argv, l.len, ret);
  ret->wish = (uint8_t)wish;
  ret->batch = commands;
  router_place(ret, size, &config);
}

static const struct {
  const char *text;
  size_t size;
  int wish, place, reason;
  const char *sentence;
} rows[] = {
    {"get k", 20, WISH_NONE, PLACE_LANE, REASON_ORDINARY, "lane: GET is an ordinary command"},
    {"blpop k 5", 30, WISH_NONE, PLACE_POOL, REASON_BLOCKS,
     "dedicated: BLPOP blocks for up to 5.0 s"},
    {"BLPOP k 0", 30, WISH_NONE, PLACE_POOL, REASON_BLOCKS,
     "dedicated: BLPOP blocks until it is served"},
    {"xread block 50 streams s $", 40, WISH_NONE, PLACE_POOL, REASON_BLOCKS,
     "dedicated: XREAD blocks for up to 50 ms"},
    {"xread count 1 streams block 0", 40, WISH_NONE, PLACE_LANE, REASON_ORDINARY,
     "lane: XREAD is an ordinary command"},
    {"xreadgroup group g c block 50 streams s 0", 40, WISH_NONE, PLACE_LANE, REASON_ORDINARY,
     "lane: XREADGROUP is an ordinary command"},
    {"blmovem a b left right 0.25 count 5", 50, WISH_NONE, PLACE_POOL, REASON_BLOCKS,
     "dedicated: BLMOVEM blocks for up to 250 ms"},
    {"ts.read k 0 block 50 1", 40, WISH_NONE, PLACE_POOL, REASON_BLOCKS,
     "dedicated: TS.READ blocks for up to 50 ms"},
    {"flushall", 20, WISH_NONE, PLACE_POOL, REASON_PARKS,
     "dedicated: FLUSHALL may hold up its connection"},
    {"flushall async", 30, WISH_NONE, PLACE_LANE, REASON_ORDINARY,
     "lane: FLUSHALL is an ordinary command"},
    {"migrate h 1 k 0 50", 40, WISH_NONE, PLACE_POOL, REASON_BLOCKS,
     "dedicated: MIGRATE blocks for up to 50 ms"},
    {"shutdown", 20, WISH_NONE, PLACE_POOL, REASON_PARKS,
     "dedicated: SHUTDOWN may hold up its connection"},
    {"ft.search i q", 30, WISH_NONE, PLACE_POOL, REASON_PARKS,
     "dedicated: ft.search may hold up its connection"},
    {"script kill", 20, WISH_NONE, PLACE_CONTROL, REASON_CONTROL,
     "control: SCRIPT KILL ends what others wait for"},
    {"client unblock 7", 30, WISH_NONE, PLACE_CONTROL, REASON_CONTROL,
     "control: CLIENT UNBLOCK ends what others wait for"},
    {"command docs", 30, WISH_NONE, PLACE_POOL, REASON_LARGE,
     "dedicated: COMMAND DOCS is answered with very much"},
    {"set k v", 65536, WISH_NONE, PLACE_LANE, REASON_ORDINARY, "lane: SET is an ordinary command"},
    {"set k v", 65537, WISH_NONE, PLACE_POOL, REASON_LARGE,
     "dedicated: SET has 65537 bytes, and hybrid.bulk_request is 65536"},
    {"json.get k", 20, WISH_NONE, PLACE_POOL, REASON_UNKNOWN,
     "dedicated: json.get is not known here, and the server has not said that it may share"},
    {"get k", 20, WISH_DEDICATED, PLACE_POOL, REASON_WISH, "dedicated: GET was asked to go there"},
    {"set k v", 65537, WISH_SHARED, PLACE_LANE, REASON_WISH, "lane: SET was asked to go there"},
    {"script kill", 20, WISH_DEDICATED, PLACE_POOL, REASON_WISH,
     "dedicated: SCRIPT KILL was asked to go there"},
};

START_TEST(place_reason_and_sentence_are_right)
{
  struct route route;
  char buf[300], name[40];
  struct text text;

  route_of(rows[_i].text, rows[_i].wish, rows[_i].size, 0, &route);
  ck_assert_msg(route.place == rows[_i].place && route.reason == rows[_i].reason,
                "%s: place %d, reason %d", rows[_i].text, route.place, route.reason);
  text_init(&text, buf, sizeof buf);
  snprintf(name, sizeof name, "%.*s", (int)strcspn(rows[_i].text, " "), rows[_i].text);
  router_explain(&route, route.command[0] == '?' ? name : route.command, rows[_i].size, &config,
                 &text);
  ck_assert_str_eq(buf, rows[_i].sentence);
}
END_TEST

START_TEST(a_batch_leaves_the_lane_when_it_has_many_commands_or_bytes_or_one_that_must)
{
  struct route route;

  route_of("get k", WISH_NONE, 256 * 1024, 1000, &route);
  ck_assert_int_eq(route.reason, REASON_ORDINARY);
  route_of("get k", WISH_NONE, 256 * 1024 + 1, 1000, &route);
  ck_assert_int_eq(route.reason, REASON_BATCH);
  route_of("get k", WISH_NONE, 100, 1001, &route);
  ck_assert_int_eq(route.reason, REASON_BATCH);
  ck_assert_int_eq(route.place, PLACE_POOL);
  route_of("blpop k 1", WISH_NONE, 100, 2, &route);
  ck_assert_int_eq(route.reason, REASON_BLOCKS);
}
END_TEST

static int needs_an_example(const struct rule *rule)
{
  return rule->block || (rule->flags & (ROUTE_SESSION | ROUTE_FORBIDDEN | ROUTE_PARKS |
                                        ROUTE_CONTROL | ROUTE_BULK));
}

/* The page has one line for each, that begins with its name. */
START_TEST(manual_names_every_command_that_is_not_ordinary)
{
  const char *top = getenv("POOLMUX_SRC");
  char path[4096], line[1024], *page = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&page, &size), *in;

  snprintf(path, sizeof path, "%s/man/poolmux-routing.7", top ? top : ".");
  in = fopen(path, "r");
  ck_assert_msg(in != NULL, "%s", path);
  while (fgets(line, sizeof line, in))
    fprintf(out, "%s", line);
  fclose(in);
  fclose(out);
  for (size_t i = 0; i < rule_count(); i++) {
    char wanted[80];

    snprintf(wanted, sizeof wanted, "\n.It Li \"%s\" Ta", rule_at(i)->name);
    if (!strchr(rule_at(i)->name, ' '))
      snprintf(wanted, sizeof wanted, "\n.It Li %s Ta", rule_at(i)->name);
    if (needs_an_example(rule_at(i)))
      ck_assert_msg(strstr(page, wanted) != NULL, "the page does not say: %s", wanted + 1);
  }
  free(page);
}
END_TEST

int main(void)
{
  TCase *tc = tcase_create("router");
  Suite *suite = suite_create("router");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_add_checked_fixture(tc, set_up, tear_down);
  tcase_add_loop_test(tc, place_reason_and_sentence_are_right, 0, sizeof rows / sizeof *rows);
  tcase_add_test(tc, a_batch_leaves_the_lane_when_it_has_many_commands_or_bytes_or_one_that_must);
  tcase_add_test(tc, manual_names_every_command_that_is_not_ordinary);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
