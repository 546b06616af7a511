/* SPDX-License-Identifier: BSD-3-Clause */
/* demo_caller.h - one caller of the demonstration: real commands of many kinds, each reply checked.
 * A value says to which key it belongs, a counter and a list belong to one caller each, who knows
 * what they may hold, and all accounts together always hold the same. Knows nothing of what is
 * shown. */
#ifndef BENCH_DEMO_CALLER_H
#define BENCH_DEMO_CALLER_H
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdint.h>

#include "measure.h"

enum { CALLER_KEYS = 64, CALLER_ACCOUNTS = 8, PULSE_MS = 4096, KEY_SIZE = 96, VALUE_SIZE = 160 };

/* What is seen of all callers while they run. */
struct pulse {
  int64_t begun; /* now_ns() */
  _Atomic uint64_t calls;
  _Atomic uint32_t answers[PULSE_MS]; /* in each millisecond since begun */
};
int64_t pulse_age_ms(const struct pulse *);

struct tally {
  uint64_t calls, not_run, unknown, wrong;
  char first_wrong[256];
  struct histogram times; /* of commands that do not wait by themselves */
};
void tally_wrong(struct tally *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tally_join(struct tally *sum, const struct tally *);
/* Wrong unless low <= value <= low + maybe: what was acknowledged, and what may have run besides.
 */
void tally_check_counter(struct tally *, const char *counter, int64_t value, int64_t low,
                         int64_t maybe);

struct caller {
  pmx_client *client;
  pmx_cancel *stop; /* fired: calls end */
  const char *prefix;
  struct pulse *pulse;
  uint64_t random;
  char counter[KEY_SIZE], list[KEY_SIZE];
  int64_t counted, maybe; /* INCRs that were acknowledged, that may have run */
  int64_t pushed;         /* surely in the list */
  struct tally tally;
};
void caller_init(struct caller *, uint64_t i); /* the first four members are set already */
void caller_act(struct caller *);              /* one to six commands */

/* "PREFIXkind:i"; the value of a key. They return buf. */
const char *key_name(const char *prefix, const char *kind, uint64_t i, char buf[KEY_SIZE]);
const char *value_of(const char *key, char buf[VALUE_SIZE]);

#endif
