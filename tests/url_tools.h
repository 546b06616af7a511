/* SPDX-License-Identifier: BSD-3-Clause */
/* url_tools.h - for tests of URLs: a configuration that is set by one, and what is said of those
 * that are refused. */
#ifndef URL_TOOLS_H
#define URL_TOOLS_H
#include "api/options.h"
#include "base/mem.h"
#include <check.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof array / sizeof *array))

static struct config config;
static char error[512];

static inline void setup(void)
{
  ck_assert_int_eq(config_init(&config), 0);
}

static inline void teardown(void)
{
  mem_fail_at(0, 0);
  config_clear(&config);
}

static inline int set_url(const char *url)
{
  strcpy(error, "untouched");
  return config_set_url(&config, url, error, sizeof error);
}

static inline void set(const char *name, const char *value)
{
  ck_assert_int_eq(config_set(&config, name, value, 0, error, sizeof error), 0);
}

/* A URL is refused with this message, or, when that ends in " ", with one that begins so. */
static inline void check_url(const char *url, const char *want)
{
  size_t len = strlen(want);

  ck_assert_uint_gt(len, 0);
  ck_assert_int_eq(set_url(url), -1);
  if (want[len - 1] == ' ')
    ck_assert_msg(strncmp(error, want, len) == 0, "%s: %s", url, error);
  else
    ck_assert_str_eq(error, want);
}

#endif
