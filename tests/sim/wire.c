/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.c - reads along what the library writes on a connection, whatever pieces the kernel takes,
 * or with TLS what it seals, which is as good as sent: bytes that are no commands fail the seed here
 * already, and it is known when a call is sent. */
#include "sim/stream.h"
#include <stdlib.h>
#include <string.h>

static void note_begin(struct stream *s)
{
  if (s->begun == s->asked_cap) {
    s->asked_cap = s->asked_cap ? s->asked_cap * 2 : 32;
    s->asked = realloc(s->asked, s->asked_cap * sizeof *s->asked);
  }
  s->asked[s->begun++] = 0;
  s->wire.begun_at = sim_now();
  if (s->carried && stream_is_lane(s) && s->begun - s->answered > rest_limits.in_flight)
    fail("P5: %llu requests in flight on conn %u", (unsigned long long)(s->begun - s->answered),
         s->id);
}

static void command_begins(struct stream *s, long args)
{
  if (args <= 0)
    fail("conn %u: the library wrote a command of %ld arguments", s->id, args);
  s->wire.args = args;
  s->wire.arg = 0;
  s->wire.key_len = 0;
  s->wire.state = WIRE_LEN;
}

static void line_ends(struct stream *s)
{
  struct wire *w = &s->wire;
  long n;

  w->line[w->line_len] = '\0';
  n = strtol(w->line + 1, NULL, 10);
  if (w->line_len < 3 || w->line[0] != (w->state == WIRE_ARGC ? '*' : '$') || n < 0)
    fail("conn %u: the library wrote garbage: \"%s\"", s->id, w->line);
  w->line_len = 0;
  if (w->state == WIRE_ARGC) {
    command_begins(s, n);
    return;
  }
  w->need = n + 2;
  w->state = WIRE_DATA;
}

static void argument_ends(struct stream *s)
{
  struct wire *w = &s->wire;

  if (w->arg++ == 1 && w->key_len >= 2) {
    w->key[w->key_len - 2] = '\0';
    if (strchr("olq", w->key[0]) && strchr(w->key, ':')) {
      s->carried = 1;
      s->asked[s->begun - 1] = oracle_call_of(w->key);
      oracle_sent(w->key, s);
    } else if (strcmp(w->key, "UNBLOCK") == 0) {
      s->carried = 1;
      oracle_carries(s, LANE_CONTROL);
    }
  }
  w->state = --w->args ? WIRE_LEN : WIRE_ARGC;
}

/* Returns how many bytes belong to the argument. */
static size_t read_data(struct stream *s, const char *bytes, size_t n)
{
  struct wire *w = &s->wire;

  n = n < (size_t)w->need ? n : (size_t)w->need;
  if (w->arg == 1 && w->key_len + n < sizeof w->key) {
    memcpy(w->key + w->key_len, bytes, n);
    w->key_len += n;
  }
  w->need -= (long)n;
  if (w->need == 0)
    argument_ends(s);
  return n;
}

static void read_line_byte(struct stream *s, char byte)
{
  struct wire *w = &s->wire;

  if (w->state == WIRE_ARGC && w->line_len == 0)
    note_begin(s);
  if (w->line_len + 1 == sizeof w->line)
    fail("conn %u: the library wrote garbage: \"%.20s\"", s->id, w->line);
  w->line[w->line_len++] = byte;
  if (byte == '\n')
    line_ends(s);
}

void wire_read(struct stream *s, const char *bytes, size_t n)
{
  while (n > 0) {
    size_t used = 1;

    if (s->wire.state == WIRE_DATA)
      used = read_data(s, bytes, n);
    else
      read_line_byte(s, bytes[0]);
    bytes += used;
    n -= used;
  }
}
