/* SPDX-License-Identifier: BSD-3-Clause */
/* load_rounds.c - the rounds of poolmux-load: all contestants in turn, so that what else the
 * machine does hits all of them, and the table of their medians. */
#include "load_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 24 };

struct entry {
  const struct contestant *contestant;
  void *self;         /* NULL: it is missing, or has failed */
  char why[LOAD_WHY]; /* why it is missing */
  int failed;
  double figures[FIGURES][MAX_ROUNDS];
};

struct field {
  struct entry *entries;
  size_t n;
};

/* ---- who takes part ---- */

static struct field enter(const struct rounds *r, int callers)
{
  struct field field = {calloc(MAX_ENTRIES, sizeof(struct entry)), 0};
  struct entry *entry;

  if (!field.entries) {
    perror("poolmux-load");
    exit(EXIT_FAILURE);
  }
  for (; field.n < MAX_ENTRIES && r->contestants[field.n]; field.n++) {
    entry = &field.entries[field.n];
    entry->contestant = r->contestants[field.n];
    if (!entry->contestant->tls || r->tls_url)
      entry->self = entry->contestant->open(entry->contestant->tls ? r->tls_url : r->url, callers,
                                            entry->why);
    else
      snprintf(entry->why, sizeof entry->why, "no TLS port is known, see --tls-url");
  }
  return field;
}

static void leave(struct field *field)
{
  for (size_t i = 0; i < field->n; i++) {
    if (field->entries[i].self)
      field->entries[i].contestant->close(field->entries[i].self);
  }
  free(field->entries);
}

/* ---- laps ---- */

static void run_lap(struct entry *entry, struct lap *lap, long round)
{
  double figures[FIGURES];

  lap_clear(lap);
  if (entry->contestant->run(entry->self, lap) != 0) {
    snprintf(entry->why, sizeof entry->why, "%s", lap->why);
    entry->contestant->close(entry->self);
    entry->self = NULL;
    entry->failed = 1;
    return;
  }
  lap_figures(lap, figures);
  for (int f = 0; round >= 0 && f < FIGURES; f++)
    entry->figures[f][round] = figures[f];
}

/* Who goes first changes from round to round. The first round is not counted: it warms up. */
static void run_rounds(const struct rounds *r, struct field *field, struct lap *lap)
{
  struct entry *entry;

  for (long round = -1; round < r->rounds; round++) {
    for (size_t i = 0; i < field->n; i++) {
      entry = &field->entries[(i + (size_t)(round + 1)) % field->n];
      if (entry->self)
        run_lap(entry, lap, round);
    }
  }
}

/* ---- the table ---- */

void rounds_legend(void)
{
  puts("+-: half of the calls per second between the quarters; ratio: of the calls per second to\n"
       "those of the first line in the same round, and its quarters; client, kernel, server: CPU "
       "time in\n"
       "microseconds per call, of this process, of it in the kernel, and of the server; busy:\n"
       "processors that both keep busy; sleeps: voluntary context switches of this process per\n"
       "call. All are medians of the rounds.");
}

/* Of the same rounds. 0 = there is nothing to compare with. */
static int ratio_of(const struct entry *entry, const struct entry *base, size_t n,
                    struct spread *ret)
{
  double ratios[MAX_ROUNDS];

  if (!base->self)
    return 0;
  for (size_t i = 0; i < n; i++)
    ratios[i] = entry->figures[RATE][i] / base->figures[RATE][i];
  *ret = spread_of(ratios, n);
  return 1;
}

static void print_ratio(int known, const struct spread *ratio)
{
  char quarters[NUMBER_SIZE];

  snprintf(quarters, sizeof quarters, "%.2f-%.2f", ratio->low, ratio->high);
  if (known)
    printf(" %6.2f %-11s", ratio->median, quarters);
  else
    printf(" %6s %-11s", "-", "");
}

/* Sorts the figures, which ends their belonging to rounds. */
static void print_figures(struct entry *entry, size_t n)
{
  char text[NUMBER_SIZE];
  struct spread spread;

  for (int f = P50; f <= SLEEPS; f++) {
    spread = spread_of(entry->figures[f], n);
    if (f <= P999)
      printf(" %8s", duration_text(text, spread.median));
    else if (f == SERVER && entry->contestant->no_server)
      printf(" %7s", "-");
    else
      printf(" %7.2f", spread.median);
  }
  putchar('\n');
}

static void print_entry(struct entry *entry, const struct spread *ratio, int known, size_t n)
{
  char rate[NUMBER_SIZE];
  struct spread spread;

  printf("%-20s", entry->contestant->name);
  if (!entry->self) {
    printf(" %s: %s\n", entry->failed ? "failed" : "missing", entry->why);
    return;
  }
  spread = spread_of(entry->figures[RATE], n);
  printf(" %9s %3.0f%%", count_text(rate, spread.median),
         (spread.high - spread.low) / 2 / spread.median * 100);
  print_ratio(known, ratio);
  print_figures(entry, n);
}

/* A run beside which much else was going on says little. */
static void print_others(const struct field *field, size_t n)
{
  static double all[MAX_ENTRIES * MAX_ROUNDS];
  struct spread spread;
  size_t laps = 0;

  for (size_t i = 0; i < field->n; i++) {
    for (size_t round = 0; field->entries[i].self && round < n; round++)
      all[laps++] = field->entries[i].figures[OTHERS][round];
  }
  spread = spread_of(all, laps);
  printf("(the rest of the machine kept %.2f processors busy)\n",
         spread.median > 0 ? spread.median : 0);
}

static void print_table(const struct field *field, int callers, size_t n)
{
  struct spread ratios[MAX_ENTRIES] = {{0}};
  const struct entry *base = &field->entries[0];
  int known[MAX_ENTRIES] = {0};
  char title[NUMBER_SIZE];

  for (size_t i = 0; i < field->n; i++) {
    if (field->entries[i].self)
      known[i] = ratio_of(&field->entries[i], base, n, &ratios[i]);
  }
  snprintf(title, sizeof title, "%d caller%s", callers, callers == 1 ? "" : "s");
  printf("\n%-20s %9s %4s %6s %-11s %8s %8s %8s %7s %7s %7s %7s %7s\n", title, "calls/s", "+-",
         "ratio", "", "p50", "p99", "p99.9", "client", "kernel", "server", "busy", "sleeps");
  for (size_t i = 0; i < field->n; i++)
    print_entry(&field->entries[i], &ratios[i], known[i], n);
  print_others(field, n);
}

/* ---- the whole ---- */

static struct lap new_lap(const struct rounds *r, int callers)
{
  struct lap lap = {.seconds = r->seconds, .calls = r->calls, .control = r->control};

  if (lap_open(&lap, callers) != 0) {
    perror("poolmux-load");
    exit(EXIT_FAILURE);
  }
  return lap;
}

int rounds_compare(const struct rounds *r, int callers)
{
  struct lap lap = new_lap(r, callers);
  struct field field = enter(r, callers);
  int failed = 0;

  run_rounds(r, &field, &lap);
  print_table(&field, callers, (size_t)r->rounds);
  for (size_t i = 0; i < field.n; i++)
    failed |= field.entries[i].failed;
  leave(&field);
  lap_close(&lap);
  return failed ? -1 : 0;
}

int rounds_once(const struct rounds *r, int callers)
{
  struct lap lap = new_lap(r, callers);
  struct field field = enter(r, callers);
  struct entry *only = &field.entries[0];
  int good;

  if (only->self)
    run_lap(only, &lap, -1);
  good = only->self != NULL;
  if (!good)
    fprintf(stderr, "%s: %s\n", only->contestant->name, only->why);
  leave(&field);
  lap_close(&lap);
  return good ? 0 : -1;
}
