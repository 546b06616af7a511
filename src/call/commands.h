/* SPDX-License-Identifier: BSD-3-Clause */
/* commands.h - the command table, generated from a real server by scripts/make-commands. */
#ifndef PMX_CALL_COMMANDS_H
#define PMX_CALL_COMMANDS_H
#include <stddef.h>
#include <stdint.h>

enum command_flags {
  COMMAND_READONLY = 1 << 0,
  COMMAND_WRITE = 1 << 1,
  COMMAND_BLOCKING = 1 << 2,
  COMMAND_ADMIN = 1 << 3,
  COMMAND_PUBSUB = 1 << 4,
  COMMAND_NOSCRIPT = 1 << 5,
  COMMAND_MOVABLEKEYS = 1 << 6,
  COMMAND_CONTAINER = 1 << 7 /* has subcommands: "CLIENT" */
};

struct command {
  const char *name; /* upper case, "CLIENT REPLY" for subcommands */
  int16_t arity;    /* negative: at least */
  uint16_t flags;   /* COMMAND_* */
  int16_t first_key, last_key, key_step;
};

/* Case-insensitive; sub may be NULL. The subcommand's entry if there is one, else the container's,
 * else NULL. */
const struct command *command_find(const char *name, size_t len, const char *sub, size_t sub_len);
size_t command_count(void);
const struct command *command_at(size_t i); /* sorted by name */

#endif
