/* SPDX-License-Identifier: BSD-3-Clause */
/* explain_words.c - text into words: commands as people write them, and the query of a URL. */
#include "explain.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- commands ---- */

static int hex(char c)
{
  static const char digits[] = "0123456789abcdef";
  const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

  return at ? (int)(at - digits) : -1;
}

/* What follows a backslash inside "...": the byte; *s is behind it. */
static char escaped(char **s)
{
  char c = *(*s)++;

  switch (c) {
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  case 'a':
    return '\a';
  case 'b':
    return '\b';
  case 'x':
    if (hex((*s)[0]) >= 0 && hex((*s)[1]) >= 0) {
      c = (char)(hex((*s)[0]) * 16 + hex((*s)[1]));
      *s += 2;
    }
    return c;
  default:
    return c;
  }
}

/* One word, written over the line itself: it never gets longer. *s is behind it. */
static const char *take_word(char **s, size_t *ret_len)
{
  char *to = *s, *begin = *s;
  char quote = '\0';

  for (; **s && (quote || !isspace((unsigned char)**s));) {
    char c = *(*s)++;

    if (quote && c == quote)
      quote = '\0';
    else if (!quote && (c == '"' || c == '\''))
      quote = c;
    else if (c == '\\' && ((quote == '"' && **s) || (quote == '\'' && **s == '\'')))
      *to++ = quote == '"' ? escaped(s) : *(*s)++;
    else
      *to++ = c;
  }
  if (quote)
    return "a quote is not closed";
  if (**s)
    (*s)++;
  *to = '\0';
  *ret_len = (size_t)(to - begin);
  return NULL;
}

const char *words_split(struct words *w, char *line)
{
  const char *why = NULL;

  w->argc = 0;
  for (;;) {
    while (isspace((unsigned char)*line))
      line++;
    if (!*line || why)
      return why;
    if (w->argc == ARGS_MAX)
      return "it has too many words";
    w->argv[w->argc] = line;
    why = take_word(&line, &w->len[w->argc]);
    w->argc++;
  }
}

int words_are_secret(const struct words *w)
{
  static const char *const names[] = {"AUTH", "HELLO", "ACL", "CONFIG", "MIGRATE"};

  for (size_t i = 0; w->argc > 1 && i < sizeof names / sizeof *names; i++)
    if (strcasecmp(w->argv[0], names[i]) == 0)
      return 1;
  return 0;
}
