/* SPDX-License-Identifier: BSD-3-Clause */
/* oracle.c - keeps the life of each call: when its bytes left, whether the server ran it, what its
 * caller was told (promises P2 and P3). What can be seen at once is checked in judge.c, execute.c
 * and rest.c. */
#include "sim/stream.h"
#include <stdio.h>
#include <string.h>

enum { CALLS_MAX = 16384, WAITING_MAX = 1024 };

struct life {
  unsigned long issuer;
  unsigned sent, refused, runs;
  struct stream *stream; /* the last one it was sent on; the next two are of that time */
  int was_refused, was_answered;
};

static struct life lives[CALLS_MAX];
static struct verdict verdicts[CALLS_MAX];
static struct waiting waiting[WAITING_MAX];
static unsigned call_count, verdict_count, waiting_count;

void oracle_reset(void)
{
  memset(lives, 0, sizeof lives[0] * (call_count + 1));
  call_count = verdict_count = waiting_count = 0;
}

unsigned oracle_new_call(void)
{
  if (call_count + 1 == CALLS_MAX)
    fail("too many calls");
  lives[++call_count].issuer = task_number(task_self());
  return call_count;
}

unsigned oracle_call_of(const char *key)
{
  const char *number = strchr(key, ':');
  unsigned call = 0;

  if (!number || sscanf(number + 1, "%u", &call) != 1 || call == 0 || call > call_count)
    fail("a key that nobody has: \"%s\"", key);
  return call;
}

unsigned long oracle_issuer(unsigned call)
{
  return lives[call].issuer;
}

/* Each thread keeps to a lane. */
static void check_lane(struct stream *s, const struct waiting *w)
{
  if (s->lane == LANE_UNKNOWN)
    s->lane = w->lane;
  if (s->lane != w->lane)
    fail("call %u of lane %d is sent on lane %d", w->call, w->lane, s->lane);
}

void oracle_sent(const char *key, struct stream *s)
{
  unsigned call = oracle_call_of(key);
  struct life *life = &lives[call];
  const struct waiting *w = oracle_waiting_for(call);

  life->sent++;
  if (w && w->lane != LANE_NONE)
    check_lane(s, w);
  if (w && rest_limits.shared && life->sent == 1)
    rest_check_sent(s, call);
  life->stream = s;
  life->was_refused = life->was_answered = 0;
}

struct stream *oracle_sent_on(unsigned call)
{
  return lives[call].stream;
}

int oracle_is_half_sent(unsigned call)
{
  const struct stream *s = lives[call].stream;

  return s && s->begun && s->asked[s->begun - 1] == call && s->wire.state != WIRE_ARGC;
}

void oracle_answered(unsigned call)
{
  lives[call].was_answered = !lives[call].was_refused;
}

int oracle_was_answered(unsigned call)
{
  return lives[call].was_answered;
}

void oracle_refused(const char *key)
{
  struct life *life = &lives[oracle_call_of(key)];

  life->refused++;
  life->was_refused = 1;
}

void oracle_executed(const char *key)
{
  lives[oracle_call_of(key)].runs++;
}

int oracle_may_be_late(unsigned call)
{
  return lives[call].sent > 1 || network_half_heads() || network_lost_track();
}

unsigned oracle_runs(unsigned call)
{
  return lives[call].runs;
}

/* ---- waiting ---- */

void oracle_waits(const struct waiting *w)
{
  if (waiting_count == WAITING_MAX)
    fail("too many calls at once");
  waiting[waiting_count] = *w;
  waiting[waiting_count].rest = rest_number;
  rest_begins(&waiting[waiting_count++]);
}

void oracle_waits_so(unsigned call, int how)
{
  for (unsigned i = 0; i < waiting_count; i++)
    if (waiting[i].call == call)
      waiting[i].how = how;
}

void oracle_waits_no_more(unsigned call)
{
  for (unsigned i = 0; i < waiting_count; i++)
    if (waiting[i].call == call) {
      rest_left(waiting[i].lane);
      waiting[i] = waiting[--waiting_count];
      return;
    }
}

const struct waiting *oracle_waiting_for(unsigned call)
{
  for (unsigned i = 0; i < waiting_count; i++)
    if (waiting[i].call == call)
      return &waiting[i];
  return NULL;
}

const struct waiting *oracle_waiting(size_t i)
{
  return i < waiting_count ? &waiting[i] : NULL;
}

/* Their time may be up, and who keeps the time stands still. */
int oracle_has_forgotten(void)
{
  int64_t kept = sim_is_frozen() ? INT64_MIN : sim_now() - SIM_MS;

  kept = sim_frozen_last() < kept ? kept : INT64_MIN;
  for (unsigned i = 0; i < waiting_count; i++)
    if (waiting[i].how == FORGOTTEN && kept < waiting[i].until)
      return 1;
  return 0;
}

/* ---- judging ---- */

static void judge(const struct verdict *v)
{
  const struct life *life = &lives[v->call];

  if (v->acknowledged && life->runs == 0)
    fail("P2: call %u was acknowledged and never ran", v->call);
  if (v->excluded && life->runs > 0)
    fail("P2: call %u was said not to have run, and ran", v->call);
  if (v->unsent && life->sent > life->refused)
    fail("P2: call %u ended NOT_RUN, and its bytes left", v->call);
  if (!v->may_repeat && life->runs > 1)
    fail("P3: call %u ran %u times", v->call, life->runs);
}

void oracle_judge(const struct verdict *v)
{
  judge(v);
  verdicts[verdict_count++] = *v;
}

/* Of each connection that died, at most one call was just beginning to leave. What was given up may
 * have been in a buffer. */
static void check_unknown(void)
{
  unsigned lost = 0, given_up = 0;

  for (unsigned i = 0; i < verdict_count; i++) {
    lost += verdicts[i].unknown == LOST && lives[verdicts[i].call].sent == 0;
    given_up += verdicts[i].unknown == GIVEN_UP && lives[verdicts[i].call].sent == 0;
  }
  if (lost > network_half_heads() && !network_is_unsure(NULL))
    fail("%u calls ended UNKNOWN/LOST of which nothing ever left", lost);
  if (given_up && !network_is_choked() && !network_half_heads())
    fail("%u calls ended UNKNOWN of which nothing ever left", given_up);
}

void oracle_check(void)
{
  for (unsigned i = 0; i < verdict_count; i++)
    judge(&verdicts[i]);
  check_unknown();
}
