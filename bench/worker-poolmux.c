/* SPDX-License-Identifier: BSD-3-Clause */
/* worker-poolmux.c - poolmux-bench-poolmux: the library itself. Here are its ways, how their
 * clients are opened, and what its replies say to the judge. */
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "worker-poolmux_parts.h"

/* ---- answers ---- */

static void read_pair(const pmx_reply *reply, struct answer *ret)
{
  ret->text = pmx_reply_str(pmx_reply_at(reply, 0), &ret->len);
  ret->second = pmx_reply_str(pmx_reply_at(reply, 1), &ret->second_len);
  if (pmx_reply_len(reply) == 2 && ret->text && ret->second)
    ret->type = ANSWER_PAIR;
}

static void read_reply(const pmx_reply *reply, struct answer *ret)
{
  switch (pmx_reply_type(reply)) {
  case PMX_TYPE_NIL:
    ret->type = ANSWER_NIL;
    break;
  case PMX_TYPE_SIMPLE:
    ret->type = ANSWER_STATUS;
    break;
  case PMX_TYPE_STRING:
    ret->type = ANSWER_TEXT;
    ret->text = pmx_reply_str(reply, &ret->len);
    break;
  case PMX_TYPE_INTEGER:
    ret->type = ANSWER_NUMBER;
    ret->number = pmx_reply_int(reply, NULL);
    break;
  case PMX_TYPE_ARRAY:
    read_pair(reply, ret);
    break;
  default:
    break;
  }
}

void answer_with(struct call *call, int i, const pmx_reply *reply)
{
  struct answer answer = {.type = ANSWER_OTHER};

  if (pmx_reply_status(reply) == PMX_OK)
    read_reply(reply, &answer);
  else
    answer = (struct answer){.type = ANSWER_FAILURE, .text = pmx_reply_error(reply)};
  if (answer.type == ANSWER_FAILURE)
    answer.len = strlen(answer.text);
  call_answer(call, i, &answer);
}

/* ---- clients ---- */

static void set(pmx_options *options, const char *name, const char *value)
{
  pmx_options_set(options, name, value);
}

static void set_number(pmx_options *options, const char *name, long n)
{
  char text[NUMBER_SIZE];

  snprintf(text, sizeof text, "%ld", n);
  set(options, name, text);
}

/* "hybrid-learn" is hybrid; "mux-lanes", "mux-spin", "mux-callbacks" and "loop" are mux. */
static const char *strategy_of(const struct way *way)
{
  if (strcmp(way->name, "pool") == 0)
    return way->name;
  return strncmp(way->name, "hybrid", 6) == 0 ? "hybrid" : "mux";
}

/* Nobody is turned away: there is a connection for each, or as many as the workload says and time
 * to wait for one; and room for all that can be under way. */
static void set_all(pmx_options *options, const struct plan *plan)
{
  const struct workload *w = &plan->workload;
  long calls = plan_places(plan) * (w->batch > 0 ? w->batch_size : 1);

  set(options, "strategy", strategy_of(plan->way));
  set_number(options, "pool.max_size",
             plan_places(plan) + (w->connections ? w->connections - plan->callers : 0));
  set(options, "pool.wait_timeout", "5s");
  if (calls > 4096)
    set_number(options, "pool.max_waiters", calls < 1000000 ? calls : 1000000);
  if (calls > 16384)
    set_number(options, "mux.max_inflight", calls < 1000000 ? calls : 1000000);
  if (strcmp(plan->way->name, "mux-lanes") == 0)
    set(options, "mux.lanes", "2");
  if (strcmp(plan->way->name, "mux-spin") == 0)
    set(options, "mux.spin", "50us");
  if (strcmp(plan->way->name, "hybrid-learn") == 0)
    set(options, "hybrid.learn", "on");
  if (strcmp(plan->way->name, "loop") == 0)
    set(options, "io", "loop");
}

static pmx_client *open_client(const struct plan *plan, char why[WHY_SIZE])
{
  pmx_options *options = pmx_options_new();
  pmx_client *client = NULL;
  pmx_reply *err = NULL;

  set_all(options, plan);
  if (pmx_options_error(options)[0]) {
    snprintf(why, WHY_SIZE, "%s", pmx_options_error(options));
  } else {
    client = pmx_open(plan->url, options, &err);
    if (!client)
      snprintf(why, WHY_SIZE, "%s", pmx_reply_error(err));
  }
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

static void close_self(void *me)
{
  struct self *self = me;

  async_close(self);
  if (self->client)
    pmx_unref(self->client);
  free(self);
}

static void *open_self(const struct plan *plan, char why[WHY_SIZE])
{
  struct self *self = calloc(1, sizeof *self);

  snprintf(why, WHY_SIZE, "out of memory");
  if (!self)
    return NULL;
  self->plan = plan;
  self->client = open_client(plan, why);
  if (self->client && (plan->callers_as == AS_THREADS || async_open(self) == 0))
    return self;
  close_self(self);
  return NULL;
}

static void listen_to(void *me, struct listener *listener)
{
  struct self *self = me;

  (self->plan->callers_as == AS_THREADS ? threads_listen : async_listen)(self, listener);
}

static const char *cannot(const struct plan *plan)
{
  if (plan->workload.transactions > 0 && plan->callers_as != AS_THREADS)
    return "transactions are calls that wait: they need callers_as=threads";
  return NULL;
}

/* ---- what the library itself has counted ---- */

static const struct counter {
  const char *name;
  size_t at;
} counters[] = {
#define COUNTER(name)                                                                              \
  {                                                                                                \
#name, offsetof(pmx_stats, name)                                                               \
  }
    COUNTER(commands),       COUNTER(not_run),         COUNTER(unknown),
    COUNTER(retries),        COUNTER(opened),          COUNTER(borrows),
    COUNTER(waits),          COUNTER(handoffs),        COUNTER(wait_timeouts),
    COUNTER(queue_full),     COUNTER(lanes_opened),    COUNTER(lane_requests),
    COUNTER(writes),         COUNTER(reads),           COUNTER(handovers),
    COUNTER(stalls),         COUNTER(routed_asked),    COUNTER(routed_blocking),
    COUNTER(routed_parking), COUNTER(routed_large),    COUNTER(routed_batch),
    COUNTER(routed_control), COUNTER(routed_unknown),  COUNTER(routed_learned),
    COUNTER(messages),       COUNTER(messages_dropped)};

static void mark(void *me)
{
  struct self *self = me;

  self->since = (pmx_stats)PMX_STATS_INIT;
  pmx_stats_get(self->client, &self->since);
}

static void print_stats(void *me, FILE *out)
{
  struct self *self = me;
  pmx_stats now = PMX_STATS_INIT;
  uint64_t before, after;

  pmx_stats_get(self->client, &now);
  for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
    memcpy(&before, (const char *)&self->since + counters[i].at, sizeof before);
    memcpy(&after, (const char *)&now + counters[i].at, sizeof after);
    if (after != before)
      fprintf(out, "stat %s %llu\n", counters[i].name, (unsigned long long)(after - before));
  }
}

/* ---- ways ---- */

#define EVERYWHERE " open-loop batches pubsub tcp unix tls"
#define COMMON                                                                                     \
  .open = open_self, .close = close_self, .call = threads_call, .issue = async_issue,              \
  .listen = listen_to, .cannot = cannot, .mark = mark, .stats = print_stats

static const struct way ways[] = {
    {.name = "pool",
     .what = "one client with strategy=pool, a connection for each caller",
     .can = "threads callbacks futures transactions blocking" EVERYWHERE,
     COMMON},
    {.name = "mux",
     .what = "one client with strategy=mux, one connection for all callers",
     .can = "threads callbacks futures" EVERYWHERE,
     COMMON},
    {.name = "hybrid",
     .what = "one client with strategy=hybrid: mux for what is short, pool for what is not",
     .can = "threads callbacks futures transactions blocking" EVERYWHERE,
     COMMON},
    {.name = "hybrid-learn",
     .what = "hybrid with hybrid.learn=on: what was answered with much before goes to the pool",
     .can = "threads callbacks futures transactions blocking" EVERYWHERE,
     COMMON},
    {.name = "mux-lanes",
     .what = "mux with mux.lanes=2: two connections, with half of the callers each",
     .can = "threads" EVERYWHERE,
     COMMON},
    {.name = "mux-spin",
     .what = "mux with mux.spin=50us: who reads for the others looks for so long before it sleeps",
     .can = "threads" EVERYWHERE,
     COMMON},
    {.name = "mux-callbacks",
     .what = "mux with callbacks, whatever the workload says: beside the same with threads",
     .can = "callbacks" EVERYWHERE,
     COMMON},
    {.name = "loop",
     .what = "mux with io=loop: callbacks on the one thread that begins the calls",
     .can = "callbacks" EVERYWHERE,
     COMMON,
     .turn = async_turn},
};

static void versions(FILE *out)
{
  fprintf(out, "version poolmux %s (%s)\n", pmx_version(), pmx_build_info());
}

int main(int argc, char **argv)
{
  static const struct worker worker = {"poolmux-bench-poolmux", ways, sizeof ways / sizeof *ways,
                                       versions, NULL};

  return worker_main(&worker, argc, argv);
}
