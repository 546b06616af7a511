/* SPDX-License-Identifier: BSD-3-Clause */
/* command.h - one command as the model server reads it. */
#ifndef PMX_SIM_COMMAND_H
#define PMX_SIM_COMMAND_H
#include <stddef.h>

enum { ARGS_MAX = 16 };

struct command {
  int argc;
  char *argv[ARGS_MAX]; /* NUL-terminated, in the buffer */
  size_t len[ARGS_MAX];
};

/* How many bytes the first command takes; 0 = not all of it is there. in[size] can be read. */
size_t command_parse(char *in, size_t size, struct command *);
int command_is(const struct command *, const char *name);

#endif
