/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_look.c - the reactor's look at a lane: it drives what no caller does, watches what is quiet,
 * and closes what has died. */
#include "base/clock.h"
#include "link/lane_io.h"

enum { UNWATCHED_NS = 100 * 1000 * 1000 };

/* Leaves the lock. What is to be watched was decided under it, and only this thread changes it. */
static void watch(struct lane *l, unsigned events)
{
  struct reactor *reactor = l->link.env->reactor;
  unsigned before = l->armed;

  l->armed = (uint8_t)events;
  lane_leave(l);
  if (events)
    reactor_watch(reactor, &l->watch, events, TIME_FOREVER);
  else if (before)
    reactor_unwatch(reactor, &l->watch);
  if (!events && before)
    ticker_advance(l->ticker, clock_ns() + UNWATCHED_NS);
}

static unsigned wanted(const struct lane *l)
{
  return NET_IN | (l->stuck ? (unsigned)NET_OUT : 0);
}

/* Nobody reads or writes it any more, and nobody begins to. */
static void bury(struct lane *l)
{
  if (l->held || l->writing) { /* who leaves pokes; the hang-up that is there to see is known */
    watch(l, 0);
    return;
  }
  l->dying = l->stuck = l->quiet = l->last = l->amid = l->renewed = 0;
  l->usual = l->yield.crowd = 0;
  l->out_len = l->out_sent = 0;
  watch(l, 0);
  channel_close(&l->link.channel);
  request_end(&l->down, NULL);
}

static void drive_once(struct lane *l, unsigned events)
{
  lane_turn(l, events);
  if (!l->up)
    lane_leave(l);
  else if (!list_empty(&l->parked) && lane_busy(l))
    watch(l, 0); /* they drive */
  else {
    l->quiet = !lane_busy(l);
    watch(l, wanted(l));
  }
}

static void look(struct lane *l, unsigned events)
{
  lane_enter(l);
  l->poked = 0; /* this is the look */
  if (l->dying)
    bury(l);
  else if (l->held)
    watch(l, 0); /* its holder's leave will bring it back */
  else if (l->up)
    drive_once(l, events);
  else
    lane_leave(l);
}

void lane_look_job(struct job *job)
{
  look(container_of(job, struct lane, look), 0);
}

void lane_look_io(struct source *source, unsigned events)
{
  /* Without events: the system would not watch it, so try again. */
  look(container_of(source, struct lane, watch), events ? events : (unsigned)NET_IN);
}

void lane_arm(struct lane *l)
{
  lane_enter(l);
  if (l->up && !l->held && !l->armed) {
    l->quiet = 1;
    watch(l, wanted(l));
  } else {
    lane_leave(l);
  }
}

void lane_up(struct lane *l)
{
  lane_enter(l);
  l->up = 1;
  l->replaced = 0;
  lane_end_if_last(l); /* it was closed meanwhile */
  lane_leave(l);
  look(l, 0);
}
