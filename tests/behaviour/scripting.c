/* SPDX-License-Identifier: BSD-3-Clause */
/* scripting.c - see scripting.h. */
#include "behaviour/scripting.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"

enum { ARGS_MAX = 8 };

pmx_script *script_of(const char *lua)
{
  pmx_script *script = pmx_script_new(lua, strlen(lua));

  ck_assert_ptr_nonnull(script);
  return script;
}

pmx_reply *run_script(pmx_client *client, const pmx_call *call, pmx_script *script, int nkeys, ...)
{
  const char *argv[ARGS_MAX];
  int argc = 0;
  va_list args;

  va_start(args, nkeys);
  while (argc < ARGS_MAX && (argv[argc] = va_arg(args, const char *)))
    argc++;
  va_end(args);
  return pmx_script_run(client, call, script, nkeys, argc, argv, NULL);
}

int64_t server_calls(struct server *server, const char *command)
{
  char *info = server_command(server, "INFO", "commandstats", NULL);
  char field[64];
  long long calls = 0;
  const char *at;

  ck_assert_ptr_nonnull(info);
  snprintf(field, sizeof field, "cmdstat_%s:calls=", command);
  at = strstr(info, field);
  if (at)
    calls = strtoll(at + strlen(field), NULL, 10);
  free(info);
  return calls;
}

void check_fails_saying(pmx_reply *reply, pmx_status status, pmx_cause cause, ...)
{
  const char *text = pmx_reply_error(reply), *word;
  va_list words;

  va_start(words, cause);
  while ((word = va_arg(words, const char *)))
    ck_assert_msg(strstr(text, word) != NULL, "\"%s\" is not in: %s", word, text);
  va_end(words);
  check_fails(reply, status, cause);
}

pmx_scan *scan_of(pmx_client *client, const char *command, const char *key, const char *match,
                  int count)
{
  pmx_scan *scan = pmx_scan_new(client, command, key, key ? strlen(key) : 0, match,
                                match ? strlen(match) : 0, count);

  ck_assert_ptr_nonnull(scan);
  return scan;
}

const pmx_reply *next_of(pmx_scan *scan)
{
  pmx_reply *err;
  const pmx_reply *element = pmx_scan_next(scan, NULL, &err);

  ck_assert_msg(err == NULL, "pmx_scan_next: %s", pmx_reply_error(err));
  return element;
}
