/* SPDX-License-Identifier: BSD-3-Clause */
/* sealed.c - connections through TLS: between what a server says and hears, and the bytes on the
 * wire. What the library seals is in the books from then on; what the server opens must be that. */
#include "sim/caller.h"
#include "sim/stream.h"
#include <stdlib.h>
#include <string.h>

enum {
  HEAD = 5,        /* of a record: type, version, length */
  APPLICATION = 23 /* its type, and with TLS 1.3 that of all that is encrypted */
};

/* ---- what the library seals ---- */

void stream_offered(struct stream *s)
{
  s->offered = rest_number;
}

void stream_sealed(struct stream *s, const char *bytes, size_t n)
{
  if (!s)
    fail("something is sealed that nobody sends");
  if (s->over_since && s->over_rest < rest_number)
    fail("conn %u is over, the library has read why, and seals %zu bytes", s->id, n);
  trace("conn %u: seals %zu", s->id, n);
  if (s->sealed_len + n > s->sealed_cap) {
    s->sealed_cap = (s->sealed_len + n) * 2;
    s->sealed = realloc(s->sealed, s->sealed_cap);
  }
  memcpy(s->sealed + s->sealed_len, bytes, n);
  s->sealed_len += n;
  s->moved_at = sim_now();
  wire_read(s, bytes, n);
}

void stream_leaves(struct stream *s)
{
  s->leaving = 1;
}

/* ---- what the server says ---- */

static size_t record_len(const char *raw)
{
  return HEAD + (size_t)(unsigned char)raw[3] * 256 + (unsigned char)raw[4];
}

void stream_breaks_off(struct stream *s)
{
  s->broken = BREAKS_OFF;
}

/* Returns which byte. */
static size_t flip(struct stream *s, char *raw, size_t len)
{
  size_t which = choose(len);

  raw[which] ^= (char)(1 << choose(8));
  trace("conn %u: a bit changes", s->id);
  s->stuck = 1;
  return which;
}

/* On the way to the server. */
void stream_spoil(struct stream *s, char *raw, size_t len)
{
  if (faults.on && !s->stuck && chance(faults.spoil))
    flip(s, raw, len);
}

/* On the way to the library, which must notice, unless one waits for the rest of what became too
 * long. */
static void spoil_answer(struct stream *s, char *raw, size_t len)
{
  size_t which, size, begin = 0;
  int sealed;

  if (!faults.on || s->stuck || s->finished || !chance(faults.spoil))
    return;
  if (chance(300)) /* the end, behind good bytes */
    while (begin + record_len(raw + begin) < len)
      begin += record_len(raw + begin);
  sealed = raw[begin] == APPLICATION;
  size = record_len(raw + begin);
  which = flip(s, raw + begin, len - begin);
  s->spoiled = sealed; /* of a handshake not each byte matters, and no reply is in it */
  s->spoiled_at = s->said + begin;
  if (sealed && which >= HEAD && which < size)
    s->over_at = s->said + len;
}

/* 1: there was something. */
static int say_output(struct stream *s, int64_t not_before)
{
  size_t len;
  const char *output = secure_output(s->secure, &len);
  char *raw;

  if (len == 0)
    return 0;
  raw = malloc(len);
  memcpy(raw, output, len);
  secure_taken(s->secure);
  spoil_answer(s, raw, len);
  if (s->broken == BREAKS_OFF) {
    s->broken = BROKE_OFF;
    len = choose(len);
  }
  stream_say(s, raw, len, not_before);
  free(raw);
  return 1;
}

static void renew(void *arg)
{
  struct stream *s = arg;

  if (s->finished || s->silent || s->broken)
    return;
  trace("conn %u: new keys", s->id);
  secure_renew(s->secure, chance(500));
  say_output(s, 0);
}

static void may_renew(struct stream *s)
{
  if (world_of_seed.gentle && faults.slices)
    return; /* half of one costs an idle lane its connection */
  if (!chance(faults.renew))
    return;
  if (chance(500))
    renew(s);
  else
    at(sim_now() + between(0, 20 * SIM_MS), renew, s, 0);
}

void stream_seal(struct stream *s, const char *bytes, size_t len, int64_t not_before)
{
  if (s->finished)
    s->said += len;
  if (s->finished || !secure_is_open(s->secure))
    return;
  if (s->broken == GOES_ON)
    may_renew(s);
  while (len > 0) {
    size_t part = faults.slices && chance(200) ? 1 + choose(len) : len;

    secure_seal(s->secure, bytes, part);
    bytes += part;
    len -= part;
  }
  say_output(s, not_before);
}

void stream_seal_there(struct stream *s, const char *bytes, size_t len)
{
  const char *output;

  secure_seal(s->secure, bytes, len);
  output = secure_output(s->secure, &len);
  stream_is_there(s, output, len);
  secure_taken(s->secure);
}

void stream_say_goodbye(struct stream *s)
{
  if (s->broken || !secure_is_open(s->secure))
    return;
  secure_end(s->secure);
  if (say_output(s, 0) && !s->stuck)
    s->over_at = s->said;
}

/* ---- what it hears ---- */

/* Not what was sealed: says why, and goes. */
static void refuse(struct stream *s)
{
  trace("conn %u: the server got something else", s->id);
  if (!s->stuck)
    fail("conn %u: the server got bytes that are no TLS", s->id);
  say_output(s, 0);
  stream_finish(s, 0, sim_now());
}

static void hear(struct stream *s, const char *plain, size_t len)
{
  if (len > s->sealed_len || memcmp(plain, s->sealed, len) != 0)
    fail("conn %u: the server got other bytes than were sealed", s->id);
  s->sealed_len -= len;
  memmove(s->sealed, s->sealed + len, s->sealed_len);
  server_receive(s->session, plain, len);
}

/* The faults of a command, in the middle of a handshake. */
static int befalls(struct stream *s)
{
  if (!faults.on || secure_is_open(s->secure))
    return 0;
  if (chance(faults.reset))
    stream_finish(s, chance(500), sim_now());
  else if (chance(faults.silent))
    stream_silence(s);
  return s->finished || s->silent;
}

void stream_unseal(struct stream *s, const char *raw, size_t len)
{
  char plain[SECURE_MAX];
  int n;

  if (befalls(s))
    return;
  secure_take(s->secure, raw, len);
  while (!s->finished && !s->silent && (n = secure_open(s->secure, plain)) != 0) {
    if (n < 0) {
      refuse(s);
      return;
    }
    hear(s, plain, (size_t)n);
  }
  say_output(s, 0); /* of a handshake */
}

/* ---- at rest ---- */

static int is_long_ago(int64_t when)
{
  int64_t then = sim_now() - SIM_NOTICED;

  return when && then > when && then > sim_frozen_last();
}

/* Who shakes hands waits for the other one. What is over, or is to go, is not kept, but for what is
 * idle in a pool, and where it owes only to who gives way, and is not back (left). */
void sealed_check(const struct stream *s, int owes, int left)
{
  int open = secure_is_open(s->secure), lane = stream_is_lane(s);

  if (rest_limits.in_callback || sim_now() <= s->excused)
    return;
  if (!open && stream_readable(s))
    fail("T: hands are shaken on conn %u, there is something to read, and nobody does", s->id);
  if (s->over_since && (!open || (owes && !left) || (lane && is_long_ago(s->over_since))))
    fail("conn %u is over, the library has read why, and keeps it", s->id);
  if (open && lane && !owes && s->carried && is_long_ago(s->outdated))
    fail("conn %u is older than the settings of now, and stays", s->id);
}
