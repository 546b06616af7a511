/* SPDX-License-Identifier: BSD-3-Clause */
/* rest.c - what must be true whenever nobody can run and time is about to pass: what could be read
 * or written has somebody who waits for it (invariant T, told from outside), and nothing lasts
 * longer than the options allow. Sees connections, calls, and the size of a lane's buffer. */
#include "link/lane.h"
#include "sim/stream.h"
#include <string.h>

enum { LANES_MAX = 8 };

struct rest_limits rest_limits;
uint64_t rest_number;
static int64_t rested_at;
static int was_free;               /* for callbacks */
static int64_t left_at[LANES_MAX]; /* when a call of the lane ended last */

void rest_reset(void)
{
  memset(&rest_limits, 0, sizeof rest_limits);
  rest_limits.queued = rest_limits.stall = rest_limits.keepalive = SIM_FOREVER;
  rest_limits.closed_at = rest_limits.closing_since = SIM_FOREVER;
  rest_number = 1;
  rested_at = was_free = 0;
  memset(left_at, 0, sizeof left_at);
}

void rest_closes(int64_t when)
{
  if (!rest_limits.closing)
    rest_limits.closing_since = sim_now();
  rest_limits.closing = 1;
  if (when < rest_limits.closed_at) {
    rest_limits.closed_at = when;
    rest_limits.closed_frozen = sim_frozen();
  }
}

static uint64_t owed(const struct stream *s)
{
  return s->begun - s->answered;
}

static int is_logged_in(const struct stream *s)
{
  return s->connected && s->begun > 0 && (s->carried || !owed(s));
}

static int gives_up(const struct waiting *w)
{
  return sim_now() >= w->until || (w->fired_at && *w->fired_at != SIM_FOREVER);
}

/* A future that nobody has asked for yet, or wants any more, lives on until its time is up. */
static int is_abandoned(unsigned call)
{
  const struct waiting *w = oracle_waiting_for(call);

  return !w || gives_up(w);
}

/* In flight on it, and given up. Counts a PING as well. */
static uint64_t abandoned(const struct stream *s)
{
  uint64_t n = 0;

  for (uint64_t i = s->answered; i < s->begun; i++)
    n += (uint64_t)is_abandoned(s->asked[i]);
  return n;
}

/* A future may have ended and not been asked yet, a callback may have to wait for another. */
static int is_told_at_once(const struct waiting *w)
{
  return w->how == SLEEPS || (w->how == CALLED_BACK && !rest_limits.in_callback);
}

/* ---- connections ---- */

/* Somebody waits to be sent on this lane. */
static int is_queued_for(const struct stream *s)
{
  const struct waiting *w;

  for (size_t i = 0; (w = oracle_waiting(i)); i++)
    if (w->lane == s->lane && w->lane != LANE_NONE && is_told_at_once(w) &&
        !oracle_sent_on(w->call) && !gives_up(w))
      return 1;
  return 0;
}

/* With TLS all that was offered is sealed; what is TLS's own may go with the next request. */
static int must_go_on(const struct stream *s)
{
  if (s->secure)
    return owed(s) || !secure_is_open(s->secure) || is_queued_for(s);
  return stream_is_lane(s) || s->wire.state != WIRE_ARGC;
}

/* Who sleeps depends on nobody who has given way, nor does what nobody waits for. */
static void check_stream(const struct stream *s)
{
  int left = sim_is_away() && !oracle_is_needed(s);

  if (s->secure)
    sealed_check(s, owed(s) > 0, left);
  if (sim_now() <= s->excused || left)
    return;
  if (owed(s) && stream_readable(s))
    fail("T: a reply is owed on conn %u, there is something to read, and nobody waits for it",
         s->id);
  /* A pool's call may have given up before a byte was taken. */
  if (s->choked && stream_writable(s) && must_go_on(s))
    fail("T: conn %u has room again, and nobody waits for it", s->id);
}

/* The clock looks four times in a timeout, and every 100 ms at least. */
static int is_overdue(int64_t since, int64_t limit)
{
  if (limit == SIM_FOREVER || rest_limits.closing)
    return 0;
  since = since > rest_limits.changed_at ? since : rest_limits.changed_at;
  since = since > sim_frozen_last() ? since : sim_frozen_last();
  return sim_now() > since + limit + limit / 2 + 120 * SIM_MS;
}

static void check_watched(const struct stream *s)
{
  int64_t now = sim_now();

  if ((s->eof || s->reset) && now > s->ended_at + SIM_NOTICED &&
      now > sim_frozen_last() + SIM_NOTICED)
    fail("conn %u ended %.3f ms ago, and nobody has noticed", s->id,
         (double)(now - s->ended_at) / 1e6);
  if (!is_logged_in(s))
    return;
  if (owed(s) && is_overdue(s->moved_at, rest_limits.stall))
    fail("conn %u owes replies, and is still for %.3f ms", s->id,
         (double)(now - s->moved_at) / 1e6);
  if (!owed(s) && is_overdue(s->moved_at, rest_limits.keepalive))
    fail("conn %u is idle for %.3f ms, and was sent no PING", s->id,
         (double)(now - s->moved_at) / 1e6);
}

static int is_wanted(const struct stream *s)
{
  const struct waiting *w;

  if (owed(s))
    return 1;
  for (size_t i = 0; (w = oracle_waiting(i)); i++)
    if (w->lane == LANE_NONE || w->lane == s->lane || s->lane == LANE_UNKNOWN)
      return 1;
  return 0;
}

/* Long enough after its last use the library looks at a connection before it uses it again. */
static void may_go_astray(struct stream *s)
{
  int64_t used_at = s->used_at > s->moved_at ? s->used_at : s->moved_at;

  if (is_wanted(s))
    s->used_at = sim_now();
  else if (faults.on && is_logged_in(s) && !s->finished && sim_now() > used_at + 2 * SIM_MS &&
           s->in_len == 0 && s->under_way_down == 0 && chance(faults.stray))
    stream_stray(s);
}

static void note(struct stream *s)
{
  if (s->retires_at && s->read >= s->retires_at && !s->retired &&
      !(s->spoiled && s->retires_at > s->spoiled_at))
    s->retired = rest_number;
  if (!is_logged_in(s) || abandoned(s) < rest_limits.abandoned + 1) /* one may be a PING */
    s->crowded = 0;
  else
    s->crowded = rest_number;
  s->crowded_answered = s->answered;
}

/* ---- calls ---- */

static int could_be_written(const struct stream *s, const struct waiting *w)
{
  if (s->lane != w->lane && (!stream_is_lane(s) || s->lane >= 0 || rest_limits.lanes > 1))
    return 0;
  if (!is_logged_in(s) || s->eof || s->reset || s->retires || s->choked || sim_now() <= s->excused)
    return 0;
  if (owed(s) && s->settings != network_settings) /* the answers, and then the next connection */
    return 0;
  return owed(s) < rest_limits.in_flight && abandoned(s) < rest_limits.abandoned;
}

/* Of which the library knows that nothing left: no connection died with the beginning of it. */
static void check_unsent(const struct waiting *w)
{
  if (gives_up(w) || network_half_heads())
    return;
  for (unsigned i = 0; i < open_count; i++)
    if (could_be_written(open_streams[i], w))
      fail("T: call %u waits, and nobody writes it on conn %u", w->call, open_streams[i]->id);
  if (rest_limits.fails_offline && w->rest < rest_limits.dial_failed)
    fail("call %u waits, and the connect failed, and offline=fail", w->call);
}

/* Between two tries a synchronous call is on its own: 250 ms at most. */
static int should_have_ended(const struct waiting *w)
{
  int64_t grace = (oracle_sent_on(w->call) ? 261 : 11) * SIM_MS;

  return rest_limits.closed_at < SIM_FOREVER &&
         sim_now() > rest_limits.closed_at + grace + sim_frozen() - rest_limits.closed_frozen;
}

static void check_waiting(const struct waiting *w)
{
  const struct stream *s = oracle_sent_on(w->call);

  if (!is_told_at_once(w))
    return;
  if (s && s->open && oracle_was_answered(w->call))
    fail("T: the reply to call %u was read, and it still waits", w->call);
  if (should_have_ended(w))
    fail("call %u has not ended, and the client is closed", w->call);
  if (!s && w->lane != LANE_NONE && !rest_limits.closing)
    check_unsent(w);
}

/* 1: the kernel takes nothing, and those before the last one are in the lane's buffer: all of them,
 * or the beginning of one that is larger. */
static int may_be_in_buffer(const struct waiting *first, const struct waiting *last, size_t bytes)
{
  if (!network_is_choked())
    return 0;
  return bytes - last->size <= LANE_BUFFER ||
         (first->size > LANE_BUFFER && (int64_t)(bytes - first->size) <= rest_limits.queued);
}

/* P5. What came back from a connection that died was let in already. */
static void check_queued(int lane)
{
  const struct waiting *w, *first = NULL, *last = NULL;
  size_t bytes = 0;
  unsigned n = 0;

  for (size_t i = 0; (w = oracle_waiting(i)); i++)
    if (w->lane == lane && is_told_at_once(w) && !oracle_sent_on(w->call)) {
      bytes += w->size;
      n++;
      last = last && last->call > w->call ? last : w;
      first = first && first->call < w->call ? first : w;
    }
  if (n > 1 && (int64_t)bytes > rest_limits.queued && !may_be_in_buffer(first, last, bytes))
    fail("P5: %u calls with %zu bytes wait for lane %d", n, bytes, lane);
}

static int is_in_use(void)
{
  const struct waiting *w;

  for (size_t i = 0; (w = oracle_waiting(i)); i++)
    if (w->lane != LANE_NONE)
      return 1;
  return 0;
}

/* A client that is being closed ends its lanes as soon as none of their calls is left. */
static void check_closing(void)
{
  if (!rest_limits.shared || !rest_limits.closing || is_in_use() || sim_is_frozen())
    return;
  for (unsigned i = 0; i < open_count; i++) {
    const struct stream *s = open_streams[i];

    if (stream_is_lane(s) && is_logged_in(s) && !s->eof && !s->reset && sim_now() > s->excused)
      fail("conn %u is open, the client is being closed, and no call is left", s->id);
  }
}

void rest_check(void)
{
  const struct waiting *w;

  for (unsigned i = 0; i < open_count; i++)
    if (open_streams[i]->connected)
      check_stream(open_streams[i]);
  if (sim_is_away()) {
    for (size_t i = 0; (w = oracle_waiting(i)); i++)
      if (oracle_needs_others(w))
        check_waiting(w);
    return;
  }
  for (unsigned i = 0; i < open_count; i++) {
    struct stream *s = open_streams[i];

    if (!s->connected)
      continue;
    may_go_astray(s);
    if (!stream_is_lane(s))
      continue;
    check_watched(s);
    note(s);
  }
  for (size_t i = 0; (w = oracle_waiting(i)); i++)
    check_waiting(w);
  for (unsigned i = 0; i < rest_limits.lanes && rest_limits.queued < SIM_FOREVER; i++)
    check_queued((int)i);
  check_closing();
  was_free = !rest_limits.in_callback;
  rested_at = sim_now();
  rest_number++;
}

/* ---- when calls begin ---- */

void rest_left(int lane)
{
  if (lane != LANE_NONE)
    left_at[lane] = sim_now();
}

/* What nobody waits for may be tried again on any lane, and needs none once it was answered. */
static int is_alone(const struct waiting *w)
{
  const struct waiting *other;

  for (size_t i = 0; (other = oracle_waiting(i)); i++)
    if (other != w &&
        (other->unattended ? !oracle_was_answered(other->call) : other->lane == w->lane))
      return 0;
  return 1;
}

/* Nobody is about to use it, and its end is there to be seen. */
static int has_ended_idle(const struct stream *s)
{
  return is_logged_in(s) && !owed(s) && !s->choked && s->eof && s->in_len == 0 &&
         sim_now() > s->excused && (s->looked != rest_number || s->looked_by == task_self());
}

/* Nobody has read from it for a millisecond; or the last to do so was the client's own thread,
 * which watches it since. */
static int is_to_be_looked_at(const struct stream *s)
{
  int64_t seen = s->looked_at > s->moved_at ? s->looked_at : s->moved_at;

  seen = seen > left_at[s->lane] ? seen : left_at[s->lane];
  return sim_now() > seen + SIM_MS + SIM_MS / 100 || s->looked_by_library;
}

void rest_begins(struct waiting *w)
{
  if (w->lane == LANE_NONE || rest_limits.closing || sim_is_frozen() ||
      sim_frozen_last() >= rested_at || !is_alone(w))
    return;
  for (unsigned i = 0; i < open_count; i++)
    if (open_streams[i]->lane == w->lane && has_ended_idle(open_streams[i]) &&
        is_to_be_looked_at(open_streams[i]))
      w->gone = open_streams[i];
}

/* ---- when bytes leave ---- */

/* It may have ended long ago. */
static int is_future(const struct waiting *w)
{
  return w->unattended && w->how != CALLED_BACK;
}

/* Who was waiting on its lane when this one began goes first. */
static void check_turn(const struct stream *s, const struct waiting *w)
{
  const struct waiting *other;

  /* One may have ended, and be on its way out. */
  if (!was_free || sim_is_frozen() || sim_frozen_last() >= rested_at || rest_limits.closing)
    return;
  for (size_t i = 0; (other = oracle_waiting(i)); i++)
    if (other->lane == w->lane && other->rest < w->rest && !oracle_sent_on(other->call) &&
        is_told_at_once(other) && !is_future(other) && !gives_up(other) && !network_half_heads() &&
        !network_is_unsure(s))
      fail("call %u is sent before call %u, which waited when it began", w->call, other->call);
}

void rest_check_sent(struct stream *s, unsigned call)
{
  const struct waiting *w = oracle_waiting_for(call);

  check_turn(s, w);
  if (w->gone == s)
    fail("call %u is sent on conn %u, which had ended before the call began", call, s->id);
  if (s->retired && w->rest > s->retired)
    fail("call %u is sent on conn %u, which was not to be used any more", call, s->id);
  if (s->crowded && w->rest > s->crowded && s->answered == s->crowded_answered)
    fail("P5: call %u is sent on conn %u, which owes too many replies nobody waits for", call,
         s->id);
}
