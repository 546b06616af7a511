/* SPDX-License-Identifier: BSD-3-Clause */
/* explain.h - inside poolmux-explain: a command, what each strategy would do with it, and what the
 * server says of it if it had to be asked. */
#ifndef TOOLS_EXPLAIN_H
#define TOOLS_EXPLAIN_H
#include "common.h"

enum { STRATEGIES = 3, ROUTE_SIZE = 640, FLAGS_SIZE = 512, ARGS_MAX = 1024 };
extern const char *const strategy_names[STRATEGIES]; /* by pmx_strategy */

struct words {
  int argc;
  char *argv[ARGS_MAX];
  size_t len[ARGS_MAX];
};

enum asked { ASKED_NOT, ASKED_FAILED, ASKED_NO_SUCH, ASKED_SHARES, ASKED_OWN };

struct answer {
  char routes[STRATEGIES][ROUTE_SIZE]; /* "dedicated: BLPOP blocks …" */
  enum asked asked;
  char flags[FLAGS_SIZE], error[ROUTE_SIZE];
};

/* explain_words.c. Cuts the line up as redis-cli does: blanks, "with \n and \xNN", 'as it is'. 0,
 * or why it cannot be. The words point into the line. */
const char *words_split(struct words *, char *line);
/* 1: its arguments may be secrets, and are not shown. */
int words_are_secret(const struct words *);

/* explain_print.c */
void print_answer(const struct tool *, pmx_strategy, const struct words *, const struct answer *);

#endif
