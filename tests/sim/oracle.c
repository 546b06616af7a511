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
  unsigned given;   /* its element: to how many calls */
  unsigned element; /* what it took, if it did */
  int took, judged, may_repeat, ended_unknown, forgotten;
};

struct pop {
  unsigned call, element;
  int64_t when;
};

static struct life lives[CALLS_MAX];
static struct verdict verdicts[CALLS_MAX];
static struct waiting waiting[WAITING_MAX];
static struct pop pops[CALLS_MAX];
static unsigned call_count, verdict_count, waiting_count, pop_count;

void oracle_reset(void)
{
  memset(lives, 0, sizeof lives[0] * (call_count + 1));
  call_count = verdict_count = waiting_count = pop_count = 0;
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

/* Each thread keeps to a lane, which is one connection; who needs one alone takes none of these,
 * nor they of the pool's. */
void oracle_carries(struct stream *s, int lane)
{
  unsigned like = 0, most = lane == LANE_NONE ? rest_limits.pool_size : 1;

  if (s->lane == LANE_UNKNOWN) {
    s->lane = lane;
    for (unsigned i = 0; i < open_count; i++)
      like += open_streams[i]->lane == lane;
    if (like > most)
      fail("I1: conn %u is number %u of lane %d", s->id, like, lane);
  }
  if (s->lane != lane)
    fail("what is for lane %d is sent on conn %u, lane %d", lane, s->id, s->lane);
}

/* A connection of the pool is one call's at a time, or one lease's, which has one as well. */
static void check_alone(const struct stream *s, unsigned call)
{
  for (uint64_t i = s->answered; i + 1 < s->begun; i++)
    if (s->lane == LANE_NONE && s->asked[i])
      fail("call %u is sent on conn %u, and call %u was not answered", call, s->id, s->asked[i]);
}

void oracle_sent(const char *key, struct stream *s)
{
  unsigned call = oracle_call_of(key);
  struct life *life = &lives[call];
  const struct waiting *w = oracle_waiting_for(call);

  life->sent++;
  tracing_sent(call, s->wire.begun_at);
  if (w || key[0] == 'l')
    oracle_carries(s, w ? w->lane : LANE_NONE);
  if (w && w->lane != LANE_NONE && life->sent == 1)
    rest_check_sent(s, call);
  check_alone(s, call);
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
  tracing_answered(call);
}

int oracle_was_answered(unsigned call)
{
  return lives[call].was_answered;
}

int oracle_needs_others(const struct waiting *w)
{
  return w->task ? task_is_parked(w->task) : sim_now() < w->until;
}

int oracle_is_needed(const struct stream *s)
{
  const struct waiting *w;

  for (size_t i = 0; (w = oracle_waiting(i)); i++) {
    const struct life *life = &lives[w->call];

    if (oracle_needs_others(w) && life->stream == s && !life->was_answered &&
        !life->was_refused) /* then it is tried again, after a pause perhaps */
      return 1;
  }
  return 0;
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

/* ---- elements ---- */

void oracle_popped(const char *key, const char *element)
{
  if (pop_count == CALLS_MAX)
    fail("too many elements");
  pops[pop_count++] = (struct pop){oracle_call_of(key), oracle_call_of(element), sim_now()};
}

static int was_popped(unsigned call, unsigned element)
{
  for (unsigned i = 0; i < pop_count; i++)
    if (pops[i].call == call && (element == 0 || pops[i].element == element))
      return 1;
  return 0;
}

void oracle_took(unsigned call, unsigned element, int may_repeat)
{
  struct life *from = &lives[element], *life = &lives[call];

  if (element && !was_popped(call, element))
    fail("call %u was given element %u, which was not popped for it", call, element);
  if (!element && !may_repeat && was_popped(call, 0))
    fail("call %u was told that there was nothing, and an element was popped for it", call);
  if (element && ++from->given > from->runs)
    fail("element %u was given to %u calls, and pushed %u times", element, from->given, from->runs);
  life->took = 1;
  life->element = element;
}

void oracle_orphaned(unsigned call, unsigned element)
{
  if (!lives[call].forgotten)
    fail("element %u is reported, and call %u is not forgotten", element, call);
  oracle_took(call, element, 1);
}

/* Not when the client was closed so soon that the reply could not be read. */
void oracle_check_orphans(int64_t closed)
{
  for (unsigned i = 0; i < pop_count; i++) {
    const struct life *life = &lives[pops[i].call];

    if (life->forgotten && !life->took && pops[i].when > sim_frozen_last() &&
        pops[i].when + SIM_S < closed)
      fail("element %u was popped for call %u, whose future was freed, and nobody was told",
           pops[i].element, pops[i].call);
  }
}

/* Who may repeat may lose all but the last; who does not know how it ended, what it was given. */
static void check_elements(void)
{
  for (unsigned i = 0; i < pop_count; i++) {
    const struct life *life = &lives[pops[i].call];

    if (life->took && !life->may_repeat && life->element != pops[i].element)
      fail("element %u was popped for call %u, which got element %u", pops[i].element, pops[i].call,
           life->element);
    if (life->judged && !life->took && !life->may_repeat && !life->ended_unknown)
      fail("element %u was popped for call %u, and is lost", pops[i].element, pops[i].call);
  }
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
    if (waiting[i].how == FORGOTTEN &&
        (waiting[i].until == SIM_FOREVER || kept < waiting[i].until + waiting[i].grace))
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
  struct life *life = &lives[v->call];

  judge(v);
  life->judged = !v->forgotten;
  life->forgotten = v->forgotten;
  life->may_repeat = v->may_repeat;
  life->ended_unknown = v->unknown != KNOWN;
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
  check_elements();
}
