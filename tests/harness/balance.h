/* SPDX-License-Identifier: BSD-3-Clause */
/* balance.h - what of a client's or a lane's statistics adds up, in every picture at any time. */
#ifndef HARNESS_BALANCE_H
#define HARNESS_BALANCE_H
#include <poolmux/poolmux.h>
#include <stdio.h>

struct balance_sum {
  const char *says;
  uint64_t left, right;
};

/* NULL: it balances; or which sum does not, written to buf. */
static inline const char *balance_broken(const pmx_stats *s, char *buf, size_t size)
{
  const struct balance_sum sums[] = {
      {"opened = closed + live", s->opened, s->closed + s->live},
      {"closed = its reasons", s->closed,
       s->closed_idle + s->closed_lifetime + s->closed_stale + s->closed_dirty + s->closed_error +
           s->reclaimed + s->closed_surplus + s->closed_shutdown},
      {"live = its states", s->live,
       s->idle + s->in_use + s->checking + s->repairing + s->settling + s->closing + s->lanes_live},
      {"dial_failures = their stages", s->dial_failures,
       s->dials_dns + s->dials_tcp + s->dials_tls + s->dials_auth + s->dials_protocol +
           s->dials_timeout + s->dials_local},
      {"borrows = returns + discards + in_use", s->borrows, s->returns + s->discards + s->in_use},
      {"waits + requeues = how they ended + waiting", s->waits + s->requeues,
       s->handoffs + s->wait_timeouts + s->wait_canceled + s->wait_failed + s->waiting - s->queued},
      {"requests = requests_ended + those under way", s->requests,
       s->requests_ended + s->waiting + s->running + s->in_flight - s->abandoned},
      {"lanes_opened = lanes_closed + lanes_live", s->lanes_opened,
       s->lanes_closed + s->lanes_live},
      {"control_opened = control_closed + control_live", s->control_opened,
       s->control_closed + s->control_live},
      {"sub_opened = sub_closed + sub_live", s->sub_opened, s->sub_closed + s->sub_live},
      {"commands = their outcomes", s->commands,
       s->replies + s->server_errors + s->not_run + s->unknown + s->invalid},
      {"retries = their reasons", s->retries,
       s->retries_lost + s->retries_connect + s->retries_refused + s->retries_conflict},
      {"running <= in_use", s->running > s->in_use, 0},
      {"abandoned <= in_flight", s->abandoned > s->in_flight, 0},
      {"no breaker beyond one for each part", s->breaker_open > s->lanes + 1, 0},
  };

  for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
    if (sums[i].left == sums[i].right)
      continue;
    snprintf(buf, size, "%s: %llu and %llu", sums[i].says, (unsigned long long)sums[i].left,
             (unsigned long long)sums[i].right);
    return buf;
  }
  return NULL;
}

#endif
