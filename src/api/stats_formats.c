/* SPDX-License-Identifier: BSD-3-Clause */
/* stats_formats.c - the picture in words, as JSON, and as Prometheus reads it. All three go through
 * the table; none of them knows a metric by its name. */
#include "api/metrics.h"

typedef unsigned long long number;

static const struct {
  const char *name;
  double percent;
} percentiles[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p999", 99.9}};
enum { PERCENTILES = sizeof percentiles / sizeof percentiles[0], US = 1000, MS = 1000 * 1000 };

/* A histogram that is not a user's: its size need not be set. */
static uint64_t percentile(const pmx_histogram *h, double percent)
{
  pmx_histogram sized = *h;

  sized.size = sizeof sized;
  return pmx_histogram_percentile(&sized, percent);
}

/* ---- in words: a line for each family ---- */

static void add_duration(struct out *o, uint64_t ns)
{
  if (ns < US)
    out_add(o, "%llu ns", (number)ns);
  else if (ns < MS)
    out_add(o, "%llu us", (number)(ns / US));
  else if (ns < (uint64_t)10 * MS)
    out_add(o, "%llu.%llu ms", (number)(ns / MS), (number)(ns % MS / (MS / 10)));
  else if (ns < (uint64_t)1000 * MS)
    out_add(o, "%llu ms", (number)(ns / MS));
  else
    out_add(o, "%llu.%llu s", (number)(ns / MS / 1000), (number)(ns / MS % 1000 / 100));
}

static void add_times_in_words(struct out *o, const pmx_histogram *h)
{
  out_add(o, "%llu", (number)h->count);
  if (h->count == 0)
    return;
  out_add(o, " (mean ");
  add_duration(o, h->sum_ns / h->count);
  for (int i = 0; i < PERCENTILES; i++) {
    out_add(o, ", %s ", percentiles[i].name);
    add_duration(o, percentile(h, percentiles[i].percent));
  }
  out_add(o, ", max ");
  add_duration(o, h->max_ns);
  out_add(o, ")");
}

static void add_family_in_words(struct out *o, const struct metric *family,
                                const struct owner *owner)
{
  out_add(o, "  %-38s", family->name);
  for (const struct metric *m = family + 1; m->row != METRIC_FAMILY; m++) {
    out_add(o, "%s", m == family + 1 ? " " : ", ");
    if (m->value[0])
      out_add(o, "%s ", m->value);
    if (m->row == METRIC_TIMES)
      add_times_in_words(o, metric_times(m, owner));
    else if (family->unit == METRIC_SECONDS)
      add_duration(o, metric_number(m, owner));
    else
      out_add(o, "%llu", (number)metric_number(m, owner));
  }
  out_add(o, "\n");
}

static void add_owner_in_words(struct out *o, const struct picture *p, const struct owner *owner)
{
  if (owner->scope & METRIC_CLIENT) {
    out_add(o, "client ");
    out_quoted(o, p->client, OUT_TEXT);
    out_add(o, " to ");
    out_quoted(o, p->node, OUT_TEXT);
    out_add(o, ", strategy %s, poolmux %s", p->strategy, pmx_version());
  } else if (owner->scope & METRIC_LANE) {
    out_add(o, "lane %u", owner->lane);
  } else {
    out_add(o, "pool ");
    out_quoted(o, owner->name, OUT_TEXT);
  }
  out_add(o, "\n");
}

void write_text(struct out *o, const struct picture *p)
{
  for (unsigned i = 0; i < p->count; i++) {
    const struct owner *owner = &p->owners[i];

    add_owner_in_words(o, p, owner);
    for (const struct metric *m = metrics; m->name; m++) {
      if (m->row == METRIC_FAMILY && (m->scope & owner->scope))
        add_family_in_words(o, m, owner);
    }
  }
}

/* ---- JSON: numbers under the names of pmx_stats ---- */

static void add_times_as_json(struct out *o, const pmx_histogram *h)
{
  out_add(o, "{\"count\":%llu,\"sum_ns\":%llu,\"max_ns\":%llu", (number)h->count, (number)h->sum_ns,
          (number)h->max_ns);
  for (int i = 0; i < PERCENTILES; i++)
    out_add(o, ",\"%s_ns\":%llu", percentiles[i].name,
            (number)percentile(h, percentiles[i].percent));
  out_add(o, "}");
}

static void add_members(struct out *o, const struct owner *owner)
{
  int scope = 0;

  for (const struct metric *m = metrics; m->name; m++) {
    if (m->row == METRIC_FAMILY)
      scope = m->scope;
    if (m->row == METRIC_FAMILY || !(scope & owner->scope))
      continue;
    out_add(o, ",\"%s\":", m->name);
    if (m->row == METRIC_TIMES)
      add_times_as_json(o, metric_times(m, owner));
    else
      out_add(o, "%llu", (number)metric_number(m, owner));
  }
}

static void add_list(struct out *o, const struct picture *p, const char *name, int scope)
{
  const char *comma = "";

  out_add(o, ",\"%s\":[", name);
  for (unsigned i = 0; i < p->count; i++) {
    const struct owner *owner = &p->owners[i];

    if (!(owner->scope & scope))
      continue;
    if (scope == METRIC_LANE) {
      out_add(o, "%s{\"lane\":%u", comma, owner->lane);
    } else {
      out_add(o, "%s{\"pool\":\"", comma);
      out_quoted(o, owner->name, OUT_JSON);
      out_add(o, "\"");
    }
    add_members(o, owner);
    out_add(o, "}");
    comma = ",";
  }
  out_add(o, "]");
}

void write_json(struct out *o, const struct picture *p)
{
  out_add(o, "{\"poolmux\":\"%s\",\"client\":\"", pmx_version());
  out_quoted(o, p->client, OUT_JSON);
  out_add(o, "\",\"node\":\"");
  out_quoted(o, p->node, OUT_JSON);
  out_add(o, "\",\"strategy\":\"%s\"", p->strategy);
  add_members(o, &p->owners[0]);
  add_list(o, p, "pools", METRIC_POOL);
  add_list(o, p, "lanes", METRIC_LANE);
  out_add(o, "}\n");
}

/* ---- Prometheus: text format 0.0.4 ---- */

static void add_labels(struct out *o, const struct picture *p, int scope, const struct owner *owner,
                       const struct metric *m)
{
  out_add(o, "{client=\"");
  out_quoted(o, p->client, OUT_LABEL);
  if (scope != METRIC_CLIENT) {
    out_add(o, "\",node=\"");
    out_quoted(o, p->node, OUT_LABEL);
  }
  if (owner->scope == METRIC_LANE) {
    out_add(o, "\",lane=\"%u", owner->lane);
  } else if (owner->scope == METRIC_POOL) {
    out_add(o, "\",pool=\"");
    out_quoted(o, owner->name, OUT_LABEL);
  }
  if (m->label[0])
    out_add(o, "\",%s=\"%s", m->label, m->value);
  out_add(o, "\"");
}

static void add_seconds(struct out *o, uint64_t ns)
{
  const uint64_t second = (uint64_t)1000 * MS;

  out_add(o, "%llu.%09llu", (number)(ns / second), (number)(ns % second));
}

struct series_of {
  const struct picture *picture;
  const struct metric *family, *metric;
  const struct owner *owner;
};

static void begin_sample(struct out *o, const struct series_of *s, const char *suffix)
{
  out_add(o, "poolmux_%s%s", s->family->name, suffix);
  add_labels(o, s->picture, s->family->scope, s->owner, s->metric);
}

/* Powers of two of a microsecond: where buckets end. */
static void add_histogram(struct out *o, const struct series_of *s)
{
  const pmx_histogram *h = metric_times(s->metric, s->owner);
  uint64_t below = 0, bound;

  for (unsigned i = 0; i < HISTOGRAM_LAST; i++) {
    below += h->buckets[i];
    if (i % HISTOGRAM_STEPS != HISTOGRAM_STEPS - 1)
      continue;
    begin_sample(o, s, "_bucket");
    bound = histogram_bound(i) / US;
    out_add(o, ",le=\"%llu.%06llu\"} %llu\n", (number)(bound / MS), (number)(bound % MS),
            (number)below);
  }
  begin_sample(o, s, "_bucket");
  out_add(o, ",le=\"+Inf\"} %llu\n", (number)h->count);
  begin_sample(o, s, "_sum");
  out_add(o, "} ");
  add_seconds(o, h->sum_ns);
  out_add(o, "\n");
  begin_sample(o, s, "_count");
  out_add(o, "} %llu\n", (number)h->count);
}

static void add_sample(struct out *o, const struct series_of *s)
{
  if (s->metric->row == METRIC_TIMES) {
    add_histogram(o, s);
    return;
  }
  begin_sample(o, s, "");
  out_add(o, "} ");
  if (s->family->unit == METRIC_SECONDS)
    add_seconds(o, metric_number(s->metric, s->owner));
  else
    out_add(o, "%llu", (number)metric_number(s->metric, s->owner));
  out_add(o, "\n");
}

static int is_anybodys(const struct picture *p, const struct metric *family)
{
  for (unsigned i = 0; i < p->count; i++) {
    if (p->owners[i].scope & family->scope)
      return 1;
  }
  return 0;
}

static void add_family(struct out *o, const struct picture *p, const struct metric *family)
{
  static const char *const types[] = {
      [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

  if (!is_anybodys(p, family))
    return;
  out_add(o, "# HELP poolmux_%s %s\n# TYPE poolmux_%s %s\n", family->name, family->help,
          family->name, types[family->type]);
  for (unsigned i = 0; i < p->count; i++) {
    struct series_of s = {p, family, family + 1, &p->owners[i]};

    for (; (s.owner->scope & family->scope) && s.metric->row != METRIC_FAMILY; s.metric++)
      add_sample(o, &s);
  }
}

void write_prometheus(struct out *o, const struct picture *p)
{
  for (const struct metric *m = metrics; m->name; m++) {
    if (m->row == METRIC_FAMILY)
      add_family(o, p, m);
  }
}
