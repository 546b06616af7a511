/* SPDX-License-Identifier: BSD-3-Clause */
/* check_url_secrets.c - nothing of a login in a URL is ever shown, however it was mangled on its
 * way. */
#include "harness/checks.h"
#include "url_tools.h"
#include <stdio.h>

static const char password[] = "Xq7Zk9Vw3";
static const char user[] = "JyB5hT2";

/* Not even three bytes in a row. */
static int shows(const char *text, const char *secret)
{
  char piece[4] = "";

  for (size_t i = 0; secret[i + 2]; i++) {
    memcpy(piece, secret + i, 3);
    if (strstr(text, piece))
      return 1;
  }
  return 0;
}

/* What pmx_open does with a URL before it connects. */
static void expect_hidden(const char *url, int user_too)
{
  struct config fresh;
  int result;

  ck_assert_int_eq(config_copy(&fresh, &config), 0);
  result = config_set_url(&fresh, url, error, sizeof error);
  ck_assert_msg((result == 0) == (*error == '\0'), "%s: %s", url, error);
  ck_assert_msg(!shows(error, password), "%s: %s", url, error);
  ck_assert_msg(!user_too || !shows(error, user), "%s: %s", url, error);
  if (result == 0 && config_check(&fresh, error, sizeof error)) {
    ck_assert_msg(!shows(error, password), "%s: %s", url, error);
    ck_assert_msg(!user_too || !shows(error, user), "%s: %s", url, error);
  }
  config_clear(&fresh);
}

static const char *const with_login[] = {
    "redis://JyB5hT2:Xq7Zk9Vw3@localhost:6379/0",
    "rediss://JyB5hT2:Xq7Zk9Vw3@localhost:6379/0?pool.max_size=32&db=7&tls=no",
    "redis://:Xq7Zk9Vw3@[::1]:6379/0?retry.max=x",
    "valkey://JyB5hT2:%20Xq7Zk9Vw3%20@host?connect_timeout=5",
    "unix://JyB5hT2:Xq7Zk9Vw3@/run/redis.sock?db=1",
    "redis://localhost/1?user=JyB5hT2&password=Xq7Zk9Vw3&db=x",
    "redis://localhost?password=Xq7Zk9Vw3",
};

START_TEST(cut_off_urls_show_no_login)
{
  char url[128];

  for (size_t len = strlen(with_login[_i]) + 1; len-- > 0;) {
    snprintf(url, sizeof url, "%.*s", (int)len, with_login[_i]);
    expect_hidden(url, 1);
    snprintf(url, sizeof url, "%s", with_login[_i] + len);
    expect_hidden(url, 1);
  }
}
END_TEST

static void expect_hidden_however_cut(char *url, size_t from)
{
  expect_hidden(url, 1);
  for (size_t len = strlen(url); len-- > from + 1;) {
    url[len] = '\0';
    expect_hidden(url, 0);
  }
}

/* One byte replaced, inserted or removed, at every place, and the result cut off at every place
 * behind that. */
START_TEST(mangled_urls_show_no_login)
{
  static const char bytes[] = ":/?#@%[&= ;0";
  const char *base = with_login[_i];
  size_t len = strlen(base);
  char url[128];

  for (size_t at = 5; at <= len; at++) {
    for (size_t b = 0; b < sizeof bytes; b++) {
      snprintf(url, sizeof url, "%.*s%.1s%s", (int)at, base, bytes + b, base + at);
      expect_hidden_however_cut(url, at);
      snprintf(url, sizeof url, "%.*s%.1s%s", (int)at, base, bytes + b, base + at + (at < len));
      expect_hidden_however_cut(url, at);
    }
  }
}
END_TEST

static const char *const mistakes[] = {
    "JyB5hT2:Xq7Zk9Vw3@localhost:6379",
    "redis:JyB5hT2:Xq7Zk9Vw3@localhost:6379",
    "redis:/JyB5hT2:Xq7Zk9Vw3@localhost:6379",
    "redis:///JyB5hT2:Xq7Zk9Vw3@localhost:6379",
    "redis:////JyB5hT2:Xq7Zk9Vw3@localhost:6379",
    "redis://JyB5hT2:Xq7Zk9Vw3",
    "redis://JyB5hT2:Xq7Zk9Vw3/0",
    "redis://JyB5hT2:Xq7Zk9Vw3?db=0",
    "redis://JyB5hT2:Xq7Zk9Vw3#localhost",
    "redis://JyB5hT2:Xq7Zk9Vw3:localhost:6379",
    "redis://JyB5hT2:Xq7Zk9Vw3 @localhost",
    "redis://JyB5hT2:Xq7Zk9Vw3%@localhost",
    "redis://JyB5hT2:%Xq7Zk9Vw3@localhost",
    "redis://JyB5hT2:Xq7Zk9Vw3%00@localhost",
    "redis://JyB5hT2:Xq7@Zk9Vw3@localhost",
    "redis://JyB5hT2:@Xq7Zk9Vw3:1/x",
    "redis://JyB5hT2:p@Xq7Zk9Vw3/x",
    "redis://JyB5hT2:p@h/Xq7Zk9Vw3@localhost",
    "redis://JyB5hT2:p@h/Xq7Zk9Vw3",
    "redis://JyB5hT2:p@h:Xq7Zk9Vw3/0",
    "redis://JyB5hT2:p@h:Xq7Zk9Vw3@localhost",
    "redis://JyB5hT2:[Xq7Zk9Vw3@localhost",
    "redis://[JyB5hT2:Xq7Zk9Vw3@localhost",
    "redis://[JyB5hT2:Xq7Zk9Vw3]@localhost:x",
    "redis://JyB5hT2:Xq7Zk9Vw3@localhost:x",
    "redis://JyB5hT2:Xq7Zk9Vw3@localhost:0",
    "redis://JyB5hT2:Xq7Zk9Vw3@localhost/x",
    "redis://JyB5hT2:Xq7Zk9Vw3@localhost/x?y=z",
    "redis://JyB5hT2:Xq7Zk9Vw3@local host",
    "redis://JyB5hT2:Xq7Zk9Vw3@localhost?nonsense=1",
    "redis://JyB5hT2:Xq7Zk9Vw3@localhost?user=a",
    "redis://JyB5hT2@localhost",
    "http://JyB5hT2:Xq7Zk9Vw3@localhost",
    "Xq7Zk9Vw3:://JyB5hT2@localhost",
    "redis\x01://JyB5hT2:Xq7Zk9Vw3@localhost",
    "unix://JyB5hT2:Xq7Zk9Vw3/run/s",
    "unix://JyB5hT2:Xq7Zk9Vw3",
    "unix:///JyB5hT2:Xq7Zk9Vw3@/run/s",
    "unix:///JyB5hT2:Xq7Zk9Vw3?db=x",
    "redis://h?password:Xq7Zk9Vw3",
    "redis://h?passwordXq7Zk9Vw3",
    "redis://h?passwordXq7Zk9Vw3=1",
    "redis://h?password%3DXq7Zk9Vw3",
    "redis://h?password%3DXq7Zk9Vw3=1",
    "redis://h?PASSWORD=Xq7Zk9Vw3",
    "redis://h?pass=Xq7Zk9Vw3",
    "redis://h?passwrod=Xq7Zk9Vw3",
    "redis://h?pwd=Xq7Zk9Vw3",
    "redis://h?password=%Xq7Zk9Vw3",
    "redis://h?password=%00Xq7Zk9Vw3",
    "redis://h?password=a&Xq7Zk9Vw3",
    "redis://h?password=a&Xq7Zk9Vw3=1",
    "redis://h?password=a&db=Xq7Zk9Vw3",
    "redis://h?password=a&password=Xq7Zk9Vw3",
    "redis://h?db=1;password=Xq7Zk9Vw3",
    "redis://h?db=1,password=Xq7Zk9Vw3",
    "redis://h?db=JyB5hT2:Xq7Zk9Vw3",
    "redis://h?JyB5hT2:Xq7Zk9Vw3@localhost",
    "redis://h/?JyB5hT2:Xq7Zk9Vw3=1",
};

START_TEST(common_mistakes_show_no_login)
{
  expect_hidden(mistakes[_i], 1);
  set("tls", "yes");
  expect_hidden(mistakes[_i], 1);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("url_secrets");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(tc, cut_off_urls_show_no_login, 0, COUNT(with_login));
  tcase_add_loop_test(tc, mangled_urls_show_no_login, 0, COUNT(with_login));
  tcase_add_loop_test(tc, common_mistakes_show_no_login, 0, COUNT(mistakes));
  return checks_run("url_secrets", tc);
}
