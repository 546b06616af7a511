/* SPDX-License-Identifier: BSD-3-Clause */
/* conn_tools.h - for the tests of a connection without I/O: commands written down as words, streams
 * of bytes in pieces of any size. What goes out is checked with the harness' own encoder. */
#ifndef TESTS_CONN_TOOLS_H
#define TESTS_CONN_TOOLS_H
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "api/options.h"
#include "call/reply.h"
#include "conn/conn.h"
#include "harness/wire.h"

enum { WORDS_MAX = 8, WHOLE = 1 << 20 };

/* "SELECT 3; PING" as RESP. A word of '' is an empty argument. */
static inline void words_add(struct wire_buf *buf, const char *commands)
{
  char *copy = strdup(commands), *next = copy, *command;

  while ((command = strsep(&next, ";"))) {
    const char *argv[WORDS_MAX];
    int argc = 0;

    for (char *word = strtok(command, " "); word; word = strtok(NULL, " ")) {
      ck_assert_int_lt(argc, WORDS_MAX);
      argv[argc++] = strcmp(word, "''") == 0 ? "" : word;
    }
    if (argc > 0)
      wire_command_add(buf, argc, argv);
  }
  free(copy);
}

static inline int holds(const char *bytes, size_t len, const char *word)
{
  return word && word[0] && memmem(bytes, len, word, strlen(word)) != NULL;
}

/* Takes what the connection wants to send, `slice` bytes at a time, at most `most` of them. out may
 * be NULL. */
static inline void take_output(struct conn *c, size_t slice, size_t most, struct wire_buf *out)
{
  const char *bytes;
  size_t len, taken = 0;

  while (taken < most && (bytes = conn_output(c, &len)) != NULL && len > 0) {
    size_t n = len < slice ? len : slice;

    n = n < most - taken ? n : most - taken;
    if (out)
      wire_buf_add(out, bytes, n);
    conn_sent(c, n);
    taken += n;
  }
}

static inline void send_bytes(struct conn *c, size_t n)
{
  take_output(c, WHOLE, n, NULL);
}

static inline void send_all(struct conn *c)
{
  take_output(c, WHOLE, WHOLE, NULL);
}

/* The answers arrive in pieces; split > 0: one piece of that size, then the rest in pieces. */
static inline void feed_pieces(struct conn *c, const char *bytes, size_t len, size_t split,
                               size_t piece)
{
  size_t at = split < len ? split : len;

  if (at > 0)
    conn_feed(c, bytes, at);
  for (; at < len; at += piece)
    conn_feed(c, bytes + at, len - at < piece ? len - at : piece);
}

static inline void feed(struct conn *c, const char *bytes)
{
  feed_pieces(c, bytes, strlen(bytes), 0, DECODE_FEED_MAX);
}

static inline void plain_config(struct config *config, int protocol)
{
  ck_assert_int_eq(config_init(config), 0);
  config->client_info = 0;
  config->protocol = protocol;
}

#endif
