/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics.c - the table of what is measured, and a picture of all of it at once. Knows no format. */
#include "api/metrics.h"
#include <string.h>
#include "base/mem.h"

#define FAMILY(name, type, unit, scope, help, otel) \
  {METRIC_FAMILY, name, METRIC_##type, METRIC_##unit, METRIC_##scope, help, "", "", 0},
#define VALUE(label, value, member) \
  {METRIC_VALUE, #member, METRIC_GAUGE, METRIC_ONE, 0, "", label, value, \
   offsetof(pmx_stats, member)},
#define TIMES(label, value, index, key) \
  {METRIC_TIMES, key, METRIC_HISTOGRAM, METRIC_SECONDS, 0, "", label, value, index},
#define SUM(member, of)

const struct metric metrics[] = {
#include "api/metrics.def"
    {METRIC_FAMILY, NULL, METRIC_GAUGE, METRIC_ONE, 0, "", "", "", 0}};

uint64_t metric_number(const struct metric *m, const struct owner *owner)
{
  uint64_t number;

  memcpy(&number, (const char *)owner->stats + m->at, sizeof number);
  return number;
}

const pmx_histogram *metric_times(const struct metric *m, const struct owner *owner)
{
  return &owner->times[m->at];
}

/* ---- the picture ---- */

/* Behind it in the same block: owners, accounts, their histograms. */
struct frame {
  struct picture picture;
  struct account *accounts;
  pmx_histogram *times;
};

static unsigned count_accounts(struct strategy *strategy)
{
  struct account account = {.times = NULL};
  unsigned n = 0;

  while (strategy->ops->account(strategy, n, &account))
    n++;
  return n;
}

static struct frame *frame_new(unsigned accounts)
{
  size_t each = sizeof(struct account) + ACCOUNT_TIMES * sizeof(pmx_histogram);
  size_t owners = (accounts + 1) * sizeof(struct owner);
  struct frame *f = mem_zalloc(sizeof *f + owners + accounts * each);

  if (!f)
    return NULL;
  f->picture.owners = (struct owner *)(f + 1);
  f->accounts = (struct account *)(f->picture.owners + accounts + 1);
  f->times = (pmx_histogram *)(f->accounts + accounts);
  return f;
}

static void look_at(struct frame *f, struct strategy *strategy, unsigned i)
{
  struct account *account = &f->accounts[f->picture.count - 1];

  account->times = &f->times[(f->picture.count - 1) * ACCOUNT_TIMES];
  strategy->ops->account(strategy, i, account);
  f->picture.owners[f->picture.count++] =
      (struct owner){.scope = account->kind == ACCOUNT_POOL ? METRIC_POOL : METRIC_LANE,
                     .name = account->name,
                     .lane = account->lane,
                     .stats = &account->stats,
                     .times = account->times};
}

/* Calls end meanwhile: they are as many as were measured. */
static void look_at_calls(struct picture *p, const pmx_client *c)
{
  uint64_t ended[CALL_OUTCOMES];

  snapshot_calls(c, &p->own);
  for (int i = 0; i < CALL_OUTCOMES; i++) {
    snapshot_call_times(c, (enum call_outcome)i, &p->calls[i]);
    ended[i] = p->calls[i].count;
  }
  snapshot_count_calls(&p->own, ended);
}

static const char *strategy_name(const pmx_client *c)
{
  static const char *const names[] = {[PMX_STRATEGY_HYBRID] = "hybrid",
                                      [PMX_STRATEGY_POOL] = "pool",
                                      [PMX_STRATEGY_MUX] = "mux"};

  return names[pmx_client_strategy(c)];
}

struct picture *picture_take(const pmx_client *c)
{
  struct runtime *rt = snapshot_runtime(c);
  unsigned n = rt ? count_accounts(rt->node.strategy) : 0;
  struct frame *f = frame_new(n + 1);
  struct picture *p = f ? &f->picture : NULL;

  if (!p)
    return NULL;
  p->owners[p->count++] = (struct owner){
      .scope = METRIC_CLIENT | METRIC_NODE, .name = "", .stats = &p->own, .times = p->calls};
  if (rt) {
    for (unsigned i = 0; i < n; i++)
      look_at(f, rt->node.strategy, i);
    look_at(f, rt->node.control, 0);
    snapshot_node(rt, &p->own);
  }
  look_at_calls(p, c);
  p->strategy = strategy_name(c);
  p->node = rt ? rt->node.name : "";
  p->client = c->config.client_name[0] ? c->config.client_name : p->node;
  return p;
}

void picture_free(struct picture *p)
{
  mem_free(p); /* a frame begins with it */
}
