/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics.h - the table of what is measured, and one picture of all of it. */
#ifndef PMX_API_METRICS_H
#define PMX_API_METRICS_H
#include "api/snapshot.h"

enum metric_row_kind { METRIC_FAMILY, METRIC_VALUE, METRIC_TIMES };
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_unit { METRIC_ONE, METRIC_BYTES, METRIC_SECONDS };
enum metric_scope { METRIC_CLIENT = 1, METRIC_NODE = 2, METRIC_POOL = 4, METRIC_LANE = 8 };
enum { METRIC_EACH = METRIC_POOL | METRIC_LANE };

/* A family, or something that the family before it consists of. See metrics.def. */
struct metric {
  enum metric_row_kind row;
  const char *name; /* of a family without "poolmux_"; else the key: the member of pmx_stats */
  enum metric_type type;
  enum metric_unit unit;
  int scope;
  const char *help;
  const char *label, *value;
  size_t at; /* offset in pmx_stats, or index of the histogram */
};

extern const struct metric metrics[]; /* ends with a family without a name */

/* Whose numbers they are: the client's and its node's, a pool's, a lane's. */
struct owner {
  int scope;
  const char *name; /* of a pool */
  unsigned lane;
  const pmx_stats *stats;
  const pmx_histogram *times; /* by index of the table */
};

struct picture {
  const char *client, *node, *strategy;
  pmx_stats own;
  pmx_histogram calls[CALL_OUTCOMES];
  unsigned count;
  struct owner *owners; /* the client first */
};

struct picture *picture_take(const pmx_client *); /* NULL: out of memory */
void picture_free(struct picture *);

/* ---- writing it: as much as fits, and how long it would be ---- */
struct out {
  char *buf;
  size_t size, len;
};
void out_add(struct out *, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum out_quoting { OUT_TEXT, OUT_JSON, OUT_LABEL };
/* Names may hold anything: what is not UTF-8 becomes U+FFFD, what would end the string is escaped.
 */
void out_quoted(struct out *, const char *text, enum out_quoting);

void write_text(struct out *, const struct picture *);
void write_json(struct out *, const struct picture *);
void write_prometheus(struct out *, const struct picture *);

uint64_t metric_number(const struct metric *, const struct owner *);
const pmx_histogram *metric_times(const struct metric *, const struct owner *);

#endif
