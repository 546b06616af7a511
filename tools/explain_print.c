/* SPDX-License-Identifier: BSD-3-Clause */
/* explain_print.c - what poolmux-explain says: lines for people, one object a command for programs.
 */
#include "explain.h"

#include <string.h>

static const char *reason_of(const char *route)
{
  const char *colon = strstr(route, ": ");

  return colon ? colon + 2 : "";
}

static int place_length(const char *route)
{
  return (int)strcspn(route, ":");
}

/* ---- for people ---- */

static void print_word(const char *word, size_t len)
{
  int plain = len > 0;

  for (size_t i = 0; i < len; i++)
    plain = plain && word[i] > ' ' && word[i] < 127 && word[i] != '"' && word[i] != '\'';
  if (plain) {
    fwrite(word, 1, len, stdout);
    return;
  }
  putchar('"');
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)word[i];

    if (c == '"' || c == '\\')
      printf("\\%c", c);
    else
      people_bytes(stdout, word + i, 1);
  }
  putchar('"');
}

static void print_command(const struct words *w)
{
  int shown = words_are_secret(w) ? 1 : w->argc;

  fputs(tool_style(stdout, STYLE_STRONG), stdout);
  for (int i = 0; i < shown; i++) {
    if (i > 0)
      putchar(' ');
    print_word(w->argv[i], w->len[i]);
  }
  printf("%s%s\n", shown < w->argc ? " ..." : "", tool_style(stdout, STYLE_NONE));
}

static void print_asked(const struct answer *a)
{
  switch (a->asked) {
  case ASKED_NOT:
    return;
  case ASKED_FAILED:
    people_print(stdout, "  server     was asked with COMMAND INFO, in vain: %s", a->error);
    break;
  case ASKED_NO_SUCH:
    people_print(stdout, "  server     was asked with COMMAND INFO and does not know it either: "
                         "check its name");
    break;
  case ASKED_SHARES:
    people_print(stdout,
                 "  server     was asked with COMMAND INFO: %s. A client asks, too, at its first "
                 "call, and then: lane",
                 a->flags);
    break;
  case ASKED_OWN:
    people_print(stdout, "  server     was asked with COMMAND INFO: %s. So it stays dedicated",
                 a->flags);
    break;
  }
  putchar('\n');
}

static void print_lines(pmx_strategy own, const struct words *w, const struct answer *a)
{
  print_command(w);
  for (int i = 0; i < STRATEGIES; i++) {
    people_print(stdout, "%c %-10s %-10.*s %s", i == (int)own ? '*' : ' ', strategy_names[i],
                 place_length(a->routes[i]), a->routes[i], reason_of(a->routes[i]));
    putchar('\n');
  }
  print_asked(a);
}

/* ---- for programs ---- */

static void json_asked(const struct answer *a)
{
  if (a->asked == ASKED_NOT)
    return;
  printf(",\"server\":{\"known\":%s",
         a->asked == ASKED_SHARES || a->asked == ASKED_OWN ? "true" : "false");
  if (a->asked == ASKED_FAILED) {
    json_member(stdout, "error", a->error);
  } else if (a->asked != ASKED_NO_SUCH) {
    json_member(stdout, "flags", a->flags);
    printf(",\"shares\":%s", a->asked == ASKED_SHARES ? "true" : "false");
  }
  putchar('}');
}

static void print_object(pmx_strategy own, const struct words *w, const struct answer *a)
{
  int shown = words_are_secret(w) ? 1 : w->argc;
  char place[ROUTE_SIZE];

  fputs("{\"command\":[", stdout);
  for (int i = 0; i < shown; i++) {
    if (i > 0)
      putchar(',');
    json_text(stdout, w->argv[i]);
  }
  putchar(']');
  json_member(stdout, "strategy", strategy_names[own]);
  fputs(",\"routes\":{", stdout);
  for (int i = 0; i < STRATEGIES; i++) {
    snprintf(place, sizeof place, "%.*s", place_length(a->routes[i]), a->routes[i]);
    printf("%s\"%s\":{\"place\":", i > 0 ? "," : "", strategy_names[i]);
    json_text(stdout, place);
    json_member(stdout, "reason", reason_of(a->routes[i]));
    putchar('}');
  }
  putchar('}');
  json_asked(a);
  puts("}");
}

void print_answer(const struct tool *t, pmx_strategy own, const struct words *w,
                  const struct answer *a)
{
  if (t->json)
    print_object(own, w, a);
  else
    print_lines(own, w, a);
}
