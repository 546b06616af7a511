/* SPDX-License-Identifier: BSD-3-Clause */
/* stream.c - owns the bytes of connections, on their way and arrived, and what can happen to them:
 * they come in pieces, together, late or never. Knows no commands. */
#include "sim/stream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct packet {
  struct stream *stream;
  size_t len;
  int up;
  char bytes[];
};

void stream_free(struct stream *s)
{
  server_free(s->session);
  free(s->in);
  free(s->held);
  free(s->ends);
  free(s->asked);
  free(s->sealed);
  secure_free(s->secure);
  free(s);
}

static void append(char **buf, size_t *len, size_t *cap, const char *bytes, size_t n)
{
  if (*len + n > *cap) {
    *cap = (*len + n) * 2;
    *buf = realloc(*buf, *cap);
  }
  memcpy(*buf + *len, bytes, n);
  *len += n;
}

static size_t piece(size_t len)
{
  size_t most;

  if (!faults.slices || chance(500))
    return len;
  most = chance(500) ? 1 + choose(4) : 1 + choose(len);
  return most < len ? most : len;
}

/* ---- on their way ---- */

static struct packet *packet_new(struct stream *s, const void *bytes, size_t len, int up)
{
  struct packet *p = malloc(sizeof *p + len);

  p->stream = s;
  p->len = len;
  p->up = up;
  memcpy(p->bytes, bytes, len);
  return p;
}

static struct stream *somebody_else(struct stream *s)
{
  for (unsigned i = 0; i < open_count; i++)
    if (open_streams[i] != s && open_streams[i]->connected && !open_streams[i]->reset)
      return open_streams[i];
  return s;
}

/* Such a server writes a reply to its end before it reads again. */
static int is_backlogged(const struct stream *s)
{
  return faults.backlog && s->open && s->in_len + s->under_way_down >= faults.backlog;
}

/* Or with nobody's answers unread: it is busy. */
static int is_clogged(const struct stream *s)
{
  return sim_now() < s->clogged;
}

static void read_on(void *stream);

static void may_clog(struct stream *s)
{
  if (!faults.on || is_clogged(s) || s->finished || !chance(faults.clog))
    return;
  s->clogged = sim_now() + between(0, 50 * SIM_MS);
  at(s->clogged, read_on, s, 0);
}

static void arrive_at_server(struct stream *s, const char *bytes, size_t len)
{
  if (s->silent && s->full)
    return;
  may_clog(s);
  if (!s->silent && !s->finished && (s->held_len || is_backlogged(s) || is_clogged(s))) {
    append(&s->held, &s->held_len, &s->held_cap, bytes, len);
    return;
  }
  s->under_way -= len;
  if (s->silent || s->finished)
    return;
  if (s->secure)
    stream_unseal(s, bytes, len);
  else
    server_receive(s->session, bytes, len);
}

static void read_on(void *arg)
{
  struct stream *s = arg;
  size_t len = s->held_len;

  if (len == 0 || is_backlogged(s) || is_clogged(s))
    return;
  s->held_len = 0;
  arrive_at_server(s, s->held, len);
  changed();
}

static void deliver(void *arg)
{
  struct packet *p = arg;
  struct stream *s = p->stream;

  changed();
  if (p->up) {
    arrive_at_server(s, p->bytes, p->len);
    return;
  }
  s->under_way_down -= p->len;
  if (mutates(MUTANT_CROSSED))
    s = somebody_else(s);
  if (!s->open || s->silent || s->reset || s->eof)
    return;
  append(&s->in, &s->in_len, &s->in_cap, p->bytes, p->len);
}

void stream_say(struct stream *s, const char *bytes, size_t len, int64_t not_before)
{
  s->said += len;
  while (len > 0 && !s->finished) {
    size_t n = piece(len);
    int64_t when = sim_now() + network_latency();

    when = when > not_before ? when : not_before;
    s->last_down = when > s->last_down ? when : s->last_down;
    s->under_way_down += n;
    at(s->last_down, deliver, packet_new(s, bytes, n, 0), 1);
    bytes += n;
    len -= n;
  }
}

void stream_answer(struct stream *s, const char *bytes, size_t len, int64_t not_before)
{
  if (s->secure)
    stream_seal(s, bytes, len, not_before);
  else
    stream_say(s, bytes, len, not_before);
}

void stream_reply_ends(struct stream *s)
{
  if (s->end_first == s->end_count)
    s->end_first = s->end_count = 0;
  if (s->end_count == s->end_cap) {
    s->end_cap = s->end_cap ? s->end_cap * 2 : 16;
    s->ends = realloc(s->ends, s->end_cap * sizeof *s->ends);
  }
  s->ends[s->end_count++] = s->said;
  if (s->retires && !s->retires_at)
    s->retires_at = s->said;
}

/* ---- the library's end ---- */

int stream_readable(const struct stream *s)
{
  return s->in_len > 0 || s->eof || s->reset || s->refused;
}

static int is_jammed(const struct stream *s)
{
  return s->jammed || s->under_way >= faults.window;
}

int stream_writable(const struct stream *s)
{
  return s->refused || s->reset || s->hung_up || (s->connected && !is_jammed(s));
}

/* 10 ms later the reactor tries again, should nobody have kept it from looking at its clock. */
void stream_unwatchable(struct stream *s)
{
  if (s->excused < SIM_FOREVER)
    s->excused = sim_now() + 40 * SIM_MS;
}

void stream_cut(void *arg)
{
  struct stream *s = arg;

  if (!s->eof && !s->reset)
    s->ended_at = sim_now();
  s->reset = 1;
  if (chance(500))
    s->in_len = 0;
  trace("conn %u: reset", s->id);
  changed();
}

void stream_end(void *arg)
{
  struct stream *s = arg;

  if (!s->eof && !s->reset)
    s->ended_at = sim_now();
  s->eof = 1;
  trace("conn %u: end of stream", s->id);
  changed();
}

void stream_is_there(struct stream *s, const char *bytes, size_t len)
{
  append(&s->in, &s->in_len, &s->in_cap, bytes, len);
  s->said += len;
}

void stream_stray(struct stream *s)
{
  static const char text[] = "+STRAY\r\n";

  trace("conn %u: a stray reply", s->id);
  if (s->secure)
    stream_seal_there(s, text, sizeof text - 1);
  else
    stream_is_there(s, text, sizeof text - 1);
  s->excused = SIM_FOREVER;
  changed();
}

static size_t take(struct stream *s, const void *bytes, size_t len)
{
  size_t room = faults.window - s->under_way, n = piece(len < room ? len : room);
  int64_t when = sim_now() + network_latency();
  struct packet *p;

  s->moved_at = sim_now();
  if (!s->secure)
    wire_read(s, bytes, n);
  s->under_way += n;
  if (s->finished) { /* as the kernel does: taken, and answered with a reset */
    at(when, stream_cut, s, 0);
    return n;
  }
  s->last_up = when > s->last_up ? when : s->last_up;
  p = packet_new(s, bytes, n, 1);
  if (s->secure)
    stream_spoil(s, p->bytes, n);
  at(s->last_up, deliver, p, 1);
  return n;
}

long stream_send(struct stream *s, const void *bytes, size_t len, int *err)
{
  size_t n;

  if (!s->secure)
    s->offered = rest_number;
  if (s->reset || s->hung_up || !s->connected) {
    *err = s->reset ? ECONNRESET : s->hung_up ? EPIPE : ENOTCONN;
    return -3;
  }
  s->choked |= !s->leaving;
  if (faults.on && len > 60 && !s->finished && chance(faults.jam)) {
    s->jammed = 1;
    stream_finish(s, 1, sim_now() + between(0, 20 * SIM_MS));
  }
  if (is_jammed(s) || (faults.on && faults.slices && chance(50)))
    return -1;
  n = take(s, bytes, len);
  s->choked = s->leaving ? s->choked : n < len;
  if (n > 1 && mutates(MUTANT_SENT_LESS))
    n--;
  else if (n < len && mutates(MUTANT_SENT_MORE))
    n++;
  return (long)n;
}

/* What ends there was not read, though its bytes were. */
static int is_spoiled(const struct stream *s, uint64_t end)
{
  return s->spoiled && end > s->spoiled_at;
}

static void has_read(struct stream *s, size_t n)
{
  s->moved_at = sim_now();
  s->read += n;
  if (s->over_at && s->read >= s->over_at && !s->over_since) {
    s->over_since = sim_now();
    s->over_rest = rest_number;
  }
  while (s->end_first < s->end_count && s->ends[s->end_first] <= s->read &&
         !is_spoiled(s, s->ends[s->end_first])) {
    s->end_first++;
    if (s->answered < s->begun && s->asked[s->answered])
      oracle_answered(s->asked[s->answered]);
    s->answered++;
  }
  memmove(s->in, s->in + n, s->in_len - n);
  s->in_len -= n;
  if (s->held_len && !is_backlogged(s))
    at(sim_now() + network_latency(), read_on, s, 0);
}

static void stream_is_looked_at(struct stream *s)
{
  s->looked_at = sim_now();
  s->looked_by_library = task_name() && strcmp(task_name(), "poolmux") == 0;
  s->looked = rest_number;
  s->looked_by = task_self();
}

long stream_recv(struct stream *s, void *buf, size_t size, int peek, int *err)
{
  size_t n = s->in_len < size ? s->in_len : size;

  if (!peek)
    stream_is_looked_at(s);
  if (s->in_len == 0) {
    *err = s->refused ? s->refused : ECONNRESET;
    return s->reset || s->refused ? -3 : s->eof ? -2 : -1;
  }
  if (faults.on && chance(20) && !peek && s->excused < SIM_FOREVER)
    return -1;
  n = piece(n);
  memcpy(buf, s->in, n);
  if (peek)
    return (long)n;
  if (mutates(MUTANT_SECOND_REPLY))
    stream_answer(s, s->in, n, 0);
  has_read(s, n);
  return (long)n;
}

/* ---- the server's end ---- */

void stream_finish(struct stream *s, int reset, int64_t when)
{
  if (s->finished)
    return;
  if (!reset && s->secure && !chance(faults.rude))
    stream_say_goodbye(s);
  s->finished = 1;
  if (!reset && when < s->last_down)
    when = s->last_down;
  at(when, reset ? stream_cut : stream_end, s, 0);
}

void stream_retires(struct stream *s)
{
  s->retires = 1;
}

int stream_finished(const struct stream *s)
{
  return s->finished;
}

int stream_is_lane(const struct stream *s)
{
  return rest_limits.shared && (s->lane >= 0 || (s->lane == LANE_UNKNOWN && !rest_limits.pooled));
}

void stream_left(void *arg)
{
  struct stream *s = arg;

  if (s->session && !s->silent)
    server_is_left(s->session);
}

void stream_silence(struct stream *s)
{
  trace("conn %u: silent from now on", s->id);
  s->silent = 1;
  s->full = chance(500);
}
