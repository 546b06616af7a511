/* SPDX-License-Identifier: BSD-3-Clause */
/* tracing.c - what the client's hooks tell is what has happened: in a third of the seeds the times
 * of each call, to the nanosecond, for here time passes only while all wait; and of each connection
 * its beginning and its end, once. */
#include "sim/caller.h"
#include "sim/stream.h"
#include <stdlib.h>
#include <string.h>

enum { TASKS_MAX = 4096, CONNS_MAX = 16384 };

/* A call's life as the wire has seen it. */
struct span {
  unsigned call; /* 0: not known which, see span_begin */
  int64_t begun_at, frozen;
  int64_t sent_at, answered_at; /* the last time; 0: never */
  unsigned sent;
  struct span *next;
};

static struct span *spans; /* that have not ended */
/* What each coroutine calls next: time may pass before its span begins. */
static struct {
  unsigned call;
  int64_t begun_at, frozen;
} nexts[TASKS_MAX];
static unsigned char conns[CONNS_MAX]; /* by conn_id */
enum { UNHEARD_OF, CONNECTED, ENDED };

/* ---- calls ---- */

/* The coroutine is about to make it. */
void tracing_begins(unsigned call)
{
  unsigned long task = task_number(task_self());

  if (task >= TASKS_MAX)
    return;
  nexts[task].call = call;
  nexts[task].begun_at = sim_now();
  nexts[task].frozen = sim_frozen();
}

static struct span *span_of(unsigned call)
{
  struct span *s = spans;

  while (s && s->call != call)
    s = s->next;
  return s;
}

void tracing_sent(unsigned call, int64_t begun_at)
{
  struct span *s = span_of(call);

  if (!s)
    return;
  s->sent++;
  s->sent_at = begun_at;
  s->answered_at = 0;
}

void tracing_answered(unsigned call)
{
  struct span *s = span_of(call);

  if (s)
    s->answered_at = sim_now();
}

/* What has a key of its own is known by who begins it; the library says more before what blocks. */
static int is_plain(const char *command)
{
  return strcmp(command, "GET") == 0 || strcmp(command, "SET") == 0 ||
         strcmp(command, "INCR") == 0 || strcmp(command, "ECHO") == 0;
}

static void *span_begin(void *ud, const pmx_trace_call *call)
{
  struct span *s = calloc(1, sizeof *s);
  unsigned long task = task_number(task_self());

  (void)ud;
  if (*task_locks())
    fail("a trace function runs with a lock held");
  if (is_plain(call->command) && task < TASKS_MAX) {
    s->call = nexts[task].call;
    s->begun_at = nexts[task].begun_at;
    s->frozen = nexts[task].frozen;
    nexts[task].call = 0;
  }
  s->next = spans;
  spans = s;
  return s;
}

static void span_remove(struct span *s)
{
  struct span **at = &spans;

  while (*at && *at != s)
    at = &(*at)->next;
  if (!*at)
    fail("a span ends that never began, or has ended");
  *at = s->next;
}

static void check_sums(const struct span *s, const pmx_trace_call *call, const pmx_reply *reply)
{
  if (call->queued_ns < 0 || call->wire_ns < 0 || call->attempts == 0 ||
      call->queued_ns + call->wire_ns > call->total_ns ||
      (s->call && call->total_ns > sim_now() - s->begun_at))
    fail("call %u: queued %lld, on the wire %lld, of %lld in %u tries", s->call,
         (long long)call->queued_ns, (long long)call->wire_ns, (long long)call->total_ns,
         call->attempts);
  if (!call->conn_id && (call->wire_ns || pmx_reply_status(reply) == PMX_OK))
    fail("call %u: it was on the wire, and on no connection", s->call);
  if (call->conn_id && call->attempts == 1 && pmx_reply_status(reply) == PMX_NOT_RUN &&
      is_plain(call->command))
    fail("call %u: it did not run, and was on connection %llu", s->call,
         (unsigned long long)call->conn_id);
}

/* Nobody stood still, no clock ran, one try was answered: then it is all known. */
static void check_exactly(const struct span *s, const pmx_trace_call *call, const pmx_reply *reply)
{
  if (!s->call || s->sent != 1 || call->attempts != 1 || !s->answered_at || sim_clock_step ||
      sim_frozen() != s->frozen || (unsigned)pmx_reply_status(reply) > PMX_SERVER_ERROR)
    return;
  if (call->queued_ns != s->sent_at - s->begun_at || call->wire_ns != s->answered_at - s->sent_at)
    fail("call %u: queued for %lld ns and not %lld, on the wire for %lld and not %lld", s->call,
         (long long)call->queued_ns, (long long)(s->sent_at - s->begun_at),
         (long long)call->wire_ns, (long long)(s->answered_at - s->sent_at));
}

static void span_end(void *ud, void *span, const pmx_trace_call *call, const pmx_reply *reply)
{
  struct span *s = span;

  (void)ud;
  if (*task_locks())
    fail("a trace function runs with a lock held");
  span_remove(s);
  check_sums(s, call, reply);
  check_exactly(s, call, reply);
  free(s);
}

void tracing_set(pmx_options *options)
{
  const pmx_trace trace = {sizeof trace, span_begin, span_end};

  memset(nexts, 0, sizeof nexts);
  memset(conns, 0, sizeof conns);
  if (sim_seed % 3 == 0)
    pmx_options_set_trace(options, &trace, NULL);
}

/* ---- connections ---- */

void tracing_event(const pmx_event *e)
{
  int ends = e->type == PMX_EVENT_LOST || e->type == PMX_EVENT_CLOSED;

  if (e->type == PMX_EVENT_DROPPED && !world_of_seed.memory)
    fail("events were dropped, and there was room: %s", e->detail);
  if ((e->type != PMX_EVENT_CONNECTED && !ends) || world_of_seed.memory)
    return; /* what there is no memory for is only counted */
  if (e->conn_id == 0 || e->conn_id >= CONNS_MAX)
    fail("connection number %llu", (unsigned long long)e->conn_id);
  if (conns[e->conn_id] != (ends ? CONNECTED : UNHEARD_OF))
    fail("connection %llu: event %d, and its state is %d", (unsigned long long)e->conn_id,
         (int)e->type, conns[e->conn_id]);
  conns[e->conn_id] = ends ? ENDED : CONNECTED;
}

/* The client is gone. */
void tracing_check(void)
{
  if (spans)
    fail("call %u began and did not end", spans->call);
  for (unsigned i = 0; i < CONNS_MAX; i++)
    if (conns[i] == CONNECTED)
      fail("connection %u was announced, and its end was not", i);
}
