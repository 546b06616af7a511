/* SPDX-License-Identifier: BSD-3-Clause */
/* loop.c - io=loop: the application's own loop, which watches the client's descriptor and
 * dispatches. */
#include "sim/caller.h"
#include "sim/doors.h"

static int dispatchers, stops;

static int is_wanted(void *arg)
{
  return stops || doors_readable(*(const int *)arg);
}

static void run_dispatcher(void *arg)
{
  struct world *w = &world_of_seed;
  int fd = pmx_client_fd(w->client);

  (void)arg;
  if (fd < 0)
    fail("pmx_client_fd: there is none");
  while (!stops) {
    block("watches the client's descriptor", is_wanted, &fd, SIM_FOREVER);
    if (!w->healed && chance(20))
      freeze(between(SIM_MS, 50 * SIM_MS));
    if (pmx_dispatch(w->client, chance(700) ? 0 : between(0, 20)) < 0)
      fail("pmx_dispatch says that there is a thread");
  }
  world_drop();
  dispatchers--;
  changed();
}

void loop_start(void)
{
  int count = chance(200) ? 2 : 1;

  stops = 0;
  for (dispatchers = 0; dispatchers < count; dispatchers++) {
    world_hold();
    task_start("dispatcher", run_dispatcher, NULL);
  }
}

static int nobody_dispatches(void *arg)
{
  (void)arg;
  return dispatchers == 0;
}

void loop_stop(void)
{
  stops = 1;
  changed();
  while (dispatchers)
    block("waits for the dispatcher", nobody_dispatches, NULL, SIM_FOREVER);
}
