/* SPDX-License-Identifier: BSD-3-Clause */
/* explain.c - poolmux-explain: where commands would go, with each strategy, and why. Nothing is
 * sent and no connection made but for a command that the library does not know: the server is asked
 * what it is, as the library asks at its first call. */
#include "explain.h"

#include <stdlib.h>
#include <string.h>

const char *const strategy_names[STRATEGIES] = {
    [PMX_STRATEGY_HYBRID] = "hybrid", [PMX_STRATEGY_POOL] = "pool", [PMX_STRATEGY_MUX] = "mux"};

static const char help[] =
    "usage: poolmux-explain [OPTION...] URL [COMMAND [ARGUMENT...]]\n"
    "\n"
    "Prints which connection a command gets, with each strategy, and why; * marks the one that "
    "URL\n"
    "and options choose. Without a command, those on standard input, one a line, with quotes as "
    "in\n"
    "redis-cli. Nothing is sent and nothing connected, unless the library does not know a "
    "command:\n"
    "then the server is asked with COMMAND INFO, and the output says so.\n"
    "\n"
    "      --offline             never ask the server\n" TOOL_HELP "\n"
    "Exit status: 0 all is explained; 1 a server could not be asked, or a line could not be read;\n"
    "2 wrong use.\n";

enum { OPT_OFFLINE = 0x200 };
static const struct option long_options[] = {{"offline", no_argument, NULL, OPT_OFFLINE},
                                             TOOL_LONG};

struct explainer {
  struct tool tool;
  pmx_client *clients[STRATEGIES];
  pmx_strategy own;
  int offline, failed;
};

/* ---- clients, which connect nowhere ---- */

static pmx_strategy strategy_named(const char *name)
{
  for (int i = 0; i < STRATEGIES; i++)
    if (strcmp(strategy_names[i], name) == 0)
      return (pmx_strategy)i;
  return PMX_STRATEGY_HYBRID;
}

static void open_clients(struct explainer *e)
{
  static const char *const dropped[] = {"strategy", "connect", "pool.prefill",
                                        "io",       "offline", NULL};
  char chosen[64];
  char *url = tool_url_without(e->tool.url, dropped, "strategy", chosen, sizeof chosen);
  pmx_reply *error = NULL;

  if (!url)
    tool_failed(&e->tool, "out of memory");
  if (*chosen)
    tool_set(&e->tool, "strategy", chosen);
  e->own = strategy_named(pmx_options_get(e->tool.options, "strategy"));
  tool_set(&e->tool, "connect", "lazy");
  tool_set(&e->tool, "pool.prefill", "none");
  tool_set(&e->tool, "io", "thread");
  tool_set(&e->tool, "offline", "fail");
  for (int i = 0; i < STRATEGIES && !error; i++) {
    tool_set(&e->tool, "strategy", strategy_names[i]);
    e->clients[i] = pmx_open(url, e->tool.options, &error);
  }
  free(url);
  if (error && pmx_reply_status(error) != PMX_INVALID)
    tool_failed(&e->tool, "%s", pmx_reply_error(error));
  if (error)
    tool_misused(&e->tool, "%s", pmx_reply_error(error));
}

/* ---- the server ---- */

static int has_flag(const char *flags, const char *flag)
{
  size_t len = strlen(flag);

  for (const char *at = flags; (at = strstr(at, flag)) != NULL; at += len)
    if ((at == flags || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
      return 1;
  return 0;
}

/* The rule of poolmux-routing(7), under COMMANDS OF MODULES. */
static enum asked judge(const char *flags)
{
  if (!*flags || has_flag(flags, "blocking") || has_flag(flags, "pubsub"))
    return ASKED_OWN;
  return has_flag(flags, "noscript") && has_flag(flags, "admin") ? ASKED_OWN : ASKED_SHARES;
}

static void read_flags(const pmx_reply *info, struct answer *a)
{
  const pmx_reply *flags = pmx_reply_at(info, 2);
  size_t len = 0;

  for (size_t i = 0; i < pmx_reply_len(flags) && len < sizeof a->flags; i++) {
    const char *flag = pmx_reply_str(pmx_reply_at(flags, i), NULL);
    int n =
        snprintf(a->flags + len, sizeof a->flags - len, "%s%s", i ? " " : "", flag ? flag : "?");

    len += n > 0 ? (size_t)n : 0;
  }
  a->asked = pmx_reply_len(info) > 0 ? judge(a->flags) : ASKED_NO_SUCH;
}

static void ask(struct explainer *e, const struct words *w, struct answer *a)
{
  pmx_client *client = e->clients[PMX_STRATEGY_HYBRID];
  pmx_reply *reply = pmx_do(client, NULL, "COMMAND", "INFO", w->argv[0], (char *)NULL);

  if (pmx_ok(reply)) {
    read_flags(pmx_reply_at(reply, 0), a);
  } else {
    a->asked = ASKED_FAILED;
    snprintf(a->error, sizeof a->error, "%s", pmx_reply_error(reply));
    e->failed = 1;
  }
  pmx_reply_free(reply);
}

/* ---- commands ---- */

static void explain(struct explainer *e, const struct words *w)
{
  static struct answer answer;

  memset(&answer, 0, sizeof answer);
  for (int i = 0; i < STRATEGIES; i++)
    pmx_explain(e->clients[i], w->argc, (const char *const *)w->argv, w->len, answer.routes[i],
                sizeof answer.routes[i]);
  if (!e->offline && strstr(answer.routes[PMX_STRATEGY_HYBRID], "is not known here"))
    ask(e, w, &answer);
  print_answer(&e->tool, e->own, w, &answer);
}

static void explain_lines(struct explainer *e)
{
  static struct words words;
  char *line = NULL;
  size_t size = 0;

  while (getline(&line, &size, stdin) >= 0) {
    const char *why = words_split(&words, line);

    if (why) {
      people_print(stderr, "%s: %s: %s", e->tool.name, words.argc ? words.argv[0] : "a line", why);
      fputc('\n', stderr);
      e->failed = 1;
    } else if (words.argc > 0) {
      explain(e, &words);
      fflush(stdout); /* who asks line by line waits for it */
    }
  }
  free(line);
}

/* What may be a secret is copied, and wiped from ps. */
static void take_arguments(const struct tool *t, int argc, char **argv, struct words *w)
{
  if (argc > ARGS_MAX)
    tool_misused(t, "at most %d words", ARGS_MAX);
  for (w->argc = 0; w->argc < argc; w->argc++) {
    w->argv[w->argc] = argv[w->argc];
    w->len[w->argc] = strlen(argv[w->argc]);
  }
  for (int i = 1; words_are_secret(w) && i < argc; i++) {
    w->argv[i] = strdup(argv[i]);
    if (!w->argv[i])
      tool_failed(t, "out of memory");
    tool_wipe(argv[i]);
  }
}

static void free_arguments(struct words *w)
{
  for (int i = 1; words_are_secret(w) && i < w->argc; i++)
    free(w->argv[i]);
}

int main(int argc, char **argv)
{
  static struct explainer e;
  static struct words words;
  int opt;

  tool_begin(&e.tool, "poolmux-explain", help);
  while ((opt = getopt_long(argc, argv, "+" TOOL_SHORT, long_options, NULL)) != -1) {
    if (opt == OPT_OFFLINE)
      e.offline = 1;
    else
      tool_option(&e.tool, opt, optarg);
  }
  if (optind == argc)
    tool_misused(&e.tool, "no URL");
  tool_url(&e.tool, argv[optind++]);
  take_arguments(&e.tool, argc - optind, argv + optind, &words);
  open_clients(&e);
  if (words.argc > 0)
    explain(&e, &words);
  else
    explain_lines(&e);
  free_arguments(&words);
  for (int i = 0; i < STRATEGIES; i++)
    pmx_unref(e.clients[i]);
  tool_end(&e.tool);
  if (fflush(stdout) != 0 || ferror(stdout))
    return EXIT_FAILED;
  return e.failed ? EXIT_FAILED : EXIT_OK;
}
