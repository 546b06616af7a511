/* SPDX-License-Identifier: BSD-3-Clause */
/* check_address.c - tests the endpoints that need no lookup: IP literals, socket paths, mistakes.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "net/resolve.h"

static void not_ready(struct lookup *l)
{
  ck_abort_msg("ready was called for %s", l->error);
}

/* What an endpoint that is answered at once says: its address, or the error. */
static const char *answer(const struct endpoint *e)
{
  struct resolver *r = NULL;
  static struct lookup l;
  static char text[160];

  ck_assert_int_eq(resolver_open(&r), 0);
  ck_assert_int_eq(lookup_start(r, &l, e, not_ready), 1);
  lookup_cancel(r, &l);
  resolver_close(r);
  if (l.count == 0)
    return l.error;
  ck_assert_uint_eq(l.count, 1);
  ck_assert_str_eq(l.error, "");
  return address_text(&l.addresses[0], text, sizeof text);
}

static const struct {
  const char *host;
  enum address_family family;
  const char *answer;
} cases[] = {
    {"127.0.0.1", FAMILY_ANY, "127.0.0.1:6380"},
    {"127.0.0.1", FAMILY_IPV4, "127.0.0.1:6380"},
    {"::1", FAMILY_IPV6, "[::1]:6380"},
    {"fe80::1%7", FAMILY_ANY, "[fe80::1%7]:6380"},
    {"fe80::1%lo", FAMILY_ANY, "[fe80::1%1]:6380"},
    {"::ffff:10.0.0.1", FAMILY_ANY, "[::ffff:10.0.0.1]:6380"},
    {"::1", FAMILY_IPV4, "host \"::1\": not an IPv4 address"},
    {"127.0.0.1", FAMILY_IPV6, "host \"127.0.0.1\": not an IPv6 address"},
    {"", FAMILY_ANY, "the host is empty"},
    {NULL, FAMILY_ANY, "the host is empty"},
};

START_TEST(literals_are_answered_at_once)
{
  struct endpoint e = {.host = cases[_i].host, .port = 6380, .family = cases[_i].family};

  ck_assert_str_eq(answer(&e), cases[_i].answer);
}
END_TEST

START_TEST(socket_paths_are_answered_up_to_their_limit)
{
  char path[109];
  struct endpoint e = {.socket = path, .host = "ignored"};

  memset(path, 'p', sizeof path);
  path[108] = '\0';
  ck_assert_str_eq(answer(&e), "socket path has 108 bytes, 1 to 107 are possible");
  path[107] = '\0';
  ck_assert_str_eq(answer(&e), path);
  path[0] = '\0';
  ck_assert_str_eq(answer(&e), "socket path has 0 bytes, 1 to 107 are possible");
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("address");
  TCase *tc = tcase_create("address");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, literals_are_answered_at_once, 0, (int)(sizeof cases / sizeof *cases));
  tcase_add_test(tc, socket_paths_are_answered_up_to_their_limit);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
