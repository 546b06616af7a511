/* SPDX-License-Identifier: BSD-3-Clause */
/* server.c - the model server: reads commands as a real one would, and fails as the faults say.
 * What commands do is execute.c's. */
#include "sim/session.h"
#include <stdlib.h>
#include <string.h>

int64_t server_loading_until;

/* A reply that waits for the next one, see swap_replies(). */
static char kept[256];
static size_t kept_len;
static struct stream *kept_for;

static unsigned run, next_id;

void server_reset(int64_t base_db)
{
  kept_len = 0;
  server_loading_until = 0;
  run = next_id = 0;
  execute_reset(base_db);
  lists_reset();
}

unsigned server_run(void)
{
  return run;
}

/* What its clients pushed is there again, its clients' numbers begin anew. */
void server_restart(int64_t loading_until)
{
  server_loading_until = loading_until;
  run++;
  next_id = 0;
  lists_restart();
}

void server_heal(void)
{
  lists_heal();
}

struct session *server_accept(struct stream *stream)
{
  static const char full[] = "-ERR max number of clients reached\r\n";
  struct session *s = calloc(1, sizeof *s);

  s->stream = stream;
  s->id = ++next_id;
  s->run = run;
  if (faults.on && faults.secure && chance(faults.silent))
    stream_silence(stream);
  if (!faults.on || !chance(faults.rogue))
    return s;
  s->deaf = chance(570) ? HANGS_UP : WANTS_PASSWORD;
  if (s->deaf == HANGS_UP) {
    stream_answer(stream, full, sizeof full - 1, 0);
    stream_finish(stream, 0, sim_now());
  }
  return s;
}

int64_t server_busy_until(const struct session *s)
{
  return s->busy_until;
}

void server_free(struct session *s)
{
  if (!s)
    return;
  session_clear(s);
  free(s->in);
  free(s->out);
  free(s);
}

/* ---- faults ---- */

static void process(void *arg);

static void postpone(struct session *s, int64_t until)
{
  s->busy_until = until;
  at(until, process, s->stream, 0);
}

/* 1: the command does not run now. */
static int befalls_before(struct session *s)
{
  if (!faults.on || s->rolled)
    return 0;
  s->rolled = 1;
  if (chance(faults.slow)) {
    trace("conn %u: the server is slow", stream_id(s->stream));
    postpone(s, sim_now() + between(0, faults.slowness));
    return 1;
  }
  if (chance(faults.reset)) {
    stream_finish(s->stream, chance(500), sim_now());
    return 1;
  }
  if (chance(faults.silent)) {
    stream_silence(s->stream);
    return 1;
  }
  if (chance(faults.restart)) {
    network_down(between(0, chance(100) ? 3 * SIM_S : 300 * SIM_MS), chance(500));
    return 1;
  }
  return 0;
}

/* The reply before changes places with this one. */
static void swap_replies(struct session *s)
{
  if (kept_for == s->stream && kept_len && s->out_len) {
    stream_answer(s->stream, s->out, s->out_len, 0);
    memcpy(s->out, kept, kept_len); /* room is sure: `out` is never smaller */
    s->out_len = kept_len;
    kept_len = 0;
  } else if (s->out_len < sizeof kept && s->len > 64 && mutates(MUTANT_SWAPPED)) {
    memcpy(kept, s->out, s->out_len);
    kept_len = s->out_len;
    kept_for = s->stream;
    s->out_len = 0;
  }
}

static int64_t time_to_end(void)
{
  if (chance(faults.at_once))
    return sim_now();
  if (faults.punctual)
    return next_beat() + between(0, 2) * 5 * SIM_MS;
  return sim_now() + between(0, 200 * SIM_MS);
}

static void answer(struct session *s, int64_t not_before)
{
  int dies = 0, whole = 1;

  if (mutant == MUTANT_HELD_UP && lists_blocked(LIST_HELD))
    not_before = sim_now() + 20 * SIM_MS;
  if (mutant == MUTANT_SWAPPED)
    swap_replies(s);
  if (faults.on && chance(faults.silent)) {
    stream_silence(s->stream);
  } else if (faults.on && chance(faults.cut)) {
    if (faults.secure && chance(500))
      stream_breaks_off(s->stream);
    else
      s->out_len = choose(s->out_len);
    dies = 1;
    whole = 0;
  } else if (faults.on && chance(faults.slow)) {
    not_before = sim_now() + between(0, faults.slowness);
  }
  stream_answer(s->stream, s->out, s->out_len, not_before);
  if (whole)
    stream_reply_ends(s->stream);
  if (dies)
    stream_finish(s->stream, chance(300), sim_now());
  else if (faults.on && chance(faults.idle_reset))
    stream_finish(s->stream, chance(500), time_to_end());
  s->out_len = 0;
}

/* As a server does to which a command is too long: it says so before the end of it, and no more. */
static void protest(struct session *s, size_t len)
{
  static const char text[] = "-ERR Protocol error: invalid bulk length\r\n";

  if (!faults.on || len < 1000 || !chance(faults.protest))
    return;
  trace("conn %u: the server protests", stream_id(s->stream));
  stream_answer(s->stream, text, sizeof text - 1, 0);
  stream_reply_ends(s->stream);
  stream_finish(s->stream, 0, sim_now());
}

/* ---- reading ---- */

static void process(void *arg)
{
  struct session *s = stream_session(arg);
  struct command c;
  size_t used, at_byte = 0;
  int64_t not_before;

  while (at_byte < s->len && s->deaf != HANGS_UP && !stream_finished(s->stream)) {
    char *in = s->in + at_byte;
    size_t len = s->len - at_byte;

    if (s->blocked || s->paused || s->run != run)
      break;
    if (sim_now() < s->busy_until) {
      at(s->busy_until, process, s->stream, 0);
      break;
    }
    if (len < 4 || !memchr(in, '\n', len) || befalls_before(s))
      break;
    in[len] = '\0';
    used = command_parse(in, len, &c);
    if (!used) {
      protest(s, len);
      break;
    }
    trace("conn %u: server runs %s %s", stream_id(s->stream), c.argv[0],
          c.argc > 1 ? c.argv[1] : "");
    s->rolled = 0;
    not_before = execute(s, &c);
    if (s->out_len)
      answer(s, not_before);
    at_byte += used;
  }
  memmove(s->in, s->in + at_byte, s->len - at_byte);
  s->len -= at_byte;
}

void server_says(struct session *s)
{
  answer(s, 0);
  at(sim_now(), process, s->stream, 0);
}

void server_is_left(struct session *s)
{
  s->gone = 1;
  lists_leave(s);
}

void server_receive(struct session *s, const char *bytes, size_t len)
{
  if (s->len + len + 1 > s->cap) {
    s->cap = (s->len + len + 1) * 2;
    s->in = realloc(s->in, s->cap);
  }
  memcpy(s->in + s->len, bytes, len);
  s->len += len;
  process(s->stream);
}
