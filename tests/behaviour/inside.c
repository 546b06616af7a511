/* SPDX-License-Identifier: BSD-3-Clause */
/* inside.c - see inside.h. */
#include "behaviour/inside.h"

#include <stdlib.h>
#include <string.h>

#include "behaviour/muxing.h"

static void run_armed(struct inside *in)
{
  int64_t begin = now_ms();

  if (!atomic_exchange(&in->armed, 0))
    return;
  in->run(in);
  in->took_ms = now_ms() - begin;
  atomic_store(&in->done, 1);
}

static void on_event(void *ud, const pmx_event *event)
{
  if (event->type == PMX_EVENT_LOST)
    run_armed(ud);
}

static void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  (void)level, (void)component;
  if (strstr(message, "closed"))
    run_armed(ud);
}

void add_for_manners(TCase *tc, const TTest *test, unsigned traits)
{
  for (int i = 0; i < way_count * MANNERS; i++) {
    if (!traits || strategy_has(strategy_inside(i), traits))
      tcase_add_loop_test(tc, test, i, i + 1);
  }
}

const char *strategy_inside(int i)
{
  return ways[i / MANNERS].strategy;
}

void open_inside(struct inside *in, int i)
{
  const struct way *way = &ways[i / MANNERS];
  pmx_options *options = options_for(way->strategy);

  in->server = server_start(NULL);
  in->url = url_for(way, in->server);
  pmx_options_set(options, "pool.keepalive", "20ms");
  pmx_options_set(options, "mux.keepalive", "20ms");
  pmx_options_set(options, "pool.max_size", "2");
  pmx_options_set(options, "pool.wait_timeout", "60s");
  if (i % MANNERS == BY_EVENT)
    pmx_options_set_events(options, on_event, in);
  else
    pmx_options_set_log(options, on_log, PMX_LOG_DEBUG, in);
  in->client = open_client_with(in->url, options);
}

void end_inside(struct inside *in)
{
  close_client(in->client);
  ck_assert(server_stop(in->server));
}

bool inside_done(void *arg)
{
  struct inside *in = arg;

  return atomic_load(&in->done);
}

void run_inside(struct inside *in, void (*run)(struct inside *))
{
  in->run = run;
  atomic_store(&in->done, 0);
  atomic_store(&in->armed, 1);
  server_kill_clients(in->server);
  ck_assert_msg(wait_for(inside_done, in, 2 * SOON_MS), "the callback did not come, or not back");
}

/* One that the server does not answer. */
void call_in_vain(struct inside *in, const pmx_call *call)
{
  check_is_ok(pmx_command(in->client, "PING"));
  server_pause(in->server);
  atomic_store(&in->paused, 1);
  in->reply = pmx_command_call(in->client, call, "GET k");
  server_resume(in->server);
}

void call_for_long(struct inside *in)
{
  pmx_call call = call_in(60000);

  call.cancel = in->token;
  call_in_vain(in, &call);
}

static bool waits_in_vain(void *arg)
{
  struct inside *in = arg;

  return atomic_load(&in->paused) && outstanding(in->client) + stats_of(in->client).in_use > 0;
}

void start_inside(struct inside *in)
{
  atomic_store(&in->armed, 1);
  server_kill_clients(in->server);
  ck_assert(wait_for(waits_in_vain, in, SOON_MS));
  sleep_ms(20); /* and now it is sent */
}
