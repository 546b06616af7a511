/* SPDX-License-Identifier: BSD-3-Clause */
/* common.h - what the tools share: the options that all of them have, secrets that ps does not
 * show, text for people and for programs. Sees the public header only. */
#ifndef TOOLS_COMMON_H
#define TOOLS_COMMON_H
#include <getopt.h>
#include <poolmux/poolmux.h>
#include <stdarg.h>
#include <stdio.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

struct tool {
  const char *name, *help;
  pmx_options *options;
  char *url; /* a copy: the argument itself is wiped */
  int json, verbose;
};

/* Options of all tools; own ones are put around these. */
#define TOOL_SHORT "o:t:jvhV"
enum { TOOL_PASSWORD_FILE = 0x100 };
#define TOOL_LONG                                                                                  \
  {"option", required_argument, NULL, 'o'}, {"timeout", required_argument, NULL, 't'},             \
      {"password-file", required_argument, NULL, TOOL_PASSWORD_FILE},                              \
      {"json", no_argument, NULL, 'j'}, {"verbose", no_argument, NULL, 'v'},                       \
      {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'},                       \
  {                                                                                                \
    NULL, 0, NULL, 0                                                                               \
  }
#define TOOL_HELP                                                                                  \
  "  -o, --option NAME=VALUE   any option of poolmux-options(7); the URL's win\n"                  \
  "  -t, --timeout DURATION    of connecting and of each command, such as 500ms (5s)\n"            \
  "      --password-file FILE  its first line is the password; - is standard input\n"              \
  "  -j, --json                one JSON object for programs\n"                                     \
  "  -v, --verbose             the library's log, on standard error\n"                             \
  "  -h, --help                this\n"                                                             \
  "  -V, --version             versions of the tool and of what it is built on\n"                  \
  "\n"                                                                                             \
  "Environment: POOLMUX_PASSWORD, POOLMUX_KEY_PASSPHRASE; NO_COLOR.\n"

/* Ends the program when there is no memory. Secrets of the environment are taken. */
void tool_begin(struct tool *, const char *name, const char *help);
void tool_option(struct tool *, int opt, char *arg); /* one of TOOL_LONG; may end the program */
void tool_url(struct tool *, char *arg);             /* takes it, and wipes its login from ps */
void tool_end(struct tool *);
/* "name: message", a hint at --help, and ends the program with EXIT_USAGE. */
void tool_misused(const struct tool *, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
/* The same without the hint, with EXIT_FAILED: nobody has used it wrongly. */
void tool_failed(const struct tool *, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
void tool_set(struct tool *, const char *name, const char *value); /* an option; or it ends */

void tool_wipe(char *argument); /* ps shows x in its place */

/* The URL without login and query, which may hold secrets. Returns buf. */
const char *tool_shown_url(const char *url, char *buf, size_t size);
/* A copy without these parameters of the query, NULL-terminated; the value of the last one that was
 * called `wanted` is copied into value. NULL: no memory. */
char *tool_url_without(const char *url, const char *const *names, const char *wanted, char *value,
                       size_t size);

/* "…\033[1m" and the like where the stream is a terminal that wants it, else "". */
enum tool_style { STYLE_NONE, STYLE_GOOD, STYLE_BAD, STYLE_STRONG };
const char *tool_style(FILE *, enum tool_style);

/* A signal that ends programs, unless it is ignored: while armed, the first one fires the token;
 * else it ends this one. */
void tool_watch_signals(pmx_cancel *); /* before any thread is started */
void tool_arm(int armed);

/* Text for people, which may be a server's: what is not printable ASCII becomes \xNN and does
 * nothing to a terminal. */
void people_bytes(FILE *, const char *bytes, size_t len);
void people_print(FILE *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void people_vprint(FILE *, const char *format, va_list) __attribute__((format(printf, 2, 0)));

/* Text in quotes, as JSON has it; bytes that are no UTF-8 become U+FFFD. NULL: null. */
void json_text(FILE *, const char *text);
void json_member(FILE *, const char *name, const char *text);   /* ,"name":"text" */
void json_number(FILE *, const char *name, const char *digits); /* ,"name":123; else as above */

#endif
