/* SPDX-License-Identifier: BSD-3-Clause */
/* value.c - see value.h. */
#include "sim/value.h"
#include <stdlib.h>
#include <string.h>

size_t value_size(const char *key)
{
  size_t least = strlen(key) + 2, size = key[0] == 'o' ? strtoul(key + 1, NULL, 10) : 0;

  return size > least ? size : least;
}

void value_write(const char *key, char *buf)
{
  size_t len = strlen(key);

  memcpy(buf, "v:", 2);
  memcpy(buf + 2, key, len);
  memset(buf + 2 + len, '.', value_size(key) - 2 - len);
}

int value_fits(const char *key, const char *value, size_t len)
{
  size_t at = strlen(key) + 2;

  if (len != value_size(key) || memcmp(value, "v:", 2) != 0 || memcmp(value + 2, key, at - 2) != 0)
    return 0;
  while (at < len && value[at] == '.')
    at++;
  return at == len;
}
