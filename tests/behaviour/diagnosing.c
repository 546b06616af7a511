/* SPDX-License-Identifier: BSD-3-Clause */
/* diagnosing.c - see diagnosing.h. */
#include "behaviour/diagnosing.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const char *build_dir(void)
{
  const char *dir = getenv("POOLMUX_BUILD");

  return dir ? dir : ".";
}

static void run(struct told *told, const char *command)
{
  FILE *out = popen(command, "r");
  size_t len;
  int status;

  ck_assert_ptr_nonnull(out);
  len = fread(told->text, 1, sizeof told->text - 1, out);
  told->text[len] = '\0';
  status = pclose(out);
  told->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  ck_assert_msg(!strstr(told->text, CANARY), "the password is shown: %s", told->text);
}

void run_tool(struct told *told, const char *tool, ...)
{
  char command[4096];
  int len = snprintf(command, sizeof command, "exec '%s/tools/%s'", build_dir(), tool);
  const char *arg;
  va_list args;

  va_start(args, tool);
  while ((arg = va_arg(args, const char *)) != NULL)
    len += snprintf(command + len, sizeof command - (size_t)len, " '%s'", arg);
  va_end(args);
  snprintf(command + len, sizeof command - (size_t)len, " 2>&1");
  run(told, command);
}

static void vcheck_tells(const char *text, va_list parts)
{
  const char *part;

  while ((part = va_arg(parts, const char *)) != NULL)
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in: %s", part, text);
}

void check_tells(const char *text, ...)
{
  va_list parts;

  va_start(parts, text);
  vcheck_tells(text, parts);
  va_end(parts);
}

void check_fails_at(const struct told *told, const char *symptom, int status, const char *stage,
                    ...)
{
  char first[64];
  va_list parts;

  snprintf(first, sizeof first, "FAILED at %s ", stage);
  ck_assert_msg(strncmp(told->text, first, strlen(first)) == 0, "not \"%s\": %s", first,
                told->text);
  ck_assert_msg(told->status == status, "%d instead of %d: %s", told->status, status, told->text);
  check_tells(told->text, "\n  failure     ", "\n  to do       ", "\n  outcome     ", NULL);
  ck_assert_msg(!strstr(told->text, "to do       \n"), "nothing is to be done: %s", told->text);
  va_start(parts, stage);
  vcheck_tells(told->text, parts);
  va_end(parts);
  note(symptom, told->text);
}

/* One line each: tests may run at the same time. */
void note(const char *symptom, const char *text)
{
  const char *path = getenv("POOLMUX_SEEN");
  FILE *file = path ? fopen(path, "a") : NULL;
  char line[8192 + 128];
  int len = snprintf(line, sizeof line, "%s\t%s", symptom, text);

  ck_assert(!path || file);
  if (!file)
    return;
  for (int i = 0; line[i]; i++)
    if (line[i] == '\n')
      line[i] = ' ';
  fprintf(file, "%.*s\n", len, line);
  fclose(file);
}
