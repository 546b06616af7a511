/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_crowded.c - callers give way to each other before they write, unless other programs have the
 * processor: then they soon stop, and try again later. The scheduler is this program's. */
#include "behaviour/muxing.h"

#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/checks.h"

enum { CALLERS = 8, WATCHED_MS = 700, PAUSE_MS = 300, PATIENCE_MS = 30000 };

static atomic_int given; /* how often somebody gave way */
static atomic_bool crowded;
static _Thread_local bool is_caller;

/* In place of the C library's: a crowded processor comes back late. */
int sched_yield(void)
{
  if (is_caller) {
    atomic_fetch_add(&given, 1);
    if (atomic_load(&crowded))
      sleep_ms(1);
  }
  return (int)syscall(SYS_sched_yield);
}

struct crew {
  pmx_client *client;
  atomic_bool stop;
};

static void call_again_and_again(int i, void *arg)
{
  struct crew *crew = arg;

  (void)i;
  is_caller = true;
  while (!atomic_load(&crew->stop))
    check_is_ok(pmx_command(crew->client, "PING"));
}

static void call_by_all(void *arg)
{
  run_threads(CALLERS, call_again_and_again, arg);
}

static bool is_given_more(void *arg)
{
  return atomic_load(&given) > *(int *)arg + 2 * CALLERS;
}

static void wait_for_more(void)
{
  int before = atomic_load(&given);

  ck_assert(wait_for(is_given_more, &before, PATIENCE_MS));
}

/* Those who were giving way when the first of them came back late may do so once in each pause. */
static void check_that_few_give_way(void)
{
  int before = atomic_load(&given);
  int64_t began = now_ms(), pauses;

  sleep_ms(WATCHED_MS);
  pauses = (now_ms() - began) / PAUSE_MS;
  ck_assert_int_le(atomic_load(&given) - before, CALLERS * (pauses + 2));
}

START_TEST(on_a_crowded_processor_nobody_gives_way_for_long)
{
  struct server *server = server_start(NULL);
  struct crew crew = {.client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL)};
  struct background *thread = background_start(call_by_all, &crew);

  wait_for_more();
  atomic_store(&crowded, true);
  sleep_ms(PAUSE_MS); /* the first ones find out */
  check_that_few_give_way();
  atomic_store(&crowded, false);
  wait_for_more();
  atomic_store(&crew.stop, true);
  background_join(thread);
  close_client(crew.client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_crowded");

  server_require("mux_crowded");
  add_for_ways_with(SHARES, tc, on_a_crowded_processor_nobody_gives_way_for_long);
  return checks_run("mux_crowded", tc);
}
