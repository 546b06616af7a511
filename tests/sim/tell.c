/* SPDX-License-Identifier: BSD-3-Clause */
/* tell.c - owns what is said: the steps of a seed, and the failure that ends it. */
#include "sim/sim.h"
#include <poolmux/poolmux.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

int tracing, sim_strategy = DRAWN, sim_tls = DRAWN;
uint64_t sim_seed;

void trace(const char *format, ...)
{
  va_list args;

  if (!tracing)
    return;
  printf("%12.6f %-10s ", (double)sim_now() / 1e9, task_name() ? task_name() : "-");
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  putchar('\n');
}

const char *strategy_name(void)
{
  static const char *const names[] = {
      [PMX_STRATEGY_HYBRID] = "hybrid", [PMX_STRATEGY_POOL] = "pool", [PMX_STRATEGY_MUX] = "mux"};

  return sim_strategy == DRAWN ? "any" : names[sim_strategy];
}

void fail(const char *format, ...)
{
  va_list args;

  printf("FAILED seed %llu at %.6f s in %s: ", (unsigned long long)sim_seed,
         (double)sim_now() / 1e9, task_name() ? task_name() : "the scheduler");
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  printf("\n  replay: tests/sim/check_sim --seed %llu --trace", (unsigned long long)sim_seed);
  if (sim_strategy != DRAWN)
    printf(" --strategy %s", strategy_name());
  if (sim_tls != DRAWN)
    printf(" %s", sim_tls ? "--tls" : "--plain");
  if (mutant)
    printf(" --mutant %d", (int)mutant);
  printf("\n");
  tasks_tell();
  fflush(stdout);
  _exit(1);
}
