/* SPDX-License-Identifier: BSD-3-Clause */
/* strategy.c - the one place that picks a strategy by name. */
#include "strategy/strategy.h"
#include <stddef.h>

const struct strategy_ops *strategy_ops_of(pmx_strategy kind)
{
  switch (kind) {
  case PMX_STRATEGY_POOL:
    return &pool_ops;
  case PMX_STRATEGY_MUX:
    return &mux_ops;
  case PMX_STRATEGY_HYBRID:
    break;
  }
  return NULL;
}

const char *strategy_name(pmx_strategy kind)
{
  switch (kind) {
  case PMX_STRATEGY_POOL:
    return "pool";
  case PMX_STRATEGY_HYBRID:
    return "hybrid";
  case PMX_STRATEGY_MUX:
    return "mux";
  }
  return "?";
}
