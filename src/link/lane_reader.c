/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_reader.c - the reader of a crowd: where many callers sleep, a thread of the library's holds
 * the token for them. It reads and wakes on one processor while those who were woken are at work on
 * another; a caller who drives does all that before it can go on itself. It is one more of those
 * who may drive (lane_drive.c), has no request of its own, and runs nobody's code.
 *
 * Its state is the lane's, under the lane's lock: */
#include "base/clock.h"
#include "link/lane_io.h"
#include "net/tls_context.h"

enum reader_state {
  READER_NONE,    /* there is no thread. The first crowd → WANTED */
  READER_WANTED,  /* the reactor will start one → STARTED */
  READER_REFUSED, /* the system had none. With the next connection → NONE */
  READER_STARTED, /* it runs, or is about to → AWAY; it cannot → REFUSED */
  READER_AWAY,    /* asleep on its parker. A driver leaves a crowd behind → CALLED */
  READER_CALLED,  /* one of `coming`. The token is free → READS; else → AWAY */
  READER_READS    /* holds the token. The crowd or the connection is gone → AWAY */
};

int lane_reader_comes(const struct lane *l)
{
  return l->reader.state == READER_CALLED;
}

int lane_call_reader(struct lane *l)
{
  struct reader *r = &l->reader;

  if (l->crowd < LANE_CROWD || l->link.env->reactor->loop)
    return 0;
  if (r->state == READER_NONE) {
    r->state = READER_WANTED;
    reactor_post(l->link.env->reactor, &r->start);
    l->wake_reactor = 1;
  }
  if (r->state != READER_AWAY)
    return 0;
  r->state = READER_CALLED;
  l->coming++;
  return 1;
}

/* ---- the thread ---- */

static void come(struct lane *l)
{
  struct reader *r = &l->reader;

  l->coming--;
  r->state = READER_READS;
  if (l->up && !l->held)
    lane_read_for_all(l);
}

/* The ticket is taken before anybody can call: a wake is not lost. */
static void reader_run(void *arg)
{
  struct lane *l = arg;
  struct reader *r = &l->reader;

  lane_enter(l);
  while (!r->stop) {
    uint32_t ticket = parker_ticket(&r->parker);

    r->state = READER_AWAY;
    lane_leave(l);
    parker_park(&r->parker, ticket, TIME_FOREVER);
    lane_enter(l);
    if (r->state == READER_CALLED)
      come(l);
  }
  lane_leave(l);
  tls_end_thread();
}

static void reader_start(struct job *job)
{
  struct lane *l = container_of(job, struct lane, reader.start);

  lane_enter(l);
  l->reader.state = READER_STARTED;
  lane_leave(l);
  if (thread_start(&l->reader.thread, "pmx-reader", reader_run, l) == 0)
    return;
  lane_enter(l);
  l->reader.state = READER_REFUSED;
  lane_leave(l);
}

/* ---- life ---- */

void lane_reader_init(struct lane *l)
{
  l->reader.state = READER_NONE;
  parker_init(&l->reader.parker);
  job_init(&l->reader.start, reader_start);
}

void lane_reader_retry(struct lane *l)
{
  if (l->reader.state == READER_REFUSED)
    l->reader.state = READER_NONE;
}

/* There is no connection, and nobody is left who would call it. */
void lane_reader_destroy(struct lane *l)
{
  struct reader *r = &l->reader;
  int runs;

  lane_enter(l);
  runs = r->state >= READER_STARTED;
  r->stop = 1;
  lane_leave(l);
  if (runs) {
    parker_wake(&r->parker);
    thread_join(&r->thread);
  }
  parker_destroy(&r->parker);
}
