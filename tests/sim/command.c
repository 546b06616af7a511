/* SPDX-License-Identifier: BSD-3-Clause */
/* command.c - reads one command, strictly: what is not one fails the seed. */
#include "sim/command.h"
#include "sim/sim.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static long number_at(const char *in, size_t size, size_t *pos, char sign)
{
  const char *line = in + *pos, *end = memchr(line, '\n', size - *pos);

  if (size > *pos && line[0] != sign)
    fail("server: got garbage: \"%.40s\"", line);
  if (!end)
    return -1;
  *pos = (size_t)(end - in) + 1;
  return strtol(line + 1, NULL, 10);
}

size_t command_parse(char *in, size_t size, struct command *c)
{
  size_t pos = 0;
  long argc = number_at(in, size, &pos, '*');

  if (argc > ARGS_MAX || argc == 0)
    fail("server: %ld arguments", argc);
  for (long i = 0; i < argc; i++) {
    long len = number_at(in, size, &pos, '$');

    if (len < 0 || pos + (size_t)len + 2 > size)
      return 0;
    c->argv[i] = in + pos;
    c->len[i] = (size_t)len;
    pos += (size_t)len + 2;
    if (in[pos - 2] != '\r' || in[pos - 1] != '\n')
      fail("server: a string of %ld bytes ends elsewhere", len);
  }
  if (argc < 0)
    return 0;
  for (long i = 0; i < argc; i++)
    c->argv[i][c->len[i]] = '\0';
  c->argc = (int)argc;
  return pos;
}

int command_is(const struct command *c, const char *name)
{
  return strcasecmp(c->argv[0], name) == 0;
}
