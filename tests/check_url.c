/* SPDX-License-Identifier: BSD-3-Clause */
/* check_url.c - URLs: what each part sets, what is refused and in which words. */
#include "harness/checks.h"
#include "url_tools.h"
#include <inttypes.h>
#include <stdio.h>

/* "host port socket user password db tls", "-" for empty strings. */
static const char *summary(void)
{
  static char buf[512];

  snprintf(buf, sizeof buf, "%s %" PRId64 " %s %s %s %" PRId64 " %s", config.host, config.port,
           *config.socket ? config.socket : "-", *config.user ? config.user : "-",
           *config.password ? config.password : "-", config.db, config.tls ? "tls" : "plain");
  return buf;
}

static const struct {
  const char *url, *summary;
} good[] = {
    {"redis://", "127.0.0.1 6379 - - - 0 plain"},
    {"redis:///", "127.0.0.1 6379 - - - 0 plain"},
    {"redis:///3", "127.0.0.1 6379 - - - 3 plain"},
    {"redis://h", "h 6379 - - - 0 plain"},
    {"REDIS://h", "h 6379 - - - 0 plain"},
    {"rediss://h", "h 6379 - - - 0 tls"},
    {"valkey://h", "h 6379 - - - 0 plain"},
    {"valkeys://h:1", "h 1 - - - 0 tls"},
    {"redis://h:65535/", "h 65535 - - - 0 plain"},
    {"redis://:7000", "127.0.0.1 7000 - - - 0 plain"},
    {"redis://h/15", "h 6379 - - - 15 plain"},
    {"redis://h/1000000", "h 6379 - - - 1000000 plain"},
    {"redis://h?db=2", "h 6379 - - - 2 plain"},
    {"redis://h/?db=2", "h 6379 - - - 2 plain"},
    {"redis://h?", "h 6379 - - - 0 plain"},
    {"redis://a-b.c_d.example.", "a-b.c_d.example. 6379 - - - 0 plain"},
    {"redis://127.0.0.2:1", "127.0.0.2 1 - - - 0 plain"},
    {"redis://[::1]", "::1 6379 - - - 0 plain"},
    {"redis://[::1]:7/2", "::1 7 - - - 2 plain"},
    {"redis://[::ffff:1.2.3.4]", "::ffff:1.2.3.4 6379 - - - 0 plain"},
    {"redis://[fe80::1%25eth0]:7", "fe80::1%eth0 7 - - - 0 plain"},
    {"redis://u:p@[::1]:7", "::1 7 - u p 0 plain"},
    {"redis://u@h", "h 6379 - u - 0 plain"},
    {"redis://u:p@h", "h 6379 - u p 0 plain"},
    {"redis://u:p@", "127.0.0.1 6379 - u p 0 plain"},
    {"redis://u:p@/4", "127.0.0.1 6379 - u p 4 plain"},
    {"redis://:p@h", "h 6379 - - p 0 plain"},
    {"redis://@h", "h 6379 - - - 0 plain"},
    {"redis://u:@h", "h 6379 - u - 0 plain"},
    {"redis://u:a:b:c@h", "h 6379 - u a:b:c 0 plain"},
    {"redis://u:a+b@h", "h 6379 - u a+b 0 plain"},
    {"redis://u%3a%40:%2F%3f%23%25%20@h", "h 6379 - u:@ /?#%  0 plain"},
    {"redis://u:%c3%A9\xc3\xa9@h", "h 6379 - u \xc3\xa9\xc3\xa9 0 plain"},
    {"redis://h?user=u&password=p%26%3D&db=1", "h 6379 - u p&= 1 plain"},
    {"redis:///?host=h&port=1", "h 1 - - - 0 plain"},
    {"redis:///?socket=/s", "127.0.0.1 6379 /s - - 0 plain"},
    {"redis://h?tls=yes", "h 6379 - - - 0 tls"},
    {"redis://h?tls=no", "h 6379 - - - 0 plain"},
    {"rediss://h?tls=yes", "h 6379 - - - 0 tls"},
    {"redis://h?client_name=a=b", "h 6379 - - - 0 plain"},
    {"unix:///s", "127.0.0.1 6379 /s - - 0 plain"},
    {"unix:///a/b%20c.sock", "127.0.0.1 6379 /a/b c.sock - - 0 plain"},
    {"unix:///a%40b", "127.0.0.1 6379 /a@b - - 0 plain"},
    {"unix:///s?db=1", "127.0.0.1 6379 /s - - 1 plain"},
    {"unix://u:p@/s", "127.0.0.1 6379 /s u p 0 plain"},
    {"unix://:p@/s/t?db=2", "127.0.0.1 6379 /s/t - p 2 plain"},
};

START_TEST(parts_set_their_options)
{
  ck_assert_msg(set_url(good[_i].url) == 0, "%s: %s", good[_i].url, error);
  ck_assert_str_eq(summary(), good[_i].summary);
}
END_TEST

START_TEST(query_sets_any_option)
{
  ck_assert_int_eq(set_url("redis://h?pool.max_size=32&command_timeout=250ms&strategy=mux&"
                           "request.max_size=1MiB&client_name=%61bc&pool.name=a+b"),
                   0);
  ck_assert_int_eq(config.pool_max_size, 32);
  ck_assert_int_eq(config.command_timeout, 250000000);
  ck_assert_int_eq(config.strategy, PMX_STRATEGY_MUX);
  ck_assert_int_eq(config.request_max_size, 1 << 20);
  ck_assert_str_eq(config.client_name, "abc");
  ck_assert_str_eq(config.pool_name, "a+b");
}
END_TEST

START_TEST(url_wins_and_what_it_leaves_out_stays)
{
  set("host", "old"), set("port", "1"), set("user", "olduser"), set("password", "oldpw");
  set("db", "9"), set("retry.max", "7");
  ck_assert_int_eq(set_url("redis://"), 0);
  ck_assert_str_eq(summary(), "old 1 - olduser oldpw 9 plain");
  ck_assert_int_eq(set_url("redis://new"), 0);
  ck_assert_str_eq(summary(), "new 1 - olduser oldpw 9 plain");
  ck_assert_int_eq(set_url("redis://:pw@:2/3?retry.max=8"), 0);
  ck_assert_str_eq(summary(), "new 2 - olduser pw 3 plain");
  ck_assert_int_eq(config.retry_max, 8);
  ck_assert_int_eq(set_url("redis://u:@h"), 0);
  ck_assert_str_eq(summary(), "h 2 - u - 3 plain");
}
END_TEST

START_TEST(host_or_port_replace_a_socket_and_the_reverse)
{
  ck_assert_int_eq(set_url("unix:///s"), 0);
  ck_assert_int_eq(set_url("redis:///1"), 0);
  ck_assert_str_eq(config.socket, "/s");
  ck_assert_int_eq(set_url("redis://h"), 0);
  ck_assert_str_eq(config.socket, "");
  ck_assert_int_eq(set_url("unix:///t"), 0);
  ck_assert_int_eq(set_url("redis://:1"), 0);
  ck_assert_str_eq(config.socket, "");
  ck_assert_int_eq(set_url("unix:///u"), 0);
  ck_assert_str_eq(config.socket, "/u");
}
END_TEST

START_TEST(refused_url_changes_nothing)
{
  set("host", "old"), set("password", "oldpw");
  ck_assert_int_eq(set_url("rediss://u:p@h:1/2?retry.max=8&retry.max=9"), -1);
  ck_assert_str_eq(summary(), "old 6379 - - oldpw 0 plain");
  ck_assert_int_eq(config.retry_max, 3);
}
END_TEST

static const struct {
  const char *url, *error; /* the whole message, or its beginning when it ends in " " */
} bad[] = {
    {NULL, "URL: missing (NULL)"},
    {"", "URL: does not start with a scheme; valid: redis://, rediss://, valkey://, valkeys:// and "
         "unix://"},
    {"localhost:6379", "URL: does not start with a scheme; "},
    {"redis:/h", "URL: does not start with a scheme; "},
    {"redis:h", "URL: does not start with a scheme; "},
    {" redis://h", "URL: does not start with a scheme; "},
    {"://h", "URL: does not start with a scheme; "},
    {"user:secret://h", "URL: does not start with a scheme; "},
    {"http://h", "URL: unknown scheme \"http\"; valid: redis://, rediss://, valkey://, valkeys:// "
                 "and unix://"},
    {"redi://h", "URL: unknown scheme \"redi\"; "},
    {"redis+tls://h", "URL: unknown scheme \"redis+tls\"; "},
    {"redis://h#x", "URL: a fragment (\"#\" and what follows) is not possible; write %23 for "},
    {"redis://h/0?db=1", "URL: option db in the query repeats or contradicts what the URL says "},
    {"redis://h/1?retry.max=1&retry.max=1", "URL: option retry.max in the query repeats or "},
    {"redis://h?host=i", "URL: option host in the query repeats or contradicts "},
    {"redis://h?socket=/s", "URL: option socket in the query repeats or contradicts "},
    {"redis://u@h?user=v", "URL: option user in the query repeats or contradicts "},
    {"redis://:p@h?password=q", "URL: option password in the query repeats or contradicts "},
    {"unix:///s?host=h", "URL: option host in the query repeats or contradicts "},
    {"unix:///s?port=1", "URL: option port in the query repeats or contradicts "},
    {"rediss://h?tls=no",
     "URL: tls=no contradicts the scheme; use redis:// or valkey:// to connect "
     "without TLS"},
    {"redis://h:", "URL: port: the value is not a whole number; valid: 1 to 65535"},
    {"redis://h:x", "URL: port: the value is not a whole number; valid: 1 to 65535"},
    {"redis://h:0", "URL: port: the value is out of range; valid: 1 to 65535"},
    {"redis://u:p@h:0", "URL: port: \"0\" is out of range; valid: 1 to 65535"},
    {"redis://u:p@h:65536", "URL: port: \"65536\" is out of range; valid: 1 to 65535"},
    {"redis://u:p@h:x", "URL: port: the value is not a whole number; valid: 1 to 65535"},
    {"redis://u:p@h:-1", "URL: port: the value is out of range; valid: 1 to 65535"},
    {"redis://::1", "URL: more than one \":\" in host and port; an IPv6 address is written in "},
    {"redis://u:p:6379", "URL: more than one \":\" in host and port; "},
    {"redis://[::1", "URL: bad IPv6 address; valid: [address] or [address]:port"},
    {"redis://[::1]x", "URL: bad IPv6 address; "},
    {"redis://[]", "URL: bad IPv6 address; "},
    {"redis://[h]", "URL: bad IPv6 address; "},
    {"redis://[1.2.3.4]", "URL: bad IPv6 address; "},
    {"redis://[::1%25]", "URL: bad IPv6 address; "},
    {"redis://[::1%eth0]", "URL: bad percent escape in the host; "},
    {"redis://h%41", "URL: bad character in the host; valid: letters, digits, "},
    {"redis://h,i", "URL: bad character in the host; "},
    {"redis://h\\i", "URL: bad character in the host; "},
    {"redis://\xc3\xa9", "URL: bad character in the host; "},
    {"redis://h i", "URL: blank or control character in the host or port; "},
    {"redis://h:6379\n", "URL: blank or control character in the host or port; "},
    {"redis://h/0\n", "URL: blank or control character in the path; write it as % and two "},
    {"redis://h?client_name=a b", "URL: blank or control character in the query; "},
    {"redis://u:p w@h", "URL: blank or control character in the login; "},
    {"redis://u:p\x7f@h", "URL: blank or control character in the login; "},
    {"unix:///a b", "URL: blank or control character in the path; "},
    {"redis://h/x", "URL: db: the value is not a whole number; valid: 0 to 1000000"},
    {"redis://h/1/", "URL: db: the value is not a whole number; "},
    {"redis://h//1", "URL: db: the value is not a whole number; "},
    {"redis://h/%31", "URL: db: the value is not a whole number; "},
    {"redis://h/%00", "URL: db: the value is not a whole number; "},
    {"redis://h/-1", "URL: db: the value is out of range; "},
    {"redis://h/1000001", "URL: db: \"1000001\" is out of range; valid: 0 to 1000000"},
    {"redis://h?db=x", "URL: db: \"x\" is not a whole number; valid: 0 to 1000000"},
    {"redis://h?db=", "URL: db: \"\" is not a whole number; valid: 0 to 1000000"},
    {"redis://h?db=%001", "URL: %00 in the db; valid: % and two hexadecimal digits, not %00"},
    {"redis://h?client_name=a%0", "URL: bad percent escape in the client_name; "},
    {"redis://h?pool.maxsize=3",
     "URL: unknown option \"pool.maxsize\"; did you mean \"pool.max_size\"?"},
    {"redis://h?colour=red", "URL: unknown option \"colour\"; see poolmux-options(7)"},
    {"redis://h?=1", "URL: unknown option \"\"; see poolmux-options(7)"},
    {"redis://h?%64b=1", "URL: unknown option \"%64b\"; "},
    {"redis://h?db", "URL: the query is not name=value, or name=value&name=value and so on"},
    {"redis://h?db=1&", "URL: the query is not name=value, "},
    {"redis://h?&db=1", "URL: the query is not name=value, "},
    {"redis://h?connect_timeout=5", "URL: connect_timeout: \"5\" has no unit "},
    {"redis://h?password=%zz", "URL: bad percent escape in the password; "},
    {"redis://u:%@h", "URL: bad percent escape in the password; valid: % and two hexadecimal "},
    {"redis://u:%4@h", "URL: bad percent escape in the password; "},
    {"redis://u:%4g@h", "URL: bad percent escape in the password; "},
    {"redis://u:p%00w@h", "URL: %00 in the password; "},
    {"redis://%g0:p@h", "URL: bad percent escape in the user; "},
    {"redis://%00:p@h", "URL: %00 in the user; "},
    {"redis://u:p@q@h",
     "URL: \"@\" out of place; in a user, password, path or query write %40 for "},
    {"redis://u:p/q@h", "URL: \"@\" out of place; "},
    {"redis://u:p?q@h", "URL: \"@\" out of place; "},
    {"redis://u:p#q@h", "URL: a fragment (\"#\" and what follows) is not possible; "},
    {"redis://h/0@x", "URL: \"@\" out of place; "},
    {"unix:///a@b", "URL: \"@\" out of place; "},
    {"unix://", "URL: unix:// needs an absolute path: unix:///path or unix://user:password@/path"},
    {"unix://s", "URL: unix:// needs an absolute path: "},
    {"unix://s/t", "URL: unix:// needs an absolute path: "},
    {"unix://?db=1", "URL: unix:// needs an absolute path: "},
    {"unix://u:p@s/t", "URL: unix:// needs an absolute path: "},
    {"unix:///a%00", "URL: %00 in the path; "},
};

START_TEST(bad_urls_are_refused_with_the_part_and_what_is_valid)
{
  check_url(bad[_i].url, bad[_i].error);
}
END_TEST

START_TEST(long_parts_are_refused)
{
  static char url[70100];

  memset(url, 'x', sizeof url - 1);
  memcpy(url, "redis://", 8);
  url[8 + 256] = '\0';
  ck_assert_int_eq(set_url(url), -1);
  ck_assert_str_eq(error, "URL: host: the value is too long; valid: 1 to 255 bytes");
  memcpy(url, "unix:///", 8);
  url[8 + 256] = '\0';
  ck_assert_int_eq(set_url(url), -1);
  ck_assert_ptr_nonnull(strstr(error, "xxx...\" is too long; valid: 0 to 107 bytes"));
  memset(url, 'x', sizeof url - 1);
  memcpy(url, "redis://:", 9);
  url[9 + 65537] = '@';
  ck_assert_int_eq(set_url(url), -1);
  ck_assert_str_eq(error, "URL: password: the value is too long; valid: 0 to 65536 bytes");
  memmove(url + 9 + 65536, "@h", 3);
  ck_assert_int_eq(set_url(url), 0);
  ck_assert_uint_eq(strlen(config.password), 65536);
}
END_TEST

/* ---- memory and odds ---- */

START_TEST(every_failed_allocation_leaves_the_configuration)
{
  static const char url[] = "redis://u:p@h:1/2?client_name=n&pool.name=m&retry.max=9";
  uint64_t n;
  int result;

  for (n = 1, result = -2; result; n++) {
    mem_fail_at(n, (int)(n % 2));
    result = set_url(url);
    mem_fail_at(0, 0);
    ck_assert(result == 0 || result == -2);
    if (result)
      ck_assert_ptr_nonnull(strstr(error, "out of memory"));
    ck_assert_str_eq(summary(), result ? "127.0.0.1 6379 - - - 0 plain" : "h 1 - u p 2 plain");
    ck_assert_int_eq(config.retry_max, result ? 3 : 9);
  }
  ck_assert_uint_gt(n, 10);
}
END_TEST

START_TEST(the_url_itself_is_not_changed)
{
  char url[] = "redis://u:%70@h:1/2?client_name=%61&db=3";

  ck_assert_int_eq(set_url(url), -1);
  ck_assert_str_eq(url, "redis://u:%70@h:1/2?client_name=%61&db=3");
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("url");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(tc, parts_set_their_options, 0, COUNT(good));
  tcase_add_test(tc, query_sets_any_option);
  tcase_add_test(tc, url_wins_and_what_it_leaves_out_stays);
  tcase_add_test(tc, host_or_port_replace_a_socket_and_the_reverse);
  tcase_add_test(tc, refused_url_changes_nothing);
  tcase_add_loop_test(tc, bad_urls_are_refused_with_the_part_and_what_is_valid, 0, COUNT(bad));
  tcase_add_test(tc, long_parts_are_refused);
  tcase_add_test(tc, every_failed_allocation_leaves_the_configuration);
  tcase_add_test(tc, the_url_itself_is_not_changed);
  return checks_run("url", tc);
}
