/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_print.c - a lap's result, as lines of words: what poolmux-bench reads.
 *
 * calls KIND N     calls all of whose commands had the right answer
 * failed KIND N    calls with a command that had none, whatever became of their others
 * commands KIND N  what the former had the server do, as it counts: a batch its GETs and SETs, a
 *                  transaction WATCH, GET, MULTI, SET and EXEC; a message is none
 * latency KIND …   of the former: sum of counts = calls KIND
 * slice I CALLS …  of the former, without pop, message and big-read
 * schedule DUE BEGUN LATE MAX_LATE_NS: calls that were due before the lap's end, that were begun by
 *                  then, that were begun more than 1 ms late, and by how much at most. What was not
 *                  begun by then is begun afterwards, for as long again as the lap was, but 10 s;
 *                  what is not even begun by then is in no other line */
#include "worker_parts.h"

#include <string.h>

static void print_kind(const struct lap *lap, enum kind kind, FILE *out)
{
  const struct histogram *h = &lap->times[kind];
  const char *name = kind_name(kind);

  if (h->count == 0 && lap->failed[kind] == 0)
    return;
  fprintf(out, "calls %s %llu\ncommands %s %llu\nfailed %s %llu\n", name,
          (unsigned long long)h->count, name, (unsigned long long)lap->commands[kind], name,
          (unsigned long long)lap->failed[kind]);
  if (h->count == 0)
    return;
  fprintf(out, "latency %s", name);
  for (size_t i = h->low; i <= h->high; i++) {
    if (h->buckets[i])
      fprintf(out, " %lld:%llu", (long long)histogram_upper(i), (unsigned long long)h->buckets[i]);
  }
  fprintf(out, "\n");
}

static void print_slices(const struct lap *lap, FILE *out)
{
  int64_t ns = lap->after.at_ns - lap->begun_ns;
  int64_t n = ns / (SLICE_MS * INT64_C(1000000)) + 1;

  for (int64_t i = 0; i < n && i < MOST_SLICES; i++) {
    const struct histogram *h = lap->slices[i];

    if (h)
      fprintf(out, "slice %lld %llu %lld %lld %llu\n", (long long)i, (unsigned long long)h->count,
              (long long)histogram_quantile(h, 0.5), (long long)histogram_quantile(h, 0.99),
              (unsigned long long)h->max_ns);
    else
      fprintf(out, "slice %lld 0 0 0 0\n", (long long)i);
  }
}

/* What the server counted between two questions; < 0 in one of them: it does not count that. */
static void print_counter(const char *name, double before, double after, double own, FILE *out)
{
  if (before >= 0 && after >= 0)
    fprintf(out, "server %s %.0f\n", name, after - before > own ? after - before - own : 0);
}

static void print_usage(const struct lap *lap, FILE *out)
{
  const struct usage *a = &lap->before, *b = &lap->after;

  fprintf(out, "cpu user %.6f\ncpu system %.6f\ncpu server %.6f\ncpu machine %.6f\n",
          b->user_s - a->user_s, b->system_s - a->system_s, b->server_s - a->server_s,
          b->machine_s - a->machine_s);
  fprintf(out, "sleeps %ld\n", b->sleeps - a->sleeps);
  print_counter("commands", a->commands, b->commands, 1, out);
  print_counter("reads", a->reads, b->reads, 1, out);
  print_counter("writes", a->writes, b->writes, 1, out);
  print_counter("bytes_in", a->bytes_in, b->bytes_in, b->asked_in, out);
  print_counter("bytes_out", a->bytes_out, b->bytes_out, a->asked_out, out);
  if (b->connections >= 0)
    fprintf(out, "server connections %.0f\n", b->connections - 1);
  fprintf(out, "server name %s\nserver version %s\n", b->server_name, b->server_version);
}

/* How many calls were due before the lap's end. */
static long calls_due(const struct lap *lap)
{
  long n = (long)((double)(lap->until_ns - lap->begun_ns) / lap->step_ns) - 1;

  if (lap->most != LONG_MAX)
    return lap->most;
  for (n = n < 0 ? 0 : n; ticket_due(lap, n) < lap->until_ns; n++)
    continue;
  return n;
}

static void print_schedule(const struct lap *lap, FILE *out)
{
  if (lap->step_ns > 0)
    fprintf(out, "schedule %ld %llu %llu %lld\n", calls_due(lap), (unsigned long long)lap->begun,
            (unsigned long long)lap->late, (long long)lap->latest_ns);
}

void lap_print(struct lap *lap, const struct worker *worker, FILE *out)
{
  const struct plan *plan = lap->plan;

  fprintf(out, "poolmux-bench-result 1\n");
  worker->versions(out);
  fprintf(out, "way %s\ncallers %s %d\nseconds %.6f\n", plan->way->name,
          callers_as_name(plan->callers_as), plan->callers,
          (double)(lap->after.at_ns - lap->before.at_ns) / 1e9);
  for (int kind = 0; kind < KINDS; kind++)
    print_kind(lap, (enum kind)kind, out);
  print_schedule(lap, out);
  print_slices(lap, out);
  print_usage(lap, out);
  if (plan->way->stats)
    plan->way->stats(lap->self, out);
  for (int i = 0; i < ERRORS && lap->error[i][0]; i++) {
    lap->error[i][strcspn(lap->error[i], "\r\n")] = '\0';
    fprintf(out, "error %s\n", lap->error[i]);
  }
  fprintf(out, "end\n");
}
