/* SPDX-License-Identifier: BSD-3-Clause */
/* strategy.c - the one place that picks a strategy by name. */
#include "strategy/strategy.h"

const struct strategy_ops *strategy_ops_of(pmx_strategy kind)
{
  static const struct strategy_ops *const ops[] = {[PMX_STRATEGY_HYBRID] = &hybrid_ops,
                                                   [PMX_STRATEGY_POOL] = &pool_ops,
                                                   [PMX_STRATEGY_MUX] = &mux_ops};

  return ops[kind];
}
