/* SPDX-License-Identifier: BSD-3-Clause */
/* control.c - see control.h. Knows of its options only; the pool does the rest. */
#include "strategy/control.h"
#include "base/clock.h"

enum { IDLE_S = 60, WAITERS_MAX = 1000000 };

static char name[] = CONTROL_NAME;

static struct config config_of(const struct config *client)
{
  struct config config = *client;

  config.pool_name = name;
  config.pool_max_size = config.pool_max_idle = config.pool_connect_concurrency = 1;
  config.pool_min_idle = 0;
  config.pool_prefill = PREFILL_NONE;
  config.pool_wait_timeout = TIME_FOREVER; /* deadlines say it all */
  config.pool_max_waiters = WAITERS_MAX;
  config.pool_idle_timeout = IDLE_S * NS_PER_S;
  config.pool_keepalive = 0;
  config.pool_leak_warn = config.pool_leak_reclaim = 0;
  return config;
}

int control_open(struct link_env *env, const struct config *client, struct strategy **ret)
{
  struct config config = config_of(client);

  return pool_ops.open(env, &config, NULL, ret);
}

void control_configure(struct strategy *control, const struct config *client)
{
  struct config config = config_of(client);

  control->ops->configure(control, &config);
}
