/* SPDX-License-Identifier: BSD-3-Clause */
/* events.c - owns what is to happen at a time: a heap, in order of time, then of asking. */
#include "sim/sim.h"
#include <stdlib.h>

struct event {
  int64_t when;
  uint64_t number;
  void (*run)(void *);
  void *arg;
  int frees;
};

static struct event *events;
static size_t event_count, event_cap;
static uint64_t event_number;

static int earlier(const struct event *a, const struct event *b)
{
  return a->when != b->when ? a->when < b->when : a->number < b->number;
}

static void sift_up(size_t i)
{
  while (i > 0 && earlier(&events[i], &events[(i - 1) / 2])) {
    struct event e = events[i];
    events[i] = events[(i - 1) / 2];
    events[(i - 1) / 2] = e;
    i = (i - 1) / 2;
  }
}

static void sift_down(size_t i)
{
  for (;;) {
    size_t least = i, left = 2 * i + 1;
    struct event e = events[i];

    for (size_t k = left; k < left + 2 && k < event_count; k++)
      if (earlier(&events[k], &events[least]))
        least = k;
    if (least == i)
      return;
    events[i] = events[least];
    events[least] = e;
    i = least;
  }
}

void at(int64_t when, void (*run)(void *), void *arg, int frees)
{
  if (event_count == event_cap) {
    event_cap = event_cap ? event_cap * 2 : 256;
    events = realloc(events, event_cap * sizeof *events);
  }
  events[event_count] =
      (struct event){when > sim_now() ? when : sim_now(), event_number++, run, arg, frees};
  sift_up(event_count++);
}

static struct event pop_event(void)
{
  struct event e = events[0];

  events[0] = events[--event_count];
  sift_down(0);
  return e;
}

int64_t event_time(void)
{
  return event_count ? events[0].when : SIM_FOREVER;
}

void event_run(void)
{
  struct event e = pop_event();

  e.run(e.arg);
  if (e.frees)
    free(e.arg);
}

void events_drop(void)
{
  while (event_count) {
    struct event e = pop_event();

    if (e.frees)
      free(e.arg);
  }
  event_number = 0;
}
