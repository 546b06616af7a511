/* SPDX-License-Identifier: BSD-3-Clause */
/* network.c - owns the connections between the library and the model server: how they come about,
 * and how all of them end at once. Knows nothing of descriptors (doors_net.c) nor of commands
 * (server.c). */
#include "sim/stream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_MAX = 8192 };

static struct stream *streams[STREAMS_MAX];
static unsigned stream_count;
struct stream *open_streams[STREAMS_MAX];
unsigned open_count, streams_allowed;
static int64_t down_until;
unsigned network_settings;
struct faults faults;

void network_reset(void)
{
  while (stream_count)
    stream_free(streams[--stream_count]);
  open_count = 0;
  down_until = 0;
  network_settings = 0;
  memset(&faults, 0, sizeof faults);
}

/* Without any: a reply may be there before its request's sender has been told that it was sent. */
int64_t network_latency(void)
{
  return chance(faults.instant) ? 0 : between(20000, faults.on ? faults.latency : SIM_MS / 2);
}

unsigned stream_id(const struct stream *s)
{
  return s->id;
}

struct session *stream_session(struct stream *s)
{
  return s->session;
}

/* ---- connecting ---- */

static void arrive(void *arg)
{
  struct stream *s = arg;

  if (s->connected || s->refused)
    return;
  if (sim_now() < down_until)
    s->refused = ECONNREFUSED;
  else
    s->connected = 1;
  trace("conn %u: %s", s->id, s->connected ? "connected" : "refused");
  changed();
  if (!s->connected)
    return;
  if (faults.secure)
    s->secure = secure_new(faults.tls_flags);
  s->session = server_accept(s);
}

static void refuse(void *arg)
{
  struct stream *s = arg;

  if (s->connected || s->refused)
    return;
  s->refused = chance(500) ? ECONNREFUSED : ETIMEDOUT;
  trace("conn %u: refused", s->id);
  changed();
}

struct stream *stream_connect(int *err)
{
  struct stream *s;

  if (faults.on && chance(faults.refuse) && chance(300)) {
    *err = chance(500) ? ECONNREFUSED : EAGAIN;
    return NULL;
  }
  if (stream_count == STREAMS_MAX)
    fail("%d connections: somebody dials without pause", STREAMS_MAX);
  if (open_count >= streams_allowed)
    fail("I1: one more connect, and %u connections of %u are open", open_count, streams_allowed);
  s = calloc(1, sizeof *s);
  s->id = stream_count + 1;
  s->open = 1;
  s->open_at = open_count;
  s->settings = network_settings;
  open_streams[open_count++] = s;
  s->lane = LANE_UNKNOWN;
  streams[stream_count++] = s;
  if (faults.on && chance(faults.hang))
    s->hangs = 1;
  else
    at(sim_now() + network_latency(), faults.on && chance(faults.refuse) ? refuse : arrive, s, 0);
  return s;
}

void stream_close(struct stream *s)
{
  int64_t when = sim_now() + network_latency();

  s->open = 0;
  s->in_len = 0;
  at(when > s->last_up ? when : s->last_up, stream_left, s, 0);
  s->unsure = s->offered == rest_number; /* one thread may have been sending when another closed */
  open_streams[s->open_at] = open_streams[--open_count];
  open_streams[s->open_at]->open_at = s->open_at;
}

void stream_hang_up(struct stream *s)
{
  if (mutant == MUTANT_NOT_TOLD)
    return;
  s->hung_up = 1;
  stream_end(s);
  at(sim_now() + network_latency(), stream_left, s, 0);
}

/* What is dialled just now may have either, and its time begins when it is logged in. SIM_FOREVER:
 * they begin to be replaced. */
void network_reloads(int64_t until)
{
  unsigned meanwhile = network_settings++;

  for (unsigned i = 0; i < open_count; i++) {
    struct stream *s = open_streams[i];

    if (until < SIM_FOREVER && s->settings == meanwhile)
      continue; /* dialled since it began */
    if (s->begun && (s->carried || s->begun == s->answered) && !s->outdated)
      s->outdated = until;
    else if (s->outdated > until)
      s->outdated = until;
  }
}

int stream_connected(struct stream *s)
{
  if (s->refused)
    return s->refused;
  return s->connected ? 0 : EINPROGRESS;
}

/* ---- all of them ---- */

void network_down(int64_t how_long, int loading)
{
  trace("the server goes down for %.3f s", (double)how_long / 1e9);
  down_until = sim_now() + how_long;
  server_restart(loading ? down_until + between(0, 300 * SIM_MS) : 0);
  network_end_all(chance(500));
}

void network_end_all(int reset)
{
  for (unsigned i = 0; i < open_count; i++)
    if (open_streams[i]->connected)
      stream_finish(open_streams[i], reset, sim_now());
}

unsigned network_owing(void)
{
  unsigned n = 0;

  for (unsigned i = 0; i < open_count; i++)
    n += open_streams[i]->begun > open_streams[i]->answered;
  return n;
}

static int is_unsure(const struct stream *s)
{
  return s->unsure || (s->open && s->offered == rest_number);
}

int network_is_unsure(const struct stream *but)
{
  for (unsigned i = 0; i < stream_count; i++)
    if (streams[i] != but && is_unsure(streams[i]))
      return 1;
  return 0;
}

int network_lost_track(void)
{
  for (unsigned i = 0; i < stream_count; i++)
    if (streams[i]->unsure)
      return 1;
  return 0;
}

int network_is_choked(void)
{
  for (unsigned i = 0; i < stream_count; i++)
    if (streams[i]->choked)
      return 1;
  return network_is_unsure(NULL);
}

unsigned network_half_heads(void)
{
  unsigned n = 0;

  for (unsigned i = 0; i < stream_count; i++) {
    const struct wire *w = &streams[i]->wire;

    n += w->line_len || (w->state != WIRE_ARGC && w->arg < 2);
  }
  return n;
}

void network_heal(void)
{
  trace("all is well from now on");
  faults.on = 0;
  faults.shortage = 0;
  down_until = server_loading_until = 0;
  for (unsigned i = 0; i < open_count; i++) {
    struct stream *s = open_streams[i];

    if (s->hangs && !s->connected)
      arrive(s);
    if (s->silent || s->stuck || s->last_down > sim_now() + SIM_MS ||
        s->last_up > sim_now() + SIM_MS ||
        (s->session && server_busy_until(s->session) > sim_now())) {
      s->finished = 1;
      stream_cut(s);
    }
  }
  server_heal();
  changed();
}
