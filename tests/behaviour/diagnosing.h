/* SPDX-License-Identifier: BSD-3-Clause */
/* diagnosing.h - what the tests of diagnosis share: the tools, run as programs, and a note of
 * each symptom and what was printed, for scripts/check-troubleshooting. Sees the public header
 * only.
 */
#ifndef DIAGNOSING_H
#define DIAGNOSING_H
#include <poolmux/poolmux.h>

/* The password everywhere here: nothing that is printed may have it in it. */
#define CANARY "canary-f00dface-never-shown"

struct told {
  int status; /* of the exit; -1: it did not exit by itself */
  char text[8192];
};
/* Arguments, then NULL; standard error as well. */
void run_tool(struct told *, const char *tool, ...) __attribute__((sentinel));
#define ping(told, ...) run_tool((told), "poolmux-ping", __VA_ARGS__)
/* Parts, then NULL: all of them are in the text. */
void check_tells(const char *text, ...) __attribute__((sentinel));
/* poolmux-ping fails with this status at this stage, and says these; it is noted. */
void check_fails_at(const struct told *, const char *symptom, int status, const char *stage, ...)
    __attribute__((sentinel));
void note(const char *symptom, const char *text); /* into the file POOLMUX_SEEN, if it is set */

#endif
