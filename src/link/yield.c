/* SPDX-License-Identifier: BSD-3-Clause */
#include "link/yield.h"
#include "base/clock.h"
#include "base/sync.h"

enum {
  TURNS_OF_ALL = 128, /* the more callers there are, the fewer turns of each … */
  TURNS_MIN = 2,
  TURNS_MAX = 8, /* … within these */
  /* for each caller of the crowd: */
  CREDIT_MAX = 1024,
  CREDIT_TRIAL = 4,
  LATE = 512,
  /* for each answer; so it pays if one of three is in time */
  IN_TIME = 2,
  /* all turns of a call: */
  LATE_NS = 1000 * 1000,
  LATE_CALLER_NS = 10 * 1000, /* those of many take longer, and are not late */
  PAUSE_MIN_NS = 20 * 1000 * 1000
};

#define PAUSE_MAX_NS (256 * (int64_t)PAUSE_MIN_NS)

void yield_init(struct yield *y)
{
  *y = (struct yield){.pause = PAUSE_MIN_NS};
}

static unsigned turns_of(unsigned crowd)
{
  unsigned turns = TURNS_OF_ALL / crowd;

  if (turns < TURNS_MIN)
    return TURNS_MIN;
  return turns < TURNS_MAX ? turns : TURNS_MAX;
}

void yield_begin(struct yield *y, struct request *req)
{
  req->crowd = req->turns = 0;
  if (!req->attended)
    return;
  y->callers++;
  if (y->off || y->crowd < YIELD_CROWD || req->queued_at < y->resume_at)
    return;
  if (y->credit == 0) {
    y->credit = CREDIT_TRIAL * y->crowd;
    y->earned = 0;
  }
  req->crowd = y->crowd;
  req->turns = turns_of(y->crowd);
}

static unsigned min_of(unsigned a, unsigned b)
{
  return a < b ? a : b;
}

void yield_end(struct yield *y, const struct request *req, int in_time)
{
  y->callers -= req->attended;
  if (!req->crowd || !in_time || y->credit == 0)
    return;
  y->credit = min_of(y->credit + IN_TIME, CREDIT_MAX * req->crowd);
  y->earned += IN_TIME;
  if (y->earned >= CREDIT_MAX * req->crowd)
    y->pause = PAUSE_MIN_NS;
}

static void take(struct yield *y, unsigned credit, int64_t now)
{
  if (y->credit > credit) {
    y->credit -= credit;
    return;
  }
  if (y->credit == 0)
    return;
  y->credit = 0;
  y->resume_at = time_after(now, y->pause);
  y->pause = y->pause < PAUSE_MAX_NS ? 2 * y->pause : PAUSE_MAX_NS;
}

void yield_slept(struct yield *y, const struct request *req)
{
  if (req->crowd)
    take(y, 1, req->queued_at);
}

/* What makes one late does so with others: it counts once. */
void yield_late(struct yield *y, const struct request *req, int64_t since, int64_t now)
{
  if (since < y->late_at)
    return;
  y->late_at = now;
  take(y, LATE * req->crowd, now);
}

void yield_note_crowd(struct yield *y)
{
  y->crowd -= (y->crowd + 15) / 16;
  if (y->crowd < y->callers)
    y->crowd = y->callers;
  y->credit = min_of(y->credit, CREDIT_MAX * y->crowd);
}

int64_t yield_give_way(struct request *req, const _Atomic int *canceled)
{
  int64_t late = LATE_NS + (int64_t)req->crowd * LATE_CALLER_NS, since = clock_ns(), now = since;

  for (; req->turns > 0; req->turns--) {
    if (request_state(req) == REQUEST_ENDED || atomic_load(canceled) || now >= req->deadline)
      break;
    thread_yield();
    now = clock_ns();
    if (now - since > late) {
      req->turns = 0;
      return since;
    }
  }
  req->turns = 0;
  return -1;
}
