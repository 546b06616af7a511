/* SPDX-License-Identifier: BSD-3-Clause */
/* demo_show.h - all that the demonstration prints: progress, one table, a few sentences. On a
 * terminal the progress is a line that moves, and with UTF-8 there are boxes; elsewhere it is plain
 * text. */
#ifndef BENCH_DEMO_SHOW_H
#define BENCH_DEMO_SHOW_H
#include "demo_crew.h"

enum { SHOW_KILLS = 8 };

/* All connections were killed between these two times. */
struct kill {
  int64_t from_ms, to_ms;
};

/* What happened over one transport. */
struct column {
  const char *name, *url;
  const char *ca_file; /* NULL: no TLS */
  struct pulse *pulse;
  int64_t lasted_ms;
  unsigned kills;
  struct kill kill[SHOW_KILLS];
  uint64_t killed; /* connections */
  int reloaded;    /* the files of TLS were read again */
  char refusal[512]; /* what a client was told that did not know the CA; "" = none was */
  int audited;     /* the server was asked whether it agrees */
  pmx_stats stats; /* at the end, before closing */
  struct tally tally;
};

void show_init(int64_t phase_ms);
void show_headline(int connections);
void show_start(const struct column *);
void show_progress(const struct column *);
void show_killed(const struct column *, uint64_t n); /* just now; the column has it already */
void show_reloaded(const struct column *);
void show_stop(const struct column *);               /* lasted_ms is known */
void show_table(const struct column *, size_t n);
void show_sentences(const struct column *, size_t n, int connections, int interrupted);

#endif
